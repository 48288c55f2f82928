//! Which database acts in a cluster (contract R9).
//!
//! Each cluster holds a claim: who acts there, and a counter that each sweep raises,
//! in the database first and in the cluster second. A database that does not find in
//! the cluster what it wrote last is not the one that acts there: it was restored, or
//! is a copy. All of that is judged here, and nothing is read or written.

use std::fmt;

use async_trait::async_trait;
use remotegpu_primitives::{InstallationId, StoreError};
use time::OffsetDateTime;

use crate::{ClusterError, ClusterName};

/// Which database it is, in words that a copy or a restore does not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseIdentity {
    place: String,
    making: Option<String>,
}

impl DatabaseIdentity {
    /// A database that stands in this place (a server and a database of it, or a
    /// folder), made there by this making: what is restored in the same place is
    /// another making. Where the place cannot tell makings apart there is none.
    pub fn new(place: String, making: Option<String>) -> Self {
        Self { place, making }
    }

    /// Whether both stand in the same place.
    pub fn is_in_the_place_of(&self, other: &Self) -> bool {
        self.place == other.place
    }

    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Self {
        match text.split_once('#') {
            Some((place, making)) => Self::new(place.to_owned(), Some(making.to_owned())),
            None => Self::new(text.to_owned(), None),
        }
    }
}

impl fmt::Display for DatabaseIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        match &self.making {
            Some(making) => write!(f, "#{making}"),
            None => Ok(()),
        }
    }
}

/// Who this very database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimHolder {
    /// The installation; a copy has the same.
    pub installation: InstallationId,
    /// The database; a copy has another.
    pub database: DatabaseIdentity,
}

/// A cluster's claim as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who acts there.
    pub holder: ClaimHolder,
    /// How often it was raised.
    pub counter: u64,
    /// Which cluster it was written in: a claim that was carried to another one with
    /// a backup of objects is none.
    pub cluster: ClusterUid,
}

/// Which of all clusters that ever bore its name a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterUid(String);

impl ClusterUid {
    /// Takes what the cluster says, or what was stored.
    pub fn new(uid: String) -> Self {
        Self(uid)
    }

    /// It as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What was found in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundClaim {
    /// The cluster that was asked.
    pub cluster: ClusterUid,
    /// Its claim.
    pub standing: StandingClaim,
}

/// How a claim stands in its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StandingClaim {
    /// There is none.
    Absent,
    /// We have no right to it: an older version's manifest was applied there.
    NotPermitted,
    /// It stands, in this version of the object; no claim where it cannot be read.
    Present {
        /// What it says.
        claim: Option<Claim>,
        /// What is written over it names this.
        version: ClaimVersion,
    },
}

impl FoundClaim {
    /// The counter that stands there.
    pub fn counter(&self) -> Option<u64> {
        match &self.standing {
            StandingClaim::Present { claim, .. } => claim.as_ref().map(|claim| claim.counter),
            _ => None,
        }
    }

    /// What is written over it has to name; nothing where it is to be made.
    pub fn version(&self) -> Option<&ClaimVersion> {
        match &self.standing {
            StandingClaim::Present { version, .. } => Some(version),
            _ => None,
        }
    }
}

/// The version of the object that holds a claim, for compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimVersion(pub String);

/// What the database knows of a cluster's claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownClaim {
    /// Which cluster it took.
    pub cluster: ClusterUid,
    /// The counter that it wrote last.
    pub counter: u64,
    /// Whether the next sweep has to note which active namespaces are not there,
    /// instead of making them anew: the claim was taken over, and what was deleted
    /// since the backup was made is not to come back empty (contract R7).
    pub look_for_missing: bool,
    /// When it was taken.
    pub taken_at: OffsetDateTime,
}

/// Whether this database acts in a cluster, and if not why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimState {
    /// It does.
    Held,
    /// Nobody has looked yet, or the cluster does not answer.
    Unknown,
    /// No database has claimed it, and namespaces stand there that this one does not
    /// know.
    Unclaimed,
    /// Another database or installation acts there.
    Foreign,
    /// This database was restored from a backup, or a copy of it acts there.
    Behind,
    /// The cluster was restored from a backup.
    ClusterBehind,
    /// It is another cluster than the one that has this name in the database.
    OtherCluster,
    /// The control plane has no right to the claim.
    NotPermitted,
}

