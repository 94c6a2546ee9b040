//! The user service `akkd.service`, where one is installed.

use crate::environment::Surroundings;
use crate::error::{Error, Result};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The name of the unit.
const UNIT: &str = "akkd.service";

/// The unit file of the user service that serves this home, if one is installed.
///
/// A home that `AKK_HOME` or `AKK_SOCKET` names is not the service's.
pub(crate) fn installed(surroundings: &Surroundings) -> Option<PathBuf> {
    if !cfg!(target_os = "linux") || !surroundings.is_default_home() {
        return None;
    }
    let system = ["/etc", "/run", "/usr/local/lib", "/usr/lib"].map(PathBuf::from);
    std::iter::once(surroundings.platform_config.clone())
        .chain(system)
        .map(|base| base.join("systemd/user").join(UNIT))
        .find(|unit| unit.is_file())
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

fn systemctl(verb: &str) -> Result<()> {
    let hint = format!("look into `systemctl --user status {UNIT}`");
    let output = Command::new("systemctl").args(["--user", verb, UNIT]).stdin(Stdio::null()).output();
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
