//! The files that define the service, filled in for this akkd and this shell.

use super::environment::captured;
use super::platform::Platform;
use super::{plist, units};
use crate::error::{Error, Result};
use crate::start::find_program;
use std::collections::BTreeMap;
use std::path::Path;

/// In a file that `akkctl daemon install` wrote. One without it is somebody else's, and never replaced or removed.
pub(super) const OURS: &str = "akkctl daemon install";

/// Name and content of the files of the service that would be installed now, from this shell.
///
/// # Errors
/// When there is no akkd, or a file of the platform cannot hold its path or the shell's `PATH`.
pub(super) fn rendered_here(platform: Platform) -> Result<Vec<(String, String)>> {
    let program = find_program(std::env::current_exe().ok(), std::env::var_os("PATH"))?;
    rendered(platform, &program, &captured(|name| std::env::var(name).ok()))
}

/// The same for this program and environment.
pub(super) fn rendered(
    platform: Platform,
    akkd: &Path,
    environment: &[(&'static str, String)],
) -> Result<Vec<(String, String)>> {
    let files = match platform {
        Platform::Systemd => units::rendered(akkd, environment),
        Platform::Launchd => plist::rendered(akkd, environment).map(|text| vec![(platform.main_file(), text)]),
    };
    files.ok_or_else(|| {
        Error::usage(
            "the path of akkd, PATH, or the address of a proxy holds what no file of a service can",
            "Remove line breaks and bytes that are no text from it.",
        )
    })
}

/// The variables that such a file sets.
pub(super) fn environment_of(platform: Platform, text: &str) -> BTreeMap<String, String> {
    match platform {
        Platform::Systemd => units::environment_of(text),
        Platform::Launchd => plist::environment_of(text),
    }
}
