//! What stands of the user service: what `akkctl doctor` tells, and what installing, starting and stopping decide by.
//!
//! [`look`] changes nothing and starts nothing, not even an idle service: it reads files and asks the manager, never
//! akkd's socket.

use super::ask::{ask, words};
use super::environment::{Difference, differences, parsed};
use super::platform::{LABEL, Platform, SOCKETS, UNIT, definition, system_folders};
use super::render::{environment_of, rendered_here};
use crate::environment::Surroundings;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The user service, as it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// Who manages services here.
    pub(crate) platform: Platform,
    /// The file that defines the service, if it is installed: the user's own, else an enabled one of the system. None
    /// also for a home that `AKK_HOME` or `AKK_SOCKET` names, which is never the service's.
    pub(crate) definition: Option<PathBuf>,
    /// Whether that file is the user's own, which `akkctl daemon install` writes and `uninstall` removes.
    pub(crate) own: bool,
    /// Files of an own installation that are missing, or differ from what `akkctl daemon install` would write from this
    /// shell: another path of akkd, another `PATH` or proxy, another version of the units. Installing again cures it.
    pub(crate) outdated: Vec<PathBuf>,
    /// What the manager says; else why it cannot be asked, as a clause. Asked only where the service is installed.
    pub(crate) manager: Result<Managed, String>,
    /// In which variables (`PATH`, proxies, homes) the service differs from this shell: by its process where it runs,
    /// else by what it would get. Values are fit to be shown. Empty where nothing is installed.
    pub(crate) environment: Vec<Difference>,
}

/// What the manager of services says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Managed {
    /// It starts with the login, or with the first connection.
    pub(crate) enabled: bool,
    /// The process id of the service's akkd, if it runs.
    pub(crate) pid: Option<u32>,
    /// Sockets are listened on for it, so that connecting starts it. Never with launchd.
    pub(crate) listening: bool,
    /// It is running, starting or stopping.
    pub(crate) active: bool,
    /// Its last end was a failure, and the manager has given up on it.
    pub(crate) failed: bool,
    /// Whether it lives on when the user logs out; none where that is not known. launchd's never does.
    pub(crate) lingers: Option<bool>,
}

/// Looks at the user service. None on a system whose manager of services akkd does not know.
pub(crate) fn look(surroundings: &Surroundings) -> Option<State> {
    let platform = Platform::here()?;
    let own_folder = platform.own_folder(&surroundings.platform_config);
    let definition = defined(platform, surroundings);
    let own = definition.as_deref().is_some_and(|file| file.starts_with(&own_folder));
    let mut state = State {
        platform,
        definition,
        own,
        outdated: Vec::new(),
        manager: Ok(Managed::default()),
        environment: Vec::new(),
    };
    let Some(file) = state.definition.as_deref() else { return Some(state) };
    state.manager = managed(platform, surroundings);
    if own && let Ok(files) = rendered_here(platform) {
        let differs = |path: &PathBuf, text: &String| std::fs::read_to_string(path).ok().as_ref() != Some(text);
        let files = files.into_iter().map(|(name, text)| (own_folder.join(name), text));
        state.outdated = files.filter(|(path, text)| differs(path, text)).map(|(path, _)| path).collect();
    }
    let pid = state.manager.as_ref().ok().and_then(|m| m.pid);
    let environment = environment(platform, file, pid, surroundings);
    state.environment = differences(&environment, |name| std::env::var(name).ok());
    Some(state)
}

/// The file that defines the service of this home, if one is installed; asks nobody.
pub(super) fn defined(platform: Platform, surroundings: &Surroundings) -> Option<PathBuf> {
    if !surroundings.is_default_home() {
        return None;
    }
    definition(platform, &surroundings.platform_config, &system_folders())
}

/// What the manager says of the service.
///
/// # Errors
/// Why it cannot be asked, as a clause.
pub(super) fn managed(platform: Platform, surroundings: &Surroundings) -> Result<Managed, String> {
    let asked = |program: &str, question: &[String]| {
        ask(program, question, surroundings).map_err(|e| format!("{program} could not be run: {e}"))
    };
    match platform {
        Platform::Systemd => {
            let mut question = words(&["--user", "show", "--property=Id,ActiveState,UnitFileState,MainPID", UNIT]);
            question.extend(words(&SOCKETS));
            let output = asked("systemctl", &question)?;
            if !output.status.success() {
                let said = String::from_utf8_lossy(&output.stderr);
                let said = said.lines().find(|l| !l.trim().is_empty()).unwrap_or("it gave no reason");
                return Err(format!("systemctl: {}", said.trim()));
            }
            let mut managed = of_systemd(&String::from_utf8_lossy(&output.stdout));
            let user = surroundings.uid.to_string();
            let linger = ask("loginctl", &words(&["show-user", &user, "--property=Linger"]), surroundings).ok();
            managed.lingers = linger.and_then(|o| match String::from_utf8_lossy(&o.stdout).trim() {
                "Linger=yes" => Some(true),
                "Linger=no" => Some(false),
                _ => None,
            });
            Ok(managed)
        }
        Platform::Launchd => {
            let output = asked("launchctl", &words(&["print", &format!("gui/{}/{LABEL}", surroundings.uid)]))?;
            let said = String::from_utf8_lossy(&output.stdout);
            Ok(if output.status.success() { of_launchd(&said) } else { Managed::default() })
        }
    }
}

