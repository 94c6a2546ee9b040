//! Native sessions in words: what several views say of one.

use super::View;
use super::terminal::{ALERT, BUSY, DIM, GOOD, WARN};
use super::text::{counted, cut, one_line, padded, short, wrapped};
use akk_proto::Timestamp;
use akk_proto::session::{
    Capability, Confidence, Evidence, HolderView, SessionActivity, SessionSource, SessionView, TakeoverStatus,
};
use anstyle::Style;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Columns of a field's name.
pub(super) const NAME: usize = 11;
/// Characters at the end of an id that normally name a session: the ids are random there.
const SHORT_ID: usize = 8;
/// Characters of a command line that are worth reading.
const COMMAND: usize = 300;

/// The ends of these ids, as long as it takes to tell them apart; 8 characters when that is enough.
pub(crate) fn short_ids(ids: &[&str]) -> Vec<String> {
    let mut lengths = vec![SHORT_ID; ids.len()];
    let longest = ids.iter().map(|id| id.chars().count()).max().unwrap_or_default();
    loop {
        let mut seen: HashMap<&str, usize> = HashMap::with_capacity(ids.len());
        for (id, length) in ids.iter().zip(&lengths) {
            *seen.entry(end_of(id, *length)).or_default() += 1;
        }
        let mut again = false;
        for (id, length) in ids.iter().zip(&mut lengths) {
            if seen.get(end_of(id, *length)).is_some_and(|n| *n > 1) && *length < longest {
                *length += 4;
                again = true;
            }
        }
        if !again {
            return ids.iter().zip(lengths).map(|(id, length)| one_line(end_of(id, length))).collect();
        }
    }
}

/// The eight characters that normally name a session.
pub(crate) fn short_id(id: &str) -> String {
    one_line(end_of(id, SHORT_ID))
}

fn end_of(id: &str, characters: usize) -> &str {
    id.char_indices().rev().nth(characters.saturating_sub(1)).map_or(id, |(at, _)| &id[at..])
}

/// `  name       text`, with the text on as many lines as it takes; nothing for an empty text.
pub(super) fn field(name: &str, text: &str, view: &View) -> String {
    styled_field(name, text, Style::new(), view)
}

/// As [`field`], with the text in a colour.
pub(super) fn styled_field(name: &str, text: &str, style: Style, view: &View) -> String {
    let mut out = String::new();
    let mut name = name;
    for line in wrapped(text, view.width.map(|w| w.saturating_sub(NAME + 2)), 0).lines() {
        let _ = writeln!(out, "  {}{}", view.paint(DIM, &padded(name, NAME)), view.paint(style, line));
        name = "";
    }
    out
}

/// `tui 4242`.
pub(crate) fn process(holder: &HolderView) -> String {
    format!("{} {}", holder.kind.as_str(), holder.pid)
}

/// `● tui 4242`, and how many others: filled when it is certain.
pub(super) fn live_mark(session: &SessionView) -> String {
    match session.holders.as_slice() {
        [] => String::new(),
        [one] => format!("{} {}", bullet(one.confidence), process(one)),
        [first, others @ ..] => format!("{} {} +{}", bullet(first.confidence), process(first), others.len()),
    }
}

fn bullet(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Exact => "●",
        Confidence::Medium | Confidence::Low => "○",
    }
}

/// The colour of a mark: green when it is certain.
pub(super) fn confidence_style(confidence: Confidence) -> Style {
    match confidence {
        Confidence::Exact => GOOD,
        Confidence::Medium | Confidence::Low => WARN,
    }
}

/// By what it is known, as the end of a sentence about the process.
pub(super) fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Lock => "it holds the session's lock",
        Evidence::Rollout => "it has the session's record open",
        Evidence::Argv => "its command line names the session",
        Evidence::Cwd => "it runs in the same directory, no more is known",
    }
}

/// Whether a turn runs.
pub(super) fn activity(activity: SessionActivity) -> &'static str {
    match activity {
        SessionActivity::Working => "working",
        SessionActivity::Idle => "idle",
        SessionActivity::Unknown => "unknown",
    }
}

/// The colour of it.
pub(super) fn activity_style(activity: SessionActivity) -> Style {
    match activity {
        SessionActivity::Working => BUSY,
        SessionActivity::Idle | SessionActivity::Unknown => Style::new(),
    }
}

/// Its title, or that it has none.
pub(super) fn title(session: &SessionView) -> String {
    session.title.as_deref().map(one_line).filter(|t| !t.is_empty()).unwrap_or_else(|| "(untitled)".to_owned())
}

/// What a reader must know before the title: `(archived) (conversation 0a1b2c3d) `.
pub(super) fn notes(session: &SessionView) -> String {
    let mut notes = String::new();
    if let Some(id) = &session.conversation_id {
        let _ = write!(notes, "(conversation {}) ", short(id));
    }
    if session.archived {
        notes.push_str("(archived) ");
    } else if session.capability == Capability::MetadataOnly {
        notes.push_str("(metadata only) ");
    }
    notes
}

