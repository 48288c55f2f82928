//! From JSON to [`Scopes`] and back.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use remotegpu_primitives::NamespaceId;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{json, value::RawValue};

use crate::{NamespaceAccess, Scopes};

/// How many namespace identifiers a payload may hold, doubled ones counted
/// (contract K11).
pub const MAX_NAMESPACE_IDS: usize = 100;

/// How many wrong members are named at the most: a payload may hold thousands.
const MAX_NAMED: usize = 100;

/// Why a payload was refused. The text is what the API answers as `detail`;
/// the first four sentences are exact (contract K10).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopesError {
    /// No mode is named.
    #[error("At least one explicit scope is required")]
    Empty,
    /// Inference beside Kubernetes access.
    #[error("Explicit mixed scopes are not supported")]
    Mixed,
    /// `all` beside another mode.
    #[error("all cannot be combined with other scope fields")]
    AllCombined,
    /// Kubernetes access that names no namespace.
    #[error("At least one namespace ID is required unless all_namespaces is true")]
    NoNamespace,
    /// `all_namespaces` beside a list of namespaces.
    #[error("all_namespaces cannot be combined with namespace_ids")]
    AllNamespacesCombined,
    /// More than [`MAX_NAMESPACE_IDS`].
    #[error("At most 100 namespace IDs can be listed")]
    TooManyNamespaces,
    /// No JSON object, or members of another type, unknown or doubled ones: all of them,
    /// the first of which is the text.
    #[error("{}", .0.first().map(FieldError::sentence).unwrap_or_default())]
    Members(Vec<FieldError>),
    /// Identifiers that can be nobody's; callers answer as for a namespace that
    /// is not the account's (contract C5, K12).
    #[error("Every namespace ID must be a namespace of this account")]
    UnknownNamespaces {
        /// Where they stand.
        fields: Vec<FieldError>,
        /// Those beside them, which may be foreign as well: [`refused_namespaces`] names both.
        others: BTreeSet<NamespaceId>,
    },
}

/// What is wrong with one field; `field` is a path that begins with `scopes`
/// (contract C2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where: `scopes.kubernetes_exec.namespace_ids[3]`.
    pub field: String,
    /// What, as the end of a sentence that begins with the field.
    pub message: String,
}

impl FieldError {
    fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }

    fn sentence(&self) -> String {
        format!("{} {}", self.field, self.message)
    }
}

impl ScopesError {
    /// The fields at fault, where single ones are.
    pub fn fields(&self) -> &[FieldError] {
        match self {
            Self::Members(fields) | Self::UnknownNamespaces { fields, .. } => fields,
            _ => &[],
        }
    }
}

impl Scopes {
    /// Reads a payload as it stands on the wire (contract K9 to K11).
    ///
    /// Members are judged first (unknown, doubled, of another type), then what
    /// counts as absent is left out, then the modes are judged.
    pub fn parse(json: &str) -> Result<Self, ScopesError> {
        let payload = Payload::read(json)?;
        match (payload.all, payload.inference, payload.kubernetes_exec) {
            (true, false, None) => Ok(Self::All),
            (true, _, _) => Err(ScopesError::AllCombined),
            (false, true, None) => Ok(Self::Inference),
            (false, true, Some(_)) => Err(ScopesError::Mixed),
            (false, false, None) => Err(ScopesError::Empty),
            (false, false, Some(exec)) => exec.judge().map(Self::KubernetesExec),
        }
    }

    /// The JSON of what is known, or else the text that it was read from.
    pub(crate) fn to_json(&self) -> Result<serde_json::Value, &str> {
        Ok(match self {
            Self::All => json!({"all": true}),
            Self::Inference => json!({"inference": true}),
            Self::KubernetesExec(NamespaceAccess::All) => {
                json!({"kubernetes_exec": {"all_namespaces": true}})
            }
            Self::KubernetesExec(NamespaceAccess::Only(ids)) => {
                let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
                json!({"kubernetes_exec": {"namespace_ids": ids}})
            }
            Self::Unknown(stored) => return Err(stored),
        })
    }
}

