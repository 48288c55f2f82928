//! The `[tenant_baseline]` table of the file: what every tenant's namespace is
//! bounded by.

use anyhow::{Result, anyhow};
use remotegpu_cluster::TenantBaseline;

/// Reads the table; what it leaves out has its default.
pub fn read(table: &toml::Table) -> Result<TenantBaseline> {
    let baseline: TenantBaseline = table.clone().try_into().map_err(|error: toml::de::Error| {
        let why = error.message().replace('\n', ", ");
        // The error says in which field of the table it is, on a line of its own.
        let field = table
            .keys()
            .find(|key| error.to_string().contains(&format!("`{key}`")));
        match field {
            Some(field) => anyhow!("tenant_baseline: {field}: {why}"),
            None => anyhow!("tenant_baseline: {why}"),
        }
    })?;
    baseline
        .check()
        .map_err(|error| anyhow!("tenant_baseline: {error}"))?;
    Ok(baseline)
}

/// All that holds, a line for each, and whether the table says it.
pub fn lines(table: &toml::Table) -> Result<Vec<(String, String, bool)>> {
    let all = toml::Table::try_from(read(table)?)?;
    let lines = all.into_iter().map(|(key, value)| {
        let given = table.contains_key(&key);
        (format!("tenant_baseline.{key}"), value.to_string(), given)
    });
    Ok(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read(&text.parse().unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_said_holds_and_the_rest_has_its_default() {
        // R3
        let table = "pods = 7\nprivate_networks = [\"10.0.0.0/8\"]\npod_security = \"restricted\"";
        let table = table.parse().unwrap();
        let baseline = read(&table).unwrap();
        assert_eq!(baseline.pods, 7);
        assert_eq!(baseline.private_networks.len(), 1);
        assert_eq!(baseline.services, TenantBaseline::default().services);
        let lines = lines(&table).unwrap();
        let line = |key: &str| lines.iter().find(|line| line.0 == key).unwrap().clone();
        assert_eq!(line("tenant_baseline.pods").1, "7");
        assert!(line("tenant_baseline.pods").2 && !line("tenant_baseline.services").2);
        assert_eq!(line("tenant_baseline.pod_security").1, "\"restricted\"");
    }

    #[test]
    fn a_wrong_value_is_one_sentence_that_names_it() {
        // R3
        for (text, begins) in [
            ("podz = 1", "tenant_baseline: podz: unknown field"),
            ("pods = -1", "tenant_baseline: pods: "),
            ("pods = \"a\"", "tenant_baseline: pods: "),
            ("pod_security = \"privileged\"", "tenant_baseline: "),
            (
                "private_networks = [\"10\"]",
                "tenant_baseline: private_networks: ",
            ),
            (
                "pod_security_version = \"latest\"",
                "tenant_baseline: pod_security_version: ",
            ),
        ] {
            let sentence = refused(text);
            assert!(sentence.starts_with(begins), "{sentence}");
            assert!(!sentence.contains('\n'), "{sentence}");
        }
    }
}
