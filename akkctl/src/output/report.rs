//! What the commands that change or await something say when they are done, and how an error reads.

use super::card::{asks, next_steps};
use super::terminal::{ALERT, BOLD, DIM, WARN};
use super::text::{counted, indented, one_line, short};
use super::when::span;
use super::{View, words};
use crate::error::Error;
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
            format!(
                "Queued for {id}: it is sent when the open turn ends ({} in all)\n",
                counted(c.queued.len() as u64, "message")
            )
        }
        (SendState::Sent, Some(turn)) if not_delivered(c) => format!("{turn} of {id} was not delivered\n"),
        (SendState::Sent, Some(turn)) => format!("Sent to {id} as {turn}; {} works\n", one_line(&c.agent)),
        (SendState::Sent, None) => format!("Sent to {id}\n"),
    };
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

/// Whether its last turn has ended already, without that the agent had its prompt.
fn not_delivered(c: &ConversationView) -> bool {
    c.turn.as_ref().is_some_and(|t| t.outcome == Some(TurnOutcome::NotDelivered))
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
    if !answer.dropped.is_empty() {
        let told = format!("{} dropped\n", counted(answer.dropped.len() as u64, "queued message"));
        out.push_str(&view.paint(WARN, &told));
    }
    out
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
mod tests {
    use super::*;
    use crate::output::samples;
    use akk_proto::error::Failure;
    use std::io;
    use std::time::Duration;

    #[test]
    fn a_delegation_names_the_commands_that_are_useful_next() {
        let mut answer = DelegateAnswer {
            conversation: samples::conversation(),
            turn_id: "turn-1".parse().unwrap(),
            repeated: false,
        };
        let mut text = delegated(&answer, &samples::view());
        answer.conversation.status = Status::Stalled;
        answer.conversation.turn = None;
        answer.conversation.stalled_reason = Some("codex-acp could not be started: No such file\nor directory".into());
        text.push_str(&delegated(&answer, &samples::view()));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_message_is_sent_or_queued_and_the_budget_is_said() {
        let mut answer = SendAnswer {
            conversation: samples::conversation(),
            message_id: samples::message_id(1),
            turn_id: Some("turn-2".parse().unwrap()),
            state: SendState::Sent,
            budget_level: BudgetLevel::Normal,
            auto_recovered: false,
            repeated: false,
        };
        let mut text = sent(&answer, &samples::view());
        answer.auto_recovered = true;
        answer.budget_level = BudgetLevel::Converge;
        text.push_str(&sent(&answer, &samples::view()));
        answer.auto_recovered = false;
        answer.state = SendState::Queued;
        answer.turn_id = None;
        answer.conversation.queued = vec![samples::message_id(1)];
        answer.budget_level = BudgetLevel::SoftStop;
        text.push_str(&sent(&answer, &samples::view()));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn cancel_and_close_say_what_became_of_it() {
        let mut answer = CancelAnswer {
            conversation: samples::conversation(),
            nothing_to_cancel: false,
            dropped: vec![samples::message_id(1)],
        };
        let mut text = String::new();
        for (status, nothing, closing) in [
            (Status::Cancelling, false, false),
            (Status::Cancelling, false, true),
            (Status::Idle, true, false),
            (Status::Closed, false, true),
        ] {
            answer.conversation.status = status;
            answer.nothing_to_cancel = nothing;
            text.push_str(&cancelled(&answer, closing, &samples::view()));
        }
        text.push_str(&deleted(&DeleteAnswer { conversation_id: answer.conversation.conversation_id }));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_wait_shows_the_report_and_the_way_on() {
        let mut c = samples::conversation();
        c.status = Status::WaitingForOpenclaw;
        let answer = WaitAnswer {
            need: Some(Need::Question),
            timed_out: false,
            conversation: Some(c),
            message: Some(samples::question()),
        };
        insta::assert_snapshot!(waited(&answer, &samples::view()));
    }

    #[test]
    fn a_permission_that_is_asked_for_is_shown_whole_with_the_commands_that_answer_it() {
        let view = samples::view();
        let mut c = samples::asking();
        let answer = WaitAnswer {
            need: Some(Need::Permission),
            timed_out: false,
            conversation: Some(c.clone()),
            message: Some(samples::question()),
        };
        let mut text = waited(&answer, &view);
        c.permission_requests.truncate(1);
        let mut answer =
            PermitAnswer { conversation: c, nonce: Some("4e5f6a7b".into()), decision: Permit::Deny, repeated: false };
        text.push_str(&permitted(&answer, &view));
        answer.conversation = samples::conversation();
        text.push_str(&permitted(&answer, &view));
        insta::assert_snapshot!(text);
        answer.conversation = samples::spoilt(&samples::asking());
        let hostile = permitted(&answer, &view);
        assert!(hostile.contains('␛') && !hostile.chars().any(|c| c.is_control() && c != '\n'), "{hostile:?}");
    }

    #[test]
    fn what_was_not_delivered_is_not_said_to_be_worked_on() {
        let mut c = samples::conversation();
        c.status = Status::Stalled;
        c.stalled_reason = Some("a turn of the user runs in this session: send again when it has ended".into());
        let turn = c.turn.as_mut().unwrap();
        turn.outcome = Some(TurnOutcome::NotDelivered);
        let answer = SendAnswer {
            conversation: c,
            message_id: samples::message_id(1),
            turn_id: Some("turn-2".parse().unwrap()),
            state: SendState::Sent,
            budget_level: BudgetLevel::Normal,
            auto_recovered: false,
            repeated: false,
        };
        insta::assert_snapshot!(sent(&answer, &samples::view()), @r"
        turn-2 of 0a1b2c3d was not delivered
          a turn of the user runs in this session: send again when it has ended
        ");
    }

    #[test]
    fn a_wait_says_why_nothing_was_done() {
        use crate::output::samples::sessions as native;
        let view = samples::view();
        let mut cancelled = samples::conversation();
        cancelled.status = Status::Idle;
        cancelled.turn.as_mut().unwrap().outcome = Some(TurnOutcome::Cancelled);
        let of = |need, c: ConversationView| {
            let answer = WaitAnswer { need: Some(need), timed_out: false, conversation: Some(c), message: None };
            let text = waited(&answer, &view);
            text.split("\n\n").next().unwrap().to_owned() + "\n"
        };
        let told = [
            of(Need::NeedsModelSelection, samples::model_refused()),
            of(Need::Done, native::adopted_conversation()),
            of(Need::Done, cancelled),
        ];
        insta::assert_snapshot!(told.concat(), @r"
        task-20260620T120525-0a1b2c3d  model refused
          The 'gpt-9' model is not supported
        task-20260620T120525-0a1b2c3d  ready; nothing was sent yet
        task-20260620T120525-0a1b2c3d  cancelled; the conversation can be used again
        ");
    }

    #[test]
    fn a_result_shows_text_usage_and_duration_once() {
        let mut answer = samples::result();
        let mut text = result(&answer, &samples::view());
        answer.result.text = answer.result.message.as_ref().map(|m| m.body.clone());
        answer.result.usage = None;
        text.push_str(&result(&answer, &samples::view()));
        answer.result.message = None;
        answer.result.text = None;
        answer.result.outcome = Some(TurnOutcome::Failed);
        answer.result.reason = Some("the process ended with code 1".into());
        answer.status = Status::Stalled;
        text.push_str(&result(&answer, &samples::view()));
        answer.result.outcome = None;
        answer.result.reason = None;
        text.push_str(&result(&answer, &samples::view()));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_callback_tells_a_language_model_what_to_do() {
        let mut answer = ReportAnswer {
            message_id: samples::message_id(1),
            duplicate: false,
            late: false,
            status: Status::Idle,
            budget_level: BudgetLevel::Normal,
        };
        let mut text = reported(&answer, "done");
        answer.status = Status::WaitingForOpenclaw;
        for level in [BudgetLevel::Converge, BudgetLevel::Warning, BudgetLevel::SoftStop, BudgetLevel::HardStop] {
            answer.budget_level = level;
            text.push_str(&reported(&answer, "question"));
        }
        answer.budget_level = BudgetLevel::Normal;
        answer.duplicate = true;
        text.push_str(&reported(&answer, "question"));
        answer.duplicate = false;
        answer.late = true;
        text.push_str(&reported(&answer, "question"));
        insta::assert_snapshot!(text);
    }

    #[test]
    fn every_error_is_one_sentence_and_a_hint_with_its_exit_code() {
        let socket = || "/run/user/1000/akk/akkd.sock".into();
        let second = Duration::from_secs;
        let method = || "conversation.list".to_owned();
        let io = || io::Error::from(io::ErrorKind::PermissionDenied);
        let ambiguous = Failure::new(ErrorKind::AmbiguousId, "\"0a\" fits 2 conversations", "give more of the id")
            .with(
                "candidates",
                vec!["task-20260620T120525-0a1b2c3d".to_owned(), "task-20260620T120526-0affffff".to_owned()],
            );
        let errors = [
            Error::Refused(Box::new(Failure::new(
                ErrorKind::WrongStatus,
                "the conversation is \u{1b}[31mcancelling",
                "wait until its turn has ended",
            ))),
            Error::Refused(Box::new(Failure::new(
                ErrorKind::NotFound,
                "no conversation \"x\"",
                "see `akkctl list --all`",
            ))),
            Error::Refused(Box::new(ambiguous)),
            Error::usage("nothing to send", "give a TEXT"),
            Error::NotRunning(socket()),
            Error::Connect { socket: socket(), source: io() },
            Error::ForeignServer { socket: socket(), uid: 1001 },
            Error::ServiceStopped,
            Error::InsideAgent,
            Error::NoDaemonProgram,
            Error::StartFailed { message: "config.toml:3: unknown key `agnets`".into(), hint: None },
            Error::StartFailed { message: "the disk is full".into(), hint: Some("make room".into()) },
            Error::StartSilent { socket: socket(), after: second(20) },
            Error::Broken { method: method() },
            Error::Silent { method: method(), after: second(120) },
            Error::AnswerTooLong { method: method(), limit: 16 << 20 },
            Error::TooLarge { what: "the report", limit: 262_144 },
            Error::NotUnderstood { method: method(), detail: "missing field `total` at line 1 column 9".into() },
            Error::VersionMismatch { ours: "0.2.0", our_protocol: 2, theirs: "0.1.0".into(), their_protocol: 1 },
            Error::VersionMismatch { ours: "0.1.0", our_protocol: 1, theirs: "0.2.0".into(), their_protocol: 2 },
            Error::OtherVersion {
                cause: Box::new(Error::Refused(Box::new(Failure::new(
                    ErrorKind::UnknownMethod,
                    "akkd has no method conversation.import",
                    "look at its version",
                )))),
                ours: "0.2.0",
                theirs: "0.1.0".into(),
            },
            Error::WaitTimedOut(second(5)),
            Error::file("read", std::path::Path::new("/tmp/request.md"), io()),
            Error::Report { cause: Box::new(Error::NotRunning(socket())), hint: "end your turn" },
            Error::Output(io()),
        ];
        let view = samples::view();
        let text: Vec<_> = errors.iter().map(|e| format!("exit {}\n{}", e.exit_code(), error(e, &view))).collect();
        insta::assert_snapshot!(text.concat());
    }
}
