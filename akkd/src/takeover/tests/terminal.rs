//! A terminal of a person, that really runs.

use super::super::testing::holder;
use crate::platform::ProcessIdentity;
use crate::sessions::Holder;
use akk_proto::session::{Evidence, ProcessKind};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A person's terminal, played by a shell. Ended with the test.
pub(super) struct Terminal {
    pub(super) child: Child,
    pub(super) identity: ProcessIdentity,
    /// The pid that it printed, if it did.
    pub(super) printed: Option<u32>,
}

impl Terminal {
    /// Runs `script`, which prints a line when it is ready.
    pub(super) fn running(script: &str) -> Self {
        Self::with(script, &[])
    }

    pub(super) fn with(script: &str, env: &[(&str, &str)]) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).envs(env.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap().unwrap();
        Self { child, identity, printed: line.trim().parse().ok() }
    }

    /// One that ends when it is asked to.
    pub(super) fn polite() -> Self {
        Self::running("echo ready; read x")
    }

    /// One that does not.
    pub(super) fn deaf() -> Self {
        Self::running("trap '' TERM; echo ready; while :; do read x || sleep 1; done")
    }

    pub(super) fn holds(&self) -> Holder {
        holder(self.identity.clone(), ProcessKind::Tui, Evidence::Lock)
    }

    pub(super) fn lives(&self) -> bool {
        self.identity.is_alive().unwrap()
    }

    /// It ends by itself, and is reaped.
    pub(super) fn quits(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
