//! `akkctl daemon logs`: one line of akkd's NDJSON log, readable.

use super::View;
use super::terminal::{ALERT, BUSY, DIM, WARN};
use super::text::one_line;
use akk_proto::Timestamp;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Names under which a log line may hold its moment.
const TIMES: [&str; 5] = ["timestamp", "ts", "time", "utc", "time_utc"];

/// The line for people; what is no JSON object is shown as it is.
pub(crate) fn log_line(line: &str, view: &View) -> String {
    let Ok(Value::Object(mut record)) = serde_json::from_str(line) else {
        return format!("{}\n", one_line(line));
    };
    let mut take = |names: &[&str]| names.iter().find_map(|n| record.remove(*n));
    let at = take(&TIMES).as_ref().and_then(Value::as_str).and_then(|t| t.parse::<jiff::Timestamp>().ok());
    let level = take(&["level"]);
    let level = level.as_ref().and_then(Value::as_str).unwrap_or("INFO").to_uppercase();
    let target = take(&["target"]);
    // The reader's own zone is shown.
    take(&["local", "time_local"]);
    let fields = take(&["fields"]);
    if let Some(Value::Object(fields)) = fields {
        record.extend(fields);
    }
    let message = record.remove("message");
    let clock = at.map_or_else(|| "-".to_owned(), |at| view.clock(Timestamp::from(at)));
    let style = match level.as_str() {
        "ERROR" => ALERT,
        "WARN" => WARN,
        "INFO" => BUSY,
        _ => DIM,
    };
    let mut out = format!("{} {}", view.paint(DIM, &clock), view.paint(style, &format!("{level:<5}")));
    if let Some(target) = target.as_ref().and_then(Value::as_str) {
        let _ = write!(out, " {}", view.paint(DIM, &one_line(target)));
    }
    if let Some(message) = &message {
        let _ = write!(out, " {}", plain(message));
    }
    let rest = pairs(&record);
    if !rest.is_empty() {
        let _ = write!(out, " {}", view.paint(DIM, &rest));
    }
    out.push('\n');
    out
}

fn pairs(record: &Map<String, Value>) -> String {
    let pairs = record.iter().filter(|(_, v)| !v.is_null());
    pairs.map(|(k, v)| format!("{}={}", one_line(k), plain(v))).collect::<Vec<_>>().join(" ")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => one_line(s),
        other => one_line(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn a_log_line_shows_time_level_message_and_the_rest_as_pairs() {
        let lines = [
            r#"{"timestamp":"2026-06-20T14:00:00.5Z","level":"INFO","target":"akkd::socket","fields":{"message":"listening","path":"/run/akk","clients":3}}"#,
            r#"{"ts":"2026-06-19T14:00:00Z","local":"x","level":"warn","message":"agent \u001b[2J is slow","span":{"a":1}}"#,
            r"thread 'main' panicked at x.rs",
            r#"{"level":"ERROR"}"#,
        ];
        let view = samples::view();
        let text: String = lines.iter().map(|l| log_line(l, &view)).collect();
        insta::assert_snapshot!(text);
    }
}
