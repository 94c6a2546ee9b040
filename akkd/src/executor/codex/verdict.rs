//! What a turn of `codex exec` came to. Pure.

use super::target::ACTIVE_WRITER;
use crate::executor::acp::verdict::{not_let_in, refused, sentence};
use crate::executor::stream::{self, CODEX_TURN, RpcError, Seen, StreamReader};
use akk_core::How;
use akk_proto::event::Exit;

/// The last word about a turn.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LastWord {
    /// `turn.completed`.
    Completed,
    /// `turn.failed`.
    Failed(RpcError),
}

impl LastWord {
    /// The last word that `seen` is, if it is one.
    pub(super) fn of(seen: &Seen) -> Option<Self> {
        match seen {
            Seen::Response { id, outcome } if id == CODEX_TURN => Some(match outcome {
                Ok(_) => Self::Completed,
                Err(error) => Self::Failed(error.clone()),
            }),
            _ => None,
        }
    }
}

/// What is known when the client is gone, or has said its last word.
pub(super) struct Facts<'a> {
    pub(super) reader: &'a StreamReader,
    pub(super) last_word: Option<&'a LastWord>,
    /// How the client ended, where it did and it is known.
    pub(super) exit: Option<Exit>,
    /// The tail of its stderr.
    pub(super) stderr: &'a str,
    /// The session that was to be resumed.
    pub(super) wanted: Option<&'a str>,
    /// Whether the turn was to be stopped.
    pub(super) stopping: bool,
}

/// Whether the client works in another session than it was told to.
pub(super) fn strayed(reader: &StreamReader, wanted: Option<&str>) -> bool {
    matches!((reader.session(), wanted), (Some(told), Some(wanted)) if !told.eq_ignore_ascii_case(wanted))
}

/// How the turn ended.
pub(super) fn judge(facts: &Facts<'_>) -> How {
    let began = facts.reader.activity_seen();
    if strayed(facts.reader, facts.wanted) {
        let told = facts.reader.session().unwrap_or_default();
        let reason = sentence("codex opened another session than the one that was asked for", told);
        return match (facts.stopping, began) {
            (true, _) => How::Cancelled,
            (false, true) => How::Failed { reason },
            // That one may have been prompted before it could be stopped: the user chooses.
            (false, false) => How::Uncertain { reason },
        };
    }
    match facts.last_word {
        // Done before the interrupt reached it.
        Some(LastWord::Completed) => How::Normal { stop_reason: "end_turn".to_owned() },
        _ if facts.stopping => How::Cancelled,
        Some(LastWord::Failed(error)) => failed(error, facts.reader),
        None if facts.reader.prompt_sent() => match facts.reader.model_refusal().filter(|_| !began) {
            Some(refusal) => refused(refusal),
            None => How::Failed { reason: sentence(&gone(facts.exit), &last_error(facts.stderr)) },
        },
        None => never_began(facts),
    }
}

/// `turn.failed`.
fn failed(error: &RpcError, reader: &StreamReader) -> How {
    let reason = sentence("codex ended the turn with an error", &error.message);
    if reader.activity_seen() {
        // Whatever the reason: it worked on the prompt, so the turn did not fail to begin.
        return How::Failed { reason };
    }
    match stream::refusal_in_error(error, None).or_else(|| reader.model_refusal()) {
        Some(refusal) => refused(refusal),
        None if not_let_in(error) => How::CannotStart { reason: sentence("codex does not let us in", &error.message) },
        None => How::Failed { reason },
    }
}

