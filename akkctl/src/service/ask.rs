//! Running the programs that manage services.

use super::platform::Platform;
use crate::environment::Surroundings;
use crate::error::{Error, Result};
use std::process::{Command, Output, Stdio};

/// Runs `program` and gives what it printed, whatever its exit code.
///
/// # Errors
/// When it cannot be run.
pub(crate) fn ask(program: &str, words: &[String], surroundings: &Surroundings) -> std::io::Result<Output> {
    let mut command = Command::new(program);
    command.args(words).env("LC_ALL", "C").stdin(Stdio::null());
    // `su`, cron and some logins by ssh leave it out, and without it the user's manager is not found.
    if let Some(folder) = &surroundings.runtime_dir {
        command.env("XDG_RUNTIME_DIR", folder);
    }
    command.output()
}

/// Runs `words` with the platform's program, and expects success.
///
/// # Errors
/// What the program said, and what to do.
pub(crate) fn order(platform: Platform, words: &[String], surroundings: &Surroundings) -> Result<()> {
    let program = platform.program();
    let output = ask(program, words, surroundings).map_err(|e| Error::Program {
        message: format!("{program} could not be run: {e}"),
        hint: "Without it there can be no service; `akkctl daemon start` works without one.".to_owned(),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or("it gave no reason");
    Err(Error::Program {
        message: format!("`{program} {}` failed: {}", words.join(" "), said.trim_end_matches('.')),
        hint: hint(platform, said),
    })
}

/// What systemctl says where no manager of the user runs.
const NO_MANAGER: [&str; 4] = ["connect to bus", "No medium found", "not been booted with systemd", "Host is down"];

/// Whether the manager can be asked at all: in a container, or after a move to another system, files of a service may be
/// there without one.
pub(crate) fn answers(platform: Platform, surroundings: &Surroundings) -> bool {
    if platform == Platform::Launchd {
        return true;
    }
    let said = ask(platform.program(), &words(&["--user", "show", "--property=Version"]), surroundings);
    said.is_ok_and(|output| {
        let said = String::from_utf8_lossy(&output.stderr);
        output.status.success() || !NO_MANAGER.iter().any(|words| said.contains(words))
    })
}

fn hint(platform: Platform, said: &str) -> String {
    match platform {
        Platform::Systemd if NO_MANAGER.iter().any(|words| said.contains(words)) => {
            "No systemd manager of yours runs here, as in a container, or under `su`: log in as this user, or run \
            `loginctl enable-linger` first. `akkctl daemon start` works without a service, once `akkctl daemon uninstall` \
            has removed one that is installed."
        }
        Platform::Systemd if said.contains("does not exist") && std::env::var_os("XDG_CONFIG_HOME").is_some() => {
            "systemd looks for units in its own folders, and XDG_CONFIG_HOME, which this shell sets, may name another one: \
            try `env -u XDG_CONFIG_HOME akkctl daemon install`."
        }
        Platform::Systemd => "Look into `systemctl --user status akkd.service` and `journalctl --user -u akkd`.",
        Platform::Launchd => {
            "A service needs a login at the screen, not by ssh alone. Look into `akkctl daemon logs`; `akkctl daemon \
            start` works without a service once it is uninstalled."
        }
    }
    .to_owned()
}

/// `words` as owned words.
pub(crate) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}
