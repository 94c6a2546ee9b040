//! What the commands that change or await something say when they are done, and how an error reads.

use super::card::{asks, next_steps};
use super::terminal::{ALERT, BOLD, DIM, WARN};
use super::text::{counted, indented, one_line, short};
use super::when::span;
use super::{View, words};
use crate::error::Error;
use akk_proto::MessageId;
use akk_proto::api::{
    CancelAnswer, DelegateAnswer, DeleteAnswer, PermitAnswer, ReportAnswer, ResultAnswer, SendAnswer, SendState,
    WaitAnswer,
};
use akk_proto::conversation::{BudgetLevel, ConversationView, Need, Status};
use akk_proto::error::ErrorKind;
use akk_proto::event::TurnOutcome;
use akk_proto::message::Message;
use akk_proto::permission::Permit;
use serde_json::Value;
use std::fmt::Write as _;

/// `akkctl delegate` without `--wait`.
pub(crate) fn delegated(answer: &DelegateAnswer, view: &View) -> String {
    let c = &answer.conversation;
    let ball = words::Ball::of(c.status);
    let mut out = format!(
        "{}  {}, {}, {}{}\n",
        view.paint(BOLD, c.conversation_id.as_str()),
        one_line(&c.agent),
        answer.turn_id,
        view.paint(ball.style(), words::status(c.status)),
        if answer.repeated { " (answer to a repeated call)" } else { "" },
    );
    if let Some(reason) = &c.stalled_reason {
        let _ = writeln!(out, "  {}", view.paint(ALERT, &one_line(reason)));
    }
    out.push_str(&next_steps(c, view));
    out
}

/// `akkctl send` and `akkctl recover`.
pub(crate) fn sent(answer: &SendAnswer, view: &View) -> String {
    let c = &answer.conversation;
    let id = short(&c.conversation_id);
    let mut out = match (answer.state, &answer.turn_id) {
        (SendState::Queued, _) => {
            let when = if c.status == Status::Cancelling { "has stopped" } else { "ends" };
            let waiting = counted(c.queued.len() as u64, "message");
            format!("Queued for {id}: it is sent when the open turn {when} ({waiting} in all)\n")
        }
        (SendState::Sent, Some(turn)) if not_delivered(answer) => format!("{turn} of {id} was not delivered\n"),
        (SendState::Sent, Some(turn)) => format!("Sent to {id} as {turn}; {} works\n", one_line(&c.agent)),
        (SendState::Sent, None) => format!("Sent to {id}\n"),
    };
    out.push_str(&dropped(&answer.dropped, view));
    if answer.auto_recovered {
        let told = "The agent session was gone: a new one got a replay of akkd's history, not a native resume.\n";
        out.push_str(&view.paint(WARN, told));
    }
    let used = format!("{} of {} rounds are used", c.response_rounds_used, c.soft_limit);
    let budget = match answer.budget_level {
        BudgetLevel::Normal => None,
        BudgetLevel::Converge => Some(format!("{used}; the agent was told to converge\n")),
        BudgetLevel::Warning => Some(format!("{used}; the agent was told to finish\n")),
        BudgetLevel::SoftStop => Some(format!("{used}; the next message needs a higher --soft-limit\n")),
        BudgetLevel::HardStop => Some(format!("{used}; the next message needs a higher --hard-limit\n")),
    };
    out.extend(budget.map(|b| view.paint(words::level_style(answer.budget_level), &b)));
    if let Some(reason) = c.stalled_reason.as_ref().filter(|_| words::Ball::of(c.status) == words::Ball::NeedsYou) {
        let _ = writeln!(out, "  {}", view.paint(ALERT, &one_line(reason)));
    }
    out
}

/// Whether the turn that carries it has ended already, without that the agent had its prompt.
pub(crate) fn not_delivered(answer: &SendAnswer) -> bool {
    let carries = |id| answer.turn_id.as_ref() == Some(id);
    let turn = answer.conversation.turn.as_ref().filter(|t| answer.state == SendState::Sent && carries(&t.turn_id));
    turn.is_some_and(|t| t.outcome == Some(TurnOutcome::NotDelivered))
}

