//! `akkctl openclaw uninstall`: takes back what `install` did, and says so when there is nothing.

use super::{Progress, find};
use crate::cli::OpenClawPlace;
use crate::commands::Context;
use crate::error::{Error, Result, exit};
use crate::openclaw::{Folder, Record, Wanted, changes, is_a_copy};
use crate::output::print;
use serde_json::json;

pub(super) fn run(place: &OpenClawPlace, context: &Context<'_>) -> Result<u8> {
    let progress = Progress { json: context.json };
    let folder = Folder::of(&context.surroundings.paths);
    let openclaw = find(place, &folder).map_err(|e| match e {
        Error::Program { message, hint } => Error::Program {
            message,
            hint: format!("{hint}; where OpenClaw itself is gone, remove {}", folder.link().display()),
        },
        other => other,
    })?;
    let version = openclaw.version()?;
    progress.say(&format!("OpenClaw {version}: {}", openclaw.program().display()))?;
    let before = openclaw.plugins()?;

    let _lock = folder.lock()?;
    let record = Record::read(folder.record());
    let wanted =
        Wanted { link: folder.link(), socket: context.surroundings.paths.control_socket.clone(), workspace: None };
    if before.is_linked(&wanted) {
        progress.say("Taking the plugin out with OpenClaw's command line, which may take half a minute …")?;
        if let Err(e) = openclaw.uninstall() {
            // It refuses where it has no record of its own; its settings can be taken out all the same.
            progress.say(&format!("{e}: taking its settings out one by one …"))?;
        }
    } else if before.other_copies(&wanted, is_a_copy).is_some() {
        return Err(Error::Program {
            message: format!("OpenClaw has the plugin from another folder than {}", wanted.link.display()),
            hint: "run this with the AKK_HOME that it was installed with".to_owned(),
        });
    }
    let mut now = openclaw.plugins()?;
    if let Some(patch) = now.removal(&wanted.link.to_string_lossy()) {
        openclaw.patch(&patch)?;
        now = openclaw.plugins()?;
    }
    let mut told = changes(&before, &now);
    if record.of(openclaw.places()).is_some_and(|i| i.tools_allowed)
        && let Some(patch) = openclaw.tools()?.removal()
    {
        openclaw.patch(&patch)?;
        told.push("tools: removed agent-knock-knock".to_owned());
    }
    progress.changed(&told)?;

    let rest = record.without(openclaw.places());
    let kept = !rest.installations.is_empty();
    if kept {
        rest.write(folder.record())?;
        progress.say("Another OpenClaw profile uses the plugin: its folder stays.")?;
    } else {
        folder.remove()?;
    }
    if context.json {
        let answer = json!({ "changed": !told.is_empty(), "changes": told, "folder_removed": !kept });
        print(&format!("{answer}\n"))?;
    } else if told.is_empty() {
        print("OpenClaw has nothing of it.\n")?;
    } else {
        print("OpenClaw has nothing of it any more. Reports that wait are kept: akkctl deliveries\n")?;
    }
    Ok(exit::OK)
}
