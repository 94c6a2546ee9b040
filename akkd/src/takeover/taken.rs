//! Before a message goes to an attached session: whether somebody else has it now.

use super::Takeovers;
use super::look;
use super::plan;
use super::words;
use crate::sessions::Holder;
use akk_core::Conversation;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::session::{Confidence, Strategy};

impl Takeovers {
    /// Refuses a message to a session that another process took since it was attached: nothing of it may be recorded.
    /// A conversation without an attachment, or whose turn is open, or that joined a daemon, is not looked at.
    ///
    /// Who merely sits in the same directory does not count: the agent's own lock protects against what a guess does
    /// not show.
    ///
    /// # Errors
    /// `active_writer` with who has it, or with what could not be read; `storage`.
    pub async fn refuse_if_taken(&self, state: &Conversation) -> Result<(), Failure> {
        let Some(attachment) = state.attachment() else { return Ok(()) };
        if attachment.strategy == Strategy::Attach || state.open_turn.is_some() || state.phase.is_terminal() {
            return Ok(());
        }
        // What is not there any more is found out by the turn, which can be recovered then.
        let Ok(provider) = self.sessions.provider(Some(&attachment.agent)) else { return Ok(()) };
        let id = attachment.session_id.clone();
        let facts = match look::ask(&provider, move |p| p.facts(&id)).await {
            Ok(facts) => facts,
            Err(failure) if failure.kind == ErrorKind::SessionNotFound => return Ok(()),
            Err(failure) => return Err(failure),
        };
        let holders: Vec<&Holder> = plan::holders(&facts, Confidence::Medium).collect();
        let own = self.own_processes(state, &holders).await?;
        let others: Vec<&Holder> = holders.into_iter().filter(|h| !own.contains(&h.identity.pid)).collect();
        let session = &attachment.session_id;
        if let Some(first) = others.first() {
            let message = format!("{} has the session {session} now", words::processes(&others));
            let hint = "End it there first, then send again; nothing was recorded.";
            return Err(Failure::new(ErrorKind::ActiveWriter, message, hint)
                .with("pid", first.identity.pid)
                .with("kind", first.kind.as_str())
                .with("session_id", session.as_str()));
        }
        if own.is_empty() && !facts.incomplete.is_empty() {
            let why = words::clauses(&facts.incomplete.iter().map(String::as_str).collect::<Vec<_>>());
            let message = format!("nobody can say whether another process has the session {session}: {why}");
            let hint = "Make that readable, then send again; nothing was recorded.";
            return Err(Failure::new(ErrorKind::ActiveWriter, message, hint));
        }
        Ok(())
    }

    /// Those of the holders that work for this very conversation: what is left of its last turn.
    async fn own_processes(&self, state: &Conversation, holders: &[&Holder]) -> Result<Vec<u32>, Failure> {
        if holders.is_empty() {
            return Ok(Vec::new());
        }
        let id = &state.settings.conversation_id;
        let launches = self.store.launches_of(id).await?;
        let table = crate::platform::ProcessTable::now().await.map_err(|e| {
            let message = format!("the processes cannot be listed: {e}");
            Failure::new(ErrorKind::ActiveWriter, message, "Try again; nothing was recorded.")
        })?;
        let ours = |h: &&&Holder| {
            h.view.conversation_id.as_ref() == Some(id)
                || table
                    .launch_of(h.identity.pid)
                    .is_some_and(|mark| launches.iter().any(|l| l.launch_id.as_str() == mark))
        };
        Ok(holders.iter().filter(ours).map(|h| h.identity.pid).collect())
    }
}