impl ClaimState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Held,
        Self::Unknown,
        Self::Unclaimed,
        Self::Foreign,
        Self::Behind,
        Self::ClusterBehind,
        Self::OtherCluster,
        Self::NotPermitted,
    ];

    /// The word for metrics and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Unknown => "unknown",
            Self::Unclaimed => "unclaimed",
            Self::Foreign => "foreign",
            Self::Behind => "behind",
            Self::ClusterBehind => "cluster_behind",
            Self::OtherCluster => "other_cluster",
            Self::NotPermitted => "not_permitted",
        }
    }

    /// Whether anything at all is done there.
    pub fn may_act(self) -> bool {
        matches!(self, Self::Held | Self::NotPermitted)
    }

    /// Whether sweeps remove what no row justifies.
    pub fn may_remove(self) -> bool {
        self == Self::Held
    }

    /// What it means, in a sentence without its full stop.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Held => "this database acts there",
            Self::Unknown => {
                "whether this database may act there is not known, so that nothing is done there \
                 until the cluster answers"
            }
            Self::Unclaimed => {
                "no database has claimed it, and it holds namespaces of ours of which this database \
                 knows none, so that nothing is done there"
            }
            Self::Foreign => {
                "another database acts there, so that nothing is done there: this one is a copy, \
                 stands on another server than it did, or was given somebody else's cluster"
            }
            Self::Behind => {
                "this database is older than what was done there, so that nothing is done there: \
                 it was restored from a backup, or a copy of it is in use"
            }
            Self::ClusterBehind => {
                "the cluster is older than what this database did there, so that nothing is done \
                 there: it was restored from a backup"
            }
            Self::OtherCluster => {
                "it is another cluster than the one that has this name in the database, so that \
                 nothing is done there"
            }
            Self::NotPermitted => {
                "the control plane has no right to its claim, so that sweeps remove nothing there"
            }
        }
    }
}

/// Judges what was found in a cluster against what the database knows. Where the
/// cluster has no claim the answer is [`ClaimState::Unclaimed`]: whether this
/// database may take it is for [`may_take`] to say.
///
/// The cluster has to be read first and the database second. A counter that is one
/// less than the database's is a raise that is under way, or was cut off between its
/// two writes.
pub fn judge_claim(
    holder: &ClaimHolder,
    known: Option<&KnownClaim>,
    found: &FoundClaim,
) -> ClaimState {
    if known.is_some_and(|known| known.cluster != found.cluster) {
        return ClaimState::OtherCluster;
    }
    let claim = match &found.standing {
        StandingClaim::NotPermitted => return ClaimState::NotPermitted,
        StandingClaim::Absent => return ClaimState::Unclaimed,
        StandingClaim::Present { claim: None, .. } => return ClaimState::Foreign,
        StandingClaim::Present {
            claim: Some(claim), ..
        } => claim,
    };
    if claim.cluster != found.cluster {
        return ClaimState::OtherCluster;
    }
    let (theirs, ours) = (&claim.holder, holder);
    if theirs.installation != ours.installation
        || !theirs.database.is_in_the_place_of(&ours.database)
    {
        return ClaimState::Foreign;
    }
    if theirs.database != ours.database {
        return ClaimState::Behind;
    }
    let written = known.map_or(0, |known| known.counter);
    if claim.counter > written {
        ClaimState::Behind
    } else if claim.counter + 1 < written {
        ClaimState::ClusterBehind
    } else {
        ClaimState::Held
    }
}

/// Whether a cluster without a claim is taken: by a database that knows one of the
/// `standing` namespaces under our labels, or where there is none.
pub fn may_take(standing: usize, known: usize) -> bool {
    known > 0 || standing == 0
}

/// What a database remembers of the clusters that it claims.
#[async_trait]
pub trait ClaimRepository: Send + Sync {
    /// Makes the database know who it is, if it does not yet: with this installation
    /// where it has none.
    async fn settle_holder(&self, installation: InstallationId) -> Result<(), StoreError>;

    /// Which installation it is of, read anew; nothing before a server has started on it.
    async fn installation(&self) -> Result<Option<InstallationId>, StoreError>;

    /// Who this database is, read anew; nothing before a server has started on it.
    async fn holder(&self) -> Result<Option<ClaimHolder>, StoreError>;

    /// What it knows of the cluster's claim.
    async fn known_claim(&self, cluster: &ClusterName) -> Result<Option<KnownClaim>, StoreError>;

    /// Raises the counter from exactly this to that. `false` where it has changed
    /// meanwhile.
    async fn raise_claim(
        &self,
        cluster: &ClusterName,
        from: u64,
        to: u64,
    ) -> Result<bool, StoreError>;

    /// Takes the cluster, if this is still the counter that is known of it; `None` where
    /// nothing is. `false` where somebody else has taken or raised it meanwhile.
    async fn take_unclaimed(
        &self,
        cluster: &ClusterName,
        taken: &KnownClaim,
        before: Option<u64>,
    ) -> Result<bool, StoreError>;

    /// Takes the cluster, whatever was known of it.
    async fn take_claim(&self, cluster: &ClusterName, taken: &KnownClaim)
    -> Result<(), StoreError>;

    /// A sweep has noted which namespaces are missing.
    async fn missing_is_noted(&self, cluster: &ClusterName) -> Result<(), StoreError>;
}

/// The claims as clusters hold them.
#[async_trait]
pub trait ClusterClaims: Send + Sync {
    /// Reads the claim, and which cluster it is.
    async fn read_claim(&self, cluster: &ClusterName) -> Result<FoundClaim, ClusterError>;

    /// Writes the claim over the version that was read, or makes it where there was
    /// none. Nobody else has written it since, or nothing is written.
    async fn write_claim(
        &self,
        cluster: &ClusterName,
        claim: &Claim,
        over: Option<&ClaimVersion>,
    ) -> Result<WriteClaim, ClusterError>;
}

