//! Ends what a test program leaves behind. What several stories share stands in statics, which are not dropped at
//! the end of a program, and a program can be killed.

use crate::binaries::binaries;
use crate::processes;
use std::io::{BufRead as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// A process that outlives this one by a moment: it waits for the end of a pipe of which this process has the other
/// end, and then ends every process that has one of the folders in its environment, and removes the folders.
#[derive(Debug)]
pub struct Leash {
    keeper: Child,
    line: Option<ChildStdin>,
}

impl Leash {
    /// Holds on to everything that runs with one of these folders.
    pub fn on(folders: &[&Path]) -> Self {
        let mut keeper = Command::new(&binaries().leash)
            .env_clear()
            // Ctrl-C ends the tests, not what ends things after them.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the leash can be run");
        let mut line = keeper.stdin.take().expect("it has a standard input");
        for folder in folders {
            // Not in the command line, where it would look like one of the processes that belong to the folder.
            writeln!(line, "{}", folder.display()).expect("it reads");
        }
        Self { keeper, line: Some(line) }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.line = None;
        // It ends by itself, after what it holds.
        let _ = self.keeper.wait();
    }
}

/// The program `leash`: reads folders, one a line, and at the end of its input ends what runs with them.
pub fn hold() {
    let folders: Vec<PathBuf> = std::io::stdin().lock().lines().map_while(Result::ok).map(PathBuf::from).collect();
    for folder in &folders {
        processes::end_all(folder);
        // Usually its owner did so.
        let _ = std::fs::remove_dir_all(folder);
    }
}
