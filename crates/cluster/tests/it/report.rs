//! What a run on a real control plane leaves behind for people.

use std::{collections::BTreeMap, ffi::OsStr, path::Path, process::Command};

use crate::{
    conformance,
    subject::{Subject, name},
};

const ABOUT: &str = "# Cluster conformance

Each column was written by `./x conformance VERSION`, which runs the suite twice in a row, each
time on a new control plane of that version, and then all other tests that need one. The same
checks pass on the development cluster and on a real control plane, but for those from
`what_holds_a_namespace_is_told` on, which only a real one can pass. A check that could not run says
what it lacked, and one without a word is younger than that column.
";

/// Writes the column of this version into the file that the environment names, if it names one.
pub async fn write(subject: &Subject, checks: Vec<(&'static str, String)>) {
    let Some(path) = std::env::var_os("REMOTEGPU_CONFORMANCE_REPORT") else {
        return;
    };
    let version = subject.clusters.probe(&name()).await.unwrap().clone();
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").unwrap_or_default();
    let program = |name: &str, arguments: &[&str]| {
        let told = output(Path::new(&assets).join(name), arguments);
        let first = told.lines().next().unwrap_or_default();
        // The last word of the line is the version.
        let version = first.rsplit(' ').next().unwrap_or_default();
        version.trim_start_matches('v').to_owned()
    };
    let mut column = vec![
        (
            "`kube-controller-manager`",
            program("kube-controller-manager", &["--version"]),
        ),
        ("`etcd`", program("etcd", &["--version"])),
        ("`kubectl`", program("kubectl", &["version", "--client"])),
        ("date", output("date", &["-u", "+%F"])),
        ("commit", output("git", &["rev-parse", "--short", "HEAD"])),
    ];
    column.extend(checks);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let table = Table::read(&before).with(&version, &column);
    let differences = conformance::differences().join("\n");
    let text = format!(
        "{ABOUT}\n{}\n## What differs\n\n{differences}\n",
        table.text()
    );
    std::fs::write(path, text).unwrap();
}

/// A row for each fact and check, a column for each version.
#[derive(Debug, Default, PartialEq)]
struct Table {
    versions: Vec<String>,
    rows: Vec<(String, BTreeMap<String, String>)>,
}

impl Table {
    /// The first table of a Markdown text.
    fn read(text: &str) -> Self {
        let lines = text.lines().skip_while(|line| !line.starts_with('|'));
        let mut rows = lines
            .take_while(|line| line.starts_with('|'))
            .map(|line| line.trim_matches('|').split('|').map(str::trim));
        let Some(head) = rows.next() else {
            return Self::default();
        };
        let versions: Vec<String> = head.skip(1).map(str::to_owned).collect();
        let rows = rows.skip(1).map(|mut row| {
            let name = row.next().unwrap_or_default().to_owned();
            let cells = versions.iter().cloned().zip(row.map(str::to_owned));
            (name, cells.filter(|(_, cell)| !cell.is_empty()).collect())
        });
        Self {
            rows: rows.collect(),
            versions,
        }
    }

    /// The table with this column instead of that of the same minor version.
    fn with(mut self, version: &str, column: &[(&str, String)]) -> Self {
        let replaced = |other: &String| minor(other) == minor(version);
        for (_, cells) in &mut self.rows {
            cells.retain(|other, _| !replaced(other));
        }
        self.versions.retain(|other| !replaced(other));
        self.versions.push(version.to_owned());
        self.versions.sort_by_key(|version| minor(version));

        let mut rows: Vec<(String, BTreeMap<String, String>)> = Vec::new();
        for (name, cell) in column {
            let before = self.rows.iter().position(|(row, _)| row == name);
            let (_, mut cells) = before.map_or_else(Default::default, |at| self.rows.remove(at));
            cells.insert(version.to_owned(), cell.clone());
            rows.push(((*name).to_owned(), cells));
        }
        // What only other versions have been asked.
        rows.extend(self.rows.into_iter().filter(|(_, cells)| !cells.is_empty()));
        Self {
            versions: self.versions,
            rows,
        }
    }

    fn text(&self) -> String {
        let line = |name: &str, cells: Vec<&str>| format!("| {name} | {} |\n", cells.join(" | "));
        let heads = self.versions.iter().map(String::as_str).collect();
        let mut text = line("", heads);
        text += &line("---", vec!["---"; self.versions.len()]);
        for (name, cells) in &self.rows {
            let cell = |version| cells.get(version).map_or("", String::as_str);
            text += &line(name, self.versions.iter().map(cell).collect());
        }
        text
    }
}

/// 36 for `v1.36.3`.
fn minor(version: &str) -> u32 {
    let minor = version.split('.').nth(1);
    minor.and_then(|minor| minor.parse().ok()).unwrap_or(0)
}

fn output(program: impl AsRef<OsStr>, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.ok().filter(|output| output.status.success());
    output.map_or_else(
        || "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

#[test]
fn report_of_a_version_replaces_its_own_column_alone() {
    let column = |rows: &[&'static str], cell: &str| -> Vec<(&'static str, String)> {
        rows.iter().map(|row| (*row, cell.to_owned())).collect()
    };
    let table = Table::read("# Nothing yet\n")
        .with("v1.36.2", &column(&["date", "older"], "a"))
        .with("v1.34.4", &column(&["date", "older"], "b"))
        .with("v1.36.3", &column(&["date", "newer"], "c"));
    let text = table.text();
    let wanted = "|  | v1.34.4 | v1.36.3 |\n| --- | --- | --- |\n| date | b | c |\n\
                  | newer |  | c |\n| older | b |  |\n";
    assert_eq!(text, wanted);
    assert_eq!(Table::read(&format!("Before.\n\n{text}\nAfter.\n")), table);
    // What nobody has been asked any more goes.
    let table = table.with("v1.34.4", &column(&["date", "newer"], "d"));
    assert!(!table.text().contains("older"), "{}", table.text());
}
