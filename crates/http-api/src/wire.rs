//! From a body's JSON to a request type. serde's own messages name no field, and it stops
//! at the first that is wrong; this reads the members one by one, so that every refusal
//! names its own (contract C1, C2), and never repeats a value: it may be a password.

use std::{collections::HashSet, fmt};

use remotegpu_edge::{ApiError, ErrorCode, FieldError};
use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, MapAccess, Unexpected, Visitor,
        value::StrDeserializer,
    },
};
use serde_json::value::RawValue;

use crate::v1::fields::{Fields, NAMED};

/// Stands for a required member that is missing or wrong, so that the others can be read:
/// all of ours that are required are texts. Whatever is said of it goes unheard.
const STAND_IN: &str = "\"\"";

/// Reads a request type from the text of a JSON object, and what is wrong with it so far;
/// `None` where nothing can be made of it.
pub(crate) fn read_object<T: DeserializeOwned>(
    json: &str,
) -> Result<(Option<T>, Fields), ApiError> {
    let mut members: Members = serde_json::from_str(json).map_err(|error| {
        let detail = if error.is_data() {
            "The body must be a JSON object"
        } else {
            "The body is not valid JSON"
        };
        ApiError::new(ErrorCode::InvalidBody, detail)
    })?;
    let known = Known::of::<T>();
    let mut fields = Fields::in_order(known);
    members.take_out_unknown(known, &mut fields);
    members.take_out_doubled(&mut fields);
    let mut stood_in = Vec::new();
    loop {
        let error = match T::deserialize(&members) {
            Ok(request) => return Ok((Some(request), fields)),
            Err(MemberError(error)) => error,
        };
        let name = error.field.clone();
        if stood_in.contains(&name) {
            return Ok((None, fields));
        }
        let is_missing = !members.take_out(&name);
        fields.refuse(error);
        if is_missing {
            members.0.push((name.clone(), stand_in()));
            stood_in.push(name);
        }
    }
}

fn stand_in() -> Box<RawValue> {
    RawValue::from_string(STAND_IN.to_owned()).unwrap_or_default()
}

/// For a member that may be absent but not `null`.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// For a whole number, however it is written: JSON Schema, and so our own
/// description, takes `60.0` for one as well.
pub(crate) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    struct WholeVisitor;

    impl Visitor<'_> for WholeVisitor {
        type Value = i64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number")
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<i64, E> {
            Ok(number)
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
            i64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<i64, E> {
            // Beyond this, a float does not say which whole number it means.
            const EXACT: f64 = 9_007_199_254_740_992.0;
            if number.fract() != 0.0 || number.abs() > EXACT {
                return Err(E::invalid_value(Unexpected::Float(number), &self));
            }
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and fits")]
            let number = number as i64;
            Ok(number)
        }
    }

    deserializer.deserialize_i64(WholeVisitor)
}

/// The same for a member that may be absent but not `null`.
pub(crate) fn present_whole<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<i64>, D::Error> {
    whole(deserializer).map(Some)
}

struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

impl Members {
    /// Foreign text, and much of it perhaps: so many are kept as can be named.
    fn take_out_unknown(&mut self, known: &[&str], fields: &mut Fields) {
        let mut seen = HashSet::new();
        self.0.retain(|(name, _)| {
            let is_known = known.contains(&name.as_str());
            if !is_known && seen.len() < NAMED && seen.insert(name.clone()) {
                fields.refuse(unknown(name));
            }
            is_known
        });
    }

    fn take_out_doubled(&mut self, fields: &mut Fields) {
        let (mut seen, mut doubled) = (HashSet::new(), Vec::new());
        for (name, _) in &self.0 {
            if !seen.insert(name.as_str()) && !doubled.contains(name) {
                doubled.push(name.clone());
            }
        }
        for name in doubled {
            self.take_out(&name);
            fields.refuse(FieldError::new(name, "stands more than once"));
        }
    }

    /// Whether it was there.
    fn take_out(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(found, _)| found != name);
        self.0.len() < before
    }
}

/// The members that a request type has, which it tells whoever wants to read it.
struct Known(&'static [&'static str]);

impl Known {
    fn of<T: DeserializeOwned>() -> &'static [&'static str] {
        let mut known = Self(&[]);
        // Nothing is read: it is over as soon as it has told.
        let _ = T::deserialize(&mut known);
        known.0
    }
}

