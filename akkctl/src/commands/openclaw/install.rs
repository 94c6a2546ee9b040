//! `akkctl openclaw install`: each step is looked at first and done only where it is needed, so that a run that was
//! interrupted is gone on with by the next one.

use super::super::ask::absolute;
use super::{Progress, find};
use crate::cli::OpenClawInstall;
use crate::client::Client;
use crate::commands::Context;
use crate::environment::Surroundings;
use crate::error::{Error, Result, exit};
use crate::openclaw::{
    Changed, Folder, Health, ID, Installation, Look, OpenClaw, Plugins, Record, Tools, Wanted, changes, is_a_copy,
};
use crate::output::{one_line, print};
use akk_proto::version::VERSION;
use serde::Serialize;
use std::path::PathBuf;

/// What became of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Gateway {
    /// Nothing changed that concerns it.
    Unchanged,
    /// It runs and has loaded the plugin.
    Applied,
    /// It does not run: it loads the plugin when it starts.
    NotRunning,
    /// It runs and has to be restarted.
    NeedsRestart,
    /// It was asked to restart.
    Restarting,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Installed<'a> {
    changed: bool,
    plugin_version: &'a str,
    folder: PathBuf,
    openclaw: PathBuf,
    openclaw_version: &'a str,
    changes: &'a [String],
    tools_hidden: Option<&'a str>,
    gateway: Gateway,
}

pub(super) fn run(args: &OpenClawInstall, context: &Context<'_>) -> Result<u8> {
    let progress = Progress { json: context.json };
    let folder = Folder::of(&context.surroundings.paths);
    let openclaw = find(&args.place, &folder)?;
    let wanted = wanted(args, &folder, context.surroundings)?;
    let version = openclaw.version()?;
    progress.say(&format!("OpenClaw {version}: {}", openclaw.program().display()))?;
    // Before anything is written: a configuration that cannot be read is the reader's to repair first.
    let Look { plugins, tools, .. } = openclaw.look(false);
    let (before, tools) = (plugins?, tools?);
    if before.switched_off() {
        return Err(Error::Program {
            message: "OpenClaw's plugins are switched off: plugins.enabled is false".to_owned(),
            hint: format!(
                "switch them on with `{}`; then run this again",
                openclaw.typed("config set plugins.enabled true")
            ),
        });
    }

    let _lock = folder.lock()?;
    let written = folder.write()?;
    let verb = if written { "written to" } else { "in" };
    progress.say(&format!("Plugin {VERSION}: {verb} {}", wanted.link.display()))?;

    let mut work = Work { openclaw: &openclaw, progress: &progress, done: Changed::default(), changed: written };
    let record = Record::read(folder.record());
    let known = record.of(openclaw.places()).cloned();
    let linked = written || known.as_ref().is_none_or(|k| k.copy != folder.copy());
    let now = work.settle(&before, &wanted, linked)?;
    let mut told = changes(&before, &now);
    if let Some(obstacle) = now.obstacle(&wanted) {
        return Err(Error::Program {
            message: format!("the plugin is linked, and OpenClaw will not load it: {obstacle}"),
            hint: format!("change that, for example with `{}`; then run this again", openclaw.typed("config set")),
        });
    }
    let mut installation = Installation {
        program: openclaw.program().to_owned(),
        places: openclaw.places().clone(),
        copy: folder.copy(),
        tools_allowed: known.is_some_and(|k| k.tools_allowed),
    };
    // Before the tools: what is linked is to be known whatever becomes of them.
    record.clone().with(installation.clone()).write(folder.record())?;
    let hidden = work.tools(&tools, args.allow_tools, &mut installation, &mut told)?;
    record.with(installation).write(folder.record())?;

    let gateway = work.gateway(args.restart)?;
    folder.sweep();
    if work.done.comments_lost {
        progress.say(
            "OpenClaw wrote its configuration anew, which drops the comments in it; it keeps the former one beside it \
             (openclaw.json.bak, .bak.1, …).",
        )?;
    }
    let changed = work.changed;
    if context.json {
        let answer = Installed {
            changed,
            plugin_version: VERSION,
            folder: wanted.link,
            openclaw: openclaw.program().to_owned(),
            openclaw_version: &version,
            changes: &told,
            tools_hidden: hidden.as_deref(),
            gateway,
        };
        print(&format!("{}\n", serde_json::to_string(&answer).unwrap_or_default()))?;
        return Ok(exit::OK);
    }
    if !changed && gateway == Gateway::Unchanged {
        print("Nothing was to be done.\n")?;
    }
    print(&next(gateway, context.surroundings))?;
    Ok(exit::OK)
}

fn wanted(args: &OpenClawInstall, folder: &Folder, surroundings: &Surroundings) -> Result<Wanted> {
    let workspace = args.workspace.as_deref().map(absolute).transpose()?.map(PathBuf::from);
    if let Some(workspace) = workspace.as_ref().filter(|w| !w.is_dir()) {
        return Err(Error::usage(
            format!("{} is not a directory", workspace.display()),
            "let --workspace name the directory in which agents are to work",
        ));
    }
    Ok(Wanted { link: folder.link(), socket: surroundings.paths.control_socket.clone(), workspace })
}

