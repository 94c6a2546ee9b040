//! `conversation.import`: a conversation of the predecessor becomes one of ours, once.

use super::Control;
use crate::conversation::Making;
use crate::socket::audit::concerns;
use akk_core::Conversation;
use akk_core::decide::Beginning;
use akk_proto::ConversationId;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::event::Created;
use akk_proto::import::{ImportAnswer, ImportEntry, ImportParams};
use akk_proto::limits::MAX_PROMPT_BYTES;
use std::path::Path;

impl Control {
    pub(super) async fn bring_in(&self, params: ImportParams) -> Result<ImportAnswer, Failure> {
        let id = params.conversation_id.clone();
        concerns(&id);
        if let Some(there) = self.there_already(&id).await? {
            return Ok(there);
        }
        let created = self.created_from(&params)?;
        match self.conversations.begin(created, Beginning::Imported(Box::new(params)), None).await {
            Ok(answer) => Ok(ImportAnswer { conversation_id: id, already: false, status: answer.state.status() }),
            // Another call of this kind may have been first.
            Err(refused) => self.there_already(&id).await?.ok_or(refused),
        }
    }

    /// The answer for a conversation that was imported before.
    async fn there_already(&self, id: &ConversationId) -> Result<Option<ImportAnswer>, Failure> {
        let Some((state, _)) = self.store.load(id).await? else { return Ok(None) };
        let Conversation { imported: Some(_), .. } = &state else {
            return Err(Failure::new(
                ErrorKind::WrongStatus,
                format!("{id} is a conversation of akkd's own"),
                "Look at it with `akkctl status`; a conversation of the predecessor with its id cannot come beside it.",
            ));
        };
        Ok(Some(ImportAnswer { conversation_id: id.clone(), already: true, status: state.status() }))
    }

    fn created_from(&self, params: &ImportParams) -> Result<Created, Failure> {
        let config = self.config.fresh()?;
        let agent = config.agent(&params.agent)?;
        // It may be gone by now; then the next turn says so.
        let workspace = Path::new(&params.workspace);
        if !workspace.is_absolute() || params.workspace.chars().any(char::is_control) {
            return Err(invalid(format!("{:?} is not the absolute path of a workspace", params.workspace)));
        }
        for entry in &params.history {
            let ImportEntry::Message { message } = entry else { continue };
            if message.body.len() > MAX_PROMPT_BYTES {
                let text = format!("{} has {} bytes, {MAX_PROMPT_BYTES} are allowed", message.id, message.body.len());
                return Err(Failure::new(ErrorKind::TooLarge, text, "It stays where it is."));
            }
        }
        let making = Making {
            request: params.user_request.clone(),
            model: params.model.clone(),
            soft_limit: Some(params.soft_limit),
            hard_limit: Some(params.hard_limit),
            orchestrator: params.orchestrator.clone(),
            ..Making::default()
        };
        // A fresh session name: nobody goes on with a session of which akkd does not know who else uses it.
        let created = making.created(workspace, agent, &config, self.clock.wall())?;
        Ok(Created { conversation_id: params.conversation_id.clone(), ..created })
    }
}

fn invalid(message: String) -> Failure {
    Failure::new(ErrorKind::InvalidParams, message, "It stays where it is; its files can be read by hand.")
}

#[cfg(test)]
mod tests {
    use super::super::tests::control;
    use super::*;
    use crate::conversation::testing::House;
    use akk_core::decide::{Input, Send};
    use akk_proto::api::{HistoryParams, SearchParams};
    use akk_proto::conversation::Status;
    use akk_proto::event::{EventBody, PromptKind};
    use akk_proto::message::{Actor, Message, MessageType};
    use akk_proto::{MessageId, Timestamp};

    fn message(id: &ConversationId, n: u128, from: &str, to: &str, kind: MessageType, body: &str) -> ImportEntry {
        ImportEntry::Message {
            message: Box::new(Message {
                id: MessageId::message(uuid::Uuid::from_u128(n)),
                ts: Timestamp(n as i64 * 1000),
                conversation_id: id.clone(),
                from: Actor(from.into()),
                to: Actor(to.into()),
                kind,
                requires_response: kind.needs_answer_by_default(),
                round: 1,
                max_rounds: 50,
                turn_id: None,
                body: body.into(),
                metadata: serde_json::Map::new(),
            }),
        }
    }

    fn old(n: u32, status: Status) -> ImportParams {
        let id = ConversationId::new(Timestamp(1000), n);
        let history = vec![
            message(&id, 1, "openclaw", "codex", MessageType::Task, "paint the shed"),
            ImportEntry::Event {
                ts: Timestamp(2000),
                name: "executor_launch".into(),
                detail: "token=abcdefghijklmnop1".into(),
            },
            message(&id, 3, "codex", "openclaw", MessageType::Question, "which colour?"),
        ];
        ImportParams {
            conversation_id: id,
            user_request: "paint the shed".into(),
            agent: "codex".into(),
            workspace: "/gone/since/long".into(),
            session: Some("akk-codex-20260601000000-00000001".into()),
            native_session: None,
            model: None,
            orchestrator: Some("agent:main:main".into()),
            status,
            reason: None,
            attempted_model: None,
            available_models: Vec::new(),
            rounds_used: 2,
            soft_limit: 50,
            hard_limit: 100,
            created_at: Timestamp(1000),
            updated_at: Timestamp(4000),
            closed_at: None,
            history,
        }
    }

