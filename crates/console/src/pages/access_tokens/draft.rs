//! What somebody types who makes an access token.

use maud::{Markup, html};
use remotegpu_access_tokens::TokenNote;
use remotegpu_control_plane::{AccessTokenRules, IssueAccessToken};
use remotegpu_edge::{ApiError, FieldError};
use remotegpu_keys::KeyName;
use remotegpu_kubeconfig::TokenNames;
use remotegpu_namespaces::{Cluster, Namespace, NamespaceStatus};
use time::{Duration, OffsetDateTime};
use url::form_urlencoded;

use super::Choices;
use crate::{
    fields::Fields,
    parts::{
        expiration::{CHOSEN, LENGTHS, select},
        field::Field,
    },
    refusal::Refusal,
};

/// The fields that say themselves what is wrong with them.
pub(super) const FIELDS: [&str; 5] = ["name", "expires_at", "clusters", "namespace_id", "note"];

const NEVER: &str = "never";

/// As it was typed.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    name: String,
    /// Empty where nothing was chosen yet.
    expiration: String,
    clusters: Vec<String>,
    namespace: String,
    note: String,
    names: String,
}

impl Draft {
    /// What an address says, for what is put back.
    pub(super) fn from_address(query: &str) -> Self {
        let mut draft = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "name" => draft.name = value.into(),
                "expiration" => draft.expiration = value.into(),
                "cluster" => draft.clusters.push(value.into()),
                "namespace" => draft.namespace = value.into(),
                "note" => draft.note = value.into(),
                "names" => draft.names = value.into(),
                _ => {}
            }
        }
        draft
    }

    pub(super) fn read(fields: &mut Fields) -> Result<Self, ApiError> {
        Ok(Self {
            name: fields.text("name")?,
            expiration: fields.text("expiration")?,
            clusters: fields.all("cluster"),
            namespace: fields.text("namespace")?,
            note: fields.text("note")?,
            names: fields.text("names")?,
        })
    }

    /// What it asks for, or all that is wrong with it.
    pub(super) fn judge(
        &self,
        choices: &Choices,
        rules: &AccessTokenRules,
        now: OffsetDateTime,
    ) -> Result<IssueAccessToken, ApiError> {
        let mut wrong = Vec::new();
        let name = KeyName::parse(&self.name)
            .map_err(|error| wrong.push(FieldError::from_refusal("name", &error)));
        let expires_at = self
            .expires_at(rules, now)
            .map_err(|error| wrong.push(error));
        let known = |name: &String| {
            let mut all = choices.clusters.iter();
            all.any(|cluster| cluster.name.as_str() == name)
        };
        if self.clusters.is_empty() {
            let what = "At least one cluster must be chosen";
            wrong.push(FieldError::new("clusters", what));
        } else if !self.clusters.iter().all(known) {
            wrong.push(FieldError::new("clusters", "There is no such cluster"));
        }
        let namespace = self.namespace(choices).map_err(|error| wrong.push(error));
        let note = TokenNote::parse(&self.note)
            .map_err(|error| wrong.push(FieldError::from_refusal("note", &error)));
        match (name, expires_at, namespace, note) {
            (Ok(name), Ok(expires_at), Ok(namespace), Ok(note)) if wrong.is_empty() => {
                Ok(IssueAccessToken {
                    name,
                    note,
                    clusters: self.clusters.clone(),
                    namespace,
                    expires_at,
                    names: self.names(),
                })
            }
            _ => Err(crate::refusal::refusal_of(wrong)),
        }
    }

    fn names(&self) -> TokenNames {
        if self.names.is_empty() {
            TokenNames::Reference
        } else {
            TokenNames::Unique
        }
    }

    fn expires_at(
        &self,
        rules: &AccessTokenRules,
        now: OffsetDateTime,
    ) -> Result<Option<OffsetDateTime>, FieldError> {
        let choice = FieldError::new("expires_at", "must be one of the choices");
        let end = if self.expiration == NEVER {
            None
        } else {
            let days = lengths(rules).find(|(days, _)| days.to_string() == self.expiration);
            let (days, _) = days.ok_or_else(|| choice.clone())?;
            Some(now + Duration::days(days))
        };
        let judged = rules.judge_expiry(end, now);
        judged.map(|()| end).map_err(|_| choice)
    }

    fn namespace(&self, choices: &Choices) -> Result<Option<Namespace>, FieldError> {
        if self.namespace.is_empty() {
            return Ok(None);
        }
        let wrong = |what: &str| FieldError::new("namespace_id", what);
        let found = living(&choices.namespaces)
            .find(|namespace| namespace.id.to_string() == self.namespace)
            .ok_or_else(|| wrong("must be a namespace of this account"))?;
        let here = self
            .clusters
            .iter()
            .any(|name| name == found.cluster.as_str());
        if here {
            Ok(Some(found.clone()))
        } else {
            Err(wrong("must stand in one of the clusters"))
        }
    }

    /// The fields.
    pub(super) fn render(
        &self,
        choices: &Choices,
        rules: &AccessTokenRules,
        refusal: Option<&Refusal>,
    ) -> Markup {
        let has_more = !self.namespace.is_empty()
            || !self.note.is_empty()
            || !self.names.is_empty()
            || ["namespace_id", "note"]
                .iter()
                .any(|field| refusal.is_some_and(|refusal| refusal.of(field, "").is_some()));
        html! {
            (Field {
                name: "name", label: "Name", value: &self.name, required: true,
                focus: refusal.is_none(), max: Some(64), autocomplete: Some("off"),
                hint: Some("Where it will be used: laptop, Lens, a notebook."), ..Field::default()
            }.render(refusal))
            (self.expiration(rules, refusal))
            (self.chosen_clusters(&choices.clusters, refusal))
            details open[has_more] {
                summary { "More" }
                (self.chosen_namespace(&choices.namespaces, refusal))
                (Field {
                    name: "note", label: "Note", value: &self.note, max: Some(256),
                    autocomplete: Some("off"), ..Field::default()
                }.render(refusal))
                label.tick for="names-unique" {
                    input id="names-unique" type="checkbox" name="names" value="unique" checked[!self.names.is_empty()];
                    " Names of its own in the file, so that it merges with others (KUBECONFIG=a:b)"
                }
            }
        }
    }

    fn expiration(&self, rules: &AccessTokenRules, refusal: Option<&Refusal>) -> Markup {
        let usual = lengths(rules).filter(|(days, _)| *days <= CHOSEN).last();
        let usual = usual.map(|(days, _)| days.to_string()).unwrap_or_default();
        let chosen = if self.expiration.is_empty() {
            &usual
        } else {
            &self.expiration
        };
        let never = rules.may_never_expire.then_some((NEVER, "Never"));
        select(lengths(rules), never, chosen, refusal)
    }

    fn chosen_clusters(&self, clusters: &[Cluster], refusal: Option<&Refusal>) -> Markup {
        let wrong = refusal.and_then(|refusal| refusal.of("clusters", "Kubeconfig Cluster"));
        let is_chosen = |name: &str| {
            // Where there is one, it is the one.
            clusters.len() == 1 || self.clusters.iter().any(|chosen| chosen == name)
        };
        html! {
            fieldset aria-labelledby="clusters-legend" aria-describedby=[wrong.as_ref().map(|_| "clusters-error")] {
                legend id="clusters-legend" { "Kubeconfig Cluster" }
                @if clusters.is_empty() { p.hint { "There is no cluster to choose." } }
                ul.ticks {
                    @for (at, cluster) in clusters.iter().enumerate() {
                        @let (name, id) = (cluster.name.as_str(), format!("cluster-{}", cluster.name));
                        li { label.tick for=(id) {
                            input id=(id) type="checkbox" name="cluster" value=(name) checked[is_chosen(name)]
                                autofocus[at == 0 && refusal.is_some_and(|refusal| refusal.leads_to("clusters"))];
                            " " (cluster.title)
                        } }
                    }
                }
                p.hint { "A kubeconfig can have several; kubectl goes from one to another by its context." }
                @if let Some(wrong) = wrong { p.error id="clusters-error" { (wrong) } }
            }
        }
    }

    fn chosen_namespace(&self, namespaces: &[Namespace], refusal: Option<&Refusal>) -> Markup {
        let wrong = refusal.and_then(|refusal| refusal.of("namespace_id", "The namespace"));
        let described = match &wrong {
            Some(_) => "namespace-hint namespace-error",
            None => "namespace-hint",
        };
        html! {
            div.field {
                label for="field-namespace" { "Namespace" }
                select id="field-namespace" name="namespace"
                    autofocus[refusal.is_some_and(|refusal| refusal.leads_to("namespace_id"))]
                    aria-invalid=[wrong.as_ref().map(|_| "true")] aria-describedby=(described) {
                    option value="" selected[self.namespace.is_empty()] { "None" }
                    @for namespace in living(namespaces) {
                        @let id = namespace.id.to_string();
                        option value=(id) selected[self.namespace == id] {
                            (namespace.name.as_str()) " in " (namespace.cluster.as_str())
                        }
                    }
                }
                p.hint id="namespace-hint" { "What commands are for that name no namespace." }
                @if let Some(wrong) = wrong { p.error id="namespace-error" { (wrong) } }
            }
        }
    }
}

/// The lengths that the operator allows.
fn lengths(rules: &AccessTokenRules) -> impl Iterator<Item = (i64, &'static str)> {
    let most = rules.longest.whole_days();
    LENGTHS.into_iter().filter(move |(days, _)| *days <= most)
}

fn living(namespaces: &[Namespace]) -> impl Iterator<Item = &Namespace> {
    let is_living = |namespace: &&Namespace| namespace.status != NamespaceStatus::Deleting;
    namespaces.iter().filter(is_living)
}
