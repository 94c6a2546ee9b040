//! The user service `akkd.service`, where one is installed.

mod units;

use crate::environment::Surroundings;
use crate::error::{Error, Result};
use crate::start::find_program;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The name of the unit.
const UNIT: &str = "akkd.service";

/// The unit file of the user service that serves this home, if one is installed, or the link that enables it.
///
/// A home that `AKK_HOME` or `AKK_SOCKET` names is not the service's. A unit that only came with a package is nobody's
/// service yet: it counts once it is enabled, for this user or for all.
pub(crate) fn installed(surroundings: &Surroundings) -> Option<PathBuf> {
    if !cfg!(target_os = "linux") || !surroundings.is_default_home() {
        return None;
    }
    let of_people = [surroundings.platform_config.clone(), PathBuf::from("/etc")];
    let written = ["", "default.target.wants", "sockets.target.wants"];
    let folders = of_people.iter().map(|base| base.join("systemd/user"));
    let enabled = folders.flat_map(|units| written.map(|folder| units.join(folder)));
    enabled.flat_map(|folder| [UNIT, "akkd-control.socket"].map(|name| folder.join(name))).find(|unit| unit.is_file())
}

/// Starts the installed service and waits until systemd calls it started.
///
/// # Errors
/// What `systemctl` said.
pub(crate) fn start() -> Result<()> {
    systemctl("start")
}

/// Stops the installed service, so that systemd does not start it again.
///
/// # Errors
/// What `systemctl` said.
pub(crate) fn stop() -> Result<()> {
    systemctl("stop")
}

/// Writes the units of the user service, has systemd read them, enables and starts them. Gives the files that changed:
/// none where a repeat found all in place. An akkd that was started by hand has to be stopped before.
///
/// # Errors
/// What stands against it, or what `systemctl` said.
pub(crate) fn install(surroundings: &Surroundings) -> Result<Vec<PathBuf>> {
    let folder = own_units(surroundings)?;
    let program = find_program(std::env::current_exe().ok(), std::env::var_os("PATH"))?;
    let path = std::env::var("PATH").ok();
    let Some(units) = path.and_then(|path| units::rendered(&program, &path)) else {
        return Err(Error::usage(
            "PATH, or the path of akkd, holds what no unit file can",
            "remove line breaks and bytes that are no text from it",
        ));
    };
    std::fs::create_dir_all(&folder).map_err(|e| Error::file("make", &folder, e))?;
    let mut changed = Vec::new();
    for (name, text) in units {
        let unit = folder.join(name);
        if std::fs::read_to_string(&unit).is_ok_and(|there| there == text) {
            continue;
        }
        let fresh = folder.join(format!(".{name}.new"));
        std::fs::write(&fresh, text).map_err(|e| Error::file("write", &fresh, e))?;
        std::fs::rename(&fresh, &unit).map_err(|e| Error::file("write", &unit, e))?;
        changed.push(unit);
    }
    systemctl_with(&["daemon-reload"])?;
    systemctl_with(&["enable", "--now", "akkd-control.socket", "akkd-callback.socket", UNIT])?;
    Ok(changed)
}

/// Undoes [`install`]: gives the files that were removed. Running turns are left alone, as by [`stop`].
///
/// # Errors
/// What `systemctl` said; the units stay then.
pub(crate) fn uninstall(surroundings: &Surroundings) -> Result<Vec<PathBuf>> {
    let folder = own_units(surroundings)?;
    let units: Vec<PathBuf> = ["akkd-control.socket", "akkd-callback.socket", UNIT]
        .iter()
        .map(|name| folder.join(name))
        .filter(|unit| unit.is_file())
        .collect();
    if units.is_empty() {
        return Ok(units);
    }
    systemctl_with(&["disable", "--now", "akkd-control.socket", "akkd-callback.socket", UNIT])?;
    for unit in &units {
        std::fs::remove_file(unit).map_err(|e| Error::file("remove", unit, e))?;
    }
    systemctl_with(&["daemon-reload"])?;
    Ok(units)
}

/// The user's own folder of units.
fn own_units(surroundings: &Surroundings) -> Result<PathBuf> {
    if !cfg!(target_os = "linux") {
        return Err(Error::usage("there is no systemd here", "start akkd with `akkctl daemon start`"));
    }
    if !surroundings.is_default_home() {
        return Err(Error::usage(
            "AKK_HOME or AKK_SOCKET is set, and the service serves your own home only",
            "unset both",
        ));
    }
    Ok(surroundings.platform_config.join(Path::new("systemd/user")))
}

fn systemctl(verb: &str) -> Result<()> {
    systemctl_with(&[verb, UNIT])
}

fn systemctl_with(words: &[&str]) -> Result<()> {
    let verb = words.first().copied().unwrap_or_default();
    let hint = format!("look into `systemctl --user status {UNIT}`");
    let output = Command::new("systemctl").arg("--user").args(words).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().find(|l| !l.trim().is_empty()).unwrap_or("it gave no reason");
            Err(Error::Program { message: format!("systemctl could not {verb} {UNIT}: {}", said.trim()), hint })
        }
        Err(e) => Err(Error::Program { message: format!("systemctl could not be run: {e}"), hint }),
    }
}
