//! What can be seen of OpenClaw from outside of akkd, as checks.

use crate::commands::Context;
use crate::openclaw::{Folder, Health, Installation, Kept, OpenClaw, Record, Wanted};
use akk_proto::api::{Check, CheckLevel};
use akk_proto::delivery::PluginView;
use akk_proto::version::VERSION;
use std::path::Path;

const INSTALL: &str = "`akkctl openclaw install`";

/// The plugin's files, and every OpenClaw that was given them. `connected`: who takes deliveries now, as akkd says.
///
/// OpenClaw's command line takes seconds: it is asked only where a gateway that should be connected is not.
pub(in crate::commands) fn look(connected: &[PluginView], context: &Context<'_>) -> Vec<Check> {
    let paths = &context.surroundings.paths;
    let folder = Folder::of(paths);
    let wanted = Wanted {
        link: folder.link(),
        socket: paths.control_socket.clone(),
        socket_is_default: context.surroundings.is_default_home(),
        workspace: None,
    };
    let record = Record::read(folder.record());
    let mut checks = vec![files(&folder, &record, &context.view.path(&wanted.link.to_string_lossy()))];
    if connected.len() >= record.installations.len() {
        return checks;
    }
    for installation in &record.installations {
        checks.extend(asked(installation, &wanted));
    }
    checks
}

fn files(folder: &Folder, record: &Record, link: &str) -> Check {
    let (level, found, hint) = match folder.kept() {
        Kept::Present => (CheckLevel::Ok, format!("version {VERSION}, in {link}"), None),
        Kept::Other => (
            CheckLevel::Warn,
            format!("what is in {link} is not version {VERSION} as this akkctl carries it"),
            Some(format!("Run {INSTALL}.")),
        ),
        Kept::Nothing if record.installations.is_empty() => (
            CheckLevel::Note,
            "OpenClaw was not given the plugin by this akkctl".to_owned(),
            Some(format!("Where OpenClaw is to delegate and to be told, run {INSTALL}.")),
        ),
        Kept::Nothing => (CheckLevel::Fail, format!("{link} is gone"), Some(format!("Run {INSTALL}."))),
    };
    check("plugin", level, found, hint)
}

/// What OpenClaw says of one installation.
fn asked(installation: &Installation, wanted: &Wanted) -> Vec<Check> {
    let profile = installation.places.profile.as_deref();
    let name = profile.map_or_else(|| "OpenClaw".to_owned(), |p| format!("OpenClaw {p}"));
    let failed = |e: &crate::error::Error| {
        let hint = Some(e.hint()).filter(|h| !h.is_empty());
        check(&name, CheckLevel::Fail, e.to_string(), hint)
    };
    let places = installation.places.clone();
    let openclaw = match OpenClaw::find(Some(Path::new(&installation.program)), None, places) {
        Ok(openclaw) => openclaw,
        Err(e) => return vec![failed(&e)],
    };
    let version = match openclaw.version() {
        Ok(version) => version,
        Err(e) => return vec![failed(&e)],
    };
    let mut checks =
        vec![check(&name, CheckLevel::Ok, format!("{version}, {}", openclaw.program().display()), None)];
    match openclaw.plugins() {
        Err(e) => checks.push(failed(&e)),
        Ok(plugins) => checks.push(match plugins.obstacle(wanted) {
            None => check("settings", CheckLevel::Ok, "the plugin is linked and enabled".to_owned(), None),
            Some(obstacle) => {
                check("settings", CheckLevel::Fail, obstacle, Some(format!("Change that, or run {INSTALL}.")))
            }
        }),
    }
    checks.push(match openclaw.health() {
        Err(e) => failed(&e),
        Ok(Health::Silent(reason)) => check(
            "gateway",
            CheckLevel::Fail,
            format!("it does not answer: {reason}"),
            Some(format!("Start it, for example with `{}`.", openclaw.typed("gateway start"))),
        ),
        Ok(Health::Running { has_plugin }) => {
            let plugin = if has_plugin { "has loaded the plugin" } else { "does not say that it loaded the plugin" };
            check(
                "gateway",
                CheckLevel::Warn,
                format!("it runs and {plugin}, which is not connected to this akkd"),
                Some(format!(
                    "Run `akkctl openclaw install --restart`, and look into `{}`.",
                    openclaw.typed("logs")
                )),
            )
        }
    });
    checks
}

fn check(name: &str, level: CheckLevel, found: String, hint: Option<String>) -> Check {
    Check { name: name.to_owned(), level, found, hint }
}
