//! A stand-in for OpenClaw's command line: it keeps a configuration as openclaw 2026.9.6 does, notes how it was called,
//! and fails where it is told to.

use super::super::{Home, fake};
use serde_json::{Map, Value, json};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Set in the environment of this test binary when it plays OpenClaw: the folder of the call, in that of its state.
pub(crate) const PART: &str = "AKK_TEST_PART_OF_OPENCLAW";

/// OpenClaw on the machine of a test.
pub(crate) struct Played {
    state: PathBuf,
    program: PathBuf,
}

impl Played {
    /// Installs it as `openclaw` in a folder of its own, with this configuration.
    pub(crate) fn with(home: &Home, config: &Value) -> Self {
        let state = home.path().join("openclaw-state");
        std::fs::create_dir_all(&state).unwrap();
        let program = home.bin.path().join("tools/openclaw");
        // The harness speaks on standard output: the part's own words are kept in files, a folder for each call.
        let script = format!(
            "call=$(mktemp -d {state}/call-XXXXXX)\nexport {PART}=$call\ncat >\"$call/stdin\"\n\
             for a in \"$@\"; do printf '%s\\0' \"$a\"; done >\"$call/args\"\n\
             '{exe}' --exact openclaw::in_the_part_of_openclaw --nocapture >/dev/null 2>&1\n\
             cat \"$call/err\" >&2; cat \"$call/out\"; exit $(cat \"$call/code\")",
            state = state.display(),
            exe = std::env::current_exe().unwrap().display()
        );
        fake::install(&script, &program);
        let played = Self { state, program };
        played.configure(config);
        played
    }

    /// Its command.
    pub(crate) fn program(&self) -> &str {
        self.program.to_str().unwrap()
    }

    /// The folder of its command, for `PATH`.
    pub(crate) fn folder(&self) -> &Path {
        self.program.parent().unwrap()
    }

    pub(crate) fn configure(&self, config: &Value) {
        write(&self.state, "openclaw.json", &config.to_string());
    }

    pub(crate) fn config(&self) -> Value {
        read_json(&self.state)
    }

    /// Its gateway runs; `plugins` are those that it says it loaded.
    pub(crate) fn gateway_runs(&self, plugins: &[&str]) {
        write(&self.state, "gateway", &json!(plugins).to_string());
    }

    /// Calls that begin with `words` fail with this on standard error.
    pub(crate) fn fails(&self, words: &str, says: &str) {
        write(&self.state, "fails", &format!("{words}\n{says}"));
    }

    /// Nothing fails any more.
    pub(crate) fn recovers(&self) {
        let _ = std::fs::remove_file(self.state.join("fails"));
    }

    /// How it was called since the last time, in the order of the alphabet: reads run beside each other.
    pub(crate) fn calls(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.state.join("calls")).unwrap_or_default();
        let _ = std::fs::remove_file(self.state.join("calls"));
        let mut calls: Vec<String> = calls.lines().map(str::to_owned).collect();
        calls.sort();
        calls
    }
}

fn write(state: &Path, name: &str, text: &str) {
    std::fs::write(state.join(name), text).unwrap();
}

fn read_json(state: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(state.join("openclaw.json")).unwrap()).unwrap()
}

/// What the stand-in does when it is called.
pub(crate) fn play(call: &Path) {
    let state = call.parent().unwrap();
    let args = std::fs::read_to_string(call.join("args")).unwrap();
    let args: Vec<&str> = args.split_terminator('\0').collect();
    let mut calls = OpenOptions::new().create(true).append(true).open(state.join("calls")).unwrap();
    calls.write_all(format!("{}\n", args.join(" ")).as_bytes()).unwrap();
    let (code, out, err) = answer(call, &args);
    write(call, "out", &out);
    write(call, "err", &err);
    write(call, "code", &code.to_string());
}

