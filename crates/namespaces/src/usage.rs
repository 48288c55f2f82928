//! How much of its quotas a namespace uses (contract H2).

use async_trait::async_trait;

use crate::{ClusterError, Namespace};

/// Reads what a cluster counts in a namespace.
#[async_trait]
pub trait UsageReader: Send + Sync {
    /// All that the namespace's quotas bound, in the order of their names; empty where the
    /// cluster counts nothing.
    async fn usage(&self, namespace: &Namespace) -> Result<Vec<QuotaUse>, ClusterError>;
}

/// One thing that a quota bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaUse {
    /// What, in Kubernetes' words: `requests.cpu`, `count/deployments.apps`.
    pub resource: String,
    /// How much is in use, as a Kubernetes quantity.
    pub used: String,
    /// How much there may be, as a Kubernetes quantity.
    pub hard: String,
}

impl QuotaUse {
    /// How much of it is used, from 0 to 1; absent where a quantity is none.
    pub fn share(&self) -> Option<f64> {
        let (used, hard) = (amount(&self.used)?, amount(&self.hard)?);
        if hard <= 0.0 {
            return Some(if used > 0.0 { 1.0 } else { 0.0 });
        }
        Some((used / hard).clamp(0.0, 1.0))
    }

    /// Whether nothing of it is used.
    pub fn is_unused(&self) -> bool {
        amount(&self.used).is_some_and(|used| used <= 0.0)
    }
}

/// A Kubernetes quantity as a number: `100m`, `2`, `1536Mi`, `1e3`.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>
fn amount(quantity: &str) -> Option<f64> {
    let end = quantity
        .find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c)))
        .unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(end);
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024f64.powi(2),
        "Gi" => 1024f64.powi(3),
        "Ti" => 1024f64.powi(4),
        "Pi" => 1024f64.powi(5),
        "Ei" => 1024f64.powi(6),
        exponent => {
            let exponent = exponent.strip_prefix(['e', 'E'])?;
            10f64.powi(exponent.parse().ok()?)
        }
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(used: &str, hard: &str) -> Option<f64> {
        let (used, hard) = (used.to_owned(), hard.to_owned());
        let resource = "requests.cpu".to_owned();
        QuotaUse {
            resource,
            used,
            hard,
        }
        .share()
    }

    #[test]
    fn shares_are_told_across_suffixes() {
        assert_eq!(share("500m", "2"), Some(0.25));
        assert_eq!(share("512Mi", "1Gi"), Some(0.5));
        assert_eq!(share("1e3", "4k"), Some(0.25));
        assert_eq!(share("9", "3"), Some(1.0), "more than there may be");
        assert_eq!(share("0", "0"), Some(0.0));
        assert_eq!(share("1", "0"), Some(1.0));
        for odd in ["", "m", "1x", "1e", "eins"] {
            assert_eq!(share(odd, "1"), None, "{odd}");
        }
    }
}
