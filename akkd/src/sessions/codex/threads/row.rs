//! A row of the table, as far as this version has the columns.

use super::super::source::Source;
use akk_core::redact;
use akk_proto::session::SessionSource;
use rusqlite::Row;
use rusqlite::types::ValueRef;
use std::collections::HashSet;
use std::path::PathBuf;

/// Characters of a title.
const TITLE: usize = 200;

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadRow {
    /// The thread's id.
    pub id: String,
    /// Where its records lie, as Codex noted it: they may have been compressed (`.jsonl.zst`) or put away since.
    pub rollout_path: Option<PathBuf>,
    /// Where it works; a resume overwrites it with the directory of the caller.
    pub cwd: PathBuf,
    /// Its name, else its title, else its preview, else its first user message: one line, redacted, 200 characters.
    pub title: Option<String>,
    /// Where it was started.
    pub source: Source,
    /// The program that started it, in its own words.
    pub originator: Option<String>,
    /// The model, as noted last.
    pub model: Option<String>,
    /// Whether its user put it away.
    pub archived: bool,
    /// When it began, milliseconds since the epoch.
    pub created_ms: Option<i64>,
    /// When the row changed last, milliseconds since the epoch.
    pub updated_ms: Option<i64>,
    /// When its user said something last, milliseconds since the epoch.
    pub recency_ms: Option<i64>,
    /// `user`, `subagent` and the like.
    pub thread_source: Option<String>,
    /// The branch that it began on.
    pub git_branch: Option<String>,
    /// The version of Codex that made it.
    pub cli_version: Option<String>,
}

/// The columns that this version's table has.
pub(super) struct Columns(HashSet<String>);

impl Columns {
    pub(super) fn new(names: HashSet<String>) -> Self {
        Self(names)
    }

    /// Whether it has what nobody can do without.
    pub(super) fn can_be_read(&self) -> bool {
        self.has("id") && self.has("cwd")
    }

    /// What to select, in the order in which [`thread`] reads it.
    pub(super) fn wanted(&self) -> String {
        [
            self.text("id"),
            self.text("cwd"),
            self.text("rollout_path"),
            self.title(),
            self.text("source"),
            self.text("originator"),
            self.text("model"),
            self.text("archived"),
            self.millis("created_at").unwrap_or_else(null),
            self.updated().unwrap_or_else(null),
            self.millis("recency_at").unwrap_or_else(null),
            self.text("thread_source"),
            self.text("git_branch"),
            self.text("cli_version"),
        ]
        .join(", ")
    }

    /// When a row changed, in milliseconds.
    pub(super) fn updated(&self) -> Option<String> {
        self.millis("updated_at")
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    fn text(&self, name: &str) -> String {
        if self.has(name) { name.to_owned() } else { null() }
    }

    /// The first that says anything. A first message can be a megabyte: the title needs its beginning.
    fn title(&self) -> String {
        let names = ["name", "title", "preview", "first_user_message"].into_iter().filter(|name| self.has(name));
        let mut said: Vec<_> = names.map(|n| format!("nullif(trim({n}, char(9, 10, 13, 32)), '')")).collect();
        said.extend([null(), null()]);
        format!("substr(coalesce({}), 1, {})", said.join(", "), 2 * TITLE)
    }

    /// Old versions have seconds only. In the newer columns 0 says that it is not known.
    fn millis(&self, seconds: &str) -> Option<String> {
        let millis = format!("{seconds}_ms");
        match (self.has(seconds), self.has(&millis)) {
            (true, true) => Some(format!("coalesce(nullif({millis}, 0), {seconds} * 1000)")),
            (true, false) => Some(format!("{seconds} * 1000")),
            (false, true) => Some(millis),
            (false, false) => None,
        }
    }
}

fn null() -> String {
    "NULL".to_owned()
}

/// Reads one row of what [`Columns::wanted`] selects; none without an id or a directory. What is of another type than
/// expected counts as absent.
pub(super) fn thread(row: &Row<'_>) -> Option<ThreadRow> {
    let text = |at| match row.get_ref(at) {
        Ok(ValueRef::Text(text)) if !text.is_empty() => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    };
    let number = |at| match row.get_ref(at) {
        Ok(ValueRef::Integer(number)) => Some(number),
        #[expect(clippy::cast_possible_truncation, reason = "a time: what does not fit is not one")]
        Ok(ValueRef::Real(number)) => Some(number as i64),
        _ => None,
    };
    let time = |at| number(at).filter(|ms| *ms > 0);
    let thread_source = text(11);
    let mut source = text(4).map_or_else(Source::default, |s| Source::parse(&s));
    if source.kind == SessionSource::Unknown
        && let Some(started) = &thread_source
    {
        source.kind = Source::parse(started).kind;
    }
    Some(ThreadRow {
        id: text(0)?,
        cwd: text(1)?.into(),
        rollout_path: text(2).map(PathBuf::from),
        title: text(3).and_then(|t| title(&t)),
        source,
        originator: text(5),
        model: text(6),
        archived: number(7).is_some_and(|n| n != 0),
        created_ms: time(8),
        updated_ms: time(9),
        recency_ms: time(10),
        thread_source,
        git_branch: text(12),
        cli_version: text(13),
    })
}

/// One short line without secrets and without what a terminal would obey.
fn title(text: &str) -> Option<String> {
    let mut line = String::with_capacity(text.len());
    // It may get shorter by what is taken out: a little more than what is kept.
    for c in text.chars().take(TITLE + TITLE / 2) {
        if !c.is_whitespace() && !is_invisible(c) {
            line.push(c);
        } else if !line.is_empty() && !line.ends_with(' ') {
            line.push(' ');
        }
    }
    let line = redact::redact(line.trim_end());
    if line.is_empty() {
        return None;
    }
    Some(if line.len() > TITLE { redact::cut(&line, TITLE) } else { line })
}

/// Control characters, and those that turn the direction of what follows.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{2028}' | '\u{2029}')
}
