//! `akkctl takeover`: what is possible with a native session, and doing it.

use super::Context;
use super::input::Source;
use crate::akkd::{Akkd, new_request_id};
use crate::cli::Takeover;
use crate::client::{Answer, PATIENCE};
use crate::error::{Error, Result, exit};
use crate::output::{self, print};
use akk_proto::limits::MAX_FORK_SUMMARY_BYTES;
use akk_proto::session::{Strategy, TakeoverAnswer, TakeoverParams, TakeoverStatus};
use rustix::termios::{QueueSelector, tcflush};
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

pub(super) fn run(args: Takeover, context: &Context<'_>) -> Result<u8> {
    let mut params = asked(args)?;
    let mut akkd = context.akkd();
    if is_unconfirmed_end(&params) && !context.json && io::stdin().is_terminal() && io::stdout().is_terminal() {
        let looking = TakeoverParams { request_id: None, create_conversation: false, ..params.clone() };
        let found: TakeoverAnswer = call(&mut akkd, &looking)?.read()?;
        let Some(plan) = output::plan_to_confirm(&found, &looking) else {
            // There is nothing that a yes could do.
            print(&output::takeover(&found, &looking, &context.view))?;
            return Ok(exit_code(found.status));
        };
        print(&output::takeover_plan(&found, &looking, &context.view))?;
        // What was typed before the plan was there is no answer to it. A terminal that cannot forget has nothing.
        let _ = tcflush(io::stdin(), QueueSelector::IFlush);
        print(&output::takeover_question(plan, &context.view))?;
        if !says_yes()? {
            print("Nothing was done.\n")?;
            return Ok(exit::NEEDS_SOMEONE);
        }
        params.confirm_terminate = true;
        params.expected_pid = Some(plan.target.pid);
        params.plan_id = Some(plan.plan_id.clone());
    }
    let answer = call(&mut akkd, &params)?;
    context.show::<TakeoverAnswer>(&answer, |a, v| output::takeover(a, &params, v))?;
    Ok(exit_code(answer.read::<TakeoverAnswer>()?.status))
}

fn call(akkd: &mut Akkd<'_>, params: &TakeoverParams) -> Result<Answer> {
    // Twice: for the process, and for the session's lock.
    let wait = Duration::from_millis(params.wait_ms.unwrap_or_default()) * 2;
    akkd.call_within("sessions.takeover", params, PATIENCE + wait).map_err(|e| match e {
        Error::Refused(mut failure) => {
            failure.hint = output::as_typed(&failure.hint, params);
            Error::Refused(failure)
        }
        other => other,
    })
}

fn exit_code(status: TakeoverStatus) -> u8 {
    match status {
        TakeoverStatus::Ready | TakeoverStatus::Attached | TakeoverStatus::Forked => exit::OK,
        TakeoverStatus::RequiresConfirmation | TakeoverStatus::AwaitingOpenclawSummary => exit::NEEDS_SOMEONE,
        TakeoverStatus::Blocked => exit::REFUSED,
    }
}

/// Whether a process is to be ended without that anybody said which.
fn is_unconfirmed_end(params: &TakeoverParams) -> bool {
    params.create_conversation
        && params.strategy == Some(Strategy::TerminateThenResume)
        && !params.confirm_terminate
        && params.expected_pid.is_none()
}

