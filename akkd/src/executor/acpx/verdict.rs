//! What a turn through acpx came to. Pure.

use super::answer::acpx_code;
use crate::executor::acp::verdict::{of_answer, refused, sentence};
use crate::executor::stream::{self, ACPX_RECORD, RpcError, Seen, StreamReader};
use akk_core::How;
use akk_proto::event::Exit;
use serde_json::Value;

/// The last word about a turn.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LastWord {
    /// The agent answered the prompt.
    Answered(Result<Value, RpcError>),
    /// acpx says that there will be no answer.
    GaveUp(RpcError),
}

impl LastWord {
    /// The last word that `seen` is, if it is one.
    pub(super) fn of(seen: &Seen) -> Option<Self> {
        let Seen::Response { id, outcome } = seen else { return None };
        match (id.as_str(), outcome) {
            ("session/prompt", outcome) => Some(Self::Answered(outcome.clone())),
            (ACPX_RECORD, Err(error)) => Some(Self::GaveUp(error.clone())),
            _ => None,
        }
    }
}

/// What is known when the client is gone, or its owner has told.
pub(super) struct Facts<'a> {
    pub(super) reader: &'a StreamReader,
    pub(super) last_word: Option<&'a LastWord>,
    /// How the client ended, where it did and it is known.
    pub(super) exit: Option<Exit>,
    /// The tail of its stderr.
    pub(super) stderr: &'a str,
    /// Whether the turn was to be stopped.
    pub(super) stopping: bool,
}

/// Whether only the session's record can tell how a turn ended whose client is gone: the client died without a last
/// word, or it lost its owner. The prompt is never handed over again.
pub(super) fn is_unknown(facts: &Facts<'_>) -> bool {
    match facts.last_word {
        _ if facts.stopping => false,
        Some(LastWord::Answered(_)) => false,
        Some(LastWord::GaveUp(e)) => acpx_code(e) == Some("QUEUE_DISCONNECTED_BEFORE_COMPLETION"),
        // An exit code of its own means that acpx decided to end before it had handed the prompt over: it knew no
        // more than its words say. Codes above are signals that it took for an order to end.
        None => facts.reader.prompt_sent() || !matches!(facts.exit, Some(Exit::Code(1..=127))),
    }
}

/// How a turn ended about which nothing more can be learned.
pub(super) fn judge(facts: &Facts<'_>) -> How {
    if let Some(LastWord::Answered(outcome)) = facts.last_word {
        return of_answer(outcome, facts.reader, facts.stopping);
    }
    if facts.stopping {
        return How::Cancelled;
    }
    let begun = facts.reader.prompt_sent() || facts.reader.activity_seen();
    let refusal = facts.reader.model_refusal().or_else(|| {
        // stderr is acpx' own voice as long as the agent did nothing.
        (!facts.reader.activity_seen()).then(|| stream::refusal_in_text(facts.stderr)).flatten()
    });
    match (refusal, facts.last_word) {
        (Some(refusal), _) => refused(refusal),
        (None, Some(LastWord::GaveUp(e))) => gave_up(e, begun),
        _ if begun => How::Failed { reason: gone(facts.exit) },
        _ if matches!(facts.exit, Some(Exit::Code(1..=127))) => How::CannotStart { reason: gone(facts.exit) },
        _ => How::Uncertain { reason: gone(facts.exit) },
    }
}

/// acpx says that there will be no answer. `begun`: the agent had the prompt.
fn gave_up(error: &RpcError, begun: bool) -> How {
    let reason = sentence("acpx gave up", &error.message);
    match acpx_code(error) {
        _ if begun => How::Failed { reason },
        Some("NO_SESSION") => How::SessionLost { reason },
        // The owner, or the agent, may have taken the prompt and died with it.
        Some("QUEUE_DISCONNECTED_BEFORE_COMPLETION" | "AGENT_DISCONNECTED" | "WATCH_OUTCOME_UNKNOWN") => {
            How::Uncertain { reason }
        }
        _ => How::CannotStart { reason },
    }
}

/// The failure of a short command before the prompt.
pub(super) fn before_prompt(error: &RpcError, model: Option<&str>) -> How {
    if let Some(refusal) = stream::refusal_in_error(error, None) {
        return refused(stream::Refusal {
            attempted: refusal.attempted.or_else(|| model.map(str::to_owned)),
            ..refusal
        });
    }
    let reason = sentence("acpx could not prepare the session", &error.message);
    match acpx_code(error) {
        Some("NO_SESSION") => How::SessionLost { reason },
        _ => How::CannotStart { reason },
    }
}

