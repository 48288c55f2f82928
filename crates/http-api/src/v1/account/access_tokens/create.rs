use actix_web::{HttpResponse, post, web};
use remotegpu_access_tokens::TokenNote;
use remotegpu_control_plane::{
    Caller, IssueAccessToken, IssueAccessTokenPorts, Person, Read, find_cluster, find_namespace,
    issue_access_token,
};
use remotegpu_edge::{ApiError, ErrorCode, FieldError, Query, SessionCaller};
use remotegpu_keys::KeyName;
use remotegpu_kubeconfig::TokenNames;
use remotegpu_namespaces::Namespace;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use time::OffsetDateTime;
use utoipa::ToSchema;
use validator::Validate;

use super::IssuedAccessTokenResponse;
use crate::{
    Api,
    api::rng,
    json_body::JsonBody,
    openapi::texts,
    v1::{expiry::Expiry, fields::Fields},
    wire,
};

/// How many clusters a request may name.
const MOST_CLUSTERS: usize = 100;

/// What an access token shall be.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateAccessTokenRequest {
    #[schema(schema_with = texts::key_name)]
    name: String,
    /// Anything that shall stand beside it.
    #[serde(default)]
    #[schema(schema_with = texts::token_note)]
    note: Option<String>,
    /// The names of the clusters that it shall open; doubled ones are folded. The first one's
    /// context is the current one of the file.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 100, example = json!(["fra1"]))]
    clusters: Box<RawValue>,
    /// A namespace in one of these clusters, which that one's context has in the file.
    #[serde(default)]
    #[schema(format = Uuid)]
    namespace_id: Option<String>,
    /// In how many seconds it ends by itself.
    #[serde(default, deserialize_with = "wire::present_whole")]
    #[schema(nullable = false, minimum = 1, example = 2_592_000)]
    expires_in_seconds: Option<i64>,
    /// When it ends by itself, in the future; one of the two.
    #[serde(default, deserialize_with = "wire::present")]
    #[schema(format = DateTime, nullable = false)]
    expires_at: Option<String>,
}

/// How the file calls its clusters, contexts and user.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case", default = "reference")]
#[allow(dead_code, reason = "only its description is used")]
pub(crate) enum TokenNamesWord {
    Reference,
    Unique,
}

impl CreateAccessTokenRequest {
    async fn judge(
        &self,
        mut fields: Fields,
        api: &Api,
        caller: &Caller<Person<Read>>,
        names: TokenNames,
        now: OffsetDateTime,
    ) -> Result<IssueAccessToken, ApiError> {
        let name = fields.judge("name", KeyName::parse(&self.name));
        let note = TokenNote::parse(self.note.as_deref().unwrap_or_default());
        let note = fields.judge("note", note);
        let clusters = judge_clusters(&mut fields, &self.clusters, api);
        let namespace = self.namespace(&mut fields, api, caller, clusters.as_deref());
        let namespace = namespace.await?;
        let expires_at = self.judge_expiry(&mut fields, api, now);
        match (name, note, clusters, expires_at) {
            (Some(name), Some(note), Some(clusters), Some(expires_at)) if fields.is_empty() => {
                Ok(IssueAccessToken {
                    name,
                    note,
                    clusters,
                    namespace,
                    expires_at,
                    names,
                })
            }
            _ => Err(fields.into()),
        }
    }

    async fn namespace(
        &self,
        fields: &mut Fields,
        api: &Api,
        caller: &Caller<Person<Read>>,
        clusters: Option<&[String]>,
    ) -> Result<Option<Namespace>, ApiError> {
        let Some(text) = &self.namespace_id else {
            return Ok(None);
        };
        let found = match text.parse() {
            Ok(id) => find_namespace(&*api.ports.namespaces, &caller.may()?, id).await?,
            Err(_) => None,
        };
        let field = "namespace_id";
        let Some(namespace) = found else {
            let error = FieldError::new(field, "must be a namespace of this account");
            let detail = format!("{field} {}", error.message);
            let alone = ApiError::new(ErrorCode::ForeignNamespace, detail);
            fields.refuse_as(alone.with_fields(vec![error.clone()]), error);
            return Ok(None);
        };
        let here = |name: &String| name == namespace.cluster.as_str();
        if clusters.is_some_and(|clusters| !clusters.iter().any(here)) {
            fields.refuse(FieldError::new(field, "must stand in one of the clusters"));
            return Ok(None);
        }
        Ok(Some(namespace))
    }

