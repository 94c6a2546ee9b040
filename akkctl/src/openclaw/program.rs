//! OpenClaw's own command line: finding it, calling it with a limit of time, and understanding why it failed.
//!
//! Measured with openclaw 2026.9.6: `--version` takes 0.1 s, reading a setting 1–3 s, changing one 3–5 s, linking a plugin
//! 5–11 s, and all of it five times that on a busy machine. JSON goes to standard output, warnings to standard error.

use super::call::{Said, follow};
use super::settings::{ID, Plugins};
use super::tools::Tools;
use crate::error::{Error, Result};
use process_wrap::std::{CommandWrap, ProcessSession};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// For a call that changes nothing.
const LOOK_LIMIT: Duration = Duration::from_mins(2);
/// For a call that changes something: in the middle of it is a bad place to be ended.
const CHANGE_LIMIT: Duration = Duration::from_mins(4);
/// What selects an installation of OpenClaw besides its profile (openclaw 2026.9).
const VARIABLES: [&str; 3] = ["OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH", "OPENCLAW_HOME"];

/// Which installation of OpenClaw is meant: two that are equal have the same configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Places {
    /// `--profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<String>,
    /// Those of OpenClaw's variables that are set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) env: BTreeMap<String, String>,
}

impl Places {
    /// Those of this process.
    pub(crate) fn of_this_process(profile: Option<String>) -> Self {
        let set = |name: &str| Some((name.to_owned(), std::env::var(name).ok().filter(|v| !v.is_empty())?));
        Self { profile, env: VARIABLES.into_iter().filter_map(set).collect() }
    }
}

/// OpenClaw's command line, for one installation.
#[derive(Debug, Clone)]
pub(crate) struct OpenClaw {
    program: PathBuf,
    places: Places,
}

/// What a change came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// A running gateway has applied it.
    pub(crate) applied: bool,
    /// A running gateway has to be restarted for it.
    pub(crate) needs_restart: bool,
    /// The configuration had comments, and has none now.
    pub(crate) comments_lost: bool,
}

impl std::ops::BitOrAssign for Changed {
    fn bitor_assign(&mut self, other: Self) {
        self.applied |= other.applied;
        self.needs_restart |= other.needs_restart;
        self.comments_lost |= other.comments_lost;
    }
}

/// What a look at an installation found.
#[derive(Debug)]
pub(crate) struct Look {
    /// What it has under `plugins`.
    pub(crate) plugins: Result<Plugins>,
    /// What it has under `tools`.
    pub(crate) tools: Result<Tools>,
    /// Whether its gateway answers, where that was asked for.
    pub(crate) health: Option<Result<Health>>,
}

/// Whether the gateway of the installation answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// It does; whether it has our plugin.
    Running { has_plugin: bool },
    /// It does not run, or cannot be asked: OpenClaw's words.
    Silent(String),
}

