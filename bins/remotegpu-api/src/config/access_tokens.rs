//! What the operator allows of access tokens (contract T2, T5, T10).

use anyhow::{Result, anyhow};
use remotegpu_access_tokens::TokenWord;
use remotegpu_control_plane::AccessTokenRules;
use remotegpu_kubeconfig::FileWord;
use time::Duration;

use super::{choice, number, optional};
use crate::settings::Settings;

pub fn read(settings: &Settings) -> Result<AccessTokenRules> {
    let word = |text: &str| TokenWord::parse(text).map_err(|error| anyhow!(error));
    let file_word = |text: &str| FileWord::parse(text).map_err(|error| anyhow!(error));
    let never_expire = choice(settings, "access_tokens_never_expire", ["true", "false"])?;
    let days = number(settings, "access_token_max_days", 1..=36_500)?;
    Ok(AccessTokenRules {
        limit: number(settings, "access_token_limit", 0..=10_000)?,
        longest: Duration::days(days.into()),
        may_never_expire: never_expire == "true",
        word: optional(settings, "access_token_id_word", word)?.unwrap_or_default(),
        file_word: optional(settings, "access_token_file_word", file_word)?.unwrap_or_default(),
    })
}