/// `akkctl cancel` and `akkctl close`.
pub(crate) fn cancelled(answer: &CancelAnswer, closing: bool, view: &View) -> String {
    let c = &answer.conversation;
    let id = short(&c.conversation_id);
    let mut out = match (c.status, closing) {
        (Status::Cancelling, false) => {
            format!("{id}: {} was asked to stop; see `akkctl wait {id}`\n", one_line(&c.agent))
        }
        (Status::Cancelling, true) => {
            format!("{id}: {} was asked to stop; the conversation closes when it has\n", one_line(&c.agent))
        }
        (_, false) if answer.nothing_to_cancel => format!("{id}: no turn is open, nothing to cancel\n"),
        (status, _) => format!("{id} is {}\n", words::status(status)),
    };
    out.push_str(&dropped(&answer.dropped, view));
    out
}

/// What a cancel dropped; nothing where it dropped nothing.
fn dropped(messages: &[MessageId], view: &View) -> String {
    if messages.is_empty() {
        return String::new();
    }
    view.paint(WARN, &format!("{} dropped\n", counted(messages.len() as u64, "queued message")))
}

/// `akkctl permit`.
pub(crate) fn permitted(answer: &PermitAnswer, view: &View) -> String {
    let c = &answer.conversation;
    let (id, agent) = (short(&c.conversation_id), one_line(&c.agent));
    let said = match answer.decision {
        Permit::Allow => "allowed, this once",
        Permit::AllowAlways => "allowed, from now on",
        Permit::Deny => "refused",
    };
    let request = answer.nonce.as_deref().map(|n| format!(" {}", one_line(n))).unwrap_or_default();
    let mut out = format!("{id}: permission{request} {said}; {agent} is told\n");
    if !c.permission_requests.is_empty() {
        out.push_str(&asks(c, view));
        out.push('\n');
        out.push_str(&next_steps(c, view));
    }
    out
}

/// `akkctl delete`.
pub(crate) fn deleted(answer: &DeleteAnswer) -> String {
    format!("{} is deleted\n", answer.conversation_id)
}

/// `akkctl wait`, and the end of `delegate --wait`.
pub(crate) fn waited(answer: &WaitAnswer, view: &View) -> String {
    let mut out = String::new();
    if let Some(c) = &answer.conversation {
        let _ = write!(out, "{}", view.paint(BOLD, c.conversation_id.as_str()));
    }
    if let Some(need) = answer.need {
        let word = match (need, &answer.conversation) {
            (Need::Done, Some(c)) => words::idle(c).unwrap_or_else(|| words::need(need)),
            _ => words::need(need),
        };
        let _ = write!(out, "  {}", view.paint(words::need_style(need), word));
    }
    out.push('\n');
    if let Some(reason) = answer.conversation.as_ref().and_then(why) {
        let _ = writeln!(out, "  {}", view.paint(ALERT, &one_line(reason)));
    }
    // What was reported before it waited is not what it waits for.
    if let Some(message) = answer.message.as_ref().filter(|_| answer.need != Some(Need::Permission)) {
        out.push_str(&said(message, view));
    }
    if let Some(c) = &answer.conversation {
        out.push_str(&asks(c, view));
        out.push('\n');
        out.push_str(&next_steps(c, view));
    }
    out
}

/// Why it waits for somebody, where a message does not say it.
fn why(c: &ConversationView) -> Option<&String> {
    match c.status {
        Status::NeedsModelSelection => c.model_selection.as_ref().map(|m| &m.reason),
        Status::NeedsRecovery => c.recovery.as_ref().map(|r| &r.reason),
        _ => c.stalled_reason.as_ref(),
    }
}

