//! What `sessions watch` tells: every turn of the session from the first on, as its queue owner recorded it. This is
//! how the owner is asked about a turn whose client is gone.

use crate::executor::stream::{RpcError, Seen, Source, StreamReader};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Follows the session until the turn of one prompt is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct TurnSearch {
    /// The prompt, as acpx hands it over: without white space around it.
    prompt: String,
    /// Whether the turn being told is the one.
    found: bool,
    reader: StreamReader,
}

/// How the turn ended, as the owner recorded it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    /// It belongs to the turn that is looked for.
    Seen(Vec<Seen>),
    /// The turn that is looked for ended. The outcome is the agent's answer, else what acpx made of it.
    Ended(Result<String, RpcError>),
    /// acpx gave up: the owner is gone, or there is no such session.
    GaveUp(RpcError),
    /// Another turn, or nothing to act upon.
    Other,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    result: Option<TurnResult>,
    error: Option<RpcError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TurnResult {
    #[serde(default)]
    status: String,
    stop_reason: Option<String>,
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

impl TurnSearch {
    /// Looks for the turn of `prompt`.
    pub(super) fn new(prompt: &str) -> Self {
        Self { prompt: prompt.trim().to_owned(), found: false, reader: StreamReader::new(Source::Acpx) }
    }

    /// Whether the turn was found.
    pub(super) fn found(&self) -> bool {
        self.found
    }

    /// What is known of the turn.
    pub(super) fn reader(&self) -> &StreamReader {
        &self.reader
    }

    /// Takes one line in.
    pub(super) fn feed(&mut self, line: &[u8]) -> Told {
        let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else { return Told::Other };
        if let Some(error) = line.error {
            return Told::GaveUp(error);
        }
        match (line.kind.as_str(), line.message, line.result) {
            ("turn_started", _, _) => {
                self.found = false;
                self.reader = StreamReader::new(Source::Acpx);
                Told::Other
            }
            ("message", Some(message), _) => {
                let seen = self.reader.feed(message.get().as_bytes());
                if !self.found {
                    self.found = self.is_our_prompt(message);
                    return Told::Other;
                }
                Told::Seen(seen)
            }
            ("turn_result", _, Some(result)) if self.found => Told::Ended(match (result.error, result.stop_reason) {
                (Some(e), _) => {
                    let data = e.detail_code.map(|c| serde_json::json!({"acpxCode": "RUNTIME", "detailCode": c}));
                    Err(RpcError { code: 0, message: e.message, data })
                }
                (None, Some(reason)) => Ok(reason),
                (None, None) => Ok(result.status),
            }),
            _ => Told::Other,
        }
    }

    fn is_our_prompt(&self, message: &RawValue) -> bool {
        if !message.get().contains("\"session/prompt\"") {
            return false;
        }
        let Ok(told) = serde_json::from_str::<Prompted>(message.get()) else { return false };
        told.method == "session/prompt"
            && matches!(told.params.prompt.as_slice(), [block] if block.text.trim() == self.prompt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("../../../tests/fixtures/acpx/watch.jsonl");

    fn search(prompt: &str, lines: &str) -> (TurnSearch, Vec<Told>) {
        let mut search = TurnSearch::new(prompt);
        let told = lines.lines().map(|l| search.feed(l.as_bytes())).filter(|t| *t != Told::Other).collect();
        (search, told)
    }

    #[test]
    fn the_owner_tells_a_turn_whose_client_was_killed() {
        let (s, told) = search("say start\nsleep 6\nsay end\n", SAMPLE);
        assert!(s.found());
        assert_eq!(told.last(), Some(&Told::Ended(Ok("end_turn".into()))));
        assert_eq!(s.reader().final_text().unwrap().0, "start\nend");
    }

    #[test]
    fn the_turn_of_another_prompt_is_not_ours() {
        let (s, told) = search("say something else", SAMPLE);
        assert!(!s.found() && told.is_empty(), "{told:?}");
    }

    #[test]
    fn an_owner_that_died_in_the_turn_is_told() {
        let prompt = "say start\nsleep 6\nsay end";
        let (s, told) = search(prompt, include_str!("../../../tests/fixtures/acpx/watch-owner-gone.jsonl"));
        assert!(s.found());
        assert!(matches!(told.last(), Some(Told::GaveUp(e)) if e.message.contains("outcome is unknown")), "{told:?}");
    }

    #[test]
    fn each_end_of_a_turn_is_told() {
        let mut s = TurnSearch::new("x");
        let ends: Vec<Told> = include_str!("../../../tests/fixtures/acpx/watch-results.jsonl")
            .lines()
            .map(|l| {
                s.found = true;
                s.feed(l.as_bytes())
            })
            .filter(|t| *t != Told::Other)
            .collect();
        let [Told::Ended(Err(login)), Told::Ended(Err(crash)), Told::Ended(Ok(cancelled))] = ends.as_slice() else {
            panic!("{ends:?}")
        };
        assert_eq!(login.message, "please log in");
        assert_eq!(super::super::answer::acpx_code(crash), Some("AGENT_DISCONNECTED"));
        assert_eq!(cancelled, "cancelled");
    }
}
