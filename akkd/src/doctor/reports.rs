//! The way of a report, from the outbox to who is told, in the order in which it travels.

use super::programs::find;
use super::{Doctor, span};
use crate::config::Config;
use crate::delivery::Probed;
use akk_proto::Timestamp;
use akk_proto::api::{Check, CheckLevel, check};
use akk_proto::delivery::{DeliveryState, DeliveryView, PluginView, SinkKind};
use akk_proto::error::Failure;
use akk_proto::limits::MAX_PAGE;
use akk_proto::version::VERSION;
use std::time::Duration;

/// How long OpenClaw's plugins are waited for.
const PROBE: Duration = Duration::from_secs(2);

impl Doctor<'_> {
    /// The lines, and who takes deliveries now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) async fn reports(&self) -> Result<(Vec<Check>, Vec<PluginView>), Failure> {
        let waiting = Waiting {
            rows: self.deliveries.list(None, false, MAX_PAGE).await?,
            undelivered: self.deliveries.store.counts().await?.undelivered,
            overdue: self.deliveries.store.overdue(self.clock.wall()).await?,
        };
        let path = self.config.surroundings().env.get("PATH").map(String::as_str);
        let mut checks = vec![sink(&self.config.current(), path, Some(&waiting))];
        let probed = self.deliveries.plugins.probe(PROBE).await;
        if probed.is_empty() {
            checks.push(nobody(self.paths.installed().exists(), &waiting));
        }
        let now = self.clock.wall();
        checks.extend(probed.iter().map(|p| connection(p, now)));
        checks.push(outbox(&waiting, now));
        Ok((checks, probed.into_iter().map(|p| p.plugin).collect()))
    }
}

/// What was not acknowledged.
pub(super) struct Waiting {
    /// The oldest of them.
    pub(super) rows: Vec<DeliveryView>,
    pub(super) undelivered: u64,
    pub(super) overdue: u64,
}

impl Waiting {
    fn any_for(&self, sink: SinkKind) -> bool {
        self.rows.iter().any(|row| row.sink == sink)
    }

    fn count(&self, state: DeliveryState) -> usize {
        self.rows.iter().filter(|row| row.state == state).count()
    }
}

/// What happens to reports of tasks that no OpenClaw session asked for.
/// `waiting` is none where nobody can look into the outbox.
pub(super) fn sink(config: &Config, path: Option<&str>, waiting: Option<&Waiting>) -> Check {
    let Some(argv) = &config.sink_command else {
        if waiting.is_some_and(|w| w.any_for(SinkKind::Command)) {
            let hint = "Configure [delivery] command again, or settle them with `akkctl deliveries ack`.";
            return line(
                "sink",
                CheckLevel::Fail,
                "reports wait for a command, and none is configured any more".to_owned(),
                Some(hint.to_owned()),
            );
        }
        let found =
            "no command is configured: what you delegate from a shell is watched with `akkctl wait` or `events`";
        return line("sink", CheckLevel::Ok, found.to_owned(), None);
    };
    match find(argv.first().map_or("", String::as_str), path) {
        Ok(program) => {
            line("sink", CheckLevel::Ok, format!("reports of tasks from a shell go to {}", program.display()), None)
        }
        Err(why) => line(
            "sink",
            CheckLevel::Fail,
            format!("the command for reports cannot be run: {}", why.replace("the agents' PATH", "akkd's PATH")),
            Some(
                "Let [delivery] command in config.toml begin with the absolute path of a program that can be run."
                    .to_owned(),
            ),
        ),
    }
}

/// No plugin is connected.
fn nobody(installed: bool, waiting: &Waiting) -> Check {
    let found = "no plugin of OpenClaw is connected";
    if waiting.any_for(SinkKind::Plugin) {
        let hint = "Start OpenClaw's gateway; if it runs, see `akkctl openclaw status`.";
        return line(
            check::CONNECTION,
            CheckLevel::Fail,
            format!("{found}, and reports wait for one"),
            Some(hint.to_owned()),
        );
    }
    if installed {
        let hint = "Start OpenClaw's gateway; if it runs, run `akkctl openclaw install` again.";
        return line(check::CONNECTION, CheckLevel::Fail, found.to_owned(), Some(hint.to_owned()));
    }
    line(check::CONNECTION, CheckLevel::Note, found.to_owned(), None)
}

fn connection(probed: &Probed, now: Timestamp) -> Check {
    let plugin = &probed.plugin;
    let who = format!(
        "OpenClaw {} ({}), connected for {}",
        plugin.openclaw_version,
        plugin.gateway,
        span(now.millis_since(plugin.connected_at))
    );
    let look = Some("Look into the log of OpenClaw's gateway: `openclaw logs`.".to_owned());
    match &probed.answer {
        None => {
            let found = format!("{who}: its plugin did not answer within {} s", PROBE.as_secs());
            line(check::CONNECTION, CheckLevel::Fail, found, look)
        }
        Some((false, detail)) => line(
            check::CONNECTION,
            CheckLevel::Fail,
            format!("{who}: its plugin cannot reach the sessions: {}", detail.trim_end_matches('.')),
            look,
        ),
        Some((true, _)) if plugin.plugin_version != VERSION => line(
            check::CONNECTION,
            CheckLevel::Warn,
            format!("{who}: sessions can be reached, by a plugin of version {}, not {VERSION}", plugin.plugin_version),
            Some("Run `akkctl openclaw install`.".to_owned()),
        ),
        Some((true, _)) => {
            let found = format!("{who}, plugin {}: sessions can be reached", plugin.plugin_version);
            line(check::CONNECTION, CheckLevel::Ok, found, None)
        }
    }
}

pub(super) fn outbox(waiting: &Waiting, now: Timestamp) -> Check {
    let parked = waiting.count(DeliveryState::Parked);
    let uncertain = waiting.count(DeliveryState::Uncertain);
    let mut parts = Vec::new();
    if waiting.overdue > 0 {
        parts.push(format!("{} for more than ten minutes", waiting.overdue));
    }
    if parked > 0 {
        parts.push(format!("{parked} because the session that asked is gone"));
    }
    if uncertain > 0 {
        parts.push(format!("{uncertain} because it cannot be known whether they arrived"));
    }
    // They come oldest first.
    let oldest = waiting.rows.first().map(|row| span(now.millis_since(row.created_at))).unwrap_or_default();
    let found = match (waiting.undelivered, parts.is_empty()) {
        (0, _) => "no report waits".to_owned(),
        (n, true) => format!("{n} waiting, none of them for long"),
        (n, false) => format!("{n} waiting, the oldest for {oldest}: {}", parts.join(", ")),
    };
    let mut hints = Vec::new();
    if !parts.is_empty() {
        hints.push("`akkctl deliveries` says what each of them waits for.");
    }
    if parked + uncertain > 0 {
        hints.push(
            "Then `akkctl deliveries retry ID` tells one once more, and `akkctl deliveries ack ID` marks it as told.",
        );
    }
    let level = if hints.is_empty() { CheckLevel::Ok } else { CheckLevel::Warn };
    line("outbox", level, found, (!hints.is_empty()).then(|| hints.join(" ")))
}

fn line(name: &str, level: CheckLevel, found: String, hint: Option<String>) -> Check {
    Check::new(check::REPORTS, name, level, found, hint.as_deref())
}
