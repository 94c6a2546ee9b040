//! One call of OpenClaw's command line: what it says until it ends, how it is ended when it does not, and why it failed.

use super::program::OpenClaw;
use crate::error::{Error, Result};
use process_wrap::std::ChildWrapper;
use rustix::process::Signal;
use serde_json::Value;
use std::io::Read;
use std::process::ExitStatus;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
/// For the last words of a program that ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Between two looks whether the program ended while something else holds its output open.
const LOOK: Duration = Duration::from_millis(250);
/// Between two looks at a program that has closed its output.
pub(super) const ENDING: Duration = Duration::from_millis(3);
/// What is kept of its output, in bytes: a catalogue of every plugin has 200 kB.
pub(super) const MAX_OUTPUT: usize = 4 << 20;

/// What a call came to.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) status: ExitStatus,
}

impl Said {
    /// This, when the call went well.
    ///
    /// # Errors
    /// Why it did not do `what`, and what to do.
    pub(super) fn expect(self, what: &str, openclaw: &OpenClaw) -> Result<Self> {
        if self.status.success() {
            return Ok(self);
        }
        let reason = self.reason();
        let all = format!("{}\n{}", self.err, self.out);
        let node = ["node:sqlite", "Unsupported Node", "nvm install"].iter().any(|w| all.contains(w))
            || (all.contains("env:") && all.contains("node"));
        let hint = if node {
            "put the Node.js that OpenClaw needs first in PATH, or let --openclaw name a script that runs OpenClaw with it"
                .to_owned()
        } else if all.contains("config is invalid") {
            format!("see `{}` and repair it; then run this again", openclaw.typed("config validate"))
        } else if reason.contains("EACCES") || reason.contains("EROFS") || reason.contains("EPERM") {
            "OpenClaw must be able to write its own configuration and state; run this as the user it belongs to"
                .to_owned()
        } else {
            format!("try `{}`; running akkctl again goes on where it stopped", openclaw.typed("doctor"))
        };
        Err(Error::Program { message: format!("openclaw could not {what}: {reason}"), hint })
    }

    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_str(self.out.trim()).ok()
    }

    /// Why it failed, in one sentence of its own.
    pub(super) fn reason(&self) -> String {
        if let Some(answer) = self.json()
            && let Some(message) = answer["error"]["message"].as_str()
        {
            let first = message.lines().next().unwrap_or(message);
            return first.trim().trim_end_matches('.').to_owned();
        }
        let plain = without_escapes(&format!("{}\n{}", self.err, self.out));
        let lines: Vec<&str> = plain.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let after = |mark: &str| lines.iter().find_map(|l| Some(l.split_once(mark)?.1.trim()));
        if let Some(at) = lines.iter().position(|l| *l == "OpenClaw config is invalid") {
            let problem = lines[at..].iter().find_map(|l| l.strip_prefix("- "));
            return format!("its configuration is invalid: {}", problem.unwrap_or("see its own words"));
        }
        let said =
            after("Reason: ").or_else(|| lines.iter().find_map(|l| l.strip_prefix("openclaw: "))).or_else(|| {
                // Boxes, warnings and log lines come before the sentence that ends the command.
                lines.iter().rev().copied().find(|l| !l.starts_with(['│', '◇', '├', '╰', '[', '-']))
            });
        match said {
            Some(said) => said.trim_end_matches('.').to_owned(),
            None => format!("it gave no reason ({})", self.status),
        }
    }
}

/// Reads what the program says until it ends; ends it when the time is over, and returns nothing then.
pub(super) fn follow(
    mut child: Box<dyn ChildWrapper>,
    stdin: Option<String>,
    limit: Duration,
) -> Result<Said, Option<std::io::Error>> {
    let begun = Instant::now();
    let left = || limit.checked_sub(begun.elapsed());
    if let (Some(text), Some(mut input)) = (stdin, child.stdin().take()) {
        // A patch fits into the pipe; a program that does not read it says why itself.
        let _ = std::io::Write::write_all(&mut input, text.as_bytes());
    }
    let (tell, told) = mpsc::channel();
    let pipes: [Option<Box<dyn Read + Send>>; 2] =
        [child.stdout().take().map(|p| Box::new(p) as _), child.stderr().take().map(|p| Box::new(p) as _)];
    for (which, pipe) in pipes.into_iter().enumerate() {
        let tell = tell.clone();
        std::thread::spawn(move || {
            let mut kept = 0;
            let mut block = [0; 8192];
            let Some(mut pipe) = pipe else { return };
            while let Ok(n) = pipe.read(&mut block) {
                if n == 0 {
                    break;
                }
                // What is beyond is read and dropped, so that the program is not stopped by a full pipe.
                if kept < MAX_OUTPUT {
                    kept += n;
                    let _ = tell.send((which, false, block[..n].to_vec()));
                }
            }
            let _ = tell.send((which, true, Vec::new()));
        });
    }
    drop(tell);
    let mut text = [Vec::new(), Vec::new()];
    let mut open = 2;
    let mut status = None;
    // Something that the program left running may hold its output open: then its own end is what counts.
    let mut last_words = None;
    while open > 0 && last_words.is_none_or(|at: Instant| at.elapsed() < LAST_WORDS) {
        match told.recv_timeout(LOOK) {
            Ok((_, true, _)) => open -= 1,
            Ok((which, false, bytes)) => text[which].extend(bytes),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                if status.is_none() {
                    status = child.try_wait().map_err(Some)?;
                    last_words = status.map(|_| Instant::now());
                }
            }
        }
        if status.is_none() && left().is_none() {
            return Err(end(child));
        }
    }
    let status = loop {
        if let Some(status) = status {
            break status;
        }
        if left().is_none() {
            return Err(end(child));
        }
        std::thread::sleep(ENDING);
        status = child.try_wait().map_err(Some)?;
    };
    let [out, err] = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Said { out, err, status })
}

/// Ends the program and what it started.
fn end(mut child: Box<dyn ChildWrapper>) -> Option<std::io::Error> {
    let _ = child.signal(Signal::TERM.as_raw());
    let begun = Instant::now();
    while begun.elapsed() < GRACE {
        if let Ok(Some(_)) = child.try_wait() {
            return None;
        }
        std::thread::sleep(LOOK);
    }
    let _ = child.start_kill();
    child.wait().err()
}

/// `text` without the escape sequences that colour it.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            let _ = chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}