/// What came of [`ClusterClaims::write_claim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteClaim {
    /// It stands there.
    Written,
    /// Somebody else was faster.
    Changed,
    /// We have no right to write it.
    NotPermitted,
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn uid(text: &str) -> ClusterUid {
        ClusterUid::new(text.to_owned())
    }

    fn holder(installation: u128, database: &str) -> ClaimHolder {
        ClaimHolder {
            installation: InstallationId::from_uuid(uuid::Uuid::from_u128(installation)),
            database: DatabaseIdentity::parse(database),
        }
    }

    fn found(holder: ClaimHolder, counter: u64) -> FoundClaim {
        FoundClaim {
            cluster: uid("c"),
            standing: StandingClaim::Present {
                claim: Some(Claim {
                    holder,
                    counter,
                    cluster: uid("c"),
                }),
                version: ClaimVersion("7".to_owned()),
            },
        }
    }

    fn known(counter: u64) -> KnownClaim {
        KnownClaim {
            cluster: uid("c"),
            counter,
            look_for_missing: false,
            taken_at: datetime!(2026-01-01 00:00 UTC),
        }
    }

    #[test]
    fn a_counter_that_is_equal_or_one_behind_is_ours_and_no_other() {
        // R9
        let us = holder(1, "5/6#7");
        for (in_cluster, in_database, state) in [
            (7, 7, ClaimState::Held),
            // A raise that is under way, or died after its first write.
            (6, 7, ClaimState::Held),
            (5, 7, ClaimState::ClusterBehind),
            (0, 7, ClaimState::ClusterBehind),
            (8, 7, ClaimState::Behind),
            (u64::MAX, 7, ClaimState::Behind),
        ] {
            let found = found(us.clone(), in_cluster);
            let judged = judge_claim(&us, Some(&known(in_database)), &found);
            assert_eq!(judged, state, "{in_cluster} {in_database}");
        }
        // The row itself is as old as the backup.
        let found = found(us.clone(), 1);
        assert_eq!(judge_claim(&us, None, &found), ClaimState::Behind);
    }

    #[test]
    fn a_copy_a_restore_and_somebody_else_are_told_apart() {
        // R9
        let us = holder(1, "5/6#7");
        for (them, state) in [
            (holder(1, "5/6#7"), ClaimState::Held),
            (holder(2, "5/6#7"), ClaimState::Foreign),
            (holder(1, "5/8#7"), ClaimState::Foreign),
            (holder(1, "9/6#7"), ClaimState::Foreign),
            // Restored into the same database.
            (holder(1, "5/6#9"), ClaimState::Behind),
            (holder(1, "5/6"), ClaimState::Behind),
        ] {
            let found = found(them.clone(), 3);
            assert_eq!(judge_claim(&us, Some(&known(3)), &found), state, "{them:?}");
        }
    }

    #[test]
    fn another_cluster_under_the_same_name_is_found_out_first() {
        // R9
        let us = holder(1, "5/6#7");
        let mut elsewhere = found(us.clone(), 3);
        elsewhere.cluster = uid("d");
        let judged = judge_claim(&us, Some(&known(3)), &elsewhere);
        assert_eq!(judged, ClaimState::OtherCluster);
        // A claim that was carried there with all other objects.
        assert_eq!(judge_claim(&us, None, &elsewhere), ClaimState::OtherCluster);
        for standing in [StandingClaim::Absent, StandingClaim::NotPermitted] {
            let found = FoundClaim {
                cluster: uid("d"),
                standing,
            };
            let judged = judge_claim(&us, Some(&known(3)), &found);
            assert_eq!(judged, ClaimState::OtherCluster);
        }
    }

    #[test]
    fn without_a_claim_or_a_right_to_it_nothing_is_presumed() {
        // R9
        let us = holder(1, "5/6#7");
        let of = |standing| FoundClaim {
            cluster: uid("c"),
            standing,
        };
        let judge = |standing| judge_claim(&us, Some(&known(3)), &of(standing));
        assert_eq!(judge(StandingClaim::Absent), ClaimState::Unclaimed);
        assert_eq!(judge(StandingClaim::NotPermitted), ClaimState::NotPermitted);
        let unreadable = StandingClaim::Present {
            claim: None,
            version: ClaimVersion("7".to_owned()),
        };
        assert_eq!(judge(unreadable), ClaimState::Foreign);
    }

    #[test]
    fn an_unclaimed_cluster_is_taken_by_who_knows_it_or_where_nothing_stands() {
        // R9
        assert!(may_take(0, 0) && may_take(5, 1) && may_take(5, 5));
        assert!(!may_take(1, 0));
    }

    #[test]
    fn whoever_may_not_act_says_so() {
        // R9
        for state in ClaimState::ALL {
            let says = state.sentence().contains("nothing is done there");
            assert_eq!(says, !state.may_act(), "{state:?}");
            assert!(state.may_act() || !state.may_remove());
        }
    }

    #[test]
    fn an_identity_reads_back() {
        for text in ["5/6#7", "word", "-/6#7"] {
            assert_eq!(DatabaseIdentity::parse(text).to_string(), text);
        }
    }
}
