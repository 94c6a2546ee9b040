//! What a rollout's first record says of its thread.

use super::super::source::Source;
use super::compressed::stream;
use super::lines::{Forward, Line};
use super::record::Record;
use akk_proto::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};

/// A first record is about 22 KB long.
const USUAL: usize = 32 << 10;

/// The `session_meta` record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The thread's id.
    pub id: String,
    /// Where it began.
    pub cwd: Option<PathBuf>,
    /// When it began.
    pub created_at: Option<Timestamp>,
    /// Where it was started.
    pub source: Source,
    /// The program that started it, in its own words.
    pub originator: Option<String>,
    /// The version of Codex that made it.
    pub cli_version: Option<String>,
    /// The thread whose history it begins with.
    pub forked_from: Option<String>,
    /// Where that history lies: it is not copied.
    pub history_base: Option<HistoryBase>,
}

/// The history that a forked thread begins with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HistoryBase {
    /// The thread in whose rollout it lies.
    pub thread_id: String,
    /// The first `ordinal` there that does not belong to it.
    pub end_ordinal_exclusive: Option<u64>,
    /// Bytes of that rollout, not compressed, that belong to it.
    pub end_byte_offset: Option<u64>,
}

/// Values, because another version's type must not cost the rest.
#[derive(Deserialize)]
struct Meta {
    id: Value,
    #[serde(default)]
    timestamp: Value,
    #[serde(default)]
    cwd: Value,
    #[serde(default)]
    originator: Value,
    #[serde(default)]
    source: Value,
    #[serde(default)]
    cli_version: Value,
    #[serde(default)]
    forked_from_id: Value,
    #[serde(default)]
    parent_thread_id: Value,
    #[serde(default)]
    history_base: Value,
}

/// Reads the first record, of which the agent's instructions are the most. None when it is no `session_meta` that can be
/// read.
///
/// # Errors
/// The file cannot be opened, read or decoded.
pub fn head(path: &Path) -> io::Result<Option<Head>> {
    let mut lines = Forward::in_blocks(USUAL, stream(path)?);
    let Some(Line::Whole(line) | Line::Open(line)) = lines.next()? else { return Ok(None) };
    Ok(Record::parse(line).as_ref().and_then(of))
}

fn of(record: &Record<'_>) -> Option<Head> {
    if record.kind != "session_meta" {
        return None;
    }
    let meta: Meta = serde_json::from_str(record.payload).ok()?;
    let text = |value: Value| match value {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    };
    let mut source = Source::of(meta.source);
    source.parent = source.parent.or(text(meta.parent_thread_id));
    let began = text(meta.timestamp).and_then(|t| t.parse::<jiff::Timestamp>().ok());
    Some(Head {
        id: text(meta.id)?,
        cwd: text(meta.cwd).map(PathBuf::from),
        created_at: began.map(Timestamp::from).or_else(|| record.at()),
        source,
        originator: text(meta.originator),
        cli_version: text(meta.cli_version),
        forked_from: text(meta.forked_from_id),
        history_base: serde_json::from_value(meta.history_base).ok(),
    })
}
