//! The prerequisites as an operator reads and applies them: YAML with a reason
//! beside every object and every rule.

use serde_json::Value;

use crate::prerequisites::{Prerequisite, explained_prerequisites};

/// How long a line of a comment may be.
const WIDTH: usize = 90;

/// The YAML could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the manifest could not be written")]
pub struct ManifestError(#[source] Box<serde_saphyr::ser::Error>);

/// What an administrator applies to a cluster once, as a stream of YAML documents.
pub fn manifest() -> Result<String, ManifestError> {
    let mut text = String::new();
    for prerequisite in explained_prerequisites() {
        text.push_str("---\n");
        document(&mut text, &prerequisite)?;
    }
    Ok(text)
}

/// Everything but comments comes from the serializer. A sequence may stand at its
/// key's own depth, so that rules are written one by one, each below its reason.
fn document(text: &mut String, prerequisite: &Prerequisite) -> Result<(), ManifestError> {
    comment(text, prerequisite.why);
    text.push_str(&yaml(&prerequisite.object)?);
    if prerequisite.rules.is_empty() {
        return Ok(());
    }
    text.push_str("rules:\n");
    for rule in &prerequisite.rules {
        comment(text, rule.why);
        text.push_str(&yaml(&Value::from(vec![rule.rule.clone()]))?);
    }
    Ok(())
}

pub(crate) fn yaml(value: &Value) -> Result<String, ManifestError> {
    serde_saphyr::to_string(value).map_err(|error| ManifestError(Box::new(error)))
}

pub(crate) fn comment(text: &mut String, why: &str) {
    let mut width = 0;
    for word in why.split_whitespace() {
        if width == 0 || width + 1 + word.len() > WIDTH {
            if width > 0 {
                text.push('\n');
            }
            text.push('#');
            width = 1;
        }
        text.push(' ');
        text.push_str(word);
        width += 1 + word.len();
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prerequisites;

    #[test]
    fn the_manifest_says_what_is_applied_and_why() {
        let text = manifest().unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        assert_eq!(documents, prerequisites());
        let comments = text.lines().filter(|line| line.starts_with("# ")).count();
        assert!(comments > documents.len());
        for prerequisite in explained_prerequisites() {
            let whys = prerequisite.rules.iter().map(|rule| rule.why);
            for why in whys.chain([prerequisite.why]) {
                let first: Vec<&str> = why.split_whitespace().take(3).collect();
                assert!(text.contains(&format!("# {}", first.join(" "))), "{why}");
            }
        }
        assert!(
            text.lines()
                .all(|line| !line.starts_with('#') || line.len() <= WIDTH)
        );
    }
}
