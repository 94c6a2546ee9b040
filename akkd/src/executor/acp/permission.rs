//! Answering an agent's requests for permission by the policy. Pure.

use crate::executor::stream::CUT;
use akk_core::redact;
use akk_proto::LaunchId;
use akk_proto::conversation::PermissionPolicy;
use akk_proto::event::Activity;
use akk_proto::permission::{PermissionOption, PermissionRequest};
use serde_json::Value;
use std::fmt::{self, Write as _};
use std::io;

/// Longest title in the record, in characters.
const MAX_TITLE_CHARS: usize = 200;
/// Longest kind, in characters.
const MAX_KIND_CHARS: usize = 40;
/// Longest text in the record, in characters.
const MAX_TEXT_CHARS: usize = 32_000;
/// Stands behind the title of a text of which a part is hidden.
const NOT_SHOWN: &str = "\n(Something in this looks like a secret and is not shown; it would be used all the same.)";
/// Bytes that are looked at for it.
const MAX_DETAILS_BYTES: usize = 4 * MAX_TEXT_CHARS;
/// Longest name of a request or an option that can be given back, in bytes of JSON: with them an answer fits into a
/// pipe in one piece.
const MAX_ID_BYTES: usize = 1000;
/// Options that are offered to a person.
const MAX_OPTIONS: usize = 32;
/// Kinds of tools that only look.
const READING: [&str; 4] = ["read", "search", "fetch", "think"];

/// What to answer, and how it is recorded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decision {
    /// The id of the chosen option; none cancels the request.
    pub(super) option: Option<String>,
    /// For the record.
    pub(super) activity: Activity,
}

/// Decides about a `session/request_permission`. An option is chosen by its kind: names and places mislead.
pub(super) fn decide(policy: PermissionPolicy, cancelling: bool, params: &Value) -> Decision {
    let tool = params.get("toolCall");
    let text = |key| tool.and_then(|t| t.get(key)).and_then(Value::as_str);
    let allow = match policy {
        PermissionPolicy::All => true,
        // What does not say that it only looks, may do anything.
        PermissionPolicy::Reads => text("kind").is_some_and(|kind| READING.contains(&kind)),
        // A person cannot be asked about this one.
        PermissionPolicy::Deny | PermissionPolicy::Ask => false,
    };
    let kinds = if allow { ["allow_once", "allow_always"] } else { ["reject_once", "reject_always"] };
    let options = params.get("options").and_then(Value::as_array);
    let of_kind = |kind: &str| {
        let options = options.into_iter().flatten();
        options
            .filter(|o| o.get("kind").and_then(Value::as_str) == Some(kind))
            .find_map(|o| o.get("optionId").and_then(Value::as_str).map(|id| (id.to_owned(), kind.to_owned())))
    };
    let chosen = if cancelling { None } else { kinds.into_iter().find_map(of_kind) };
    let decision = match (&chosen, allow) {
        (None, _) => "cancelled",
        (Some(_), true) => "allowed",
        (Some(_), false) => "refused",
    };
    let title = redact::preview(text("title").or(text("kind")).unwrap_or("(no title)"), MAX_TITLE_CHARS);
    let (option, kind) = chosen.unzip();
    Decision { option, activity: Activity::Permission { title, decision: decision.to_owned(), option: kind } }
}

