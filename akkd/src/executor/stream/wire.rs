//! The shape of a line, borrowed from it: only what is looked at is ever copied.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A JSON-RPC message of any kind.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) method: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) params: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) result: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
}

/// Parameters of `session/update`, and of every other method that names a session.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UpdateParams<'a> {
    #[serde(borrow)]
    pub(super) session_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) update: Option<Update<'a>>,
}

/// One update: the members of all kinds together, because a member of an unexpected type must not cost the others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Update<'a> {
    #[serde(borrow, rename = "sessionUpdate")]
    pub(super) what: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_call_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) title: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) kind: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) status: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) raw_input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) raw_output: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) entries: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) used: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) size: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) cost: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) description: Option<&'a RawValue>,
    #[serde(borrow, rename = "_meta")]
    pub(super) meta: Option<&'a RawValue>,
}

/// A block of content: text, or the path of a changed file.
#[derive(Deserialize)]
pub(super) struct Block<'a> {
    #[serde(borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) path: Option<&'a RawValue>,
}

/// What codex-acp says of itself beside the protocol.
#[derive(Deserialize)]
pub(super) struct Meta<'a> {
    #[serde(borrow)]
    pub(super) codex: Option<CodexMeta<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CodexMeta<'a> {
    /// `commentary` or `final_answer`: what a piece of text is.
    #[serde(borrow)]
    pub(super) phase: Option<&'a RawValue>,
    /// `{type: "active" | "idle" | "systemError" | …}`.
    #[serde(borrow)]
    pub(super) thread_status: Option<&'a RawValue>,
}

#[derive(Deserialize)]
pub(super) struct Typed<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<&'a RawValue>,
}

/// The parts of a request for permission that an answer needs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PermissionParams<'a> {
    #[serde(borrow)]
    pub(super) session_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) options: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) tool_call: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PermissionTool<'a> {
    #[serde(borrow)]
    pub(super) tool_call_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) title: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) kind: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PermissionOption<'a> {
    #[serde(borrow)]
    pub(super) option_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) kind: Option<&'a RawValue>,
}

/// Parameters of `$/cancel_request`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CancelRequest<'a> {
    #[serde(borrow)]
    pub(super) request_id: Option<&'a RawValue>,
}

/// The client's answer to a request for permission.
#[derive(Deserialize)]
pub(super) struct PermissionAnswer<'a> {
    #[serde(borrow)]
    pub(super) outcome: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PermissionOutcome<'a> {
    #[serde(borrow)]
    pub(super) outcome: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) option_id: Option<&'a RawValue>,
}

/// The parts of an answer that are kept when it is huge.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    #[serde(borrow)]
    pub(super) stop_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) session_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
}

/// `raw` as a structure, none when it has another form.
pub(super) fn parse<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// `raw` as text, borrowed where no escape stands in it; none when it is no string.
pub(super) fn text(raw: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let json = raw?.get();
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(json).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

/// The items of a JSON array, `max` at most; none when it is no array.
pub(super) fn items(raw: Option<&RawValue>, max: usize) -> Vec<&RawValue> {
    struct Items<'a>(Vec<&'a RawValue>, usize);
    impl<'de: 'a, 'a> serde::de::Visitor<'de> for Items<'a> {
        type Value = Vec<&'a RawValue>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array")
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(mut self, mut seq: A) -> Result<Self::Value, A::Error> {
            while self.0.len() < self.1 {
                match seq.next_element()? {
                    Some(item) => self.0.push(item),
                    None => return Ok(self.0),
                }
            }
            // What is left over is looked through, not kept.
            while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
            Ok(self.0)
        }
    }
    let Some(raw) = raw else { return Vec::new() };
    let mut json = serde_json::Deserializer::from_str(raw.get());
    serde::Deserializer::deserialize_seq(&mut json, Items(Vec::new(), max)).unwrap_or_default()
}
