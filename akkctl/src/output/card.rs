//! `akkctl status`: where one conversation stands, and the commands that lead on.

use super::history::event_line_in;
use super::terminal::{BOLD, DIM, WARN};
use super::text::{counted, fit, one_line, padded, wrapped};
use super::{View, words};
use akk_proto::api::GetAnswer;
use akk_proto::conversation::{BudgetLevel, ConversationView, Status};
use akk_proto::delivery::DeliveryView;
use akk_proto::session::{AttachmentView, ForkView};
use std::fmt::Write as _;

const NAME: usize = 11;

/// The card.
pub(crate) fn card(answer: &GetAnswer, view: &View) -> String {
    let c = &answer.conversation;
    let ball = if c.needs.is_some() { words::Ball::NeedsYou } else { words::Ball::of(c.status) };
    let mut out = format!(
        "{}  {} {}\n",
        view.paint(BOLD, c.conversation_id.as_str()),
        view.paint(ball.style().bold(), &status(c)),
        view.paint(DIM, &format!("({})", c.status)),
    );
    let mut field = |name: &str, text: &str| {
        let text = fit(text, view.width.map(|w| w.saturating_sub(NAME + 2)));
        let _ = writeln!(out, "  {}{text}", view.paint(DIM, &padded(name, NAME)));
    };
    if let Some(label) = &c.label {
        field("label", &one_line(label));
    }
    field("request", &one_line(&c.user_request));
    if let Some(reason) = &c.stalled_reason {
        field("why", &one_line(reason));
    }
    if let Some(r) = c.recovery.as_ref().filter(|_| c.status == Status::NeedsRecovery) {
        field("why", &one_line(&r.reason));
    }
    if let Some(m) = c.model_selection.as_ref().filter(|_| c.status == Status::NeedsModelSelection) {
        field("why", &one_line(&m.reason));
        if !m.available.is_empty() {
            field("models", &one_line(&m.available.join(", ")));
        }
    }
    if let Some(reason) = &c.close_reason {
        field("closed", &format!("{} ({})", one_line(reason), view.ago(c.closed_at.unwrap_or(c.updated_at))));
    }
    field("agent", &agent(c));
    field("workspace", &one_line(&c.workspace));
    match &c.native_session_takeover {
        Some(taken) if c.recovery.as_ref().is_some_and(|r| !r.former_sessions.is_empty()) => {
            given_up(taken, view, &mut field);
        }
        Some(taken) => adopted(taken, view, &mut field),
        None => {}
    }
    if let Some(fork) = &c.fork_context_takeover {
        forked(fork, view, &mut field);
    }
    field("turn", &turn(c, view));
    field("rounds", &rounds(c));
    if !c.queued.is_empty() {
        field("queue", &format!("{} behind the open turn", counted(c.queued.len() as u64, "message")));
    }
    if let Some(orchestrator) = &c.orchestrator {
        field("reports to", &one_line(orchestrator));
    }
    field("age", &format!("created {}, last activity {}", view.ago(c.created_at), view.ago(c.updated_at)));
    if c.undelivered > 0 || !answer.deliveries.is_empty() {
        let _ = writeln!(out, "\n{}", view.paint(WARN, &words::undelivered(c.undelivered, c.overdue)));
        for delivery in &answer.deliveries {
            let _ = writeln!(out, "{}", delivery_line(delivery, view));
        }
    }
    if !answer.events.is_empty() {
        let _ = writeln!(out, "\n{}", view.paint(BOLD, "Last events"));
        for record in &answer.events {
            let _ = writeln!(out, "  {}", event_line_in(record, view, view.width.map(|w| w - 2)));
        }
    }
    out.push('\n');
    out.push_str(&next_steps(c, view));
    out
}

fn status(c: &ConversationView) -> String {
    let rest = words::idle(c).map(str::to_owned);
    rest.unwrap_or_else(|| words::status_sentence(c.status, c.needs, &one_line(&c.agent)))
}

/// Which session it goes on with, and how it came by it.
fn adopted(taken: &AttachmentView, view: &View, field: &mut impl FnMut(&str, &str)) {
    let a = &taken.attachment;
    field("session", &native(&a.agent, &a.session_id, a.title.as_deref()));
    field("taken over", &format!("{} by {}", view.ago(a.attached_at), a.strategy));
    let mut name = "evidence";
    for sentence in &a.evidence {
        field(name, &one_line(sentence));
        name = "";
    }
    if a.cwd_only_confirmed {
        field(name, "its directory only; the user confirmed the process");
    }
    let mut own: Vec<String> = Vec::new();
    own.extend(a.model.as_deref().map(|m| format!("model {}", one_line(m))));
    own.extend(a.sandbox.as_deref().map(|s| format!("sandbox {}", one_line(s))));
    if !own.is_empty() {
        field("its own", &own.join(", "));
    }
    if let Some(socket) = &a.control_socket {
        field("joined at", &view.path(socket));
    }
    let told = if taken.needs_bootstrap {
        "needed: the next prompt carries akkd's rules, once"
    } else {
        "done: the session knows akkd's rules"
    };
    field("bootstrap", told);
}

