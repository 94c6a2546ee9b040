//! What akkctl sees from outside of akkd: sockets, the user service, and how this shell differs from what agents get.

use crate::commands::Context;
use crate::peer;
use crate::service::environment::{Difference, differences};
use crate::service::state::{self, State};
use crate::stop;
use akk_proto::api::{Check, CheckLevel, check};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// How long the manager of services may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Programs whose place matters to agents.
const PROGRAMS: [&str; 8] = ["codex", "claude", "cursor-agent", "gemini", "acpx", "npx", "node", "openclaw"];

/// Who serves the socket of agents, while akkd answers on the other.
pub(super) fn callback_socket(context: &Context<'_>) -> Check {
    let socket = &context.surroundings.paths.callback_socket;
    let place = context.view.path(&socket.to_string_lossy());
    let me = rustix::process::geteuid().as_raw();
    let hint = "Run `akkctl daemon stop` and `akkctl daemon start`; running turns go on.";
    let (level, found, hint) = match UnixStream::connect(socket).and_then(|s| peer::server_uid(&s)) {
        Ok(uid) if uid == me => (CheckLevel::Ok, format!("agents report on {place}, which is served too"), None),
        Ok(uid) => (CheckLevel::Fail, format!("{place} is served by user {uid}, not by you"), Some(hint)),
        Err(e) => (CheckLevel::Fail, format!("agents cannot report: {place}: {e}"), Some(hint)),
    };
    Check::new(check::AKKD, "callbacks", level, found, hint)
}

/// What stands in the place of an akkd that does not answer; nothing where that is no more than nobody.
pub(super) fn nobody_answers(context: &Context<'_>) -> Option<Check> {
    let paths = &context.surroundings.paths;
    if let Some(pid) = stop::holder(paths) {
        let found = format!("process {pid} holds the lock of this home, and does not answer");
        let hint =
            format!("If it starts or stops, wait; if it hangs, end it with `kill -9 {pid}`: nothing is lost by that.");
        return Some(Check::new(check::AKKD, "lock", CheckLevel::Fail, found, Some(&hint)));
    }
    let left = paths.control_socket.symlink_metadata().is_ok();
    left.then(|| {
        let found = "an akkd that died left its socket behind; the next start replaces it";
        Check::new(check::AKKD, "lock", CheckLevel::Note, found, None)
    })
}

/// The user service, where the system has one that akkd knows.
pub(super) fn service(context: &Context<'_>) -> (Vec<Check>, Option<State>) {
    let (tell, told) = mpsc::channel();
    let surroundings = context.surroundings.clone();
    // It ends with this process: nothing stops a manager that hangs.
    std::thread::spawn(move || tell.send(state::look(&surroundings)));
    match told.recv_timeout(PATIENCE) {
        Ok(Some(state)) => {
            let file = state.definition.as_ref().map(|f| context.view.path(&f.to_string_lossy()));
            (vec![judge_service(&state, file.as_deref())], Some(state))
        }
        Ok(None) => (Vec::new(), None),
        Err(_) => {
            let found = format!("the manager of services did not answer within {} s", PATIENCE.as_secs());
            (vec![Check::new(check::AKKD, "service", CheckLevel::Note, found, None)], None)
        }
    }
}

