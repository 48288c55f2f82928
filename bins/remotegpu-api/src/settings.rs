//! Where every setting comes from: a flag, else a `REMOTEGPU_` variable, else
//! the file, else its default (contract R3). Values are text here; `config.rs`
//! gives them their types.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

mod file;

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches};
use file::{read_file, take_cluster_tables, text_of};

/// One thing that can be configured.
pub struct Setting {
    /// Its name in the file; the flag and the variable derive from it.
    pub key: &'static str,
    /// What holds where nothing is said.
    pub default: Option<&'static str>,
    /// What a value looks like.
    pub form: &'static str,
    pub help: &'static str,
}

const fn setting(
    key: &'static str,
    default: Option<&'static str>,
    form: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        key,
        default,
        form,
        help,
    }
}

pub const SETTINGS: &[Setting] = &[
    setting(
        "listen",
        Some("127.0.0.1:8080"),
        "ADDRESS:PORT",
        "Where the API listens",
    ),
    setting(
        "internal_listen",
        Some("127.0.0.1:8081"),
        "ADDRESS:PORT",
        "Where /metrics listens; never to be reached by customers",
    ),
    setting(
        "public_url",
        None,
        "URL",
        "What the API calls itself, in kubeconfigs above all [default: the address it listens on]",
    ),
    setting(
        "extra_hosts",
        Some(""),
        "HOST,...",
        "Further values of the Host header that the API answers to",
    ),
    setting(
        "tls_cert",
        None,
        "FILE",
        "The certificate chain for the API, as PEM",
    ),
    setting(
        "tls_key",
        None,
        "FILE",
        "The private key for the API, as PEM",
    ),
    setting(
        "trusted_proxies",
        Some(""),
        "CIDR,...",
        "Networks whose X-Forwarded-For header counts",
    ),
    setting(
        "http_workers",
        None,
        "NUMBER",
        "How many threads answer requests [default: one for each core]",
    ),
    setting(
        "max_connections",
        Some("10000"),
        "NUMBER",
        "How many connections of clients the API holds at the same time",
    ),
    setting(
        "keep_alive_seconds",
        Some("75"),
        "SECONDS",
        "How long a connection may be idle; more than a proxy in front keeps its own",
    ),
    setting(
        "database_url",
        None,
        "URL",
        "postgres://user:password@host/database [default: SQLite in the data directory]",
    ),
    setting(
        "database_connections",
        Some("8"),
        "NUMBER",
        "How many connections to PostgreSQL this instance's pool holds at the most; beside it as many threads may keep one each, two are for changes of keys, and one looks for restores",
    ),
    setting(
        "database_acquire_ms",
        Some("3000"),
        "MILLISECONDS",
        "How long a request waits for a connection to the database: 100 to 4500",
    ),
    setting(
        "database_statement_ms",
        Some("4000"),
        "MILLISECONDS",
        "How long a statement may take in the database: 100 to 4500",
    ),
    setting(
        "migrate_at_start",
        Some("true"),
        "true|false",
        "Whether the start brings the database's schema up to date; else it waits until somebody does",
    ),
    setting(
        "data_dir",
        Some("./remotegpu-data"),
        "FOLDER",
        "Where the SQLite database and the development cluster live",
    ),
    setting(
        "dev_cluster_listen",
        Some("127.0.0.1:16443"),
        "ADDRESS:PORT",
        "Where the embedded development cluster listens",
    ),
    setting(
        "clusters",
        Some(""),
        "NAME=KUBECONFIG,...",
        "The clusters, the default one first; the file may say more about each in [[clusters]]",
    ),
    setting(
        "sign_up",
        Some("closed"),
        "open|closed",
        "Whether anybody may make an account",
    ),
    setting(
        "key_limit",
        Some("20"),
        "NUMBER",
        "How many active API keys an account may have",
    ),
    setting(
        "key_change_rate",
        Some("60"),
        "NUMBER",
        "How many API keys an account may create and rotate within a minute",
    ),
    setting(
        "dead_key_retention_days",
        Some("90"),
        "DAYS",
        "How long revoked and expired API keys stay in the list; at most 1000 of an account do",
    ),
    setting(
        "namespace_limit",
        Some("10"),
        "NUMBER",
        "How many namespaces an account may have",
    ),
    setting(
        "key_cache_size",
        Some("100000"),
        "NUMBER",
        "How many API keys this instance remembers, about 300 bytes each; 0 asks the database every time",
    ),
    setting(
        "record_last_use",
        Some("true"),
        "true|false",
        "Whether the last use of API keys is written down",
    ),
    setting(
        "session_idle_seconds",
        Some("43200"),
        "SECONDS",
        "When a session ends that is not used",
    ),
    setting(
        "session_total_seconds",
        Some("604800"),
        "SECONDS",
        "When every session ends",
    ),
    setting(
        "token_seconds",
        Some("3600"),
        "SECONDS",
        "How long cluster tokens live: 600 to 3600",
    ),
    setting(
        "sweep_seconds",
        Some("45"),
        "SECONDS",
        "How often each cluster is compared with the database, by one of the instances: 1 to 3600",
    ),
    setting(
        "audit_retention_days",
        Some("365"),
        "DAYS",
        "How long audit events are kept",
    ),
    setting(
        "password_workers",
        Some("1"),
        "NUMBER",
        "How many passwords are hashed at the same time",
    ),
    setting(
        "password_queue",
        Some("16"),
        "NUMBER",
        "How many sign-ins wait for their turn; more are refused at once",
    ),
    setting(
        "mint_concurrency",
        Some("32"),
        "NUMBER",
        "How many credentials are minted at the same time in each cluster",
    ),
    setting(
        "mint_queue",
        Some("32"),
        "NUMBER",
        "How many mints wait for their turn with each cluster; more are refused at once",
    ),
    setting(
        "mint_rate",
        Some("10"),
        "NUMBER",
        "How many credentials a key may mint each second for one namespace",
    ),
    setting(
        "mint_burst",
        Some("50"),
        "NUMBER",
        "How many credentials a key that has rested may mint at once for one namespace",
    ),
    setting(
        "request_concurrency",
        Some("1024"),
        "NUMBER",
        "How many requests are worked on at the same time; more are refused at once",
    ),
    setting(
        "drain_seconds",
        Some("0"),
        "SECONDS",
        "How long the API goes on after it has said that it is not ready any more",
    ),
    setting(
        "log",
        Some("info"),
        "error|warn|info|debug|trace",
        "How much is logged; libraries never more than info",
    ),
    setting(
        "log_format",
        Some("text"),
        "text|json",
        "How a line of the log looks",
    ),
    setting(
        "initial_admin_email",
        Some("admin@localhost"),
        "E-MAIL",
        "Who the operator signs in as, on the first start",
    ),
    setting(
        "initial_admin_password_file",
        None,
        "FILE",
        "The operator's password, on the first start [default: a one-time password is printed]",
    ),
];

