//! Tables for people, JSON and names for machines.

use std::io::{self, Write};

use anyhow::{Context, Result};
use serde_json::Value;
use time::OffsetDateTime;

use crate::age;
use crate::stdout;

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// A table for people.
    #[default]
    Table,
    /// The server's own JSON.
    Json,
    /// One name a line.
    Name,
}

/// A column: its heading, and what stands in its cells.
pub type Column = (&'static str, Cell);

/// What of an item a cell shows.
pub enum Cell {
    /// The text of a member; `-` where there is none.
    Text(&'static str),
    /// How long ago the time of a member was.
    Since(&'static str),
    /// How far the time of a member is away; `never` where there is none.
    Until(&'static str),
    Made(fn(&Value) -> String),
}

/// Prints a list. `now` is the server's time, from which spans are counted; where it is not known
/// the times themselves are shown.
pub fn print_list(
    format: Format,
    columns: &[Column],
    items: &[Value],
    now: Option<OffsetDateTime>,
) -> Result<()> {
    match format {
        Format::Table => stdout::write(&table(columns, items, now)),
        Format::Json => print_json(&Value::Array(items.to_vec())),
        Format::Name => print_names(items, "name"),
    }
}

/// Prints what each item is known by, one a line.
pub fn print_names(items: &[Value], member: &str) -> Result<()> {
    let names = items.iter().map(|item| text(item, member) + "\n");
    stdout::write(&names.collect::<String>())
}

/// Prints one item.
pub fn print_item(
    format: Format,
    columns: &[Column],
    item: &Value,
    now: Option<OffsetDateTime>,
) -> Result<()> {
    match format {
        Format::Table | Format::Name => {
            print_list(format, columns, std::slice::from_ref(item), now)
        }
        Format::Json => print_json(item),
    }
}

/// Prints what became of an item. That it cannot be printed undoes nothing.
pub fn print_changed(
    format: Format,
    columns: &[Column],
    item: &Value,
    now: Option<OffsetDateTime>,
) -> Result<()> {
    print_item(format, columns, item, now).context("it was done, but nobody was told")
}

pub fn print_json(value: &Value) -> Result<()> {
    stdout::write(&pretty_json(value)?)
}

/// JSON for people and machines, with a line end.
pub fn pretty_json(value: &Value) -> Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// Says something to the person; a stderr that is closed has nobody to tell.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// An aligned table with a line for each item.
pub fn table(columns: &[Column], items: &[Value], now: Option<OffsetDateTime>) -> String {
    let heading = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut rows: Vec<Vec<String>> = vec![heading];
    rows.extend(items.iter().map(|item| {
        columns
            .iter()
            .map(|(_, cell)| cell.show(item, now))
            .collect()
    }));
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut table = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        table.push_str(line.join("  ").trim_end());
        table.push('\n');
    }
    table
}

impl Cell {
    fn show(&self, item: &Value, now: Option<OffsetDateTime>) -> String {
        let span = |member: &str| age::between(item[member].as_str()?, now?);
        match *self {
            Self::Text(member) => text(item, member),
            Self::Since(member) => match span(member) {
                // A time that is a moment ahead was told by another instance.
                Some((_, true)) => "0s".to_owned(),
                Some((age, false)) => age,
                None => text(item, member),
            },
            Self::Until(member) => match span(member) {
                Some((span, true)) => span,
                Some((span, false)) => format!("{span} ago"),
                None if item[member].is_null() => "never".to_owned(),
                None => text(item, member),
            },
            Self::Made(make) => make(item),
        }
    }
}

/// The text of a member; `-` where there is none.
pub fn text(item: &Value, member: &str) -> String {
    match &item[member] {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

/// The text with everything replaced that could act on a terminal: control characters, and the
/// marks that turn the direction of writing.
pub fn printable(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let harmless = |c: char| if c.is_control() || turns(c) { '?' } else { c };
    text.chars().map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_cells_are_harmless() {
        let columns: &[Column] = &[("NAME", Cell::Text("name")), ("ID", Cell::Text("id"))];
        let items = [
            json!({"name": "größe", "id": 1}),
            json!({"name": "a\u{1b}[31m\nb\u{202e}"}),
        ];
        assert_eq!(
            table(columns, &items, None),
            "NAME       ID\ngröße      1\na?[31m?b?  -\n"
        );
    }

    #[test]
    fn times_are_told_as_spans_where_the_time_is_known() {
        let columns: &[Column] = &[("AGE", Cell::Since("made")), ("ENDS", Cell::Until("ends"))];
        let now = time::macros::datetime!(2026-11-21 08:00 UTC);
        for (ends, now, row) in [
            (json!("2026-11-24T08:00:00Z"), Some(now), "12m  3d\n"),
            (json!("2026-11-21T03:00:00Z"), Some(now), "12m  5h ago\n"),
            (json!(null), Some(now), "12m  never\n"),
            (
                json!("2026-11-24T08:00:00Z"),
                None,
                "2026-11-21T07:48:00Z  2026-11-24T08:00:00Z\n",
            ),
        ] {
            let item = json!({"made": "2026-11-21T07:48:00Z", "ends": ends});
            let table = table(columns, &[item], now);
            assert!(table.ends_with(row), "{table}");
        }
    }
}
