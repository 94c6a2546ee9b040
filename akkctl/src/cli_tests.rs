use super::*;
use clap::CommandFactory;
use clap::error::ErrorKind;

fn parse(words: &[&str]) -> Command {
    Cli::try_parse_from(std::iter::once("akkctl").chain(words.iter().copied())).unwrap().command
}

fn refused(words: &[&str]) -> ErrorKind {
    let e = Cli::try_parse_from(std::iter::once("akkctl").chain(words.iter().copied())).unwrap_err();
    assert_eq!(e.exit_code(), 2);
    e.kind()
}

macro_rules! parsed {
    ($variant:ident, $($word:expr),*) => {
        match parse(&[$($word),*]) {
            Command::$variant(args) => args,
            other => panic!("{other:?}"),
        }
    };
}

#[test]
fn help_is_had_by_its_name_too() {
    for (typed, parsed) in [
        ("akkctl help", "akkctl --help"),
        ("akkctl help daemon logs", "akkctl daemon logs --help"),
        ("akkctl", "akkctl"),
    ] {
        let words = help_as_an_option(typed.split(' ').map(Into::into).collect());
        assert_eq!(words, parsed.split(' ').collect::<Vec<_>>());
    }
    assert_eq!(help_as_an_option(vec!["akkctl".into(), "send".into(), "help".into()])[2], "help");
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn a_value_may_look_like_an_option() {
    let d = parsed!(Delegate, "delegate", "--request", "--wait", "--label", "--l", "--model=--m", "--proxy", "-p");
    assert_eq!((d.request.as_deref(), d.wait), (Some("--wait"), false));
    assert_eq!((d.label.as_deref(), d.model.as_deref(), d.proxy.as_deref()), (Some("--l"), Some("--m"), Some("-p")));
    assert_eq!(parsed!(Close, "close", "x", "--reason", "--all").reason.as_deref(), Some("--all"));
}

#[test]
fn a_request_may_begin_with_a_dash() {
    let d = parsed!(Delegate, "delegate", "--wait", "--", "--verbose is broken");
    assert!(d.wait);
    assert_eq!(d.text.as_deref(), Some("--verbose is broken"));
    let d = parsed!(Delegate, "delegate", "-");
    assert_eq!(d.text.as_deref(), Some("-"));
    let s = parsed!(Send, "send", "0a1b", "--", "-x");
    assert_eq!((s.which.wanted().as_str(), s.text.as_deref()), ("0a1b", Some("-x")));
}

#[test]
fn a_delegation_has_exactly_one_request() {
    assert_eq!(refused(&["delegate"]), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused(&["delegate", "a", "--request", "b"]), ErrorKind::ArgumentConflict);
    assert_eq!(refused(&["delegate", "a", "--request-file", "f"]), ErrorKind::ArgumentConflict);
    assert_eq!(refused(&["delegate", "two", "words"]), ErrorKind::UnknownArgument);
    assert_eq!(refused(&["delegate", "a", "--timeout", "3"]), ErrorKind::MissingRequiredArgument);
}

#[test]
fn numbers_and_words_outside_their_range_are_refused() {
    for bad in [
        ["--soft-limit", "0"],
        ["--hard-limit", "x"],
        ["--agent-timeout-minutes", "-1"],
        ["--approve", "maybe"],
        ["--recovery", "never"],
    ] {
        let kind = refused(&["delegate", "a", bad[0], bad[1]]);
        assert!(
            matches!(kind, ErrorKind::ValueValidation | ErrorKind::InvalidValue | ErrorKind::UnknownArgument),
            "{bad:?}: {kind:?}"
        );
    }
    assert_eq!(refused(&["send", "x", "y", "--type", "done"]), ErrorKind::InvalidValue);
    assert_eq!(refused(&["list", "--status", "busy"]), ErrorKind::InvalidValue);
    assert_eq!(refused(&["list", "--limit", "1001"]), ErrorKind::ValueValidation);
    assert_eq!(refused(&["result", "x", "--turn", "2"]), ErrorKind::ValueValidation);
}

#[test]
fn every_option_of_a_delegation_is_read() {
    let d = parsed!(
        Delegate,
        "delegate",
        "-a",
        "claude",
        "-w",
        "/w",
        "-m",
        "opus",
        "-l",
        "name",
        "--session",
        "s",
        "--proxy",
        "http://p",
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
        "--approve",
        "reads",
        "--recovery",
        "explicit",
        "--wait",
        "--timeout",
        "3",
        "--deliver-progress",
        "do it"
    );
    assert_eq!(d.text.as_deref(), Some("do it"));
    assert_eq!(d.agent.as_deref(), Some("claude"));
    assert_eq!(d.approve, Some(PermissionPolicy::Reads));
    assert_eq!(d.recovery, Some(RecoveryPolicy::Explicit));
    assert_eq!((d.soft_limit, d.hard_limit, d.agent_timeout_minutes, d.timeout), (Some(5), Some(9), Some(7), Some(3)));
}

#[test]
fn the_first_word_of_send_is_always_the_id() {
    let s = parsed!(Send, "send", "0a1b2c3d", "yes, do it", "--type", "task");
    assert_eq!((s.which.wanted().as_str(), s.text.as_deref()), ("0a1b2c3d", Some("yes, do it")));
    assert_eq!(s.kind, Some(MessageType::Task));
    let s = parsed!(Send, "send", "0a1b2c3d");
    assert_eq!((s.which.wanted().as_str(), s.text.as_deref()), ("0a1b2c3d", None));
    let s = parsed!(Send, "send", "--message", "--yes");
    assert_eq!((s.which.wanted().as_str(), s.message.as_deref()), ("", Some("--yes")));
    let s = parsed!(Send, "send", "@last", "--message-file", "f");
    assert_eq!(s.which.wanted(), "@last");
    assert_eq!(refused(&["send", "id", "text", "--message", "more"]), ErrorKind::ArgumentConflict);
}

#[test]
fn the_predecessors_long_options_are_understood() {
    let s = parsed!(Send, "send", "--conversation", "task-1", "--message", "yes");
    assert_eq!((s.which.wanted().as_str(), s.message.as_deref()), ("task-1", Some("yes")));
    assert_eq!(parsed!(Status, "status", "--conversation", "task-1").which.wanted(), "task-1");
    assert_eq!(parsed!(Close, "close", "--conversation", "x", "--reason", "--done").reason.as_deref(), Some("--done"));
    assert_eq!(parsed!(Delete, "delete", "--conversation", "task-1").wanted(), "task-1");
    let c = parsed!(Callback, "callback", "--conversation", "task-20260620T140525-0a1b2c3d", "--message", "{}");
    assert_eq!(c.message.as_deref(), Some("{}"));
    assert_eq!(refused(&["status", "a", "--conversation", "b"]), ErrorKind::ArgumentConflict);
}

#[test]
fn an_id_may_be_left_out_but_not_for_delete() {
    assert_eq!(parsed!(Status, "status").which.wanted(), "");
    assert_eq!(parsed!(Wait, "wait", " @last ").which.wanted(), "@last");
    assert_eq!(refused(&["delete"]), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused(&["wait", "x", "--any"]), ErrorKind::ArgumentConflict);
}

#[test]
fn a_callback_takes_one_report_and_checks_its_ids() {
    let c = parsed!(Callback, "callback", "--turn", "turn-2", r#"{"type":"done"}"#);
    assert_eq!(c.turn.unwrap().ordinal(), 2);
    assert_eq!(c.text.as_deref(), Some(r#"{"type":"done"}"#));
    assert_eq!(refused(&["callback", "--conversation", "0a1b2c3d", "{}"]), ErrorKind::ValueValidation);
    assert_eq!(refused(&["callback", "{}", "--message-file", "f"]), ErrorKind::ArgumentConflict);
}

#[test]
fn json_stands_before_and_after_the_command() {
    for words in [["akkctl", "--json", "list"], ["akkctl", "list", "--json"]] {
        assert!(Cli::try_parse_from(words).unwrap().json);
    }
    let Command::Deliveries(d) = parse(&["deliveries", "retry", "abc", "--json"]) else { panic!() };
    assert!(matches!(d.command, Some(DeliveryCommand::Retry { id }) if id == "abc"));
}

#[test]
fn sessions_are_asked_for_in_one_way_at_a_time() {
    let s = parsed!(Sessions, "sessions", "--all", "fix", "the parser", "--cwd", ".", "--archived", "--sub-agents");
    assert_eq!((s.words.join(" ").as_str(), s.all, s.archived, s.sub_agents), ("fix the parser", true, true, true));
    assert_eq!(s.cwd.as_deref(), Some(std::path::Path::new(".")));
    assert!(parsed!(Sessions, "sessions", "--active", "-a", "codex").active);
    assert!(parsed!(Sessions, "sessions", "--watch", "--sub-agents").watch);
    assert_eq!(parsed!(Sessions, "sessions", "--limit", "5").limit, Some(5));
    for conflict in [
        &["--active", "--all"][..],
        &["--active", "--watch"],
        &["--watch", "words"],
        &["--watch", "--cwd", "."],
        &["--watch", "--limit", "5"],
        &["--all", "--limit", "5"],
        &["--capabilities", "--archived"],
    ] {
        let words: Vec<&str> = std::iter::once("sessions").chain(conflict.iter().copied()).collect();
        assert_eq!(refused(&words), ErrorKind::ArgumentConflict, "{conflict:?}");
    }
    assert_eq!(refused(&["sessions", "--limit", "0"]), ErrorKind::ValueValidation);
}

#[test]
fn a_takeover_names_a_session_and_perhaps_a_strategy() {
    use akk_proto::session::Strategy;
    let t = parsed!(Takeover, "takeover", "0a1b2c3d", "-s", "fork", "--fork-summary", "--done");
    assert_eq!((t.wanted(), t.strategy, t.create), ("0a1b2c3d", Some(Strategy::Fork), false));
    assert_eq!(t.fork_summary.as_deref(), Some("--done"));
    let t = parsed!(Takeover, "takeover", "--session-id", "0a1b2c3d", "--create-conversation", "--plan-id", "p");
    assert_eq!((t.wanted(), t.create, t.plan.as_deref()), ("0a1b2c3d", true, Some("p")));
    assert_eq!(refused(&["takeover"]), ErrorKind::MissingRequiredArgument);
    assert_eq!(refused(&["takeover", "a", "--session-id", "b"]), ErrorKind::ArgumentConflict);
    assert_eq!(refused(&["takeover", "a", "--confirm", "1", "--expected-pid", "1"]), ErrorKind::ArgumentConflict);
    assert_eq!(refused(&["takeover", "a", "--strategy", "steal"]), ErrorKind::InvalidValue);
    for number in [
        ["--confirm", "0"],
        ["--confirm", "-5"],
        ["--confirm", "codex"],
        ["--expected-pid", "x"],
        ["--wait-ms", "99"],
        ["--max-messages", "0"],
        ["--max-commands", "51"],
        ["--max-text-length", "10001"],
    ] {
        assert_eq!(refused(&["takeover", "a", number[0], number[1]]), ErrorKind::ValueValidation, "{number:?}");
    }
}

#[test]
fn the_help_fits_a_terminal() {
    let mut command = Cli::command().term_width(100);
    insta::assert_snapshot!("help", command.render_help().to_string());
    let send = command.find_subcommand_mut("send").unwrap();
    insta::assert_snapshot!("help_send", send.render_help().to_string());
    let sessions = command.find_subcommand_mut("sessions").unwrap();
    insta::assert_snapshot!("help_sessions", sessions.render_help().to_string());
    let takeover = command.find_subcommand_mut("takeover").unwrap();
    insta::assert_snapshot!("help_takeover", takeover.render_help().to_string());
}
