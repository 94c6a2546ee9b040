//! What OpenClaw has under `plugins`, what we want there, and the difference. Pure.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The plugin's id in OpenClaw.
pub(crate) const ID: &str = "agent-knock-knock";

/// `plugins` in OpenClaw's configuration (2026.9), as far as it concerns us.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Plugins {
    /// False switches every plugin off.
    enabled: Option<bool>,
    /// When there are any: no other plugin is loaded.
    allow: Vec<String>,
    deny: Vec<String>,
    load: Load,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Load {
    paths: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Entry {
    enabled: Option<bool>,
    config: Map<String, Value>,
}

/// What we want there.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The folder that is linked.
    pub(crate) link: PathBuf,
    /// akkd's socket. Named always: a gateway that runs as a service has another environment than this shell.
    pub(crate) socket: PathBuf,
    /// Where agents work when a task names no directory; none leaves the setting as it is.
    pub(crate) workspace: Option<PathBuf>,
}

impl Plugins {
    /// Whether every plugin is switched off.
    pub(crate) fn switched_off(&self) -> bool {
        self.enabled == Some(false)
    }

    /// Whether the plugin is linked from `link`.
    pub(crate) fn is_linked(&self, wanted: &Wanted) -> bool {
        self.load.paths.iter().any(|p| *p == wanted.link.to_string_lossy())
    }

    /// What keeps the plugin from being loaded, as a sentence.
    pub(crate) fn obstacle(&self, wanted: &Wanted) -> Option<String> {
        let named = |list: &[String]| list.iter().any(|name| name == ID);
        if self.switched_off() {
            Some("plugins.enabled is false: every plugin is switched off".to_owned())
        } else if !self.is_linked(wanted) {
            Some("plugins.load.paths does not name it: it is not linked".to_owned())
        } else if self.entry().enabled != Some(true) {
            Some(format!("plugins.entries.{ID}.enabled is not true"))
        } else if named(&self.deny) {
            Some(format!("plugins.deny names {ID}"))
        } else if !self.allow.is_empty() && !named(&self.allow) {
            Some(format!("plugins.allow does not name {ID}"))
        } else {
            None
        }
    }

    /// The list of load paths, and the same without other copies of the plugin: those that OpenClaw would load instead
    /// of ours. `is_ours` tells whether a path is one.
    pub(crate) fn other_copies(&self, wanted: &Wanted, is_ours: impl Fn(&str) -> bool) -> Option<(Value, Value)> {
        let keep = |path: &&String| **path == wanted.link.to_string_lossy() || !is_ours(path);
        let kept: Vec<&String> = self.load.paths.iter().filter(keep).collect();
        (kept.len() < self.load.paths.len()).then(|| (json!(self.load.paths), json!(kept)))
    }

    /// The patch that makes the plugin's own entry what we want; none when it is.
    pub(crate) fn entry_patch(&self, wanted: &Wanted) -> Option<Value> {
        let entry = self.entry();
        let mut config = Map::new();
        let socket = json!(wanted.socket);
        if entry.config.get("socketPath") != Some(&socket) {
            config.insert("socketPath".to_owned(), socket);
        }
        if let Some(workspace) = &wanted.workspace
            && entry.config.get("workspace") != Some(&json!(workspace))
        {
            config.insert("workspace".to_owned(), json!(workspace));
        }
        let mut patch = Map::new();
        if entry.enabled != Some(true) {
            patch.insert("enabled".to_owned(), json!(true));
        }
        if !config.is_empty() {
            patch.insert("config".to_owned(), Value::Object(config));
        }
        (!patch.is_empty()).then(|| json!({ "plugins": { "entries": { ID: patch } } }))
    }

    /// The patch that leaves nothing of the plugin; none when there is nothing.
    pub(crate) fn removal(&self, link: &str) -> Option<Value> {
        let mut patch = Map::new();
        if self.entries.contains_key(ID) {
            patch.insert("entries".to_owned(), json!({ ID: null }));
        }
        let without = |list: &[String], name: &str| {
            let rest: Vec<&String> = list.iter().filter(|l| *l != name).collect();
            (rest.len() < list.len()).then(|| json!(rest))
        };
        if let Some(paths) = without(&self.load.paths, link) {
            patch.insert("load".to_owned(), json!({ "paths": paths }));
        }
        // An empty list would allow every plugin: a list of nothing but ours stays as its author wrote it.
        if let Some(allow) = without(&self.allow, ID).filter(|rest| *rest != json!([])) {
            patch.insert("allow".to_owned(), allow);
        }
        (!patch.is_empty()).then(|| json!({ "plugins": patch }))
    }

    fn entry(&self) -> Entry {
        self.entries.get(ID).cloned().unwrap_or_default()
    }
}

