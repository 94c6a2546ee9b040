//! `akkctl delegate`, and the progress of `--wait`.

use super::ask::absolute;
use super::input::Source;
use super::{Context, show_raw, wait};
use crate::akkd::{Akkd, Follow, new_request_id};
use crate::cli::Delegate;
use crate::client::Answer;
use crate::error::{Error, Result, exit};
use crate::output::{self, View, short};
use akk_proto::ConversationId;
use akk_proto::api::{DelegateAnswer, DelegateParams, StreamItem, SubscribeParams, WaitAnswer};
use akk_proto::conversation::{ConversationView, Need, Status};
use akk_proto::event::{Activity, EventBody, EventRecord};
use akk_proto::limits::MAX_PROMPT_BYTES;
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

pub(super) fn run(args: Delegate, context: &Context<'_>) -> Result<u8> {
    let source = match (args.text, args.request, &args.request_file) {
        (Some(text), ..) | (None, Some(text), _) => Source::of_argument(text),
        (None, None, Some(file)) => Source::File(file),
        (None, None, None) => {
            return Err(Error::usage("there is nothing to do", "type `akkctl delegate \"what to do\"`"));
        }
    };
    let request = source.read("the request", MAX_PROMPT_BYTES)?;
    let params = DelegateParams {
        request_id: new_request_id(),
        request,
        agent: args.agent,
        workspace: absolute(args.workspace.as_deref().unwrap_or(Path::new(".")))?,
        session: args.session,
        model: args.model,
        proxy: args.proxy,
        soft_limit: args.soft_limit,
        hard_limit: args.hard_limit,
        agent_timeout_minutes: args.agent_timeout_minutes,
        idle_timeout_minutes: args.idle_timeout_minutes,
        orchestrator: args.orchestrator,
        recipient: None,
        sink: args.sink,
        label: args.label,
        recovery_policy: args.recovery,
        permissions: args.approve,
        deliver_progress: args.deliver_progress,
    };
    let answer = context.akkd().call("conversation.delegate", &params)?;
    let delegated: DelegateAnswer = answer.read()?;
    if !args.wait {
        context.show(&answer, output::delegated)?;
        // The conversation is there, but nothing works on it: a script must not take that for a start.
        let started = !matches!(
            delegated.conversation.status,
            Status::Stalled | Status::NeedsRecovery | Status::NeedsModelSelection
        );
        return Ok(if started { exit::OK } else { exit::FAILED });
    }
    let timeout = args.timeout.map(Duration::from_secs);
    if context.json {
        show_raw(&answer)?;
        return wait::until_needed(wait::Which::One(delegated.conversation.conversation_id.as_str()), timeout, context);
    }
    watch(&delegated.conversation, timeout, context)
}

/// Shows what happens on standard error until the conversation needs someone, then the report on standard output.
fn watch(conversation: &ConversationView, timeout: Option<Duration>, context: &Context<'_>) -> Result<u8> {
    let deadline = timeout.map(|t| Instant::now() + t);
    let id = &conversation.conversation_id;
    let agent = output::one_line(&conversation.agent);
    let comes_back = short(id);
    output::tell(&format!("{id}: {agent} works; Ctrl-C leaves it running, `akkctl wait {comes_back}` comes back\n"));
    let mut watch = Watch::from_the_start(id, context, View::stderr())?;
    let told = |line: &str| {
        output::tell(line);
        Ok(())
    };
    match watch.until_needed(deadline, told) {
        Ok((answer, need)) => {
            context.show(&answer, output::waited)?;
            Ok(need.exit_code())
        }
        Err(Error::Silent { .. }) => Err(Error::WaitTimedOut(timeout.unwrap_or_default())),
        Err(e) => Err(e),
    }
}

/// What happens in one conversation, line by line, as a waiting person sees it.
pub(super) struct Watch<'a> {
    akkd: Akkd<'a>,
    id: ConversationId,
    events: Follow<'a>,
    view: View,
    progress: Progress,
}

impl<'a> Watch<'a> {
    /// Watches from the conversation's first event on.
    pub(super) fn from_the_start(id: &ConversationId, context: &Context<'a>, view: View) -> Result<Self> {
        let akkd = context.akkd();
        let params = SubscribeParams { since: Some(0), conversation_id: Some(id.to_string()), kinds: Vec::new() };
        let events = akkd.follow(params)?;
        Ok(Self { akkd, id: id.clone(), events, view, progress: Progress::default() })
    }

