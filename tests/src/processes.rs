//! Finds what a story started, by what only its processes have: the story's folder in environment or command line.

use crate::wait::came;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::time::Duration;

/// How long processes may need to be gone after SIGKILL.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A process of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its pid.
    pub pid: u32,
    /// Its command line.
    pub command: String,
}

/// Every living process that has `root` in its environment or command line, but for this one. Zombies have neither.
pub fn of(root: &Path) -> Vec<Process> {
    let root = root.to_str().expect("paths under /tmp are UTF-8");
    all(root).into_iter().filter(|p| p.pid != std::process::id()).collect()
}

/// Whether this process lives.
pub fn lives(pid: u32) -> bool {
    state(pid).is_some_and(|s| s != 'Z')
}

/// Ends a process at once. One that is gone is no matter.
pub fn end(pid: u32) {
    let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
}

/// Ends everything that [`of`] finds for `root`, and what it starts meanwhile.
pub fn end_all(root: &Path) {
    came(END_LIMIT, || {
        let left = of(root);
        for process in &left {
            end(process.pid);
        }
        left.is_empty()
    });
}

#[cfg(target_os = "linux")]
fn all(root: &str) -> Vec<Process> {
    let holds = |bytes: &[u8]| bytes.windows(root.len()).any(|w| w == root.as_bytes());
    let entries = std::fs::read_dir("/proc").expect("/proc is there").flatten();
    entries
        .filter_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let command = std::fs::read(entry.path().join("cmdline")).ok()?;
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let command_text = String::from_utf8_lossy(&command).replace('\0', " ");
            (holds(&environment) || holds(&command)).then_some(Process { pid, command: command_text })
        })
        .collect()
}

#[cfg(target_os = "linux")]
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(not(target_os = "linux"))]
fn all(root: &str) -> Vec<Process> {
    // `-E` adds the environment of one's own processes to the command.
    let table = std::process::Command::new("ps").args(["-axEww", "-o", "pid=,command="]).output();
    let table = table.expect("ps can be run").stdout;
    String::from_utf8_lossy(&table)
        .lines()
        .filter(|line| line.contains(root))
        .filter_map(|line| {
            let (pid, command) = line.trim().split_once(' ')?;
            Some(Process { pid: pid.parse().ok()?, command: command.to_owned() })
        })
        .collect()
}

#[cfg(not(target_os = "linux"))]
fn state(pid: u32) -> Option<char> {
    let row = std::process::Command::new("ps").args(["-o", "state=", "-p", &pid.to_string()]).output().ok()?;
    String::from_utf8_lossy(&row.stdout).trim().chars().next()
}

/// Resident memory of a process in bytes; none where the platform does not tell it cheaply.
pub fn memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    kilobytes(&status, "VmRSS:")
}

/// The most that a process ever held, in bytes.
pub fn peak_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    kilobytes(&status, "VmHWM:")
}

fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix(name))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// The signals that a process ignores, the lowest bit is signal 1; none where the platform does not tell them.
pub fn ignored(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let ignored = status.lines().find_map(|l| l.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(ignored.trim(), 16).ok()
}

/// Whether SIGINT ends a process that is started here: a shell takes that from what it starts in the background.
pub fn knows_ctrl_c() -> bool {
    ignored(std::process::id()).is_none_or(|ignored| ignored & 0b10 == 0)
}
