//! `akkctl doctor`: whether everything on the way of a report works, in the order in which a report travels.
//!
//! It starts nothing: what does not run is the first thing to be told. Each part is a function that adds its lines, so
//! that a further one is one more line in [`run`].

use super::Context;
use super::openclaw;
use crate::client::Client;
use crate::error::{Error, Result, exit};
use crate::output::{self, print};
use crate::start::Version;
use akk_proto::api::{Check, CheckLevel, DaemonInfo, DoctorAnswer, Empty, check};
use akk_proto::version::VERSION;
use std::path::Path;
use std::time::Duration;

/// akkd asks OpenClaw's plugins, which may take their time.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn run(context: &Context<'_>) -> Result<u8> {
    let mut checks = vec![akkctl()];
    let plugins = if let Some(mut answer) = ask(&mut checks, context) {
        // Its own lines before those of OpenClaw's installations, which stand between akkd and the plugin.
        let at = answer.checks.iter().position(|c| c.name == check::CONNECTION).unwrap_or(answer.checks.len());
        let rest = answer.checks.split_off(at);
        checks.append(&mut answer.checks);
        checks.extend(openclaw::look(&answer.plugins, true, context));
        checks.extend(rest);
        answer.plugins
    } else {
        checks.extend(without_akkd(context));
        checks.extend(openclaw::look(&[], true, context));
        Vec::new()
    };
    show(DoctorAnswer { checks, plugins }, context)
}

/// `akkctl openclaw status`: the part from the plugin's files to OpenClaw's sessions.
pub(super) fn openclaw_only(context: &Context<'_>) -> Result<u8> {
    let mut checks = Vec::new();
    let answer = ask(&mut checks, context);
    // That akkd runs goes without saying here.
    checks.retain(|c| c.level > CheckLevel::Note);
    let (mut there, plugins) = answer.map(|a| (a.checks, a.plugins)).unwrap_or_default();
    there.retain(|c| c.name == check::CONNECTION);
    checks.extend(openclaw::look(&plugins, false, context));
    checks.extend(there);
    show(DoctorAnswer { checks, plugins }, context)
}

fn show(answer: DoctorAnswer, context: &Context<'_>) -> Result<u8> {
    if context.json {
        let json = serde_json::to_string(&answer).map_err(|e| Error::Output(e.into()))?;
        print(&format!("{json}\n"))?;
    } else {
        print(&output::doctor(&answer, &context.view))?;
    }
    let fails = answer.checks.iter().any(|c| c.level == CheckLevel::Fail);
    Ok(if fails { exit::FAILED } else { exit::OK })
}

fn akkctl() -> Check {
    let program = std::env::current_exe().map_or_else(|_| String::new(), |p| format!(", {}", p.display()));
    line("akkctl", CheckLevel::Ok, format!("version {VERSION}{program}"), None)
}

/// What akkd says of itself: whether it runs, and its own checks.
fn ask(checks: &mut Vec<Check>, context: &Context<'_>) -> Option<DoctorAnswer> {
    let socket = &context.surroundings.paths.control_socket;
    let mut asked = || {
        let mut akkd = Client::connect(socket)?;
        let info = akkd.call("daemon.info", &Empty {}, PATIENCE)?;
        if let Some(mismatch) = info.read::<Version>()?.mismatch() {
            return Err(mismatch);
        }
        let info: DaemonInfo = info.read()?;
        checks.push(akkd_itself(&info, context));
        akkd.call("daemon.doctor", &Empty {}, PATIENCE)?.read::<DoctorAnswer>()
    };
    match asked() {
        Ok(answer) => Some(answer),
        Err(e) => {
            let hint = match &e {
                Error::NotRunning(_) => format!("{} This command starts nothing.", e.hint()),
                _ => e.hint(),
            };
            checks.push(line("akkd", CheckLevel::Fail, e.to_string(), Some(hint)));
            None
        }
    }
}

fn akkd_itself(info: &DaemonInfo, context: &Context<'_>) -> Check {
    let found = format!("version {}, process {}, on {}", info.version, info.pid, context.view.path(&info.socket));
    if info.version == VERSION {
        return line("akkd", CheckLevel::Ok, found, None);
    }
    let hint = "Start the other akkd with `akkctl daemon stop` and `akkctl daemon start`; running turns go on.";
    line("akkd", CheckLevel::Warn, format!("{found}, which is not akkctl's version"), Some(hint.to_owned()))
}

/// What akkd would say of its places, where it does not run.
fn without_akkd(context: &Context<'_>) -> Vec<Check> {
    let paths = &context.surroundings.paths;
    let shown = |path: &Path| context.view.path(&path.to_string_lossy());
    let may_write = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    let home = match rustix::fs::access(&paths.state, may_write) {
        Ok(()) => line("home", CheckLevel::Ok, format!("{} can be written", shown(&paths.state)), None),
        Err(rustix::io::Errno::NOENT) => {
            line("home", CheckLevel::Note, format!("{} is made when akkd first starts", shown(&paths.state)), None)
        }
        Err(e) => line(
            "home",
            CheckLevel::Fail,
            format!("{} cannot be written: {e}", shown(&paths.state)),
            Some("Let it belong to you, with mode 0700.".to_owned()),
        ),
    };
    let config = match std::fs::read(&paths.config) {
        Ok(_) => {
            line("config", CheckLevel::Ok, format!("{}; akkd says whether it is right", shown(&paths.config)), None)
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            line("config", CheckLevel::Ok, format!("there is no {}: the defaults count", shown(&paths.config)), None)
        }
        Err(e) => line(
            "config",
            CheckLevel::Fail,
            format!("{} cannot be read: {e}", shown(&paths.config)),
            Some("Let it belong to you.".to_owned()),
        ),
    };
    vec![home, config]
}

fn line(name: &str, level: CheckLevel, found: String, hint: Option<String>) -> Check {
    Check { name: name.to_owned(), level, found, hint }
}
