//! The commands that lead on from what a takeover found, exactly as they are to be typed.

use super::plan;
use crate::output::View;
use crate::output::terminal::{BOLD, DIM};
use crate::output::text::{one_line, short};
use akk_proto::session::{BlockReason, ProcessKind, Strategy, TakeoverAnswer, TakeoverParams, TakeoverStatus};
use std::fmt::Write as _;

/// The commands, each with what it does on the line below.
pub(super) fn commands(answer: &TakeoverAnswer, asked: &TakeoverParams, view: &View) -> String {
    let steps = steps(answer, asked);
    if steps.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{}\n", view.paint(BOLD, "Next"));
    for (command, why) in steps {
        let _ = writeln!(out, "  {}\n      {}", one_line(&command), view.paint(DIM, &why));
    }
    out
}

fn steps(answer: &TakeoverAnswer, asked: &TakeoverParams) -> Vec<(String, String)> {
    // Asked for no way in particular, or for one that is blocked: lead to those that are open.
    if asked.strategy.is_none() || answer.status == TakeoverStatus::Blocked {
        let mut steps = ways(answer, asked);
        steps.extend(around_a_block(answer, asked));
        return steps;
    }
    vec![step(answer.strategy, answer.status, answer, asked)]
}

/// One command for each way that is open, the recommended one first.
fn ways(answer: &TakeoverAnswer, asked: &TakeoverParams) -> Vec<(String, String)> {
    let mut open: Vec<_> = answer.strategies.iter().filter(|w| w.status != TakeoverStatus::Blocked).collect();
    open.sort_by_key(|w| w.strategy != answer.strategy);
    open.into_iter().map(|w| step(w.strategy, w.status, answer, asked)).collect()
}

/// The command that does what is possible now, or that shows what it takes.
fn step(
    strategy: Strategy,
    status: TakeoverStatus,
    answer: &TakeoverAnswer,
    asked: &TakeoverParams,
) -> (String, String) {
    let looked_at = asked.strategy == Some(strategy);
    match (strategy, status) {
        (Strategy::TerminateThenResume, TakeoverStatus::RequiresConfirmation) => match &answer.plan {
            Some(found) => {
                let mut words = vec!["--create".to_owned(), format!("--confirm {}", found.target.pid)];
                words.extend(plan::missing_options(found, asked).into_iter().map(str::to_owned));
                let why = format!("ends {}, then goes on with the session", plan::who_ends(found));
                (command(strategy, &words, asked), why)
            }
            None => (command(strategy, &[], asked), "shows what would be ended".to_owned()),
        },
        (Strategy::Fork, TakeoverStatus::AwaitingOpenclawSummary) if looked_at => {
            let words = ["--create".to_owned(), "--fork-summary @summary.md".to_owned()];
            let why = "begins a new session with the summary that you confirmed (`-` reads it from standard input)";
            (command(strategy, &words, asked), why.to_owned())
        }
        (Strategy::Fork, _) => (command(strategy, &[], asked), "shows what a summary can be made of".to_owned()),
        (Strategy::Attach, _) => {
            let why = "joins the session; your terminal goes on, and nothing is sent yet";
            (command(strategy, &["--create".to_owned()], asked), why.to_owned())
        }
        (Strategy::SafeResume | Strategy::TerminateThenResume, _) => {
            let why = "makes it a conversation; nothing is sent yet";
            (command(strategy, &["--create".to_owned()], asked), why.to_owned())
        }
    }
}

/// What leads around the block itself.
fn around_a_block(answer: &TakeoverAnswer, asked: &TakeoverParams) -> Option<(String, String)> {
    let asked_to_end = asked.strategy == Some(Strategy::TerminateThenResume);
    let again = |words: &[&str], why: &str| {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        Some((command(Strategy::TerminateThenResume, &words, asked), why.to_owned()))
    };
    match answer.reason? {
        BlockReason::AlreadyAdopted => {
            let id = answer.session.conversation_id.as_ref()?;
            Some((format!("akkctl status {}", short(id)), "shows the conversation that it belongs to".to_owned()))
        }
        BlockReason::Working if asked_to_end && !asked.even_if_working => {
            again(&["--even-if-working"], "a plan that ends the running turn too")
        }
        BlockReason::WeakEvidence if asked_to_end && !asked.allow_cwd_only && is_a_persons(answer) => {
            again(&["--allow-cwd-only"], "a plan for the process that is known by its directory only")
        }
        BlockReason::TargetStillActive if !asked.kill => {
            again(&["--kill"], "a new plan, with SIGKILL when SIGTERM is not enough")
        }
        BlockReason::TargetStillActive => again(&[], "a new plan"),
        _ => None,
    }
}

