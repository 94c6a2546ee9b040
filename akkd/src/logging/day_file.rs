//! `runtime-YYYY-MM-DD.ndjson`: a new file each day (UTC), old ones removed, each bounded.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What one day may write, in bytes: something that goes wrong in a loop must not fill the disk.
const MAX_DAY_BYTES: u64 = 256 << 20;

/// Writes whole lines to the file of the day.
pub(super) struct DayFile {
    folder: PathBuf,
    retention_days: u32,
    today: fn() -> Date,
    max_bytes: u64,
    day: Date,
    file: File,
    written: u64,
}

impl DayFile {
    /// Opens today's file in `folder` and removes those that are older than `retention_days`.
    pub(super) fn open(folder: PathBuf, retention_days: u32) -> io::Result<Self> {
        Self::open_with(
            folder,
            retention_days,
            || jiff::Timestamp::now().to_zoned_datetime(TimeZone::UTC).date(),
            MAX_DAY_BYTES,
        )
    }

    fn open_with(folder: PathBuf, retention_days: u32, today: fn() -> Date, max_bytes: u64) -> io::Result<Self> {
        let day = today();
        let (file, written) = open_day(&folder, day)?;
        let this = Self { folder, retention_days, today, max_bytes, day, file, written };
        this.remove_old();
        Ok(this)
    }

    /// Removes files whose name says that they are too old. Other names are left alone.
    fn remove_old(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let Some(day) = entry.file_name().to_str().and_then(day_of) else { continue };
            let age = self.day.since(day).map_or(0, |span| span.get_days());
            if age >= i32::try_from(self.retention_days).unwrap_or(i32::MAX) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    fn turn_page(&mut self) {
        let day = (self.today)();
        if day == self.day {
            return;
        }
        // When the new file cannot be opened, the former one goes on: a line in the wrong file is better than none.
        if let Ok((file, written)) = open_day(&self.folder, day) {
            (self.file, self.written, self.day) = (file, written, day);
            self.remove_old();
        }
    }
}

impl Write for DayFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.turn_page();
        if self.written >= self.max_bytes {
            return Ok(line.len());
        }
        self.written += line.len() as u64;
        if self.written >= self.max_bytes {
            self.file
                .write_all(b"{\"level\":\"WARN\",\"message\":\"this day's log is full; later lines are dropped\"}\n")?;
            return Ok(line.len());
        }
        self.file.write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn name_of(day: Date) -> String {
    format!("runtime-{day}.ndjson")
}

fn day_of(name: &str) -> Option<Date> {
    name.strip_prefix("runtime-")?.strip_suffix(".ndjson")?.parse().ok()
}

fn open_day(folder: &Path, day: Date) -> io::Result<(File, u64)> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits();
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(no_follow.cast_signed())
        .open(folder.join(name_of(day)))?;
    let written = file.metadata()?.len();
    Ok((file, written))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use std::sync::atomic::{AtomicI8, Ordering};

    #[test]
    fn each_day_has_its_file_and_old_ones_go() {
        static DAY: AtomicI8 = AtomicI8::new(10);
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["runtime-2026-05-01.ndjson", "runtime-2026-06-08.ndjson", "runtime-x.ndjson", "notes.txt"] {
            std::fs::write(path(name), "old\n").unwrap();
        }
        let today = || date(2026, 6, DAY.load(Ordering::Relaxed));
        let mut file = DayFile::open_with(dir.path().to_owned(), 3, today, 1000).unwrap();
        assert!(!path("runtime-2026-05-01.ndjson").exists());
        assert!(path("runtime-2026-06-08.ndjson").exists());
        file.write_all(b"one\n").unwrap();
        DAY.store(11, Ordering::Relaxed);
        file.write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(path("runtime-2026-06-10.ndjson")).unwrap(), "one\n");
        assert_eq!(std::fs::read_to_string(path("runtime-2026-06-11.ndjson")).unwrap(), "two\n");
        assert!(!path("runtime-2026-06-08.ndjson").exists());
        assert!(path("runtime-x.ndjson").exists() && path("notes.txt").exists(), "what is not ours stays");
    }

    #[test]
    fn a_day_that_is_full_says_so_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = DayFile::open_with(dir.path().to_owned(), 3, || date(2026, 6, 10), 20).unwrap();
        for _ in 0..1000 {
            file.write_all(b"0123456789\n").unwrap();
        }
        let text = std::fs::read_to_string(dir.path().join("runtime-2026-06-10.ndjson")).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("full"));
    }

    #[test]
    fn a_link_in_place_of_the_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/null", dir.path().join("runtime-2026-06-10.ndjson")).unwrap();
        assert!(DayFile::open_with(dir.path().to_owned(), 3, || date(2026, 6, 10), 20).is_err());
    }
}