/// The client is gone and never began the turn: its stderr is its own voice, nothing else has spoken there.
fn never_began(facts: &Facts<'_>) -> How {
    let said = facts.stderr;
    let error = last_error(said);
    if said.contains("already has an active writer") {
        let reason = format!("{ACTIVE_WRITER}{}", sentence("codex refuses: another process has the session", &error));
        return How::CannotStart { reason };
    }
    if facts.wanted.is_some() && facts.reader.session().is_none() {
        if said.contains("no rollout found for") {
            return How::SessionLost { reason: sentence("codex does not know the session any more", &error) };
        }
        if said.contains(" is archived. Run `codex unarchive") {
            return How::CannotStart { reason: sentence("the session is archived", &error) };
        }
    }
    if let Some(refusal) = stream::refusal_in_text(&error) {
        return refused(refusal);
    }
    let decided = match facts.exit {
        Some(exit) => matches!(exit, Exit::Code(1..=127)),
        // Of an adopted client only the words are known.
        None => is_error(&error),
    };
    let ended = ended(facts.exit);
    if decided {
        // It ended before it took the prompt, and knew no more than its words say.
        How::CannotStart { reason: sentence(&format!("{ended} before it took the prompt"), &error) }
    } else {
        let what = format!("{ended}, and whether it had taken the prompt cannot be known");
        How::Uncertain { reason: sentence(&what, &error) }
    }
}

/// What codex said of its failure: its last `Error:` line (a backtrace may follow), else the last line.
fn last_error(stderr: &str) -> String {
    let lines = || stderr.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    lines().find(|line| is_error(line)).or_else(|| lines().next()).unwrap_or_default().to_owned()
}

fn is_error(line: &str) -> bool {
    line.starts_with("Error:") || line.starts_with("error:")
}

fn gone(exit: Option<Exit>) -> String {
    format!("{} in the middle of the turn", ended(exit))
}

