//! The lines of `acpx … sessions watch`: each carries a message of a turn, or says that a turn begins or ended.

use super::reader::{ACPX_RECORD, StreamReader};
use super::seen::{RpcError, Seen};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// The turn that is looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LookedFor {
    /// Digest of its prompt.
    prompt: String,
    /// Whether the turn being told is the one.
    found: bool,
}

impl LookedFor {
    pub(super) fn prompt(text: &str) -> Self {
        Self { prompt: digest(text), found: false }
    }
}

/// acpx hands prompts over without white space around them.
fn digest(prompt: &str) -> String {
    hex::encode(Sha256::digest(prompt.trim()))
}

#[derive(Deserialize)]
struct Watched<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    result: Option<TurnResult>,
    error: Option<RpcError>,
}

#[derive(Deserialize)]
struct TurnResult {
    error: Option<OwnersError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnersError {
    #[serde(default)]
    message: String,
    detail_code: Option<String>,
}

#[derive(Deserialize)]
struct Prompted {
    method: String,
    params: PromptParams,
}

#[derive(Deserialize)]
struct PromptParams {
    prompt: Vec<Block>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(default)]
    text: String,
}

impl StreamReader {
    /// One line of `sessions watch`.
    pub(super) fn read_watched(&mut self, text: &str) -> Vec<Seen> {
        let Ok(line) = serde_json::from_str::<Watched<'_>>(text) else {
            return self.notice("a line of the session's record that is none");
        };
        // acpx gave up: the owner is gone, or there is no such session.
        if let Some(error) = line.error {
            return record(error);
        }
        match (line.kind.as_str(), line.message, line.result) {
            ("turn_started", ..) => {
                self.forget();
                if let Some(turn) = &mut self.looked_for {
                    turn.found = false;
                }
                vec![]
            }
            ("message", Some(message), _) => {
                let seen = self.read_message(message.get());
                let Some(turn) = &mut self.looked_for else { return vec![] };
                if turn.found {
                    return seen;
                }
                turn.found = is_prompt(message.get(), &turn.prompt);
                if turn.found {
                    return vec![Seen::PromptSent];
                }
                self.begin_turn();
                vec![]
            }
            // Ends that the agent answered were told by its answer; here are those that it did not.
            ("turn_result", _, Some(TurnResult { error: Some(e) }))
                if self.looked_for.as_ref().is_some_and(|t| t.found) =>
            {
                let data = e.detail_code.map(|code| json!({ "acpxCode": "RUNTIME", "detailCode": code }));
                record(RpcError { code: 0, message: e.message, data })
            }
            _ => vec![],
        }
    }
}

fn record(error: RpcError) -> Vec<Seen> {
    vec![Seen::Response { id: ACPX_RECORD.to_owned(), outcome: Err(error) }]
}

fn is_prompt(message: &str, wanted: &str) -> bool {
    if !message.contains("\"session/prompt\"") {
        return false;
    }
    let Ok(told) = serde_json::from_str::<Prompted>(message) else { return false };
    told.method == "session/prompt" && matches!(told.params.prompt.as_slice(), [block] if digest(&block.text) == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: &str = "say start\nsleep 6\nsay end\n";

    fn watch(prompt: &str, lines: &str) -> (StreamReader, Vec<Seen>) {
        let mut r = StreamReader::watching(prompt);
        let mut seen = Vec::new();
        for line in lines.lines() {
            seen.extend(r.feed(line.as_bytes()).into_iter().filter(|s| *s != Seen::Nothing));
            r = serde_json::from_value(serde_json::to_value(&r).unwrap()).unwrap();
        }
        (r, seen)
    }

    #[test]
    fn the_owner_tells_a_turn_whose_client_was_killed() {
        let (r, seen) = watch(PROMPT, include_str!("../../../tests/fixtures/acpx/watch.jsonl"));
        assert_eq!(seen.first(), Some(&Seen::PromptSent));
        let Some(Seen::Response { id, outcome: Ok(result) }) = seen.last() else { panic!("{seen:?}") };
        assert_eq!((id.as_str(), &result["stopReason"]), ("session/prompt", &json!("end_turn")));
        assert_eq!(r.final_text().unwrap().0, "start\nend");
        assert!(r.usage().is_some());
    }

    #[test]
    fn the_turn_of_another_prompt_is_not_told() {
        let (r, seen) = watch("say something else", include_str!("../../../tests/fixtures/acpx/watch.jsonl"));
        assert_eq!((seen, r.final_text(), r.prompt_sent(), r.activity_seen()), (vec![], None, false, false));
    }

    #[test]
    fn an_owner_that_died_in_the_turn_is_told() {
        let (_, seen) = watch(PROMPT, include_str!("../../../tests/fixtures/acpx/watch-owner-gone.jsonl"));
        assert_eq!(seen.first(), Some(&Seen::PromptSent));
        let Some(Seen::Response { id, outcome: Err(e) }) = seen.last() else { panic!("{seen:?}") };
        assert!(id == ACPX_RECORD && e.message.contains("outcome is unknown"), "{e}");
    }

    #[test]
    fn an_end_without_an_answer_is_told() {
        let mut r = StreamReader::watching("x");
        let mut ends = Vec::new();
        for line in include_str!("../../../tests/fixtures/acpx/watch-results.jsonl").lines() {
            r.looked_for.as_mut().unwrap().found = true;
            ends.extend(r.feed(line.as_bytes()).into_iter().filter(|s| *s != Seen::Nothing));
        }
        let said: Vec<_> = ends
            .iter()
            .map(|s| match s {
                Seen::Response { outcome: Err(e), .. } => e.message.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(said.len(), 2);
        assert!(said[0] == "please log in" && said[1].contains("disconnected"), "{said:?}");
    }
}
