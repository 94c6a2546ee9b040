//! Statuses and events in words.

use super::native::short_id;
use super::terminal::{ALERT, BUSY, DIM, GOOD, WARN};
use super::text::{bytes, counted, one_line, short};
use akk_proto::conversation::{BudgetLevel, ConversationView, Need, Status};
use akk_proto::delivery::{DeliveryState, ParkReason};
use akk_proto::event::{
    Activity, CancelStep, EventBody, EventRecord, Exit, MessageRecorded, Origin, PromptKind, SessionReached,
    TurnOutcome,
};
use akk_proto::permission::{PermissionDecision, SettledBy};
use anstyle::Style;

/// Who has to act next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ball {
    /// A person, or the orchestrator.
    NeedsYou,
    /// The agent.
    Working,
    /// Nobody.
    Done,
}

impl Ball {
    /// In the order of a list.
    pub(crate) const ALL: [Self; 3] = [Self::NeedsYou, Self::Working, Self::Done];

    /// Who has to act, whatever the status says, where something is needed.
    pub(crate) fn with(status: Status, needs: Option<Need>) -> Self {
        if needs.is_some() { Self::NeedsYou } else { Self::of(status) }
    }

    /// Who has to act in this status.
    pub(crate) fn of(status: Status) -> Self {
        match status {
            Status::WaitingForOpenclaw
            | Status::Stalled
            | Status::NeedsRecovery
            | Status::NeedsModelSelection
            | Status::Failed => Self::NeedsYou,
            Status::Created | Status::Running | Status::WaitingForAgent | Status::Cancelling => Self::Working,
            Status::Idle | Status::Cancelled | Status::Closed => Self::Done,
        }
    }

    /// The heading.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::NeedsYou => "NEEDS YOU",
            Self::Working => "WORKING",
            Self::Done => "DONE",
        }
    }

    /// Its colour.
    pub(crate) fn style(self) -> Style {
        match self {
            Self::NeedsYou => ALERT,
            Self::Working => BUSY,
            Self::Done => GOOD,
        }
    }
}

/// A status in one or two words; the wire names of the two waiting ones are long.
pub(crate) fn status(status: Status) -> &'static str {
    match status {
        Status::WaitingForAgent => "working",
        Status::WaitingForOpenclaw => "question",
        Status::NeedsRecovery => "session lost",
        Status::NeedsModelSelection => "model refused",
        other => other.as_str(),
    }
}

/// A status as a sentence about the agent.
pub(crate) fn status_sentence(status: Status, needs: Option<Need>, agent: &str) -> String {
    match (status, needs) {
        (_, Some(Need::Permission)) => format!("{agent} waits for a permission"),
        (_, Some(Need::Blocked)) => format!("{agent} cannot go on without a decision"),
        (Status::Created, _) => "recorded, nothing sent yet".to_owned(),
        (Status::Running | Status::WaitingForAgent, _) => format!("{agent} works"),
        (Status::WaitingForOpenclaw, _) => format!("{agent} asked and waits for an answer"),
        (Status::Idle, _) => format!("{agent} is done; the conversation can be used again"),
        (Status::Cancelling, _) => format!("{agent} was asked to stop"),
        (Status::Stalled, _) => format!("{agent} stalled"),
        (Status::NeedsRecovery, _) => format!("the session of {agent} is gone"),
        (Status::NeedsModelSelection, _) => format!("{agent} refused the model"),
        (Status::Failed, _) => "failed".to_owned(),
        (Status::Cancelled, _) => "closed while it was working".to_owned(),
        (Status::Closed, _) => "closed".to_owned(),
    }
}

/// How an idle conversation came to rest, where that is not because its agent was done.
pub(crate) fn idle(c: &ConversationView) -> Option<&'static str> {
    if c.status != Status::Idle {
        return None;
    }
    match &c.turn {
        None if c.imported.is_some() => Some("ready; imported from the predecessor"),
        // It came from a native session.
        None => Some("ready; nothing was sent yet"),
        Some(t) if t.outcome == Some(TurnOutcome::Cancelled) => Some("cancelled; the conversation can be used again"),
        Some(_) => None,
    }
}

