//! What can be measured, one file for each.

mod credentials;
mod crowd;
mod idle;
mod key_checks;
mod kubectl;
mod listing;
mod overload;
mod pages;
mod reviews;
mod sign_ins;
mod slow_clients;

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use crate::{report::Report, store::Backend};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Checking API keys: warm, cold, at a thousand and at a million keys; memory; start.
    Keys,
    /// Listing an account's keys.
    Listing,
    /// A page of fifty keys.
    Pages,
    /// Who an access token is, as clusters ask.
    Reviews,
    /// Key checks while 200 clients guess passwords.
    SignIns,
    /// Three times as many sign-ins as there is room for.
    OverloadSignIns,
    /// Three times as many cluster credentials as there is room for.
    OverloadMints,
    /// More `kubectl` at once than one key may mint for.
    Crowd,
    /// Cluster credentials and `kubectl` on a real API server; on PostgreSQL.
    Credentials,
    /// What an instance costs that has ten thousand namespaces, or a hundred thousand or
    /// a million identities, and nothing to do; on PostgreSQL.
    Idle,
    /// Thousands of clients that keep the server waiting; on one database.
    SlowClients,
}

impl Scenario {
    pub const ALL: [Self; 11] = [
        Self::Keys,
        Self::Listing,
        Self::Pages,
        Self::Reviews,
        Self::SignIns,
        Self::OverloadSignIns,
        Self::OverloadMints,
        Self::Crowd,
        Self::Credentials,
        Self::Idle,
        Self::SlowClients,
    ];

    /// Whether it tells anything about databases.
    pub fn needs(self, backend: Backend) -> bool {
        match self {
            Self::SlowClients | Self::Crowd => backend == Backend::Sqlite,
            Self::Credentials | Self::Idle => backend == Backend::Postgres,
            _ => true,
        }
    }

    pub fn run(self, backend: Backend, effort: Effort, report: &mut Report) -> Result<()> {
        match self {
            Self::Keys => key_checks::run(backend, effort, report),
            Self::Listing => listing::run(backend, effort, report),
            Self::Pages => pages::measure(backend, effort, report),
            Self::Reviews => reviews::measure(backend, effort, report),
            Self::SignIns => sign_ins::measure(backend, effort, report),
            Self::OverloadSignIns => overload::sign_ins(backend, effort, report),
            Self::OverloadMints => overload::mints(backend, effort, report),
            Self::Crowd => crowd::measure(backend, effort, report),
            Self::Credentials => credentials::measure(backend, effort, report),
            Self::Idle => {
                idle::measure(backend, effort, report)?;
                idle::measure_identities(backend, effort, report)
            }
            Self::SlowClients => slow_clients::measure(backend, effort, report),
        }
    }
}

/// How thoroughly things are measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    pub quick: bool,
    pub rounds: usize,
    /// How long a subject is measured in a round, and before that is not.
    pub slice: Duration,
    pub warm_up: Duration,
    /// How long a class of work is overloaded.
    pub overload: Duration,
    pub few_keys: usize,
    pub many_keys: usize,
    /// How many namespaces an idle instance has.
    pub namespaces: usize,
    /// How many identities two idle instances have, and one that must not grow by them.
    pub identities: usize,
    pub most_identities: usize,
    pub connections: usize,
    pub load_threads: usize,
    pub starts: usize,
    /// Whether Debian's `slowhttptest` joins the slow clients.
    pub slowhttptest: bool,
}

impl Effort {
    pub fn new(quick: bool, load_threads: usize, slowhttptest: bool) -> Self {
        let thorough = Self {
            quick,
            rounds: 5,
            slice: Duration::from_secs(3),
            warm_up: Duration::from_millis(500),
            overload: Duration::from_mins(1),
            few_keys: 1_000,
            many_keys: 1_000_000,
            namespaces: 10_000,
            identities: 100_000,
            most_identities: 1_000_000,
            connections: 32,
            load_threads,
            starts: 5,
            slowhttptest,
        };
        if !quick {
            return thorough;
        }
        Self {
            rounds: 3,
            slice: Duration::from_secs(1),
            warm_up: Duration::from_millis(200),
            overload: Duration::from_secs(6),
            many_keys: 20_000,
            namespaces: 500,
            identities: 10_000,
            most_identities: 50_000,
            starts: 2,
            ..thorough
        }
    }

    /// How many slow clients there are of a kind that has so many.
    pub fn crowd(self, clients: usize) -> usize {
        if self.quick { clients / 10 } else { clients }
    }

    pub fn describe(self) -> String {
        let Self {
            rounds,
            slice,
            warm_up,
            connections,
            load_threads,
            ..
        } = self;
        format!(
            "{rounds} rounds of {slice:?} after {warm_up:?} each; {connections} connections on \
             {load_threads} thread(s), unless the figures say otherwise"
        )
    }
}
