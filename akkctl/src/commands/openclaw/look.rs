//! What can be seen of OpenClaw from outside of akkd, as checks.

use crate::commands::Context;
use crate::error::Error;
use crate::openclaw::{Folder, Health, Hidden, Installation, Kept, Look, OpenClaw, Record, Wanted};
use akk_proto::api::{self, Check, CheckLevel};
use akk_proto::delivery::PluginView;
use akk_proto::version::VERSION;

const INSTALL: &str = "`akkctl openclaw install`";

/// The plugin's files, and every OpenClaw that was given them. `connected`: who takes deliveries now, as akkd says.
///
/// OpenClaw's command line takes seconds: it is asked where a gateway that should be connected is not, and for a
/// `thorough` look, which finds what the next start of a gateway would stumble over.
pub(in crate::commands) fn look(connected: &[PluginView], thorough: bool, context: &Context<'_>) -> Vec<Check> {
    let paths = &context.surroundings.paths;
    let folder = Folder::of(paths);
    let wanted = Wanted { link: folder.link(), socket: paths.control_socket.clone(), workspace: None };
    let record = Record::read(folder.record());
    let mut checks = vec![files(&folder, &record, &context.view.path(&wanted.link.to_string_lossy()))];
    let all_connected = connected.len() >= record.installations.len();
    if thorough || !all_connected {
        checks.extend(record.installations.iter().flat_map(|i| asked(i, &wanted, all_connected)));
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

/// What OpenClaw says of one installation. While its gateway is connected, what is found does no harm yet.
fn asked(installation: &Installation, wanted: &Wanted, connected: bool) -> Vec<Check> {
    let bad = if connected { CheckLevel::Warn } else { CheckLevel::Fail };
    let profile = installation.places.profile.as_deref();
    let name = profile.map_or_else(|| "OpenClaw".to_owned(), |p| format!("OpenClaw {p}"));
    let failed = |e: &Error| check(&name, bad, e.to_string(), Some(e.hint()).filter(|h| !h.is_empty()));
    let found = OpenClaw::find(Some(&installation.program), None, installation.places.clone());
    let (openclaw, version) = match found.and_then(|o| o.version().map(|version| (o, version))) {
        Ok(found) => found,
        Err(e) => return vec![failed(&e)],
    };
    let mut checks = vec![check(&name, CheckLevel::Ok, format!("{version}, {}", openclaw.program().display()), None)];
    let Look { plugins, tools, health } = openclaw.look(!connected);
    let settings = match plugins {
        Ok(plugins) => plugins.obstacle(wanted).map_or_else(
            || check("settings", CheckLevel::Ok, "the plugin is linked and enabled".to_owned(), None),
            |obstacle| check("settings", bad, obstacle, Some(format!("Change that, or run {INSTALL}."))),
        ),
        // What cannot be read for the one cannot be read for the others: it is told once.
        Err(e) => {
            checks.push(failed(&e));
            return checks;
        }
    };
    checks.push(settings);
    checks.extend(tools.map_or_else(|e| Some(failed(&e)), |tools| tools.hidden().map(hidden)));
    checks.extend(health.map(|health| match health {
        Ok(health) => gateway(&health, &openclaw),
        Err(e) => failed(&e),
    }));
    checks
}

fn hidden(hidden: Hidden) -> Check {
    let hint = match hidden.cure {
        Some(_) => "Run `akkctl openclaw install --allow-tools`; the command /akk works all the same.",
        None => "Change that where the model is to delegate; the command /akk works all the same.",
    };
    check(
        "tools",
        CheckLevel::Warn,
        format!("OpenClaw's model does not see them: {}", hidden.why),
        Some(hint.to_owned()),
    )
}

/// A gateway whose plugin is not connected.
fn gateway(health: &Health, openclaw: &OpenClaw) -> Check {
    match health {
        Health::Silent(reason) => check(
            "gateway",
            CheckLevel::Fail,
            format!("it does not answer: {reason}"),
            Some(format!("Start it, for example with `{}`.", openclaw.typed("gateway start"))),
        ),
        Health::Running { has_plugin } => {
            let plugin = if *has_plugin { "has loaded the plugin" } else { "does not say that it loaded the plugin" };
            check(
                "gateway",
                CheckLevel::Warn,
                format!("it runs and {plugin}, which is not connected to this akkd"),
                Some(format!("Run `akkctl openclaw install --restart`, and look into `{}`.", openclaw.typed("logs"))),
            )
        }
    }
}

fn check(name: &str, level: CheckLevel, found: String, hint: Option<String>) -> Check {
    Check::new(api::check::REPORTS, name, level, found, hint.as_deref())
}
