//! The programs under test, built once, with the profile and into the folder of the tests themselves.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the programs lie.
#[derive(Debug)]
pub struct Binaries {
    /// The daemon.
    pub akkd: PathBuf,
    /// The client; also the scriptable agent and the callback command.
    pub akkctl: PathBuf,
    /// Ends what a test program left behind, see [`Leash`](crate::leash::Leash).
    pub leash: PathBuf,
    /// Prints what everything costs.
    pub bench: PathBuf,
}

/// The programs. The first call builds what is not up to date.
pub fn binaries() -> &'static Binaries {
    static BUILT: OnceLock<Result<Binaries, String>> = OnceLock::new();
    match BUILT.get_or_init(build) {
        Ok(binaries) => binaries,
        Err(said) => panic!("akkd and akkctl cannot be built:\n{said}"),
    }
}

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository")
}

/// `target/<profile>`, where this test program lies and the programs under test belong.
fn profile_folder() -> PathBuf {
    // target/<profile>/deps/it-<hash>, or target/<profile>/soak
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.parent().expect("a file lies in a folder");
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    profile.expect("a test lies in target/<profile>/deps").to_owned()
}

/// `target`.
pub fn target() -> PathBuf {
    profile_folder().parent().expect("the profile's folder lies in target").to_owned()
}

fn build() -> Result<Binaries, String> {
    let (folder, target) = (profile_folder(), target());
    let profile = match folder.file_name().and_then(|n| n.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The whole workspace, so that features unify as they did for the tests and nothing is compiled twice.
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--workspace", "--bins", "--profile", profile, "--target-dir"])
        .arg(&target)
        .current_dir(repository())
        .output()
        .expect("cargo can be run");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let program = |name: &str| folder.join(name);
    Ok(Binaries { akkd: program("akkd"), akkctl: program("akkctl"), leash: program("leash"), bench: program("bench") })
}
