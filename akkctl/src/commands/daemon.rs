//! `akkctl daemon`: akkd itself, and its log.

use super::{Context, show_raw};
use crate::cli::Daemon;
use crate::client::{Client, PATIENCE};
use crate::error::{Error, Result, exit};
use crate::output::{self, print};
use crate::service;
use crate::start::{Started, Version, start_on_request};
use crate::stop;
use akk_proto::api::{DaemonInfo, Empty};
use akk_proto::audit::{AuditAnswer, AuditParams};
use notify::Watcher as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Watches are hints: looked at again after this in any case.
const SCAN: Duration = Duration::from_secs(2);
/// Read backwards in pieces of this size, in bytes.
const BLOCK: u64 = 64 << 10;

pub(super) fn run(command: Daemon, context: &Context<'_>) -> Result<u8> {
    match command {
        Daemon::Start => start(context),
        Daemon::Stop { agents } => stop(agents, context),
        Daemon::Status => status(context),
        Daemon::Audit { conversation, since, limit } => {
            let params = AuditParams { since, limit, conversation_id: conversation };
            audit(&params, context)
        }
        Daemon::Install => install(context),
        Daemon::Uninstall => uninstall(context),
        Daemon::Logs { follow, lines } => logs(follow, lines, context),
    }
}

fn install(context: &Context<'_>) -> Result<u8> {
    let done = service::install(context.surroundings)?;
    let mut lines = told("wrote", &done.files);
    if let Some(pid) = done.taken_over {
        lines.push(format!("akkd (process {pid}), started by hand, was stopped; the service goes on with its turns"));
    }
    lines.push(match done.files.is_empty() && done.taken_over.is_none() {
        true => "the service is installed: everything is in place".to_owned(),
        false => "the service is installed, and starts with your login or when it is needed".to_owned(),
    });
    show_done(&done, lines, context)
}

fn uninstall(context: &Context<'_>) -> Result<u8> {
    let done = service::uninstall(context.surroundings)?;
    let mut lines = told("removed", &done.files);
    lines.push(match done.files.is_empty() {
        true => "nothing is installed".to_owned(),
        false => "akkd is stopped; running turns are left alone, and the next akkctl command starts an akkd that goes \
                  on with them"
            .to_owned(),
    });
    show_done(&done, lines, context)
}

fn told(what: &str, files: &[PathBuf]) -> Vec<String> {
    files.iter().map(|file| format!("{what} {}", file.display())).collect()
}

fn show_done(done: &service::Done, lines: Vec<String>, context: &Context<'_>) -> Result<u8> {
    if context.json {
        let files: Vec<_> = done.files.iter().map(|f| f.display().to_string()).collect();
        let answer = serde_json::json!({ "files": files, "taken_over": done.taken_over, "notes": done.notes });
        print(&format!("{answer}\n"))?;
    } else {
        let notes = done.notes.iter().map(|note| format!("note: {note}"));
        let lines: Vec<_> = lines.into_iter().chain(notes).collect();
        print(&format!("{}\n", lines.join("\n")))?;
    }
    Ok(exit::OK)
}

fn start(context: &Context<'_>) -> Result<u8> {
    let (mut client, started) = start_on_request(context.surroundings)?;
    let answer = client.call("daemon.info", &Empty {}, PATIENCE)?;
    context.show::<DaemonInfo>(&answer, |info, _| match started {
        Started::Already => format!("akkd runs already: process {}\n", info.pid),
        Started::Now => format!("akkd runs: process {}\n", info.pid),
    })?;
    Ok(exit::OK)
}

fn stop(agents: bool, context: &Context<'_>) -> Result<u8> {
    let surroundings = context.surroundings;
    let serviced = service::installed(surroundings).is_some();
    // A service's socket would start an akkd only to be stopped: who has the home is found out without connecting.
    let runs = stop::holder(&surroundings.paths).is_some();
    let connected = if serviced && !runs {
        Err(Error::NotRunning(surroundings.paths.control_socket.clone()))
    } else {
        Client::connect(&surroundings.paths.control_socket)
    };
    let mut client = match connected {
        Ok(client) => Some(client),
        Err(Error::NotRunning(_)) => None,
        Err(e) => return Err(e),
    };
    if serviced {
        // Else the next connection starts it again. The one that we have stays.
        service::stop_listening(surroundings)?;
    }
    let answer = match &mut client {
        Some(client) => stop::stop(client, agents, &surroundings.paths)?,
        None => None,
    };
    if serviced {
        // It has stopped or listens nowhere; systemd is to know, and not to start it again.
        service::stop(surroundings)?;
    }
    match answer.filter(|_| context.json) {
        Some(answer) => show_raw(&answer)?,
        None if context.json => print("{}\n")?,
        None if client.is_none() && runs => print("akkd is stopped\n")?,
        None if client.is_none() => print("akkd is not running\n")?,
        None if agents => print("akkd is stopped, and its agents with it\n")?,
        None => print("akkd is stopped; running turns are left alone, and the next akkd goes on with them\n")?,
    }
    Ok(exit::OK)
}

fn status(context: &Context<'_>) -> Result<u8> {
    let mut client = Client::connect(&context.surroundings.paths.control_socket)?;
    let answer = client.call("daemon.info", &Empty {}, PATIENCE)?;
    if let Some(e) = answer.read::<Version>()?.mismatch() {
        return Err(e);
    }
    context.show(&answer, output::daemon)?;
    Ok(exit::OK)
}

