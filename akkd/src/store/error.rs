//! What can go wrong in the store, and what a user is told about it.

use super::AnsweredRequest;
use akk_proto::ConversationId;
use akk_proto::error::{ErrorKind, Failure};
use std::path::PathBuf;

/// What went wrong in the store. Cheap to clone: one fault of the disk answers a whole group of calls.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// The state was built on another event than the newest one. Nothing was written: load it again.
    #[error("{conversation_id} changed meanwhile: built on event {base}, the store has {stored}")]
    Conflict {
        /// Whose.
        conversation_id: ConversationId,
        /// What the commit was built on.
        base: u64,
        /// What the store has; 0 when it has no such conversation.
        stored: u64,
    },
    /// The repeat-safe call was answered before. Nothing was written.
    #[error("the call {} was answered before", .0.request_id)]
    RepeatedRequest(Box<AnsweredRequest>),
    /// A row of one conversation cannot be read. Others are not concerned.
    #[error("the record of {conversation_id} cannot be read: {what}")]
    Corrupt {
        /// Whose.
        conversation_id: ConversationId,
        /// Which row, and why.
        what: String,
    },
    /// There is no such conversation, launch, delivery.
    #[error("there is no {what}")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// A shortened or left-out id fits several conversations.
    #[error("{}", ambiguous(text, candidates, *more))]
    Ambiguous {
        /// What was asked for; empty when the id was left out.
        text: String,
        /// What it fits, newest activity first, five at most.
        candidates: Vec<ConversationId>,
        /// Whether it fits more than these.
        more: bool,
    },
    /// The conversation was to be deleted and is open.
    #[error("{conversation_id} is open")]
    StillOpen {
        /// Which.
        conversation_id: ConversationId,
    },
    /// The conversation was to be deleted, and the orchestrator has not been told everything.
    #[error("{count} of the reports of {conversation_id} have not been told")]
    Undelivered {
        /// Which.
        conversation_id: ConversationId,
        /// How many.
        count: u64,
    },
    /// The mark of a page is none that the store made.
    #[error("{token:?} is not the mark of a page")]
    BadPageMark {
        /// What was given, cut at 80 characters.
        token: String,
    },
    /// The database was written by a newer akkd. It was not touched.
    #[error("{} has schema {found}, this akkd knows {known}", path.display())]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version of this akkd.
        known: u32,
    },
    /// The file is not akkd's database. It was not touched.
    #[error("{} is not a database of akkd", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is a symlink, no regular file, or another user's. It was not touched.
    #[error("{} is not safe to open: {why}", path.display())]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: String,
    },
    /// The disk is full. Nothing was written.
    #[error("the disk that holds the database is full")]
    Full,
    /// The disk or the file is read-only. Nothing was written.
    #[error("the database cannot be written: {detail}")]
    ReadOnly {
        /// What SQLite said.
        detail: String,
    },
    /// The disk failed. Whether a commit was written is unknown: load the conversation again.
    #[error("the disk failed: {detail}")]
    Io {
        /// What SQLite or the system said.
        detail: String,
    },
    /// Another program holds the database.
    #[error("another program holds the database: {detail}")]
    Busy {
        /// What SQLite said.
        detail: String,
    },
    /// The database file is damaged.
    #[error("the database is damaged: {detail}")]
    Damaged {
        /// What SQLite said.
        detail: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A defect in akkd.
    #[error("the store failed: {detail}")]
    Defect {
        /// What SQLite said.
        detail: String,
    },
}

impl StoreError {
    /// The error for something that is not there.
    pub(super) fn not_found(kind: &str, id: impl std::fmt::Display) -> Self {
        Self::NotFound { what: format!("{kind} {id}") }
    }

    /// The error for a row of `conversation_id` that does not parse.
    pub(super) fn corrupt(conversation_id: &ConversationId, what: impl std::fmt::Display) -> Self {
        Self::Corrupt { conversation_id: conversation_id.clone(), what: what.to_string() }
    }

    /// Whether the fault lies under the store, so that a whole group of commits shares it.
    pub(super) fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Full | Self::ReadOnly { .. } | Self::Io { .. } | Self::Busy { .. })
    }
}

