//! What works here, and what does not and why.

use super::AGENT;
use super::holders;
use super::home::CodexHome;
use super::known::{Health, Known};
use akk_proto::session::{AbilityView, ProviderView};
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Bytes of a package's description.
const MAX_PACKAGE: u64 = 1 << 20;

/// The program that resumes sessions.
#[derive(Debug, Clone)]
pub(super) struct Program {
    /// Its command line.
    pub(super) command: Vec<String>,
    /// The agents' `PATH`.
    pub(super) path: Option<OsString>,
}

impl Program {
    /// Where it lies.
    fn found(&self) -> Result<PathBuf, String> {
        let Some(name) = self.command.first() else { return Err("no command is configured".to_owned()) };
        if name.contains('/') {
            let path = PathBuf::from(name);
            return if is_program(&path) { Ok(path) } else { Err(format!("{name} is no program")) };
        }
        let folders = self.path.as_ref().map(std::env::split_paths).into_iter().flatten();
        let found = folders.filter(|f| f.is_absolute()).map(|f| f.join(name)).find(|p| is_program(p));
        found.ok_or_else(|| format!("`{name}` is not on the agents' PATH"))
    }
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// The version of the package from npm that a program belongs to. Nothing is run for it: a wrapper costs 60 ms, and a
/// listing has no business to start programs.
fn package_version(program: &Path) -> Option<String> {
    let real = program.canonicalize().ok()?;
    let manifest = real.ancestors().skip(1).take(5).map(|f| f.join("package.json")).find(|p| p.is_file())?;
    if std::fs::metadata(&manifest).ok()?.len() > MAX_PACKAGE {
        return None;
    }
    let manifest: serde_json::Value = serde_json::from_slice(&std::fs::read(manifest).ok()?).ok()?;
    manifest.get("name")?.as_str()?.starts_with("@openai/codex").then_some(())?;
    let version = manifest.get("version")?.as_str()?;
    // The packages of one system have its name behind the version: `0.169.0-linux-x64`.
    let end = ["-linux-", "-darwin-"].iter().find_map(|system| version.find(system));
    Some(version[..end.unwrap_or(version.len())].to_owned())
}

/// What works with these homes.
pub(super) fn view(homes: &[PathBuf], known: &Known, program: &Program, sessions: u64) -> ProviderView {
    let health = known.health().clone();
    let there: Vec<bool> = known.homes.iter().map(|h| h.path().is_dir()).collect();
    let no_home = (!there.contains(&true)).then(|| {
        let named: Vec<String> = homes.iter().map(|h| h.display().to_string()).collect();
        format!("there is no Codex home at {}", named.join(", "))
    });
    let list = list(known, &health, no_home.as_ref(), sessions);
    let locks = locks(known, &health, &there, no_home.as_ref());
    let paths: Vec<PathBuf> = known.homes.iter().map(|h| h.path().to_path_buf()).collect();
    let processes = match holders::look(&paths) {
        Ok(look) if look.incomplete.is_empty() => ability("processes", true, None),
        Ok(look) => ability("processes", false, Some(look.incomplete.join("; "))),
        Err(error) => ability("processes", false, Some(format!("cannot list processes: {error}"))),
    };
    let watch =
        ability("watch", true, health.watch.as_ref().map(|why| format!("changes are told some seconds late: {why}")));
    let program = program.found();
    let version = program.as_deref().ok().and_then(package_version);
    let resumes = resumes(&program, version.as_deref(), &health, no_home.as_ref(), &processes);
    let sockets: Vec<String> =
        known.homes.iter().filter_map(CodexHome::control_socket).map(|s| s.display().to_string()).collect();
    let attach = if sockets.is_empty() {
        ability("attach", false, Some("no daemon of Codex has a control socket in these homes".to_owned()))
    } else {
        ability("attach", true, Some(format!("sessions that the daemon holds: {}", sockets.join(", "))))
    };
    let fork = ability("fork", list.works, list.reason.clone().filter(|_| !list.works));
    let terminate = AbilityView { name: "terminate_then_resume".to_owned(), ..resumes.clone() };
    ProviderView {
        agent: AGENT.to_owned(),
        homes: homes.iter().map(|h| h.display().to_string()).collect(),
        abilities: vec![list, locks, processes, watch, resumes, terminate, attach, fork],
        sessions,
    }
}

fn ability(name: &str, works: bool, reason: Option<String>) -> AbilityView {
    AbilityView { name: name.to_owned(), works, reason }
}

fn list(known: &Known, health: &Health, no_home: Option<&String>, sessions: u64) -> AbilityView {
    if let Some(why) = no_home {
        return ability("list", false, Some(why.clone()));
    }
    let mut limits = health.incomplete();
    for (home, health) in known.homes.iter().zip(&health.homes) {
        if let Some(same) = &health.same_as {
            limits.push(format!("{} is the same folder as {}", home.path().display(), same.display()));
        }
    }
    // Neither the database of a home nor its folders can be read.
    let unread = health.homes.iter().any(|h| h.database.is_some() && !h.folders.is_empty());
    ability("list", sessions > 0 || !unread, Some(limits.join("; ")).filter(|l| !l.is_empty()))
}

fn locks(known: &Known, health: &Health, there: &[bool], no_home: Option<&String>) -> AbilityView {
    if let Some(why) = no_home {
        return ability("locks", false, Some(why.clone()));
    }
    let of_home = known.homes.iter().zip(&health.homes).zip(there).filter(|(_, there)| **there);
    let mut broken = Vec::new();
    for ((home, health), _) in of_home {
        if let Some(why) = &health.locks {
            broken.push(why.clone());
        } else if health.same_as.is_none() && !home.locks().is_dir() {
            // Codex 0.169 makes the folder with its first session; older ones have no locks.
            let path = home.path().display();
            broken.push(format!("{path} has no locks yet: who writes is known by open files there"));
        }
    }
    ability("locks", broken.is_empty(), Some(broken.join("; ")).filter(|b| !b.is_empty()))
}

fn resumes(
    program: &Result<PathBuf, String>,
    version: Option<&str>,
    health: &Health,
    no_home: Option<&String>,
    processes: &AbilityView,
) -> AbilityView {
    let name = "safe_resume";
    let mut why_not: Vec<String> = no_home.cloned().into_iter().chain(program.as_ref().err().cloned()).collect();
    why_not.extend(health.homes.iter().filter_map(|h| h.locks.clone()));
    why_not.extend(processes.reason.clone().filter(|_| !processes.works));
    if !why_not.is_empty() {
        return ability(name, false, Some(why_not.join("; ")));
    }
    let by: Vec<&str> = health.homes.iter().filter_map(|h| h.version.as_deref()).collect();
    let what = program.as_deref().map(|p| p.display().to_string()).unwrap_or_default();
    let said = match (version, by.first()) {
        (Some(version), _) => format!("with {what}, version {version} by its package"),
        (None, Some(by)) => format!("with {what}; the newest session was made by Codex {by}"),
        (None, None) => format!("with {what}"),
    };
    ability(name, true, Some(said))
}
