//! Whether a token opens the cluster that asks about it, and as whom (contract T6).

use remotegpu_namespaces::ClusterName;
use time::OffsetDateTime;

use crate::{ClusterUser, PresentedAccessToken, TokenStatus};

/// What a cluster asks, and what was found of it.
#[derive(Debug, Clone, Copy)]
pub struct Review<'a> {
    /// The token, if anybody has it.
    pub presented: Option<&'a PresentedAccessToken>,
    /// The cluster that asks, known by its own credential.
    pub cluster: &'a ClusterName,
    /// The audiences that it asks for; none means the cluster's own API server.
    pub asked: &'a [String],
    /// The audiences that the cluster has, as configured.
    pub configured: &'a [String],
    /// When.
    pub now: OffsetDateTime,
}

/// What the cluster is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is this user.
    Authenticated {
        /// Who.
        user: ClusterUser,
        /// Which of the audiences that were asked for this holds for; none where none was
        /// asked for.
        audiences: Vec<String>,
    },
    /// The token opens nothing there.
    NotAuthenticated(NotAuthenticated),
}

/// Why a token opens nothing. It is for our own log: the cluster is told nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthenticated {
    /// Nobody has it (any more).
    #[error("the access token is unknown")]
    Unknown,
    /// Its time is over.
    #[error("the access token is expired")]
    Expired,
    /// It is for other clusters than the one that asks.
    #[error("the access token is for other clusters")]
    OtherCluster,
    /// Its account is suspended.
    #[error("the account is suspended")]
    AccountSuspended,
    /// Its holder has no role in the account that is known here.
    #[error("the holder has no role in the account")]
    NoRole,
    /// The cluster has none of the audiences that it asks for.
    #[error("the cluster has none of the audiences")]
    Audience,
}