    #[tokio::test]
    async fn an_imported_conversation_keeps_id_history_and_status_and_tells_nobody() {
        let house = House::new();
        let control = control(&house);
        let answer = control.bring_in(old(1, Status::WaitingForOpenclaw)).await.unwrap();
        assert_eq!((answer.already, answer.status), (false, Status::WaitingForOpenclaw));
        let id = answer.conversation_id;
        let state = house.conversations.state(&id).await.unwrap();
        assert_eq!((state.created_at, state.updated_at, state.rounds_used), (Timestamp(1000), Timestamp(4000), 2));
        assert_eq!(house.store.counts().await.unwrap().undelivered, 0);
        let params = HistoryParams { conversation_id: id.to_string(), ..HistoryParams::default() };
        let history = control.history(params, None).await.unwrap();
        let names: Vec<_> = history.events.iter().map(|e| e.body.name()).collect();
        assert_eq!(names, ["conversation_created", "message", "predecessor_event", "message", "conversation_imported"]);
        let times: Vec<_> = history.events.iter().map(|e| e.ts.0).collect();
        assert_eq!(times, [1000, 1000, 2000, 3000, 4000], "as it was then");
        let EventBody::PredecessorEvent { detail, .. } = &history.events[2].body else { panic!() };
        assert!(!detail.contains("abcdefghijklmnop1"), "{detail}");
        let found = control.find(SearchParams { text: "colour".into(), limit: None }).await.unwrap();
        assert_eq!(found.hits.len(), 1);
    }

    #[tokio::test]
    async fn a_second_import_changes_nothing_even_where_it_went_on_here() {
        let house = House::new();
        let control = control(&house);
        let id = control.bring_in(old(1, Status::WaitingForOpenclaw)).await.unwrap().conversation_id;
        let send = Send { message: Some("blue".into()), ..Send::default() };
        house.conversations.ask(&id, Input::Send(send), None).await.unwrap();
        let before = house.conversations.state(&id).await.unwrap();
        let again = control.bring_in(old(1, Status::Closed)).await.unwrap();
        assert_eq!((again.already, again.status), (true, Status::WaitingForAgent));
        assert_eq!(house.conversations.state(&id).await.unwrap(), before);
    }

    #[tokio::test]
    async fn a_conversation_of_our_own_is_not_taken_for_an_imported_one() {
        let house = House::new();
        let mut params = old(1, Status::Idle);
        params.conversation_id = house.begin(crate::conversation::testing::created(7)).await;
        params.history.clear();
        let refused = control(&house).bring_in(params).await.unwrap_err();
        assert_eq!(refused.kind, ErrorKind::WrongStatus);
    }

    #[tokio::test]
    async fn what_worked_there_is_stalled_here_and_goes_on_with_a_replay() {
        let house = House::new();
        let control = control(&house);
        for (n, status) in [Status::Running, Status::WaitingForAgent, Status::Cancelling].into_iter().enumerate() {
            let answer = control.bring_in(old(n as u32 + 1, status)).await.unwrap();
            assert_eq!(answer.status, Status::Stalled, "{status}");
        }
        let id = old(1, Status::Running).conversation_id;
        let send = Send { message: Some("go on".into()), ..Send::default() };
        house.conversations.ask(&id, Input::Send(send), None).await.unwrap();
        let params = HistoryParams { conversation_id: id.to_string(), ..HistoryParams::default() };
        let history = control.history(params, None).await.unwrap();
        let started = history.events.iter().find_map(|e| match &e.body {
            EventBody::TurnStarted(start) => Some(start.prompt),
            _ => None,
        });
        assert_eq!(started, Some(PromptKind::Replay));
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused_and_leaves_nothing() {
        let house = House::new();
        let control = control(&house);
        let mut cases = vec![old(1, Status::Idle); 5];
        cases[0].agent = "nobody".into();
        cases[1].workspace = "relative".into();
        cases[2].soft_limit = 0;
        let twice = cases[3].history[0].clone();
        cases[3].history.push(twice);
        let id = cases[4].conversation_id.clone();
        cases[4].history.push(message(&id, 9, "codex", "cursor", MessageType::Done, "x"));
        for case in cases {
            let refused = control.bring_in(case).await.unwrap_err();
            assert!(!refused.message.is_empty() && !refused.hint.is_empty());
        }
        assert_eq!(house.store.counts().await.unwrap().conversations, 0);
    }
}
