//! Where every setting comes from: a flag, else a `REMOTEGPU_` variable, else
//! the file, else its default (contract R3). Values are text here; `config.rs`
//! gives them their types.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

mod file;
mod table;

use anyhow::{Result, bail};
use clap::{Arg, ArgMatches};
use file::{read_file, take_cluster_tables, text_of};

pub use table::SETTINGS;

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
