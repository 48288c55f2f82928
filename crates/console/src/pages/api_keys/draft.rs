//! What somebody types who makes a key or changes one.

use std::collections::BTreeSet;

use maud::{Markup, html};
use remotegpu_edge::{ApiError, ErrorCode, FieldError};
use remotegpu_keys::{ApiKey, ApiKeyChange, KeyName};
use remotegpu_namespaces::{Namespace, NamespaceStatus};
use remotegpu_scopes::{NamespaceAccess, Scopes};
use serde_json::json;
use time::{Date, Duration, OffsetDateTime, format_description::well_known::Iso8601};
use url::form_urlencoded;

use crate::{
    fields::Fields,
    parts::field::{Field, radio_card},
    refusal::Refusal,
};

/// Says that a key's end stays.
const KEEP: &str = "keep";

/// As it was typed.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) name: String,
    scope: String,
    reach: String,
    namespaces: Vec<String>,
    ends: String,
    date: String,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            name: String::new(),
            scope: "kubernetes_exec".to_owned(),
            reach: "all".to_owned(),
            namespaces: Vec::new(),
            ends: "90".to_owned(),
            date: String::new(),
        }
    }
}

impl Draft {
    /// What an address says, for "make one like this" and for what is put back.
    pub(crate) fn from_address(query: &str) -> Self {
        let mut draft = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "name" => draft.name = value.into(),
                "scope" => draft.scope = value.into(),
                "reach" => draft.reach = value.into(),
                "namespace" => draft.namespaces.push(value.into()),
                "ends" => draft.ends = value.into(),
                "date" => draft.date = value.into(),
                _ => {}
            }
        }
        draft
    }

    pub(crate) fn read(fields: &mut Fields) -> Result<Self, ApiError> {
        Ok(Self {
            name: fields.text("name")?,
            scope: fields.text("scope")?,
            reach: fields.text("reach")?,
            namespaces: fields.all("namespace"),
            ends: fields.text("ends")?,
            date: fields.text("date")?,
        })
    }

    /// What a key is now; its end stays unless another is chosen.
    pub(crate) fn of(key: &ApiKey) -> Self {
        let (scope, reach) = match &key.scopes {
            Scopes::All => ("all", "all"),
            Scopes::Inference => ("inference", "all"),
            Scopes::KubernetesExec(NamespaceAccess::All) => ("kubernetes_exec", "all"),
            Scopes::KubernetesExec(NamespaceAccess::Only(_)) => ("kubernetes_exec", "chosen"),
            Scopes::Unknown(_) => ("", ""),
        };
        Self {
            name: key.name.as_str().to_owned(),
            scope: scope.to_owned(),
            reach: reach.to_owned(),
            namespaces: key
                .scopes
                .namespace_ids()
                .map(|id| id.to_string())
                .collect(),
            ends: KEEP.to_owned(),
            date: String::new(),
        }
    }

    /// The address of a page that offers a key like this one.
    pub(crate) fn like(key: &ApiKey, page: &str) -> String {
        let draft = Self::of(key);
        let mut address = form_urlencoded::Serializer::new(format!("{page}?create=1"));
        address
            .append_pair("name", &draft.name)
            .append_pair("scope", &draft.scope)
            .append_pair("reach", &draft.reach);
        for id in &draft.namespaces {
            address.append_pair("namespace", id);
        }
        address.finish()
    }

    fn keeps_end(&self) -> bool {
        self.ends == KEEP
    }

    /// What it asks for, or all that is wrong with it.
    pub(crate) fn judge(
        &self,
        now: OffsetDateTime,
    ) -> Result<(KeyName, Scopes, Option<OffsetDateTime>), ApiError> {
        let mut wrong = Vec::new();
        // Contract K10: its sentences are exact, and go before all others.
        let scopes = self.scopes(true)?;
        let name = KeyName::parse(&self.name)
            .map_err(|error| wrong.push(FieldError::from_refusal("name", &error)));
        let end = self.end(now, false).map_err(|error| wrong.push(error));
        match (name, end) {
            (Ok(name), Ok(end)) => Ok((name, scopes, end)),
            _ => Err(crate::refusal::refusal_of(wrong)),
        }
    }

    /// What it asks for of a key that is there. What nobody touched is not judged: a
    /// namespace that has gone since stays in the scope (contract K12).
    pub(crate) fn judge_change(
        &self,
        key: &ApiKey,
        namespaces: &[Namespace],
        now: OffsetDateTime,
    ) -> Result<ApiKeyChange, ApiError> {
        let before = Self::of(key);
        let shown = |id: &&String| living(namespaces).any(|one| one.id.to_string() == **id);
        let chosen: BTreeSet<&String> = before.namespaces.iter().filter(shown).collect();
        let is_same = (&self.scope, &self.reach) == (&before.scope, &before.reach)
            && (self.reach != "chosen"
                || self.namespaces.iter().collect::<BTreeSet<_>>() == chosen);
        let scopes = if is_same {
            None
        } else {
            Some(self.scopes(before.reach != "chosen")?)
        };
        let mut wrong = Vec::new();
        let name = KeyName::parse(&self.name)
            .map_err(|error| wrong.push(FieldError::from_refusal("name", &error)));
        let end = self.end(now, true).map_err(|error| wrong.push(error));
        match (name, end) {
            (Ok(name), Ok(end)) => Ok(ApiKeyChange {
                name: Some(name),
                scopes,
                expires_at: (!self.keeps_end()).then_some(end),
            }),
            _ => Err(crate::refusal::refusal_of(wrong)),
        }
    }

    /// The scopes. `reach_stood` says that "every namespace" was chosen beforehand: whoever
    /// ticks some then has not meant all of them.
    fn scopes(&self, reach_stood: bool) -> Result<Scopes, ApiError> {
        let is_all = (self.scope.as_str(), self.reach.as_str()) == ("kubernetes_exec", "all");
        if is_all && reach_stood && !self.namespaces.is_empty() {
            let detail = "Namespaces are ticked, and every namespace is chosen: choose \
                          \"Only these\", or tick none";
            return Err(ApiError::new(ErrorCode::InvalidScopes, detail));
        }
        let payload = match (self.scope.as_str(), self.reach.as_str()) {
            ("all", _) => json!({"all": true}),
            ("inference", _) => json!({"inference": true}),
            ("kubernetes_exec", "chosen") => {
                json!({"kubernetes_exec": {"namespace_ids": self.namespaces}})
            }
            ("kubernetes_exec", "all") => json!({"kubernetes_exec": {"all_namespaces": true}}),
            _ => json!({}),
        };
        Scopes::parse(&payload.to_string())
            .map_err(|error| ApiError::new(ErrorCode::InvalidScopes, error.to_string()))
    }

    fn end(
        &self,
        now: OffsetDateTime,
        may_stay: bool,
    ) -> Result<Option<OffsetDateTime>, FieldError> {
        let wrong = |what: &str| FieldError::new("expires_at", what);
        let end = match self.ends.as_str() {
            "never" => return Ok(None),
            KEEP if may_stay => return Ok(None),
            "30" => now + Duration::days(30),
            "90" => now + Duration::days(90),
            "365" => now + Duration::days(365),
            "date" => {
                let date = Date::parse(&self.date, &Iso8601::DATE)
                    .map_err(|_| wrong("must be a date such as 2027-01-31"))?;
                // The whole day counts.
                let next = date.next_day().ok_or_else(|| wrong("is too far ahead"))?;
                next.midnight().assume_utc()
            }
            _ => return Err(wrong("must be one of the choices")),
        };
        if end <= now {
            return Err(wrong("must be in the future"));
        }
        Ok(Some(end))
    }

    /// The fields; of a key that is there, whose end may stay, or of one that is made.
    pub(crate) fn render(
        &self,
        namespaces: &[Namespace],
        is_there: bool,
        refusal: Option<&Refusal>,
    ) -> Markup {
        let living: Vec<&Namespace> = living(namespaces).collect();
        let wrong_end = refusal.and_then(|refusal| refusal.of("expires_at", "The end"));
        let mut ends = vec![
            ("30", "30 days"),
            ("90", "90 days"),
            ("365", "1 year"),
            ("never", "Never"),
            ("date", "A date"),
        ];
        if is_there {
            ends.insert(0, (KEEP, "As it is"));
        }
        html! {
            (Field {
                name: "name", label: "Name", value: &self.name, required: true,
                focus: refusal.is_none(), max: Some(64), autocomplete: Some("off"),
                hint: Some("Where it will be used: laptop, ci, a service."), ..Field::default()
            }.render(refusal))
            fieldset {
                legend { "Scope" }
                (radio_card("scope", ("inference", "Inference", "For programs that ask models, and nothing in a cluster."), self.scope == "inference"))
                (radio_card("scope", ("kubernetes_exec", "Kubernetes exec", "For kubectl and what speaks Kubernetes, in the namespaces chosen below."), self.scope == "kubernetes_exec"))
                div.nested {
                    label.tick for="reach-all" {
                        input id="reach-all" type="radio" name="reach" value="all" checked[self.reach != "chosen"];
                        " Every namespace, later ones too"
                    }
                    label.tick for="reach-chosen" {
                        input id="reach-chosen" type="radio" name="reach" value="chosen" checked[self.reach == "chosen"];
                        " Only these:"
                    }
                    @if living.is_empty() { p.hint { "There is no namespace to choose yet." } }
                    ul.ticks {
                        @for namespace in &living {
                            @let id = namespace.id.to_string();
                            li { label.tick for=(format!("namespace-{id}")) {
                                input id=(format!("namespace-{id}")) type="checkbox" name="namespace" value=(id) checked[self.namespaces.contains(&id)];
                                " " (namespace.name.as_str())
                            } }
                        }
                    }
                }
                (radio_card("scope", ("all", "All", "For your own machine: inference and every namespace."), self.scope == "all"))
            }
            div.field {
                label for="field-ends" { "Ends" }
                div.control.two {
                    select id="field-ends" name="ends" autofocus[refusal.is_some_and(|refusal| refusal.leads_to("expires_at"))] aria-invalid=[wrong_end.as_ref().map(|_| "true")]
                        aria-describedby=[wrong_end.as_ref().map(|_| "ends-error")] {
                        @for (value, label) in ends {
                            option value=(value) selected[self.ends == value] { (label) }
                        }
                    }
                    label.hidden for="field-date" { "The date" }
                    input id="field-date" type="date" name="date" value=(self.date)
                        aria-describedby="date-hint";
                }
                p.hint id="date-hint" { "The date counts where \"A date\" is chosen; to its end, in UTC." }
                @if let Some(wrong) = wrong_end { p.error id="ends-error" { (wrong) } }
            }
        }
    }
}