/// The line of the service. `file`: its definition, as it is shown.
fn judge_service(state: &State, file: Option<&str>) -> Check {
    let line = |level, found: String, hint: Option<&str>| Check::new(check::AKKD, "service", level, found, hint);
    let Some(file) = file else {
        return line(
            CheckLevel::Ok,
            "none is installed for this home: akkd is started when it is needed".to_owned(),
            None,
        );
    };
    let managed = match &state.manager {
        Ok(managed) => managed,
        Err(why) => {
            let hint =
                "Log in as this user, or run `loginctl enable-linger`; `akkctl daemon uninstall` does without it.";
            return line(
                CheckLevel::Warn,
                format!("{file} is installed, and its manager cannot be asked: {why}"),
                Some(hint),
            );
        }
    };
    if managed.failed {
        let hint = "Look into `journalctl --user -u akkd`, then run `akkctl daemon start`.";
        return line(CheckLevel::Fail, format!("{file}: its last start failed, and it was given up"), Some(hint));
    }
    if !state.outdated.is_empty() {
        let found = format!("{file} is not what this akkctl would install from this shell");
        return line(
            CheckLevel::Warn,
            found,
            Some("Run `akkctl daemon install` again, from the shell that you work in."),
        );
    }
    if !managed.enabled {
        let hint = "Run `akkctl daemon install` again.";
        return line(CheckLevel::Warn, format!("{file} is installed, and does not start with your login"), Some(hint));
    }
    let does = match (managed.pid, managed.listening) {
        (Some(pid), _) => format!("runs as process {pid}"),
        (None, true) => "starts with the first connection".to_owned(),
        (None, false) => "does not run".to_owned(),
    };
    match (managed.pid.is_none() && !managed.listening, managed.lingers) {
        (true, _) => line(CheckLevel::Warn, format!("{file} {does}"), Some("Run `akkctl daemon start`.")),
        (_, Some(false)) => {
            let hint = "Run `loginctl enable-linger`, where agents shall go on then.";
            let hint = cfg!(target_os = "linux").then_some(hint);
            line(CheckLevel::Note, format!("{file} {does}; it ends with its agents when you log out"), hint)
        }
        _ => line(CheckLevel::Ok, format!("{file} {does}"), None),
    }
}

/// How this shell differs from what agents get: by what akkd said, else by what its service would give it.
pub(super) fn environment(akkd: &BTreeMap<String, String>, service: Option<&State>) -> Vec<Check> {
    let shell = |name: &str| std::env::var(name).ok();
    let installed = service.is_some_and(|s| s.definition.is_some());
    let mut checks = Vec::new();
    let theirs = match (akkd.get("PATH"), service) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(service)) => service.environment.iter().find(|d| d.name == "PATH").and_then(|d| d.service.clone()),
        (None, None) => None,
    };
    if let (Some(theirs), Some(ours)) = (theirs, shell("PATH")) {
        checks.extend(paths(&found_in(&theirs), &found_in(&ours), installed));
    }
    let others = match service {
        _ if !akkd.is_empty() => differences(akkd, |name| shell(name).map(|value| hidden(name, &value))),
        Some(service) => service.environment.clone(),
        None => Vec::new(),
    };
    checks.extend(variables(&others, installed));
    checks
}

/// A proxy's address as akkd shows it.
fn hidden(name: &str, value: &str) -> String {
    let name = name.to_ascii_uppercase();
    match value.rsplit_once('@') {
        Some((before, host)) if name.ends_with("_PROXY") && name != "NO_PROXY" => {
            let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
            format!("{scheme}***@{host}")
        }
        _ => value.to_owned(),
    }
}

fn found_in(path: &str) -> BTreeMap<&'static str, PathBuf> {
    let runs = |p: &Path| p.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    let find =
        |name: &str| std::env::split_paths(path).filter(|f| f.is_absolute()).map(|f| f.join(name)).find(|p| runs(p));
    PROGRAMS.iter().filter_map(|name| Some((*name, find(name)?))).collect()
}

/// What cures a difference.
fn cure(installed: bool) -> &'static str {
    if installed {
        "Run `akkctl daemon install` from this shell, or set `path` in config.toml."
    } else {
        "Run `akkctl daemon stop` and `akkctl daemon start` in this shell, or set `path` in config.toml."
    }
}

/// Programs that agents find elsewhere than this shell, or not at all.
fn paths(agents: &BTreeMap<&str, PathBuf>, shell: &BTreeMap<&str, PathBuf>, installed: bool) -> Option<Check> {
    let mut level = CheckLevel::Note;
    let mut parts = Vec::new();
    for (name, here) in shell {
        match agents.get(name) {
            None => {
                level = CheckLevel::Warn;
                parts.push(format!("`{name}` is {} in this shell, and agents do not find it", here.display()));
            }
            Some(there) if there != here => {
                parts.push(format!("`{name}` is {} in this shell, and {} for agents", here.display(), there.display()));
            }
            Some(_) => {}
        }
    }
    (!parts.is_empty()).then(|| Check::new(check::AGENTS, "this shell", level, parts.join("; "), Some(cure(installed))))
}

