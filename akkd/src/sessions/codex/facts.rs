//! One session, and those that run, looked at now.

use super::descent;
use super::holders::{self, Look};
use super::home::CodexHome;
use super::index::{Key, KnownBy, Live, Query, Shared, Thread};
use super::provider::CodexSessions;
use super::resume::resume;
use super::rollout::{self, RolloutFile, Tail, TurnState};
use super::survey::{self, parse_id};
use super::threads::{self, ThreadRow};
use crate::sessions::page::page_of;
use crate::sessions::{Holder, SessionFacts};
use akk_proto::Timestamp;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::session::{Capability, Confidence, DiscoverAnswer, ProcessKind, SessionActivity, SessionView};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Characters of a part that names a session.
const MIN_PART: usize = 4;
/// Ids that are named when a part fits several.
const NAMED: usize = 5;

/// What one home has of a session.
struct Found {
    home: CodexHome,
    row: Option<ThreadRow>,
    rollout: Option<RolloutFile>,
    holders: Vec<Holder>,
    /// Its sub-agents that the holders run with it.
    sub_agents: BTreeSet<Uuid>,
    incomplete: Vec<String>,
}

impl CodexSessions {
    /// The id that `text` names.
    pub(super) fn find(&self, text: &str) -> Result<String, Failure> {
        let part = text.trim().to_lowercase();
        if let Some(id) = parse_id(&part) {
            let known = !self.known.index().with_id(id).is_empty() || self.homes_read().iter().any(|h| lies_in(h, id));
            return if known { Ok(part) } else { Err(not_found(text)) };
        }
        if part.len() < MIN_PART || !part.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') {
            return Err(not_found(text));
        }
        let ids: BTreeSet<Uuid> = self.known.index().named(&part).into_iter().map(|key| key.id).collect();
        let mut ids = ids.into_iter();
        match (ids.next(), ids.len()) {
            (Some(id), 0) => Ok(id.to_string()),
            (None, _) => Err(not_found(text)),
            (Some(first), others) => {
                let named: Vec<String> =
                    std::iter::once(first).chain(ids).take(NAMED).map(|id| id.to_string()).collect();
                Err(Failure::new(
                    ErrorKind::AmbiguousId,
                    format!("{} sessions fit {part:?}: {}", others + 1, named.join(", ")),
                    "Give more of the id; its end tells sessions of the same time apart.",
                ))
            }
        }
    }

    /// Everything about one session.
    pub(super) fn look_at_one(&self, session_id: &str) -> Result<SessionFacts, Failure> {
        let id = parse_id(&session_id.to_lowercase()).ok_or_else(|| not_found(session_id))?;
        let homes = self.homes_read();
        let paths: Vec<PathBuf> = homes.iter().map(|h| h.path().to_path_buf()).collect();
        let mut incomplete = Vec::new();
        let look = holders::look(&paths).unwrap_or_else(|error| {
            incomplete.push(format!("cannot list processes: {error}"));
            Look::default()
        });
        let mut found: Vec<Found> = homes.into_iter().filter_map(|home| found_in(home, id, &look)).collect();
        if found.len() > 1 {
            // A copied home: which of the two a process means is seen by what it holds, and that may be neither.
            let places: Vec<String> = found.iter().map(|f| f.home.path().display().to_string()).collect();
            incomplete.push(format!("the session lies in several homes: {}", places.join(", ")));
            found.sort_by_key(|f| {
                let held = f.holders.iter().any(|h| h.evidence.confidence() == Confidence::Exact);
                (held, f.row.as_ref().and_then(|r| r.updated_ms), f.rollout.is_some())
            });
        }
        let Some(found) = found.pop() else { return Err(not_found(session_id)) };
        incomplete.extend(found.incomplete);
        let tail = found.rollout.as_ref().filter(|r| !r.compressed).map(|r| rollout::tail(&r.path)).transpose();
        let tail = tail.unwrap_or_else(|error| {
            tracing::debug!(%error, "a rollout's end cannot be read");
            None
        });
        let thread = thread_of(found.row.as_ref(), found.rollout.as_ref());
        let activity = activity(tail.as_ref(), &found.holders, incomplete.is_empty());
        let live = Live {
            activity: descent::with_own(&found.home, &found.sub_agents, activity),
            holders: found.holders.iter().map(|h| h.view.clone()).collect(),
        };
        let mut session = thread.view(id, found.home.path().display().to_string(), live);
        if let Some(tail) = &tail {
            freshen(&mut session, tail);
        }
        let resume = resume(&found.home, &id.to_string(), found.row.as_ref(), found.rollout.as_ref(), tail.as_ref());
        match &resume {
            Ok(_) => (session.capability, session.capability_reason) = (Capability::Full, None),
            Err(why) => {
                (session.capability, session.capability_reason) = (Capability::MetadataOnly, Some(why.to_string()));
            }
        }
        let control_socket = control_socket(&found.home, &found.holders);
        Ok(SessionFacts { session, holders: found.holders, incomplete, resume: resume.ok(), control_socket })
    }

    /// The sessions that processes run or seem to.
    pub(super) fn look_at_active(&self, query: &Query) -> Result<DiscoverAnswer, Failure> {
        let homes = self.homes_read();
        let paths: Vec<PathBuf> = homes.iter().map(|h| h.path().to_path_buf()).collect();
        let look = holders::look(&paths).map_err(|error| {
            Failure::new(
                ErrorKind::Internal,
                format!("cannot list processes: {error}"),
                "Ask for the scope `capabilities` to see what works here.",
            )
        })?;
        let mut incomplete: BTreeSet<String> = look.incomplete.iter().cloned().collect();
        let mut sessions = Vec::new();
        for home in &homes {
            let mut live: BTreeMap<Uuid, Option<PathBuf>> = BTreeMap::new();
            for found in look.live_sessions(home.path()) {
                live.extend(parse_id(&found.session_id).map(|id| (id, None)));
            }
            for directory in look.suspected_directories(home.path()) {
                // Of all sessions that work there, the newest is the likeliest.
                let newest = self.newest_in(home, &directory, &live);
                live.extend(newest.map(|id| (id, Some(directory))));
            }
            for (id, directory) in live {
                let thread = self.thread_now(home, id);
                let query = Query { archived: true, ..query.clone() };
                if !thread.fits(id, &query) {
                    continue;
                }
                let mut holders = look.holders_of(home.path(), &id.to_string(), directory.as_deref());
                let own = descent::take_own(home, id, &mut holders);
                let unseen = look.incomplete_for(home.path(), &id.to_string());
                let tail = thread.rollout.as_deref().and_then(|path| rollout::tail(path).ok());
                let activity = activity(tail.as_ref(), &holders, unseen.is_empty());
                let live = Live {
                    activity: descent::with_own(home, &own, activity),
                    holders: holders.into_iter().map(|h| h.view).collect(),
                };
                incomplete.extend(unseen);
                let mut session = thread.view(id, home.path().display().to_string(), live);
                if let Some(tail) = &tail {
                    freshen(&mut session, tail);
                }
                sessions.push(session);
            }
        }
        incomplete.extend(self.known.health().incomplete());
        let mut answer = page_of(sessions, query.after.as_ref(), query.limit);
        answer.incomplete = incomplete.into_iter().collect();
        Ok(answer)
    }

    /// Where a session's records lie.
    pub(super) fn rollout_of(&self, session_id: &str) -> Result<(CodexHome, PathBuf), Failure> {
        let id = parse_id(&session_id.to_lowercase()).ok_or_else(|| not_found(session_id))?;
        let mut known = false;
        for home in self.homes_read() {
            let row = threads::read_one(&home, &id.to_string()).ok().flatten();
            let noted = row.as_ref().and_then(|r| r.rollout_path.as_deref());
            if let Some(file) = rollout::find(&home, &id.to_string(), noted) {
                return Ok((home, file.path));
            }
            known |= row.is_some() || lies_in(&home, id);
        }
        if !known {
            return Err(not_found(session_id));
        }
        Err(Failure::new(
            ErrorKind::Storage,
            format!("session {id} has no records"),
            "Nothing was said in it yet, or its rollout was deleted.",
        ))
    }

    /// The homes that are read: one of those that are the same folder.
    fn homes_read(&self) -> Vec<CodexHome> {
        let health = self.known.health();
        let same = |at: usize| health.homes.get(at).is_some_and(|h| h.same_as.is_some());
        self.known.homes.iter().enumerate().filter(|(at, _)| !same(*at)).map(|(_, home)| home.clone()).collect()
    }

    fn key_in(&self, home: &CodexHome, id: Uuid) -> Option<Key> {
        let at = self.known.homes.iter().position(|h| h == home)?;
        Some(Key { id, home: at as u16 })
    }

    /// What is known of a session that a process runs; perhaps nothing.
    fn thread_now(&self, home: &CodexHome, id: Uuid) -> Thread {
        let known = self.key_in(home, id).and_then(|key| self.known.index().get(key).cloned());
        if let Some(thread) = known.filter(|t| t.known_by != KnownBy::Process) {
            return thread;
        }
        let seen = survey::one(home, id, None, &mut Shared::default()).ok().flatten();
        seen.unwrap_or_else(|| thread_of(None, None))
    }

    /// The newest session of `home` that works in `directory` and is not known to be live.
    fn newest_in(&self, home: &CodexHome, directory: &Path, live: &BTreeMap<Uuid, Option<PathBuf>>) -> Option<Uuid> {
        let home = home.path().display().to_string();
        let query = Query {
            cwd: Some(super::index::real_place(directory)),
            limit: live.len() + self.known.homes.len() + 1,
            ..Query::default()
        };
        let page = self.known.index().page(&query);
        let ids = page.sessions.iter().filter(|s| s.home == home).filter_map(|s| parse_id(&s.session_id));
        ids.into_iter().find(|id| !live.contains_key(id))
    }
}