/// Which session it came from, and has given up: a replay goes on in a new one.
fn given_up(taken: &AttachmentView, view: &View, field: &mut impl FnMut(&str, &str)) {
    let a = &taken.attachment;
    field("came from", &native(&a.agent, &a.session_id, a.title.as_deref()));
    field("", &format!("taken over {}; a replay of the history goes on in a new session", view.ago(a.attached_at)));
}

/// Which session it began with a summary of.
fn forked(fork: &ForkView, view: &View, field: &mut impl FnMut(&str, &str)) {
    let f = &fork.origin;
    field(
        "forked",
        &format!("{}, from {}", view.ago(f.forked_at), native(&f.agent, &f.session_id, f.title.as_deref())),
    );
    field("summary", &one_line(&f.summary));
    let told = if fork.needs_bootstrap {
        "needed: the next prompt carries the summary, once"
    } else {
        "done: the session has the summary"
    };
    field("bootstrap", told);
}

fn native(agent: &str, session_id: &str, title: Option<&str>) -> String {
    let title = title.map(|t| format!(": {}", one_line(t))).unwrap_or_default();
    format!("{} {}{title}", one_line(agent), one_line(session_id))
}

/// The commands that a person would type next.
pub(crate) fn next_steps(c: &ConversationView, view: &View) -> String {
    let steps = steps(c);
    let columns = steps.iter().map(|(command, _)| command.chars().count()).max().unwrap_or_default() + 2;
    let mut out = format!("{}\n", view.paint(BOLD, "Next"));
    for (command, why) in steps {
        let _ = writeln!(out, "  {}{}", padded(&command, columns), view.paint(DIM, why));
    }
    out
}

fn steps(c: &ConversationView) -> Vec<(String, &'static str)> {
    let id = &c.conversation_id;
    let step = |verb: &str, rest: &str, why: &'static str| (words::command(verb, id, rest), why);
    let turn_is_open = c.turn.as_ref().is_some_and(|t| t.outcome.is_none());
    let wait = step("wait", "", "until it needs you");
    let follow = step("transcript", "--follow", "watch the exchange");
    let cancel = step("cancel", "", "stop the turn");
    let close = step("close", "", "end it; the history stays");
    let result = step("result", "", "what the last turn came to");
    match c.status {
        Status::Created | Status::Running | Status::WaitingForAgent => vec![wait, follow, cancel],
        Status::WaitingForOpenclaw => {
            vec![result, step("send", "\"your answer\"", "answer it"), close]
        }
        // It came from a native session, and nothing was sent yet.
        Status::Idle if c.turn.is_none() => {
            vec![step("send", "\"what to do next\"", "the first message of yours"), close]
        }
        Status::Idle => vec![result, step("send", "\"what to do next\"", "go on in the same session"), close],
        Status::Cancelling => vec![wait],
        Status::Stalled if turn_is_open => {
            vec![follow, step("send", "--cancel-first \"try again\"", "stop the turn and try again"), cancel, close]
        }
        Status::Stalled => vec![
            step("status", "--trace", "what the agent did"),
            step("send", "\"try again\"", "a new attempt in the same session"),
            step("recover", "", "a new session with a replay of the history"),
            close,
        ],
        Status::NeedsRecovery => vec![step("recover", "", "a new session with a replay of the history"), close],
        Status::NeedsModelSelection => {
            let model = c.model_selection.as_ref().and_then(|m| m.available.first()).map(|m| one_line(m));
            let model = format!("--model {}", model.as_deref().unwrap_or("MODEL"));
            vec![step("send", &model, "send the message again with this model"), close]
        }
        Status::Failed if c.budget_level == BudgetLevel::HardStop => {
            let limit = format!("--soft-limit {0} --hard-limit {0} \"go on\"", c.hard_limit.saturating_mul(2));
            vec![result, step("send", &limit, "raise the limits and go on"), close]
        }
        Status::Failed => vec![result, step("send", "\"try again\"", "a new attempt"), close],
        Status::Cancelled | Status::Closed => {
            vec![step("transcript", "", "read the exchange"), step("delete", "", "delete it for good")]
        }
    }
}

fn agent(c: &ConversationView) -> String {
    let mut text =
        format!("{} over {}, session {}", one_line(&c.agent), c.executor.transport, one_line(&c.executor.session));
    if let Some(model) = &c.executor_model {
        let _ = write!(text, ", model {}", one_line(model));
    }
    text
}

fn turn(c: &ConversationView, view: &View) -> String {
    let Some(t) = &c.turn else { return "none yet".to_owned() };
    let mut text = match (t.outcome, t.ended_at) {
        (Some(outcome), ended) => {
            let ended = ended.map(|at| format!(" {}", view.ago(at))).unwrap_or_default();
            format!("{} {}{ended}", t.turn_id, words::outcome(outcome))
        }
        (None, _) => format!("{} open for {}", t.turn_id, super::when::span(view.now.millis_since(t.started_at))),
    };
    if let Some(p) = &t.process {
        let _ = write!(text, ", process {}: {}", p.pid, one_line(&p.command.join(" ")));
    }
    if let Some(reason) = &t.reason {
        let _ = write!(text, ": {}", one_line(reason));
    }
    text
}