fn ambiguous(text: &str, candidates: &[ConversationId], more: bool) -> String {
    let names: Vec<&str> = candidates.iter().map(ConversationId::as_str).collect();
    let names = names.join(", ");
    let rest = if more { ", and more" } else { "" };
    if text.is_empty() {
        format!("several conversations are open: {names}{rest}")
    } else {
        format!("{text:?} fits several conversations: {names}{rest}")
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let detail = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { detail },
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Self::Io { detail },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { detail },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { detail },
            _ => Self::Defect { detail },
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full,
            std::io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { detail: error.to_string() },
            _ => Self::Io { detail: error.to_string() },
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        let (kind, hint) = match &error {
            StoreError::Conflict { .. } => (ErrorKind::Internal, "Try again; if it comes back, report it."),
            StoreError::RepeatedRequest(_) => {
                (ErrorKind::InvalidParams, "Give each call a request id of its own; a repeat must be the same call.")
            }
            StoreError::Corrupt { .. } => (
                ErrorKind::Storage,
                "Other conversations are not concerned; start the task anew, and report it with the message above.",
            ),
            StoreError::NotFound { .. } => (ErrorKind::NotFound, "See `akkctl list --all` for what there is."),
            StoreError::Ambiguous { .. } => (ErrorKind::AmbiguousId, "Give more of the id."),
            StoreError::StillOpen { .. } => (ErrorKind::WrongStatus, "Close it first: `akkctl close ID`."),
            StoreError::Undelivered { .. } => (
                ErrorKind::WrongStatus,
                "See `akkctl deliveries`: wait until they are told, or say with `akkctl deliveries ack ID` that one need not be.",
            ),
            StoreError::BadPageMark { .. } => {
                (ErrorKind::InvalidParams, "Give `after` exactly as the former page's `next` said.")
            }
            StoreError::NewerSchema { .. } => {
                (ErrorKind::Storage, "Install the newer version of akkd again; the database was not changed.")
            }
            StoreError::Foreign { .. } => {
                (ErrorKind::Storage, "Move that file away, or set AKK_HOME to another directory; it was not changed.")
            }
            StoreError::Unsafe { .. } => {
                (ErrorKind::Storage, "Look who put it there, and move it away; it was not changed.")
            }
            StoreError::Full => {
                (ErrorKind::Storage, "Free some space on that disk and try again; nothing was recorded.")
            }
            StoreError::ReadOnly { .. } => {
                (ErrorKind::Storage, "Make the state directory writable again and try again; nothing was recorded.")
            }
            StoreError::Io { .. } => (
                ErrorKind::Storage,
                "Look at the disk and the system's log; then see with `akkctl status` what was recorded.",
            ),
            StoreError::Busy { .. } => {
                (ErrorKind::Storage, "End the other program that has akk.db open, and try again; nothing was recorded.")
            }
            StoreError::Damaged { .. } => (
                ErrorKind::Storage,
                "Stop akkd, keep a copy of akk.db, and repair it with `sqlite3 akk.db .recover` or move it away.",
            ),
            StoreError::Closed => (ErrorKind::Stopping, "Try again when akkd runs again."),
            StoreError::Defect { .. } => (ErrorKind::Internal, "This is a defect in akkd; report it with the log."),
        };
        let failure = Self::new(kind, message, hint);
        match error {
            StoreError::Ambiguous { candidates, .. } => {
                let names: Vec<String> = candidates.iter().map(ToString::to_string).collect();
                failure.with("candidates", names)
            }
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_tells_the_user_what_to_do() {
        let f = Failure::from(StoreError::Full);
        assert_eq!(f.kind, ErrorKind::Storage);
        assert!(f.hint.contains("Free some space"), "{}", f.hint);
    }

    #[test]
    fn faults_of_sqlite_keep_their_kind() {
        let of = |code| StoreError::from(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None));
        assert_eq!(of(rusqlite::ffi::SQLITE_FULL), StoreError::Full);
        assert!(matches!(of(rusqlite::ffi::SQLITE_READONLY_DBMOVED), StoreError::ReadOnly { .. }));
        assert!(matches!(of(rusqlite::ffi::SQLITE_IOERR_FSYNC), StoreError::Io { .. }));
        assert!(matches!(of(rusqlite::ffi::SQLITE_CORRUPT), StoreError::Damaged { .. }));
        assert!(matches!(of(rusqlite::ffi::SQLITE_CONSTRAINT), StoreError::Defect { .. }));
    }

    #[test]
    fn an_ambiguous_id_names_what_it_fits() {
        let id = |n| ConversationId::new(akk_proto::Timestamp(0), n);
        let e = StoreError::Ambiguous { text: "task-1".into(), candidates: vec![id(1), id(2)], more: true };
        assert_eq!(
            e.to_string(),
            "\"task-1\" fits several conversations: task-19700101T000000-00000001, task-19700101T000000-00000002, and more"
        );
        assert_eq!(Failure::from(e).details["candidates"][1], "task-19700101T000000-00000002");
    }
}
