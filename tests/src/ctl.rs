//! Running akkctl as a person or a script does.

use crate::binaries::binaries;
use crate::home::Home;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// No command of akkctl takes longer in a story.
const LIMIT: Duration = Duration::from_secs(90);

/// What akkctl came to.
#[derive(Debug, Clone)]
pub struct CtlOutput {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl CtlOutput {
    /// The output of a command that must succeed.
    ///
    /// # Panics
    /// When it did not.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Its one line of JSON.
    ///
    /// # Panics
    /// When it printed something else.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{e} in {:?}, stderr {:?}", self.stdout, self.stderr))
    }
}

/// `["a", "b"]` as owned words.
pub fn strs(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

/// akkctl on this home, from the home's workspace, not yet started.
pub fn command(home: &Home, words: &[&str]) -> Command {
    let mut command = Command::new(&binaries().akkctl);
    command
        .args(words)
        .env_clear()
        .envs(home.environment())
        .current_dir(home.workspace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs akkctl and waits for its end.
pub async fn run(home: &Home, words: &[&str]) -> CtlOutput {
    finish(command(home, words), words, &[]).await
}

/// Runs akkctl with something on its standard input.
pub async fn run_with_input(home: &Home, words: &[&str], input: &[u8]) -> CtlOutput {
    let mut command = command(home, words);
    command.stdin(Stdio::piped());
    finish(command, words, input).await
}

async fn finish(mut command: Command, words: &[&str], input: &[u8]) -> CtlOutput {
    let mut child = command.spawn().expect("akkctl can be run");
    if let Some(mut stdin) = child.stdin.take() {
        // akkctl may end without reading it all: its exit code tells then.
        let _ = stdin.write_all(input).await;
    }
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
    let output = output.unwrap_or_else(|_| panic!("akkctl {words:?} did not end in {LIMIT:?}")).expect("akkctl ends");
    CtlOutput {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
