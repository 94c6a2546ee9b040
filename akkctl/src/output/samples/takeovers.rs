//! What a takeover of a fixed native session comes to.

use super::sessions::{HOUR, live, old};
use super::{MINUTE, NOW, ago, conversation};
use akk_proto::Timestamp;
use akk_proto::conversation::{ConversationView, Status};
use akk_proto::session::*;

fn way(strategy: Strategy, status: TakeoverStatus, reason: Option<BlockReason>, explanation: &str) -> StrategyView {
    StrategyView { strategy, status, reason, explanation: explanation.into() }
}

fn ways() -> Vec<StrategyView> {
    use TakeoverStatus::{AwaitingOpenclawSummary, Blocked, RequiresConfirmation};
    vec![
        way(
            Strategy::SafeResume,
            Blocked,
            Some(BlockReason::ActiveCliConflict),
            "The terminal of process 4242 holds the session; a second writer would be refused by Codex.",
        ),
        way(Strategy::Attach, Blocked, Some(BlockReason::NoControlSocket), "No shared daemon runs this session."),
        way(
            Strategy::TerminateThenResume,
            RequiresConfirmation,
            None,
            "One process holds the session for certain and can be ended.",
        ),
        way(Strategy::Fork, AwaitingOpenclawSummary, None, "A new session can begin with a summary of this one."),
    ]
}

/// What is possible with a live session.
pub(crate) fn overview() -> TakeoverAnswer {
    TakeoverAnswer {
        status: TakeoverStatus::RequiresConfirmation,
        strategy: Strategy::TerminateThenResume,
        side_effects_executed: false,
        reason: None,
        explanation: "A terminal runs the session. It can be ended and the session resumed, once you confirm.".into(),
        hint: None,
        session: live(),
        strategies: ways(),
        incomplete: vec![],
        resume: None,
        plan: None,
        steps: vec![],
        context: None,
        conversation: None,
        repeated: false,
    }
}

fn resume() -> ResumeView {
    ResumeView {
        way: "exec_resume".into(),
        cwd: "/home/u/project".into(),
        model: Some("gpt-5.1-codex".into()),
        sandbox: Some("workspace-write".into()),
    }
}

/// A session that nobody runs.
pub(crate) fn ready() -> TakeoverAnswer {
    TakeoverAnswer {
        status: TakeoverStatus::Ready,
        strategy: Strategy::SafeResume,
        explanation: "No process runs the session, and everything that could be looked at was.".into(),
        session: SessionView { session_id: live().session_id, ..old() },
        strategies: vec![],
        resume: Some(resume()),
        ..overview()
    }
}

fn target(pid: u32, command: &[&str]) -> TargetView {
    TargetView {
        pid,
        started_at: Some(ago(HOUR)),
        executable: Some(format!("/usr/bin/{}", command[0])),
        command: command.iter().map(|w| (*w).to_owned()).collect(),
    }
}

/// A plan that waits for a yes.
pub(crate) fn to_confirm() -> TakeoverAnswer {
    TakeoverAnswer {
        explanation: "Process 4242 would be ended, and the session resumed afterwards.".into(),
        hint: Some("Confirm it within 5 minutes with `akkctl takeover 0198f3a2 --create --confirm 4242`.".into()),
        session: SessionView { activity: SessionActivity::Idle, ..live() },
        strategies: vec![],
        resume: Some(resume()),
        plan: Some(TerminationPlan {
            plan_id: "plan-0198f3a2".into(),
            expires_at: Timestamp(NOW + 5 * MINUTE),
            session_id: live().session_id,
            target: target(4242, &["codex", "--no-daemon"]),
            kind: ProcessKind::Tui,
            cwd: Some("/home/u/project".into()),
            evidence: Evidence::Lock,
            confidence: Confidence::Exact,
            children: vec![
                target(4250, &["npm", "run", "dev"]),
                TargetView {
                    executable: Some("/opt/node-24/bin/node".into()),
                    ..target(4251, &["server", "server.js"])
                },
            ],
            activity: SessionActivity::Idle,
        }),
        ..overview()
    }
}

/// A plan for a process that is known by its directory, in the middle of a turn, in no sandbox.
pub(crate) fn to_confirm_boldly() -> TakeoverAnswer {
    let mut answer = to_confirm();
    answer.session = live();
    answer.incomplete = vec!["The locks could not be read: /proc/locks is not there.".into()];
    if let Some(plan) = &mut answer.plan {
        plan.evidence = Evidence::Cwd;
        plan.confidence = Confidence::Low;
        plan.activity = SessionActivity::Working;
        plan.children.clear();
    }
    answer.resume = Some(ResumeView { sandbox: Some("danger-full-access".into()), model: None, ..resume() });
    answer
}

/// A context for a summary.
pub(crate) fn to_summarise() -> TakeoverAnswer {
    let said = |role: &str, text: &str, truncated| ContextMessage {
        role: role.into(),
        ts: Some(ago(20 * MINUTE)),
        text: text.into(),
        truncated,
    };
    let ran = |command: &str, exit_code, output: Option<&str>| ContextCommand {
        ts: Some(ago(10 * MINUTE)),
        command: command.into(),
        exit_code,
        output: output.map(Into::into),
        truncated: output.is_some(),
    };
    TakeoverAnswer {
        status: TakeoverStatus::AwaitingOpenclawSummary,
        strategy: Strategy::Fork,
        explanation: "A new session can begin with a summary of this one, which is not touched.".into(),
        strategies: vec![],
        context: Some(ForkContext {
            messages: vec![
                said("user", "Fix the parser.\n\n* it drops the last token\n* keep -v free", false),
                said("assistant", "I found it: the loop ends one token too early. I am", true),
            ],
            commands: vec![
                ran("cargo test -p parser", Some(101), Some("test last_token ... FAILED\n1 failed")),
                ran("git status", Some(0), None),
                ran("sleep 600", None, None),
            ],
            truncated: true,
            skipped_records: 3,
            prompt: "Write a summary for the agent that goes on:\n1. the goal\n2. the work done\n3. the next step\nShow it to the user, and use it only when the user has confirmed it.".into(),
        }),
        ..overview()
    }
}

