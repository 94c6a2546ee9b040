//! Whether OpenClaw's policy lets its model see the plugin's tools. The command `/akk` needs none of it.

use super::settings::ID;
use serde::Deserialize;
use serde_json::{Value, json};

/// The beginning of every name of our tools.
const PREFIX: &str = "agent_knock_knock_";
/// The profiles that our tools declare for themselves, and the one that has everything (openclaw 2026.9).
const PROFILES: [&str; 3] = ["coding", "messaging", "full"];

/// `tools` in OpenClaw's configuration (2026.9), as far as it concerns us: the policy of all agents. Agents and channels
/// can have policies of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Tools {
    profile: Option<String>,
    /// When there are any: no other tool is seen.
    allow: Vec<String>,
    #[serde(rename = "alsoAllow")]
    also_allow: Vec<String>,
    deny: Vec<String>,
}

/// Why the model does not see our tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hidden {
    /// The setting, as a sentence.
    pub(crate) why: String,
    /// What would show them: the setting, what it is, and what it is to be. None for a denial: that is a decision.
    pub(crate) cure: Option<(&'static str, Value, Value)>,
}

impl Tools {
    /// Why the model does not see our tools, if it does not.
    pub(crate) fn hidden(&self) -> Option<Hidden> {
        let with_us = |list: &[String]| json!(list.iter().map(String::as_str).chain([ID]).collect::<Vec<_>>());
        if let Some(name) = self.deny.iter().find(|name| covers(name)) {
            return Some(Hidden { why: format!("tools.deny names {name}"), cure: None });
        }
        if !self.allow.is_empty() {
            return (!self.allow.iter().any(|name| covers(name))).then(|| Hidden {
                why: format!("tools.allow is an exclusive list that does not name {ID}"),
                cure: Some(("tools.allow", json!(self.allow), with_us(&self.allow))),
            });
        }
        let profile = self.profile.as_deref().unwrap_or("full");
        (!PROFILES.contains(&profile) && !self.also_allow.iter().any(|name| covers(name))).then(|| Hidden {
            why: format!("tools.profile is {profile}, which has no tools of plugins"),
            cure: Some(("tools.alsoAllow", json!(self.also_allow), with_us(&self.also_allow))),
        })
    }

    /// The patch that takes us out of the lists again; none when we are in none.
    pub(crate) fn removal(&self) -> Option<Value> {
        let mut patch = serde_json::Map::new();
        for (name, list) in [("allow", &self.allow), ("alsoAllow", &self.also_allow)] {
            let rest: Vec<&String> = list.iter().filter(|l| *l != ID).collect();
            // An empty list would allow every tool: a list of nothing but ours stays as its author wrote it.
            if rest.len() < list.len() && (!rest.is_empty() || name == "alsoAllow") {
                patch.insert(name.to_owned(), json!(rest));
            }
        }
        (!patch.is_empty()).then(|| json!({ "tools": patch }))
    }
}

/// Whether a word of a policy means all our tools: our id, every plugin, or a pattern that fits every name.
fn covers(word: &str) -> bool {
    let word = word.trim().to_ascii_lowercase();
    word == ID || word == "group:plugins" || word.strip_suffix('*').is_some_and(|head| PREFIX.starts_with(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(value: Value) -> Option<Hidden> {
        serde_json::from_value::<Tools>(value).unwrap().hidden()
    }

    #[test]
    fn an_open_policy_or_one_that_names_us_hides_nothing() {
        for open in [
            json!({}),
            json!({"profile": "coding"}),
            json!({"profile": "full", "deny": ["browser"]}),
            json!({"allow": ["read", "agent-knock-knock"]}),
            json!({"allow": ["group:plugins"]}),
            json!({"allow": ["agent_knock_*"]}),
            json!({"allow": ["*"]}),
            json!({"profile": "minimal", "alsoAllow": ["Agent-Knock-Knock"]}),
        ] {
            assert_eq!(hidden(open.clone()), None, "{open}");
        }
    }

    #[test]
    fn what_hides_our_tools_is_named_with_its_cure() {
        let exclusive = hidden(json!({"allow": ["read"], "web": {"search": {"apiKey": "x"}}})).unwrap();
        assert_eq!(exclusive.cure, Some(("tools.allow", json!(["read"]), json!(["read", ID]))));
        let minimal = hidden(json!({"profile": "minimal", "alsoAllow": ["message"]})).unwrap();
        assert_eq!(minimal.cure, Some(("tools.alsoAllow", json!(["message"]), json!(["message", ID]))));
        let denied = hidden(json!({"deny": ["group:plugins"]})).unwrap();
        assert_eq!(denied.cure, None, "a denial is a decision");
        insta::assert_snapshot!([exclusive.why, minimal.why, denied.why].join("\n"));
    }

    #[test]
    fn a_removal_takes_only_us_out() {
        let tools: Tools = serde_json::from_value(json!({"allow": ["read", ID], "alsoAllow": ["x"]})).unwrap();
        assert_eq!(tools.removal(), Some(json!({"tools": {"allow": ["read"]}})));
        assert_eq!(Tools::default().removal(), None);
        let only_us: Tools = serde_json::from_value(json!({"allow": [ID]})).unwrap();
        assert_eq!(only_us.removal(), None);
    }
}