fn variables(found: &[Difference], installed: bool) -> Option<Check> {
    let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
    let parts: Vec<String> = found
        .iter()
        .filter(|d| d.name != "PATH")
        .map(|d| format!("{}: {} in this shell, {} for akkd", d.name, said(&d.shell), said(&d.service)))
        .collect();
    let hint = if installed {
        "Run `akkctl daemon install` from this shell if agents shall have what it has."
    } else {
        "Run `akkctl daemon stop` and `akkctl daemon start` in this shell if agents shall have what it has."
    };
    (!parts.is_empty()).then(|| Check::new(check::AGENTS, "this shell", CheckLevel::Note, parts.join("; "), Some(hint)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::platform::Platform;
    use crate::service::state::Managed;

    fn shown(check: &Check) -> String {
        let hint = check.hint.as_ref().map(|h| format!("\n    {h}")).unwrap_or_default();
        format!("{:?} {}: {}{hint}", check.level, check.name, check.found)
    }

    #[test]
    fn the_service_is_told_by_what_is_to_be_done_first() {
        let state = |managed: Result<Managed, String>, outdated: &[&str]| State {
            platform: Platform::Systemd,
            definition: Some("/u".into()),
            own: true,
            outdated: outdated.iter().map(PathBuf::from).collect(),
            manager: managed,
            environment: Vec::new(),
        };
        let idle = Managed { enabled: true, listening: true, lingers: Some(true), ..Managed::default() };
        let line =
            |managed, outdated: &[&str]| shown(&judge_service(&state(managed, outdated), Some("~/akkd.service")));
        let all = [
            shown(&judge_service(&state(Ok(idle.clone()), &[]), None)),
            line(Ok(idle.clone()), &[]),
            line(Ok(Managed { pid: Some(7), active: true, ..idle.clone() }), &[]),
            line(Ok(Managed { listening: false, ..idle.clone() }), &[]),
            line(Ok(Managed { enabled: false, ..idle.clone() }), &[]),
            line(Ok(Managed { failed: true, ..idle.clone() }), &["x"]),
            line(Ok(idle), &["x"]),
            line(Err("systemctl: no bus".to_owned()), &[]),
        ];
        insta::assert_snapshot!(all.join("\n"));
    }

    #[test]
    fn what_this_shell_finds_elsewhere_than_agents_is_told() {
        let map = |found: &[(&'static str, &str)]| found.iter().map(|(n, p)| (*n, PathBuf::from(p))).collect();
        let agents = map(&[("node", "/usr/bin/node"), ("acpx", "/usr/bin/acpx")]);
        let shell = map(&[("node", "/home/u/n/node"), ("acpx", "/usr/bin/acpx")]);
        let missing = map(&[("codex", "/home/u/bin/codex"), ("node", "/usr/bin/node")]);
        assert_eq!(paths(&agents, &agents, false), None);
        let difference = |name, shell: Option<&str>, service: Option<&str>| Difference {
            name,
            shell: shell.map(str::to_owned),
            service: service.map(str::to_owned),
        };
        let variables = variables(
            &[
                difference("PATH", Some("/a"), Some("/b")),
                difference("HTTPS_PROXY", Some("http://***@h:1"), None),
                difference("CODEX_HOME", None, Some("/c")),
            ],
            false,
        );
        let all = [paths(&agents, &shell, true), paths(&agents, &missing, false), variables];
        insta::assert_snapshot!(all.into_iter().map(|c| shown(&c.unwrap())).collect::<Vec<_>>().join("\n"));
        assert_eq!(hidden("https_proxy", "http://u:geheim@h:1"), "http://***@h:1");
        assert_eq!(hidden("NO_PROXY", "a@b"), "a@b");
    }
}
