//! Limits that file watches meet, and the time since the machine was started.

use std::time::Duration;

/// Watches on files of one user, where the system counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watches {
    /// Taken by processes of this user that can be seen.
    pub used: u64,
    /// Of those, by this process.
    pub ours: u64,
    /// All that one user may take (`fs.inotify.max_user_watches`).
    pub limit: u64,
    /// Watchers, each of which has many watches.
    pub instances: u64,
    /// All that one user may have of them (`fs.inotify.max_user_instances`).
    pub instance_limit: u64,
}

/// Counts them, for `patience` at most: what was not looked at by then is not counted. None where there is no such limit
/// (macOS) or it is not told.
#[cfg(target_os = "linux")]
pub fn watches(patience: Duration) -> Option<Watches> {
    use std::os::unix::fs::MetadataExt as _;
    let begun = std::time::Instant::now();
    let number = |name: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
    };
    let mut all = Watches {
        used: 0,
        ours: 0,
        limit: number("max_user_watches")?,
        instances: 0,
        instance_limit: number("max_user_instances")?,
    };
    let me = rustix::process::geteuid().as_raw();
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        if begun.elapsed() > patience {
            break;
        }
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        if process.metadata().map_or(true, |m| m.uid() != me) {
            continue;
        }
        // Gone meanwhile, or not ours to look into.
        let Ok(files) = std::fs::read_dir(process.path().join("fd")) else { continue };
        for file in files.flatten() {
            let is_watcher = std::fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == "anon_inode:inotify");
            if !is_watcher {
                continue;
            }
            let told = process.path().join("fdinfo").join(file.file_name());
            let told = std::fs::read_to_string(told).unwrap_or_default();
            let watches = told.lines().filter(|l| l.starts_with("inotify ")).count() as u64;
            all.instances += 1;
            all.used += watches;
            if pid == std::process::id() {
                all.ours += watches;
            }
        }
    }
    Some(all)
}

/// Counts them. None: the system has no such limit.
#[cfg(not(target_os = "linux"))]
pub fn watches(_patience: Duration) -> Option<Watches> {
    None
}

/// The time since the machine was started, sleep included; None where the system does not tell it apart from the clock
/// that can be set.
#[cfg(target_os = "linux")]
pub fn since_boot() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/uptime").ok()?;
    Duration::try_from_secs_f64(told.split(' ').next()?.parse().ok()?).ok()
}

/// None: it is not told apart from the clock that can be set.
#[cfg(not(target_os = "linux"))]
pub fn since_boot() -> Option<Duration> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use notify::Watcher as _;

    #[test]
    fn watches_of_this_process_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut watcher = notify::recommended_watcher(|_| {}).unwrap();
        watcher.watch(folder.path(), notify::RecursiveMode::NonRecursive).unwrap();
        let all = watches(Duration::from_secs(30)).unwrap();
        assert!(all.ours >= 1 && all.used >= all.ours && all.instances >= 1, "{all:?}");
        assert!(all.limit > 0 && all.instance_limit > 0);
        let boot = since_boot().unwrap();
        assert!(since_boot().unwrap() >= boot && boot > Duration::ZERO);
    }
}
