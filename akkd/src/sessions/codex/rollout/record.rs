//! A record: `{timestamp, ordinal, type, payload}`, of which only what is asked for is taken apart.

use akk_proto::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The outside of a record.
#[derive(Debug)]
pub(in super::super) struct Record<'a> {
    timestamp: Option<Cow<'a, str>>,
    /// Its place in the thread's history; versions before 0.16x have none.
    pub(in super::super) ordinal: Option<u64>,
    /// `session_meta`, `turn_context`, `response_item`, `event_msg`, …
    pub(in super::super) kind: Cow<'a, str>,
    /// The inside, as JSON.
    pub(in super::super) payload: &'a str,
}

#[derive(Deserialize)]
struct Outside<'a> {
    #[serde(borrow)]
    timestamp: Option<Text<'a>>,
    ordinal: Option<u64>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

/// A text that is copied only where it has escapes.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Record<'a> {
    /// Reads a line; none when it is no record. The oldest versions wrote the inside alone, without a wrapper.
    pub(in super::super) fn parse(line: &'a [u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let outside: Outside<'a> = serde_json::from_str(line).ok()?;
        let kind = outside.kind.map(|k| k.0);
        let (kind, payload) = match (kind, outside.payload) {
            (Some(kind), Some(payload)) => (kind, payload.get()),
            (Some(_), None) => (Cow::Borrowed("response_item"), line),
            (None, _) => (Cow::Borrowed("session_meta"), line),
        };
        Some(Self { timestamp: outside.timestamp.map(|t| t.0), ordinal: outside.ordinal, kind, payload })
    }

    /// When it was written.
    pub(in super::super) fn at(&self) -> Option<Timestamp> {
        Some(self.timestamp.as_ref()?.parse::<jiff::Timestamp>().ok()?.into())
    }

    /// Whether this akkd knows records of its type, also those that tell it nothing.
    pub(in super::super) fn is_known(&self) -> bool {
        const KNOWN: [&str; 8] = [
            "session_meta",
            "turn_context",
            "response_item",
            "event_msg",
            "compacted",
            "world_state",
            "token_usage_record",
            "inter_agent_communication_metadata",
        ];
        KNOWN.contains(&self.kind.as_ref())
    }
}

/// The text that a JSON value is; none when it is another value.
pub(in super::super) fn plain_text(json: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(json.get()).ok().map(|t| t.0)
}
