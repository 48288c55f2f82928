//! The kubeconfig of an access token (contract T2, T3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::document::{Cluster, Context, Kubeconfig, NamedCluster, NamedContext, NamedUser, User};
use crate::{ClusterEndpoint, RenderError};

/// What the reference calls the one cluster of a file, and its context.
const ONE_CLUSTER: &str = "__CW_KATALOG_CLUSTER__";
/// What the reference calls the user.
const USER: &str = "token";

const HEAD: &str = "\
# This file holds an access token: whoever has it, is you. Let nobody else read it (chmod 600).
";
const FIXED_NAMES: &str = "\
# The names in it are the same in every file of its kind, and of two that KUBECONFIG=a:b names,
# the second is not seen: one that is made with ?names=unique merges with any other.
";
const OWN_NAMES: &str = "\
# The names in it are this file's own: KUBECONFIG=a:b merges it with any other.
";

/// A cluster that a token opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenContext {
    /// The cluster. Its name stands in the file as it is.
    pub cluster: ClusterEndpoint,
    /// What the cluster calls it in files whose names are their own: the same in all of them,
    /// and no other installation's.
    pub unique_cluster_name: String,
    /// The namespace that commands without one are for, in Kubernetes' own name.
    pub kubernetes_namespace: Option<String>,
}

/// What a file calls its clusters, contexts and user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TokenNames {
    /// As the reference does: the same in every file.
    #[default]
    Reference,
    /// So that the file merges with any other: the token's identifier is part of them.
    Unique,
}

/// A word that says no names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("names must be reference or unique")]
pub struct UnknownTokenNames;

impl std::str::FromStr for TokenNames {
    type Err = UnknownTokenNames;

    fn from_str(word: &str) -> Result<Self, UnknownTokenNames> {
        match word {
            "reference" => Ok(Self::Reference),
            "unique" => Ok(Self::Unique),
            _ => Err(UnknownTokenNames),
        }
    }
}

/// Renders a kubeconfig with the token itself inside. `id` is what the token is called.
///
/// The first context is the current one. The result ends with a newline.
///
/// # Errors
///
/// Without contexts, when two are for the same cluster, or when the YAML library fails.
pub fn render_token(
    contexts: &[TokenContext],
    id: &str,
    token: &str,
    names: TokenNames,
) -> Result<String, RenderError> {
    let called = names_of(contexts, id, names);
    let Some((_, current_context)) = called.first() else {
        return Err(RenderError::NoContext);
    };
    for (index, (cluster, _)) in called.iter().enumerate() {
        if called[..index].iter().any(|(known, _)| known == cluster) {
            let name = contexts[index].cluster.name.clone();
            return Err(RenderError::ClusterConflict(name));
        }
    }
    let user = match names {
        TokenNames::Reference => USER,
        TokenNames::Unique => id,
    };
    let document = Kubeconfig {
        api_version: "v1",
        kind: "Config",
        clusters: contexts
            .iter()
            .zip(&called)
            .map(|(context, (name, _))| NamedCluster {
                name: name.clone(),
                cluster: Cluster {
                    server: &context.cluster.server,
                    certificate_authority_data: context
                        .cluster
                        .certificate_authority_pem
                        .as_ref()
                        .map(|pem| STANDARD.encode(pem)),
                },
            })
            .collect(),
        contexts: contexts
            .iter()
            .zip(&called)
            .map(|(context, (cluster, name))| NamedContext {
                name,
                context: Context {
                    cluster: cluster.clone(),
                    namespace: context.kubernetes_namespace.as_deref(),
                    user,
                },
            })
            .collect(),
        current_context,
        users: vec![NamedUser {
            name: user,
            user: User::token(token),
        }],
    };
    let yaml = document.to_yaml()?;
    let about_names = match names {
        TokenNames::Reference => FIXED_NAMES,
        TokenNames::Unique => OWN_NAMES,
    };
    Ok(format!("{HEAD}{about_names}{yaml}"))
}

/// The token in a file that [`render_token`] has rendered; `None` where the text is none. Whoever
/// hands such a text out again knows by it that it is no other.
pub fn token_in_file(text: &str) -> Option<&str> {
    let plain = |c: char| c == '\n' || !c.is_control();
    if !text.starts_with(HEAD) || !text.chars().all(plain) {
        return None;
    }
    let mut tokens = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("token: "));
    let token = tokens.next_back()?;
    tokens.next().is_none().then_some(token)
}