/// What somebody who waited is told.
pub(crate) fn need(need: Need) -> &'static str {
    match need {
        Need::Done => "done",
        Need::Question => "question",
        Need::Blocked => "blocked",
        Need::Permission => "permission",
        Need::Stalled => "stalled",
        Need::NeedsRecovery => "session lost",
        Need::NeedsModelSelection => "model refused",
        Need::Failed => "failed",
        Need::Closed => "closed",
    }
}

/// The colour of it.
pub(crate) fn need_style(need: Need) -> Style {
    match need {
        Need::Done => GOOD,
        Need::Closed => DIM,
        _ => ALERT,
    }
}

/// What a turn came to.
pub(crate) fn outcome(outcome: TurnOutcome) -> &'static str {
    match outcome {
        TurnOutcome::Completed => "completed",
        TurnOutcome::Cancelled => "cancelled",
        TurnOutcome::Failed => "failed",
        TurnOutcome::NotDelivered => "not delivered",
        TurnOutcome::Uncertain => "uncertain",
    }
}

/// The colour of a budget level.
pub(crate) fn level_style(level: BudgetLevel) -> Style {
    match level {
        BudgetLevel::Normal => Style::new(),
        BudgetLevel::Converge | BudgetLevel::Warning => WARN,
        BudgetLevel::SoftStop | BudgetLevel::HardStop => ALERT,
    }
}

/// How many reports were not told yet, and how many of them wait for too long.
pub(crate) fn undelivered(all: u64, overdue: u64) -> String {
    let told = format!("{} undelivered", counted(all, "report"));
    match overdue {
        0 => told,
        n if n == all => format!("{told} for more than 10 minutes"),
        n => format!("{told}, {n} of them for more than 10 minutes"),
    }
}

/// The colour of a delivery's state.
pub(crate) fn delivery_style(state: DeliveryState) -> Style {
    match state {
        DeliveryState::Pending | DeliveryState::Leased | DeliveryState::Handed => BUSY,
        DeliveryState::Acknowledged => GOOD,
        DeliveryState::Parked | DeliveryState::Uncertain => ALERT,
    }
}

/// A message in one line: route, type, round, text.
pub(crate) fn message(recorded: &MessageRecorded) -> String {
    format!("{}: {}", message_head(recorded), one_line(&recorded.message.body))
}

/// The same without its text.
pub(crate) fn message_head(recorded: &MessageRecorded) -> String {
    let m = &recorded.message;
    let how = match recorded.origin {
        Origin::Queued => ", queued",
        Origin::Derived => ", final text",
        Origin::Daemon => ", from akkd",
        Origin::Sent | Origin::Callback | Origin::Imported => "",
    };
    format!("{} → {} {}, round {}{how}", one_line(&m.from.0), one_line(&m.to.0), m.kind, m.round)
}

