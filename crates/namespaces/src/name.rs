//! What a namespace may be called by its account, and what it is called in its
//! cluster (contract N2, N4).

use std::fmt;

use rand::CryptoRng;

use crate::{InvalidDnsLabel, check_dns_label};

/// What the account calls a namespace; it can change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceName(String);

/// Why a name was refused; the sentence says which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNamespaceName {
    /// Empty.
    #[error("name must not be empty")]
    Empty,
    /// Longer than 63 characters.
    #[error("name must have at most 63 characters")]
    TooLong,
    /// A character that no DNS label has.
    #[error("name must consist of lowercase letters, digits and hyphens")]
    Character,
    /// A hyphen at one end.
    #[error("name must begin and end with a letter or digit")]
    Ends,
    /// `all`, which scopes use.
    #[error("name must not be the reserved name all")]
    ReservedAll,
    /// `default`, which every cluster has.
    #[error("name must not be the reserved name default")]
    ReservedDefault,
    /// `kube-...`, which Kubernetes keeps for itself.
    #[error("name must not begin with kube-, which Kubernetes reserves")]
    ReservedKube,
}

impl From<InvalidDnsLabel> for InvalidNamespaceName {
    fn from(refusal: InvalidDnsLabel) -> Self {
        match refusal {
            InvalidDnsLabel::Empty => Self::Empty,
            InvalidDnsLabel::Character => Self::Character,
            InvalidDnsLabel::Ends => Self::Ends,
            InvalidDnsLabel::TooLong => Self::TooLong,
        }
    }
}

impl NamespaceName {
    /// The longest name, in characters: that of a DNS label (RFC 1123).
    pub const MAX_LEN: usize = 63;

    /// Judges a name.
    pub fn parse(text: &str) -> Result<Self, InvalidNamespaceName> {
        check_dns_label(text, Self::MAX_LEN)?;
        match text {
            "all" => Err(InvalidNamespaceName::ReservedAll),
            "default" => Err(InvalidNamespaceName::ReservedDefault),
            _ if text.starts_with("kube-") => Err(InvalidNamespaceName::ReservedKube),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The name as it was stored.
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a namespace is called in its cluster: fixed when it is made, unique over
/// all accounts, never used again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KubernetesNamespaceName(String);

impl KubernetesNamespaceName {
    const KEPT: usize = 56;
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

    /// The name, cut to 56 characters without a hyphen at its end, a hyphen, and
    /// six random characters of `a-z2-7`: `team-ml-x7k2pq`.
    pub fn generate(name: &NamespaceName, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; 6];
        rng.fill_bytes(&mut bytes);
        let suffix = bytes.map(|byte| char::from(Self::ALPHABET[usize::from(byte % 32)]));
        let kept = &name.0[..name.0.len().min(Self::KEPT)];
        let kept = kept.trim_end_matches('-');
        Self(format!("{kept}-{}", suffix.iter().collect::<String>()))
    }

    /// The name as it was stored.
    pub fn from_stored(name: String) -> Self {
        Self(name)
    }

    /// What an account would call it: the name without its random end (contract R8).
    pub fn without_random_end(&self) -> Result<NamespaceName, InvalidNamespaceName> {
        let kept = match self.0.rsplit_once('-') {
            Some((kept, end))
                if end.len() == 6 && end.bytes().all(|b| Self::ALPHABET.contains(&b)) =>
            {
                kept
            }
            _ => &self.0,
        };
        NamespaceName::parse(kept)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KubernetesNamespaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn each_rule_has_its_sentence() {
        // N2
        use InvalidNamespaceName as Invalid;
        for good in [
            "a",
            "team-ml",
            "0",
            "9-a",
            "kube",
            "allx",
            "defaults",
            &"x".repeat(63),
        ] {
            assert!(NamespaceName::parse(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", Invalid::Empty),
            ("Team", Invalid::Character),
            ("a.b", Invalid::Character),
            ("a_b", Invalid::Character),
            ("ä", Invalid::Character),
            ("a b", Invalid::Character),
            ("a\n", Invalid::Character),
            ("-a", Invalid::Ends),
            ("a-", Invalid::Ends),
            (&"x".repeat(64), Invalid::TooLong),
            ("all", Invalid::ReservedAll),
            ("default", Invalid::ReservedDefault),
            ("kube-system", Invalid::ReservedKube),
        ] {
            assert_eq!(NamespaceName::parse(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn cluster_name_keeps_what_fits_and_adds_six_characters() {
        // N4
        let rng = &mut StdRng::seed_from_u64(1);
        let name = NamespaceName::parse("team-ml").unwrap();
        let cluster_name = KubernetesNamespaceName::generate(&name, rng);
        let (kept, suffix) = cluster_name.as_str().rsplit_once('-').unwrap();
        assert_eq!((kept, suffix.len()), ("team-ml", 6));
        let cut = NamespaceName::parse(&format!("{}-{}", "x".repeat(55), "yyyyyy")).unwrap();
        let cluster_name = KubernetesNamespaceName::generate(&cut, rng);
        assert!(
            cluster_name
                .as_str()
                .starts_with(&format!("{}-", "x".repeat(55)))
        );
        assert_eq!(cluster_name.as_str().len(), 62);
    }

    #[test]
    fn the_random_end_comes_off_and_nothing_else_does() {
        // R8
        for (name, kept) in [
            ("team-ml-x7k2pq", "team-ml"),
            ("team-x7k2pq", "team"),
            // Not of our making.
            ("team-ml", "team-ml"),
            ("team-x7k2p1", "team-x7k2p1"),
            ("x7k2pq", "x7k2pq"),
        ] {
            let name = KubernetesNamespaceName::from_stored(name.to_owned());
            assert_eq!(name.without_random_end().unwrap().as_str(), kept);
        }
        let odd = KubernetesNamespaceName::from_stored("all-x7k2pq".to_owned());
        assert_eq!(
            odd.without_random_end(),
            Err(InvalidNamespaceName::ReservedAll)
        );
    }

    proptest! {
        #[test]
        fn cluster_name_is_a_dns_label(name in "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", seed: u64) {
            prop_assume!(NamespaceName::parse(&name).is_ok());
            let name = NamespaceName::parse(&name).unwrap();
            let made = KubernetesNamespaceName::generate(&name, &mut StdRng::seed_from_u64(seed));
            prop_assert!(made.as_str().len() <= 63);
            prop_assert!(NamespaceName::parse(made.as_str()).is_ok() || made.as_str().starts_with("kube-"));
        }
    }
}
