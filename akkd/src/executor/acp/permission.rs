//! Answering an agent's requests for permission by the policy. Pure.

use akk_core::redact;
use akk_proto::conversation::PermissionPolicy;
use akk_proto::event::Activity;
use serde_json::Value;

/// Longest title in the record, in characters.
const MAX_TITLE_CHARS: usize = 200;
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
        PermissionPolicy::Deny => false,
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
