//! What the system says of a process. Whatever a platform does not tell is none, and is not made up.

use std::time::Duration;

/// Memory of a process in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Everything that is resident, shared pages of programs and libraries included.
    pub(crate) rss: u64,
    /// The same with what is shared counted in proportion; Linux only.
    pub(crate) pss: Option<u64>,
}

#[cfg(target_os = "linux")]
mod platform {
    use super::Memory;
    use nix::time::{clock_getcpuclockid, clock_gettime};
    use nix::unistd::Pid;
    use std::time::Duration;

    pub(crate) fn memory(pid: u32) -> Option<Memory> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        Some(Memory { rss: kilobytes(&text, "Rss:")?, pss: kilobytes(&text, "Pss:") })
    }

    pub(crate) fn forget_peak(pid: u32) -> Option<()> {
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").ok()
    }

    pub(crate) fn peak(pid: u32) -> Option<u64> {
        kilobytes(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmHWM:")
    }

    pub(crate) fn cpu(pid: u32) -> Option<Duration> {
        let clock = clock_getcpuclockid(Pid::from_raw(pid as i32)).ok()?;
        Some(clock_gettime(clock).ok()?.into())
    }

    pub(crate) fn wake_ups(pid: u32) -> Option<Vec<(u32, String, u64)>> {
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
        let of = |thread: std::fs::DirEntry| {
            let status = std::fs::read_to_string(thread.path().join("status")).ok()?;
            let field = |name: &str| status.lines().find_map(|l| Some(l.strip_prefix(name)?.trim().to_owned()));
            let id = thread.file_name().to_str()?.parse().ok()?;
            Some((id, field("Name:")?, field("voluntary_ctxt_switches:")?.parse().ok()?))
        };
        Some(threads.filter_map(of).collect())
    }

    fn kilobytes(text: &str, name: &str) -> Option<u64> {
        let line = text.lines().find_map(|l| l.strip_prefix(name))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    use super::Memory;
    use std::process::Command;
    use std::time::Duration;

    pub(crate) fn memory(pid: u32) -> Option<Memory> {
        Some(Memory { rss: ps(pid, "rss=")?.parse::<u64>().ok()? << 10, pss: None })
    }

    pub(crate) fn forget_peak(_: u32) -> Option<()> {
        None
    }

    pub(crate) fn peak(_: u32) -> Option<u64> {
        None
    }

    /// `ps` tells hundredths of a second, as `minutes:seconds`.
    pub(crate) fn cpu(pid: u32) -> Option<Duration> {
        let text = ps(pid, "time=")?;
        let seconds = text.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    pub(crate) fn wake_ups(_: u32) -> Option<Vec<(u32, String, u64)>> {
        None
    }

    fn ps(pid: u32, field: &str) -> Option<String> {
        let row = Command::new("ps").args(["-o", field, "-p", &pid.to_string()]).output().ok()?;
        Some(String::from_utf8_lossy(&row.stdout).trim().to_owned()).filter(|t| !t.is_empty())
    }
}

/// The memory of a process now.
pub(crate) fn memory(pid: u32) -> Option<Memory> {
    platform::memory(pid)
}

/// The most that a process holds while `work` is done, and what it held before.
pub(crate) fn peak_of(pid: u32, work: impl FnOnce()) -> Option<(u64, u64)> {
    let before = memory(pid)?.rss;
    let known = platform::forget_peak(pid);
    work();
    known?;
    Some((platform::peak(pid)?, before))
}

/// Processor time that a process has used, with all its threads.
pub(crate) fn cpu(pid: u32) -> Option<Duration> {
    platform::cpu(pid)
}

/// How often each thread of a process went to sleep and was woken: its id, its name, the number.
pub(crate) fn wake_ups(pid: u32) -> Option<Vec<(u32, String, u64)>> {
    platform::wake_ups(pid)
}