/// From the output of `systemctl show`: a block of lines `Name=value` for each unit.
fn of_systemd(said: &str) -> Managed {
    let mut managed = Managed::default();
    let (mut enabled, mut listening) = (0, 0);
    for block in said.split("\n\n") {
        let unit = parsed(block, '\n');
        let is = |name: &str, value: &str| unit.get(name).is_some_and(|v| v == value);
        // An alias or an unknown unit has no more to say.
        let is_service = is("Id", UNIT);
        if is_service {
            managed.pid = unit.get("MainPID").and_then(|pid| pid.parse().ok()).filter(|pid| *pid != 0);
            managed.active = !is("ActiveState", "inactive") && !is("ActiveState", "failed");
            managed.failed = is("ActiveState", "failed");
        } else if is("ActiveState", "active") {
            listening += 1;
        }
        enabled += usize::from(is("UnitFileState", "enabled") || is("UnitFileState", "enabled-runtime"));
    }
    managed.listening = listening == SOCKETS.len();
    managed.enabled = enabled > SOCKETS.len();
    managed
}

/// From the output of `launchctl print` of a service that is loaded: lines such as `pid = 4711`.
fn of_launchd(said: &str) -> Managed {
    let value = |name: &str| {
        let mut lines = said.lines().filter_map(|line| line.trim().split_once(" = "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let pid = value("pid").and_then(|pid| pid.parse().ok());
    let ended_badly = value("last exit code").is_some_and(|code| !code.starts_with('0') && !code.starts_with('('));
    Managed {
        enabled: true,
        pid,
        listening: false,
        active: pid.is_some(),
        failed: pid.is_none() && ended_badly,
        lingers: Some(false),
    }
}

/// What the service's akkd has in its environment: what its process has, else what the file and the manager give it.
fn environment(
    platform: Platform,
    file: &Path,
    pid: Option<u32>,
    surroundings: &Surroundings,
) -> BTreeMap<String, String> {
    let process = pid.and_then(|pid| std::fs::read(format!("/proc/{pid}/environ")).ok());
    if let Some(process) = process.filter(|environment| !environment.is_empty()) {
        return parsed(&String::from_utf8_lossy(&process), '\0');
    }
    let manager = match platform {
        Platform::Systemd => ask("systemctl", &words(&["--user", "show-environment"]), surroundings).ok(),
        Platform::Launchd => None,
    };
    let mut environment = manager.map(|o| parsed(&String::from_utf8_lossy(&o.stdout), '\n')).unwrap_or_default();
    let text = std::fs::read_to_string(file).unwrap_or_default();
    environment.extend(environment_of(platform, &text));
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_says_of_each_unit_what_it_does() {
        let said = "Id=akkd.service\nActiveState=inactive\nUnitFileState=enabled\nMainPID=0\n\n\
                    Id=akkd-control.socket\nActiveState=active\nUnitFileState=enabled\n\n\
                    Id=akkd-callback.socket\nActiveState=active\nUnitFileState=enabled\n";
        let idle = Managed { enabled: true, listening: true, ..Managed::default() };
        assert_eq!(of_systemd(said), idle, "an idle one listens and does not run");
        let running = said.replace("=inactive", "=active").replace("MainPID=0", "MainPID=4711");
        assert_eq!(of_systemd(&running), Managed { pid: Some(4711), active: true, ..idle.clone() });
        let failed = said.replace("=inactive", "=failed");
        assert_eq!(of_systemd(&failed), Managed { failed: true, ..idle });
        let unknown = "Id=akkd.service\nActiveState=inactive\nUnitFileState=\nMainPID=0\n\n";
        assert_eq!(of_systemd(unknown), Managed::default());
    }

    #[test]
    fn launchd_says_whether_it_runs_and_how_it_ended() {
        let running = "gui/501/x = {\n\tactive count = 1\n\tstate = running\n\n\tprogram = /a\n\tpid = 4711\n\
                       \tlast exit code = (never exited)\n}\n";
        let found = of_launchd(running);
        assert_eq!((found.pid, found.active, found.failed), (Some(4711), true, false));
        let failed = of_launchd("x = {\n\tstate = not running\n\tlast exit code = 1\n}");
        assert_eq!((failed.pid, failed.active, failed.failed), (None, false, true));
        assert!(!of_launchd("x = {\n\tstate = not running\n\tlast exit code = 0\n}").failed);
    }
}
