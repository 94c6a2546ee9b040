//! An agent's refusal of the model, in every form in which it was seen.

use super::RpcError;
use akk_core::redact;
use serde::{Deserialize, Serialize};

/// Longest name of a model, in bytes; a longer one is no name.
const MAX_MODEL_BYTES: usize = 120;
/// Models that are kept of a list.
const MAX_AVAILABLE: usize = 100;
/// Longest reason, in characters.
const MAX_REASON_CHARS: usize = 400;

/// The agent refused the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The refused model, where it is known.
    pub attempted: Option<String>,
    /// The models that the agent named, 100 at most.
    pub available: Vec<String>,
    /// What it said, redacted, 400 characters at most.
    pub reason: String,
}

/// The refusal that stands in `text`, if one does: in an error message, or in the tail of stderr. Codex' own sentence
/// (HTTP 400 of its service), that of OpenAI's API (`model_not_found`) and acpx's are recognised, also inside JSON with
/// escaped quotes.
///
/// Text that an agent wrote on purpose must not come here: it may quote such a sentence.
pub fn refusal_in_text(text: &str) -> Option<Refusal> {
    codex_sentence(text).map(|(_, r)| r).or_else(|| api_sentence(text)).or_else(|| acpx_sentence(text))
}

/// The refusal that an error is, if it is one.
///
/// `setting` names the model when the error answers an attempt to set it: then -32602 (invalid params) says that the
/// model is refused, whatever its words are.
pub fn refusal_in_error(error: &RpcError, setting: Option<&str>) -> Option<Refusal> {
    let data = error.data.as_ref().map(ToString::to_string).unwrap_or_default();
    let said = refusal_in_text(&error.message).or_else(|| refusal_in_text(&data));
    match (said, setting) {
        (Some(r), model) => Some(Refusal { attempted: r.attempted.or_else(|| model.map(str::to_owned)), ..r }),
        (None, Some(model)) if error.code == -32602 => Some(Refusal {
            attempted: Some(model.to_owned()),
            available: listed(&error.message).or_else(|| listed(&data)).unwrap_or_default(),
            reason: reason(&error.message),
        }),
        (None, _) => None,
    }
}

/// Whether `text` is the service's refusal and nothing else, as an adapter hands it through: the bare sentence, or
/// the JSON object around it.
pub(super) fn is_bare_refusal(text: &str) -> Option<Refusal> {
    let text = text.trim();
    let (sentence, refusal) = codex_sentence(text)?;
    let around = text.len() - sentence.len();
    let json = text.starts_with('{') && text.ends_with('}') && around <= 24;
    (json || text.trim_end_matches('.').len() == sentence.len()).then_some(refusal)
}

/// `The 'M' model is not supported when using Codex with a ChatGPT account`: the sentence and what it says.
fn codex_sentence(text: &str) -> Option<(&str, Refusal)> {
    const START: &str = "The '";
    const END: &str = "' model is not supported when using Codex with a ChatGPT account";
    for (at, _) in text.match_indices(END) {
        let before = text.get(..at)?;
        let Some(start) = before.rfind(START) else { continue };
        let model = &before[start + START.len()..];
        if is_model(model) {
            let sentence = &text[start..at + END.len()];
            let refusal =
                Refusal { attempted: Some(model.to_owned()), available: Vec::new(), reason: reason(sentence) };
            return Some((sentence, refusal));
        }
    }
    None
}

/// ``The model `M` does not exist …``, `The requested model M does not exist`, as the API of OpenAI and of services like
/// it says it.
fn api_sentence(text: &str) -> Option<Refusal> {
    for (at, _) in text.match_indices(" does not exist") {
        let before = text.get(..at)?;
        let quoted = ['`', '\'', '"'].into_iter().find_map(|quote| {
            let (rest, name) = before.strip_suffix(quote)?.rsplit_once(quote)?;
            let rest = rest.trim_end_matches(['\\', ' ', ':']);
            (rest.ends_with("The model") || rest.ends_with("he requested model")).then(|| name.trim_end_matches('\\'))
        });
        let bare = || before.rsplit_once("he requested model ").map(|(_, name)| name);
        let Some(model) = quoted.or_else(bare).filter(|m| is_model(m) && !m.contains([' ', '`'])) else { continue };
        let line = text.lines().find(|l| l.contains(model) && l.contains(" does not exist")).unwrap_or(text);
        return Some(Refusal { attempted: Some(model.to_owned()), available: Vec::new(), reason: reason(line) });
    }
    None
}

/// acpx's `Cannot apply --model "M": …`, `Cannot set model "M": …`, `Cannot replay saved model "M": …`,
/// `Cannot select model "M": …`.
fn acpx_sentence(text: &str) -> Option<Refusal> {
    for (at, _) in text.match_indices("Cannot ") {
        let rest = &text[at + "Cannot ".len()..];
        let named = ["apply --model ", "set model ", "replay saved model ", "select model "]
            .into_iter()
            .find_map(|verb| rest.strip_prefix(verb))
            .and_then(|r| r.strip_prefix("\\\"").or_else(|| r.strip_prefix('"')));
        let Some(named) = named else { continue };
        let Some(end) = named.find('"') else { continue };
        let model = named[..end].trim_end_matches('\\');
        let says = &named[end + 1..];
        if is_model(model) && says.starts_with(": ") {
            let line = text[at..].lines().next().unwrap_or_default();
            return Some(Refusal {
                attempted: Some(model.to_owned()),
                available: listed(says).unwrap_or_default(),
                reason: reason(line),
            });
        }
    }
    None
}

