//! A home for one akkd: short paths, nothing of the user's.

use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The folders of one story. Removed with everything in them when dropped.
#[derive(Debug)]
pub struct Home {
    root: TempDir,
}

impl Home {
    /// Makes the folders, below `/tmp` because a socket's path must be short.
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("akkt-").tempdir_in("/tmp").expect("/tmp takes a folder");
        let home = Self { root };
        for folder in [home.akk(), home.user(), home.workspace(), home.sessions(), home.temporary()] {
            std::fs::create_dir(folder).expect("a fresh folder takes folders");
        }
        home
    }

    /// The folder that holds all the others: whatever runs for this story has it in its environment.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// `AKK_HOME`.
    pub fn akk(&self) -> PathBuf {
        self.root().join("akk")
    }

    /// `HOME` of everything that runs.
    pub fn user(&self) -> PathBuf {
        self.root().join("user")
    }

    /// `TMPDIR` of everything that runs.
    pub fn temporary(&self) -> PathBuf {
        self.root().join("t")
    }

    /// Where agents work. Canonical, as akkd stores it (`/tmp` is a link on macOS).
    pub fn workspace(&self) -> PathBuf {
        self.root().canonicalize().expect("the folder is there").join("work")
    }

    /// Lets agents go on whose script says `until go.on`: what a story needs a running turn for is over, however long it
    /// took.
    pub fn go_on(&self) {
        std::fs::write(self.workspace().join("go.on"), "").expect("the workspace is there");
    }

    /// Where the scriptable agent keeps its sessions.
    pub fn sessions(&self) -> PathBuf {
        self.root().join("sessions")
    }

    /// The scriptable agent's log.
    pub fn agent_log(&self) -> PathBuf {
        self.root().join("agent.log")
    }

    /// What akkd prints.
    pub fn daemon_output(&self) -> PathBuf {
        self.root().join("akkd.out")
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.akk().join("config.toml")
    }

    /// The control socket.
    pub fn control_socket(&self) -> PathBuf {
        self.akk().join("run/akkd.sock")
    }

    /// The callback socket.
    pub fn callback_socket(&self) -> PathBuf {
        self.akk().join("run/callback.sock")
    }

    /// The environment of akkd and akkctl: this home, and of the tester's environment only what programs need to run.
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |p: PathBuf| p.to_str().expect("paths under /tmp are UTF-8").to_owned();
        let kept = ["PATH", "LANG", "TERM", "npm_config_cache", "npm_config_registry", "NODE_EXTRA_CA_CERTS"];
        let kept = kept.into_iter().filter_map(|n| Some((n.to_owned(), std::env::var(n).ok()?)));
        kept.chain([
            ("HOME".to_owned(), text(self.user())),
            ("TMPDIR".to_owned(), text(self.temporary())),
            ("AKK_HOME".to_owned(), text(self.akk())),
            ("AKK_LOG_LEVEL".to_owned(), "debug".to_owned()),
        ])
        .collect()
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}