/// Whether a home has anything of a session.
fn lies_in(home: &CodexHome, id: Uuid) -> bool {
    let text = id.to_string();
    home.locks().join(format!("{text}.lock")).exists()
        || rollout::find(home, &text, None).is_some()
        || threads::read_one(home, &text).is_ok_and(|row| row.is_some())
}

fn found_in(home: CodexHome, id: Uuid, look: &Look) -> Option<Found> {
    let text = id.to_string();
    let mut incomplete = look.incomplete_for(home.path(), &text);
    let row = threads::read_one(&home, &text).unwrap_or_else(|error| {
        incomplete.push(error.to_string());
        None
    });
    let rollout = rollout::find(&home, &text, row.as_ref().and_then(|r| r.rollout_path.as_deref()));
    let tail_cwd = || {
        let tail = rollout.as_ref().filter(|r| !r.compressed).and_then(|r| rollout::tail(&r.path).ok())?;
        tail.settings?.cwd
    };
    let cwd = row.as_ref().map(|r| r.cwd.clone()).or_else(tail_cwd);
    let mut holders = look.holders_of(home.path(), &text, cwd.as_deref());
    let sub_agents = descent::take_own(&home, id, &mut holders);
    let lock = home.locks().join(format!("{text}.lock")).exists();
    let there = row.is_some() || rollout.is_some() || lock || !holders.is_empty();
    there.then_some(Found { home, row, rollout, holders, sub_agents, incomplete })
}