fn answer(call: &Path, args: &[&str]) -> (i32, String, String) {
    let state = call.parent().unwrap();
    if let Ok(fails) = std::fs::read_to_string(state.join("fails")) {
        let (words, says) = fails.split_once('\n').unwrap();
        if args.join(" ").starts_with(words) {
            return (1, String::new(), says.to_owned());
        }
    }
    let args = match args {
        ["--profile", _, rest @ ..] => rest,
        all => all,
    };
    let said = |text: &str| (0, format!("{text}\n"), String::new());
    let gateway = std::fs::read_to_string(state.join("gateway")).ok();
    let applied =
        if gateway.is_some() { "Applied in Gateway generation 2." } else { "Saved for the next Gateway start." };
    match args {
        ["--version"] => said("OpenClaw 2026.9.6 (eb377ac)"),
        ["config", "get", path, "--json"] => {
            if let Some(value) = read_json(state).get(*path) {
                return (0, value.to_string(), "[config] warnings: of no concern\n".to_owned());
            }
            let message = format!("Config path is valid but unset: {path}. The runtime default applies.");
            (1, json!({"ok": false, "error": {"type": "cli_error", "message": message}}).to_string(), String::new())
        }
        ["config", "patch", "--stdin"] => {
            let patch: Value = serde_json::from_slice(&std::fs::read(call.join("stdin")).unwrap()).unwrap();
            change(state, |config| merge(config, &patch));
            said("Applied 1 config update(s). Change will apply without restarting the gateway.")
        }
        ["config", "set", path, value, rest @ ..] => {
            let pointer = format!("/{}", path.replace('.', "/"));
            if let ["--strict-json", "--expect-current-json", expected] = rest {
                let expected: Value = serde_json::from_str(expected).unwrap();
                if read_json(state).pointer(&pointer) != Some(&expected) {
                    return (1, String::new(), "The config file changed while this command was writing.\n".to_owned());
                }
            }
            let value: Value = serde_json::from_str(value).unwrap();
            let patch = path.rsplit('.').fold(value, |inner, name| json!({ name: inner }));
            change(state, |config| merge(config, &patch));
            said(&format!("Updated {path}. Change will apply without restarting the gateway."))
        }
        ["plugins", "install", "--link", link, "--force", "--accept-capabilities"] => {
            let manifest: Value =
                serde_json::from_slice(&std::fs::read(Path::new(link).join("openclaw.plugin.json")).unwrap()).unwrap();
            let id = manifest["id"].as_str().unwrap();
            change(state, |config| linked(config, id, link));
            (
                0,
                format!("Linked plugin path: {link}\n{applied}\n"),
                "Config write will strip JSON5 comments from x.\n".into(),
            )
        }
        ["plugins", "uninstall", id, "--force", "--keep-files"] => {
            change(state, |config| {
                let paths = config["plugins"]["load"]["paths"].as_array_mut().unwrap();
                paths.retain(|p| !p.as_str().unwrap().ends_with(id));
                // It leaves this behind.
                config["plugins"]["entries"][*id] = json!({"enabled": false});
            });
            said(&format!("Uninstalled plugin \"{id}\"."))
        }
        ["gateway", "health", "--json"] => {
            if let Some(plugins) = gateway {
                let loaded: Value = serde_json::from_str(&plugins).unwrap();
                return said(&json!({"ok": true, "plugins": {"loaded": loaded}}).to_string());
            }
            let error = json!({"message": "Gateway not reachable at ws://127.0.0.1:18789 (ECONNREFUSED)."});
            (1, json!({"ok": false, "error": error}).to_string(), String::new())
        }
        ["gateway", "restart", "--safe", "--json"] => said(r#"{"ok": true, "result": "scheduled"}"#),
        other => (2, String::new(), format!("Unknown command: {other:?}\n")),
    }
}

fn change(state: &Path, by: impl FnOnce(&mut Value)) {
    let mut config = read_json(state);
    by(&mut config);
    write(state, "openclaw.json", &config.to_string());
}

fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    for (name, value) in patch {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut into[name.as_str()], value);
        }
    }
}

/// What openclaw 2026.9.6 does to its configuration: it extends an exclusive list, takes back a denial, and leaves an
/// entry alone that says whether it is enabled.
fn linked(config: &mut Value, id: &str, link: &str) {
    let plugins = &mut config["plugins"];
    if plugins["load"]["paths"].is_null() {
        plugins["load"]["paths"] = json!([]);
    }
    let paths = plugins["load"]["paths"].as_array_mut().unwrap();
    if !paths.iter().any(|p| p == link) {
        paths.push(json!(link));
    }
    if plugins["entries"][id]["enabled"].is_null() {
        plugins["entries"][id]["enabled"] = json!(true);
    }
    if let Some(allow) = plugins.get_mut("allow").and_then(Value::as_array_mut).filter(|a| !a.is_empty()) {
        allow.push(json!(id));
    }
    if let Some(deny) = plugins.get_mut("deny").and_then(Value::as_array_mut) {
        deny.retain(|name| name != id);
    }
}