/// What a person does next.
fn next(gateway: Gateway, surroundings: &Surroundings) -> String {
    let mut out = String::new();
    if Client::connect(&surroundings.paths.control_socket).is_err() {
        out.push_str("akkd does not run: akkctl daemon start\n");
    }
    if gateway == Gateway::NotRunning {
        out.push_str("Start OpenClaw's gateway; then akkctl doctor says whether everything works.\n");
    } else {
        out.push_str("akkctl doctor says whether everything works. In a chat: /akk help\n");
    }
    out
}

/// The steps, and what they came to.
struct Work<'a> {
    openclaw: &'a OpenClaw,
    progress: &'a Progress,
    done: Changed,
    changed: bool,
}

impl Work<'_> {
    /// Makes OpenClaw's configuration what is wanted; returns what it is then.
    fn settle(&mut self, before: &Plugins, wanted: &Wanted, link_anew: bool) -> Result<Plugins> {
        let mut now = before.clone();
        if let Some((old, new)) = now.other_copies(wanted, is_a_copy) {
            self.progress.say("Another copy of the plugin is linked: taking its path out …")?;
            now = self.step(&now, self.openclaw.replace("plugins.load.paths", &old, &new)?)?;
        }
        if link_anew || now.obstacle(wanted).is_some() {
            self.progress.say("Linking it with OpenClaw's command line, which may take half a minute …")?;
            now = self.step(&now, self.openclaw.install(&wanted.link)?)?;
        }
        // After the link: OpenClaw checks settings against a plugin that it knows.
        if let Some(patch) = now.entry_patch(wanted) {
            self.progress.say("Configuring it …")?;
            now = self.step(&now, self.openclaw.patch(&patch)?)?;
        }
        Ok(now)
    }

    /// A step was done: says what is different since `before`, and returns what is now.
    fn step(&mut self, before: &Plugins, change: Changed) -> Result<Plugins> {
        self.change(change);
        let now = self.openclaw.plugins()?;
        self.progress.changed(&changes(before, &now))?;
        Ok(now)
    }

    /// Tells whether OpenClaw's policy hides the tools, and changes that where it was asked for. Returns why they are
    /// still hidden.
    fn tools(
        &mut self,
        tools: &Tools,
        allow: bool,
        installation: &mut Installation,
        told: &mut Vec<String>,
    ) -> Result<Option<String>> {
        let Some(hidden) = tools.hidden() else { return Ok(None) };
        let Some((path, before, after)) = &hidden.cure else {
            self.progress.say(&format!(
                "OpenClaw's model will not see the tools: {}. The command /akk works all the same.",
                hidden.why
            ))?;
            return Ok(Some(hidden.why));
        };
        if !allow {
            self.progress.say(&format!(
                "OpenClaw's model will not see the tools: {}. The command /akk works all the same. To add {ID} to \
                 {path}, run this again with --allow-tools.",
                hidden.why
            ))?;
            return Ok(Some(hidden.why));
        }
        self.change(self.openclaw.replace(path, before, after)?);
        installation.tools_allowed = true;
        let change = format!("{path}: added {ID}");
        self.progress.changed(std::slice::from_ref(&change))?;
        told.push(change);
        Ok(self.openclaw.tools()?.hidden().map(|h| h.why))
    }

    /// Finds out whether a running gateway has taken the changes, and asks it to restart where that is needed and
    /// wanted.
    fn gateway(&self, restart: bool) -> Result<Gateway> {
        if !self.changed && !restart {
            return Ok(Gateway::Unchanged);
        }
        if self.done.applied && !self.done.needs_restart {
            self.progress.say("The running gateway has loaded it.")?;
            return Ok(Gateway::Applied);
        }
        let running = match self.openclaw.health()? {
            Health::Silent(reason) => {
                let reason = one_line(&reason);
                self.progress
                    .say(&format!("OpenClaw's gateway loads it when it starts; now it is silent: {reason}"))?;
                return Ok(Gateway::NotRunning);
            }
            Health::Running { has_plugin } => has_plugin,
        };
        if running && !self.done.needs_restart {
            self.progress.say("The running gateway has loaded it; a restart is not needed.")?;
            return Ok(if self.changed { Gateway::Applied } else { Gateway::Unchanged });
        }
        if !restart {
            self.progress.say(&format!(
                "The gateway runs and has not loaded it: restart it with `{}`, or run this again with --restart.",
                self.openclaw.typed("gateway restart --safe")
            ))?;
            return Ok(Gateway::NeedsRestart);
        }
        self.openclaw.restart_gateway()?;
        self.progress.say("The gateway was asked to restart; it does so once what it is doing is done.")?;
        Ok(Gateway::Restarting)
    }

    fn change(&mut self, change: Changed) {
        self.done |= change;
        self.changed = true;
    }
}
