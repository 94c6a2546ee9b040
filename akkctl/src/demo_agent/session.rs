//! Sessions of the demo agent: model, effort, history, on disk where asked.

use super::options::Options;
use super::wire::{RpcError, locked};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

const EFFORTS: [&str; 3] = ["low", "medium", "high"];

/// What of a session survives the process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) cwd: PathBuf,
    pub(super) model: Option<String>,
    pub(super) effort: String,
    /// The heads of its prompts, oldest first.
    pub(super) prompts: Vec<String>,
}

/// A session.
pub(super) struct Session {
    pub(super) id: String,
    pub(super) kept: Mutex<Kept>,
    /// The MCP servers that the client offered last.
    pub(super) servers: Mutex<Vec<Value>>,
    /// The turn that runs now.
    pub(super) turn: Mutex<Option<Arc<Cancel>>>,
}

impl Session {
    pub(super) fn new(id: String, kept: Kept) -> Self {
        Self { id, kept: Mutex::new(kept), servers: Mutex::default(), turn: Mutex::default() }
    }

    pub(super) fn model(&self) -> Option<String> {
        locked(&self.kept).model.clone()
    }

    /// Takes what `session/new`, `load` and `resume` offer.
    pub(super) fn take_offer(&self, params: &Value) {
        *locked(&self.servers) = params["mcpServers"].as_array().cloned().unwrap_or_default();
    }

    /// What `session/new`, `load` and `resume` tell about it besides its id.
    pub(super) fn describe(&self, options: &Options) -> Value {
        let mut state = json!({"configOptions": self.config_options(options)});
        if options.legacy_models && !options.models.is_empty() {
            let models: Vec<_> = options.models.iter().map(|m| json!({"modelId": m, "name": m})).collect();
            state["models"] = json!({"currentModelId": self.model(), "availableModels": models});
        }
        state
    }

    pub(super) fn config_options(&self, options: &Options) -> Value {
        let kept = locked(&self.kept);
        let select = |id: &str, name: &str, category: &str, current: &str, values: &[&str]| {
            let values: Vec<_> = values.iter().map(|v| json!({"value": v, "name": v})).collect();
            json!({"id": id, "name": name, "category": category, "type": "select", "currentValue": current, "options": values})
        };
        let effort = select("effort", "Reasoning effort", "thought_level", &kept.effort, &EFFORTS);
        let models: Vec<&str> = options.models.iter().map(String::as_str).collect();
        match &kept.model {
            Some(model) if !options.legacy_models => {
                json!([select("model", "Model", "model", model, &models), effort])
            }
            _ => json!([effort]),
        }
    }

    /// Sets the model.
    ///
    /// # Errors
    /// With the models that there are, when it is none of them.
    pub(super) fn set_model(&self, options: &Options, model: &str) -> Result<(), RpcError> {
        if !options.models.iter().any(|m| m == model) {
            let message = format!("unknown model {model}; available: {}", options.models.join(", "));
            return Err(RpcError::new(-32602, message).with(json!({"available": options.models})));
        }
        locked(&self.kept).model = Some(model.to_owned());
        Ok(())
    }

    /// Sets the reasoning effort.
    ///
    /// # Errors
    /// With the efforts that there are, when it is none of them.
    pub(super) fn set_effort(&self, effort: &str) -> Result<(), RpcError> {
        if !EFFORTS.contains(&effort) {
            let message = format!("unknown effort {effort}; available: {}", EFFORTS.join(", "));
            return Err(RpcError::new(-32602, message).with(json!({"available": EFFORTS})));
        }
        effort.clone_into(&mut locked(&self.kept).effort);
        Ok(())
    }

    /// Writes it to the store, if there is one.
    pub(super) fn save(&self, store: Option<&Path>) -> io::Result<()> {
        let Some(store) = store else { return Ok(()) };
        std::fs::create_dir_all(store)?;
        let text = serde_json::to_vec(&*locked(&self.kept))?;
        // Renamed into place: the agent may be killed at any moment, and tests do it.
        let unfinished = store.join(format!("{}.tmp", self.id));
        std::fs::write(&unfinished, text)?;
        std::fs::rename(unfinished, file(store, &self.id))
    }

    /// Reads it from the store. The id comes from outside: only a plain one names a file.
    pub(super) fn read(store: &Path, id: &str) -> Option<Self> {
        let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let text = plain.then(|| std::fs::read(file(store, id)).ok())??;
        Some(Self::new(id.to_owned(), serde_json::from_slice(&text).ok()?))
    }
}

fn file(store: &Path, id: &str) -> PathBuf {
    store.join(format!("{id}.json"))
}

/// Whether a turn was cancelled, and a way to wait for it.
#[derive(Default)]
pub(super) struct Cancel {
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Cancel {
    pub(super) fn ask(&self) {
        *locked(&self.asked) = true;
        self.changed.notify_all();
    }

    pub(super) fn is_asked(&self) -> bool {
        *locked(&self.asked)
    }

    /// Waits for `time` or for the cancel, whichever comes first.
    pub(super) fn wait(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut asked = locked(&self.asked);
        while !*asked {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            asked = self.changed.wait_timeout(asked, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
