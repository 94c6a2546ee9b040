//! Whether everything on the way of a report works, as far as akkd can see it.
//!
//! A check changes nothing, and tells what is to be done where something is wrong. Their order is the order in which a
//! report travels; akkctl puts what it sees of OpenClaw from outside before [`check::CONNECTION`].

use crate::clock::Clock;
use crate::config::{Config, ConfigSource};
use crate::delivery::{Deliveries, Probed, span};
use akk_proto::Timestamp;
use akk_proto::api::{Check, CheckLevel, DoctorAnswer, check};
use akk_proto::delivery::{DeliveryState, DeliveryView, SinkKind};
use akk_proto::error::Failure;
use akk_proto::limits::MAX_PAGE;
use akk_proto::paths::Paths;
use akk_proto::version::VERSION;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long OpenClaw's plugins are waited for.
const PROBE: Duration = Duration::from_secs(5);

/// What is looked at.
pub struct Doctor<'a> {
    /// Where akkd keeps its things.
    pub paths: &'a Paths,
    /// The owner's configuration.
    pub config: &'a ConfigSource,
    /// The outbox, and who takes deliveries.
    pub deliveries: &'a Deliveries,
    /// For what waits for too long.
    pub clock: &'a Clock,
}

impl Doctor<'_> {
    /// Looks at everything. Takes 5 s where a plugin does not answer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn look(&self) -> Result<DoctorAnswer, Failure> {
        let waiting = Waiting {
            rows: self.deliveries.list(None, false, MAX_PAGE).await?,
            undelivered: self.deliveries.store.counts().await?.undelivered,
            overdue: self.deliveries.store.overdue(self.clock.wall()).await?,
        };
        let mut checks = vec![home(&self.paths.state).await];
        checks.extend(self.config());
        checks.push(sink(&self.config.current(), self.config.surroundings().env.get("PATH"), &waiting));
        let probed = self.deliveries.plugins.probe(PROBE).await;
        if probed.is_empty() {
            checks.push(nobody(self.paths.installed().exists(), &waiting));
        }
        let now = self.clock.wall();
        checks.extend(probed.iter().map(|p| connection(p, now)));
        checks.push(outbox(&waiting));
        Ok(DoctorAnswer { checks, plugins: probed.into_iter().map(|p| p.plugin).collect() })
    }

    /// The file as it is now, which need not be what is in force.
    fn config(&self) -> Vec<Check> {
        let path = self.paths.config.display();
        match Config::load(&self.paths.config, self.config.surroundings()) {
            Err(e) => {
                let failure = Failure::from(e);
                let found = format!("{}; what was read before stays in force", failure.message);
                vec![line("config", CheckLevel::Fail, found, Some(failure.hint))]
            }
            Ok(config) => {
                let found = if self.paths.config.exists() {
                    format!("{path} is right")
                } else {
                    format!("there is no {path}: the defaults count")
                };
                let left_out = |warning: String| line("config", CheckLevel::Warn, warning, None);
                std::iter::once(line("config", CheckLevel::Ok, found, None))
                    .chain(config.warnings.into_iter().map(left_out))
                    .collect()
            }
        }
    }
}

/// What was not acknowledged.
struct Waiting {
    /// The oldest of them.
    rows: Vec<DeliveryView>,
    undelivered: u64,
    overdue: u64,
}

impl Waiting {
    fn any_for(&self, sink: SinkKind) -> bool {
        self.rows.iter().any(|row| row.sink == sink)
    }

    fn count(&self, state: DeliveryState) -> usize {
        self.rows.iter().filter(|row| row.state == state).count()
    }
}

/// Whether akkd can still write where its database lies.
async fn home(state: &Path) -> Check {
    let probe = state.join(format!("doctor-{}", uuid::Uuid::now_v7().simple()));
    let written = async {
        tokio::fs::write(&probe, [0; 4096]).await?;
        tokio::fs::remove_file(&probe).await
    };
    match written.await {
        Ok(()) => line("home", CheckLevel::Ok, format!("{} can be written", state.display()), None),
        Err(e) => {
            // Of a full disk, the empty file is there.
            let _ = tokio::fs::remove_file(&probe).await;
            let hint = "Free some room there, and let it belong to you, with mode 0700.";
            line("home", CheckLevel::Fail, format!("{} cannot be written: {e}", state.display()), Some(hint.to_owned()))
        }
    }
}

/// What happens to reports of tasks that no OpenClaw session asked for.
fn sink(config: &Config, path: Option<&String>, waiting: &Waiting) -> Check {
    let Some(argv) = &config.sink_command else {
        if waiting.any_for(SinkKind::Command) {
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
    match program(argv.first().map_or("", String::as_str), path) {
        Ok(program) => {
            line("sink", CheckLevel::Ok, format!("reports of tasks from a shell go to {}", program.display()), None)
        }
        Err(why) => line(
            "sink",
            CheckLevel::Fail,
            format!("the command for reports cannot be run: {why}"),
            Some(
                "Let [delivery] command in config.toml begin with the absolute path of a program that can be run."
                    .to_owned(),
            ),
        ),
    }
}

/// The program that a command runs: by its path, else found in akkd's own `PATH`.
fn program(name: &str, path: Option<&String>) -> Result<PathBuf, String> {
    let runs = |p: &Path| p.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    if name.contains('/') {
        let program = PathBuf::from(name);
        return match program.metadata() {
            Ok(_) if runs(&program) => Ok(program),
            Ok(_) => Err(format!("{name} is not executable")),
            Err(e) => Err(format!("{name}: {e}")),
        };
    }
    let folders = path.into_iter().flat_map(std::env::split_paths);
    folders.map(|f| f.join(name)).find(|p| runs(p)).ok_or_else(|| format!("`{name}` is not in akkd's PATH"))
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

fn outbox(waiting: &Waiting) -> Check {
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
    let found = match (waiting.undelivered, parts.is_empty()) {
        (0, _) => "no report waits".to_owned(),
        (n, true) => format!("{n} waiting, none of them for long"),
        (n, false) => format!("{n} waiting: {}", parts.join(", ")),
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
    Check { name: name.to_owned(), level, found, hint }
}

#[cfg(test)]
mod tests;
