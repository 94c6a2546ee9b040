//! A line taken apart: one call, a notification, a batch, or what is wrong with it.

use super::failure;
use akk_proto::error::Failure;
use jsonrpsee::core::server::MethodResponse;
use jsonrpsee::types::{Id, Params};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Longest id of a request, in bytes. It comes back in the answer.
const MAX_ID_BYTES: usize = 256;

/// A call, owned, so that the line it came in can be let go.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: Id<'static>,
    pub(super) method: String,
    pub(super) params: Params<'static>,
}

/// What one JSON value asks for.
#[derive(Debug)]
pub(super) enum Request {
    Call(Call),
    /// It wants no answer; akkd has no use for it.
    Notification,
    /// It is answered with this error.
    Refused(MethodResponse),
}

/// What a line holds.
#[derive(Debug)]
pub(super) enum Message {
    Single(Request),
    Batch(Vec<Request>),
    /// Not even JSON, or a batch that is none.
    Refused(MethodResponse),
}

/// The members of a request, each still as JSON, so that a wrong one can be named.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

/// Tells `"id": null`, a call, from no id, a notification.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Takes `line` apart. A batch has `max_batch` entries at most.
pub(super) fn parse(line: &[u8], max_batch: usize) -> Message {
    let text = match std::str::from_utf8(line) {
        Ok(text) => text.trim_ascii(),
        Err(e) => return Message::Refused(failure::not_json(&e.to_string())),
    };
    if !text.starts_with('[') {
        return match single(text) {
            Ok(request) => Message::Single(request),
            Err(e) => Message::Refused(failure::not_json(&e.to_string())),
        };
    }
    match count(text) {
        Err(e) => Message::Refused(failure::not_json(&e.to_string())),
        Ok(0) => Message::Refused(failure::answer(Id::Null, failure::invalid_request("the batch is empty"))),
        Ok(n) if n > max_batch => Message::Refused(failure::answer(Id::Null, failure::too_large_batch(max_batch))),
        Ok(_) => match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(entries) => Message::Batch(entries.iter().map(|e| entry(e.get())).collect()),
            Err(e) => Message::Refused(failure::not_json(&e.to_string())),
        },
    }
}

fn entry(text: &str) -> Request {
    single(text).unwrap_or_else(|e| Request::Refused(failure::not_json(&e.to_string())))
}

/// The request in `text`; an error when it is not JSON at all.
fn single(text: &str) -> Result<Request, serde_json::Error> {
    let envelope = match serde_json::from_str::<Envelope<'_>>(text) {
        Ok(envelope) => envelope,
        // It is JSON, but not an object, or one that names a member twice.
        Err(e) if e.is_data() => {
            serde_json::from_str::<IgnoredAny>(text)?;
            let what = if text.starts_with('{') { e.to_string() } else { "the message is not an object".to_owned() };
            return Ok(Request::Refused(failure::answer(Id::Null, failure::invalid_request(what))));
        }
        Err(e) => return Err(e),
    };
    let (Ok(id) | Err((id, _))) = &id_of(envelope.id);
    let answer_to = id.clone();
    Ok(match request(envelope) {
        Ok(Some(call)) => Request::Call(call),
        Ok(None) => Request::Notification,
        Err(failure) => Request::Refused(failure::answer(answer_to, failure)),
    })
}

fn request(envelope: Envelope<'_>) -> Result<Option<Call>, Failure> {
    let version = envelope.jsonrpc.and_then(|v| serde_json::from_str::<Cow<'_, str>>(v.get()).ok());
    if version.as_deref() != Some("2.0") {
        return Err(failure::invalid_request("`jsonrpc` is not \"2.0\""));
    }
    let method = envelope.method.and_then(|m| serde_json::from_str::<String>(m.get()).ok());
    let Some(method) = method else { return Err(failure::invalid_request("`method` is not a string")) };
    let notification = envelope.id.is_none();
    let id = id_of(envelope.id).map_err(|(_, failure)| failure)?;
    if notification {
        return Ok(None);
    }
    let params = positional(&method, envelope.params.map(RawValue::get))?;
    Ok(Some(Call { id, method, params: Params::new(Some(&params)).into_owned() }))
}

/// The id; for a wrong one null and what is wrong with it.
fn id_of(id: Option<&RawValue>) -> Result<Id<'static>, (Id<'static>, Failure)> {
    let Some(id) = id else { return Ok(Id::Null) };
    if id.get().len() > MAX_ID_BYTES {
        let what = format!("`id` is longer than {MAX_ID_BYTES} bytes");
        return Err((Id::Null, failure::invalid_request(what)));
    }
    match serde_json::from_str::<Id<'_>>(id.get()) {
        Ok(id) => Ok(id.into_owned()),
        Err(_) => Err((Id::Null, failure::invalid_request("`id` is neither a string nor a whole number"))),
    }
}

