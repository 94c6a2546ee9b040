//! What a home holds: its thread rows, completed from rollouts that have no row (older and other versions of Codex, a
//! database that cannot be read).

use super::context;
use super::home::CodexHome;
use super::index::{KnownBy, Shared, Thread};
use super::resume::NotResumable;
use super::rollout::{self, Head, RolloutFile};
use super::threads::{self, ThreadRow, ThreadsError};
use crate::sessions::ContextLimits;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use uuid::Uuid;

/// Why a session that nothing was said in cannot be resumed.
pub(super) const SILENT: &str = "nothing was said in it yet: it has no records";

/// Characters of a title.
const TITLE: usize = 200;

/// What a home holds at one moment.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Its sessions.
    pub(super) threads: HashMap<Uuid, Thread>,
    /// Why its database could not be read, in a sentence; it is listed from its rollouts then.
    pub(super) database: Option<String>,
    /// Folders that could not be read, in sentences.
    pub(super) folders: Vec<String>,
    /// The version of Codex that made the newest session.
    pub(super) version: Option<String>,
}

/// How big a file is, and when it was written last in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    /// Bytes.
    pub(super) size: u64,
    /// Milliseconds since the epoch.
    pub(super) at_ms: i64,
}

impl Written {
    /// Of the file at `path`; none where there is none.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        let at_ms = meta.mtime().saturating_mul(1000).saturating_add(meta.mtime_nsec() / 1_000_000);
        Some(Self { size: meta.size(), at_ms })
    }
}

/// Looks at a home. One that is not there holds nothing.
pub(super) fn survey(home: &CodexHome, shared: &mut Shared) -> Survey {
    let mut survey = Survey::default();
    let (files, unread) = rollout::list(home);
    survey.folders = unread.iter().map(|(path, error)| format!("cannot read {}: {error}", path.display())).collect();
    let mut by_id: HashMap<Uuid, RolloutFile> = HashMap::with_capacity(files.len());
    for file in files {
        let Some(id) = parse_id(&file.thread_id) else { continue };
        match by_id.get(&id) {
            // Codex leaves two for a moment while it compresses, or puts away.
            Some(other) if (other.compressed, other.archived) <= (file.compressed, file.archived) => {}
            _ => drop(by_id.insert(id, file)),
        }
    }
    let rows = match threads::read_all(home) {
        Ok(rows) => rows,
        Err(error) => {
            survey.database = Some(error.to_string());
            Vec::new()
        }
    };
    let mut newest = i64::MIN;
    for row in rows {
        // Anything that is no UUID is not made by Codex, and it would not resume it.
        let Some(id) = parse_id(&row.id) else { continue };
        let thread = from_row(&row, by_id.remove(&id).as_ref(), shared);
        if thread.updated_ms > newest && row.cli_version.is_some() {
            (newest, survey.version) = (thread.updated_ms, row.cli_version);
        }
        survey.threads.insert(id, thread);
    }
    for (id, file) in by_id {
        let head = head_of(&file.path);
        let thread = from_rollout(&file, head.as_ref(), shared);
        if let Some(version) = head.and_then(|h| h.cli_version).filter(|_| thread.updated_ms > newest) {
            (newest, survey.version) = (thread.updated_ms, Some(version));
        }
        survey.threads.insert(id, thread);
    }
    survey
}

/// One session as its row and its rollout show it now; none where it has neither.
///
/// # Errors
/// The database is there and cannot be read.
pub(super) fn one(
    home: &CodexHome,
    id: Uuid,
    rollout: Option<&Path>,
    shared: &mut Shared,
) -> Result<Option<Thread>, ThreadsError> {
    let row = threads::read_one(home, &id.to_string())?;
    let noted = rollout.filter(|p| p.is_file()).or_else(|| row.as_ref().and_then(|r| r.rollout_path.as_deref()));
    let file = rollout::find(home, &id.to_string(), noted);
    Ok(match (row, file) {
        (Some(row), file) => Some(from_row(&row, file.as_ref(), shared)),
        (None, Some(file)) => {
            let mut thread = from_rollout(&file, head_of(&file.path).as_ref(), shared);
            thread.title = title_of(home, &file.path);
            Some(thread)
        }
        (None, None) => None,
    })
}

