//! How much the server takes on at the same time.

use std::{
    num::{NonZero, NonZeroU32},
    ops::RangeInclusive,
    time::Duration,
};

use anyhow::{Context, Result};

use super::number;
use crate::settings::Settings;

/// So much at once, and so long at the most.
#[derive(Debug)]
pub struct Limits {
    pub http_workers: usize,
    pub database_connections: u32,
    pub database_acquire: Duration,
    pub database_statement: Duration,
    pub password_workers: usize,
    pub password_queue: usize,
    pub mint_concurrency: usize,
    pub mint_queue: usize,
    pub mint_rate: NonZeroU32,
    pub mint_burst: NonZeroU32,
    pub key_change_rate: NonZeroU32,
    pub request_concurrency: usize,
}

/// Contract C7: a database that is down is told within five seconds, of which half
/// a one is left for everything else.
const DATABASE_MS: RangeInclusive<u32> = 100..=4500;

impl Limits {
    pub fn read(settings: &Settings) -> Result<Self> {
        let count = |key, range| number(settings, key, range).map(|number| number as usize);
        let millis = |key| {
            let millis = number(settings, key, DATABASE_MS)?;
            Ok::<_, anyhow::Error>(Duration::from_millis(millis.into()))
        };
        let rate = |key| NonZeroU32::new(number(settings, key, 1..=1_000_000)?).context(key);
        Ok(Self {
            http_workers: match settings.get("http_workers") {
                Some(_) => count("http_workers", 1..=1024)?,
                None => std::thread::available_parallelism().map_or(2, NonZero::get),
            },
            database_connections: number(settings, "database_connections", 1..=1000)?,
            database_acquire: millis("database_acquire_ms")?,
            database_statement: millis("database_statement_ms")?,
            password_workers: count("password_workers", 1..=64)?,
            password_queue: count("password_queue", 0..=10_000)?,
            mint_concurrency: count("mint_concurrency", 1..=10_000)?,
            mint_queue: count("mint_queue", 0..=10_000)?,
            mint_rate: rate("mint_rate")?,
            mint_burst: rate("mint_burst")?,
            key_change_rate: rate("key_change_rate")?,
            request_concurrency: count("request_concurrency", 1..=1_000_000)?,
        })
    }
}
