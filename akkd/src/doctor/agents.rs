//! Whether the commands of the configured agents can be run.

use super::programs::find;
use super::short;
use crate::config::{AgentSpec, Config, Surroundings, agent_environment};
use akk_proto::api::{Check, CheckLevel, check};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Bytes of a package's description.
const MAX_PACKAGE: u64 = 1 << 20;
/// Folders of npm's cache that are looked into.
const MAX_CACHED: usize = 500;

/// A line for the agent that is asked when a request names none, for each one that cannot be started and was configured,
/// and one for the others.
pub(super) fn look(config: &Config, around: &Surroundings) -> Vec<Check> {
    // What an empty file would give: what differs was written by the owner.
    let built_in = Config::parse(&config.path, "", around).map(|c| c.agents).unwrap_or_default();
    let mut checks = Vec::new();
    let (mut ready, mut missing) = (Vec::new(), Vec::new());
    for spec in config.agents.values() {
        let env = agent_environment(spec, &around.env, None);
        let state = state(spec, &env);
        let default = spec.kind == config.default_agent;
        let written =
            built_in.get(&spec.kind).is_none_or(|b| (&b.command, b.transport) != (&spec.command, spec.transport));
        match judge(spec, &state, default, written) {
            Some(check) => checks.push(check),
            None if matches!(state, State::Nowhere(_)) => missing.push(spec.kind.as_str()),
            None => ready.push(spec.kind.as_str()),
        }
    }
    // The one that counts stands first.
    checks.sort_by_key(|c| !c.name.ends_with("(default)"));
    if !ready.is_empty() {
        checks.push(Check::new(
            check::AGENTS,
            "agents",
            CheckLevel::Ok,
            format!("ready too: {}", ready.join(", ")),
            None,
        ));
    }
    if !missing.is_empty() {
        let found = format!("not installed: {}", missing.join(", "));
        checks.push(Check::new(check::AGENTS, "agents", CheckLevel::Note, found, None));
    }
    checks
}

/// The programs that must work: those of the default agent.
pub(super) fn used(config: &Config) -> Vec<&'static str> {
    let Some(spec) = config.agents.get(&config.default_agent) else { return Vec::new() };
    let mut used: Vec<&'static str> = spec.family().into_iter().collect();
    if spec.acpx_agent.is_some() {
        used.extend(["acpx", "node"]);
    }
    used
}

/// What stands behind an agent's command.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// A program.
    Program(String),
    /// npx, which has this package or fetches it.
    Package { package: String, cached: bool },
    /// Nothing that can be run, and why.
    Nowhere(String),
}

fn state(spec: &AgentSpec, env: &BTreeMap<String, String>) -> State {
    let name = spec.command.first().map_or("", String::as_str);
    let program = match find(name, env.get("PATH").map(String::as_str)) {
        Ok(program) => program,
        Err(why) => return State::Nowhere(why),
    };
    match package(&spec.command) {
        Some(package) => State::Package { cached: is_cached(package, env), package: package.to_owned() },
        None => State::Program(short(&program, env)),
    }
}

fn judge(spec: &AgentSpec, state: &State, default: bool, written: bool) -> Option<Check> {
    if !default && !written {
        return None;
    }
    let name = if default { format!("{} (default)", spec.kind) } else { spec.kind.clone() };
    let line = |level, found: String, hint: Option<&str>| Some(Check::new(check::AGENTS, &name, level, found, hint));
    match state {
        State::Program(place) => line(CheckLevel::Ok, format!("runs {place} over {}", spec.transport), None),
        State::Package { package, cached: true } => {
            line(CheckLevel::Ok, format!("npx runs {package}, which npm has already"), None)
        }
        State::Package { package, cached: false } => line(
            CheckLevel::Note,
            format!("npx runs {package}, which npm fetches when it is first used"),
            Some("Let the first task begin while there is a network; it takes some seconds longer."),
        ),
        State::Nowhere(why) if default => line(
            CheckLevel::Fail,
            format!("tasks that name no agent cannot begin: {why}"),
            Some("Install it (`npx` comes with Node.js), or set `default_agent` or `path` in config.toml."),
        ),
        State::Nowhere(why) => line(
            CheckLevel::Warn,
            format!("it cannot be started: {why}"),
            Some("Set its `command` in config.toml, or `path`, which all agents get."),
        ),
    }
}

/// The package that `npx` runs: the first word that is no option.
fn package(command: &[String]) -> Option<&str> {
    let (program, words) = command.split_first()?;
    let is_npx = Path::new(program).file_name().is_some_and(|n| n == "npx");
    is_npx.then(|| words.iter().map(String::as_str).find(|w| !w.starts_with('-'))).flatten()
}