fn ended(exit: Option<Exit>) -> String {
    match exit {
        Some(Exit::Code(code)) => format!("codex ended with exit code {code}"),
        Some(Exit::Signal(signal)) => format!("codex was ended by signal {signal}"),
        None => "codex ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::stream::Source;

    const SESSION: &str = "5e551000-0000-4000-8000-000000000001";

    macro_rules! sample {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/codex/", $name))
        };
    }

    fn verdict(sample: &str, exit: Option<Exit>, stderr: &str, wanted: Option<&str>, stopping: bool) -> How {
        let mut reader = StreamReader::new(Source::CodexExec);
        let seen: Vec<Seen> = sample.lines().flat_map(|l| reader.feed(l.as_bytes())).collect();
        let last_word = seen.iter().find_map(LastWord::of);
        judge(&Facts { reader: &reader, last_word: last_word.as_ref(), exit, stderr, wanted, stopping })
    }

    fn over(sample: &str, exit: Option<Exit>, stderr: &str) -> How {
        verdict(sample, exit, stderr, Some(SESSION), false)
    }

    const ONE: Option<Exit> = Some(Exit::Code(1));

    #[test]
    fn the_last_word_says_how_the_turn_ended() {
        let normal = How::Normal { stop_reason: "end_turn".into() };
        assert_eq!(over(sample!("turn.jsonl"), Some(Exit::Code(0)), ""), normal);
        // However the client ended after it.
        assert_eq!(over(sample!("turn.jsonl"), Some(Exit::Signal(9)), ""), normal);
        assert_eq!(over(sample!("turn.jsonl"), None, ""), normal);
        for sample in [sample!("model-refused.jsonl"), sample!("model-unknown.jsonl")] {
            let How::ModelRefused { attempted, .. } = over(sample, ONE, "") else { panic!("{sample}") };
            assert_eq!(attempted.as_deref(), Some("gpt-x"));
        }
        for sample in [sample!("auth.jsonl"), sample!("limit.jsonl")] {
            assert!(matches!(over(sample, ONE, ""), How::CannotStart { .. }), "{sample}");
        }
        assert!(
            matches!(over(sample!("demand.jsonl"), ONE, ""), How::Failed { reason } if reason.contains("high demand"))
        );
    }

    #[test]
    fn an_error_after_the_agent_had_worked_is_a_failure_whatever_it_says() {
        let failure = sample!("model-refused.jsonl").lines().last().unwrap();
        for last in [failure, sample!("auth.jsonl").lines().last().unwrap()] {
            let how = over(&format!("{}{last}\n", sample!("begun.jsonl")), ONE, "");
            assert!(matches!(how, How::Failed { .. }), "{how:?}");
        }
    }

    #[test]
    fn a_turn_without_a_last_word_failed_if_it_had_begun() {
        for (exit, says) in [
            (ONE, "exit code 1"),
            (Some(Exit::Code(0)), "exit code 0"),
            (Some(Exit::Signal(9)), "signal 9"),
            (Some(Exit::Code(143)), "exit code 143"),
            (None, "codex ended in the middle"),
        ] {
            for sample in [sample!("begun.jsonl"), sample!("waiting.jsonl")] {
                let how = over(sample, exit, "");
                assert!(matches!(&how, How::Failed { reason } if reason.contains(says)), "{how:?}");
            }
        }
    }

    #[test]
    fn a_client_that_never_began_the_turn_says_why_on_stderr() {
        let how = over("", ONE, sample!("active-writer.stderr"));
        assert!(matches!(&how, How::CannotStart { reason } if reason.starts_with(ACTIVE_WRITER)), "{how:?}");
        // The same of a client whose exit code nobody could learn.
        assert_eq!(how, over("", None, sample!("active-writer.stderr")));
        assert!(matches!(over("", ONE, sample!("no-rollout.stderr")), How::SessionLost { .. }));
        let how = over("", ONE, sample!("archived.stderr"));
        assert!(matches!(&how, How::CannotStart { reason } if reason.contains("codex unarchive")), "{how:?}");
        let how = over("", Some(Exit::Code(2)), sample!("usage.stderr"));
        assert!(matches!(&how, How::CannotStart { reason } if reason.contains("unexpected argument")), "{how:?}");
        let how = over(sample!("started.jsonl"), ONE, "Error: out of luck\n\nStack backtrace:\n   0: <unknown>\n");
        assert!(matches!(&how, How::CannotStart { reason } if reason.ends_with("Error: out of luck")), "{how:?}");
        assert!(matches!(over("", None, "Error: out of luck\n"), How::CannotStart { .. }));
    }

    #[test]
    fn a_client_that_was_killed_at_its_start_leaves_it_uncertain() {
        for exit in [Some(Exit::Signal(9)), Some(Exit::Code(143)), Some(Exit::Code(0)), None] {
            for sample in ["", sample!("started.jsonl")] {
                assert!(matches!(over(sample, exit, ""), How::Uncertain { .. }), "{exit:?}");
            }
        }
    }

    #[test]
    fn a_turn_that_was_stopped_is_cancelled_however_it_ended_unless_it_was_done() {
        for (sample, exit) in [
            (sample!("begun.jsonl"), ONE),
            (sample!("begun.jsonl"), Some(Exit::Signal(15))),
            (sample!("waiting.jsonl"), ONE),
            (sample!("demand.jsonl"), ONE),
            ("", Some(Exit::Signal(2))),
            (sample!("other-session.jsonl"), Some(Exit::Signal(9))),
        ] {
            assert_eq!(verdict(sample, exit, "", Some(SESSION), true), How::Cancelled, "{sample}");
        }
        let done = verdict(sample!("turn.jsonl"), Some(Exit::Code(0)), "", Some(SESSION), true);
        assert_eq!(done, How::Normal { stop_reason: "end_turn".into() });
    }

    #[test]
    fn another_session_is_never_taken_for_the_one_that_was_asked_for() {
        let strange = sample!("other-session.jsonl");
        assert!(matches!(over(strange, Some(Exit::Signal(9)), ""), How::Uncertain { .. }));
        let done = sample!("turn.jsonl").replace(SESSION, "5e551000-0000-4000-8000-000000000002");
        assert!(matches!(over(&done, Some(Exit::Code(0)), ""), How::Failed { .. }));
        // A session that is begun is whichever it is; and ids are compared as ids.
        assert!(matches!(verdict(&done, Some(Exit::Code(0)), "", None, false), How::Normal { .. }));
        let upper = sample!("turn.jsonl").replace("5e551000", "5E551000");
        assert!(matches!(over(&upper, Some(Exit::Code(0)), ""), How::Normal { .. }));
    }
}