/// What each cluster and its context are called.
fn names_of(contexts: &[TokenContext], id: &str, names: TokenNames) -> Vec<(String, String)> {
    let both = |name: &str| (name.to_owned(), name.to_owned());
    match (names, contexts) {
        (TokenNames::Reference, [_]) => vec![both(ONE_CLUSTER)],
        (TokenNames::Reference, several) => {
            let several = several.iter();
            several.map(|context| both(&context.cluster.name)).collect()
        }
        (TokenNames::Unique, all) => {
            let unique = |context: &TokenContext| {
                let name = format!("{id}-{}", context.cluster.name);
                (context.unique_cluster_name.clone(), name)
            };
            all.iter().map(unique).collect()
        }
    }
}

/// What the file of a token is saved as: `<word>_<id>-<name>` (contract T2).
///
/// Of the name stays what fits into a file's name anywhere; every run of anything else is one
/// `-`. A name of which nothing stays is `token`.
pub fn token_filename(word: &FileWord, id: &str, name: &str) -> String {
    let mut safe = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') {
            safe.push(c);
        } else if !safe.ends_with('-') {
            safe.push('-');
        }
    }
    let safe = match safe.trim_matches(['-', '.']) {
        "" => "token",
        safe => safe,
    };
    format!("{}_{id}-{safe}", word.0)
}

/// The word that the names of tokens' files begin with: configuration gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWord(String);

/// Why a word was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 40 of A-Z, a-z, 0-9, `.`, `_` and `-`, and begin with a letter or digit")]
pub struct InvalidFileWord;

impl FileWord {
    /// Takes what fits into a file's name anywhere, and hides no file.
    pub fn parse(text: &str) -> Result<Self, InvalidFileWord> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if text.len() > 40 || !begins || !text.bytes().all(fits) {
            return Err(InvalidFileWord);
        }
        Ok(Self(text.to_owned()))
    }

    /// The word as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for FileWord {
    /// The reference's.
    fn default() -> Self {
        Self("CWKubeconfig".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "cwtoken-ab12cd34ef";

    fn filename(name: &str) -> String {
        token_filename(&FileWord::default(), ID, name)
    }

    #[test]
    fn a_name_is_made_safe_for_a_file() {
        // T2
        for (name, safe) in [
            ("laptop", "laptop"),
            ("My Laptop (2)", "My-Laptop-2"),
            ("../../etc/passwd", "etc-passwd"),
            ("a\\b:c*?\"<>|d", "a-b-c-d"),
            ("Jürgens Gerät", "J-rgens-Ger-t"),
            ("v1.2_final", "v1.2_final"),
            ("数据", "token"),
            ("...", "token"),
            ("---", "token"),
            ("", "token"),
        ] {
            assert_eq!(
                filename(name),
                format!("CWKubeconfig_{ID}-{safe}"),
                "{name}"
            );
        }
        let word = FileWord::parse("Kube-config.v2").unwrap();
        assert_eq!(
            token_filename(&word, "t-0123456789", "x"),
            "Kube-config.v2_t-0123456789-x"
        );
    }

    #[test]
    fn a_word_fits_into_a_files_name() {
        // T2
        let long = "x".repeat(41);
        for bad in ["", ".x", "-x", "_x", "a/b", "a b", "ü", "a\n", &long] {
            assert_eq!(FileWord::parse(bad), Err(InvalidFileWord), "{bad:?}");
        }
    }

    #[test]
    fn contradicting_clusters_are_refused() {
        // T3
        let context = |name: &str| TokenContext {
            cluster: ClusterEndpoint {
                name: name.into(),
                server: "https://one".into(),
                certificate_authority_pem: None,
            },
            unique_cluster_name: format!("remotegpu-{name}-aaaaaa"),
            kubernetes_namespace: None,
        };
        for names in [TokenNames::Reference, TokenNames::Unique] {
            let none = render_token(&[], ID, "t", names);
            assert!(matches!(none, Err(RenderError::NoContext)));
            let twice = render_token(&[context("a"), context("a")], ID, "t", names);
            assert!(matches!(twice, Err(RenderError::ClusterConflict(name)) if name == "a"));
        }
    }

    proptest! {
        /// T2: `^CWKubeconfig_cwtoken-[a-z0-9]{10}-[A-Za-z0-9._-]+$`.
        #[test]
        fn every_name_makes_a_safe_file_name(name in ".*") {
            let named = filename(&name);
            let rest = named.strip_prefix("CWKubeconfig_cwtoken-ab12cd34ef-").unwrap();
            prop_assert!(!rest.is_empty());
            let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            prop_assert!(rest.chars().all(fits), "{}", rest);
        }
    }
}