impl OpenClaw {
    /// The program at `given`, else the first `openclaw` in `PATH`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn find(given: Option<&Path>, path: Option<OsString>, places: Places) -> Result<Self> {
        let found = |program: PathBuf| Self { program, places: places.clone() };
        if let Some(given) = given {
            let program = std::path::absolute(given).map_err(|e| Error::file("find", given, e))?;
            if !is_program(&program) {
                return Err(Error::Program {
                    message: format!("{} is not a program that can be run", given.display()),
                    hint: "let --openclaw name OpenClaw's command, or a script that runs it".to_owned(),
                });
            }
            return Ok(found(program));
        }
        let mut in_path = path.iter().flat_map(std::env::split_paths).filter(|d| d.is_absolute());
        in_path.find_map(|d| Some(d.join("openclaw")).filter(|p| is_program(p))).map(found).ok_or_else(|| {
            Error::Program {
                message: "openclaw was not found in PATH".to_owned(),
                hint: "name it with --openclaw PATH; OpenClaw is installed with `npm install -g openclaw`".to_owned(),
            }
        })
    }

    /// The program.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Which installation it is asked about.
    pub(crate) fn places(&self) -> &Places {
        &self.places
    }

    /// The command as a person types it.
    pub(crate) fn typed(&self, rest: &str) -> String {
        match &self.places.profile {
            Some(profile) => format!("openclaw --profile {profile} {rest}"),
            None => format!("openclaw {rest}"),
        }
    }

    /// Its version, such as `2026.9.6`.
    ///
    /// # Errors
    /// When it cannot be run: missing, or on a Node.js that is too old for it.
    pub(crate) fn version(&self) -> Result<String> {
        let said = self.call(&["--version"], None, LOOK_LIMIT)?.expect("tell its version", self)?;
        let version = said.out.lines().filter_map(|l| l.trim().strip_prefix("OpenClaw ")).find_map(|rest| {
            let word = rest.split_whitespace().next()?;
            word.starts_with(|c: char| c.is_ascii_digit()).then(|| word.to_owned())
        });
        version.ok_or_else(|| Error::Program {
            message: format!("{} does not tell OpenClaw's version", self.program.display()),
            hint: "let --openclaw name OpenClaw's command, or a script that runs it".to_owned(),
        })
    }

    /// What it has under `plugins`.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub(crate) fn plugins(&self) -> Result<Plugins> {
        self.setting("plugins")
    }

    /// What it has under `tools`.
    ///
    /// # Errors
    /// As [`Self::plugins`].
    pub(crate) fn tools(&self) -> Result<Tools> {
        self.setting("tools")
    }

    /// Its settings, and with `health` its gateway, all at once: most of a call is the start of Node.js.
    pub(crate) fn look(&self, health: bool) -> Look {
        std::thread::scope(|scope| {
            let tools = scope.spawn(|| self.tools());
            let health = health.then(|| scope.spawn(|| self.health()));
            let plugins = self.plugins();
            Look { plugins, tools: joined(tools.join()), health: health.map(|h| joined(h.join())) }
        })
    }

    /// Links the plugin at `link`, accepts what it declares, and has a running gateway load it anew.
    ///
    /// # Errors
    /// When it was not linked.
    pub(crate) fn install(&self, link: &Path) -> Result<Changed> {
        let link = link.to_string_lossy();
        let args = ["plugins", "install", "--link", &link, "--force", "--accept-capabilities"];
        self.change(&args, None, "link the plugin")
    }

    /// Takes the plugin out again.
    ///
    /// # Errors
    /// When OpenClaw could not, for example because it has no record of having installed it.
    pub(crate) fn uninstall(&self) -> Result<Changed> {
        let args = ["plugins", "uninstall", ID, "--force", "--keep-files"];
        self.change(&args, None, "take the plugin out")
    }

    /// Merges `patch` into the configuration; `null` takes a setting out.
    ///
    /// # Errors
    /// When it was not written.
    pub(crate) fn patch(&self, patch: &Value) -> Result<Changed> {
        self.change(&["config", "patch", "--stdin"], Some(patch.to_string()), "change its configuration")
    }

    /// Sets the list at `path` to `value`, only if it is `before` until then.
    ///
    /// # Errors
    /// When it was not written.
    pub(crate) fn replace(&self, path: &str, before: &Value, value: &Value) -> Result<Changed> {
        let (before, value) = (before.to_string(), value.to_string());
        let mut args = vec!["config", "set", path, &value, "--strict-json"];
        // An empty list and none look alike to us, and are told apart by OpenClaw.
        if before != "[]" {
            args.extend(["--expect-current-json", &before]);
        }
        self.change(&args, None, "change its configuration")
    }

    /// Whether the gateway answers.
    ///
    /// # Errors
    /// When OpenClaw cannot be run.
    pub(crate) fn health(&self) -> Result<Health> {
        let said = self.call(&["gateway", "health", "--json"], None, LOOK_LIMIT)?;
        let answer = said.json().unwrap_or_default();
        if said.status.success() && answer["ok"] == true {
            let loaded = answer["plugins"]["loaded"].as_array();
            return Ok(Health::Running { has_plugin: loaded.is_some_and(|l| l.iter().any(|id| id == ID)) });
        }
        Ok(Health::Silent(said.reason()))
    }

    /// Asks the gateway to restart once what it does now is done.
    ///
    /// # Errors
    /// When it could not be asked.
    pub(crate) fn restart_gateway(&self) -> Result<()> {
        let args = ["gateway", "restart", "--safe", "--json"];
        self.call(&args, None, CHANGE_LIMIT)?.expect("restart its gateway", self).map(|_| ())
    }

    fn change(&self, args: &[&str], stdin: Option<String>, what: &str) -> Result<Changed> {
        let said = self.call(args, stdin, CHANGE_LIMIT)?.expect(what, self)?;
        // In the words of openclaw 2026.9.6; others only cost a look at the gateway.
        let words = |text: &str| said.out.contains(text) || said.err.contains(text);
        Ok(Changed {
            applied: words("Applied in Gateway generation"),
            needs_restart: words("Restart the gateway to apply"),
            comments_lost: words("will strip JSON5 comments"),
        })
    }

    fn setting<T: serde::de::DeserializeOwned + Default>(&self, path: &str) -> Result<T> {
        let said = self.call(&["config", "get", path, "--json"], None, LOOK_LIMIT)?;
        if !said.status.success() && said.reason().contains("is valid but unset") {
            return Ok(T::default());
        }
        let said = said.expect("tell its configuration", self)?;
        said.json().and_then(|value| serde_json::from_value(value).ok()).ok_or_else(|| Error::Program {
            message: format!("openclaw told its settings under {path} in a form that akkctl does not know"),
            hint: "akkctl knows openclaw 2026.9".to_owned(),
        })
    }

    /// Runs it without a shell, in a session of its own: it can ask nobody, and Ctrl-C does not end it in the middle of
    /// a change.
    fn call(&self, args: &[&str], stdin: Option<String>, limit: Duration) -> Result<Said> {
        let mut command = CommandWrap::with_new(&self.program, |command| {
            if let Some(profile) = &self.places.profile {
                command.args(["--profile", profile]);
            }
            command.args(args).env("NO_COLOR", "1").env_remove("FORCE_COLOR");
            for name in VARIABLES {
                command.env_remove(name);
            }
            command.envs(&self.places.env);
            let input = if stdin.is_some() { Stdio::piped() } else { Stdio::null() };
            command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        });
        let child = command.wrap(ProcessSession).spawn().map_err(|e| Error::file("run", &self.program, e))?;
        follow(child, stdin, limit).map_err(|e| match e {
            Some(e) => Error::file("run", &self.program, e),
            None => Error::Program {
                message: format!("`{}` did not end within {} s and was ended", self.typed(args[0]), limit.as_secs()),
                hint: "try it by hand; running akkctl again goes on where it stopped".to_owned(),
            },
        })
    }
}

/// What a thread came to; its panic is ours.
fn joined<T>(result: std::thread::Result<T>) -> T {
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
