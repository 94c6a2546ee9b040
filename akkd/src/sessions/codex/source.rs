//! Where a thread was started, as Codex writes it: a word, or JSON for sub-agents.

use akk_proto::session::SessionSource;
use serde_json::Value;

/// Where a thread was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// By whom.
    pub kind: SessionSource,
    /// The thread that started it.
    pub parent: Option<String>,
}

impl Default for Source {
    fn default() -> Self {
        Self { kind: SessionSource::Unknown, parent: None }
    }
}

impl Source {
    /// Reads what the column `source` holds: `cli`, `exec`, `vscode`, or JSON such as
    /// `{"subagent":{"thread_spawn":{"parent_thread_id":…}}}` and `{"internal":"guardian"}`.
    pub fn parse(text: &str) -> Self {
        match text.trim() {
            json if json.starts_with(['{', '"']) => {
                serde_json::from_str(json).map_or_else(|_| Self::default(), Self::of)
            }
            word => Self::word(word),
        }
    }

    /// Reads what `session_meta.source` holds: the same, as a value.
    pub(super) fn of(value: Value) -> Self {
        let Value::Object(source) = value else { return value.as_str().map_or_else(Self::default, Self::word) };
        let started = source.get("subagent").or_else(|| source.get("internal"));
        let Some(started) = started else { return Self::default() };
        let kind = if names_guardian(started) { SessionSource::Guardian } else { SessionSource::SubAgent };
        Self { kind, parent: parent(started) }
    }

    fn word(word: &str) -> Self {
        let kind = match word {
            "cli" => SessionSource::Cli,
            "exec" => SessionSource::Exec,
            "vscode" | "appServer" | "app_server" => SessionSource::Vscode,
            "subagent" | "internal" => SessionSource::SubAgent,
            "guardian" => SessionSource::Guardian,
            _ => SessionSource::Unknown,
        };
        Self { kind, parent: None }
    }
}

/// `"guardian"`, `{"other":"guardian"}`, `{"guardian":…}`.
fn names_guardian(started: &Value) -> bool {
    let is_guardian = |word: &str| word.starts_with("guardian");
    match started {
        Value::String(word) => is_guardian(word),
        Value::Object(how) => {
            how.iter().any(|(key, value)| is_guardian(key) || value.as_str().is_some_and(is_guardian))
        }
        _ => false,
    }
}

/// The thread that started it, wherever this version puts it.
fn parent(started: &Value) -> Option<String> {
    let named = |value: &Value| Some(value.get("parent_thread_id")?.as_str()?.to_owned());
    named(started).or_else(|| started.as_object()?.values().find_map(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_says_who_started_it() {
        for (text, kind) in [
            ("cli", SessionSource::Cli),
            ("exec", SessionSource::Exec),
            ("vscode", SessionSource::Vscode),
            ("\"cli\"", SessionSource::Cli),
            ("", SessionSource::Unknown),
            ("something new", SessionSource::Unknown),
            ("{\"custom\":\"x\"}", SessionSource::Unknown),
            ("{ broken", SessionSource::Unknown),
        ] {
            assert_eq!(Source::parse(text), Source { kind, parent: None }, "{text}");
        }
    }

    #[test]
    fn a_sub_agent_names_its_parent() {
        let text = r#"{"subagent":{"thread_spawn":{"parent_thread_id":"p-1","depth":1,"agent_nickname":"Erdos"}}}"#;
        assert_eq!(Source::parse(text), Source { kind: SessionSource::SubAgent, parent: Some("p-1".into()) });
        assert_eq!(Source::parse(r#"{"subagent":"review"}"#).kind, SessionSource::SubAgent);
        assert_eq!(Source::parse(r#"{"internal":"memory_consolidation"}"#).kind, SessionSource::SubAgent);
    }

    #[test]
    fn a_guardian_is_told_from_other_sub_agents() {
        for text in [r#"{"internal":"guardian"}"#, r#"{"subagent":{"other":"guardian"}}"#, r#"{"subagent":"guardian"}"#]
        {
            assert_eq!(Source::parse(text).kind, SessionSource::Guardian, "{text}");
        }
        let text = r#"{"subagent":{"guardian":{"parent_thread_id":"p-2"}}}"#;
        assert_eq!(Source::parse(text), Source { kind: SessionSource::Guardian, parent: Some("p-2".into()) });
    }
}
