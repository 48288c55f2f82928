//! Bodies in Kubernetes' Protobuf form, which newer `kubectl` sends for objects that it makes itself.
//!
//! Only what `kubectl create`, `kubectl auth` and `kubectl delete` send is described here. A value
//! in a field that is not described is refused, never dropped.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::error::{ApiError, ApiResult};

/// What the bytes begin with; an envelope with the kind and the object follows.
const MAGIC: &[u8] = b"k8s\0";

/// The fields of a message, each as its number, JSON name and type.
fn described(message: &str) -> Option<&'static str> {
    let mut lines = include_str!("protobuf.txt").lines().filter_map(|line| line.split_once(": "));
    lines.find(|(name, _)| *name == message).map(|(_, fields)| fields)
}

/// One field as it stands in the bytes.
enum Raw<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The object in a body of the type `application/vnd.kubernetes.protobuf`.
pub(crate) fn decode(body: &[u8]) -> ApiResult<Value> {
    let broken = || ApiError::bad_request("the body is no object in Protobuf form");
    let body = body.strip_prefix(MAGIC).ok_or_else(broken)?;
    let (mut version, mut kind, mut raw) = (Value::Null, String::new(), &[][..]);
    for (number, field) in fields(body).ok_or_else(broken)? {
        match (number, field) {
            (1, Raw::Bytes(bytes)) => {
                let meta = message("TypeMeta", bytes)?;
                version = meta["apiVersion"].clone();
                meta["kind"].as_str().unwrap_or_default().clone_into(&mut kind);
            }
            (2, Raw::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let mut object = message(&kind, raw)?;
    object["apiVersion"] = version;
    object["kind"] = json!(kind);
    Ok(object)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Raw<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let raw = match tag & 7 {
            0 => Raw::Number(varint(&mut bytes)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Raw::Bytes(value)
            }
            // Kubernetes' messages have no other types.
            _ => return None,
        };
        fields.push((tag >> 3, raw));
    }
    Some(fields)
}

fn message(name: &str, bytes: &[u8]) -> ApiResult<Value> {
    let Some(described) = described(name) else {
        let message = format!("the development cluster reads {name} as JSON only, not as Protobuf");
        return Err(ApiError::new(415, "UnsupportedMediaType", message));
    };
    let broken = || ApiError::bad_request(format!("the Protobuf of {name} is broken"));
    let mut object = Map::new();
    for (number, raw) in fields(bytes).ok_or_else(broken)? {
        let described = described.split(',').find_map(|field| {
            let mut words = field.split_whitespace();
            let same = words.next()?.parse() == Ok(number);
            Some((words.next()?, words.next()?)).filter(|_| same)
        });
        let is_zero = matches!(raw, Raw::Number(0) | Raw::Bytes(&[]));
        match described {
            None if is_zero => {}
            None => {
                tracing::info!(message = name, number, "a field that the development cluster does not read");
                return Err(ApiError::not_supported());
            }
            Some((field, kind)) => add(&mut object, field, kind, &raw)?,
        }
    }
    Ok(Value::Object(object))
}

fn text(bytes: &[u8]) -> ApiResult<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| ApiError::bad_request("a text is no UTF-8"))
}

fn add(object: &mut Map<String, Value>, field: &str, kind: &str, raw: &Raw) -> ApiResult<()> {
    let value = match (kind, raw) {
        ("-", _) | ("i" | "b", Raw::Number(0)) | ("s", Raw::Bytes([])) => return Ok(()),
        // Negative numbers are written as the unsigned number with the same bits.
        ("i" | "I", Raw::Number(number)) => json!(number.cast_signed()),
        ("b" | "B", Raw::Number(number)) => json!(*number != 0),
        ("s", Raw::Bytes(bytes)) => json!(text(bytes)?),
        ("x", Raw::Bytes(bytes)) => number_or_text(bytes)?,
        ("m" | "y" | "q", Raw::Bytes(bytes)) => {
            let (key, value) = entry(kind, bytes)?;
            object.entry(field).or_insert_with(|| json!({}))[key] = value;
            return Ok(());
        }
        (repeated, Raw::Bytes(bytes)) if repeated.starts_with('*') => {
            let item = match &repeated[1..] {
                "s" => json!(text(bytes)?),
                name => message(name, bytes)?,
            };
            if let Some(items) = object.entry(field).or_insert_with(|| json!([])).as_array_mut() {
                items.push(item);
            }
            return Ok(());
        }
        (name, Raw::Bytes(bytes)) => message(name, bytes)?,
        (_, Raw::Number(_)) => {
            return Err(ApiError::bad_request(format!("{field} is a number in the Protobuf")));
        }
    };
    object.insert(field.to_owned(), value);
    Ok(())
}

