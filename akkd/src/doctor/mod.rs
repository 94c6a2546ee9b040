//! Whether everything works, as far as akkd can see it: what it keeps, the agents and what they find around them, the
//! way of a report, and what was left behind.
//!
//! A check changes nothing, and tells what is to be done where something is wrong. Other programs are only asked for
//! their version and login: without shell, input, keys and proxies, all at once, and not for long. akkctl puts what it
//! sees from outside between; where no akkd runs it lets one look that does nothing else ([`look_alone`]).

mod agents;
mod asking;
mod left;
mod login;
mod places;
mod programs;
mod reports;
mod surroundings;
mod versions;

use crate::clock::Clock;
use crate::config::{Config, ConfigSource, Surroundings};
use crate::delivery::{Deliveries, span};
use crate::platform;
use akk_proto::Timestamp;
use akk_proto::api::{Check, CheckLevel, DoctorAnswer, check};
use akk_proto::error::Failure;
use akk_proto::paths::Paths;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// How long file watches are counted.
const COUNTING: Duration = Duration::from_millis(500);

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
    /// When akkd started.
    pub started: Moment,
}

/// A moment by two clocks, of which one can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    wall: Timestamp,
    /// Since the machine was started; none where that is not told.
    boot: Option<Duration>,
}

impl Moment {
    /// Now.
    pub fn now(clock: &Clock) -> Self {
        Self { wall: clock.wall(), boot: platform::since_boot() }
    }
}

impl Doctor<'_> {
    /// Looks at everything. Takes 2 s where a program or a plugin does not answer.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn look(&self) -> Result<DoctorAnswer, Failure> {
        let around = self.config.surroundings();
        let (config_lines, fresh) = config(self.paths, around, true);
        let config = fresh.unwrap_or_else(|| Config::clone(&self.config.current()));
        let live = self.deliveries.store.live_launches().await?;
        let live: BTreeSet<String> = live.iter().map(|l| l.launch_id.as_str().to_owned()).collect();
        let (ground, reports) =
            tokio::join!(ground(self.paths, &config, around, config_lines, Some(live)), self.reports());
        let (reports, plugins) = reports?;
        let now = Moment::now(self.clock);
        let jumped = surroundings::jump((self.started.wall, self.started.boot), (now.wall, now.boot));
        let mut checks = vec![surroundings::clock(now.wall, jumped, zone().as_deref())];
        checks.extend(ground);
        checks.extend(reports);
        Ok(answer(checks, plugins, &config, around))
    }
}

/// What can be looked at where no akkd runs, from an environment like that of one that is about to start.
pub async fn look_alone(paths: &Paths, around: &Surroundings) -> DoctorAnswer {
    let (lines, fresh) = config(paths, around, false);
    let mut checks = vec![surroundings::clock(Clock::system().wall(), None, zone().as_deref())];
    // With a wrong file nobody can say what agents there are; the built-in ones are better than nothing.
    let Some(config) = fresh.or_else(|| Config::parse(&paths.config, "", around).ok()) else {
        return DoctorAnswer { checks: lines, plugins: Vec::new(), environment: BTreeMap::new() };
    };
    checks.extend(ground(paths, &config, around, lines, None).await);
    checks.push(reports::sink(&config, around.env.get("PATH").map(String::as_str), None));
    answer(checks, Vec::new(), &config, around)
}

fn answer(
    mut checks: Vec<Check>,
    plugins: Vec<akk_proto::delivery::PluginView>,
    config: &Config,
    around: &Surroundings,
) -> DoctorAnswer {
    let place = |c: &Check| check::GROUPS.iter().position(|group| *group == c.group);
    checks.sort_by_key(place);
    let environment = surroundings::shown(&around.env, path(config, around));
    DoctorAnswer { checks, plugins, environment }
}

/// The agents' `PATH`.
fn path<'a>(config: &'a Config, around: &'a Surroundings) -> Option<&'a str> {
    config.agent_path.as_ref().or_else(|| around.env.get("PATH")).map(String::as_str)
}

/// Everything but the way of reports. `live`: the launches that are not proven gone, where this is the akkd of the home.
async fn ground(
    paths: &Paths,
    config: &Config,
    around: &Surroundings,
    config_lines: Vec<Check>,
    live: Option<BTreeSet<String>>,
) -> Vec<Check> {
    let kept = {
        let (paths, env, running) = (paths.clone(), around.env.clone(), live.is_some());
        tokio::task::spawn_blocking(move || places::look(&paths, &env, running))
    };
    let left = {
        let (paths, env, homes) = (paths.clone(), around.env.clone(), config.codex_homes.clone());
        tokio::task::spawn_blocking(move || left::look(&paths, &homes, &env, live.as_ref()))
    };
    let watches = tokio::task::spawn_blocking(|| surroundings::watches(platform::watches(COUNTING)));
    let used = agents::used(config);
    let programs = programs::look(config, around, &used);
    let (programs, kept, left, watches) = tokio::join!(programs, kept, left, watches);
    let mut checks: Vec<Check> = watches.ok().flatten().into_iter().collect();
    checks.extend(kept.unwrap_or_default());
    checks.extend(config_lines);
    checks.extend(agents::look(config, around));
    checks.extend(surroundings::environment(&around.env, path(config, around), config.agent_path.is_some()));
    checks.extend(programs);
    checks.extend(left.unwrap_or_default());
    checks
}

/// The file as it is now, which need not be what is in force, and what it says if it is right.
fn config(paths: &Paths, around: &Surroundings, running: bool) -> (Vec<Check>, Option<Config>) {
    let line = |level, found: String, hint: Option<&str>| Check::new(check::HOME, "config", level, found, hint);
    let place = short(&paths.config, &around.env);
    match Config::load(&paths.config, around) {
        Err(e) => {
            let failure = Failure::from(e);
            let then = if running { "what was read before stays in force" } else { "akkd does not start with it" };
            let found = format!("{}; {then}", failure.message);
            (vec![line(CheckLevel::Fail, found, Some(&failure.hint))], None)
        }
        Ok(config) => {
            let found = if paths.config.exists() {
                format!("{place} is right")
            } else {
                format!("there is no {place}: the defaults count")
            };
            let left_out =
                |warning: &String| line(CheckLevel::Warn, warning.clone(), Some("Change it in config.toml."));
            let lines = std::iter::once(line(CheckLevel::Ok, found, None))
                .chain(config.warnings.iter().map(left_out))
                .collect();
            (lines, Some(config))
        }
    }
}

/// The name of the system's time zone.
fn zone() -> Option<String> {
    let zone = jiff::tz::TimeZone::try_system().ok()?;
    Some(zone.iana_name().unwrap_or("of the system").to_owned())
}

/// `path` as people write it: the home as `~`.
fn short(path: &Path, env: &BTreeMap<String, String>) -> String {
    let home = env.get("HOME").filter(|home| home.len() > 1);
    match home.and_then(|home| path.strip_prefix(home).ok()) {
        Some(rest) if rest.as_os_str().is_empty() => "~".to_owned(),
        Some(rest) => format!("~/{}", rest.display()),
        None => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests;
