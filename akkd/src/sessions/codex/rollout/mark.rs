//! What records say of a thread's turns.

use super::record::{Record, plain_text};
use super::rights::{Recorded, Rights};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::PathBuf;
use std::sync::LazyLock;

/// The settings of a turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnSettings {
    /// Where it works.
    pub cwd: Option<PathBuf>,
    /// The model.
    pub model: Option<String>,
    /// What it may do.
    pub rights: Rights,
    /// When a person is asked: `never`, `on-request` and the like.
    pub approval: Option<String>,
}

/// A record that says something of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    Started,
    Ended,
    Settings(TurnSettings),
}

/// One of these stands in every record that is a [`Mark`]. Inside a text a quote has a backslash before it, so that
/// nothing that was said looks like one.
static SIGNS: LazyLock<[Finder<'static>; 6]> = LazyLock::new(|| {
    [
        "\"turn_context\"",
        "\"task_started\"",
        "\"task_complete\"",
        "\"turn_aborted\"",
        "\"turn_started\"",
        "\"turn_complete\"",
    ]
    .map(Finder::new)
});

/// What a line says of a turn; nothing for most. An error when it seems to and cannot be read.
pub(super) fn mark(line: &[u8]) -> Result<Option<Mark>, Unreadable> {
    if !line.starts_with(b"{") || !line.ends_with(b"}") {
        return Err(Unreadable);
    }
    if !SIGNS.iter().any(|sign| sign.find(line).is_some()) {
        return Ok(None);
    }
    let record = Record::parse(line).ok_or(Unreadable)?;
    match record.kind.as_ref() {
        "turn_context" => Ok(Some(Mark::Settings(settings(record.payload).ok_or(Unreadable)?))),
        "event_msg" => {
            let event: Event<'_> = serde_json::from_str(record.payload).map_err(|_| Unreadable)?;
            Ok(match plain_text(event.kind).as_deref() {
                Some("task_started" | "turn_started") => Some(Mark::Started),
                Some("task_complete" | "turn_complete" | "turn_aborted") => Some(Mark::Ended),
                _ => None,
            })
        }
        _ => Ok(None),
    }
}

/// A line that is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: &'a RawValue,
}

#[derive(Deserialize)]
struct Context<'a> {
    #[serde(borrow)]
    cwd: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    approval_policy: Option<&'a RawValue>,
}

fn settings(payload: &str) -> Option<TurnSettings> {
    let context: Context<'_> = serde_json::from_str(payload).ok()?;
    let recorded = serde_json::from_str::<Recorded<'_>>(payload);
    let text = |json: Option<&RawValue>| Some(plain_text(json?)?.into_owned()).filter(|t| !t.is_empty());
    Some(TurnSettings {
        cwd: text(context.cwd).map(PathBuf::from),
        model: text(context.model),
        rights: recorded.map_or(Rights::Unknown, |recorded| recorded.rights()),
        approval: text(context.approval_policy),
    })
}
