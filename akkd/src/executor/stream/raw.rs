//! Parts of a line taken as they stand, and of a huge one no more than is needed.

use super::reader::{CUT, MAX_ID_CHARS, MAX_OPTIONS};
use super::seen::{RpcError, Seen};
use super::tools::word;
use super::wire;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Results and parameters up to this many bytes are given whole; of larger ones, what an owner needs.
const MAX_WHOLE_BYTES: usize = 512 << 10;

pub(super) fn rpc_error(raw: &RawValue) -> RpcError {
    #[derive(Deserialize)]
    struct Raw<'a> {
        code: Option<i64>,
        #[serde(borrow)]
        message: Option<&'a RawValue>,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    let told: Option<Raw<'_>> = wire::parse(Some(raw));
    let message = told.as_ref().and_then(|t| wire::text(t.message)).map(|m| cut(&m, 4000));
    RpcError {
        code: told.as_ref().and_then(|t| t.code).unwrap_or(0),
        message: message.unwrap_or_else(|| cut(raw.get(), 400)),
        data: told.and_then(|t| t.data).filter(|d| d.get().len() <= 64 << 10).and_then(|d| wire::parse(Some(d))),
    }
}

/// A result; of a huge one what an owner needs.
pub(super) fn whole_or_answer(result: Option<&RawValue>) -> Value {
    let Some(raw) = result else { return Value::Null };
    if raw.get().len() <= MAX_WHOLE_BYTES {
        return wire::parse(Some(raw)).unwrap_or(Value::Null);
    }
    let answer: Option<wire::Answer<'_>> = wire::parse(result);
    let Some(a) = answer else { return Value::Null };
    json!({ "stopReason": word(a.stop_reason, MAX_ID_CHARS), "sessionId": word(a.session_id, MAX_ID_CHARS) })
}

/// The request that is taken back.
pub(super) fn withdrawn(params: Option<&RawValue>) -> Vec<Seen> {
    let told: Option<wire::CancelRequest<'_>> = wire::parse(params);
    let id = told.and_then(|t| wire::parse(t.request_id));
    id.map(|id| Seen::Withdrawn { id }).into_iter().collect()
}

/// Parameters of a request; of huge ones what an answer to a request for permission needs.
pub(super) fn whole_or_needed(params: Option<&RawValue>) -> Value {
    let Some(raw) = params else { return Value::Null };
    if raw.get().len() <= MAX_WHOLE_BYTES {
        return wire::parse(Some(raw)).unwrap_or(Value::Null);
    }
    let told: Option<wire::PermissionParams<'_>> = wire::parse(params);
    let Some(told) = told else { return Value::Null };
    let tool: Option<wire::PermissionTool<'_>> = wire::parse(told.tool_call);
    let options: Vec<Value> = wire::items(told.options, MAX_OPTIONS)
        .into_iter()
        .filter(|o| o.get().len() <= 4 << 10)
        .filter_map(|o| serde_json::from_str(o.get()).ok())
        .collect();
    json!({
        "sessionId": word(told.session_id, MAX_ID_CHARS),
        "options": options,
        "toolCall": tool.map(|t| json!({
            "toolCallId": word(t.tool_call_id, MAX_ID_CHARS),
            "title": word(t.title, 4000),
            "kind": word(t.kind, MAX_ID_CHARS),
            CUT: true,
        })),
    })
}

/// A request's id as text: strings as they are, numbers in digits.
pub(super) fn id_text(raw: &RawValue) -> String {
    let text = wire::text(Some(raw)).unwrap_or(Cow::Borrowed(raw.get()));
    cut(&text, MAX_ID_CHARS)
}

pub(super) fn cut(text: &str, max_chars: usize) -> String {
    text.chars().take(max_chars).collect()
}
