//! What is to be done, as steps: decided from what stands, without looking or doing anything.

use super::ask::words;
use super::platform::{LABEL, Platform, SOCKETS, UNIT};
use super::render::OURS;
use super::state::Managed;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Write this file, whole or not at all.
    Write(PathBuf, String),
    /// Remove this file; it may be gone already.
    Remove(PathBuf),
    /// Have the manager do this.
    Order(Vec<String>),
    /// Have the manager undo what may not be there: what it says does not matter.
    Try(Vec<String>),
    /// The same as an order, given again for a while: launchd refuses to load what it has not quite let go of.
    Insist(Vec<String>),
    /// Ask the akkd that runs by hand to stop, and wait for its end. Its agents go on.
    HandOver,
    /// Wait until no akkd has the home.
    AwaitEnd,
}

/// A file of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Where.
    pub(super) path: PathBuf,
    /// What is to stand in it.
    text: String,
    /// What stands in it now.
    before: Option<String>,
}

impl File {
    /// A file to be written, and what stands there now.
    ///
    /// # Errors
    /// When something stands there that akkctl did not write.
    pub(super) fn new(path: PathBuf, text: String) -> Result<Self> {
        let before = match std::fs::read_to_string(&path) {
            Ok(before) if !before.contains(OURS) => {
                return Err(Error::usage(
                    format!("{} is there, and akkctl did not write it", path.display()),
                    "Move it away, or go on with it as it is.",
                ));
            }
            Ok(before) => Some(before),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(Error::file("read", &path, e)),
        };
        Ok(Self { path, text, before })
    }

    fn is_there(&self) -> bool {
        self.before.is_some()
    }

    /// Whether it is to change.
    pub(super) fn changes(&self) -> bool {
        self.before.as_ref() != Some(&self.text)
    }
}

/// What stands.
#[derive(Debug)]
pub(super) struct Situation {
    /// The manager.
    pub(super) platform: Platform,
    /// What it says.
    pub(super) managed: Managed,
    /// The akkd that has the home and is not the service's.
    pub(super) by_hand: Option<u32>,
    /// The user.
    pub(super) uid: u32,
    /// The files of the service.
    pub(super) files: Vec<File>,
}

impl Situation {
    /// Everything that an installation needs; nothing where all is in place.
    pub(super) fn install(&self) -> Vec<Step> {
        let changed = self.files.iter().filter(|f| f.changes());
        let mut steps: Vec<Step> = changed.map(|f| Step::Write(f.path.clone(), f.text.clone())).collect();
        let changed = !steps.is_empty();
        let hand_over = self.by_hand.map(|_| Step::HandOver);
        match self.platform {
            Platform::Systemd => {
                if changed || !self.managed.enabled {
                    // Before anything is stopped: what systemd does not understand costs nobody their akkd.
                    steps.push(Step::Order(words(&["--user", "daemon-reload"])));
                    steps.push(Step::Order(all("enable")));
                }
                // An idle service that listens is in place. One whose sockets are not its own any more is started again.
                if changed || !self.managed.listening || hand_over.is_some() {
                    // Also one that systemd is about to start again: it would refuse to listen for it.
                    if self.managed.pid.is_some() || self.managed.listening || self.files.iter().any(File::is_there) {
                        steps.extend(stop_listening(self.platform));
                        steps.extend(stop(self.platform));
                    }
                    steps.extend(hand_over);
                    steps.extend(start_units());
                }
            }
            Platform::Launchd => {
                let loaded = self.managed.enabled;
                if changed || !loaded || hand_over.is_some() {
                    if loaded {
                        steps.extend([self.boot_out(), Step::AwaitEnd]);
                    }
                    steps.extend(hand_over);
                    // One that the user disabled once would not be loaded.
                    steps.push(Step::Try(words(&["enable", &service(self.uid)])));
                    steps.extend(self.files.first().map(|f| self.bootstrap(&f.path)));
                }
            }
        }
        steps
    }

    /// What makes an installation that failed undone, wherever it failed.
    pub(super) fn take_back(&self) -> Vec<Step> {
        let ran = self.managed.pid.is_some() || self.managed.listening;
        let mut steps = Vec::new();
        match self.platform {
            Platform::Systemd if !self.managed.enabled => {
                let mut undo = all("disable");
                undo.insert(2, "--now".to_owned());
                steps.push(Step::Try(undo));
            }
            Platform::Systemd => {}
            Platform::Launchd => steps.push(self.boot_out()),
        }
        for file in self.files.iter().filter(|f| f.changes()) {
            steps.push(match &file.before {
                Some(text) => Step::Write(file.path.clone(), text.clone()),
                None => Step::Remove(file.path.clone()),
            });
        }
        match self.platform {
            Platform::Systemd => {
                steps.push(Step::Try(words(&["--user", "daemon-reload"])));
                steps.push(Step::Try(all("reset-failed")));
                if self.managed.enabled && ran {
                    steps.push(Step::Try(all("start")));
                }
            }
            Platform::Launchd if self.managed.enabled => {
                steps.extend(self.files.first().map(|f| self.bootstrap(&f.path)));
            }
            Platform::Launchd => {}
        }
        steps
    }