    #[expect(
        clippy::option_option,
        reason = "wrong, never and a time are three things"
    )]
    fn judge_expiry(
        &self,
        fields: &mut Fields,
        api: &Api,
        now: OffsetDateTime,
    ) -> Option<Option<OffsetDateTime>> {
        let expiry = Expiry {
            in_seconds: self.expires_in_seconds,
            at: self.expires_at.as_deref(),
        };
        let expires_at = expiry.judge(fields, now)?;
        let rules = &api.config.access_tokens;
        let judged = rules.judge_expiry(expires_at, now);
        if expires_at.is_none() && judged.is_err() {
            let error = FieldError::new(expiry.field(), "or expires_at is required");
            fields.refuse(error);
            return None;
        }
        fields.judge(expiry.field(), judged)?;
        Some(expires_at)
    }
}

/// The names of clusters, all of which there are.
fn judge_clusters(fields: &mut Fields, raw: &RawValue, api: &Api) -> Option<Vec<String>> {
    const FIELD: &str = "clusters";
    if fields.is_refused(FIELD) {
        return None;
    }
    let Ok(given) = serde_json::from_str::<Vec<Value>>(raw.get()) else {
        fields.refuse(FieldError::new(
            FIELD,
            "must be a list of names of clusters",
        ));
        return None;
    };
    if given.is_empty() || given.len() > MOST_CLUSTERS {
        let message = "must name 1 to 100 clusters";
        fields.refuse(FieldError::new(FIELD, message));
        return None;
    }
    let (mut names, mut wrong) = (Vec::new(), Vec::new());
    let mut code = ErrorCode::ClusterUnknown;
    for (place, name) in given.iter().enumerate() {
        let field = format!("{FIELD}[{place}]");
        match name.as_str() {
            None => {
                wrong.push(FieldError::new(field, "must be a string"));
                code = ErrorCode::InvalidField;
            }
            Some(name) if find_cluster(&*api.ports.clusters, Some(name)).is_some() => {
                names.push(name.to_owned());
            }
            Some(_) => wrong.push(FieldError::new(field, "is not known")),
        }
    }
    if wrong.is_empty() {
        return Some(names);
    }
    let alone = ApiError::from(code).with_fields(wrong.clone());
    fields.refuse_all(FIELD, alone, wrong, false);
    None
}

/// Create an access token
///
/// It stands for whoever makes it, in the clusters that are named, and may there what their
/// role in the account allows. The answer holds the secret and its kubeconfig, once.
#[utoipa::path(
    tag = "access-tokens",
    params(
        ("names" = inline(Option<TokenNamesWord>), Query, nullable = false, description = "`reference` is the same in every file; a file with `unique` ones merges with any other."),
    ),
    request_body = CreateAccessTokenRequest,
    responses(
        (status = 201, description = "The token, its secret and its kubeconfig.", body = IssuedAccessTokenResponse),
        (status = 400, description = "`invalid_body`, `invalid_field`, `cluster_unknown`, `foreign_namespace`, `expiry_not_in_future`"),
        (status = 409, description = "`limit_reached`"),
        (status = 429, description = "`rate_limited`: the account creates keys and tokens too often"),
    ),
)]
#[post("/v1/account/access-tokens")]
pub(crate) async fn create_access_token(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Person<Read>>,
    query: Query,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let (request, fields) = body.read_to_judge::<CreateAccessTokenRequest>().await?;
    let names = match query.get("names")? {
        None => TokenNames::default(),
        Some(word) => word
            .parse()
            .map_err(|error| ApiError::field(FieldError::from_refusal("names", &error)))?,
    };
    let now = api.now();
    let wanted = request.judge(fields, &api, &caller, names, now).await?;
    let ports = IssueAccessTokenPorts {
        tokens: &*api.ports.access_tokens,
        clusters: &*api.ports.clusters,
        claims: &*api.ports.claims,
        limits: &api.ports.key_changes,
        rules: &api.config.access_tokens,
    };
    let issued = issue_access_token(ports, &caller, wanted, &mut rng(), now).await?;
    Ok(HttpResponse::Created().json(IssuedAccessTokenResponse::new(&issued, now)))
}
