//! Diagnostics: one JSON object a line, one file a day, kept for some days; for people on standard error too.
//!
//! Text from requests and agents goes into a log only as [`preview`]. Whatever a line holds is redacted and cut.

mod day_file;
mod line;

use akk_core::redact;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Lines that may wait for the disk; beyond them lines are dropped, never callers held up.
const WAITING_LINES: usize = 4096;
/// Days that logs are kept when nobody says otherwise.
const RETENTION_DAYS: u32 = 14;

/// How akkd logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder of the files. It exists, 0700.
    pub folder: PathBuf,
    /// A level, or a filter such as `info,akkd::executor=debug`.
    pub filter: String,
    /// Days that files are kept.
    pub retention_days: u32,
    /// Whether standard error is written to as well.
    pub stderr: Stderr,
}

/// What standard error gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stderr {
    /// Nothing: nobody is there.
    Silent,
    /// Lines for a person, with the time.
    Terminal,
    /// Lines for the journal, which knows the time; with its mark of the level.
    Journal,
}

impl Stderr {
    /// By what standard error is: a terminal, the journal of a systemd service, or nothing that anybody reads.
    pub fn detect() -> Self {
        if std::io::stderr().is_terminal() {
            Self::Terminal
        } else if std::env::var_os("JOURNAL_STREAM").is_some() {
            Self::Journal
        } else {
            Self::Silent
        }
    }
}

impl Settings {
    /// By `AKK_LOG_LEVEL` and `AKK_LOG_RETENTION_DAYS` (through `env`), else by the configuration, else `info` for 14
    /// days. What cannot be read in the environment is passed over and comes back as a warning.
    pub fn resolve(
        folder: PathBuf,
        env: impl Fn(&str) -> Option<String>,
        level: Option<&str>,
        days: Option<u32>,
    ) -> (Self, Vec<String>) {
        let mut warnings = Vec::new();
        let mut filter = level.unwrap_or("info").to_owned();
        if let Some(wanted) = env("AKK_LOG_LEVEL").filter(|w| !w.trim().is_empty()) {
            match EnvFilter::try_new(wanted.trim()) {
                // A single word is a level; what is none would be the name of a module, and the log be empty.
                Ok(_) if wanted.contains(['=', ',', '[']) || wanted.trim().parse::<LevelFilter>().is_ok() => {
                    wanted.trim().clone_into(&mut filter);
                }
                _ => warnings.push(format!("AKK_LOG_LEVEL is `{wanted}`, which is no level; {filter} is used")),
            }
        }
        let mut retention_days = days.unwrap_or(RETENTION_DAYS);
        if let Some(wanted) = env("AKK_LOG_RETENTION_DAYS").filter(|w| !w.trim().is_empty()) {
            match wanted.trim().parse::<u32>() {
                Ok(days @ 1..=36_500) => retention_days = days,
                _ => warnings.push(format!(
                    "AKK_LOG_RETENTION_DAYS is `{wanted}`, which is no number of days; {retention_days} is used"
                )),
            }
        }
        (Self { folder, filter, retention_days, stderr: Stderr::detect() }, warnings)
    }
}

/// Holds the log open; what still waits is written when it is dropped.
#[must_use = "the log ends when this is dropped"]
#[derive(Debug)]
pub struct LogGuard(#[expect(dead_code, reason = "dropping it writes what waits")] WorkerGuard);

/// Starts logging for the whole process. A second call (akkd started twice in one process, by tests) changes nothing
/// and logs to where the first one said.
///
/// # Errors
/// When today's file cannot be opened.
pub fn start(settings: &Settings) -> std::io::Result<LogGuard> {
    let file = day_file::DayFile::open(settings.folder.clone(), settings.retention_days)?;
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING_LINES)
        .lossy(true)
        .thread_name("akkd-log")
        .finish(file);
    let filter = EnvFilter::try_new(&settings.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let stderr = match settings.stderr {
        Stderr::Silent => None,
        Stderr::Terminal | Stderr::Journal => {
            let for_journal = settings.stderr == Stderr::Journal;
            Some(line::ForPeople { for_journal }.with_filter(LevelFilter::DEBUG))
        }
    };
    let _ = tracing_subscriber::registry().with(filter).with(line::Ndjson::new(writer)).with(stderr).try_init();
    Ok(LogGuard(guard))
}

/// What a log may show of a longer text: its length, and its first words without secrets.
pub fn preview(text: &str) -> String {
    format!("{} bytes: {}", text.len(), redact::preview(text, 80))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(env: &[(&str, &str)], level: Option<&str>) -> (Settings, Vec<String>) {
        let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Settings::resolve("/l".into(), env, level, Some(3))
    }

    #[test]
    fn the_environment_comes_before_the_configuration() {
        let (s, warnings) = resolve(&[], Some("warn"));
        assert_eq!((s.filter.as_str(), s.retention_days, warnings.len()), ("warn", 3, 0));
        let (s, _) = resolve(&[("AKK_LOG_LEVEL", "debug"), ("AKK_LOG_RETENTION_DAYS", "7")], Some("warn"));
        assert_eq!((s.filter.as_str(), s.retention_days), ("debug", 7));
        let (s, warnings) = resolve(&[("AKK_LOG_LEVEL", "a=b=c"), ("AKK_LOG_RETENTION_DAYS", "-1")], None);
        assert_eq!((s.filter.as_str(), s.retention_days, warnings.len()), ("info", 3, 2));
        for (wanted, taken) in [("loud", false), (" WARN ", true), ("akkd=trace", true), ("info,akkd=debug", true)] {
            let (s, warnings) = resolve(&[("AKK_LOG_LEVEL", wanted)], None);
            assert_eq!(s.filter == wanted.trim(), taken, "{wanted}");
            assert_eq!(warnings.is_empty(), taken, "{wanted}");
        }
    }

    #[test]
    fn a_preview_tells_the_length_and_shows_little() {
        let shown = preview(&format!("token=geheim {}", "word ".repeat(10_000)));
        assert!(shown.starts_with("50013 bytes: token=[redacted] word"), "{shown}");
        assert!(shown.chars().count() < 110);
    }
}