    /// Tells what happens until the conversation needs someone, but for the event that made it so.
    ///
    /// # Errors
    /// [`Error::Silent`] at the deadline, or what a call comes to.
    pub(super) fn until_needed(
        &mut self,
        deadline: Option<Instant>,
        mut tell: impl FnMut(&str) -> Result<()>,
    ) -> Result<(Answer, Need)> {
        loop {
            let (_, item) = self.events.next(deadline)?;
            // Asked at each event that can make it so. Not sooner: what came before that event is told first.
            let may_be_over = match &item {
                StreamItem::Event(record) => may_need_someone(&record.body),
                StreamItem::Live { .. } => false,
                StreamItem::Gap { .. } => true,
            };
            if may_be_over {
                let params = wait::params(wait::Which::One(self.id.as_str()), Duration::ZERO);
                let answer = self.akkd.call("conversation.wait", &params)?;
                if let Some(need) = answer.read::<WaitAnswer>()?.need {
                    return Ok((answer, need));
                }
            }
            if let StreamItem::Event(record) = &item {
                self.tell(record, &mut tell)?;
            }
        }
    }

    /// Tells what happens until the open turn has ended.
    ///
    /// # Errors
    /// What a call comes to.
    pub(super) fn until_turn_over(&mut self, mut tell: impl FnMut(&str) -> Result<()>) -> Result<()> {
        loop {
            if let (_, StreamItem::Event(record)) = self.events.next(None)? {
                self.tell(&record, &mut tell)?;
                if matches!(record.body, EventBody::TurnEnded(_)) {
                    return Ok(());
                }
            }
        }
    }

    fn tell(&mut self, record: &EventRecord, tell: &mut impl FnMut(&str) -> Result<()>) -> Result<()> {
        match self.progress.line(record, &self.view.at_this_moment()) {
            Some(line) => tell(&line),
            None => Ok(()),
        }
    }
}

/// Which events a waiting person sees.
#[derive(Debug, Default)]
struct Progress {
    /// Tool calls that were shown: each is shown when it begins.
    tools: HashSet<String>,
}

impl Progress {
    fn line(&mut self, record: &EventRecord, view: &View) -> Option<String> {
        let wanted = match &record.body {
            // What the person just typed, and steps that say nothing to them.
            EventBody::ConversationCreated(_)
            | EventBody::PromptSent { .. }
            | EventBody::TurnStarted(_)
            | EventBody::DeliveryAttempt { error: None, .. } => false,
            EventBody::Message(m) => record.seq > 3 || !m.message.from.is_orchestrator(),
            EventBody::AgentActivity(Activity::Tool { id, .. }) => self.tools.insert(id.clone()),
            _ => true,
        };
        wanted.then(|| output::progress_line(record, view))
    }
}

/// Whether the conversation may need someone from this event on. (A permission that the policy answers needs nobody.)
fn may_need_someone(body: &EventBody) -> bool {
    match body {
        EventBody::Message(m) => {
            let m = &m.message;
            !m.from.is_orchestrator() && (m.kind.settles_turn() || m.requires_response)
        }
        EventBody::PermissionRequested(_)
        | EventBody::TurnEnded(_)
        | EventBody::ConversationStalled { .. }
        | EventBody::ConversationNeedsRecovery { .. }
        | EventBody::ConversationNeedsModelSelection { .. }
        | EventBody::ConversationClosed { .. }
        | EventBody::BudgetLevel { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn a_waiting_person_sees_what_happens_and_each_tool_call_once() {
        let mut progress = Progress::default();
        let view = samples::view();
        let text: String = samples::exchange().iter().filter_map(|e| progress.line(e, &view)).collect();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn every_event_that_can_end_a_wait_is_looked_at() {
        let over: Vec<_> =
            samples::every_event().iter().filter(|e| may_need_someone(&e.body)).map(|e| e.body.name()).collect();
        assert_eq!(
            over,
            [
                "message",
                "permission_requested",
                "turn_ended",
                "conversation_stalled",
                "conversation_needs_recovery",
                "conversation_needs_model_selection",
                "conversation_closed",
                "budget_level"
            ]
        );
    }
}