/// Does not start akkd: that would be a look that changes something.
fn audit(params: &AuditParams, context: &Context<'_>) -> Result<u8> {
    let mut client = Client::connect(&context.surroundings.paths.control_socket)?;
    let answer = client.call("daemon.audit", params, PATIENCE)?;
    context.show::<AuditAnswer>(&answer, output::audit)?;
    Ok(exit::OK)
}

fn logs(follow: bool, lines: usize, context: &Context<'_>) -> Result<u8> {
    let folder = context.surroundings.paths.logs();
    let show = |line: &str| {
        let view = context.view.at_this_moment();
        print(&if context.json { format!("{line}\n") } else { output::log_line(line, &view) })
    };
    let newest = newest_log(&folder);
    let Some(path) = newest else {
        return Err(Error::Program {
            message: format!("there is no log in {}", folder.display()),
            hint: "akkd writes one when it starts: `akkctl daemon start`".to_owned(),
        });
    };
    let mut tail = Tail::open(path, lines)?;
    for line in tail.lines()? {
        show(&line)?;
    }
    if !follow {
        return Ok(exit::OK);
    }
    let (tell, told) = mpsc::channel();
    let hint = "print the log without --follow";
    let watching =
        |e: notify::Error| Error::Program { message: format!("the log cannot be watched: {e}"), hint: hint.to_owned() };
    let mut watcher = notify::recommended_watcher(tell).map_err(watching)?;
    watcher.watch(&folder, notify::RecursiveMode::NonRecursive).map_err(watching)?;
    loop {
        match told.recv_timeout(SCAN) {
            // One look is enough for all that was told.
            Ok(_) => while told.try_recv().is_ok() {},
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(exit::OK),
        }
        for line in tail.lines()? {
            show(&line)?;
        }
        // The next day has a file of its own.
        if let Some(path) = newest_log(&folder).filter(|p| *p != tail.path) {
            tail = Tail::open(path, usize::MAX)?;
            for line in tail.lines()? {
                show(&line)?;
            }
        }
    }
}

/// The log of the newest day: its name holds the date.
fn newest_log(folder: &Path) -> Option<PathBuf> {
    let is_log = |name: &str| name.starts_with("runtime-") && name.ends_with(".ndjson");
    std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|n| n.to_str()).is_some_and(is_log))
        .max()
}

/// The end of a file that grows.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    file: File,
    /// The beginning of a line whose end is not written yet.
    unfinished: Vec<u8>,
}

impl Tail {
    /// Stands before the last `lines` lines of the file.
    fn open(path: PathBuf, lines: usize) -> Result<Self> {
        let mut file = File::open(&path).map_err(|e| Error::file("read", &path, e))?;
        seek_to_last(&mut file, lines).map_err(|e| Error::file("read", &path, e))?;
        Ok(Self { path, file, unfinished: Vec::new() })
    }

    /// The lines that were finished since the last call.
    fn lines(&mut self) -> Result<Vec<String>> {
        self.file.read_to_end(&mut self.unfinished).map_err(|e| Error::file("read", &self.path, e))?;
        let Some(end) = self.unfinished.iter().rposition(|b| *b == b'\n') else { return Ok(Vec::new()) };
        let rest = self.unfinished.split_off(end + 1);
        let whole = std::mem::replace(&mut self.unfinished, rest);
        Ok(String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect())
    }
}

fn seek_to_last(file: &mut File, lines: usize) -> std::io::Result<()> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut at = end;
    let mut newlines = 0_usize;
    let mut block = Vec::new();
    while at > 0 {
        let from = at.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(from))?;
        block.clear();
        file.take(at - from).read_to_end(&mut block)?;
        for (i, _) in block.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
            let after = from + i as u64 + 1;
            // The newline at the very end closes the last line, it begins none.
            if after == end {
                continue;
            }
            newlines += 1;
            if newlines == lines {
                file.seek(SeekFrom::Start(after))?;
                return Ok(());
            }
        }
        at = from;
    }
    file.seek(SeekFrom::Start(if lines == 0 { end } else { 0 }))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn the_last_lines_are_found_across_blocks_and_a_half_line_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runtime-2026-06-20.ndjson");
        let long = "x".repeat(BLOCK as usize);
        std::fs::write(&path, format!("one\n{long}\nthree\nfour\nhal")).unwrap();
        let last = |n| Tail::open(path.clone(), n).unwrap().lines().unwrap();
        assert_eq!(last(0), Vec::<String>::new());
        assert_eq!(last(2), ["four"]);
        assert_eq!(last(3), ["three", "four"]);
        assert_eq!(last(4), [&long, "three", "four"]);
        assert_eq!(last(9), ["one", &long, "three", "four"]);
        let mut tail = Tail::open(path.clone(), 1).unwrap();
        assert_eq!(tail.lines().unwrap(), Vec::<String>::new());
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"f\nnew\n").unwrap();
        assert_eq!(tail.lines().unwrap(), ["half", "new"]);
    }

    #[test]
    fn the_newest_day_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest_log(folder.path()), None);
        for name in ["runtime-2026-06-19.ndjson", "runtime-2026-06-20.ndjson", "zzz.ndjson", "runtime-2027.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(newest_log(folder.path()).unwrap().file_name().unwrap(), "runtime-2026-06-20.ndjson");
        assert_eq!(newest_log(Path::new("/no/such/folder")), None);
    }
}
