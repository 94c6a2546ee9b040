//! The terminal: whether it is one, how wide it is, what time it shows, and how text gets there.

use super::text::one_line;
use crate::error::{Error, Result};
use akk_proto::Timestamp;
use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use std::cell::OnceCell;
use std::io::{self, IsTerminal, Write};

/// Red: needs someone, or went wrong.
pub(crate) const ALERT: Style = AnsiColor::Red.on_default().bold();
/// Yellow: worth a look.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// Cyan: under way.
pub(crate) const BUSY: Style = AnsiColor::Cyan.on_default();
/// Green: went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Of less weight.
pub(crate) const DIM: Style = Style::new().dimmed();
/// A heading.
pub(crate) const BOLD: Style = Style::new().bold();

/// How text is to be shown.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// Columns; none where nothing is to be cut, because no terminal reads it.
    pub(crate) width: Option<usize>,
    /// Whether escape sequences for colours are wanted.
    pub(crate) colour: bool,
    /// The time that relative times count from.
    pub(crate) now: Timestamp,
    /// Read only when a time of day is shown: it costs a file.
    zone: OnceCell<TimeZone>,
    /// The reader's home directory.
    home: Option<String>,
}

impl View {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        let stdout = io::stdout();
        let width = terminal_size::terminal_size_of(&stdout);
        Self::of(stdout.is_terminal(), width, anstream::AutoStream::choice(&stdout))
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        let stderr = io::stderr();
        let width = terminal_size::terminal_size_of(&stderr);
        Self::of(stderr.is_terminal(), width, anstream::AutoStream::choice(&stderr))
    }

    fn of(
        is_terminal: bool,
        size: Option<(terminal_size::Width, terminal_size::Height)>,
        choice: anstream::ColorChoice,
    ) -> Self {
        // A terminal that does not tell its width, or tells nonsense, is taken for an old one.
        let columns = size.map_or(80, |(w, _)| usize::from(w.0)).max(40);
        Self {
            width: is_terminal.then_some(columns),
            colour: choice != anstream::ColorChoice::Never,
            now: jiff::Timestamp::now().into(),
            zone: OnceCell::new(),
            home: std::env::home_dir().and_then(|h| h.into_os_string().into_string().ok()),
        }
    }

    /// The same view later: a stream may run for days.
    pub(crate) fn at_this_moment(&self) -> Self {
        Self { now: jiff::Timestamp::now().into(), ..self.clone() }
    }

    /// A fixed view: 80 columns, no colours, UTC, at home in `/home/u`.
    #[cfg(test)]
    pub(crate) fn fixed(now: Timestamp) -> Self {
        let (zone, home) = (OnceCell::from(TimeZone::UTC), Some("/home/u".to_owned()));
        Self { width: Some(80), colour: false, now, zone, home }
    }

    /// `text` in this style, where colours are wanted.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        if self.colour && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// A path on one line, with `~` for the reader's home.
    pub(crate) fn path(&self, path: &str) -> String {
        let home = self.home.as_deref().map(|h| h.trim_end_matches('/')).filter(|h| !h.is_empty());
        let below = home.and_then(|h| path.strip_prefix(h)).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        below.map_or_else(|| one_line(path), |rest| one_line(&format!("~{rest}")))
    }

    /// A time in the zone of the reader.
    pub(crate) fn zoned(&self, at: Timestamp) -> jiff::ZonedDateTime {
        let zone = self.zone.get_or_init(TimeZone::system);
        jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_zoned_datetime(zone.clone())
    }
}

/// Writes to standard error. That nobody reads there is no reason to stop.
pub(crate) fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes to standard output.
///
/// # Errors
/// [`Error::ReaderLeft`], which ends the command with success: `akkctl list | head` is one. [`Error::Output`].
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| match e.kind() {
        io::ErrorKind::BrokenPipe => Error::ReaderLeft,
        _ => Error::Output(e),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_the_home_begins_with_a_tilde() {
        let view = View::fixed(Timestamp(0));
        let shown = ["/home/u", "/home/u/a b", "/home/ulf", "/srv/\u{1b}x", "~/x"].map(|p| view.path(p));
        assert_eq!(shown, ["~", "~/a b", "/home/ulf", "/srv/␛x", "~/x"]);
        let homeless = View { home: Some("/".to_owned()), ..view };
        assert_eq!(homeless.path("/srv"), "/srv");
    }
}
