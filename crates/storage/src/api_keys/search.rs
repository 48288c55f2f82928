//! Looking for a text in texts.

#[diesel::declare_sql_function]
extern "SQL" {
    /// In lower case; on SQLite of the letters a to z alone.
    #[sql_name = "lower"]
    fn in_lower_case(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}

/// What LIKE takes for a text that has this one in it.
pub fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}