fn rounds(c: &ConversationView) -> String {
    let level = match c.budget_level {
        BudgetLevel::Normal => "",
        BudgetLevel::Converge => "; the agent was told to converge",
        BudgetLevel::Warning => "; the agent was warned",
        BudgetLevel::SoftStop => "; sending needs --soft-limit",
        BudgetLevel::HardStop => "; sending needs --hard-limit",
    };
    format!("{} of {} (hard limit {}){level}", c.response_rounds_used, c.soft_limit, c.hard_limit)
}

fn delivery_line(d: &DeliveryView, view: &View) -> String {
    let state = padded(d.state.as_str(), 12);
    let text =
        format!("{} for {}, {}", one_line(&d.kind), view.age(d.created_at), counted(u64::from(d.attempts), "attempt"));
    let mut out = format!("  {}{text}", view.paint(words::delivery_style(d.state), &state));
    for why in super::deliveries::why(d) {
        let _ = write!(out, "\n{}", view.paint(DIM, wrapped(&why, view.width, 14).trim_end()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn a_working_conversation_shows_its_turn_and_process() {
        insta::assert_snapshot!(card(&samples::get(), &samples::view()));
    }

    #[test]
    fn every_status_says_what_to_type_next() {
        let mut c = samples::conversation();
        let mut all = String::new();
        for status in Status::ALL {
            c.status = status;
            let _ = write!(all, "{status}\n{}", next_steps(&c, &samples::view()));
        }
        insta::assert_snapshot!(all);
    }

    #[test]
    fn a_refused_model_shows_the_choice() {
        let mut answer = samples::get();
        answer.conversation = samples::model_refused();
        answer.events.clear();
        insta::assert_snapshot!(card(&answer, &samples::view()));
    }

    #[test]
    fn a_stalled_one_says_why_and_what_is_undelivered() {
        insta::assert_snapshot!(card(&samples::stalled(), &samples::view()));
    }

    #[test]
    fn an_adopted_session_says_where_it_came_from_and_what_its_next_prompt_carries() {
        use crate::output::samples::sessions as native;
        let mut answer = samples::get();
        answer.events.clear();
        answer.conversation = native::adopted_conversation();
        let mut text = card(&answer, &samples::view());
        let mut used = native::adopted_conversation();
        let taken = used.native_session_takeover.as_mut().unwrap();
        taken.needs_bootstrap = false;
        taken.attachment.cwd_only_confirmed = true;
        taken.attachment.evidence.clear();
        taken.attachment.control_socket = Some("/home/u/.codex/app-server-control/app-server-control.sock".into());
        used.turn = samples::conversation().turn;
        used.status = Status::WaitingForAgent;
        answer.conversation = used;
        text.push_str(&card(&answer, &samples::view()));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_session_that_was_given_up_for_a_replay_is_not_said_to_be_gone_on_with() {
        use crate::output::samples::sessions as native;
        use akk_proto::conversation::RecoveryView;
        let mut answer = samples::get();
        answer.events.clear();
        answer.conversation = native::adopted_conversation();
        answer.conversation.turn = samples::conversation().turn;
        answer.conversation.recovery = Some(RecoveryView {
            reason: "replayed into a fresh session".into(),
            pending_message: None,
            former_sessions: vec!["akk-codex-1".into()],
        });
        let text = card(&answer, &samples::view());
        assert!(text.contains("  came from  codex ") && text.contains("goes on in a new session"), "{text}");
        assert!(!text.contains("bootstrap") && !text.contains("evidence"), "{text}");
    }

    #[test]
    fn a_fork_says_what_was_carried_over() {
        use crate::output::samples::sessions as native;
        let mut answer = samples::get();
        answer.events.clear();
        answer.conversation = native::forked_conversation();
        let mut text = card(&answer, &samples::view());
        answer.conversation.fork_context_takeover.as_mut().unwrap().needs_bootstrap = false;
        text.push_str(&card(&answer, &samples::view()));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_an_adopted_session_is_called_cannot_command_the_terminal() {
        use crate::output::samples::sessions as native;
        let mut answer = samples::get();
        let view = samples::view();
        let mut text = String::new();
        for conversation in [native::adopted_conversation(), native::forked_conversation()] {
            answer.conversation = samples::spoilt(&conversation);
            text.push_str(&card(&answer, &view));
        }
        assert!(text.contains('␛'), "the poison is in it");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }

    #[test]
    fn a_hard_stop_asks_for_a_higher_limit() {
        let mut c = samples::conversation();
        c.status = Status::Failed;
        c.budget_level = BudgetLevel::HardStop;
        assert!(next_steps(&c, &samples::view()).contains("--soft-limit 200 --hard-limit 200"));
    }
}