/// Whether the person at the terminal says yes. Anything else, also nothing, is a no.
fn says_yes() -> Result<bool> {
    let mut line = String::new();
    let stdin = Path::new("standard input");
    io::stdin().lock().read_line(&mut line).map_err(|e| Error::file("read", stdin, e))?;
    if !line.ends_with('\n') {
        // Ctrl-D leaves the cursor behind the question.
        print("\n")?;
    }
    Ok(matches!(line.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// The parameters of the call.
///
/// # Errors
/// What does not fit together, and a summary that cannot be read.
fn asked(args: Takeover) -> Result<TakeoverParams> {
    check(&args)?;
    let fork_summary = args.fork_summary.as_deref().map(summary).transpose()?;
    let session_id = args.wanted().to_owned();
    Ok(TakeoverParams {
        request_id: args.create.then(new_request_id).flatten(),
        agent: args.agent,
        session_id,
        strategy: args.strategy,
        create_conversation: args.create,
        confirm_terminate: args.confirm.is_some() || args.confirm_terminate,
        plan_id: args.plan,
        expected_pid: args.confirm.or(args.expected_pid),
        allow_cwd_only: args.allow_cwd_only,
        even_if_working: args.even_if_working,
        kill: args.kill,
        wait_ms: args.wait_ms,
        fork_summary,
        request: args.request,
        max_messages: args.max_messages,
        max_commands: args.max_commands,
        max_text_length: args.max_text_length,
        model: args.model,
        orchestrator: args.orchestrator,
        recipient: None,
        sink: args.sink,
        label: args.label,
        soft_limit: args.soft_limit,
        hard_limit: args.hard_limit,
        agent_timeout_minutes: args.agent_timeout_minutes,
        idle_timeout_minutes: args.idle_timeout_minutes,
        permissions: args.approve,
        deliver_progress: args.deliver_progress,
    })
}

/// Refuses what cannot have been meant, before anything is asked.
fn check(args: &Takeover) -> Result<()> {
    if args.wanted().is_empty() {
        return Err(Error::usage(
            "no session is named",
            "type `akkctl takeover SESSION`; `akkctl sessions` lists them",
        ));
    }
    let Some(strategy) = args.strategy else {
        return match option_of_a_strategy(args) {
            Some((option, owner)) => Err(Error::usage(
                format!("{option} belongs to the strategy {owner}, and no strategy is named"),
                format!("add --strategy {owner}"),
            )),
            None if args.create => Err(Error::usage(
                "--create needs a strategy",
                format!(
                    "add --strategy with one of {}; without --create akkctl says which of them are possible",
                    Strategy::ALL.map(Strategy::as_str).join(", ")
                ),
            )),
            None => Ok(()),
        };
    };
    if let Some((option, owner)) = option_of_a_strategy(args).filter(|(_, owner)| *owner != strategy) {
        return Err(Error::usage(
            format!("{option} belongs to the strategy {owner}, not to {strategy}"),
            format!("leave {option} out, or choose --strategy {owner}"),
        ));
    }
    let confirmed = args.confirm.is_some() || args.confirm_terminate;
    if args.confirm_terminate && args.expected_pid.is_none() && args.plan.is_none() {
        return Err(Error::usage(
            "--confirm-terminate does not say which process may be ended",
            "use --confirm PID instead, with the process that the plan names",
        ));
    }
    if args.plan.is_some() && !confirmed {
        return Err(Error::usage(
            "--plan names a plan and confirms nothing",
            "add --confirm PID with the process of that plan",
        ));
    }
    if args.plan.as_ref().is_some_and(|p| p.trim().is_empty()) {
        return Err(Error::usage("--plan names no plan", "leave it out: the newest plan for the process is taken"));
    }
    if args.confirm.is_some() && !args.create {
        return Err(Error::usage(
            "--confirm allows to end a process, and without --create nothing is done",
            "add --create, or leave --confirm out to see the plan",
        ));
    }
    if args.fork_summary.is_some() && !args.create {
        return Err(Error::usage(
            "--fork-summary is what a new session begins with, and without --create none is made",
            "add --create, or leave --fork-summary out to see what a summary can be made of",
        ));
    }
    Ok(())
}

/// An option that was given and is of use to one strategy only.
fn option_of_a_strategy(args: &Takeover) -> Option<(&'static str, Strategy)> {
    use Strategy::{Fork, TerminateThenResume};
    [
        ("--confirm", TerminateThenResume, args.confirm.is_some()),
        ("--confirm-terminate", TerminateThenResume, args.confirm_terminate),
        ("--expected-pid", TerminateThenResume, args.expected_pid.is_some()),
        ("--plan", TerminateThenResume, args.plan.is_some()),
        ("--even-if-working", TerminateThenResume, args.even_if_working),
        ("--allow-cwd-only", TerminateThenResume, args.allow_cwd_only),
        ("--kill", TerminateThenResume, args.kill),
        ("--wait-ms", TerminateThenResume, args.wait_ms.is_some()),
        ("--fork-summary", Fork, args.fork_summary.is_some()),
        ("--max-messages", Fork, args.max_messages.is_some()),
        ("--max-commands", Fork, args.max_commands.is_some()),
        ("--max-text-length", Fork, args.max_text_length.is_some()),
    ]
    .into_iter()
    .find_map(|(option, owner, given)| given.then_some((option, owner)))
}

/// The summary itself, the contents of `@FILE`, or standard input for `-`.
fn summary(text: &str) -> Result<String> {
    let source = match text.strip_prefix('@') {
        Some("") => {
            return Err(Error::usage(
                "--fork-summary @ names no file",
                "type --fork-summary @FILE, or - for standard input",
            ));
        }
        Some(file) => Source::File(Path::new(file)),
        None => Source::of_argument(text.to_owned()),
    };
    source.read("the summary", MAX_FORK_SUMMARY_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::output::{View, error};
    use akk_proto::conversation::PermissionPolicy;
    use clap::Parser as _;
    use std::fmt::Write as _;

    fn params(words: &[&str]) -> Result<TakeoverParams> {
        let cli = Cli::try_parse_from(["akkctl", "takeover"].iter().chain(words)).unwrap();
        let Command::Takeover(args) = cli.command else { panic!() };
        asked(*args)
    }

    #[test]
    fn without_create_only_a_question_is_asked() {
        let p = params(&["0a1b2c3d"]).unwrap();
        assert_eq!(p, TakeoverParams { session_id: "0a1b2c3d".into(), ..TakeoverParams::default() });
        let p = params(&["--session-id", " 0a1b2c3d ", "-s", "fork", "--max-commands", "0"]).unwrap();
        assert_eq!((p.session_id.as_str(), p.strategy, p.max_commands), ("0a1b2c3d", Some(Strategy::Fork), Some(0)));
        assert_eq!((p.create_conversation, p.request_id), (false, None));
    }

    #[test]
    fn a_confirmed_process_is_the_expected_one() {
        let p =
            params(&["x123", "-s", "terminate_then_resume", "--create", "--confirm", "4242", "--plan", "p1"]).unwrap();
        assert!(p.confirm_terminate && p.create_conversation && p.request_id.is_some());
        assert_eq!((p.expected_pid, p.plan_id.as_deref()), (Some(4242), Some("p1")));
        let old = params(&[
            "--session-id",
            "x123",
            "--strategy",
            "terminate_then_resume",
            "--create-conversation",
            "--confirm-terminate",
            "--expected-pid",
            "4242",
            "--allow-cwd-only",
        ])
        .unwrap();
        assert_eq!((old.confirm_terminate, old.expected_pid, old.allow_cwd_only), (true, Some(4242), true));
        assert!(!is_unconfirmed_end(&p) && !is_unconfirmed_end(&old));
        let open = params(&["x123", "-s", "terminate_then_resume", "--create"]).unwrap();
        assert!(is_unconfirmed_end(&open));
        assert!(!is_unconfirmed_end(&params(&["x123", "-s", "terminate_then_resume"]).unwrap()));
        assert!(!is_unconfirmed_end(&params(&["x123", "-s", "safe_resume", "--create"]).unwrap()));
    }

    #[test]
    fn every_option_reaches_akkd() {
        let p = params(&[
            "x123",
            "-s",
            "attach",
            "--create",
            "--agent",
            "codex",
            "--request",
            "--r",
            "-m",
            "gpt-5",
            "-l",
            "name",
            "--approve",
            "deny",
            "--soft-limit",
            "5",
            "--hard-limit",
            "9",
            "--agent-timeout-minutes",
            "7",
            "--idle-timeout-minutes",
            "8",
            "--orchestrator",
            "agent:main:main",
            "--deliver-progress",
        ])
        .unwrap();
        assert_eq!(p.strategy, Some(Strategy::Attach));
        assert_eq!(
            (p.agent.as_deref(), p.request.as_deref(), p.model.as_deref()),
            (Some("codex"), Some("--r"), Some("gpt-5"))
        );
        assert_eq!((p.label.as_deref(), p.permissions), (Some("name"), Some(PermissionPolicy::Deny)));
        assert_eq!(
            (p.soft_limit, p.hard_limit, p.agent_timeout_minutes, p.idle_timeout_minutes),
            (Some(5), Some(9), Some(7), Some(8))
        );
        assert_eq!((p.orchestrator.as_deref(), p.deliver_progress), (Some("agent:main:main"), true));
        let p = params(&["x123", "-s", "terminate_then_resume", "--kill", "--even-if-working", "--wait-ms", "100"])
            .unwrap();
        assert_eq!((p.kill, p.even_if_working, p.wait_ms), (true, true, Some(100)));
        let p = params(&["x123", "-s", "fork", "--max-messages", "50", "--max-text-length", "100"]).unwrap();
        assert_eq!((p.max_messages, p.max_text_length), (Some(50), Some(100)));
    }

    #[test]
    fn a_summary_is_a_text_or_a_file() {
        let fork = |summary: &str| params(&["x123", "-s", "fork", "--create", "--fork-summary", summary]);
        assert_eq!(fork("- the parser is done").unwrap().fork_summary.as_deref(), Some("- the parser is done"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# Goal\n").unwrap();
        let named = format!("@{}", file.path().display());
        assert_eq!(fork(&named).unwrap().fork_summary.as_deref(), Some("# Goal\n"));
        std::fs::write(file.path(), vec![b'x'; MAX_FORK_SUMMARY_BYTES + 1]).unwrap();
        let too_long = fork(&named).unwrap_err();
        assert_eq!((too_long.exit_code(), too_long.to_string()), (5, "the summary is longer than 65536 bytes".into()));
        assert_eq!(fork("@/no/such/file").unwrap_err().exit_code(), 1);
    }

    #[test]
    fn what_does_not_fit_together_is_one_sentence_and_a_hint() {
        let view = View::fixed(akk_proto::Timestamp(0));
        let mut text = String::new();
        for words in [
            &[" "][..],
            &["x123", "--create"],
            &["x123", "--confirm", "7"],
            &["x123", "--fork-summary", "s"],
            &["x123", "-s", "safe_resume", "--create", "--fork-summary", "s"],
            &["x123", "-s", "fork", "--create", "--confirm", "7"],
            &["x123", "-s", "attach", "--kill"],
            &["x123", "-s", "terminate_then_resume", "--confirm", "7"],
            &["x123", "-s", "terminate_then_resume", "--create", "--confirm-terminate"],
            &["x123", "-s", "terminate_then_resume", "--create", "--plan", "p1"],
            &["x123", "-s", "terminate_then_resume", "--create", "--confirm", "7", "--plan", ""],
            &["x123", "-s", "fork", "--fork-summary", "s"],
            &["x123", "-s", "fork", "--create", "--fork-summary", "@"],
            &["x123", "-s", "fork", "--create", "--fork-summary", " "],
        ] {
            let e = params(words).unwrap_err();
            assert_eq!(e.exit_code(), exit::USAGE, "{words:?}");
            let _ = write!(text, "$ akkctl takeover {}\n{}", words.join(" "), error(&e, &view));
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn every_status_has_its_exit_code() {
        use TakeoverStatus::{Attached, AwaitingOpenclawSummary, Blocked, Forked, Ready, RequiresConfirmation};
        assert_eq!([Ready, Attached, Forked].map(exit_code), [0; 3]);
        assert_eq!([RequiresConfirmation, AwaitingOpenclawSummary].map(exit_code), [3; 2]);
        assert_eq!(exit_code(Blocked), 5);
    }
}
