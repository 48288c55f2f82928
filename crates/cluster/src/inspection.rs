//! What an operator wants to know of a connection before customers depend on it:
//! a sentence for each thing that was looked at (contract R3). Nothing in the
//! cluster changes by it.

mod clock;
mod prerequisites;
mod reach;
mod rights;
mod tokens;
mod workloads;

use remotegpu_namespaces::{ClusterError, ClusterName};
use remotegpu_primitives::Clock;
use serde_json::{Value, json};
use time::Duration;

use crate::{
    KubeClusters,
    cluster::KubeCluster,
    request::{Answer, Ask, Fault},
};

const WHO_AM_I: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
/// The oldest version that has all that [`crate::prerequisites`] holds: 1.30 made
/// validating admission policies stable.
const OLDEST: (u32, u32) = (1, 30);
/// What mends most of what can be wrong.
const REMEDY: &str = "have the cluster's administrator apply what `remotegpu-api cluster manifest` \
                      prints";

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub verdict: Verdict,
    /// What was found, as a sentence without its full stop; where something is
    /// wrong, with what mends it.
    pub sentence: String,
}

/// How much a [`Finding`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// It works, and should be looked at.
    Warning,
    /// Something will not work, or does not protect.
    Wrong,
}

impl Finding {
    fn fine(sentence: impl Into<String>) -> Self {
        Self::new(Verdict::Fine, sentence)
    }

    fn warning(sentence: impl Into<String>) -> Self {
        Self::new(Verdict::Warning, sentence)
    }

    fn wrong(sentence: impl Into<String>) -> Self {
        Self::new(Verdict::Wrong, sentence)
    }

    fn new(verdict: Verdict, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        Self { verdict, sentence }
    }
}

impl KubeClusters {
    /// Looks at a cluster with the control plane's own credential: whether it
    /// answers and in which version, how far its clock is off ours, every right
    /// that the control plane needs, whether what [`crate::prerequisites`] lists
    /// stands there unchanged, which workloads its guards would refuse by this baseline,
    /// as far as the credential shows them, and whether it gives tokens for `lifetime`.
    /// A cluster that does not answer has one finding, which says why.
    pub async fn inspect(
        &self,
        name: &ClusterName,
        lifetime: Duration,
        clock: &dyn Clock,
    ) -> Result<Vec<Finding>, ClusterError> {
        let cluster = self.cluster(name)?;
        let version = match self.probe(name).await {
            Ok(version) => version,
            Err(error) => return Ok(vec![reach::diagnose(cluster, &error).await]),
        };
        // The second request measures the way there and back alone: the first one
        // opened the connection, and may have fetched the credential.
        let asked_at = clock.now();
        let who = match who(cluster).await {
            Ok(answer) => answer,
            Err(error) => return Ok(vec![reach::diagnose(cluster, &error).await]),
        };
        let measured = clock::difference(&who, asked_at, clock.now());
        let mut findings = vec![judge_version(&version, who)];
        findings.push(clock::judge(measured));
        findings.extend(rights::inspect(cluster).await);
        let (found, stands) = prerequisites::inspect(cluster).await;
        findings.extend(found);
        let placement = &self.baseline.placement;
        findings.extend(workloads::inspect(cluster, placement, stands).await);
        let theirs = clock.now() + measured.unwrap_or_default();
        findings.push(tokens::inspect(cluster, lifetime, theirs).await);
        Ok(findings)
    }
}

async fn who(cluster: &KubeCluster) -> Result<Answer, ClusterError> {
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "SelfSubjectReview",
    });
    let ask = Ask::post(WHO_AM_I.to_owned(), &review);
    cluster.bounded(async { cluster.ask(&ask).await }).await
}

fn judge_version(version: &str, who: Answer) -> Finding {
    let version = shown(version);
    let who = who.into_json().unwrap_or_default();
    let name = who["status"]["userInfo"]["username"].as_str();
    let name = name.map_or_else(String::new, |name| {
        format!(", and knows the control plane as {}", shown(name))
    });
    match minor(&version) {
        None => Finding::warning(format!(
            "It answers with the version {version}, which says nothing to us{name}"
        )),
        Some(found) if found < OLDEST => Finding::wrong(format!(
            "Kubernetes {version} answers, which is older than {}.{}, the oldest that can bound \
             tenants as we need: upgrade the cluster",
            OLDEST.0, OLDEST.1
        )),
        Some(_) => Finding::fine(format!("Kubernetes {version} answers{name}")),
    }
}

/// The first two numbers of a version such as `v1.33.1-eks-1`.
fn minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix('v')?.split('.');
    let major = numbers.next()?.parse().ok()?;
    Some((major, numbers.next()?.parse().ok()?))
}

/// A word of the cluster's that goes to a terminal.
fn shown(word: &str) -> String {
    let kept = word.chars().filter(char::is_ascii_graphic);
    kept.take(200).collect()
}

/// Whether an error is the cluster's own word, rather than its silence.
fn fault(error: &ClusterError) -> Option<&Fault> {
    let fault = match error {
        ClusterError::Unavailable(Some(source)) | ClusterError::Failed(source) => {
            source.downcast_ref()
        }
        _ => None,
    };
    match fault {
        // Why it was not asked is what somebody has to know.
        Some(Fault::Down(why)) => Some(&**why),
        fault => fault,
    }
}

/// All that an error says, in one line.
pub(crate) fn chain(error: &ClusterError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        let sentence = error.to_string();
        if !text.ends_with(&sentence) {
            text = format!("{text}: {sentence}");
        }
        next = error.source();
    }
    text
}

/// `a`, `a and b`, `a, b and c`.
fn enumerated(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A field of an object, or nothing that is like anything.
fn field<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_two_numbers_that_count() {
        assert_eq!(minor("v1.36.2"), Some((1, 36)));
        assert_eq!(minor("v1.30.2-eks-1a2b3c"), Some((1, 30)));
        assert_eq!(minor("v2.0.0+k3s1"), Some((2, 0)));
        for odd in ["", "1.30.0", "v1", "vone.two", "v1.x"] {
            assert_eq!(minor(odd), None, "{odd}");
        }
        assert!(minor("v1.9.0") < Some(OLDEST) && minor("v2.0.0") > Some(OLDEST));
    }

    #[test]
    fn words_of_a_cluster_do_not_reach_the_terminal_as_they_are() {
        assert_eq!(shown("v1.\u{1b}[31m30\n0"), "v1.[31m300");
    }

    #[test]
    fn words_are_enumerated_as_people_do() {
        assert_eq!(enumerated(&["get"]), "get");
        assert_eq!(enumerated(&["get", "list"]), "get and list");
        assert_eq!(enumerated(&["get", "list", "patch"]), "get, list and patch");
    }
}
