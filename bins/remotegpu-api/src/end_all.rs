//! `remotegpu-api admin end-all`: many sessions, keys or tokens end at once, after a restore or
//! a leak (contract R7).

use std::{
    fmt::Display,
    io::Read,
    path::Path,
    str::FromStr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use remotegpu_control_plane::{
    AccountError, Choice, EndAll, EndAllKeysPorts, Ended, EndedKeys, Operator,
    end_all_access_tokens, end_all_keys, end_all_kubeconfig_tokens, end_all_sessions, find_account,
};
use remotegpu_primitives::AccountId;
use remotegpu_storage::Database;

use crate::{
    cli::{EndAllArgs, EndAllOf},
    clock::{SystemClock, system_rng},
    output::{self, say},
    text_files::read_text,
};

/// How often whoever waits is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// How many accounts are shown one by one.
const SHOWN: usize = 20;

/// Counts what is meant, and ends it if that is confirmed.
pub async fn run(database: &Database, operator: Operator, args: &EndAllArgs) -> Result<()> {
    let mode = if args.yes { EndAll::End } else { EndAll::Count };
    if let Some(account) = args.account {
        find_account(database, operator, account).await?;
    }
    let mut progress = Progress::new(mode);
    match args.what {
        EndAllOf::Sessions => {
            let ids = read_ids(args.ids.as_deref(), A_UUID)?;
            let choice = choice(args.account, ids.as_deref());
            let told = &mut |ended: &Ended| progress.tell(ended, "sessions");
            let (rng, clock) = (&mut system_rng(), &SystemClock);
            let ended = end_all_sessions(database, operator, choice, mode, rng, clock, told).await;
            let ended = ended.context(UNFINISHED)?;
            report(database, operator, &ended, mode, "session").await?;
        }
        EndAllOf::Keys | EndAllOf::KubeconfigTokens => {
            let ids = read_ids(args.ids.as_deref(), A_UUID)?;
            let choice = choice(args.account, ids.as_deref());
            let told = &mut |ended: &EndedKeys| progress.tell(&ended.keys, "keys");
            let ports = EndAllKeysPorts {
                keys: database,
                identities: database,
                clock: &SystemClock,
            };
            let rng = &mut system_rng();
            let (ended, what) = if args.what == EndAllOf::Keys {
                let ended = end_all_keys(ports, operator, choice, mode, rng, told).await;
                (ended, "active API key")
            } else {
                let ended =
                    end_all_kubeconfig_tokens(ports, operator, choice, mode, rng, told).await;
                (ended, "kubeconfig token")
            };
            let ended = ended.context(UNFINISHED)?;
            report(database, operator, &ended.keys, mode, what).await?;
            report_identities(&ended)?;
        }
        EndAllOf::AccessTokens => {
            let ids = read_ids(args.ids.as_deref(), A_TOKEN)?;
            let choice = choice(args.account, ids.as_deref());
            let told = &mut |ended: &Ended| progress.tell(ended, "access tokens");
            let (rng, clock) = (&mut system_rng(), &SystemClock);
            let ended =
                end_all_access_tokens(database, operator, choice, mode, rng, clock, told).await;
            let ended = ended.context(UNFINISHED)?;
            report(database, operator, &ended, mode, "access token").await?;
        }
    }
    if mode == EndAll::Count {
        say!("nothing was changed; --yes ends them")?;
    }
    Ok(())
}

const UNFINISHED: &str = "not all were ended; what was ended stays ended, and the same command \
                          ends the rest";

/// What an identifier looks like.
const A_UUID: &str = "a UUID in its 36-character form is expected, as in \
                      0198c0de-0000-7000-8000-000000000001";
const A_TOKEN: &str = "one such as cwtoken-4k0q8z1x7c is expected";

fn choice<Id>(account: Option<AccountId>, ids: Option<&[Id]>) -> Choice<'_, Id> {
    Choice { account, ids }
}

/// The identifiers in a file, one on each line; `-` is what comes in.
fn read_ids<Id: FromStr>(path: Option<&Path>, expected: &str) -> Result<Option<Vec<Id>>> {
    let Some(path) = path else { return Ok(None) };
    let text = if path == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map(|_| text)
    } else {
        read_text(path)
    };
    let text = text.with_context(|| format!("--ids: {} cannot be read", path.display()))?;
    parse_ids(&text, expected).map(Some)
}