/// The way that was asked for is closed, others are open.
pub(crate) fn blocked() -> TakeoverAnswer {
    TakeoverAnswer {
        status: TakeoverStatus::Blocked,
        strategy: Strategy::SafeResume,
        reason: Some(BlockReason::ActiveCliConflict),
        explanation: "Process 4242 (tui) holds the session's lock.".into(),
        hint: Some("Quit Codex in that terminal, or choose another way.".into()),
        ..overview()
    }
}

/// The process was signalled and did not end.
pub(crate) fn still_there() -> TakeoverAnswer {
    TakeoverAnswer {
        strategy: Strategy::TerminateThenResume,
        reason: Some(BlockReason::TargetStillActive),
        side_effects_executed: true,
        explanation: "Process 4242 was sent SIGTERM and still runs after 3 s.".into(),
        hint: None,
        strategies: vec![],
        plan: to_confirm().plan,
        steps: steps(&[
            ("checked", "process 4242 is the one of the plan"),
            ("signalled", "SIGTERM to 4242 and 4250"),
            ("still_active", "4242 holds the session's lock after 3.0 s"),
        ]),
        ..blocked()
    }
}

/// It is a conversation already.
pub(crate) fn adopted_already() -> TakeoverAnswer {
    TakeoverAnswer {
        reason: Some(BlockReason::AlreadyAdopted),
        explanation: "The session belongs to an open conversation.".into(),
        session: SessionView { conversation_id: Some(super::conversation_id()), ..old() },
        strategies: vec![],
        hint: None,
        ..blocked()
    }
}

fn steps(steps: &[(&str, &str)]) -> Vec<TakeoverStep> {
    let step =
        |(name, detail): &(&str, &str)| TakeoverStep { ts: ago(2000), step: (*name).into(), detail: (*detail).into() };
    steps.iter().map(step).collect()
}

/// How the conversation came by the session.
pub(crate) fn attachment() -> NativeAttachment {
    NativeAttachment {
        agent: "codex".into(),
        session_id: live().session_id,
        home: "/home/u/.codex".into(),
        cwd: "/home/u/project".into(),
        title: Some("Fix the parser:\nit drops the last token of a line".into()),
        strategy: Strategy::TerminateThenResume,
        evidence: vec!["process 4242 (tui) held the session's lock".into(), "no other process had it open".into()],
        model: Some("gpt-5.1-codex".into()),
        sandbox: Some("workspace-write".into()),
        overrides: vec![],
        control_socket: None,
        cwd_only_confirmed: false,
        attached_at: ago(5 * MINUTE),
        steps: steps(&[("signalled", "SIGTERM to 4242, 4250, 4251"), ("exited", "all of them"), ("attached", "")]),
    }
}

/// What was carried over.
pub(crate) fn fork_origin() -> ForkOrigin {
    ForkOrigin {
        agent: "codex".into(),
        session_id: live().session_id,
        home: "/home/u/.codex".into(),
        cwd: "/home/u/project".into(),
        title: Some("Fix the parser".into()),
        summary: "Goal: the parser keeps the last token.\nDone: the loop is found.\nNext: a test, then the fix.".into(),
        forked_at: ago(5 * MINUTE),
    }
}

/// A conversation that goes on with a native session; nothing was sent yet.
pub(crate) fn adopted_conversation() -> ConversationView {
    ConversationView {
        status: Status::Idle,
        user_request: "Fix the parser: it drops the last token of a line".into(),
        response_rounds_used: 0,
        turn: None,
        created_at: ago(5 * MINUTE),
        updated_at: ago(5 * MINUTE),
        native_session_takeover: Some(Box::new(AttachmentView { attachment: attachment(), needs_bootstrap: true })),
        ..conversation()
    }
}

/// A conversation with a new session and a summary; nothing was sent yet.
pub(crate) fn forked_conversation() -> ConversationView {
    ConversationView {
        native_session_takeover: None,
        fork_context_takeover: Some(Box::new(ForkView { origin: fork_origin(), needs_bootstrap: true })),
        ..adopted_conversation()
    }
}

/// The process is ended, and the session a conversation.
pub(crate) fn attached() -> TakeoverAnswer {
    TakeoverAnswer {
        status: TakeoverStatus::Attached,
        side_effects_executed: true,
        explanation: "The session is a conversation now.".into(),
        steps: steps(&[
            ("checked", "process 4242 is the one of the plan"),
            ("signalled", "SIGTERM to 4242, 4250, 4251"),
            ("attached", "by codex exec resume"),
        ]),
        conversation: Some(adopted_conversation()),
        ..to_confirm()
    }
}

/// A new conversation with a summary.
pub(crate) fn forked() -> TakeoverAnswer {
    TakeoverAnswer {
        status: TakeoverStatus::Forked,
        strategy: Strategy::Fork,
        side_effects_executed: true,
        explanation: "A new session begins with the summary; the original is not touched.".into(),
        resume: None,
        strategies: vec![],
        conversation: Some(forked_conversation()),
        repeated: true,
        ..overview()
    }
}

/// Each of the above.
pub(crate) fn every_takeover() -> Vec<TakeoverAnswer> {
    vec![
        overview(),
        ready(),
        to_confirm(),
        to_confirm_boldly(),
        to_summarise(),
        blocked(),
        still_there(),
        adopted_already(),
        attached(),
        forked(),
    ]
}
