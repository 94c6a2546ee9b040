//! What the scriptable agent wrote down about what happened to it.

use serde::Deserialize;
use std::path::PathBuf;

/// The log of every scriptable agent of a home.
#[derive(Debug, Clone)]
pub struct AgentLog(pub PathBuf);

/// One line of it.
#[derive(Debug, Clone, Deserialize)]
pub struct Line {
    /// What happened: `start`, `session`, `prompt`, `answer`, `callback`, `cancel`, `permission`, `overlap`, `spawn`, `deaf` …
    pub ev: String,
    /// The agent process.
    pub pid: u32,
    /// The rest.
    #[serde(flatten)]
    pub facts: serde_json::Map<String, serde_json::Value>,
}

impl Line {
    /// One of its facts, as text; empty when it is not there.
    pub fn text(&self, name: &str) -> &str {
        self.facts.get(name).and_then(serde_json::Value::as_str).unwrap_or_default()
    }
}

impl AgentLog {
    /// Every line, oldest first. The last one may be half written: it is left out then.
    pub fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The lines about one kind of event.
    pub fn all(&self, event: &str) -> Vec<Line> {
        self.lines().into_iter().filter(|l| l.ev == event).collect()
    }

    /// The prompts whose message says exactly this.
    pub fn prompts(&self, body: &str) -> Vec<Line> {
        self.all("prompt").into_iter().filter(|l| l.text("body") == body).collect()
    }
}
