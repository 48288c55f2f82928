//! `remotegpu-api config`: what holds, and where it came from.

use crate::{
    config::hide_password,
    settings::{SETTINGS, Settings},
};

/// Prints every setting, with the secrets in it hidden.
pub fn print(settings: &Settings) {
    for setting in SETTINGS {
        let (value, source) = match settings.get(setting.key) {
            Some(found) if setting.key == "database_url" => (
                quoted(&hide_password(&found.text)),
                found.source.to_string(),
            ),
            Some(found) => (quoted(&found.text), found.source.to_string()),
            None => ("-".to_owned(), "not set".to_owned()),
        };
        println!("{:<28} {value:<36} {source}", setting.key);
    }
    for table in &settings.cluster_tables {
        let file = settings
            .file
            .as_deref()
            .map(|path| path.display().to_string());
        let value = toml::Value::Table(table.clone()).to_string();
        println!(
            "{:<28} {value:<36} {}",
            "clusters",
            file.unwrap_or_default()
        );
    }
}

fn quoted(text: &str) -> String {
    if text.is_empty() {
        "\"\"".to_owned()
    } else {
        text.to_owned()
    }
}
