//! `akkctl openclaw`: the plugin in OpenClaw.

mod install;
mod look;
mod uninstall;

pub(super) use look::look;

use super::Context;
use super::doctor;
use crate::cli::{OpenClaw as Command, OpenClawPlace};
use crate::error::Result;
use crate::openclaw::{Folder, OpenClaw, Places, Record};
use crate::output;

pub(super) fn run(command: Command, context: &Context<'_>) -> Result<u8> {
    match command {
        Command::Install(args) => install::run(&args, context),
        Command::Uninstall(place) => uninstall::run(&place, context),
        Command::Status => doctor::openclaw_only(context),
    }
}

/// Tells each step as it happens: on standard output, or aside where that has the result as JSON.
#[derive(Debug)]
struct Progress {
    json: bool,
}

impl Progress {
    fn say(&self, line: &str) -> Result<()> {
        let line = format!("{}\n", output::one_line(line));
        self.print(&line)
    }

    /// A setting that is different now.
    fn changed(&self, changes: &[String]) -> Result<()> {
        changes.iter().try_for_each(|change| self.print(&format!("  {}\n", output::one_line(change))))
    }

    fn print(&self, text: &str) -> Result<()> {
        if self.json {
            output::tell(text);
            return Ok(());
        }
        output::print(text)
    }
}

/// The OpenClaw that is meant: the command that was named, else the one that the plugin was linked with before, else the
/// one in `PATH`.
fn find(place: &OpenClawPlace, folder: &Folder) -> Result<OpenClaw> {
    let places = Places::of_this_process(place.profile.clone());
    let record = Record::read(folder.record());
    let before = record.of(&places).map(|i| i.program.clone()).filter(|p| p.is_file());
    let given = place.openclaw.clone().or(before);
    OpenClaw::find(given.as_deref(), std::env::var_os("PATH"), places)
}