/// Where a payload names these namespaces, which are not the account's, and identifiers
/// that can be nobody's (contract C2, K12).
pub fn refused_namespaces(json: &str, foreign: &[NamespaceId]) -> Vec<FieldError> {
    let payload = Payload::read(json).ok();
    let exec = payload.and_then(|payload| payload.kubernetes_exec);
    exec.map_or_else(Vec::new, |exec| exec.refused(foreign))
}

const EXEC: &str = "scopes.kubernetes_exec";
const IDS: &str = "scopes.kubernetes_exec.namespace_ids";

struct Payload {
    all: bool,
    inference: bool,
    kubernetes_exec: Option<Exec>,
}

struct Exec {
    all_namespaces: bool,
    namespace_ids: Vec<Result<NamespaceId, remotegpu_primitives::MalformedId>>,
}

impl Payload {
    fn read(json: &str) -> Result<Self, ScopesError> {
        let mut wrong = Vec::new();
        let payload = Self::read_members(json, &mut wrong);
        wrong.truncate(MAX_NAMED);
        match payload {
            Some(payload) if wrong.is_empty() => Ok(payload),
            _ => Err(ScopesError::Members(wrong)),
        }
    }

    fn read_members(json: &str, wrong: &mut Vec<FieldError>) -> Option<Self> {
        let mut members = Members::read("scopes", json, wrong)?;
        let (all, inference) = (
            members.take_flag("all", wrong),
            members.take_flag("inference", wrong),
        );
        let exec = members.take("kubernetes_exec");
        let payload = Self {
            all,
            inference,
            kubernetes_exec: exec.and_then(|raw| Exec::read(raw.get(), wrong)),
        };
        members.refuse_rest(wrong);
        Some(payload)
    }
}

impl Exec {
    fn read(json: &str, wrong: &mut Vec<FieldError>) -> Option<Self> {
        let mut members = Members::read(EXEC, json, wrong)?;
        let all_namespaces = members.take_flag("all_namespaces", wrong);
        let ids = members.take("namespace_ids");
        let exec = Self {
            all_namespaces,
            namespace_ids: ids.map_or(Vec::new(), |raw| read_ids(raw.get(), wrong)),
        };
        members.refuse_rest(wrong);
        Some(exec)
    }

    fn judge(self) -> Result<NamespaceAccess, ScopesError> {
        match (self.all_namespaces, self.namespace_ids.is_empty()) {
            (true, true) => return Ok(NamespaceAccess::All),
            (true, false) => return Err(ScopesError::AllNamespacesCombined),
            (false, true) => return Err(ScopesError::NoNamespace),
            (false, false) => {}
        }
        if self.namespace_ids.len() > MAX_NAMESPACE_IDS {
            return Err(ScopesError::TooManyNamespaces);
        }
        let fields = self.refused(&[]);
        let others = self.namespace_ids.into_iter().flatten().collect();
        if fields.is_empty() {
            Ok(NamespaceAccess::Only(others))
        } else {
            Err(ScopesError::UnknownNamespaces { fields, others })
        }
    }

    fn refused(&self, foreign: &[NamespaceId]) -> Vec<FieldError> {
        let ids = self.namespace_ids.iter().enumerate();
        ids.filter(|(_, id)| id.as_ref().map_or(true, |id| foreign.contains(id)))
            .map(|(index, _)| {
                let field = format!("{IDS}[{index}]");
                FieldError::new(field, "is not a namespace of this account")
            })
            .collect()
    }
}

type ReadId = Result<NamespaceId, remotegpu_primitives::MalformedId>;

fn read_ids(json: &str, wrong: &mut Vec<FieldError>) -> Vec<ReadId> {
    let Ok(raw) = serde_json::from_str::<Vec<&RawValue>>(json) else {
        wrong.push(FieldError::new(IDS, "must be a list of namespace IDs"));
        return Vec::new();
    };
    let mut ids = Vec::new();
    for (index, id) in raw.into_iter().enumerate() {
        match serde_json::from_str::<String>(id.get()) {
            Ok(id) => ids.push(id.parse()),
            Err(_) => wrong.push(FieldError::new(
                format!("{IDS}[{index}]"),
                "must be a string",
            )),
        }
    }
    ids
}

