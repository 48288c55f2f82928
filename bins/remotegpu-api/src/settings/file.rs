//! The configuration file, before anybody knows what its values are.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use crate::text_files::read_text;

/// Reads the whole file.
pub fn read_file(path: &Path) -> Result<toml::Table> {
    let text = read_text(path)
        .with_context(|| format!("the configuration file {} cannot be read", path.display()))?;
    text.parse().map_err(|error: toml::de::Error| {
        // The error as a whole shows the line, which may hold a password.
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        let (path, line) = (path.display(), before.matches('\n').count() + 1);
        let why = error.message().replace('\n', ", ");
        anyhow!("the configuration file {path} is no TOML in line {line}: {why}")
    })
}

/// `clusters` in the file is either text, as in the variable, or tables.
pub fn take_cluster_tables(table: &mut toml::Table) -> Result<Vec<toml::Table>> {
    match table.get("clusters") {
        Some(toml::Value::Array(_)) => {}
        _ => return Ok(Vec::new()),
    }
    let Some(toml::Value::Array(entries)) = table.remove("clusters") else {
        return Ok(Vec::new());
    };
    let as_table = |entry| match entry {
        toml::Value::Table(table) => Ok(table),
        _ => bail!("clusters: every entry must be a [[clusters]] table"),
    };
    entries.into_iter().map(as_table).collect()
}

/// A value as a flag would say it.
pub fn text_of(key: &str, value: toml::Value) -> Result<String> {
    Ok(match value {
        toml::Value::String(text) => text,
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Boolean(flag) => flag.to_string(),
        toml::Value::Array(values) => {
            let texts: Result<Vec<String>> = values
                .into_iter()
                .map(|value| text_of(key, value))
                .collect();
            texts?.join(",")
        }
        _ => bail!("{key}: a text, a number or a list is expected"),
    })
}