    /// Starts what is installed as `file`.
    pub(super) fn start(&self, file: &Path) -> Vec<Step> {
        match self.platform {
            Platform::Systemd => {
                let mut steps = Vec::new();
                // systemd does not listen for a service that runs already without its sockets.
                if !self.managed.listening {
                    steps.extend(stop(self.platform));
                }
                steps.extend(start_units());
                steps
            }
            Platform::Launchd if self.managed.enabled => {
                vec![Step::Order(words(&["kickstart", &service(self.uid)]))]
            }
            Platform::Launchd => vec![self.bootstrap(file)],
        }
    }

    fn boot_out(&self) -> Step {
        Step::Try(words(&["bootout", &service(self.uid)]))
    }

    fn bootstrap(&self, file: &Path) -> Step {
        // Paths of a home are UTF-8 on macOS.
        Step::Insist(words(&["bootstrap", &format!("gui/{}", self.uid), &file.to_string_lossy()]))
    }
}

/// Takes the sockets away that would start the service again.
pub(super) fn stop_listening(platform: Platform) -> Vec<Step> {
    match platform {
        Platform::Systemd => {
            let mut order = words(&["--user", "stop"]);
            order.extend(words(&SOCKETS));
            vec![Step::Order(order)]
        }
        // launchd starts again only what failed.
        Platform::Launchd => Vec::new(),
    }
}

/// Has the manager stop the service, or know that it has stopped.
pub(super) fn stop(platform: Platform) -> Vec<Step> {
    match platform {
        Platform::Systemd => vec![Step::Order(words(&["--user", "stop", UNIT]))],
        Platform::Launchd => Vec::new(),
    }
}

/// Stops the service and removes `files`; nothing where there are none. A unit whose file is gone already, as after an end
/// that was cut off, is one that systemd may have forgotten: it is told of all the same, and may say so.
pub(super) fn uninstall(platform: Platform, uid: u32, files: &[PathBuf]) -> Vec<Step> {
    if files.is_empty() {
        return Vec::new();
    }
    let removed = files.iter().cloned().map(Step::Remove);
    match platform {
        Platform::Systemd => {
            let is_there = |unit: &&str| files.iter().any(|file| file.ends_with(unit));
            let mut steps = Vec::new();
            let mut tell = |verb: &str, units: &[&str]| {
                let (there, gone): (Vec<&str>, Vec<&str>) = units.iter().partition(|unit| is_there(unit));
                let order = |units: Vec<&str>| words(&[&["--user", verb], &*units].concat());
                if !gone.is_empty() {
                    steps.push(Step::Try(order(gone)));
                }
                if !there.is_empty() {
                    steps.push(Step::Order(order(there)));
                }
            };
            tell("stop", &SOCKETS);
            tell("stop", &[UNIT]);
            tell("disable", &[SOCKETS[0], SOCKETS[1], UNIT]);
            steps.extend(removed);
            steps.push(Step::Order(words(&["--user", "daemon-reload"])));
            // Else a failure of long ago is shown of a unit that is gone.
            steps.push(Step::Try(all("reset-failed")));
            steps
        }
        Platform::Launchd => {
            let mut steps = vec![Step::Try(words(&["bootout", &service(uid)])), Step::AwaitEnd];
            steps.extend(removed);
            steps
        }
    }
}

/// Removes `files`, and the links in `folder` that enabled them, where no systemd is there to do that.
pub(super) fn uninstall_alone(folder: &Path, files: &[PathBuf]) -> Vec<Step> {
    let wants = ["default.target.wants", "sockets.target.wants"].map(|target| folder.join(target));
    let names = files.iter().filter_map(|file| file.file_name());
    let links = names.flat_map(|name| wants.iter().map(move |target| target.join(name)));
    links.chain(files.iter().cloned()).map(Step::Remove).collect()
}

/// Starts the service and its sockets. What failed often a moment ago, systemd would not start for a while: somebody
/// asks now, so that it is to forget that.
fn start_units() -> [Step; 2] {
    [Step::Try(all("reset-failed")), Step::Order(all("start"))]
}

/// `verb` for the service and its sockets.
fn all(verb: &str) -> Vec<String> {
    let mut order = words(&["--user", verb]);
    order.extend(words(&SOCKETS));
    order.push(UNIT.to_owned());
    order
}

/// The service as launchd names it.
fn service(uid: u32) -> String {
    format!("gui/{uid}/{LABEL}")
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