/// The members of a JSON object, each still as it was written. Reading into a
/// map of serde's would keep the last of two members of one name in silence.
struct Members {
    path: &'static str,
    raw: BTreeMap<String, Box<RawValue>>,
}

impl Members {
    /// `None` where there are none to read.
    fn read(path: &'static str, json: &str, wrong: &mut Vec<FieldError>) -> Option<Self> {
        let Ok(pairs) = serde_json::from_str::<Pairs>(json) else {
            wrong.push(FieldError::new(path, "must be an object"));
            return None;
        };
        let (mut raw, mut doubled) = (BTreeMap::new(), BTreeSet::new());
        for (name, value) in pairs.0 {
            match raw.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(value);
                }
                Entry::Occupied(first) => {
                    if doubled.insert(first.key().clone()) {
                        let field = format!("{path}.{}", shown(first.key()));
                        wrong.push(FieldError::new(field, "stands more than once"));
                    }
                }
            }
        }
        raw.retain(|name, _| !doubled.contains(name));
        Some(Self { path, raw })
    }

    fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.raw.remove(name)
    }

    /// A flag that is absent is `false`, and the other way round.
    fn take_flag(&mut self, name: &str, wrong: &mut Vec<FieldError>) -> bool {
        match self.take(name).as_ref().map(|raw| raw.get()) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                let field = format!("{}.{name}", self.path);
                wrong.push(FieldError::new(field, "must be true or false"));
                false
            }
        }
    }

    fn refuse_rest(self, wrong: &mut Vec<FieldError>) {
        for name in self.raw.into_keys().take(MAX_NAMED) {
            let field = format!("{}.{}", self.path, shown(&name));
            wrong.push(FieldError::new(field, "is not known"));
        }
    }
}

/// A member's name in an error: foreign text, cut so that the answer stays short. What cannot be
/// shown leaves a mark, so that it never looks like a name that is known.
fn shown(name: &str) -> String {
    let shown = name.replace(char::is_control, "\u{fffd}");
    shown.chars().take(64).collect()
}