/// Whether npm keeps this version, from an earlier run of npx: below `_npx` in its cache.
fn is_cached(package: &str, env: &BTreeMap<String, String>) -> bool {
    let home = env.get("HOME").map(PathBuf::from).unwrap_or_default();
    let cache = env.get("npm_config_cache").map_or_else(|| home.join(".npm"), PathBuf::from);
    // A scope begins with an at sign too.
    let (name, version) = match package.rfind('@') {
        Some(at) if at > 0 => (&package[..at], Some(&package[at + 1..])),
        _ => (package, None),
    };
    if Path::new(name).components().any(|c| !matches!(c, std::path::Component::Normal(_))) {
        return false;
    }
    let Ok(folders) = std::fs::read_dir(cache.join("_npx")) else { return false };
    folders.flatten().take(MAX_CACHED).any(|folder| {
        let manifest = folder.path().join("node_modules").join(name).join("package.json");
        let small = manifest.metadata().is_ok_and(|m| m.is_file() && m.len() <= MAX_PACKAGE);
        let has = || -> Option<String> {
            let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(&manifest).ok()?).ok()?;
            Some(manifest.get("version")?.as_str()?.to_owned())
        };
        small && has().is_some_and(|has| version.is_none_or(|wanted| wanted == has))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(path: &str, home: &Path) -> Surroundings {
        let env = [("PATH", path), ("HOME", home.to_str().unwrap())];
        let env = env.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        Surroundings { akkctl: "/bin/sh".into(), env }
    }

    fn shown(config: &str, around: &Surroundings) -> String {
        let config = Config::parse(Path::new("/c/config.toml"), config, around).unwrap();
        let home = &around.env["HOME"];
        let line = |c: Check| {
            let hint = c.hint.map(|h| format!("\n    {h}")).unwrap_or_default();
            format!("{:?} {}: {}{hint}", c.level, c.name, c.found).replace(home.as_str(), "HOME")
        };
        look(&config, around).into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn program(folder: &Path, name: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(folder.join(name), "").unwrap();
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn agents_are_told_by_how_much_they_matter() {
        let home = tempfile::tempdir().unwrap();
        let bin = home.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let around = around(bin.to_str().unwrap(), home.path());
        let nothing = shown("", &around);
        program(&bin, "npx");
        let fetched = shown("", &around);
        let package = home.path().join(".npm/_npx/0a1b/node_modules/@agentclientprotocol/codex-acp");
        std::fs::create_dir_all(&package).unwrap();
        std::fs::write(package.join("package.json"), r#"{"version": "2.6.0"}"#).unwrap();
        let cached = shown("[agents.mine]\ncommand = [\"mine\"]\n", &around);
        program(&bin, "mine");
        let mine = shown("default_agent = \"mine\"\n[agents.mine]\ncommand = [\"mine\"]\n", &around);
        insta::assert_snapshot!([nothing, fetched, cached, mine].join("\n\n"));
    }

    #[test]
    fn the_package_is_found_in_the_command_of_npx_and_looked_for_by_its_version() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(package(&words("npx -y @a/b@1.2.3 --flag")), Some("@a/b@1.2.3"));
        assert_eq!(package(&words("/usr/bin/npx b")), Some("b"));
        assert_eq!(package(&words("node -y b")), None);
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("_npx/x/node_modules/@a/b");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("package.json"), r#"{"version": "1.2.3"}"#).unwrap();
        let env = BTreeMap::from([("npm_config_cache".to_owned(), home.path().to_str().unwrap().to_owned())]);
        assert!(is_cached("@a/b@1.2.3", &env) && is_cached("@a/b", &env));
        assert!(!is_cached("@a/b@1.2.4", &env) && !is_cached("../../etc@1", &env) && !is_cached("c", &env));
    }

    #[test]
    fn what_the_default_agent_runs_on_must_work() {
        let home = tempfile::tempdir().unwrap();
        let around = around("/bin", home.path());
        let used = |text: &str| used(&Config::parse(Path::new("/c"), text, &around).unwrap());
        assert_eq!(used(""), ["codex"]);
        assert_eq!(used("default_agent = \"claude-acpx\""), ["claude", "acpx", "node"]);
        assert_eq!(used("default_agent = \"cursor\""), ["cursor"]);
        assert_eq!(used("default_agent = \"demo\""), [""; 0]);
    }
}