impl<'de> Deserializer<'de> for &mut Known {
    type Error = MemberError;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, MemberError> {
        self.0 = fields;
        Err(de::Error::custom("asked"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, MemberError> {
        Err(de::Error::custom("no struct"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier
        ignored_any
    }
}

impl<'de> Deserializer<'de> for &'de Members {
    type Error = MemberError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, MemberError> {
        visitor.visit_map(Access {
            rest: self.0.iter(),
            value: None,
        })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

struct Access<'de> {
    rest: std::slice::Iter<'de, (String, Box<RawValue>)>,
    value: Option<(&'de str, &'de RawValue)>,
}

impl<'de> MapAccess<'de> for Access<'de> {
    type Error = MemberError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, MemberError> {
        let Some((name, value)) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some((name, value));
        seed.deserialize(StrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, MemberError> {
        let (name, value) = self.value.take().unwrap_or(("", RawValue::NULL));
        seed.deserialize(value)
            .map_err(|error| MemberError(FieldError::new(name, expectation(&error))))
    }
}

/// serde says `invalid type: integer 1, expected a string at line 1 column 1`:
/// what was expected is ours, the rest is the client's and stays out.
fn expectation(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let expected = text
        .rsplit_once(", expected ")
        .map(|(_, end)| end.rsplit_once(" at line ").map_or(end, |(word, _)| word));
    match expected {
        Some("i64" | "u64" | "u32") => "must be a whole number".to_owned(),
        Some("a boolean") => "must be true or false".to_owned(),
        Some(expected) => format!("must be {expected}"),
        None => "cannot be read".to_owned(),
    }
}

/// A name is foreign text: it is cut so that the answer stays short, and what cannot be shown
/// leaves a mark, so that it never looks like a name that is known.
fn unknown(name: &str) -> FieldError {
    let shown = name.replace(char::is_control, "\u{fffd}");
    let shown: String = shown.chars().take(64).collect();
    FieldError::new(shown, "is not known")
}

/// What is wrong with one member.
#[derive(Debug)]
struct MemberError(FieldError);

impl fmt::Display for MemberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.field, self.0.message)
    }
}

impl std::error::Error for MemberError {}

impl de::Error for MemberError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(FieldError::new("body", "cannot be read"))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Self(unknown(field))
    }

    fn missing_field(field: &'static str) -> Self {
        Self(FieldError::new(field, "is required"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self(FieldError::new(field, "stands more than once"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Request {
        name: String,
        #[serde(default, deserialize_with = "present")]
        cookie: Option<bool>,
        #[serde(default, deserialize_with = "present")]
        seconds: Option<i64>,
        #[serde(default, deserialize_with = "present")]
        scopes: Option<Box<RawValue>>,
        #[serde(default, deserialize_with = "whole")]
        grace: i64,
    }

    fn read(json: &str) -> Result<Request, ApiError> {
        let (request, fields) = read_object::<Request>(json)?;
        fields.done()?;
        Ok(request.unwrap())
    }

    fn check(json: &str, expected: Result<(), &str>) {
        let found = read(json).map(|_| ());
        let found = found.as_ref().copied().map_err(ApiError::detail);
        assert_eq!(found, expected, "{json}");
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        // C2
        let told = |json: &str| {
            let error = read(json).unwrap_err();
            let fields = error.errors().iter();
            let fields: Vec<String> = fields
                .map(|error| format!("{} {}", error.field, error.message))
                .collect();
            assert!(fields[0].starts_with(error.detail()), "{error:?}");
            fields.join(", ")
        };
        for (json, all) in [
            (
                r#"{"grace":"x","b":1,"a":1,"b":2}"#,
                "b is not known, a is not known, name is required, grace must be a whole number",
            ),
            (
                r#"{"seconds":"","cookie":1,"name":"a"}"#,
                "cookie must be true or false, seconds must be a whole number",
            ),
            (
                r#"{"cookie":1,"name":1,"name":"a"}"#,
                "name stands more than once, cookie must be true or false",
            ),
        ] {
            assert_eq!(told(json), all);
        }
    }

    #[test]
    fn a_name_that_is_unknown_is_shown_as_no_known_one() {
        // C2
        for name in [r"na\u0000me", r"\nname", r"name\u007f"] {
            let error = read(&format!(r#"{{"{name}":1,"name":"a"}}"#)).unwrap_err();
            let shown = &error.errors()[0].field;
            assert!(
                !shown.contains(char::is_control) && shown != "name",
                "{shown:?}"
            );
            assert_eq!(error.errors().len(), 1);
        }
    }

    #[test]
    fn of_thousands_of_unknown_members_no_more_are_kept_than_are_named() {
        // C2
        let members: Vec<String> = (0..7_000).map(|n| format!(r#""{n}":0"#)).collect();
        let json = format!(r#"{{{},"cookie":1}}"#, members.join(","));
        let (_, fields) = read_object::<Request>(&json).unwrap();
        let kept = format!("{fields:?}");
        assert!(kept.matches("is not known").count() < 1_000);
        assert!(fields.is_refused("cookie") && fields.is_refused("name"));
    }

    #[test]
    fn nothing_is_made_of_a_type_whose_required_members_are_no_texts() {
        #[derive(Debug, Deserialize)]
        #[allow(dead_code)]
        struct Counted {
            name: String,
            count: u32,
        }
        let (request, fields) = read_object::<Counted>("{}").unwrap();
        assert!(request.is_none());
        assert_eq!(fields.done().unwrap_err().errors().len(), 2);
    }

    #[test]
    fn a_body_is_one_object_with_known_members_once() {
        // C1
        check(
            r#"{"name":"a","cookie":true,"seconds":-1,"scopes":{"x":[1]}}"#,
            Ok(()),
        );
        check(r#" {"n\u0061me":"a"} "#, Ok(()));
        check("{}", Err("name is required"));
        check(r#"{"name":"a","nmae":1}"#, Err("nmae is not known"));
        check(
            r#"{"name":"a","name":"a"}"#,
            Err("name stands more than once"),
        );
        check(
            r#"{"name":"a","cookie":true,"cookie":true}"#,
            Err("cookie stands more than once"),
        );
        check(
            r#"{"name":"a","n\u0061me":"b"}"#,
            Err("name stands more than once"),
        );
        for json in ["[]", "null", "1", r#""a""#] {
            check(json, Err("The body must be a JSON object"));
        }
        for json in ["", "{", "{}}", "{} x", "{'name':1}", r#"{"name":}"#, "nul"] {
            check(json, Err("The body is not valid JSON"));
        }
    }

    #[test]
    fn a_member_of_another_type_is_named() {
        // C1
        for value in ["1", "null", "true", "[]", "{}"] {
            check(
                &format!(r#"{{"name":{value}}}"#),
                Err("name must be a string"),
            );
        }
        check(
            r#"{"name":"a","cookie":"true"}"#,
            Err("cookie must be true or false"),
        );
        check(
            r#"{"name":"a","cookie":null}"#,
            Err("cookie must be true or false"),
        );
        for value in ["1.0", "1e3", r#""1""#, "null", "99999999999999999999"] {
            let json = format!(r#"{{"name":"a","seconds":{value}}}"#);
            check(&json, Err("seconds must be a whole number"));
        }
        check(r#"{"name":"\ud800"}"#, Err("name cannot be read"));
    }

    #[test]
    fn a_number_is_whole_however_it_is_written() {
        // Section 3: `grace_seconds`
        let grace = |value: &str| {
            let json = format!(r#"{{"name":"a","grace":{value}}}"#);
            read(&json).map(|request| request.grace)
        };
        for (value, wanted) in [
            ("60", 60),
            ("60.0", 60),
            ("6e1", 60),
            ("-0.0", 0),
            ("-3.0", -3),
            ("9007199254740992.0", 9_007_199_254_740_992),
        ] {
            assert_eq!(grace(value).unwrap(), wanted, "{value}");
        }
        for value in [
            "0.5",
            "1e300",
            "9007199254740994.0",
            "18446744073709551615",
            r#""60""#,
            "true",
            "null",
            "[60]",
        ] {
            let error = grace(value).unwrap_err();
            assert_eq!(error.detail(), "grace must be a whole number", "{value}");
        }
    }

    #[test]
    fn a_refusal_never_repeats_a_value() {
        // K2
        let error = read(r#"{"name":"a","cookie":"s3cret, expected s3cret"}"#);
        assert!(!format!("{:?}", error.unwrap_err()).contains("s3cret"));
    }
}
