//! What is stored of a launch, so that a successor can find and follow it.

use crate::executor::TurnOrder;
use crate::executor::shared::Shared;
use crate::executor::stream::{Source, StreamReader};
use akk_core::redact;
use akk_proto::TurnId;
use akk_proto::conversation::Transport;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What adoption needs to know of a launch. Stored, so only ever added to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::executor) struct LaunchFacts {
    /// How it is spoken to.
    pub(in crate::executor) transport: Transport,
    /// The command line's words, redacted.
    pub(in crate::executor) command: Vec<String>,
    /// Digest of command, environment and workspace: whether a turn would start the same.
    pub(in crate::executor) recipe: String,
    /// How long it is kept without a turn, in milliseconds.
    pub(in crate::executor) warm_ms: u64,
    /// The agent session in it, once there is one.
    pub(in crate::executor) session: Option<SessionFacts>,
}

/// The agent session in a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::executor) struct SessionFacts {
    /// The agent's own id.
    pub(in crate::executor) id: String,
    /// `configOptions` and `models` as the agent told them last.
    pub(in crate::executor) settings: Value,
}

/// The reader's whole state at a checkpoint. Stored, so only ever added to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::executor) struct Reader {
    pub(in crate::executor) stream: StreamReader,
    /// The turn whose prompt was begun here and has not ended.
    pub(in crate::executor) turn: Option<TurnId>,
    /// Activities of this turn that were told.
    pub(in crate::executor) told: u32,
    /// Turns that ended in this process.
    pub(in crate::executor) turns: u32,
}

impl Reader {
    pub(super) fn new(transport: Transport) -> Self {
        let source = match transport {
            Transport::Acp => Source::Agent,
            Transport::Acpx => Source::Acpx,
            Transport::Codex => Source::CodexExec,
        };
        Self { stream: StreamReader::new(source), turn: None, told: 0, turns: 0 }
    }

    /// A prompt is about to be begun.
    pub(in crate::executor) fn begin(&mut self, turn: &TurnId) {
        self.stream.begin_turn();
        self.turn = Some(turn.clone());
        self.told = 0;
    }
}

/// Digest of what a process would be started with. The environment may hold secrets, so only its digest is kept.
pub(super) fn recipe(argv: &[String], environment: &BTreeMap<String, String>, order: &TurnOrder) -> String {
    let mut hash = Sha256::new();
    let workspace = order.workspace.to_string_lossy();
    let words = argv.iter().map(String::as_str).chain(["\0", workspace.as_ref()]);
    let variables = environment.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    for word in words.chain(variables) {
        hash.update((word.len() as u64).to_le_bytes());
        hash.update(word);
    }
    hex::encode(hash.finalize())
}

/// The digest that a launch for `order` would have.
pub(in crate::executor) fn recipe_of(shared: &Shared, order: &TurnOrder, argv: &[String]) -> String {
    recipe(argv, &(shared.context.environment)(order), order)
}

/// The words of a command line without secrets. A secret may follow its option as a word of its own.
pub(in crate::executor) fn redacted(argv: &[String]) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = "";
    for word in argv {
        let pair = redact::redact(&format!("{before} {word}"));
        let shown = pair.strip_prefix(&format!("{before} ")).map_or_else(|| redact::redact(word), str::to_owned);
        words.push(redact::cut(&shown, 200));
        before = word;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn a_secret_is_hidden_also_as_a_word_of_its_own() {
        let argv = ["agent", "--token", "abcdef123456", "--password=hunter2222", "--model", "gpt-x"].map(str::to_owned);
        let shown = redacted(&argv).join(" ");
        assert!(!shown.contains("abcdef") && !shown.contains("hunter"), "{shown}");
        assert!(shown.starts_with("agent --token ") && shown.ends_with(" --model gpt-x"), "{shown}");
    }
}