/// Those that a key may be given.
fn living(namespaces: &[Namespace]) -> impl Iterator<Item = &Namespace> {
    let is_living = |namespace: &&Namespace| namespace.status != NamespaceStatus::Deleting;
    namespaces.iter().filter(is_living)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

    fn judged(query: &str) -> Result<(String, Option<OffsetDateTime>), String> {
        let judged = Draft::from_address(query).judge(NOW);
        judged
            .map(|(_, scopes, end)| (scopes.to_string(), end))
            .map_err(|error| error.detail().to_owned())
    }

    #[test]
    fn what_is_typed_is_judged_by_the_sentences_of_the_api() {
        // K10
        let in_days = |days| Some(NOW + Duration::days(days));
        assert_eq!(
            judged("name=a&scope=all").unwrap(),
            (r#"{"all":true}"#.to_owned(), in_days(90))
        );
        assert_eq!(
            judged("name=a&scope=inference&ends=never").unwrap(),
            (r#"{"inference":true}"#.to_owned(), None)
        );
        let ticked = "name=a&reach=all&namespace=0198c0de-0000-7000-8000-000000000001&scope=";
        let said = judged(&format!("{ticked}kubernetes_exec")).unwrap_err();
        assert!(said.starts_with("Namespaces are ticked"), "{said}");
        assert!(judged(&format!("{ticked}all")).is_ok());
        assert!(judged("name=a&scope=kubernetes_exec&reach=al").is_err());
        assert!(judged("name=a&scope=all&ends=keep").is_err());
        let date = judged("name=a&scope=kubernetes_exec&ends=date&date=2026-01-31").unwrap();
        assert_eq!(date.1, Some(datetime!(2026-02-01 00:00 UTC)));
        assert_eq!(
            judged("name=a&scope=").unwrap_err(),
            "At least one explicit scope is required"
        );
        for (query, said) in [
            ("name=&scope=all", "name must have 1 to 64 characters"),
            (
                "name=a&scope=all&ends=date&date=x",
                "expires_at must be a date such as 2027-01-31",
            ),
            (
                "name=a&scope=all&ends=date&date=2025-12-31",
                "expires_at must be in the future",
            ),
        ] {
            assert!(judged(query).unwrap_err().starts_with(said), "{query}");
        }
        assert!(judged("name=a&scope=kubernetes_exec&reach=chosen").is_err());
    }
}