/// The parameters as jsonrpsee's generated tables take them: an array with one object.
fn positional<'p>(method: &str, params: Option<&'p str>) -> Result<Cow<'p, str>, Failure> {
    let hint = "Give the parameters as one object, by name: \"params\": {\"name\": value}.";
    let Some(params) = params else { return Ok(Cow::Borrowed("[{}]")) };
    match params.as_bytes().first() {
        Some(b'{') => Ok(Cow::Owned(format!("[{params}]"))),
        Some(b'[') => match count(params) {
            Ok(0) => Ok(Cow::Borrowed("[{}]")),
            Ok(1) => Ok(Cow::Borrowed(params)),
            _ => Err(failure::invalid_params(method, "`params` has more than one element", hint)),
        },
        _ => Err(failure::invalid_params(method, "`params` is not an object", hint)),
    }
}

/// How many elements the JSON array `text` has.
fn count(text: &str) -> serde_json::Result<usize> {
    struct Count;
    impl<'de> Visitor<'de> for Count {
        type Value = usize;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<usize, A::Error> {
            let mut n = 0;
            while seq.next_element::<IgnoredAny>()?.is_some() {
                n += 1;
            }
            Ok(n)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let n = Deserializer::deserialize_seq(&mut deserializer, Count)?;
    deserializer.end()?;
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn call(line: &str) -> Call {
        match parse(line.as_bytes(), 4) {
            Message::Single(Request::Call(call)) => call,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn refusal(line: &str) -> serde_json::Value {
        match parse(line.as_bytes(), 4) {
            Message::Refused(r) | Message::Single(Request::Refused(r)) => serde_json::from_str(r.as_ref()).unwrap(),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn parameters_by_name_by_place_or_absent_become_one_object() {
        for (params, expected) in [
            (r#","params":{"a":1}"#, r#"[{"a":1}]"#),
            (r#","params":[{"a":1}]"#, r#"[{"a":1}]"#),
            (r#","params":[ ]"#, "[{}]"),
            (r#","params":null"#, "[{}]"),
            ("", "[{}]"),
        ] {
            let call = call(&format!(r#" {{"jsonrpc":"2.0","id":"x","method":"m"{params}}} "#));
            assert_eq!(call.params.as_str(), Some(expected));
            assert_eq!((call.method.as_str(), call.id), ("m", Id::Str("x".into())));
        }
    }

    #[test]
    fn what_is_wrong_with_a_request_is_said_with_its_id_where_it_can_be_read() {
        for (line, id, code, message) in [
            ("junk", "null", -32700, "the line is not JSON: expected value"),
            ("{\"a\":", "null", -32700, "the line is not JSON: EOF"),
            ("{} {}", "null", -32700, "the line is not JSON: trailing characters"),
            ("5", "null", -32600, "the message is not an object"),
            ("[1,2", "null", -32700, "the line is not JSON: EOF"),
            ("[]", "null", -32600, "the batch is empty"),
            ("[1,2,3,4,5]", "null", -32017, "the batch has more than 4 entries"),
            (r#"{"id":7,"method":"m"}"#, "7", -32600, "`jsonrpc` is not \"2.0\""),
            (r#"{"jsonrpc":"1.0","id":7,"method":"m"}"#, "7", -32600, "`jsonrpc` is not \"2.0\""),
            (r#"{"jsonrpc":2.0,"id":7,"method":"m"}"#, "7", -32600, "`jsonrpc` is not \"2.0\""),
            (r#"{"jsonrpc":"2.0","id":7}"#, "7", -32600, "`method` is not a string"),
            (r#"{"jsonrpc":"2.0","id":7,"method":5}"#, "7", -32600, "`method` is not a string"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"m"}"#, "null", -32600, "`id` is neither"),
            (r#"{"jsonrpc":"2.0","id":[],"method":"m"}"#, "null", -32600, "`id` is neither"),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#, "null", -32600, "duplicate field `id`"),
            (r#"{"jsonrpc":"2.0","id":7,"method":"m","params":5}"#, "7", -32602, "m: `params` is not an object"),
            (r#"{"jsonrpc":"2.0","id":7,"method":"m","params":[{},{}]}"#, "7", -32602, "m: `params` has more than one"),
        ] {
            let v = refusal(line);
            assert_eq!(v["id"].to_string(), id, "{line}");
            assert_eq!(v["error"]["code"], code, "{line}: {v}");
            let said = v["error"]["message"].as_str().unwrap();
            assert!(said.starts_with(message), "{line}: {said}");
            assert!(v["error"]["data"]["kind"].is_string() && v["error"]["data"]["hint"].is_string(), "{v}");
        }
        let v = refusal(&format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"m"}}"#, "x".repeat(1000)));
        assert_eq!(v["error"]["message"], "`id` is longer than 256 bytes");
        assert!(matches!(parse(b"\xff{}", 4), Message::Refused(_)));
    }

    #[test]
    fn a_request_without_an_id_wants_no_answer_and_one_with_null_does() {
        let parsed = parse(br#"{"jsonrpc":"2.0","method":"m"}"#, 4);
        assert!(matches!(parsed, Message::Single(Request::Notification)), "{parsed:?}");
        assert_eq!(call(r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#).id, Id::Null);
    }

    #[test]
    fn a_batch_keeps_its_good_entries() {
        let line = br#"[{"jsonrpc":"2.0","id":1,"method":"m"}, 5, {"jsonrpc":"2.0","method":"n"}]"#;
        let Message::Batch(entries) = parse(line, 4) else { panic!("no batch") };
        assert!(matches!(entries.as_slice(), [Request::Call(_), Request::Refused(_), Request::Notification]));
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = "[".repeat(1 << 20);
        refusal(&deep);
        let line = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":[{deep}{}]}}"#, "]".repeat(1 << 20));
        call(&line);
    }

    /// Lines of the protocol, whole, changed in one byte, or cut; and lines of nothing.
    fn any_line() -> impl Strategy<Value = Vec<u8>> {
        let value = prop::sample::select(vec![
            "7",
            "-1",
            "1e400",
            "null",
            "\"x\"",
            "\"\\ud800\"",
            "[]",
            "{}",
            "[{},1]",
            "{\"a\":[{\"b\":null}]}",
            "1.5",
            "\"2.0\"",
        ]);
        let name = prop::sample::select(vec!["jsonrpc", "id", "method", "params", "else", "\\u0069d"]);
        let members = prop::collection::vec((name, value), 0..6);
        let single = members.prop_map(|m| {
            let m: Vec<String> = m.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
            format!("{{{}}}", m.join(","))
        });
        let good = Just(r#"{"jsonrpc":"2.0","id":7,"method":"m","params":{"a":"b"}}"#.to_owned());
        let one = prop_oneof![single, good];
        let whole =
            prop_oneof![one.clone(), prop::collection::vec(one, 0..7).prop_map(|all| format!("[{}]", all.join(","))),];
        let changed = (whole.clone(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>()).prop_map(
            |(line, at, byte, cut)| {
                let mut line = line.into_bytes();
                let at = at.index(line.len());
                line[at] = byte;
                line.truncate(if cut { at } else { line.len() });
                line
            },
        );
        prop_oneof![
            2 => whole.prop_map(String::into_bytes),
            3 => changed,
            1 => prop::collection::vec(any::<u8>(), 0..100),
        ]
    }

    proptest! {
        #[test]
        fn whatever_a_line_holds_it_is_a_call_or_is_refused_on_one_line_with_kind_and_hint(line in any_line()) {
            let requests = match parse(&line, 4) {
                Message::Single(request) => vec![request],
                Message::Refused(response) => vec![Request::Refused(response)],
                Message::Batch(all) => {
                    prop_assert!((1..=4).contains(&all.len()));
                    all
                }
            };
            for request in requests {
                match request {
                    Request::Call(call) => {
                        let params = call.params.as_str().unwrap_or_default();
                        prop_assert!(params.starts_with('[') && params.ends_with(']'), "{}", params);
                    }
                    Request::Notification => {}
                    Request::Refused(response) => {
                        prop_assert!(!response.as_ref().contains('\n'));
                        let said: serde_json::Value = serde_json::from_str(response.as_ref()).unwrap();
                        let data = &said["error"]["data"];
                        prop_assert!(data["kind"].is_string() && data["hint"].is_string(), "{}", said);
                    }
                }
            }
        }
    }
}
