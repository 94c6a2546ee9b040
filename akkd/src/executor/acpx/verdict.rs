//! What a turn through acpx came to. Pure.

use super::answer::acpx_code;
use crate::executor::acp::verdict::{of_answer, refused, sentence};
use crate::executor::stream::{self, ACPX_RECORD, RpcError, Seen, StreamReader};
use akk_core::{Ended, How, redact};
use akk_proto::event::Exit;
use serde_json::Value;

/// Longest tail of stderr that is told, in characters.
const MAX_TRACE_CHARS: usize = 2000;

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
    /// Whether acpx handed the prompt to the agent.
    pub(super) handed_over: bool,
    pub(super) last_word: Option<LastWord>,
    /// How the client ended, where it did and it is known.
    pub(super) exit: Option<Exit>,
    /// The tail of its stderr.
    pub(super) stderr: &'a str,
    /// Whether the turn was to be stopped.
    pub(super) stopping: bool,
}

/// What to do with a turn whose client is gone.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// It is over.
    Ended(Box<Ended>),
    /// The client died without a last word, or lost its owner: only the session's record can tell. Never prompt
    /// again.
    AskOwner,
}

/// Judges a turn whose client is gone.
pub(super) fn judge(facts: &Facts<'_>) -> Verdict {
    let outcome_unknown = match &facts.last_word {
        None => !facts.stopping,
        Some(LastWord::GaveUp(e)) => acpx_code(e) == Some("QUEUE_DISCONNECTED_BEFORE_COMPLETION"),
        Some(LastWord::Answered(_)) => false,
    };
    // An exit code means that acpx itself decided to end: it knew no more than its words say.
    let spoke = matches!(facts.exit, Some(Exit::Code(1..=127))) && facts.last_word.is_none() && !facts.handed_over;
    if outcome_unknown && !spoke { Verdict::AskOwner } else { Verdict::Ended(Box::new(ended(facts))) }
}

/// The end of a turn about which nothing more can be learned.
pub(super) fn ended(facts: &Facts<'_>) -> Ended {
    let reader = facts.reader;
    let how = how(facts);
    let failed = !matches!(how, How::Normal { .. } | How::Cancelled);
    let (text, text_truncated) = reader.final_text().map_or((None, false), |(text, cut)| (Some(text), cut));
    let trace = failed.then(|| tail(facts.stderr)).filter(|t| !t.is_empty());
    Ended {
        how,
        exit: facts.exit,
        text,
        text_truncated,
        usage: reader.usage(),
        thoughts: reader.thoughts(),
        trace,
        activity_seen: reader.activity_seen(),
    }
}

fn how(facts: &Facts<'_>) -> How {
    if let Some(LastWord::Answered(outcome)) = &facts.last_word {
        return of_answer(outcome, facts.reader, facts.stopping);
    }
    if facts.stopping {
        return How::Cancelled;
    }
    let refusal = facts.reader.model_refusal().or_else(|| {
        // stderr is acpx' own voice as long as the agent did nothing.
        (!facts.reader.activity_seen()).then(|| stream::refusal_in_text(facts.stderr)).flatten()
    });
    match (refusal, &facts.last_word) {
        (Some(refusal), _) => refused(refusal),
        (None, Some(LastWord::GaveUp(e))) => gave_up(e, facts),
        _ if facts.handed_over || facts.reader.activity_seen() => How::Failed { reason: gone(facts.exit) },
        _ if matches!(facts.exit, Some(Exit::Code(_))) => How::CannotStart { reason: gone(facts.exit) },
        _ => How::Uncertain { reason: gone(facts.exit) },
    }
}

/// acpx says that there will be no answer.
fn gave_up(error: &RpcError, facts: &Facts<'_>) -> How {
    let reason = sentence("acpx gave up", &error.message);
    let code = acpx_code(error);
    if facts.handed_over || facts.reader.activity_seen() {
        return How::Failed { reason };
    }
    match code {
        Some("NO_SESSION") => How::SessionLost { reason },
        // The owner may have taken the prompt and died with it.
        Some("QUEUE_DISCONNECTED_BEFORE_COMPLETION" | "AGENT_DISCONNECTED") => How::Uncertain { reason },
        _ => How::CannotStart { reason },
    }
}

/// The failure of a short command before the prompt.
pub(super) fn before_prompt(error: &RpcError, model: Option<&str>) -> Ended {
    if let Some(refusal) = stream::refusal_in_error(error, model) {
        return Ended::bare(refused(refusal));
    }
    let reason = sentence("acpx could not prepare the session", &error.message);
    Ended::bare(match acpx_code(error) {
        Some("NO_SESSION") => How::SessionLost { reason },
        _ => How::CannotStart { reason },
    })
}

fn gone(exit: Option<Exit>) -> String {
    match exit {
        Some(Exit::Code(code)) => format!("acpx ended with exit code {code} and without a result"),
        Some(Exit::Signal(signal)) => format!("acpx was ended by signal {signal}"),
        None => "acpx ended without a result".to_owned(),
    }
}