/// What a person is asked. None where no answer could be given back: a name that is too long, no options.
pub(super) fn question(launch_id: LaunchId, id: &Value, params: &Value) -> Option<PermissionRequest> {
    let tool = params.get("toolCall").unwrap_or(&Value::Null);
    let text = |key| tool.get(key).and_then(Value::as_str);
    let fits = |id: &Value| serde_json::to_vec(id).is_ok_and(|json| json.len() <= MAX_ID_BYTES);
    let options = params.get("options").and_then(Value::as_array).into_iter().flatten();
    let options: Vec<PermissionOption> = options
        .filter(|o| o.get("optionId").is_some_and(fits))
        .filter_map(|o| {
            let text = |key: &str| o.get(key).and_then(Value::as_str);
            Some(PermissionOption {
                id: text("optionId")?.to_owned(),
                kind: redact::cut(text("kind")?, MAX_KIND_CHARS),
                name: redact::preview(text("name").unwrap_or_default(), MAX_TITLE_CHARS),
            })
        })
        .take(MAX_OPTIONS)
        .collect();
    if options.is_empty() || !fits(id) {
        return None;
    }
    let kind = text("kind").map(|kind| redact::preview(kind, MAX_KIND_CHARS));
    // codex-acp (1.13, 2.6) says here why it asks.
    let why = params.pointer("/_meta/permission/description").and_then(Value::as_str);
    let said = details(tool, kind.as_deref(), why);
    let mut whole = redact::redact(&said.text);
    if whole != said.text {
        // It is what would be run: who decides has to know that a part of it is not shown.
        let title = whole.find('\n').unwrap_or(whole.len());
        whole.insert_str(title, NOT_SHOWN);
    }
    let cut = said.full || whole.chars().nth(MAX_TEXT_CHARS).is_some();
    Some(PermissionRequest {
        launch_id,
        id: id.clone(),
        title: redact::preview(text("title").or(text("kind")).unwrap_or("(no title)"), MAX_TITLE_CHARS),
        kind,
        text: redact::cut(&whole, MAX_TEXT_CHARS),
        truncated: cut || tool.get(CUT).is_some(),
        options,
    })
}

/// Text that takes in no more than can be shown. Written out for a person, half a megabyte of JSON can be fifty.
#[derive(Default)]
struct Room {
    text: String,
    full: bool,
}

impl fmt::Write for Room {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let fits = more.floor_char_boundary(MAX_DETAILS_BYTES.saturating_sub(self.text.len()));
        self.text.push_str(&more[..fits]);
        self.full |= fits < more.len();
        if self.full { Err(fmt::Error) } else { Ok(()) }
    }
}

