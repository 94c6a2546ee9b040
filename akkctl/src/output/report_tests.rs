use super::*;
use crate::output::samples;
use akk_proto::error::Failure;
use std::io;
use std::time::Duration;

#[test]
fn a_delegation_names_the_commands_that_are_useful_next() {
    let mut answer =
        DelegateAnswer { conversation: samples::conversation(), turn_id: "turn-1".parse().unwrap(), repeated: false };
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
        dropped: Vec::new(),
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
    answer.budget_level = BudgetLevel::Normal;
    answer.conversation.status = Status::Cancelling;
    answer.dropped = vec![samples::message_id(2)];
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
        cursor: None,
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
        cursor: None,
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
        dropped: Vec::new(),
        repeated: false,
    };
    assert!(not_delivered(&answer));
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
        let answer =
            WaitAnswer { need: Some(need), timed_out: false, conversation: Some(c), message: None, cursor: None };
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
    let ambiguous = Failure::new(ErrorKind::AmbiguousId, "\"0a\" fits 2 conversations", "give more of the id").with(
        "candidates",
        vec!["task-20260620T120525-0a1b2c3d".to_owned(), "task-20260620T120526-0affffff".to_owned()],
    );
    let errors = [
        Error::Refused(Box::new(Failure::new(
            ErrorKind::WrongStatus,
            "the conversation is \u{1b}[31mcancelling",
            "wait until its turn has ended",
        ))),
        Error::Refused(Box::new(Failure::new(ErrorKind::NotFound, "no conversation \"x\"", "see `akkctl list --all`"))),
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