/// What happened, in one line that a terminal can show; not cut.
pub(crate) fn event(record: &EventRecord) -> String {
    match &record.body {
        EventBody::ConversationCreated(c) => {
            format!("created for {} in {}: {}", one_line(&c.agent), one_line(&c.workspace), one_line(&c.user_request))
        }
        EventBody::Message(m) => message(m),
        EventBody::MessageSent { round, .. } => format!("the queued message was sent, round {round}"),
        EventBody::MessagesDropped { message_ids, reason } => {
            because(&format!("{} dropped", counted(message_ids.len() as u64, "queued message")), reason)
        }
        EventBody::TurnStarted(t) => {
            let prompt = match t.prompt {
                PromptKind::Bootstrap => "with the bootstrap",
                PromptKind::FollowUp => "with a follow-up",
                PromptKind::Replay => "with a replay of the history",
            };
            format!("{} started {prompt}", t.turn_id)
        }
        EventBody::ExecutorSessionEnsure(s) => {
            let how = match s.how {
                SessionReached::Created => "made",
                SessionReached::Kept => "still there",
                SessionReached::Loaded => "loaded",
                SessionReached::Resumed => "resumed",
            };
            let model = s.model.as_deref().map(|m| format!(", model {}", one_line(m))).unwrap_or_default();
            format!("agent session {how}: {}{model}", one_line(&s.native_session_id))
        }
        EventBody::ExecutorLaunch { transport, pid, command, .. } => {
            format!("started process {pid} over {transport}: {}", one_line(&command.join(" ")))
        }
        EventBody::PromptSent { bytes: n } => format!("prompt handed over, {}", bytes(*n)),
        EventBody::ExecutorReadopted { pid, .. } => format!("process {pid} found again after a restart of akkd"),
        EventBody::ExecutorExit { exit, reason, .. } => {
            let exit = exit.map_or_else(|| "the process ended".to_owned(), ended);
            because(&exit, reason.as_deref().unwrap_or_default())
        }
        EventBody::CancelRequested { close_reason: None } => "cancel was asked for".to_owned(),
        EventBody::CancelRequested { close_reason: Some(reason) } => because("close was asked for", reason),
        EventBody::ExecutorCancelRequested { step } => match step {
            CancelStep::Cooperative => "asked the agent to stop".to_owned(),
            CancelStep::Terminate => "sent SIGTERM to the agent".to_owned(),
            CancelStep::Kill => "sent SIGKILL to the agent".to_owned(),
        },
        EventBody::AgentActivity(a) => activity(a),
        EventBody::PermissionRequested(p) => {
            format!("asks for permission {}: {}", one_line(&p.nonce), one_line(&p.request.title))
        }
        EventBody::PermissionSettled(p) => {
            let decision = match p.decision {
                PermissionDecision::Allowed => "allowed",
                PermissionDecision::AllowedAlways => "allowed for good",
                PermissionDecision::Refused => "refused",
                PermissionDecision::Cancelled => "cancelled",
            };
            let by = match p.by {
                SettledBy::Person => "",
                SettledBy::Limit => ": nobody answered in time",
                SettledBy::Cancel => ": its turn is stopped",
                SettledBy::TurnEnd => ": its turn has ended",
                SettledBy::Agent => ": the agent took it back",
                SettledBy::AgentGone => ": the process that asked is gone",
            };
            format!("permission {} {decision}{by}", one_line(&p.nonce))
        }
        EventBody::PermissionAnswered { nonce } => format!("the agent was told about permission {}", one_line(nonce)),
        EventBody::TurnEnded(t) => {
            let turn = record.turn_id.as_ref().map_or("turn", |t| t.as_str());
            because(&format!("{turn} {}", outcome(t.outcome)), t.reason.as_deref().unwrap_or_default())
        }
        EventBody::ConversationStalled { reason } => because("stalled", reason),
        EventBody::ConversationNeedsRecovery { reason, .. } => because("the agent session is gone", reason),
        EventBody::ConversationNeedsModelSelection { attempted, available, reason, .. } => {
            let model = attempted.as_deref().map(|m| format!(" {}", one_line(m))).unwrap_or_default();
            let choice = match available.as_slice() {
                [] => String::new(),
                models => format!("; available: {}", one_line(&models.join(", "))),
            };
            format!("{}{choice}", because(&format!("the agent refused the model{model}"), reason))
        }
        EventBody::RecoveryStarted { automatic, reason, session, .. } => {
            let by = if *automatic { "by akkd itself" } else { "on request" };
            because(&format!("history replayed into session {} {by}", one_line(session)), reason)
        }
        EventBody::ConversationClosed { reason, cancelled } => {
            because(if *cancelled { "closed while it was working" } else { "closed" }, reason)
        }
        EventBody::BudgetLevel { level } => format!("budget is at {}", level.as_str()),
        EventBody::LimitsChanged { soft_limit, hard_limit } => {
            format!("limits are now {soft_limit} rounds (soft) and {hard_limit} (hard)")
        }
        EventBody::ModelSelected { model } => format!("model is now {}", one_line(model)),
        EventBody::LateCallback(m) => format!("late report, changes nothing: {}", message(m)),
        EventBody::DuplicateCallback { .. } => "the agent repeated a report".to_owned(),
        EventBody::QuestionAnswered { .. } => "the agent got its answer inside its turn, and works on".to_owned(),
        EventBody::DropRefused { file, reason } => {
            because(&format!("a drop was set aside: {}", one_line(file)), reason)
        }
        EventBody::NativeSessionAttached(a) => {
            let session = format!("{} session {}", one_line(&a.agent), short_id(&a.session_id));
            because(&format!("taken over by {}: {session}", a.strategy), a.title.as_deref().unwrap_or_default())
        }
        EventBody::NativeSessionForked(f) => {
            let session = format!("{} session {}", one_line(&f.agent), short_id(&f.session_id));
            because(&format!("begun with a summary of {session}"), f.title.as_deref().unwrap_or_default())
        }
        EventBody::NativeSessionBootstrapped => "the session has taken its first prompt from akkd".to_owned(),
        EventBody::ForkSessionBootstrapped => "the new session has taken the summary".to_owned(),
        EventBody::ConversationImported(i) => {
            format!("imported from the predecessor, where its status was {}", status(i.former_status))
        }
        EventBody::PredecessorEvent { name, detail } => {
            format!("noted by the predecessor: {} {}", one_line(name), one_line(detail))
        }
        EventBody::DeliveryAttempt { attempt, error: None, .. } => format!("delivery attempt {attempt}"),
        EventBody::DeliveryAttempt { attempt, error: Some(error), .. } => {
            because(&format!("delivery attempt {attempt} failed"), error)
        }
        EventBody::DeliveryAccepted { by_hand: false, .. } => "the orchestrator has the report".to_owned(),
        EventBody::DeliveryAccepted { by_hand: true, .. } => "the report counts as told: a person said so".to_owned(),
        EventBody::DeliveryParked { reason: ParkReason::RecipientGone, detail, .. } => {
            because("the report waits for a person: its session is gone", detail)
        }
        EventBody::DeliveryParked { reason: ParkReason::Uncertain, detail, .. } => {
            because("the report waits for a person: whether it arrived is not known", detail)
        }
        EventBody::DeliveryOverdue { .. } => "the report waits for more than ten minutes".to_owned(),
    }
}