impl Setting {
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    pub fn variable(&self) -> String {
        format!("REMOTEGPU_{}", self.key.to_uppercase())
    }

    /// Whether it is a list, which may be empty.
    fn is_list(&self) -> bool {
        self.default == Some("")
    }

    pub fn arg(&self) -> Arg {
        let help = match self.default {
            Some(default) if !default.is_empty() => format!("{} [default: {default}]", self.help),
            _ => self.help.to_owned(),
        };
        Arg::new(self.key)
            .long(self.flag())
            .value_name(self.form)
            .help(format!("{help} [env: {}]", self.variable()))
            .help_heading("Settings")
            .global(true)
    }
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Flag(String),
    Variable(String),
    File(PathBuf),
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "--{flag}"),
            Self::Variable(variable) => f.write_str(variable),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value as text, and where it came from.
#[derive(Debug, Clone)]
pub struct Found {
    pub text: String,
    pub source: Source,
}

/// Every setting that has a value, and the clusters and the tenant baseline that the
/// file describes.
#[derive(Debug)]
pub struct Settings {
    found: BTreeMap<&'static str, Found>,
    pub cluster_tables: Vec<toml::Table>,
    pub baseline_table: toml::Table,
    pub file: Option<PathBuf>,
}

impl Settings {
    /// Gathers from all sources. `env` is the process's environment, or a
    /// test's. What is empty is not set; but an empty list, as a flag or in the file,
    /// is a list.
    pub fn gather(
        matches: &ArgMatches,
        file: Option<&Path>,
        env: impl Fn(&str) -> Result<Option<String>>,
    ) -> Result<Self> {
        let mut table = match file {
            Some(path) => read_file(path)?,
            None => toml::Table::new(),
        };
        let in_file = |path: Option<&Path>| Source::File(path.unwrap_or(Path::new("")).to_owned());
        let cluster_tables = take_cluster_tables(&mut table)?;
        let baseline_table = match table.remove("tenant_baseline") {
            None => toml::Table::new(),
            Some(toml::Value::Table(baseline)) => baseline,
            Some(_) => bail!("tenant_baseline: a [tenant_baseline] table is expected"),
        };
        let mut found = BTreeMap::new();
        for setting in SETTINGS {
            let from_file = table.remove(setting.key);
            let from_file = from_file.map(|value| text_of(setting.key, value));
            let is_set = |text: &String| setting.is_list() || !text.is_empty();
            let flag = matches.get_one::<String>(setting.key).cloned();
            let variable = env(&setting.variable())?;
            let value = if let Some(text) = flag.filter(is_set) {
                Some((text, Source::Flag(setting.flag())))
            } else if let Some(text) = variable.filter(|text| !text.is_empty()) {
                Some((text, Source::Variable(setting.variable())))
            } else if let Some(text) = from_file.transpose()?.filter(is_set) {
                Some((text, in_file(file)))
            } else {
                setting
                    .default
                    .map(|text| (text.to_owned(), Source::Default))
            };
            if let Some((text, source)) = value {
                found.insert(setting.key, Found { text, source });
            }
        }
        if let Some(unknown) = table.keys().next() {
            bail!(
                "{}: there is no setting {unknown:?}",
                file.unwrap_or(Path::new("")).display()
            );
        }
        Ok(Self {
            found,
            cluster_tables,
            baseline_table,
            file: file.map(Path::to_owned),
        })
    }

