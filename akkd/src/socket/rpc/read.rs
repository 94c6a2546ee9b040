//! Calls that only read.

use super::{Control, limit};
use crate::store::ListFilter;
use akk_proto::api::{
    ConversationParams, GetAnswer, HistoryAnswer, HistoryParams, ListAnswer, ListParams, ResultAnswer, ResultParams,
    SearchAnswer, SearchParams,
};
use akk_proto::audit::{AuditAnswer, AuditParams};
use akk_proto::conversation::TurnResult;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::{EventBody, Origin};
use akk_proto::limits::MAX_SEARCH_CHARS;
use akk_proto::message::Message;
use akk_proto::{ConversationId, TurnId};

/// Events that make up the trace: what the agent did and what was done to it.
pub(super) const TRACE: &[&str] = &[
    "turn_started",
    "executor_session_ensure",
    "executor_launch",
    "prompt_sent",
    "executor_readopted",
    "executor_exit",
    "executor_cancel_requested",
    "agent_activity",
    "permission_requested",
    "permission_settled",
    "permission_answered",
    "turn_ended",
    "conversation_stalled",
    "recovery_started",
];

/// Text in one page of a history.
const PAGE_BYTES: usize = 8 << 20;
/// Text in the last events of a status.
const STATUS_BYTES: usize = 1 << 20;

impl Control {
    pub(super) async fn audit(&self, params: AuditParams) -> Result<AuditAnswer, Failure> {
        let id = match params.conversation_id {
            None => None,
            // The audit outlives its conversations.
            Some(text) => match ConversationId::parse(text.trim()) {
                Ok(id) => Some(id),
                Err(_) => Some(self.resolve(&text).await?),
            },
        };
        let limit = limit(params.limit, 100)?;
        let (rows, more) = self.store.audit(params.since, id, limit).await?;
        Ok(AuditAnswer { rows, more })
    }

    pub(super) async fn page(&self, params: ListParams) -> Result<ListAnswer, Failure> {
        let config = self.config.current();
        // An agent that is not configured any more may still have conversations.
        let kind = |name: &String| config.agent(name).map_or_else(|_| name.clone(), |a| a.kind.clone());
        let agent = params.agent.as_ref().map(kind);
        let filter = ListFilter { all: params.all, agent, status: params.status, workspace: params.workspace };
        let page =
            self.store.list(filter, limit(params.limit, 100)?, params.after.as_deref(), self.clock.wall()).await?;
        Ok(ListAnswer { conversations: page.conversations, total: page.total, next: page.next })
    }

    pub(super) async fn look_at(&self, params: ConversationParams) -> Result<GetAnswer, Failure> {
        let id = self.resolve(&params.conversation_id).await?;
        let state = self.conversations.state(&id).await?;
        let events = self.store.last_events(&id, 10, STATUS_BYTES).await?;
        let deliveries = self.deliveries.list(Some(&id), false, 20).await?;
        Ok(GetAnswer { conversation: self.view(&state).await?, events, deliveries })
    }

    pub(super) async fn history(
        &self,
        params: HistoryParams,
        names: Option<&[&str]>,
    ) -> Result<HistoryAnswer, Failure> {
        let id = self.resolve(&params.conversation_id).await?;
        let limit = limit(params.limit, 1000)?;
        // Read first: what is recorded meanwhile is told twice by a follower at worst, never missed.
        let cursor = self.store.newest_cursor();
        let page = match names {
            None => self.store.events(&id, params.after_seq, limit, PAGE_BYTES).await?,
            Some(names) => self.store.events_named(&id, names, params.after_seq, limit, PAGE_BYTES).await?,
        };
        Ok(HistoryAnswer { conversation_id: id, events: page.events, next_seq: page.next_seq, cursor })
    }

    pub(super) async fn find(&self, params: SearchParams) -> Result<SearchAnswer, Failure> {
        if params.text.trim().is_empty() {
            return Err(Failure::new(ErrorKind::InvalidParams, "there is nothing to search for", "Give some words."));
        }
        if params.text.chars().count() > MAX_SEARCH_CHARS {
            return Err(Failure::new(
                ErrorKind::TooLarge,
                format!("the words to search for have more than {MAX_SEARCH_CHARS} characters"),
                "Give fewer words.",
            ));
        }
        Ok(SearchAnswer { hits: self.store.search(&params.text, limit(params.limit, 50)?).await? })
    }

    pub(super) async fn came_to(&self, params: ResultParams) -> Result<ResultAnswer, Failure> {
        let id = self.resolve(&params.conversation_id).await?;
        let state = self.conversations.state(&id).await?;
        let newest = state.open_turn.as_ref().map(|t| &t.turn_id).or(state.last_turn.as_ref().map(|t| &t.turn_id));
        let Some(turn_id) = params.turn_id.as_ref().or(newest).filter(|t| t.ordinal() <= state.turns) else {
            let turn = params.turn_id.map_or_else(|| "no turn".to_owned(), |t| format!("no {t}"));
            let hint = match state.turns {
                0 if state.imported.is_some() => {
                    format!("It was imported, with what it came to before: `akkctl transcript {id}` shows that.")
                }
                0 => format!("Nothing was sent yet: `akkctl send {id} TEXT`."),
                turns => format!("Its turns are turn-1 to turn-{turns}."),
            };
            return Err(Failure::new(ErrorKind::NotFound, format!("{turn} in {id}"), hint));
        };
        let result = self.turn_result(&id, turn_id).await?;
        Ok(ResultAnswer { conversation_id: id, status: state.status(), result })
    }

    async fn turn_result(&self, id: &ConversationId, turn_id: &TurnId) -> Result<TurnResult, Failure> {
        let names = ["turn_started", "message", "late_callback", "turn_ended"];
        let mut result = TurnResult {
            turn_id: turn_id.clone(),
            outcome: None,
            reason: None,
            message: None,
            text: None,
            usage: None,
            duration_ms: 0,
        };
        let mut started_at = None;
        let mut ended_at = None;
        for event in self.store.events_of_turn(id, turn_id, &names).await? {
            match event.body {
                EventBody::TurnStarted(_) => started_at = Some(event.ts),
                EventBody::Message(recorded) | EventBody::LateCallback(recorded)
                    if recorded.message.kind.settles_turn()
                        && matches!(recorded.origin, Origin::Callback | Origin::Derived) =>
                {
                    result.message = Some(recorded.message);
                }
                EventBody::TurnEnded(end) => {
                    ended_at = Some(event.ts);
                    result.outcome = Some(end.outcome);
                    result.reason = end.reason;
                    result.text = end.text;
                    result.usage = end.usage;
                }
                _ => {}
            }
        }
        if let Some(started_at) = started_at {
            result.duration_ms = ended_at.unwrap_or_else(|| self.clock.wall()).millis_since(started_at);
        }
        Ok(result)
    }

    /// The agent's newest report that wakes the orchestrator.
    pub(super) async fn last_report(&self, state: &akk_core::Conversation) -> Result<Option<Message>, Failure> {
        let Some(message_id) = &state.last_report else { return Ok(None) };
        let found = self.store.message(&state.settings.conversation_id, message_id).await?;
        Ok(found.map(|m| m.message))
    }
}
