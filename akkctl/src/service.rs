//! The user service: akkd under the care of systemd or launchd.
//!
//! [`platform`] says which of the two, [`units`] and [`plist`] make its files, [`plan`] decides what is to be done,
//! [`perform`] does it, [`state`] tells what stands.

mod ask;
pub(crate) mod environment;
mod perform;
mod plan;
pub(crate) mod platform;
mod plist;
mod render;
pub(crate) mod state;
mod units;

use crate::environment::Surroundings;
use crate::error::{Error, Result};
use crate::stop;
use plan::{File, Situation};
use platform::Platform;
use std::path::PathBuf;

/// What an installation or its end came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Files that were written or removed; none where a repeat found all in place.
    pub(crate) files: Vec<PathBuf>,
    /// The akkd that somebody had started by hand, and whose work the service took over.
    pub(crate) taken_over: Option<u32>,
    /// What the owner should know, as sentences.
    pub(crate) notes: Vec<String>,
}

/// The file that defines the user service that serves this home, if one is installed; asks nobody.
///
/// A home that `AKK_HOME` or `AKK_SOCKET` names is not the service's.
pub(crate) fn installed(surroundings: &Surroundings) -> Option<PathBuf> {
    state::defined(Platform::here()?, surroundings)
}

/// Starts the installed service, with the sockets that start it later, and waits until the manager calls it started.
///
/// # Errors
/// What the manager said.
pub(crate) fn start(surroundings: &Surroundings) -> Result<()> {
    let Some((platform, file)) = installed_here(surroundings) else { return Ok(()) };
    let managed = state::managed(platform, surroundings).unwrap_or_default();
    let situation = Situation { platform, managed, by_hand: None, uid: surroundings.uid, files: Vec::new() };
    perform::all(&situation.start(&file), platform, surroundings)
}

/// Takes away the sockets that would start the installed service again. Before it is asked to stop.
///
/// # Errors
/// What the manager said.
pub(crate) fn stop_listening(surroundings: &Surroundings) -> Result<()> {
    let Some(platform) = managed_here(surroundings) else { return Ok(()) };
    perform::all(&plan::stop_listening(platform), platform, surroundings)
}

/// Stops the installed service, so that the manager does not start it again before the next login.
///
/// # Errors
/// What the manager said.
pub(crate) fn stop(surroundings: &Surroundings) -> Result<()> {
    let Some(platform) = managed_here(surroundings) else { return Ok(()) };
    perform::all(&plan::stop(platform), platform, surroundings)
}

/// Writes the files of the user service and has the manager start it, now and at each login. An akkd that was started by
/// hand hands its work over. A service that runs with other files is started again with these; agents outlive both.
///
/// # Errors
/// What stands against it, or what the manager said; then all is as it was before.
pub(crate) fn install(surroundings: &Surroundings) -> Result<Done> {
    let (platform, folder) = own_folder(surroundings)?;
    let mut files = Vec::new();
    for (name, text) in render::rendered_here(platform)? {
        files.push(File::new(folder.join(name), text)?);
    }
    let managed = state::managed(platform, surroundings).unwrap_or_default();
    let by_hand = stop::holder(&surroundings.paths).filter(|pid| managed.pid != Some(*pid));
    if surroundings.inside_agent && by_hand.is_some() {
        return Err(Error::InsideAgent);
    }
    let lingers = managed.lingers;
    let situation = Situation { platform, managed, by_hand, uid: surroundings.uid, files };
    let steps = situation.install();
    if let Err(e) = perform::all(&steps, platform, surroundings) {
        // As far as it can be undone; the first error is the one to tell.
        let _ = perform::all(&situation.take_back(), platform, surroundings);
        if situation.by_hand.is_some() {
            // It had handed its work over: somebody has to go on with it.
            let _ = crate::start::connect_or_start(surroundings);
        }
        return Err(e);
    }
    let mut notes = Vec::new();
    let secret = environment::left_out(|name| std::env::var(name).ok());
    if !secret.is_empty() {
        notes.push(format!(
            "{} holds a password and is not given to the service: such a proxy belongs into {}",
            secret.join(" and "),
            surroundings.paths.config.display()
        ));
    }
    if platform == Platform::Systemd && lingers == Some(false) {
        notes.push(
            "akkd and its agents end when you log out; `loginctl enable-linger` lets them go on, and starts akkd at boot"
                .to_owned(),
        );
    }
    let taken_over = by_hand.filter(|_| steps.contains(&plan::Step::HandOver));
    let files = situation.files.into_iter().filter(File::changes).map(|f| f.path).collect();
    Ok(Done { files, taken_over, notes })
}

/// Undoes [`install`]. Running turns are left alone, as by [`stop()`].
///
/// # Errors
/// What the manager said; the files stay then. Where there is no manager, as in a container, they are removed.
pub(crate) fn uninstall(surroundings: &Surroundings) -> Result<Done> {
    let (platform, folder) = own_folder(surroundings)?;
    let names = match platform {
        Platform::Systemd => platform::SOCKETS.iter().map(|s| (*s).to_owned()).chain([platform.main_file()]).collect(),
        Platform::Launchd => vec![platform.main_file()],
    };
    let (mut files, mut notes) = (Vec::new(), Vec::new());
    for path in names.into_iter().map(|name| folder.join(name)) {
        match std::fs::read_to_string(&path) {
            Ok(text) if text.contains(render::OURS) => files.push(path),
            Ok(_) => notes.push(format!("{} is not akkctl's, and stays", path.display())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::file("read", &path, e)),
        }
    }
    let steps = if files.is_empty() || ask::answers(platform, surroundings) {
        plan::uninstall(platform, surroundings.uid, &files)
    } else {
        notes.push("no manager of yours answers: the service's files were removed, and nobody was told".to_owned());
        plan::uninstall_alone(&folder, &files)
    };
    perform::all(&steps, platform, surroundings)?;
    Ok(Done { files, taken_over: None, notes })
}

/// The manager, where it is there and has a service of akkd.
fn managed_here(surroundings: &Surroundings) -> Option<Platform> {
    installed_here(surroundings).map(|(platform, _)| platform).filter(|p| ask::answers(*p, surroundings))
}

fn installed_here(surroundings: &Surroundings) -> Option<(Platform, PathBuf)> {
    let platform = Platform::here()?;
    Some((platform, state::defined(platform, surroundings)?))
}

/// The manager of this system, and the user's own folder of its files.
fn own_folder(surroundings: &Surroundings) -> Result<(Platform, PathBuf)> {
    let Some(platform) = Platform::here() else {
        return Err(Error::usage(
            "akkctl knows the services of systemd and launchd, and this system has neither",
            "Start akkd with `akkctl daemon start`, or let your own manager run `akkd` in the foreground.",
        ));
    };
    if !surroundings.is_default_home() {
        return Err(Error::usage(
            "AKK_HOME or AKK_SOCKET is set, and the service serves the home that counts without them",
            "Unset both; an akkd with a home of its own is started with `akkctl daemon start`.",
        ));
    }
    Ok((platform, platform.own_folder(&surroundings.platform_config)))
}