    pub fn get(&self, key: &str) -> Option<&Found> {
        self.found.get(key)
    }

    /// Whether somebody said this, rather than a default.
    pub fn is_given(&self, key: &str) -> bool {
        self.get(key)
            .is_some_and(|found| found.source != Source::Default)
    }
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    fn gather(flags: &[&str], file: Option<&str>, env: &[(&str, &str)]) -> Result<Settings> {
        let matches = Command::new("t")
            .args(SETTINGS.iter().map(Setting::arg))
            .get_matches_from([&["t"], flags].concat());
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("c.toml");
        if let Some(text) = file {
            std::fs::write(&path, text)?;
        }
        let find = |name: &str| {
            let found = env.iter().find(|(key, _)| *key == name);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        };
        Settings::gather(&matches, file.map(|_| path.as_path()), find)
    }

    #[test]
    fn flag_beats_variable_beats_file_beats_default() {
        // R3
        let file = Some("listen = \"127.0.0.1:3\"\nkey_limit = 3");
        let env = [
            ("REMOTEGPU_LISTEN", "127.0.0.1:2"),
            ("REMOTEGPU_KEY_LIMIT", ""),
        ];
        let all = gather(&["--listen", "127.0.0.1:1"], file, &env).unwrap();
        assert_eq!(all.get("listen").unwrap().text, "127.0.0.1:1");
        assert_eq!(all.get("listen").unwrap().source.to_string(), "--listen");
        assert_eq!(all.get("key_limit").unwrap().text, "3");
        let some = gather(&[], file, &env).unwrap();
        assert_eq!(
            some.get("listen").unwrap().source.to_string(),
            "REMOTEGPU_LISTEN"
        );
        let none = gather(&[], None, &[]).unwrap();
        assert_eq!(none.get("listen").unwrap().text, "127.0.0.1:8080");
        assert!(!none.is_given("listen") && none.get("database_url").is_none());
    }

    #[test]
    fn what_is_empty_is_not_set_wherever_it_stands() {
        // R3
        for setting in SETTINGS {
            let flag = format!("--{}=", setting.flag());
            let file = format!("{} = \"\"", setting.key);
            let env = [(setting.variable(), String::new())];
            let env = env
                .each_ref()
                .map(|(key, value)| (key.as_str(), value.as_str()));
            for all in [
                gather(&[&flag], None, &[]),
                gather(&[], None, &env),
                gather(&[], Some(&file), &[]),
                gather(&[&flag], Some(&file), &env),
            ] {
                let all = all.unwrap();
                let found = all.get(setting.key).map(|found| found.text.as_str());
                assert_eq!(found, setting.default, "{}", setting.key);
                assert!(
                    setting.is_list() || !all.is_given(setting.key),
                    "{}",
                    setting.key
                );
            }
        }
        // A list may be given as empty, but by a variable.
        let file = Some("extra_hosts = \"a\"\nlisten = \"127.0.0.1:3\"");
        let all = gather(&["--extra-hosts=", "--listen="], file, &[]).unwrap();
        assert_eq!(all.get("extra_hosts").unwrap().text, "");
        assert_eq!(all.get("listen").unwrap().text, "127.0.0.1:3");
        let all = gather(&[], file, &[("REMOTEGPU_EXTRA_HOSTS", "")]).unwrap();
        assert_eq!(all.get("extra_hosts").unwrap().text, "a");
    }

    #[test]
    fn an_unknown_setting_in_the_file_is_named() {
        // R3
        let error = gather(&[], Some("lisen = 1"), &[]).unwrap_err();
        assert!(
            error.to_string().ends_with("there is no setting \"lisen\""),
            "{error}"
        );
    }

    #[test]
    fn lists_and_tables_are_read_from_the_file() {
        let file = "extra_hosts = [\"a\", \"b\"]\n[[clusters]]\nname = \"eu\"\nkubeconfig = \"x\"";
        let all = gather(&[], Some(file), &[]).unwrap();
        assert_eq!(all.get("extra_hosts").unwrap().text, "a,b");
        assert_eq!(all.cluster_tables.len(), 1);
        assert!(gather(&[], Some("clusters = [1]"), &[]).is_err());
    }
}
