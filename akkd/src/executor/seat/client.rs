//! One-shot clients: programs that take one prompt on their stdin, tell its turn on their stdout, and end (acpx,
//! `codex exec`).

use super::Seat;
use super::turn::{Break, OpenTurn, Step};
use crate::executor::TurnOrder;
use crate::executor::launch::running::{Running, StdinOf};
use crate::store::{PromptFate, PromptRow};
use akk_core::{ExecutorReport, redact};
use akk_proto::LaunchId;
use akk_proto::event::CancelStep;

impl Seat {
    /// Starts a client with the prompt as its stdin. From then on the prompt may have arrived.
    pub(in crate::executor) async fn start_client(
        &mut self,
        open: &mut OpenTurn,
        order: &TurnOrder,
        argv: &[String],
        launch_id: LaunchId,
    ) -> Step<()> {
        let context = &self.shared.context;
        let text = context.prompts.prompt(self.conversation.clone(), open.id().clone()).await;
        let text = text.map_err(|error| Break::cannot_start(error.to_string()))?;
        let row = PromptRow {
            conversation_id: self.conversation.clone(),
            turn_id: open.id().clone(),
            attempt: open.attempt,
            launch_id: launch_id.clone(),
            fate: PromptFate::Finishing,
        };
        // Recorded before the spawn: a client that is started has the whole prompt.
        let recorded = context.ledger.prompt_put(row.clone()).await;
        recorded.map_err(|error| Break::cannot_start(error.to_string()))?;
        let client = Running::launch_as(&self.shared, launch_id, order, argv, StdinOf::Prompt(text.as_bytes()));
        let mut client = client.await.map_err(|error| Break::cannot_start(redact::preview(&error.to_string(), 400)))?;
        client.reader.begin(open.id());
        let report = ExecutorReport::Launched {
            launch_id: client.launch_id.clone(),
            transport: order.agent.transport,
            pid: client.process.identity().pid,
            command: client.facts.command.clone(),
        };
        self.agent = Some(Box::new(client));
        open.begin(row, text.len() as u64);
        self.report(report, true).await;
        Ok(())
    }

    /// The client says that the agent has the prompt. True when a cancel has waited for that: before, there was nothing
    /// that it could have stopped.
    pub(in crate::executor) async fn client_handed_over(&mut self, open: &mut OpenTurn) -> bool {
        let begun = open.begun.as_mut().filter(|begun| begun.row.fate != PromptFate::Written);
        let Some(begun) = begun else { return false };
        begun.row.fate = PromptFate::Written;
        let bytes = begun.bytes;
        self.report(ExecutorReport::PromptSent { turn_id: open.id().clone(), bytes }, true).await;
        open.cancel.is_some_and(|c| c.step == CancelStep::Cooperative)
    }
}