/// Whether a program that may be ended at all seems to run the session.
fn is_a_persons(answer: &TakeoverAnswer) -> bool {
    answer.session.holders.first().is_some_and(|h| matches!(h.kind, ProcessKind::Tui | ProcessKind::Exec))
}

/// `akkctl takeover …` with what was asked for so far, so that it can be typed as it stands.
fn command(strategy: Strategy, words: &[String], asked: &TakeoverParams) -> String {
    let mut out = format!("akkctl takeover {} --strategy {strategy}", quoted(&asked.session_id));
    for word in words {
        let _ = write!(out, " {word}");
    }
    let mut option = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = write!(out, " --{name} {}", quoted(&value));
        }
    };
    option("agent", asked.agent.clone());
    if strategy == Strategy::TerminateThenResume {
        option("wait-ms", asked.wait_ms.map(|n| n.to_string()));
    }
    option("request", asked.request.clone());
    option("model", asked.model.clone());
    option("label", asked.label.clone());
    option("approve", asked.permissions.map(|p| p.as_str().to_owned()));
    option("soft-limit", asked.soft_limit.map(|n| n.to_string()));
    option("hard-limit", asked.hard_limit.map(|n| n.to_string()));
    option("agent-timeout-minutes", asked.agent_timeout_minutes.map(|n| n.to_string()));
    option("idle-timeout-minutes", asked.idle_timeout_minutes.map(|n| n.to_string()));
    option("orchestrator", asked.orchestrator.clone());
    option("sink", asked.sink.map(|s| s.to_string()));
    let ending = strategy == Strategy::TerminateThenResume;
    for (flag, given) in [
        ("--even-if-working", ending && asked.even_if_working),
        ("--allow-cwd-only", ending && asked.allow_cwd_only),
        ("--kill", ending && asked.kill),
        ("--deliver-progress", asked.deliver_progress),
    ] {
        if given {
            let _ = write!(out, " {flag}");
        }
    }
    out
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_@%+=:,./".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::output::samples::sessions as native;
    use akk_proto::conversation::PermissionPolicy;
    use clap::Parser as _;

    #[test]
    fn every_command_can_be_typed_as_it_stands() {
        let asked = TakeoverParams {
            session_id: "55556666".into(),
            agent: Some("codex".into()),
            request: Some("go on with the parser".into()),
            model: Some("gpt-5".into()),
            permissions: Some(PermissionPolicy::Reads),
            soft_limit: Some(5),
            hard_limit: Some(9),
            agent_timeout_minutes: Some(7),
            idle_timeout_minutes: Some(8),
            orchestrator: Some("agent:main:main".into()),
            kill: true,
            wait_ms: Some(500),
            deliver_progress: true,
            ..TakeoverParams::default()
        };
        for answer in native::every_takeover() {
            for strategy in [None, Some(answer.strategy)] {
                let asked = TakeoverParams { strategy, ..asked.clone() };
                for (command, _) in steps(&answer, &asked) {
                    let words = split(&command);
                    let parsed = Cli::try_parse_from(&words).unwrap_or_else(|e| panic!("{command}: {e}"));
                    if let Command::Takeover(args) = parsed.command {
                        assert_eq!(args.request, asked.request, "{command}");
                        assert_eq!(args.hard_limit, asked.hard_limit, "{command}");
                    }
                }
            }
        }
    }

    /// The words of a command whose quotes hold no quotes.
    fn split(command: &str) -> Vec<String> {
        command
            .split('\'')
            .enumerate()
            .flat_map(|(i, part)| {
                let inside = i % 2 == 1;
                let words = if inside { vec![part] } else { part.split(' ').filter(|w| !w.is_empty()).collect() };
                words.into_iter().map(str::to_owned)
            })
            .collect()
    }

    #[test]
    fn a_word_is_quoted_where_a_shell_would_read_something_into_it() {
        assert_eq!(quoted("agent:main:main"), "agent:main:main");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