fn tail(stderr: &str) -> String {
    let skip = stderr.chars().count().saturating_sub(MAX_TRACE_CHARS);
    redact::redact(&stderr.chars().skip(skip).collect::<String>()).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::stream::Source;

    struct Turn {
        reader: StreamReader,
        last_word: Option<LastWord>,
        handed_over: bool,
    }

    fn read(sample: &str) -> Turn {
        let mut t = Turn { reader: StreamReader::new(Source::Acpx), last_word: None, handed_over: false };
        for seen in sample.lines().flat_map(|l| t.reader.feed(l.as_bytes())) {
            t.handed_over |= seen == Seen::PromptSent;
            t.last_word = LastWord::of(&seen).or(t.last_word);
        }
        t
    }

    fn verdict(sample: &str, exit: Option<Exit>, stderr: &str, stopping: bool) -> Verdict {
        let Turn { reader, last_word, handed_over } = read(sample);
        judge(&Facts { reader: &reader, handed_over, last_word, exit, stderr, stopping })
    }

    fn over(sample: &str, exit: i32) -> Ended {
        match verdict(sample, Some(Exit::Code(exit)), "", false) {
            Verdict::Ended(e) => *e,
            Verdict::AskOwner => panic!("not over"),
        }
    }

    macro_rules! sample {
        ($name:literal) => {
            include_str!(concat!("../../../tests/fixtures/acpx/", $name, ".jsonl"))
        };
    }

    #[test]
    fn a_normal_end_brings_text_usage_and_thoughts() {
        let e = over(sample!("turn"), 0);
        assert_eq!(e.how, How::Normal { stop_reason: "end_turn".into() });
        assert_eq!((e.text.as_deref(), e.thoughts, e.activity_seen), (Some("done here"), 1, true));
        assert!(e.usage.is_some() && e.trace.is_none());
        assert_eq!(over(sample!("no-text"), 0).text, None);
    }

    #[test]
    fn each_failure_is_what_it_is() {
        assert!(matches!(over(sample!("crash"), 1).how, How::Failed { reason } if reason.contains("disconnected")));
        assert!(matches!(over(sample!("rpc-error"), 1).how, How::CannotStart { reason } if reason.contains("log in")));
        assert!(matches!(over(sample!("no-session"), 4).how, How::SessionLost { .. }));
        let How::ModelRefused { attempted, available, .. } = over(sample!("model-refused"), 1).how else { panic!() };
        assert_eq!((attempted.as_deref(), available.len()), (Some("nope"), 2));
        let refused = sample!("rpc-error").replace("-32000", "-32603").replace("please log in", "boom");
        assert!(matches!(over(&refused, 1).how, How::SessionLost { .. }));
        assert!(matches!(over("", 2).how, How::CannotStart { .. }));
    }

    #[test]
    fn a_client_that_is_gone_without_a_last_word_leaves_the_question_to_the_owner() {
        for (sample, exit) in [
            (sample!("client-killed"), Some(Exit::Signal(9))),
            (sample!("client-killed"), None),
            (sample!("client-killed"), Some(Exit::Code(143))),
            ("", Some(Exit::Signal(15))),
            ("", None),
            (sample!("owner-killed"), Some(Exit::Code(1))),
        ] {
            assert_eq!(verdict(sample, exit, "", false), Verdict::AskOwner, "{exit:?}");
        }
    }

    #[test]
    fn a_turn_that_was_stopped_is_cancelled_however_it_ended_unless_it_was_done() {
        for (sample, exit) in [("cancelled", 0), ("crash", 1), ("client-killed", 143)] {
            let text = match sample {
                "cancelled" => sample!("cancelled"),
                "crash" => sample!("crash"),
                _ => sample!("client-killed"),
            };
            let Verdict::Ended(e) = verdict(text, Some(Exit::Code(exit)), "", true) else { panic!("{sample}") };
            assert_eq!(e.how, How::Cancelled, "{sample}");
        }
        let Verdict::Ended(e) = verdict(sample!("turn"), Some(Exit::Code(0)), "", true) else { panic!() };
        assert_eq!(e.how, How::Normal { stop_reason: "end_turn".into() });
        assert_eq!(over(sample!("cancelled"), 0).how, How::Cancelled);
    }

    #[test]
    fn what_stderr_says_is_told_without_secrets_and_searched_for_a_refusal() {
        let stderr = format!("{}\nfailed with --token hunter2hunter2", "x".repeat(5000));
        let Verdict::Ended(e) = verdict(sample!("crash"), Some(Exit::Code(1)), &stderr, false) else { panic!() };
        let trace = e.trace.unwrap();
        assert!(trace.len() <= MAX_TRACE_CHARS && trace.contains("failed with") && !trace.contains("hunter2"));
        let refused = "ERROR: The 'g' model is not supported when using Codex with a ChatGPT account.";
        let Verdict::Ended(e) = verdict("", Some(Exit::Code(1)), refused, false) else { panic!() };
        assert!(matches!(e.how, How::ModelRefused { attempted: Some(m), .. } if m == "g"));
    }

    #[test]
    fn a_short_command_that_failed_says_what_the_turn_comes_to() {
        let of = |json: &[u8]| super::super::answer::ensured(json).unwrap_err();
        let auth = of(include_bytes!("../../../tests/fixtures/acpx/ensure-auth.json"));
        assert!(matches!(before_prompt(&auth, None).how, How::CannotStart { .. }));
        let model = of(include_bytes!("../../../tests/fixtures/acpx/ensure-model.json"));
        assert!(matches!(before_prompt(&model, Some("nope")).how, How::ModelRefused { .. }));
    }
}