/// The colour of an event's line.
pub(crate) fn event_style(body: &EventBody) -> Style {
    match body {
        EventBody::Message(m) if m.message.from.is_orchestrator() => BUSY,
        EventBody::Message(_) | EventBody::LateCallback(_) => GOOD,
        EventBody::PermissionSettled(p) if p.by == SettledBy::Person => BUSY,
        EventBody::PermissionSettled(_) => WARN,
        EventBody::PermissionRequested(_)
        | EventBody::ConversationStalled { .. }
        | EventBody::ConversationNeedsRecovery { .. }
        | EventBody::ConversationNeedsModelSelection { .. }
        | EventBody::DropRefused { .. }
        | EventBody::DeliveryAttempt { error: Some(_), .. }
        | EventBody::DeliveryParked { .. }
        | EventBody::DeliveryOverdue { .. } => ALERT,
        EventBody::TurnEnded(t) if t.outcome != TurnOutcome::Completed => ALERT,
        EventBody::BudgetLevel { level } => level_style(*level),
        EventBody::NativeSessionAttached(_) | EventBody::NativeSessionForked(_) => BUSY,
        EventBody::MessagesDropped { .. } | EventBody::CancelRequested { .. } | EventBody::RecoveryStarted { .. } => {
            WARN
        }
        _ => DIM,
    }
}

/// How a process ended.
pub(crate) fn ended(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("the process ended with code {code}"),
        Exit::Signal(signal) => format!("the process was ended by signal {signal}"),
    }
}

fn activity(activity: &Activity) -> String {
    match activity {
        Activity::Tool { title, kind, status, .. } => {
            format!("{}: {} ({})", one_line(kind.as_deref().unwrap_or("tool")), one_line(title), one_line(status))
        }
        Activity::Plan { entries } => {
            let next = entries.iter().find(|e| e.starts_with("in_progress")).or_else(|| entries.first());
            let next = next.map(|e| format!(": {}", one_line(e))).unwrap_or_default();
            format!("plan of {}{next}", counted(entries.len() as u64, "step"))
        }
        Activity::Permission { title, decision, .. } => {
            format!("permission {}: {}", one_line(decision), one_line(title))
        }
        Activity::Notice { text } => format!("note: {}", one_line(text)),
    }
}

fn because(what: &str, reason: &str) -> String {
    if reason.is_empty() { what.to_owned() } else { format!("{what}: {}", one_line(reason)) }
}

/// `0a1b2c3d`, as a word of a command that a person may type.
pub(crate) fn command(verb: &str, id: &akk_proto::ConversationId, rest: &str) -> String {
    let id = short(id);
    if rest.is_empty() { format!("akkctl {verb} {id}") } else { format!("akkctl {verb} {id} {rest}") }
}