struct Pairs(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "0198c0de-0000-7000-8000-00000000000a";
    const B: &str = "0198c0de-0000-7000-8000-00000000000b";

    fn check(payload: &str, expected: Result<&str, &str>) {
        let found = Scopes::parse(payload)
            .map(|scopes| scopes.to_string())
            .map_err(|error| error.to_string());
        assert_eq!(
            found.as_deref().map_err(String::as_str),
            expected,
            "{payload}"
        );
    }

    #[test]
    fn the_three_modes_are_taken() {
        // K9
        check(r#"{"all":true}"#, Ok(r#"{"all":true}"#));
        check(r#"{"inference":true}"#, Ok(r#"{"inference":true}"#));
        check(
            r#"{"kubernetes_exec":{"all_namespaces":true}}"#,
            Ok(r#"{"kubernetes_exec":{"all_namespaces":true}}"#),
        );
        check(
            &format!(r#"{{"kubernetes_exec":{{"namespace_ids":["{B}","{A}"]}}}}"#),
            Ok(&format!(
                r#"{{"kubernetes_exec":{{"namespace_ids":["{A}","{B}"]}}}}"#
            )),
        );
    }

    #[test]
    fn the_documented_refusals_are_word_for_word() {
        // K10
        const ONE: &str = "At least one explicit scope is required";
        const MIXED: &str = "Explicit mixed scopes are not supported";
        const ALL: &str = "all cannot be combined with other scope fields";
        const IDS: &str = "At least one namespace ID is required unless all_namespaces is true";
        check("{}", Err(ONE));
        check(
            &format!(r#"{{"inference":true,"kubernetes_exec":{{"namespace_ids":["{A}"]}}}}"#),
            Err(MIXED),
        );
        check(r#"{"inference":true,"kubernetes_exec":{}}"#, Err(MIXED));
        check(r#"{"all":true,"inference":true}"#, Err(ALL));
        check(
            r#"{"all":true,"kubernetes_exec":{"all_namespaces":true}}"#,
            Err(ALL),
        );
        check(
            r#"{"all":true,"inference":true,"kubernetes_exec":{}}"#,
            Err(ALL),
        );
        check(r#"{"kubernetes_exec":{"namespace_ids":[]}}"#, Err(IDS));
        check(r#"{"kubernetes_exec":{}}"#, Err(IDS));
    }

    #[test]
    fn false_and_an_empty_list_count_as_absent_before_the_modes_are_judged() {
        // K11
        const ONE: &str = "At least one explicit scope is required";
        const IDS: &str = "At least one namespace ID is required unless all_namespaces is true";
        check(r#"{"all":false}"#, Err(ONE));
        check(r#"{"all":false,"inference":false}"#, Err(ONE));
        check(
            r#"{"all":false,"inference":true}"#,
            Ok(r#"{"inference":true}"#),
        );
        check(r#"{"all":true,"inference":false}"#, Ok(r#"{"all":true}"#));
        check(
            r#"{"kubernetes_exec":{"all_namespaces":true,"namespace_ids":[]}}"#,
            Ok(r#"{"kubernetes_exec":{"all_namespaces":true}}"#),
        );
        check(r#"{"kubernetes_exec":{"all_namespaces":false}}"#, Err(IDS));
    }

    #[test]
    fn other_types_unknown_and_doubled_members_are_refused_first() {
        // K11
        check("[]", Err("scopes must be an object"));
        check("null", Err("scopes must be an object"));
        check(r#""all""#, Err("scopes must be an object"));
        check(r#"{"all":"true"}"#, Err("scopes.all must be true or false"));
        check(r#"{"all":1}"#, Err("scopes.all must be true or false"));
        check(r#"{"all":null}"#, Err("scopes.all must be true or false"));
        check(
            r#"{"kubernetes_exec":null}"#,
            Err("scopes.kubernetes_exec must be an object"),
        );
        check(
            r#"{"kubernetes_exec":false}"#,
            Err("scopes.kubernetes_exec must be an object"),
        );
        check(
            r#"{"all":true,"all":true}"#,
            Err("scopes.all stands more than once"),
        );
        check(r#"{"al":true}"#, Err("scopes.al is not known"));
        check(
            r#"{"all":true,"inference":true,"x":1}"#,
            Err("scopes.x is not known"),
        );
        check(
            r#"{"kubernetes_exec":{"namespaces":[]}}"#,
            Err("scopes.kubernetes_exec.namespaces is not known"),
        );
        check(
            r#"{"kubernetes_exec":{"namespace_ids":null}}"#,
            Err("scopes.kubernetes_exec.namespace_ids must be a list of namespace IDs"),
        );
        check(
            r#"{"kubernetes_exec":{"namespace_ids":[7]}}"#,
            Err("scopes.kubernetes_exec.namespace_ids[0] must be a string"),
        );
        check(
            &format!(r#"{{"kubernetes_exec":{{"all_namespaces":true,"namespace_ids":["{A}"]}}}}"#),
            Err("all_namespaces cannot be combined with namespace_ids"),
        );
    }

    #[test]
    fn all_members_that_are_wrong_are_named() {
        // C2
        let error = Scopes::parse(
            r#"{"x":1,"all":1,"kubernetes_exec":{"namespace_ids":[7,""],"y":1},"inference":true,"inference":1}"#,
        )
        .unwrap_err();
        let named: Vec<String> = error.fields().iter().map(FieldError::sentence).collect();
        assert_eq!(
            named,
            [
                "scopes.inference stands more than once",
                "scopes.all must be true or false",
                "scopes.kubernetes_exec.namespace_ids[0] must be a string",
                "scopes.kubernetes_exec.y is not known",
                "scopes.x is not known",
            ]
        );
        assert_eq!(error.to_string(), named[0]);
        let many: Vec<String> = (0..1000).map(|n| format!("\"{n}\":0")).collect();
        let error = Scopes::parse(&format!("{{{}}}", many.join(","))).unwrap_err();
        assert_eq!(error.fields().len(), MAX_NAMED);
        check(r#"{"a\u0000ll":1}"#, Err("scopes.a\u{fffd}ll is not known"));
    }

    #[test]
    fn doubled_ids_are_folded_after_counting_and_upper_case_is_taken() {
        // K11
        let upper = A.to_uppercase();
        check(
            &format!(r#"{{"kubernetes_exec":{{"namespace_ids":["{A}","{upper}"]}}}}"#),
            Ok(&format!(
                r#"{{"kubernetes_exec":{{"namespace_ids":["{A}"]}}}}"#
            )),
        );
        let list = |n: usize| {
            let ids = vec![format!("\"{A}\""); n].join(",");
            format!(r#"{{"kubernetes_exec":{{"namespace_ids":[{ids}]}}}}"#)
        };
        assert!(Scopes::parse(&list(100)).is_ok());
        check(&list(101), Err("At most 100 namespace IDs can be listed"));
    }

    #[test]
    fn a_malformed_id_is_named_by_its_place() {
        // C2, C5, K12
        let (a, b): (NamespaceId, NamespaceId) = (A.parse().unwrap(), B.parse().unwrap());
        let json = format!(r#"{{"kubernetes_exec":{{"namespace_ids":["{A}","nonsense","{B}"]}}}}"#);
        let error = Scopes::parse(&json).unwrap_err();
        let first = |error: &FieldError| error.field.clone();
        assert_eq!(
            error.fields().iter().map(first).collect::<Vec<_>>(),
            ["scopes.kubernetes_exec.namespace_ids[1]"]
        );
        assert!(
            matches!(error, ScopesError::UnknownNamespaces { others, .. } if others == [a, b].into())
        );
        assert_eq!(
            refused_namespaces(&json, &[b])
                .iter()
                .map(first)
                .collect::<Vec<_>>(),
            [
                "scopes.kubernetes_exec.namespace_ids[1]",
                "scopes.kubernetes_exec.namespace_ids[2]"
            ]
        );
    }

    #[test]
    fn a_scope_opens_what_it_names_and_no_more() {
        // X11, I1
        let (a, b): (NamespaceId, NamespaceId) = (A.parse().unwrap(), B.parse().unwrap());
        let only = Scopes::KubernetesExec(NamespaceAccess::Only([a].into()));
        assert!(only.allow_kubernetes_exec(a) && !only.allow_kubernetes_exec(b));
        assert!(!only.allow_inference());
        assert!(Scopes::All.allow_kubernetes_exec(b) && Scopes::All.allow_inference());
        assert!(!Scopes::Inference.allow_kubernetes_exec(a));
        assert!(Scopes::Inference.allow_inference());
        let every = Scopes::KubernetesExec(NamespaceAccess::All);
        assert!(every.allow_kubernetes_exec(b) && !every.allow_inference());
    }

    #[test]
    fn what_a_newer_version_wrote_opens_nothing_and_stays_as_it_is() {
        // R6
        let id: NamespaceId = A.parse().unwrap();
        for stored in [
            r#"{"volumes":{"read":true}}"#,
            r#"{"all":true,"volumes":true}"#,
            r#"{"kubernetes_exec":{"all_namespaces":true,"read_only":true}}"#,
            "nonsense",
        ] {
            let scopes = Scopes::from_stored(stored.to_owned());
            assert!(!scopes.allow_kubernetes_exec(id) && !scopes.allow_inference());
            assert_eq!(scopes.namespace_ids().count(), 0);
            assert_eq!(scopes.to_string(), stored);
            assert!(Scopes::parse(stored).is_err(), "nobody can send it");
        }
        let known = Scopes::from_stored(r#"{"all":true}"#.to_owned());
        assert_eq!(known, Scopes::All);
    }

    proptest! {
        #[test]
        fn canonical_form_reads_back_as_itself(ids in proptest::collection::btree_set(any::<u128>(), 1..100)) {
            let ids = ids.into_iter().map(|n| NamespaceId::from_uuid(uuid(n))).collect();
            let scopes = Scopes::KubernetesExec(NamespaceAccess::Only(ids));
            prop_assert_eq!(Scopes::parse(&scopes.to_string()).unwrap(), scopes);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = Scopes::parse(&text);
        }
    }

    fn uuid(n: u128) -> uuid::Uuid {
        uuid::Uuid::from_u128(n)
    }
}