/// The fields of a session that have nothing to do with processes.
pub(super) fn facts(session: &SessionView, view: &View) -> String {
    let mut out = field("title", &title(session), view);
    if let Some(cwd) = &session.cwd {
        out.push_str(&field("cwd", &view.path(cwd), view));
    }
    if let Some(model) = &session.model {
        out.push_str(&field("model", model, view));
    }
    out.push_str(&field("source", &source(session), view));
    let mut state = match (session.activity, session.holders.is_empty()) {
        (SessionActivity::Working, _) => "a turn runs".to_owned(),
        (SessionActivity::Idle, false) => "no turn runs".to_owned(),
        (SessionActivity::Unknown, false) => "whether a turn runs is not known".to_owned(),
        (_, true) => "no process is known to run it".to_owned(),
    };
    if let Some(at) = session.updated_at.or(session.created_at) {
        let _ = write!(state, ", last activity {}", view.ago(at));
    }
    out.push_str(&styled_field("state", &state, activity_style(session.activity), view));
    match (&session.capability_reason, session.capability == Capability::MetadataOnly) {
        (Some(reason), true) => out.push_str(&styled_field("limits", reason, WARN, view)),
        (None, true) => out.push_str(&styled_field("limits", "no more than this is known of it", WARN, view)),
        (_, false) if session.archived => out.push_str(&styled_field("limits", "it is archived", WARN, view)),
        (_, false) => {}
    }
    if let Some(id) = &session.conversation_id {
        out.push_str(&field("belongs to", &format!("conversation {id}"), view));
    }
    out
}

/// `cli (codex-tui)`, with the session that started it.
fn source(session: &SessionView) -> String {
    let mut text = match session.source {
        SessionSource::SubAgent => "sub-agent".to_owned(),
        other => other.as_str().to_owned(),
    };
    if let Some(originator) = &session.originator {
        let _ = write!(text, " ({})", one_line(originator));
    }
    if let Some(parent) = &session.parent {
        let _ = write!(text, " of session {}", one_line(parent));
    }
    text
}

/// A process that runs a session, in a few lines: what, since when, by what evidence, how sure.
pub(super) fn holder(holder: &HolderView, session: &SessionView, indent: usize, view: &View) -> String {
    let since = started(holder.started_at, view);
    let head = format!(
        "{} {}{since}: {} ({})",
        bullet(holder.confidence),
        process(holder),
        evidence(holder.evidence),
        holder.confidence.as_str()
    );
    let style = confidence_style(holder.confidence);
    let mut out = painted(&wrapped(&head, view.width, indent), style, view);
    let mut line = |text: &str| out.push_str(&painted(&wrapped(text, view.width, indent + 2), DIM, view));
    if holder.command.is_empty() {
        line(holder.executable.as_deref().unwrap_or_default());
    } else {
        line(&command(&holder.command));
    }
    if let Some(cwd) = holder.cwd.as_ref().filter(|cwd| session.cwd.as_ref() != Some(cwd)) {
        line(&format!("in {}", view.path(cwd)));
    }
    if !holder.also_holds.is_empty() {
        let others: Vec<String> = holder.also_holds.iter().map(|id| short_id(id)).collect();
        let count = counted(others.len() as u64, "other session");
        line(&format!("holds {count}: {}", others.join(", ")));
    }
    if let Some(id) = &holder.conversation_id {
        line(&format!("akkd started it for conversation {}", short(id)));
    }
    out
}

/// `, started 2h ago`, where that is known.
pub(super) fn started(at: Option<Timestamp>, view: &View) -> String {
    at.map(|at| format!(", started {}", view.ago(at))).unwrap_or_default()
}

/// A command line on one line, its end left out when it is long.
pub(super) fn command(words: &[String]) -> String {
    cut(&one_line(&words.join(" ")), COMMAND).into_owned()
}

/// Every line of `text` in this style: a line break inside colours confuses pagers.
pub(super) fn painted(text: &str, style: Style, view: &View) -> String {
    text.lines().fold(String::new(), |mut out, line| {
        let _ = writeln!(out, "{}", view.paint(style, line));
        out
    })
}

/// What could not be read: a warning for each sentence.
pub(super) fn incomplete(sentences: &[String], view: &View) -> String {
    let told = |s: &String| painted(&wrapped(&format!("Not everything could be read: {s}"), view.width, 0), WARN, view);
    sentences.iter().map(told).collect()
}

/// What a takeover, or a way of it, comes to.
pub(super) fn takeover_status(status: TakeoverStatus) -> &'static str {
    match status {
        TakeoverStatus::Ready => "possible",
        TakeoverStatus::Attached => "taken over",
        TakeoverStatus::Blocked => "blocked",
        TakeoverStatus::RequiresConfirmation => "possible once you confirm",
        TakeoverStatus::AwaitingOpenclawSummary => "possible with a summary that you confirm",
        TakeoverStatus::Forked => "forked",
    }
}

/// The colour of it.
pub(super) fn takeover_style(status: TakeoverStatus) -> Style {
    match status {
        TakeoverStatus::Ready | TakeoverStatus::Attached | TakeoverStatus::Forked => GOOD,
        TakeoverStatus::RequiresConfirmation | TakeoverStatus::AwaitingOpenclawSummary => WARN,
        TakeoverStatus::Blocked => ALERT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_as_long_as_it_takes_to_tell_it_apart() {
        let ids = [
            "0198f3a2-0000-7000-8000-00000a1b2c3d",
            "0198f3a2-0000-7000-8000-11110a1b2c3d",
            "0198f3a2-0000-7000-8000-000000000001",
            "short",
        ];
        assert_eq!(short_ids(&ids), ["00000a1b2c3d", "11110a1b2c3d", "00000001", "short"]);
        assert_eq!(short_ids(&[]), Vec::<String>::new());
    }

    #[test]
    fn the_same_id_twice_stays_whole() {
        let twice = ["0198f3a2-0000-7000-8000-00000a1b2c3d"; 2];
        assert_eq!(short_ids(&twice), twice);
        assert_eq!(short_ids(&["日本語日本語日本語", "\u{1b}[2Jx"]), ["本語日本語日本語", "␛[2Jx"]);
    }
}
