//! A turn in the user's daemon, from its beginning and after a restart of akkd.

use super::hand_over::HandedOver;
use super::link::{Link, OPEN_AGAIN};
use super::visit::{MAX_NOTICE_CHARS, Visit};
use crate::executor::model::Wanted;
use crate::executor::seat::Seat;
use crate::executor::seat::turn::{Break, OpenTurn, Step};
use crate::sessions::codex::app_server::Thread;
use crate::store::{PromptFate, PromptRow};
use akk_core::{ExecutorReport, redact};
use akk_proto::LaunchId;
use akk_proto::event::{SessionEnsured, SessionReached};
use std::convert::Infallible;

impl Seat {
    /// Carries a turn out from its beginning. The answer says why it stopped.
    pub(in crate::executor) async fn app_server_turn(&mut self, open: &mut OpenTurn) -> Step<Infallible> {
        self.let_go(Some("the session lives in a daemon of the user".to_owned())).await;
        let mut visit = Visit::of(open)?;
        let Err(stopped) = self.app_server_begin(open, &mut visit).await;
        self.app_server_leave(&mut visit, &stopped).await;
        Err(stopped)
    }

    /// Goes on with a turn that a former akkd began: `open` has its prompt. It runs on in the daemon meanwhile.
    pub(in crate::executor) async fn app_server_go_on(
        &mut self,
        open: &mut OpenTurn,
        cancelling: bool,
    ) -> Step<Infallible> {
        let mut visit = Visit::of(open)?;
        if cancelling {
            open.begin_cancel(self.shared.context.timings.cancel_grace);
        }
        let Err(stopped) = self.app_server_resume(open, &mut visit).await;
        self.app_server_leave(&mut visit, &stopped).await;
        Err(stopped)
    }

    pub(super) async fn app_server_begin(&mut self, open: &mut OpenTurn, visit: &mut Visit) -> Step<Infallible> {
        let refused = |reason: String| Break::cannot_start(redact::preview(&reason, MAX_NOTICE_CHARS));
        let link = Link::connect(&visit.attachment).await;
        let mut link = link.map_err(|reason| refused(format!("{reason}. The session is not reached: {OPEN_AGAIN}")))?;
        let thread = link.join_idle().await.map_err(refused)?;
        visit.link = Some(link);
        let model = self.app_server_model(open, visit, &thread).await?;
        let native_session_id = visit.attachment.session_id.clone();
        let ensured = SessionEnsured { native_session_id, how: SessionReached::Kept, model };
        self.report(ExecutorReport::SessionReady(ensured), false).await;
        match self.app_server_hand_over(open, visit).await? {
            HandedOver::Runs(turn) => self.app_server_began(open, visit, &turn).await,
            HandedOver::Began => {}
            HandedOver::Not(reason) => {
                self.app_server_not_delivered(open).await;
                self.app_server_restore_model(open, visit).await;
                return Err(refused(reason));
            }
            HandedOver::Unknown(reason) => {
                self.app_server_notice(open, visit, &reason).await;
                return self.app_server_resume(open, visit).await;
            }
        }
        self.app_server_follow(open, visit).await
    }

    /// Sets model and effort where another was asked for; gives the model in use. A thread has one model for all its
    /// clients: it holds for the user's later turns too, as `/model` in the terminal would.
    pub(super) async fn app_server_model(
        &mut self,
        open: &OpenTurn,
        visit: &mut Visit,
        thread: &Thread,
    ) -> Step<Option<String>> {
        let Some(name) = &open.order.model else { return Ok(thread.model.clone()) };
        let wanted = Wanted::parse(name);
        let model = Some(wanted.model).filter(|m| thread.model.as_deref() != Some(m));
        let effort = wanted.effort.filter(|e| thread.reasoning_effort.as_deref() != Some(e));
        let Some(link) = visit.link.as_mut().filter(|_| model.is_some() || effort.is_some()) else {
            return Ok(thread.model.clone());
        };
        link.set_model(model, effort)
            .await
            .map_err(|error| Break::cannot_start(format!("the model could not be set in the session: {error}")))?;
        visit.former = Some((
            thread.model.clone().filter(|_| model.is_some()),
            thread.reasoning_effort.clone().filter(|_| effort.is_some()),
        ));
        self.app_server_notice(
            open,
            visit,
            &format!("the session's model is {name} from now on, also in the terminal"),
        )
        .await;
        Ok(Some(wanted.model.to_owned()))
    }

    /// Records the prompt, then hands it over.
    pub(super) async fn app_server_hand_over(&mut self, open: &mut OpenTurn, visit: &mut Visit) -> Step<HandedOver> {
        let prompts = &self.shared.context.prompts;
        let text = prompts.prompt(self.conversation.clone(), open.id().clone()).await;
        let text = text.map_err(|error| Break::cannot_start(error.to_string()))?;
        let row = PromptRow {
            conversation_id: self.conversation.clone(),
            turn_id: open.id().clone(),
            attempt: open.attempt,
            // No process is started, so that no launch has this id: the turn is found in the daemon.
            launch_id: LaunchId::new(uuid::Uuid::now_v7()),
            fate: PromptFate::Finishing,
        };
        let recorded = self.shared.context.ledger.prompt_put(row.clone()).await;
        recorded.map_err(|error| Break::cannot_start(error.to_string()))?;
        open.begin(row, text.len() as u64);
        let Some(link) = &mut visit.link else { return Err(Break::cannot_start("the Codex daemon is gone")) };
        Ok(link.hand_over(&visit.client_id, &text).await)
    }

    /// The prompt did not arrive and never will: it may be sent again.
    pub(super) async fn app_server_not_delivered(&mut self, open: &mut OpenTurn) {
        let Some(begun) = open.begun.take() else { return };
        open.attempt += 1;
        let row = PromptRow { fate: PromptFate::Accepted, ..begun.row };
        if let Err(error) = self.shared.context.ledger.prompt_put(row).await {
            tracing::warn!(%error, "a prompt could not be recorded as not delivered");
        }
    }

    /// Our turn is known: the prompt has arrived.
    pub(super) async fn app_server_began(&mut self, open: &mut OpenTurn, visit: &mut Visit, turn: &str) {
        visit.stream.is_turn(turn);
        open.touch();
        let Some(begun) = open.begun.as_mut().filter(|begun| begun.row.fate != PromptFate::Written) else { return };
        begun.row.fate = PromptFate::Written;
        let (row, bytes) = (begun.row.clone(), begun.bytes);
        if let Err(error) = self.shared.context.ledger.prompt_put(row).await {
            tracing::warn!(%error, "a prompt could not be recorded as arrived; the daemon knows it");
        }
        self.report(ExecutorReport::PromptSent { turn_id: open.id().clone(), bytes }, false).await;
    }

    /// Finds a turn again whose prompt may have arrived, and follows it.
    pub(super) async fn app_server_resume(&mut self, open: &mut OpenTurn, visit: &mut Visit) -> Step<Infallible> {
        self.app_server_find(open, visit).await?;
        self.app_server_follow(open, visit).await
    }

    /// A model that was refused, or that nothing was said to, must not stay in the user's terminal.
    pub(super) async fn app_server_restore_model(&mut self, open: &OpenTurn, visit: &mut Visit) {
        let Some((model, effort)) = visit.former.take() else { return };
        let Some(link) = &mut visit.link else { return };
        let text = match link.set_model(model.as_deref(), effort.as_deref()).await {
            Ok(()) => "the session has its former model again".to_owned(),
            Err(error) => format!("the session's former model could not be set again: {error}"),
        };
        self.app_server_notice(open, visit, &text).await;
    }
}