fn entry(kind: &str, bytes: &[u8]) -> ApiResult<(String, Value)> {
    let broken = || ApiError::bad_request("a map in the Protobuf is broken");
    let (mut key, mut value) = (String::new(), &[][..]);
    for (number, raw) in fields(bytes).ok_or_else(broken)? {
        match (number, raw) {
            (1, Raw::Bytes(bytes)) => key = text(bytes)?,
            (2, Raw::Bytes(bytes)) => value = bytes,
            _ => return Err(broken()),
        }
    }
    let value = match kind {
        "y" => json!(base64::engine::general_purpose::STANDARD.encode(value)),
        "m" => json!(text(value)?),
        _ => match fields(value).ok_or_else(broken)?.as_slice() {
            [(1, Raw::Bytes(quantity))] => json!(text(quantity)?),
            _ => return Err(broken()),
        },
    };
    Ok((key, value))
}

fn number_or_text(bytes: &[u8]) -> ApiResult<Value> {
    let (mut is_text, mut number, mut words) = (false, 0, String::new());
    for (field, raw) in fields(bytes).unwrap_or_default() {
        match (field, raw) {
            (1, Raw::Number(kind)) => is_text = kind == 1,
            (2, Raw::Number(value)) => number = value.cast_signed(),
            (3, Raw::Bytes(bytes)) => words = text(bytes)?,
            _ => {}
        }
    }
    Ok(if is_text { json!(words) } else { json!(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field with a length, as the wire has it; lengths here are below 128.
    fn bytes(number: u8, value: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(value.len()).unwrap()], value].concat()
    }

    fn body(kind: &str, object: &[u8]) -> Vec<u8> {
        let meta = [bytes(1, b"v1"), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &meta), bytes(2, object), bytes(3, b""), bytes(4, b"")].concat()
    }

    #[test]
    fn object_is_read_and_empty_fields_are_left_out() {
        let label = [bytes(1, b"a"), bytes(2, b"b")].concat();
        let metadata = [bytes(1, b"team"), bytes(2, b""), bytes(11, &label), vec![7 << 3, 0]].concat();
        let object = [bytes(1, &metadata), bytes(2, b""), bytes(3, b"")].concat();
        let expected = json!({
            "apiVersion": "v1", "kind": "Namespace", "spec": {}, "metadata": {"name": "team", "labels": {"a": "b"}},
        });
        assert_eq!(decode(&body("Namespace", &object)).unwrap(), expected);
    }

    #[test]
    fn what_is_not_described_is_refused() {
        let code = |body: &[u8]| decode(body).unwrap_err().code();
        assert_eq!(code(b"nonsense"), 400);
        assert_eq!(code(&body("Namespace", &[0x0a, 0x7f])), 400);
        assert_eq!(code(&body("Widget", b"")), 415);
        assert_eq!(code(&body("Namespace", &bytes(9, b"x"))), 501);
        assert!(decode(&body("Namespace", &bytes(9, b""))).is_ok());
    }

    #[test]
    fn every_message_named_is_described() {
        let lines = include_str!("protobuf.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            let (name, fields) = line.split_once(": ").unwrap();
            for field in fields.split(',') {
                let words = field.split_whitespace().collect::<Vec<_>>();
                let kind = words[2].trim_start_matches('*');
                let known = kind.len() == 1 || described(kind).is_some();
                assert!(words.len() == 3 && words[0].parse::<u64>().is_ok() && known, "{name}: {field}");
            }
        }
    }
}
