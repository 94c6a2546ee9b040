//! Its folders and files.

use super::{events, state};
use crate::error::{Error, Result};
use akk_proto::ConversationId;
use akk_proto::import::ImportParams;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Largest `state.json` that is read, in bytes. It holds one message at most.
const MAX_STATE: u64 = 16 << 20;
/// Largest `events.ndjson` that is read, in bytes. It holds each message twice.
const MAX_EVENTS: u64 = 64 << 20;

/// The store: a folder with a folder for each conversation.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

/// What stands in a conversation's folder.
#[derive(Debug)]
pub(crate) struct Found {
    /// The folder's name.
    pub(crate) name: String,
    /// The conversation, or why it cannot be read, as a sentence without a full stop.
    pub(crate) conversation: Result<ImportParams, String>,
    /// What of its history could not be read.
    pub(crate) notes: Vec<String>,
}

impl Store {
    /// The store in `folder`, which may also be the folder that holds its `conversations`.
    ///
    /// # Errors
    /// When it is no folder or cannot be read.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let inner = folder.join("conversations");
        let folder = if inner.is_dir() { inner } else { folder.to_owned() };
        std::fs::read_dir(&folder).map_err(|e| Error::file("read", &folder, e))?;
        Ok(Self { folder })
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The names of the folders in it, oldest conversation first. Links are not followed, other files are not its.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let unreadable = |e| Error::file("read", &self.folder, e);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Reads one conversation; none where the folder holds no `state.json` and so is none.
    pub(crate) fn read(&self, name: &str) -> Option<Found> {
        let folder = self.folder.join(name);
        let path = folder.join("state.json");
        if matches!(path.symlink_metadata(), Err(e) if e.kind() == io::ErrorKind::NotFound) {
            return None;
        }
        let mut notes = Vec::new();
        let conversation = conversation(name, &folder, &path, &mut notes);
        Some(Found { name: name.to_owned(), conversation, notes })
    }
}

fn conversation(name: &str, folder: &Path, state: &Path, notes: &mut Vec<String>) -> Result<ImportParams, String> {
    let text = read_file(state, MAX_STATE).map_err(|e| format!("state.json cannot be read: {e}"))?;
    let state = state::read(&text).map_err(|e| format!("state.json cannot be understood: {e}"))?;
    let id = &state.conversation_id;
    let id = ConversationId::parse(id.as_str()).map_err(|e| format!("state.json cannot be understood: {e}"))?;
    if id.as_str() != name {
        return Err(format!("state.json is of another conversation, {id}"));
    }
    let history = match read_file(&folder.join("events.ndjson"), MAX_EVENTS) {
        Ok(text) => events::read(&text, &id, &state, notes),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            notes.push("there is no events.ndjson: its history is lost".to_owned());
            Vec::new()
        }
        // Without its history it would not be kept.
        Err(e) => return Err(format!("events.ndjson cannot be read: {e}")),
    };
    Ok(state.into_params(id, history))
}

