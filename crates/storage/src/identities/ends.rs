//! The ends of cluster identities. Whatever takes from an identity what it stands on
//! ends it in the same transaction, and all of it by the one statement here: nothing
//! else writes `ends_at` of an identity that is stored (contract X9, X10).

/// Identities that have not ended.
macro_rules! living {
    ($now:expr) => {
        credential_identities::ends_at
            .is_null()
            .or(credential_identities::ends_at.gt($crate::types::DbTime::from($now)))
    };
}

/// Ends the living identities that the filter takes, and answers how many. Within the
/// transaction that takes the reason for them away, and after the write that does.
///
/// - `$filter, $at`: at this time, or when they end anyway, whichever comes first.
/// - `$filter, from $before, to $after, at $now`: those that would end at one time end at
///   another, later or never for all we care; what has ended stays so. Whatever ends
///   otherwise was ended by an act, which counts even where it bears a later time.
macro_rules! end_identities {
    ($connection:expr, $filter:expr, from $before:expr, to $after:expr, at $now:expr) => {{
        let before: Option<$crate::types::DbTime> = $before;
        let never = diesel::IntoSql::into_sql::<diesel::sql_types::Bool>(before.is_none());
        let as_before = credential_identities::ends_at
            .eq(before)
            .or(credential_identities::ends_at.is_null().and(never));
        let filter = $filter.and(as_before);
        $crate::identities::end_identities!(@write $connection, filter, $now, $after)
    }};
    ($connection:expr, $filter:expr, $at:expr) => {
        $crate::identities::end_identities!(
            @write $connection, $filter, $at, $crate::types::DbTime::from($at)
        )
    };
    (@write $connection:expr, $filter:expr, $now:expr, $end:expr) => {
        diesel::update(credential_identities::table)
            .filter($filter)
            .filter($crate::identities::living!($now))
            .set(credential_identities::ends_at.eq($end))
            .execute($connection)
            .await?
    };
}

pub(crate) use {end_identities, living};

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// Whether a text of Rust sets `ends_at` in an update of identities, however it is
    /// spelt: alone, within a tuple, by another name of the table, or in SQL.
    fn sets_ends(text: &str) -> bool {
        let text: String = text.split_whitespace().collect();
        let aliases = aliases(&text);
        let updates = text.match_indices("update(").filter_map(|(at, found)| {
            // As far as the statement goes, or as the next one.
            let rest = &text[at + found.len()..];
            let end = rest.find(';').unwrap_or(rest.len());
            let end = rest.find("update(").map_or(end, |next| next.min(end));
            let (table, _) = rest.split_once("::table")?;
            let table = table.rsplit("::").next()?;
            aliases.contains(&table).then(|| &rest[..end])
        });
        let sets = |statement: &str| {
            let (_, set) = statement.split_once(".set(")?;
            set.contains("ends_at.eq(").then_some(())
        };
        let sql = ["UPDATEcredential_identities", "SETends_at"].concat();
        updates.filter_map(sets).count() > 0 || text.contains(&sql)
    }

    /// What the table of identities is called in a text.
    fn aliases(text: &str) -> Vec<&str> {
        let renamed = text.split("credential_identitiesas").skip(1);
        let is_of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        let names = renamed.filter_map(|rest| rest.split(|letter| !is_of_name(letter)).next());
        std::iter::once("credential_identities")
            .chain(names)
            .collect()
    }

    /// The Rust files of a folder that write the end of an identity, by their paths.
    fn writers(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                writers(&path, found);
            } else if sets_ends(&fs::read_to_string(&path).unwrap()) {
                found.push(path.display().to_string());
            }
        }
    }

    #[test]
    fn every_spelling_of_an_end_is_found() {
        // X9
        let update = |table: &str, set: &str| format!("diesel::update({table}::table).set({set})");
        let end = "ends_at.eq(now)";
        for (text, is_found) in [
            (update("credential_identities", end), true),
            (
                update(
                    "schema::credential_identities",
                    &format!("(a::b.eq(1), x::{end})"),
                ),
                true,
            ),
            (
                format!("use credential_identities as ids; {}", update("ids", end)),
                true,
            ),
            (update("key_secrets", end), false),
            (
                update("credential_identities", "last_minted_at.eq(now)"),
                false,
            ),
            (
                format!(
                    "{}; filter({end})",
                    update("credential_identities", "a.eq(1)")
                ),
                false,
            ),
        ] {
            assert_eq!(sets_ends(&text), is_found, "{text}");
        }
    }

    #[test]
    fn ends_are_written_here_alone() {
        // X9
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = Vec::new();
        writers(&source, &mut found);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with("identities/ends.rs"), "{found:?}");
    }
}
