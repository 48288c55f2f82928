use actix_web::{HttpResponse, post, web};
use remotegpu_control_plane::{
    CreateKubeconfigToken, CreateKubeconfigTokenPorts, CreatedKubeconfigToken,
    MintExecCredentialPorts, Read,
};
use remotegpu_edge::{ApiError, PathId, SessionCaller};
use remotegpu_namespaces::TokenLifetime;
use remotegpu_primitives::NamespaceId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::existing;
use crate::{
    Api, api::rng, json_body::JsonBody, v1::account::kubeconfig_tokens::KubeconfigTokenResponse,
    wire,
};

/// How long a kubeconfig with a token shall live.
#[derive(Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateKubeconfigTokenRequest {
    /// For how long, in seconds.
    #[serde(default = "an_hour", deserialize_with = "wire::whole")]
    #[validate(range(min = 600, max = 3600, message = "must be a number from 600 to 3600"))]
    #[schema(minimum = 600, maximum = 3600, default = 3600)]
    expires_in_seconds: i64,
}

fn an_hour() -> i64 {
    TokenLifetime::MAX.whole_seconds()
}

/// A kubeconfig with a token in it: both are secrets, and told once.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedKubeconfigTokenResponse {
    #[serde(flatten)]
    item: KubeconfigTokenResponse,
    /// What the cluster calls the namespace.
    #[schema(example = "team-ml-x7k2pq")]
    namespace: String,
    /// What to save the file as, for nobody else to read.
    #[schema(example = "kubeconfig-token-team-ml.yaml")]
    filename: String,
    /// The file's content: YAML.
    kubeconfig: String,
    /// The token in it.
    token: String,
}

/// Make a kubeconfig with a token in it
///
/// For tools that can run no plugin. Whoever has the file has what the token opens, for an hour
/// at the most: all in the namespace, or, where your role is `read`, a look at all but secrets.
/// Both are told once. They end with your role and membership, with the namespace, and by
/// `DELETE /v1/account/kubeconfig-tokens/{token_id}`.
#[utoipa::path(
    tag = "kubeconfig",
    params(("namespace_id" = uuid::Uuid, Path, description = "The namespace.")),
    request_body = CreateKubeconfigTokenRequest,
    responses(
        (status = 201, description = "The file and its token.", body = CreatedKubeconfigTokenResponse),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`namespace_not_ready`, `limit_reached`"),
        (status = 429, description = "`rate_limited`: the account makes keys and tokens too often"),
        (status = 503, description = "`cluster_unavailable`, `token_without_expiration`, `database_unavailable`, `overloaded`"),
    ),
)]
#[post("/v1/kubernetes/namespaces/{namespace_id}/kubeconfig-token")]
pub(crate) async fn create_kubeconfig_token(
    api: web::Data<Api>,
    SessionCaller(caller): SessionCaller<Read>,
    id: PathId<NamespaceId>,
    body: JsonBody,
) -> Result<HttpResponse, ApiError> {
    let namespace = existing(&api, &caller, id).await?;
    let request: CreateKubeconfigTokenRequest = body.read().await?;
    let lifetime = u32::try_from(request.expires_in_seconds).ok();
    let wanted = CreateKubeconfigToken {
        lifetime: lifetime
            .and_then(TokenLifetime::from_seconds)
            .unwrap_or_default(),
        limit: api.config.kubeconfig_token_limit,
    };
    let ports = CreateKubeconfigTokenPorts {
        tokens: &*api.ports.kubeconfig_tokens,
        mint: MintExecCredentialPorts {
            keys: &*api.ports.keys,
            namespaces: &*api.ports.namespaces,
            identities: &*api.ports.identities,
            known: &api.ports.known_identities,
            uses: &api.ports.identity_uses,
            mint: &*api.ports.mint,
            signals: &api.ports.signals,
            limits: &api.ports.mint_limits,
            lifetime: wanted.lifetime,
            audit: &api.ports.audit,
            token_request_took: &|took| api.metrics.token_request_took(took),
        },
        clusters: &*api.ports.clusters,
        claims: &*api.ports.claims,
        changes: &api.ports.key_changes,
    };
    let (rng, now) = (&mut rng(), api.now());
    let created = remotegpu_control_plane::create_kubeconfig_token(
        ports, &caller, &namespace, wanted, rng, now,
    );
    let CreatedKubeconfigToken {
        token,
        secret,
        filename,
        kubeconfig,
    } = created.await?;
    Ok(
        HttpResponse::Created().json(CreatedKubeconfigTokenResponse {
            item: KubeconfigTokenResponse::new(&token),
            namespace: namespace.kubernetes_namespace.as_str().to_owned(),
            filename,
            kubeconfig: kubeconfig.reveal().to_owned(),
            token: secret.reveal().to_owned(),
        }),
    )
}
