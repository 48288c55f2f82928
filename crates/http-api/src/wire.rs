//! From a body's JSON to a request type. serde's own messages name no field;
//! this reads the members one by one, so that every refusal does (contract C1,
//! C2), and never repeats a value: it may be a password.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, MapAccess, Unexpected, Visitor,
        value::StrDeserializer,
    },
};
use serde_json::value::RawValue;

use crate::error::{ApiError, ErrorCode, FieldError};

/// Reads a request type from the text of a JSON object.
pub(crate) fn read_object<T: DeserializeOwned>(json: &str) -> Result<T, ApiError> {
    let members: Members = serde_json::from_str(json).map_err(|error| {
        let detail = if error.is_data() {
            "The body must be a JSON object"
        } else {
            "The body is not valid JSON"
        };
        ApiError::new(ErrorCode::InvalidBody, detail)
    })?;
    T::deserialize(&members).map_err(|MemberError(error)| ApiError::field(error))
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
        // A name is foreign text: it is cut so that the answer stays short.
        let shown = field.chars().filter(|c| !c.is_control()).take(64);
        Self(FieldError::new(shown.collect::<String>(), "is not known"))
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

    fn check(json: &str, expected: Result<(), &str>) {
        let found = read_object::<Request>(json).map(|_| ());
        let found = found.as_ref().copied().map_err(ApiError::detail);
        assert_eq!(found, expected, "{json}");
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
            read_object::<Request>(&json).map(|request| request.grace)
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
        let error = read_object::<Request>(r#"{"name":"a","cookie":"s3cret, expected s3cret"}"#);
        assert!(!format!("{:?}", error.unwrap_err()).contains("s3cret"));
    }
}