fn thread_of(row: Option<&ThreadRow>, rollout: Option<&RolloutFile>) -> Thread {
    let shared = &mut Shared::default();
    match (row, rollout) {
        (Some(row), rollout) => survey::from_row(row, rollout, shared),
        (None, Some(file)) => survey::from_rollout(file, survey::head_of(&file.path).as_ref(), shared),
        (None, None) => Thread::unknown(KnownBy::Process, Some(survey::SILENT.into())),
    }
}

/// What its newest records say.
fn freshen(session: &mut SessionView, tail: &Tail) {
    if let Some(model) = tail.settings.as_ref().and_then(|s| s.model.clone()) {
        session.model = Some(model);
    }
    let newest = tail.last_record_at.max(session.updated_at);
    session.updated_at = newest.filter(|t| *t > Timestamp(0));
}

/// Whether a turn runs. `complete`: everything that could hold it was seen.
fn activity(tail: Option<&Tail>, holders: &[Holder], complete: bool) -> SessionActivity {
    let held = holders.iter().any(|h| h.evidence.confidence() == Confidence::Exact);
    match tail.map(|t| t.turn) {
        Some(TurnState::Ended) => SessionActivity::Idle,
        Some(TurnState::Running) if held => SessionActivity::Working,
        // Nothing was said in it yet; or a turn that was cut off with its process.
        None if held => SessionActivity::Idle,
        _ if holders.is_empty() && complete => SessionActivity::Idle,
        _ => SessionActivity::Unknown,
    }
}

/// The control socket of the daemon among the holders: the one that it was told to listen on, else the home's.
fn control_socket(home: &CodexHome, holders: &[Holder]) -> Option<PathBuf> {
    let daemon = holders.iter().find(|h| h.kind == ProcessKind::Daemon)?;
    let own = listens_at(&daemon.command).filter(|path| is_socket(path));
    own.or_else(|| home.control_socket())
}

/// Where it was told to listen: `--listen unix://PATH`.
fn listens_at(command: &[String]) -> Option<PathBuf> {
    let mut words = command.iter();
    let address = words.find_map(|word| match word.strip_prefix("--listen") {
        Some("") => Some(None),
        Some(rest) => rest.strip_prefix('=').map(Some),
        None => None,
    })?;
    let address = address.or_else(|| words.next().map(String::as_str))?;
    address.strip_prefix("unix://").filter(|path| path.starts_with('/')).map(PathBuf::from)
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::metadata(path).is_ok_and(|m| m.file_type().is_socket())
}

fn not_found(text: &str) -> Failure {
    Failure::new(
        ErrorKind::SessionNotFound,
        format!("there is no session {:?}", akk_core::redact::cut(text.trim(), 60)),
        "Give a session's id, or 4 or more characters of its beginning or its end; `akkctl sessions` lists them.",
    )
}
