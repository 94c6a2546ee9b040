//! What akkctl takes from its surroundings: where akkd keeps its things, and whether an agent runs us.

use crate::error::{Error, Result};
use akk_proto::paths::{Environment, Paths, usual_runtime_dir};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// Set in the environment of every agent that akkd starts.
pub(crate) const CONVERSATION: &str = "AKK_CONVERSATION";
/// The secret that lets an agent report.
pub(crate) const TICKET: &str = "AKK_TICKET";
/// Where an agent reports.
pub(crate) const CALLBACK_SOCKET: &str = "AKK_CALLBACK_SOCKET";
/// Where an agent leaves a report when it cannot reach that.
pub(crate) const DROP_DIR: &str = "AKK_DROP_DIR";

/// Where akkd keeps its things, and who asks.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// Where akkd keeps its things.
    pub(crate) paths: Paths,
    /// `AKK_HOME`, made absolute: a started akkd has another working directory.
    pub(crate) akk_home: Option<PathBuf>,
    /// `AKK_SOCKET`, made absolute.
    pub(crate) akk_socket: Option<PathBuf>,
    /// The platform's directory for configuration, such as `~/.config`.
    pub(crate) platform_config: PathBuf,
    /// The folder for sockets of this login, such as `/run/user/1000`, where there is one.
    pub(crate) runtime_dir: Option<PathBuf>,
    /// Who we are.
    pub(crate) uid: u32,
    /// Whether akkctl runs inside an agent.
    pub(crate) inside_agent: bool,
}

impl Surroundings {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// When there is no home directory to fall back to.
    pub(crate) fn from_process() -> Result<Self> {
        let Some(base) = directories::BaseDirs::new() else {
            return Err(Error::usage(
                "your home directory is unknown",
                "set HOME, or AKK_HOME to a directory of yours",
            ));
        };
        let akk_home = absolute_path("AKK_HOME");
        let akk_socket = absolute_path("AKK_SOCKET");
        let uid = rustix::process::getuid().as_raw();
        let runtime_dir = base.runtime_dir().map(PathBuf::from).or_else(|| made_by_systemd(uid));
        let environment = Environment {
            akk_home: akk_home.clone(),
            akk_socket: akk_socket.clone(),
            runtime_dir: runtime_dir.clone(),
            // macOS has no directory for state of its own.
            platform_state: base.state_dir().unwrap_or_else(|| base.data_local_dir()).to_owned(),
            platform_config: base.config_dir().to_owned(),
            uid,
        };
        Ok(Self {
            paths: Paths::resolve(&environment),
            akk_home,
            akk_socket,
            platform_config: base.config_dir().to_owned(),
            runtime_dir,
            uid,
            inside_agent: set(CONVERSATION).is_some(),
        })
    }

    /// Whether this is the home that an installed user service serves: no variable points elsewhere.
    pub(crate) fn is_default_home(&self) -> bool {
        self.akk_home.is_none() && self.akk_socket.is_none()
    }
}

/// The value of a variable; an empty one counts as unset.
pub(crate) fn set(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|v| !v.is_empty())
}

/// The runtime directory of a login that does not name it.
fn made_by_systemd(uid: u32) -> Option<PathBuf> {
    let folder = usual_runtime_dir(uid);
    let there = cfg!(target_os = "linux")
        && folder.symlink_metadata().is_ok_and(|m| m.is_dir() && m.uid() == uid && m.mode() & 0o077 == 0);
    there.then_some(folder)
}

fn absolute_path(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(set(name)?);
    Some(std::path::absolute(&path).unwrap_or(path))
}