/// A session's first record, as far as that can be read: a file that another process is about to write has none yet.
pub(super) fn head_of(path: &Path) -> Option<Head> {
    rollout::head(path).ok().flatten()
}

/// A session that has a row.
pub(super) fn from_row(row: &ThreadRow, file: Option<&RolloutFile>, shared: &mut Shared) -> Thread {
    // A row may name a place outside of the folders.
    let path = file.map(|f| f.path.as_path()).or(row.rollout_path.as_deref());
    let written = path.and_then(Written::of);
    let archived = row.archived || file.is_some_and(|f| f.archived);
    let updated_ms = row.updated_ms.max(row.recency_ms).or(written.map(|w| w.at_ms)).unwrap_or(0);
    Thread {
        cwd: Some(shared.directory(&row.cwd)),
        title: row.title.as_deref().map(Into::into),
        created_ms: row.created_ms,
        updated_ms,
        archived,
        model: row.model.as_deref().map(|m| shared.word(m)),
        model_ms: 0,
        source: row.source.kind,
        originator: row.originator.as_deref().map(|o| shared.word(o)),
        parent: row.source.parent.as_deref().and_then(parse_id),
        rollout: written.and(path).map(Into::into),
        seen: written.map_or(0, |w| w.size),
        lack: lack(archived, written.is_some()).map(|l| shared.word(&l.to_string())),
        known_by: KnownBy::Row,
    }
}

/// A session that has no row.
pub(super) fn from_rollout(file: &RolloutFile, head: Option<&Head>, shared: &mut Shared) -> Thread {
    let written = Written::of(&file.path);
    let mut lack = lack(file.archived, written.is_some());
    if head.is_none() {
        lack.get_or_insert_with(|| NotResumable::Unreadable("its first record is not one that Codex writes".into()));
    } else if head.is_some_and(|h| h.cwd.is_none()) {
        lack.get_or_insert(NotResumable::NoDirectory);
    }
    let mut thread = Thread::unknown(KnownBy::Rollout, lack.map(|l| shared.word(&l.to_string())));
    thread.updated_ms = written.map_or(0, |w| w.at_ms);
    thread.archived = file.archived;
    thread.rollout = Some(file.path.as_path().into());
    thread.seen = written.map_or(0, |w| w.size);
    if let Some(head) = head {
        thread.cwd = head.cwd.as_deref().map(|cwd| shared.directory(cwd));
        thread.created_ms = head.created_at.map(|t| t.0);
        thread.source = head.source.kind;
        thread.originator = head.originator.as_deref().map(|o| shared.word(o));
        thread.parent = head.source.parent.as_deref().and_then(parse_id);
    }
    thread
}

/// What stands against a resume, as far as it is seen without reading the rollout.
fn lack(archived: bool, rollout: bool) -> Option<NotResumable> {
    match (archived, rollout) {
        (true, _) => Some(NotResumable::Archived),
        (false, false) => Some(NotResumable::NoRollout),
        (false, true) => None,
    }
}

/// What stands for the title of a session that has no row: its first words, one line. Reads the rollout's two ends.
pub(super) fn title_of(home: &CodexHome, rollout: &Path) -> Option<Box<str>> {
    let limits = ContextLimits { messages: 4, commands: 0, chars: 2 * TITLE };
    let said = context::context(home, rollout, limits).ok()?;
    let first = said.messages.iter().find(|m| m.role == "user")?;
    let line: Vec<&str> = first.text.split_whitespace().collect();
    let line: String = line.join(" ").chars().filter(|c| !c.is_control()).collect();
    (!line.is_empty()).then(|| akk_core::redact::cut(&line, TITLE).into())
}

/// The id that `text` is: a UUID with hyphens, and nothing else.
pub(super) fn parse_id(text: &str) -> Option<Uuid> {
    // Other spellings of a UUID name no session: Codex would start a new one.
    (text.len() == uuid::fmt::Hyphenated::LENGTH).then(|| Uuid::try_parse(text).ok()).flatten()
}