/// `akkctl result`.
pub(crate) fn result(answer: &ResultAnswer, view: &View) -> String {
    let r = &answer.result;
    let took = span(r.duration_ms);
    let head = match r.outcome {
        None => format!("{} is open for {took}", r.turn_id),
        Some(outcome) => format!("{} {} after {took}", r.turn_id, words::outcome(outcome)),
    };
    let mut out =
        format!("{}  {head}, {}\n", view.paint(BOLD, answer.conversation_id.as_str()), words::status(answer.status));
    if let Some(reason) = &r.reason {
        let _ = writeln!(out, "  {}", view.paint(WARN, &one_line(reason)));
    }
    if let Some(message) = &r.message {
        out.push_str(&said(message, view));
    }
    // A derived report is the final text: once is enough.
    if let Some(text) = r.text.as_ref().filter(|t| r.message.as_ref().is_none_or(|m| m.body.trim() != t.trim())) {
        let _ = writeln!(out, "{}", view.paint(DIM, "What the agent said at the end"));
        out.push_str(&indented(text, 4));
    }
    if r.message.is_none() && r.text.is_none() {
        out.push_str("  Nothing was reported.\n");
    }
    if let Some(usage) = r.usage.as_ref().and_then(usage) {
        let _ = writeln!(out, "{}", view.paint(DIM, &format!("usage: {usage}")));
    }
    out
}

fn said(message: &Message, view: &View) -> String {
    let head = format!("{} · {} · round {}", one_line(&message.from.0), message.kind, message.round);
    format!("{}\n{}", view.paint(DIM, &head), indented(&message.body, 4))
}

/// The numbers and words of a usage object, whatever the agent calls them.
fn usage(usage: &Value) -> Option<String> {
    let mut parts: Vec<String> = usage
        .as_object()?
        .iter()
        .filter_map(|(name, value)| match value {
            Value::Number(n) => Some(format!("{} {n}", one_line(name))),
            Value::String(s) => Some(format!("{} {}", one_line(name), one_line(s))),
            _ => None,
        })
        .collect();
    // The order of a JSON object's members depends on how serde_json was built.
    parts.sort_unstable();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// `akkctl callback`. Its reader is a language model: short, plain, and what to do about it.
pub(crate) fn reported(answer: &ReportAnswer, kind: &str) -> String {
    let mut out = format!("ok {kind}: {}\n", answer.status);
    if answer.duplicate {
        out.push_str("This report had been recorded before. Do not send it again.\n");
    }
    if answer.late {
        out.push_str("The turn of this report is over: it was recorded and changes nothing. Do not send it again.\n");
    }
    out.push_str(match answer.budget_level {
        BudgetLevel::Normal => "",
        BudgetLevel::Converge => {
            "Budget: more than half of the rounds are used. List what is left and take the shortest way to the end.\n"
        }
        BudgetLevel::Warning => {
            "Budget: few rounds are left. Finish now, or report a smaller result, or explain why it cannot be done.\n"
        }
        BudgetLevel::SoftStop => {
            "Budget: the rounds are used up. Report `done` or `error` now; ask nothing that is not essential.\n"
        }
        BudgetLevel::HardStop => "Budget: the hard limit is reached and this turn is being stopped. Do nothing more.\n",
    });
    out
}

/// `akkctl callback` when akkd could not be reached. Its reader is a language model.
pub(crate) fn left(kind: &str, in_memory: bool) -> String {
    let mut out = format!("ok {kind}: left for akkd, which takes it in as soon as it can. Do not send it again.\n");
    if in_memory {
        out.push_str("It lies in memory: it outlives akkd, not a restart of the machine.\n");
    }
    out
}

/// An error: one sentence, and a hint.
pub(crate) fn error(e: &Error, view: &View) -> String {
    let mut out = format!("{} {}\n", view.paint(ALERT, "error:"), one_line(&e.to_string()));
    if let Error::Refused(failure) = e
        && failure.kind == ErrorKind::AmbiguousId
    {
        // Which conversations the shortened id fits.
        let candidates = failure.details.values().filter_map(Value::as_array).flatten().filter_map(Value::as_str);
        for candidate in candidates.take(20) {
            let _ = writeln!(out, "  {}", one_line(candidate));
        }
    }
    let hint = sentence(&one_line(&e.hint()));
    if !hint.is_empty() {
        let _ = writeln!(out, "{} {hint}", view.paint(WARN, "hint:"));
    }
    out
}

/// A hint as a sentence, whoever wrote it. Names keep their first letter.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let mut out = match chars.next() {
        Some(first) if !text.starts_with("akk") => first.to_uppercase().chain(chars).collect(),
        _ => text.to_owned(),
    };
    if out.chars().last().is_some_and(char::is_alphanumeric) || out.ends_with(['`', ')', '\'']) {
        out.push('.');
    }
    out
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