fn parse_ids<Id: FromStr>(text: &str, expected: &str) -> Result<Vec<Id>> {
    let mut ids = Vec::new();
    let text = text.trim_start_matches('\u{feff}');
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        match line.parse() {
            Ok(id) => ids.push(id),
            // Not what stands there: it may be a key.
            Err(_) => bail!("--ids: line {} is no identifier: {expected}", index + 1),
        }
    }
    Ok(ids)
}

/// Tells on stderr how far it is, where it takes long.
struct Progress {
    mode: EndAll,
    last: Instant,
}

impl Progress {
    fn new(mode: EndAll) -> Self {
        let last = Instant::now();
        Self { mode, last }
    }

    fn tell(&mut self, so_far: &Ended, what: &str) {
        if self.last.elapsed() >= TELL_EVERY {
            self.last = Instant::now();
            let done = match self.mode {
                EndAll::Count => "counted",
                EndAll::End => "ended",
            };
            output::note(format_args!("{done} {} {what} so far", so_far.total()));
        }
    }
}

async fn report(
    database: &Database,
    operator: Operator,
    ended: &Ended,
    mode: EndAll,
    what: &str,
) -> Result<()> {
    let done = match mode {
        EndAll::Count => "would end",
        EndAll::End => "ended",
    };
    let (total, accounts) = (ended.total(), ended.accounts.len() as u64);
    let where_to = if total == 0 {
        String::new()
    } else {
        format!(" in {}:", many(accounts, "account"))
    };
    say!("{done} {}{where_to}", many(total, what))?;
    let mut accounts: Vec<_> = ended.accounts.iter().collect();
    accounts.sort_by_key(|(id, count)| (std::cmp::Reverse(**count), **id));
    for (id, count) in accounts.iter().take(SHOWN) {
        let name = match find_account(database, operator, **id).await {
            Ok(account) => account.name.to_string(),
            Err(AccountError::NotFound(_)) => String::new(),
            Err(error) => return Err(error.into()),
        };
        say!("  {id}  {count:>6}  {name}")?;
    }
    if accounts.len() > SHOWN {
        let rest = accounts[SHOWN..]
            .iter()
            .map(|(_, count)| **count)
            .sum::<u64>();
        let others = many((accounts.len() - SHOWN) as u64, "more account");
        say!("  and {rest} in {others}")?;
    }
    if ended.unknown > 0 {
        say!("{} not known, or another account's", these(ended.unknown))?;
    }
    if ended.ended_before > 0 {
        say!("{} of what had ended before", these(ended.ended_before))?;
    }
    Ok(())
}

fn report_identities(ended: &EndedKeys) -> Result<()> {
    let total: u64 = ended.identities.values().sum();
    if total == 0 {
        return say!("no cluster identity ends with them");
    }
    let clusters = ended.identities.iter();
    let clusters: Vec<String> = clusters
        .map(|(cluster, count)| format!("{count} in {cluster}"))
        .collect();
    let (identities, end) = if total == 1 {
        ("identity", "ends")
    } else {
        ("identities", "end")
    };
    say!(
        "{total} cluster {identities} {end} with them, and the tokens of these: {}",
        clusters.join(", ")
    )
}

fn many(count: u64, what: impl Display) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

fn these(count: u64) -> String {
    if count == 1 {
        "1 of the identifiers is".to_owned()
    } else {
        format!("{count} of the identifiers are")
    }
}

#[cfg(test)]
mod tests {
    use remotegpu_primitives::ApiKeyId;

    use super::*;

    #[test]
    fn a_file_of_identifiers_is_read_line_by_line() {
        // R7
        let one = "0198c0de-0000-7000-8000-000000000001";
        let text = format!("\u{feff}# found on a paste site\n\n  {one}  \r\n{one} # again\n");
        let ids: Vec<ApiKeyId> = parse_ids(&text, A_UUID).unwrap();
        assert_eq!(ids, [one.parse().unwrap(), one.parse().unwrap()]);
        assert_eq!(parse_ids::<ApiKeyId>("", A_UUID).unwrap(), []);
        // The sentence names the line, and not what stands there.
        let leaked = "rgpu_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa16C57V";
        let error = parse_ids::<ApiKeyId>(&format!("{one}\n\n{leaked}\n"), A_UUID).unwrap_err();
        let sentence = error.to_string();
        assert!(
            sentence.starts_with("--ids: line 3 is no identifier"),
            "{sentence}"
        );
        assert!(!sentence.contains("rgpu_"), "K2");
    }
}