impl io::Write for Room {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        self.write_str(&String::from_utf8_lossy(more)).map_err(io::Error::other)?;
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that the agent says of a tool call, for a person to read, as far as there is room.
fn details(tool: &Value, kind: Option<&str>, why: Option<&str>) -> Room {
    let mut out = Room::default();
    // A write fails where there is no room, which the text says of itself.
    let _ = out.write_str(tool.get("title").and_then(Value::as_str).unwrap_or("(no title)"));
    let _ = write!(out, "\nkind: {}", kind.unwrap_or("not said"));
    if let Some(why) = why.filter(|why| !why.trim().is_empty()) {
        let _ = write!(out, "\nwhy: {why}");
    }
    let list = |key: &str| tool.get(key).and_then(Value::as_array).into_iter().flatten();
    for location in list("locations").filter_map(|l| l.get("path").and_then(Value::as_str)) {
        let _ = write!(out, "\nfile: {location}");
    }
    for part in list("content") {
        let text = |key: &str| part.get(key).and_then(Value::as_str);
        if text("type") == Some("diff") {
            let _ = write!(out, "\nchange of {}:", text("path").unwrap_or("(no path)"));
            for (key, sign) in [("oldText", '-'), ("newText", '+')] {
                for line in text(key).into_iter().flat_map(str::lines) {
                    let _ = write!(out, "\n{sign} {line}");
                }
            }
        } else {
            let said = part.get("content").and_then(|c| c.get("text")).and_then(Value::as_str);
            let _ = write!(out, "\n{}", said.map_or_else(|| part.to_string(), str::to_owned));
        }
    }
    if let Some(input) = tool.get("rawInput").filter(|input| !input.is_null()) {
        let _ = out.write_str("\ninput: ");
        let _ = serde_json::to_writer_pretty(&mut out, input);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(kind: &str) -> Value {
        // Names and order mislead on purpose.
        json!({ "sessionId": "s", "toolCall": { "toolCallId": "t", "title": "run --token abc123", "kind": kind }, "options": [
            { "optionId": "1", "name": "Allow", "kind": "reject_always" },
            { "optionId": "2", "name": "Reject", "kind": "allow_always" },
            { "optionId": "3", "name": "No", "kind": "allow_once" },
            { "optionId": "4", "name": "Yes", "kind": "reject_once" },
        ] })
    }

    fn answer(policy: PermissionPolicy, cancelling: bool, params: &Value) -> (Option<String>, String, Option<String>) {
        let d = decide(policy, cancelling, params);
        let Activity::Permission { decision, option, title } = d.activity else { panic!() };
        assert!(!title.contains("abc123"), "{title}");
        (d.option, decision, option)
    }

    #[test]
    fn the_option_is_chosen_by_its_kind() {
        use PermissionPolicy::{All, Deny, Reads};
        let said = |option: Option<&str>, decision: &str, kind: Option<&str>| {
            (option.map(str::to_owned), decision.to_owned(), kind.map(str::to_owned))
        };
        let allowed = said(Some("3"), "allowed", Some("allow_once"));
        let refused = said(Some("4"), "refused", Some("reject_once"));
        assert_eq!(answer(All, false, &request("execute")), allowed);
        assert_eq!(answer(Deny, false, &request("read")), refused);
        for kind in ["read", "search", "fetch", "think"] {
            assert_eq!(answer(Reads, false, &request(kind)), allowed);
        }
        for kind in ["edit", "delete", "move", "execute", "other", "switch_mode", ""] {
            assert_eq!(answer(Reads, false, &request(kind)), refused);
        }
        assert_eq!(answer(All, true, &request("read")), said(None, "cancelled", None));
    }

    #[test]
    fn a_person_reads_all_that_the_agent_says_without_secrets() {
        let mut params = request("edit");
        params["toolCall"]["locations"] = json!([{ "path": "/w/a.rs" }]);
        params["toolCall"]["rawInput"] =
            json!({ "command": ["sh", "-c", "make"], "api_key": "sk-abcdefghijklmnopqrstuvwx" });
        params["toolCall"]["content"] = json!([
            { "type": "diff", "path": "/w/a.rs", "oldText": "one", "newText": "two\nthree" },
            { "type": "content", "content": { "type": "text", "text": "because" } },
            { "type": "terminal", "terminalId": "t" },
        ]);
        params["_meta"] = json!({ "permission": { "version": 1, "description": "needs the network" } });
        let launch = LaunchId::new(uuid::Uuid::nil());
        let asked = question(launch.clone(), &json!(7), &params).unwrap();
        for part in [
            "kind: edit",
            "file: /w/a.rs",
            "change of /w/a.rs:\n- one\n+ two\n+ three",
            "because",
            "why: needs the network",
            "terminalId",
            "make",
        ] {
            assert!(asked.text.contains(part), "{part:?} is missing in {}", asked.text);
        }
        assert!(!asked.text.contains("abc123") && !asked.text.contains("sk-abcdef"), "{}", asked.text);
        assert_eq!(asked.text.lines().nth(1), Some(NOT_SHOWN.trim()), "{}", asked.text);
        assert_eq!((asked.id, asked.options.len(), asked.truncated), (json!(7), 4, false));
        assert_eq!((asked.options[2].id.as_str(), asked.options[2].kind.as_str()), ("3", "allow_once"));
        params["toolCall"]["rawInput"] = json!("x".repeat(100_000));
        let asked = question(launch.clone(), &json!(7), &params).unwrap();
        assert!(asked.truncated && asked.text.chars().count() <= MAX_TEXT_CHARS);
        // Each number on a line of its own, behind twice as many blanks as it is deep.
        let deep = (0..100).fold(json!(vec![0; 100_000]), |inner, _| json!([inner]));
        params["toolCall"]["rawInput"] = json!({ "token": "abc123", "deep": deep });
        let said = details(&params["toolCall"], None, None);
        assert!(said.full && said.text.len() <= MAX_DETAILS_BYTES);
        // What cannot be given back is not asked.
        assert_eq!(question(launch.clone(), &json!("x".repeat(2000)), &params), None);
        params["options"] = json!([{ "optionId": "x".repeat(2000), "kind": "allow_once" }, { "optionId": "y" }, 7]);
        assert_eq!(question(launch.clone(), &json!(7), &params), None);
        assert_eq!(question(launch, &json!(7), &json!(null)), None);
    }

    #[test]
    fn where_the_fitting_option_is_missing_the_lasting_one_or_none_is_chosen() {
        let mut params = request("execute");
        params["options"].as_array_mut().unwrap().truncate(2);
        assert_eq!(answer(PermissionPolicy::All, false, &params).0.as_deref(), Some("2"));
        assert_eq!(answer(PermissionPolicy::Deny, false, &params).0.as_deref(), Some("1"));
        params["options"] = json!([]);
        assert_eq!(answer(PermissionPolicy::Deny, false, &params).1, "cancelled");
        assert_eq!(answer(PermissionPolicy::All, false, &json!({ "toolCall": 7 })).1, "cancelled");
    }
}
