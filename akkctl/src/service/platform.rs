//! Which manager of services a system has, and where it looks.

use std::path::{Path, PathBuf};

/// The unit that runs akkd.
pub(crate) const UNIT: &str = "akkd.service";
/// The units that listen for it.
pub(crate) const SOCKETS: [&str; 2] = ["akkd-control.socket", "akkd-callback.socket"];
pub(crate) use akk_proto::paths::LAUNCHD_LABEL as LABEL;

/// The manager of services. Everything that differs between the two is decided by this, so that tests decide for both
/// on either system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    /// systemd's manager of this user's units.
    Systemd,
    /// launchd's domain of this user's logged-in session, `gui/UID`.
    Launchd,
}

impl Platform {
    /// The one of this system, if akkd knows it.
    pub(crate) fn here() -> Option<Self> {
        if cfg!(target_os = "linux") {
            Some(Self::Systemd)
        } else if cfg!(target_os = "macos") {
            Some(Self::Launchd)
        } else {
            None
        }
    }

    /// Where a user's own definitions of services lie; `config` is the platform's folder for configuration.
    pub(crate) fn own_folder(self, config: &Path) -> PathBuf {
        match self {
            Self::Systemd => config.join("systemd/user"),
            // ~/Library/Application Support lies beside it.
            Self::Launchd => config.parent().unwrap_or(config).join("LaunchAgents"),
        }
    }

    /// The file that defines the service itself, in [`Self::own_folder`].
    pub(crate) fn main_file(self) -> String {
        match self {
            Self::Systemd => UNIT.to_owned(),
            Self::Launchd => format!("{LABEL}.plist"),
        }
    }

    /// The program that is asked to do something.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Systemd => "systemctl",
            Self::Launchd => "launchctl",
        }
    }
}

/// The definition of the service that counts for this user: their own, else one of the system that somebody enabled.
/// A package may bring units that nobody uses; they are nobody's service.
pub(crate) fn definition(platform: Platform, config: &Path, system: &[PathBuf]) -> Option<PathBuf> {
    let folder = platform.own_folder(config);
    let own = folder.join(platform.main_file());
    if own.is_file() {
        return Some(own);
    }
    if platform == Platform::Launchd {
        return None;
    }
    let folders: Vec<PathBuf> = system.iter().map(|base| base.join("systemd/user")).collect();
    let links = ["default.target.wants/akkd.service", "sockets.target.wants/akkd-control.socket"];
    // A link may be broken as seen from here; that somebody made it is what counts.
    let enabled = |place: &PathBuf| links.iter().any(|link| place.join(link).is_symlink());
    if !std::iter::once(&folder).chain(&folders).any(enabled) {
        return None;
    }
    folders.into_iter().map(|folder| folder.join(UNIT)).find(|unit| unit.is_file())
}

/// Where units of the whole system lie, in systemd's order.
pub(crate) fn system_folders() -> Vec<PathBuf> {
    ["/etc", "/run", "/usr/local/share", "/usr/share", "/usr/local/lib", "/usr/lib"].map(PathBuf::from).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn units_that_a_package_brought_and_nobody_enabled_are_no_service() {
        let folder = tempfile::tempdir().unwrap();
        let (config, lib) = (folder.path().join("config"), folder.path().join("lib"));
        let system = [folder.path().join("etc"), lib.clone()];
        let find = || definition(Platform::Systemd, &config, &system);
        fs::create_dir_all(lib.join("systemd/user")).unwrap();
        fs::write(lib.join("systemd/user").join(UNIT), "").unwrap();
        assert_eq!(find(), None);
        let wants = folder.path().join("etc/systemd/user/sockets.target.wants");
        fs::create_dir_all(&wants).unwrap();
        std::os::unix::fs::symlink("/nowhere", wants.join("akkd-control.socket")).unwrap();
        assert_eq!(find(), Some(lib.join("systemd/user/akkd.service")), "the owner of the machine enabled it for all");
        fs::create_dir_all(config.join("systemd/user")).unwrap();
        fs::write(config.join("systemd/user").join(UNIT), "").unwrap();
        assert_eq!(find(), Some(config.join("systemd/user/akkd.service")), "one's own goes first");
    }

    #[test]
    fn a_launch_agent_lies_beside_application_support() {
        let folder = Platform::Launchd.own_folder(Path::new("/Users/u/Library/Application Support"));
        assert_eq!(folder, Path::new("/Users/u/Library/LaunchAgents"));
    }
}