fn gone(exit: Option<Exit>) -> String {
    match exit {
        Some(Exit::Code(code)) => format!("acpx ended with exit code {code} and without a result"),
        Some(Exit::Signal(signal)) => format!("acpx was ended by signal {signal}"),
        None => "acpx ended without a result".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::stream::Source;

    fn read(sample: &str) -> (StreamReader, Option<LastWord>) {
        let mut reader = StreamReader::new(Source::Acpx);
        let seen: Vec<Seen> = sample.lines().flat_map(|l| reader.feed(l.as_bytes())).collect();
        (reader, seen.iter().filter_map(LastWord::of).next_back())
    }

    /// None: only the session's record can tell.
    fn verdict(sample: &str, exit: Option<Exit>, stderr: &str, stopping: bool) -> Option<How> {
        let (reader, last_word) = read(sample);
        let facts = Facts { reader: &reader, last_word: last_word.as_ref(), exit, stderr, stopping };
        (!is_unknown(&facts)).then(|| judge(&facts))
    }

    fn over(sample: &str, exit: i32) -> How {
        verdict(sample, Some(Exit::Code(exit)), "", false).unwrap()
    }

    macro_rules! sample {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/acpx/", $name, ".jsonl"))
        };
    }

    #[test]
    fn each_end_is_what_it_is() {
        assert_eq!(over(sample!("turn"), 0), How::Normal { stop_reason: "end_turn".into() });
        assert_eq!(over(sample!("cancelled"), 0), How::Cancelled);
        assert!(matches!(over(sample!("crash"), 1), How::Failed { reason } if reason.contains("disconnected")));
        assert!(matches!(over(sample!("rpc-error"), 1), How::CannotStart { reason } if reason.contains("log in")));
        assert!(matches!(over(sample!("no-session"), 4), How::SessionLost { .. }));
        let How::ModelRefused { attempted, available, .. } = over(sample!("model-refused"), 1) else { panic!() };
        assert_eq!((attempted.as_deref(), available.len()), (Some("nope"), 2));
        let refused = sample!("rpc-error").replace("-32000", "-32603").replace("please log in", "boom");
        assert!(matches!(over(&refused, 1), How::SessionLost { .. }));
        assert!(matches!(over("", 2), How::CannotStart { .. }));
    }

    #[test]
    fn a_client_that_is_gone_without_a_last_word_leaves_the_question_to_the_session_s_record() {
        for (sample, exit) in [
            (sample!("client-killed"), Some(Exit::Signal(9))),
            (sample!("client-killed"), None),
            (sample!("client-killed"), Some(Exit::Code(143))),
            (sample!("client-killed"), Some(Exit::Code(1))),
            ("", Some(Exit::Signal(15))),
            ("", None),
            (sample!("owner-killed"), Some(Exit::Code(1))),
        ] {
            assert_eq!(verdict(sample, exit, "", false), None, "{exit:?}");
        }
    }

    #[test]
    fn a_turn_that_was_stopped_is_cancelled_however_it_ended_unless_it_was_done() {
        for (sample, exit) in
            [(sample!("cancelled"), 0), (sample!("crash"), 1), (sample!("client-killed"), 143), ("", 143)]
        {
            assert_eq!(verdict(sample, Some(Exit::Code(exit)), "", true), Some(How::Cancelled), "{sample}");
        }
        let done = verdict(sample!("turn"), Some(Exit::Code(0)), "", true);
        assert_eq!(done, Some(How::Normal { stop_reason: "end_turn".into() }));
    }

    #[test]
    fn stderr_is_searched_for_a_refusal_as_long_as_the_agent_did_nothing() {
        let refused = "ERROR: The 'g' model is not supported when using Codex with a ChatGPT account.";
        let how = verdict("", Some(Exit::Code(1)), refused, false);
        assert!(matches!(how, Some(How::ModelRefused { attempted: Some(m), .. }) if m == "g"));
        let how = verdict(sample!("crash"), Some(Exit::Code(1)), refused, false);
        assert!(matches!(how, Some(How::Failed { .. })));
    }

    #[test]
    fn a_record_that_cannot_tell_leaves_it_uncertain_unless_the_agent_had_the_prompt() {
        let unknown = sample!("watch-owner-gone").lines().last().unwrap();
        let (reader, last_word) = read(unknown);
        let mut facts =
            Facts { reader: &reader, last_word: last_word.as_ref(), exit: None, stderr: "", stopping: false };
        assert!(matches!(judge(&facts), How::Uncertain { .. }));
        let (reader, _) = read(sample!("client-killed"));
        facts.reader = &reader;
        assert!(matches!(judge(&facts), How::Failed { .. }));
    }

    #[test]
    fn a_short_command_that_failed_says_what_the_turn_comes_to() {
        let of = |json: &[u8]| super::super::answer::ensured(json).unwrap_err();
        let auth = of(include_bytes!("../../../tests/fixtures/acpx/ensure-auth.json"));
        assert!(matches!(before_prompt(&auth, None), How::CannotStart { .. }));
        let model = of(include_bytes!("../../../tests/fixtures/acpx/ensure-model.json"));
        assert!(matches!(before_prompt(&model, Some("nope")), How::ModelRefused { .. }));
    }
}
