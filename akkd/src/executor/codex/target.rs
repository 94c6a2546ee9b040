//! Whether a session may be prompted now, and how. Pure, but for the look at it.

use crate::sessions::{Holder, Resume, SessionFacts, Sessions};
use akk_core::redact;
use akk_proto::error::Failure;
use akk_proto::session::Evidence;
use uuid::Uuid;

/// The provider of the sessions of this transport.
const PROVIDER: &str = "codex";
/// How the reason begins when another process has the session, or when nobody can say that none has.
pub(super) const ACTIVE_WRITER: &str = "active_writer: ";
/// What is shown of a holder's command line, in characters.
const MAX_COMMAND_CHARS: usize = 200;

/// The id, if it is one: Codex takes anything else for the name of a session, and begins a new one when there is none.
///
/// # Errors
/// Why not: a sentence.
pub(super) fn session_id(text: &str) -> Result<Uuid, String> {
    let id = Uuid::try_parse(text).ok().filter(|id| id.to_string().eq_ignore_ascii_case(text));
    id.ok_or_else(|| format!("{} is no id of a Codex session", redact::preview(text, 80)))
}

/// Looks at the session as it is now. Blocks.
pub(super) fn look(sessions: &Sessions, session: Uuid) -> Result<SessionFacts, Failure> {
    sessions.provider(Some(PROVIDER))?.facts(&session.to_string())
}

/// How the session is resumed, where nothing stands against it.
///
/// # Errors
/// What does: a sentence.
pub(super) fn resumable(session: Uuid, facts: Result<SessionFacts, Failure>) -> Result<Resume, String> {
    let facts = facts.map_err(|failure| format!("the session {session} cannot be resumed: {}", failure.message))?;
    if let Some(holder) = facts.holders.iter().find(|h| holds(h)) {
        return Err(held(session, holder));
    }
    if !facts.incomplete.is_empty() {
        let why = redact::preview(&facts.incomplete.join(" "), 400);
        return Err(format!("{ACTIVE_WRITER}nobody can say whether another process has the session {session}: {why}"));
    }
    if facts.session.archived {
        return Err(format!("the session {session} is archived: run `codex unarchive {session}`, then send again"));
    }
    let why = facts.session.capability_reason.as_deref().unwrap_or("what is recorded of it is not enough");
    facts.resume.ok_or_else(|| format!("the session {session} cannot be resumed: {}", redact::preview(why, 400)))
}

/// The holder that stands against a start, as a reason; none when there is none any more.
pub(super) fn holder_of(session: Uuid, facts: &SessionFacts) -> Option<String> {
    facts.holders.iter().find(|h| holds(h)).map(|holder| held(session, holder))
}

/// A process that only works in the same directory holds nothing: any terminal of the user's would stand in the way.
/// Who writes shows it: by the lock, in which case Codex refuses us too, or where there is none yet by the open rollout
/// (0.60).
fn holds(holder: &Holder) -> bool {
    holder.evidence != Evidence::Cwd
}

fn held(session: Uuid, holder: &Holder) -> String {
    let command = redact::preview(&holder.view.command.join(" "), MAX_COMMAND_CHARS);
    let (pid, kind, evidence) = (holder.identity.pid, holder.kind.as_str(), holder.evidence.as_str());
    format!(
        "{ACTIVE_WRITER}process {pid} ({kind}, known by {evidence}: `{command}`) has the session {session}; end it, or \
         take the session over again"
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{SESSION, free, held};
    use super::*;
    use akk_proto::error::ErrorKind;
    use std::path::Path;

    fn id() -> Uuid {
        session_id(SESSION).unwrap()
    }

    fn refused(facts: SessionFacts) -> String {
        resumable(id(), Ok(facts)).unwrap_err()
    }

    #[test]
    fn only_a_whole_id_is_one() {
        assert_eq!(session_id(&SESSION.to_uppercase()), Ok(id()));
        for text in ["", "--last", "my session", "5e551000000040008000000000000001", &format!("{{{SESSION}}}")] {
            assert!(session_id(text).unwrap_err().contains("no id"), "{text}");
        }
    }

    #[test]
    fn a_session_that_nobody_has_is_resumed() {
        let cwd = Path::new("/a place");
        let own = resumable(id(), Ok(free(cwd))).unwrap();
        assert_eq!((own.cwd.as_path(), own.model.as_deref()), (cwd, Some("gpt-own")));
        // A terminal in the same directory has another session, or none.
        assert!(resumable(id(), Ok(held(cwd, Evidence::Cwd))).is_ok());
    }

    #[test]
    fn whoever_has_the_session_is_named_without_secrets() {
        for evidence in [Evidence::Lock, Evidence::Rollout, Evidence::Argv] {
            let reason = refused(held(Path::new("/p"), evidence));
            assert!(reason.starts_with("active_writer: process 4242 (tui, known by "), "{reason}");
            assert!(reason.contains("`codex --token") && !reason.contains("hunter2"), "{reason}");
        }
    }

    #[test]
    fn what_cannot_be_known_or_resumed_is_not_started() {
        let session = || free(Path::new("/p"));
        let blind = SessionFacts { incomplete: vec!["/proc/locks cannot be read".into()], ..session() };
        let reason = refused(blind);
        assert!(reason.starts_with(ACTIVE_WRITER) && reason.contains("/proc/locks"), "{reason}");
        let mut archived = session();
        archived.session.archived = true;
        assert!(refused(archived).contains("codex unarchive"));
        let mut poor = SessionFacts { resume: None, ..session() };
        poor.session.capability_reason = Some("its rollout is gone".into());
        assert!(refused(poor).contains("its rollout is gone"));
        let unknown = Failure::new(ErrorKind::SessionNotFound, "there is no such session", "Look again.");
        assert!(resumable(id(), Err(unknown)).unwrap_err().contains("no such session"));
    }
}
