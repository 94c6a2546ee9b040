//! `akkctl doctor`: whether everything works, from the programs to OpenClaw's sessions.
//!
//! It starts nothing: what does not run is the first thing to be told. Each part is a function that adds its lines, so
//! that a further one is one more line in [`run`].

mod alone;
mod outside;

use super::Context;
use super::openclaw;
use crate::client::Client;
use crate::error::{Error, Result, exit};
use crate::output::{self, print};
use crate::start::Version;
use akk_proto::api::{Check, CheckLevel, DaemonInfo, DoctorAnswer, Empty, check};
use akk_proto::version::VERSION;
use std::time::Duration;

/// akkd asks programs and OpenClaw's plugins, for 2 s each and all at once; a busy machine takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn run(context: &Context<'_>) -> Result<u8> {
    let mut checks = vec![akkctl()];
    let answer = ask(&mut checks, context);
    let running = answer.is_ok();
    match &answer {
        Ok(_) => checks.push(outside::callback_socket(context)),
        Err(nobody) if nobody.silent => checks.extend(outside::nobody_answers(context)),
        // It answers, though not this.
        Err(_) => {}
    }
    let (lines, service) = outside::service(context);
    checks.extend(lines);
    let mut answer = answer.unwrap_or_else(|nobody| alone::look(nobody.none_runs, context));
    // Its own lines before those of OpenClaw's installations, which stand between akkd and the plugin.
    let at = answer.checks.iter().position(|c| c.name == check::CONNECTION).unwrap_or(answer.checks.len());
    let rest = answer.checks.split_off(at);
    checks.append(&mut answer.checks);
    let theirs = if running { &answer.environment } else { &std::collections::BTreeMap::new() };
    checks.extend(outside::environment(theirs, service.as_ref()));
    checks.extend(openclaw::look(&answer.plugins, true, context));
    checks.extend(rest);
    // What an akkd of before did not group is about reports.
    let place = |c: &Check| check::GROUPS.iter().position(|group| *group == c.group).unwrap_or(REPORTS);
    checks.sort_by_key(place);
    show(DoctorAnswer { checks, ..answer }, context)
}

/// Where the group of reports stands.
const REPORTS: usize = 3;

/// `akkctl openclaw status`: the part from the plugin's files to OpenClaw's sessions.
pub(super) fn openclaw_only(context: &Context<'_>) -> Result<u8> {
    let mut checks = Vec::new();
    let answer = ask(&mut checks, context).ok();
    // That akkd runs goes without saying here.
    checks.retain(|c| c.level > CheckLevel::Note);
    let (mut there, plugins) = answer.map(|a| (a.checks, a.plugins)).unwrap_or_default();
    for check in &mut checks {
        check.group.clear();
    }
    there.retain(|c| c.name == check::CONNECTION);
    checks.extend(openclaw::look(&plugins, false, context));
    checks.extend(there);
    show(DoctorAnswer { checks, plugins, environment: std::collections::BTreeMap::new() }, context)
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
///
/// # Errors
/// It cannot say; the line that tells why is among `checks`.
fn ask(checks: &mut Vec<Check>, context: &Context<'_>) -> std::result::Result<DoctorAnswer, Nobody> {
    let socket = &context.surroundings.paths.control_socket;
    let mut silent = true;
    let mut asked = || {
        let mut akkd = Client::connect(socket)?;
        let info = akkd.call("daemon.info", &Empty {}, PATIENCE)?;
        silent = false;
        if let Some(mismatch) = info.read::<Version>()?.mismatch() {
            return Err(mismatch);
        }
        let info: DaemonInfo = info.read()?;
        checks.push(akkd_itself(&info, context));
        akkd.call("daemon.doctor", &Empty {}, PATIENCE)?.read::<DoctorAnswer>()
    };
    let asked = asked();
    asked.map_err(|e| {
        let nobody = Nobody { silent, none_runs: matches!(e, Error::NotRunning(_)) };
        let paths = &context.surroundings.paths;
        checks.push(match &e {
            // Nothing waits for it: a newcomer has no problem.
            Error::NotRunning(_) if !paths.database().exists() && !paths.lock().exists() => {
                let found = "akkd was never started here: the first command that needs it starts it";
                line("akkd", CheckLevel::Note, found.to_owned(), None)
            }
            Error::NotRunning(_) => {
                let hint = format!("{} This command starts nothing.", e.hint());
                line("akkd", CheckLevel::Fail, e.to_string(), Some(hint))
            }
            _ => line("akkd", CheckLevel::Fail, e.to_string(), Some(e.hint())),
        });
        nobody
    })
}

/// Why akkd does not say how it is.
struct Nobody {
    /// It has not answered at all. One that answers and cannot say this must not be taken for one that hangs.
    silent: bool,
    /// Because none runs.
    none_runs: bool,
}

fn akkd_itself(info: &DaemonInfo, context: &Context<'_>) -> Check {
    let found = format!("version {}, process {}, on {}", info.version, info.pid, context.view.path(&info.socket));
    if info.version == VERSION {
        return line("akkd", CheckLevel::Ok, found, None);
    }
    let hint = "Start the other akkd with `akkctl daemon stop` and `akkctl daemon start`; running turns go on.";
    line("akkd", CheckLevel::Warn, format!("{found}, which is not akkctl's version"), Some(hint.to_owned()))
}

fn line(name: &str, level: CheckLevel, found: String, hint: Option<String>) -> Check {
    Check::new(check::AKKD, name, level, found, hint.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_group_stands_with_the_reports() {
        assert_eq!(check::GROUPS[REPORTS], check::REPORTS);
    }
}
