//! `remotegpu-api config`: what holds, and where it came from.

use anyhow::Result;

use crate::{
    output::say,
    redaction::without_passwords,
    settings::{SETTINGS, Settings},
    tenant_baseline,
};

/// Prints every setting, with the secrets in it hidden.
pub fn print(settings: &Settings) -> Result<()> {
    for setting in SETTINGS {
        // As in `config.rs`: the tables count where the setting says nothing.
        let listed = settings.get("clusters").map(|found| found.text.as_str());
        let tables = &settings.cluster_tables;
        if setting.key == "clusters" && listed.is_none_or(names_none) && !tables.is_empty() {
            print_tables(settings)?;
            continue;
        }
        let (value, source) = match settings.get(setting.key) {
            Some(found) => (
                quoted(&without_passwords(&found.text)),
                found.source.to_string(),
            ),
            None => ("-".to_owned(), "not set".to_owned()),
        };
        say!("{:<28} {value:<36} {source}", setting.key)?;
    }
    for (key, value, given) in tenant_baseline::lines(&settings.baseline_table)? {
        let source = if given {
            file(settings)
        } else {
            "default".to_owned()
        };
        say!("{key:<28} {value:<36} {source}")?;
    }
    Ok(())
}

fn file(settings: &Settings) -> String {
    let file = settings.file.as_deref();
    file.map(|path| path.display().to_string())
        .unwrap_or_default()
}

/// Whether a list has no entry.
fn names_none(list: &str) -> bool {
    list.split(',').all(|part| part.trim().is_empty())
}

/// A line for each `[[clusters]]` table of the file.
fn print_tables(settings: &Settings) -> Result<()> {
    let file = file(settings);
    for table in &settings.cluster_tables {
        let value = toml::Value::Table(table.clone()).to_string();
        let value = without_passwords(&value);
        say!("{:<28} {value:<36} {file}", "clusters")?;
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    if text.is_empty() {
        "\"\"".to_owned()
    } else {
        text.to_owned()
    }
}