fn is_model(name: &str) -> bool {
    (1..=MAX_MODEL_BYTES).contains(&name.len()) && !name.contains(['\n', '\'', '"'])
}

/// The names after `Available models: ` or inside `models match (…)`.
fn listed(text: &str) -> Option<Vec<String>> {
    let lower = text.to_ascii_lowercase();
    let list = if let Some(at) = lower.find("available models: ") {
        &text[at + "available models: ".len()..]
    } else {
        let at = lower.find("models match (")?;
        let inner = &text[at + "models match (".len()..];
        &inner[..inner.find(')')?]
    };
    // Names hold dots (`gpt-5.2`): the list ends at a dot that no name goes on after.
    let list = list.split(['\n', '"']).next().unwrap_or_default();
    let list = list.split(". ").next().unwrap_or_default().trim_end_matches(['.', '\\', '}', ' ']);
    if list == "none advertised" {
        return Some(Vec::new());
    }
    let names = list.split(',').map(str::trim).filter(|n| is_model(n));
    Some(names.take(MAX_AVAILABLE).map(str::to_owned).collect())
}

fn reason(text: &str) -> String {
    redact::preview(text, MAX_REASON_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn every_sentence_that_refuses_a_model_is_recognised() {
        let rows: &[(&str, &str, &[&str])] = &[
            (
                "ERROR: {\"detail\":\"The 'gpt-5' model is not supported when using Codex with a ChatGPT account.\"}",
                "gpt-5",
                &[],
            ),
            (
                "{\"message\": \"{\\\"detail\\\":\\\"The 'o-9' model is not supported when using Codex with a ChatGPT account.\\\"}\"}",
                "o-9",
                &[],
            ),
            ("The model `gpt-zz` does not exist or you do not have access to it.", "gpt-zz", &[]),
            ("{\"message\":\"The model \\\"g-1\\\" does not exist\"}", "g-1", &[]),
            ("Error: The requested model 'g.2' does not exist.", "g.2", &[]),
            ("The requested model gpt-zz does not exist.", "gpt-zz", &[]),
            (
                "Cannot apply --model \"nope\": the ACP agent did not advertise that model. Available models: gpt-5.2, b[high], c.",
                "nope",
                &["gpt-5.2", "b[high]", "c"],
            ),
            (
                "[error] RUNTIME: Cannot apply --model \"nope\": the ACP agent did not advertise that model. Available models: none advertised.\nmore",
                "nope",
                &[],
            ),
            (
                "Cannot replay saved model \"old\": the ACP agent did not advertise that model. Available models: a-1.",
                "old",
                &["a-1"],
            ),
            (
                "Cannot set model \"m\": the ACP session did not advertise a model config option or legacy session/set_model support.",
                "m",
                &[],
            ),
            (
                "Cannot select model \"c\": multiple advertised Cursor models match (c[a], c[b]). Use an exact advertised model ID.",
                "c",
                &["c[a]", "c[b]"],
            ),
            (
                r#"{"message":"Cannot apply --model \"n\": the ACP agent did not advertise that model. Available models: x, y.","k":1}"#,
                "n",
                &["x", "y"],
            ),
        ];
        for (text, attempted, available) in rows {
            let r = refusal_in_text(text).unwrap_or_else(|| panic!("not recognised: {text}"));
            assert_eq!(r.attempted.as_deref(), Some(*attempted), "{text}");
            assert_eq!(r.available, names(available), "{text}");
            assert!(!r.reason.is_empty() && !r.reason.contains('\n'));
        }
    }

    #[test]
    fn other_texts_are_no_refusal() {
        for text in [
            "",
            "' model is not supported when using Codex with a ChatGPT account",
            "The 'gpt-5' model is fine",
            "Cannot apply --model",
            "Cannot apply --model \"x",
            "Cannot set model \"x\" now",
            "Cannot open file",
            "The model file does not exist",
            "The file `model` does not exist",
            "The requested model in the folder does not exist",
        ] {
            assert_eq!(refusal_in_text(text), None, "{text}");
        }
    }

    #[test]
    fn an_error_refuses_the_model_by_its_words_or_because_it_answers_the_setting_of_one() {
        let e = |code, message: &str, data| RpcError { code, message: message.into(), data };
        let said = e(
            -32603,
            "Internal error",
            Some(json!({"details": "The 'g' model is not supported when using Codex with a ChatGPT account."})),
        );
        assert_eq!(refusal_in_error(&said, None).unwrap().attempted.as_deref(), Some("g"));
        let set = e(-32602, "unknown model z. Available models: a, b.", None);
        assert_eq!(refusal_in_error(&set, None), None);
        let r = refusal_in_error(&set, Some("z")).unwrap();
        assert_eq!((r.attempted.as_deref(), r.available), (Some("z"), names(&["a", "b"])));
        assert_eq!(refusal_in_error(&e(-32603, "boom", None), Some("z")), None);
    }

    #[test]
    fn only_the_service_s_own_words_alone_are_a_bare_refusal() {
        let s = "The 'gpt-5' model is not supported when using Codex with a ChatGPT account";
        assert!(is_bare_refusal(&format!("{s}.\n\n")).is_some());
        assert!(is_bare_refusal(&format!("{{\"detail\":\"{s}.\"}}")).is_some());
        assert!(is_bare_refusal(&format!("The log says: {s}.")).is_none());
        assert!(is_bare_refusal(&format!("{s}. So choose another one.")).is_none());
    }
}