/// What became different between two looks, a line for each setting.
pub(crate) fn changes(before: &Plugins, after: &Plugins) -> Vec<String> {
    let mut told = Vec::new();
    for (name, before, after) in [
        ("plugins.load.paths", &before.load.paths, &after.load.paths),
        ("plugins.allow", &before.allow, &after.allow),
        ("plugins.deny", &before.deny, &after.deny),
    ] {
        told.extend(after.iter().filter(|v| !before.contains(v)).map(|v| format!("{name}: added {v}")));
        told.extend(before.iter().filter(|v| !after.contains(v)).map(|v| format!("{name}: removed {v}")));
    }
    let (before, after) = (before.entry(), after.entry());
    let entry = format!("plugins.entries.{ID}");
    let shown = |value: Option<&Value>| value.map_or_else(|| "not set".to_owned(), ToString::to_string);
    if before.enabled != after.enabled {
        told.push(format!("{entry}.enabled: {}", shown(after.enabled.map(Value::from).as_ref())));
    }
    let names: std::collections::BTreeSet<&String> = before.config.keys().chain(after.config.keys()).collect();
    for name in names {
        if before.config.get(name) != after.config.get(name) {
            told.push(format!("{entry}.config.{name}: {}", shown(after.config.get(name))));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted { link: "/s/openclaw/agent-knock-knock".into(), socket: "/r/akkd.sock".into(), workspace: None }
    }

    fn plugins(value: Value) -> Plugins {
        serde_json::from_value(value).unwrap()
    }

    fn installed() -> Value {
        json!({
            "load": {"paths": ["/mine", "/s/openclaw/agent-knock-knock"]},
            "entries": {"agent-knock-knock": {"enabled": true, "config": {"socketPath": "/r/akkd.sock"}}, "xai": {"config": {"key": "k"}}},
            "slots": {"memory": "none"}
        })
    }

    #[test]
    fn each_obstacle_has_its_sentence() {
        assert_eq!(plugins(installed()).obstacle(&wanted()), None);
        let mut told = vec![plugins(json!({})).obstacle(&wanted()).unwrap()];
        for (name, value) in [("enabled", json!(false)), ("deny", json!([ID])), ("allow", json!(["telegram"]))] {
            let mut one = installed();
            one[name] = value;
            told.push(plugins(one).obstacle(&wanted()).unwrap());
        }
        let mut disabled = installed();
        disabled["entries"][ID]["enabled"] = json!(false);
        told.push(plugins(disabled).obstacle(&wanted()).unwrap());
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn only_what_differs_is_patched() {
        let have = plugins(installed());
        assert_eq!(have.entry_patch(&wanted()), None);
        let elsewhere = Wanted { socket: "/r/other.sock".into(), workspace: Some("/w".into()), ..wanted() };
        let entry = |patch: &Value| patch["plugins"]["entries"][ID].clone();
        let patch = have.entry_patch(&elsewhere).unwrap();
        assert_eq!(entry(&patch), json!({"config": {"socketPath": "/r/other.sock", "workspace": "/w"}}));

        let mut set = installed();
        set["entries"][ID] = json!({"enabled": false, "config": {"socketPath": "/other.sock", "workspace": "/mine"}});
        let patch = plugins(set.clone()).entry_patch(&wanted()).unwrap();
        assert_eq!(entry(&patch), json!({"enabled": true, "config": {"socketPath": "/r/akkd.sock"}}));
        set["entries"][ID] = json!({"enabled": true, "config": {"socketPath": "/r/akkd.sock"}});
        assert_eq!(plugins(set).entry_patch(&wanted()), None, "it is named, and right");
    }

    #[test]
    fn other_copies_are_taken_out_and_nothing_else() {
        let mut twice = installed();
        twice["load"]["paths"] = json!(["/mine", "/old/agent-knock-knock", "/s/openclaw/agent-knock-knock"]);
        let (before, after) = plugins(twice.clone()).other_copies(&wanted(), |p| p.ends_with(ID)).unwrap();
        assert_eq!(before, twice["load"]["paths"]);
        assert_eq!(after, installed()["load"]["paths"]);
        assert_eq!(plugins(installed()).other_copies(&wanted(), |p| p.ends_with(ID)), None);
    }

    #[test]
    fn a_removal_takes_back_everything_of_ours() {
        let mut full = installed();
        full["allow"] = json!(["telegram", ID]);
        let link = "/s/openclaw/agent-knock-knock";
        let patch = plugins(full).removal(link).unwrap();
        assert_eq!(
            patch,
            json!({"plugins": {"entries": {ID: null}, "load": {"paths": ["/mine"]}, "allow": ["telegram"]}})
        );
        assert_eq!(plugins(json!({"load": {"paths": ["/mine"]}})).removal(link), None);
    }

    #[test]
    fn every_change_is_told() {
        let mut after = installed();
        after["allow"] = json!(["telegram", ID]);
        let before = json!({"allow": ["telegram"], "deny": [ID], "load": {"paths": ["/mine"]}});
        insta::assert_snapshot!(changes(&plugins(before), &plugins(after)).join("\n"));
    }
}