impl Review<'_> {
    /// Judges. Whatever is not there, known and in order means no.
    pub fn judge(&self) -> Verdict {
        match self.look() {
            Ok((user, audiences)) => Verdict::Authenticated { user, audiences },
            Err(why) => Verdict::NotAuthenticated(why),
        }
    }

    fn look(&self) -> Result<(ClusterUser, Vec<String>), NotAuthenticated> {
        let presented = self.presented.ok_or(NotAuthenticated::Unknown)?;
        let token = &presented.token;
        if token.status(self.now) != TokenStatus::Active {
            return Err(NotAuthenticated::Expired);
        }
        if !token.clusters.contains(self.cluster) {
            return Err(NotAuthenticated::OtherCluster);
        }
        if presented.account_suspended {
            return Err(NotAuthenticated::AccountSuspended);
        }
        let role = presented.role.ok_or(NotAuthenticated::NoRole)?;
        let common = self.asked.iter();
        let common: Vec<String> = common
            .filter(|audience| self.configured.contains(audience))
            .cloned()
            .collect();
        if common.is_empty() && !self.asked.is_empty() {
            return Err(NotAuthenticated::Audience);
        }
        let handle = token.handle.clone();
        let user = ClusterUser::new(token.created_by, token.account_id, role, handle);
        Ok((user, common))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use remotegpu_accounts::Role;
    use remotegpu_keys::{KeyName, SecretPrefix};
    use time::{Duration, macros::datetime};

    use super::*;
    use crate::{AccessToken, TokenHandle, TokenNote};

    const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

    fn cluster(name: &str) -> ClusterName {
        ClusterName::parse(name).unwrap()
    }

    fn presented() -> PresentedAccessToken {
        PresentedAccessToken {
            token: AccessToken {
                id: "0198c0de-0000-7000-8000-000000000001".parse().unwrap(),
                handle: TokenHandle::parse("cwtoken-abcdefghij").unwrap(),
                account_id: "0198c0de-0000-7000-8000-000000000002".parse().unwrap(),
                name: KeyName::parse("laptop").unwrap(),
                note: None,
                prefix: SecretPrefix::from_stored("rgat_aaaaaaaa".to_owned()),
                clusters: vec![cluster("fra1"), cluster("ams2")],
                created_at: NOW,
                created_by: "0198c0de-0000-7000-8000-000000000003".parse().unwrap(),
                expires_at: None,
                last_used_at: None,
            },
            role: Some(Role::Write),
            account_suspended: false,
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn judge(
        presented: Option<&PresentedAccessToken>,
        asking: &str,
        (asked, configured): (&[&str], &[&str]),
    ) -> Verdict {
        Review {
            presented,
            cluster: &cluster(asking),
            asked: &words(asked),
            configured: &words(configured),
            now: NOW,
        }
        .judge()
    }

    fn check(
        change: impl FnOnce(&mut PresentedAccessToken),
        expected: Result<(), NotAuthenticated>,
    ) {
        let mut token = presented();
        change(&mut token);
        let verdict = judge(Some(&token), "fra1", (&[], &[]));
        let seen = match verdict {
            Verdict::Authenticated { .. } => Ok(()),
            Verdict::NotAuthenticated(why) => Err(why),
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_token_stands_for_its_holder_until_any_one_end() {
        // T6, A13
        use NotAuthenticated as Not;
        check(|_| {}, Ok(()));
        check(
            |t| t.token.expires_at = Some(NOW + Duration::SECOND),
            Ok(()),
        );
        check(|t| t.token.expires_at = Some(NOW), Err(Not::Expired));
        check(|t| t.account_suspended = true, Err(Not::AccountSuspended));
        check(|t| t.role = None, Err(Not::NoRole));
        check(
            |t| t.token.clusters = vec![cluster("ams2")],
            Err(Not::OtherCluster),
        );
        check(|t| t.token.clusters.clear(), Err(Not::OtherCluster));
        assert_eq!(
            judge(None, "fra1", (&[], &[])),
            Verdict::NotAuthenticated(Not::Unknown)
        );
    }

    #[test]
    fn it_is_answered_for_the_cluster_that_asks_alone() {
        // T6
        let token = presented();
        for chosen in ["fra1", "ams2"] {
            let verdict = judge(Some(&token), chosen, (&[], &[]));
            assert!(matches!(verdict, Verdict::Authenticated { .. }), "{chosen}");
        }
        for other in ["fra", "fra11", "nyc3"] {
            assert_eq!(
                judge(Some(&token), other, (&[], &[])),
                Verdict::NotAuthenticated(NotAuthenticated::OtherCluster),
            );
        }
    }

    #[test]
    fn audiences_are_those_that_both_name() {
        // T6
        let token = presented();
        let audiences = |asked: &[&str], configured: &[&str]| match judge(
            Some(&token),
            "fra1",
            (asked, configured),
        ) {
            Verdict::Authenticated { audiences, .. } => Some(audiences),
            Verdict::NotAuthenticated(why) => {
                assert_eq!(why, NotAuthenticated::Audience);
                None
            }
        };
        assert_eq!(
            audiences(&["a", "b", "c"], &["c", "a"]),
            Some(words(&["a", "c"]))
        );
        assert_eq!(audiences(&["b"], &["a"]), None);
        assert_eq!(audiences(&["b"], &[]), None);
        assert_eq!(audiences(&[], &["a"]), Some(vec![]));
    }

    proptest! {
        /// T4: whatever a token is called, and whatever is noted beside it.
        #[test]
        fn no_name_is_part_of_whom_it_stands_for(name in ".*", note in ".*", handle in ".*", chosen in ".*") {
            let mut crafted = presented();
            crafted.token.name = KeyName::from_stored(name);
            crafted.token.note = Some(TokenNote::from_stored(note));
            crafted.token.handle = TokenHandle::from_stored(handle);
            crafted.token.clusters.push(ClusterName::from_stored(chosen));
            let Verdict::Authenticated { user, .. } = judge(Some(&crafted), "fra1", (&[], &[])) else {
                panic!("not authenticated")
            };
            prop_assert_eq!(user.username(), "remotegpu:user:0198c0de-0000-7000-8000-000000000003");
            let group = "remotegpu:account:0198c0de-0000-7000-8000-000000000002:write";
            prop_assert_eq!(user.groups(), [group]);
        }
    }
}