/// A plain file, whole, `limit` bytes at most.
fn read_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: a pipe would be waited for.
    if !path.symlink_metadata()?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("it is larger than {} MiB", limit >> 20)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use akk_proto::conversation::Status;
    use akk_proto::import::ImportEntry;
    use akk_proto::message::MessageType;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    const ID: &str = "task-20260620T140525-0a1b2c3d";

    fn state(status: &str) -> Value {
        json!({
            "conversation_id": ID, "user_request": "paint the shed", "openclaw_session": "agent:main:main",
            "claude_session": "bidirectional", "workspace": "/w", "status": status, "response_rounds_used": 2,
            "executor": {"kind": "codex", "actor": "codex", "session": "akk-codex-1", "display_name": "Codex",
                "transport": "acpx"},
            "soft_limit": 50, "hard_limit": 100, "created_at": "2026-06-20T12:05:25.000Z",
            "updated_at": "2026-06-20T12:15:25.000Z", "gateway_token": "secret-of-the-gateway",
            "callback_command": "akk callback", "executor_model": "gpt-5[medium]"
        })
    }

    fn message(id: &str, from: &str, to: &str, kind: &str, body: &str) -> Value {
        let message = json!({
            "id": id, "ts": "2026-06-20T12:06:00.000Z", "conversation_id": ID, "from": from, "to": to, "type": kind,
            "requires_response": kind != "done", "round": 1, "max_rounds": 50, "body": body, "metadata": {"workspace": "/w"}
        });
        json!({"ts": message["ts"], "conversation_id": ID, "event": "message", "body": body, "message": message})
    }

    struct Old(tempfile::TempDir);

    impl Old {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn put(&self, name: &str, state: &str, events: &str) -> PathBuf {
            let folder = self.0.path().join("conversations").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("state.json"), state).unwrap();
            std::fs::write(folder.join("events.ndjson"), events).unwrap();
            folder
        }

        fn read(&self) -> Vec<Found> {
            let store = Store::open(self.0.path()).unwrap();
            store.names().unwrap().iter().filter_map(|name| store.read(name)).collect()
        }

        fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
            let folder = self.0.path().join("conversations").join(ID);
            std::fs::read_dir(folder)
                .unwrap()
                .map(|e| e.unwrap().path())
                .map(|p| (p.clone(), std::fs::read(p).unwrap()))
                .collect()
        }
    }

    #[test]
    fn a_conversation_is_read_with_its_history_and_nothing_is_written() {
        let old = Old::new();
        let events = [
            json!({"ts": "2026-06-20T12:05:25.000Z", "conversation_id": ID, "event": "conversation_created"}),
            message("msg-00000000-0000-4000-8000-000000000001", "openclaw", "codex", "task", "paint the shed"),
            json!({"ts": "2026-06-20T12:06:01.000Z", "event": "executor_launch", "executor": {"kind": "codex"}}),
            message("mine-7", "codex", "openclaw", "done", "it is painted"),
        ];
        let lines = events.map(|e| e.to_string()).join("\n");
        old.put(ID, &state("idle").to_string(), &lines);
        let before = old.files();
        let found = old.read().remove(0);
        assert_eq!(before, old.files());
        assert_eq!(found.notes, Vec::<String>::new());
        let params = found.conversation.unwrap();
        assert_eq!((params.conversation_id.as_str(), params.status, params.rounds_used), (ID, Status::Idle, 2));
        assert_eq!((params.agent.as_str(), params.session.as_deref()), ("codex", Some("akk-codex-1")));
        assert_eq!(params.model.as_deref(), Some("gpt-5[medium]"));
        assert_eq!(params.orchestrator.as_deref(), Some("agent:main:main"));
        let said: Vec<_> = params
            .history
            .iter()
            .filter_map(|e| match e {
                ImportEntry::Message { message } => Some((message.kind, message.body.as_str())),
                ImportEntry::Event { .. } => None,
            })
            .collect();
        assert_eq!(said, [(MessageType::Task, "paint the shed"), (MessageType::Done, "it is painted")]);
        let ImportEntry::Message { message } = &params.history[2] else { panic!() };
        assert_eq!(
            message.metadata["predecessor_id"], "mine-7",
            "an id that is none of ours is kept beside one that is"
        );
        let sent = serde_json::to_string(&params).unwrap();
        assert!(!sent.contains("secret-of-the-gateway"), "{sent}");
        let again = old.read().remove(0).conversation.unwrap();
        assert_eq!(again, params, "the same words each time, so that a repeat is one");
    }

    #[test]
    fn damage_is_said_and_what_is_whole_is_read() {
        let old = Old::new();
        let good = message("msg-00000000-0000-4000-8000-000000000001", "openclaw", "codex", "task", "paint");
        let foreign = message("msg-00000000-0000-4000-8000-000000000002", "cursor", "openclaw", "done", "x");
        let torn = format!("{good}\nnot json\n{good}\n{foreign}\n{{\"event\":\"mess");
        old.put(ID, &state("running").to_string(), &torn);
        old.put("task-20260620T140525-0a1b2c3e", "{", "");
        old.put("task-20260620T140525-0a1b2c3f", &state("idle").to_string(), "");
        old.put("task-20260620T140526-00000000", &state("no such status").to_string(), "");
        std::fs::create_dir(old.0.path().join("conversations/empty")).unwrap();
        std::fs::write(old.0.path().join("conversations/a file"), "").unwrap();
        let found = old.read();
        let names: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.conversation.is_ok())).collect();
        assert_eq!(
            names,
            [
                (ID, true),
                ("task-20260620T140525-0a1b2c3e", false),
                ("task-20260620T140525-0a1b2c3f", false),
                ("task-20260620T140526-00000000", false),
            ]
        );
        assert_eq!(found[0].conversation.as_ref().unwrap().history.len(), 1);
        assert_eq!(found[0].notes.len(), 4, "{:?}", found[0].notes);
        assert!(found[0].notes[0].starts_with("line 2 of events.ndjson"), "{:?}", found[0].notes);
        assert!(found[2].conversation.as_ref().unwrap_err().contains("another conversation"));
    }

    #[test]
    fn a_pipe_or_a_link_in_the_place_of_a_file_is_not_opened() {
        let old = Old::new();
        let folder = old.put(ID, "", "");
        std::fs::remove_file(folder.join("state.json")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(folder.join("state.json")).status().unwrap();
        assert!(made.success());
        assert!(old.read()[0].conversation.as_ref().unwrap_err().contains("not a plain file"));
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        assert!(Store::open(Path::new("/no/such/folder")).is_err());
    }
}
