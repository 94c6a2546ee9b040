//! `akkctl sessions --watch`: one line for each change.

use super::View;
use super::native::{live_mark, notes, process, short_id, title};
use super::terminal::{ALERT, BUSY, DIM, GOOD, WARN};
use super::text::{counted, fit, padded, width, wrapped};
use akk_proto::session::{SessionChange, SessionItem, SessionView};
use anstyle::Style;

/// Columns of the longest change.
const CHANGE: usize = 14;

/// One item; `again`: the watch began before, so that this is a new connection.
pub(crate) fn session_item(item: &SessionItem, again: bool, view: &View) -> String {
    match item {
        SessionItem::Live { sessions } if again => {
            let told = format!(
                "The connection to akkd was made anew; what happened meanwhile is not told ({} known, see akkctl sessions)",
                counted(*sessions, "session")
            );
            warning(&told, view)
        }
        SessionItem::Live { sessions } => {
            let told = format!("Watching; {} known. Ctrl-C ends it.\n", counted(*sessions, "session"));
            view.paint(DIM, &told)
        }
        SessionItem::Session { change, ts, session } => {
            let head = format!("{} {} ", view.clock(*ts), short_id(&session.session_id));
            let (style, what) = words(*change);
            let what = padded(what, CHANGE);
            let left = view.width.map(|w| w.saturating_sub(width(&head) + width(&what) + 1));
            let text = detail(*change, session, view);
            format!("{}{} {}\n", view.paint(DIM, &head), view.paint(style, &what), fit(&text, left))
        }
        SessionItem::Missed { reason } => {
            warning(&format!("Changes may be missing here: {reason}; see akkctl sessions"), view)
        }
    }
}

fn warning(text: &str, view: &View) -> String {
    super::native::painted(&wrapped(text, view.width, 0), WARN, view)
}

fn words(change: SessionChange) -> (Style, &'static str) {
    match change {
        SessionChange::New => (GOOD, "new"),
        SessionChange::TurnStarted => (BUSY, "turn began"),
        SessionChange::Activity => (DIM, "activity"),
        SessionChange::TurnEnded => (GOOD, "turn ended"),
        SessionChange::OwnerTaken => (WARN, "taken"),
        SessionChange::OwnerReleased => (WARN, "let go"),
        SessionChange::ProcessGone => (WARN, "process gone"),
        SessionChange::Changed => (DIM, "changed"),
        SessionChange::Removed => (ALERT, "deleted"),
    }
}

/// Who, for a change of ownership; then what and where.
fn detail(change: SessionChange, session: &SessionView, view: &View) -> String {
    let who = match (change, session.holders.first()) {
        (SessionChange::OwnerTaken, Some(holder)) => {
            format!("by {} ({}): ", process(holder), holder.confidence.as_str())
        }
        (SessionChange::New | SessionChange::TurnStarted, Some(_)) => format!("{}: ", live_mark(session)),
        _ => String::new(),
    };
    let cwd = session.cwd.as_deref().map(|c| format!("  {}", view.path(c))).unwrap_or_default();
    format!("{who}{}{}{cwd}", notes(session), title(session))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples::{self, sessions as native};

    #[test]
    fn every_change_has_its_line() {
        let view = samples::view();
        let text: String =
            native::watched().iter().enumerate().map(|(i, item)| session_item(item, i > 0, &view)).collect();
        insta::assert_snapshot!(text);
        assert!(text.lines().all(|l| width(l) <= 80), "{text}");
    }

    #[test]
    fn a_title_cannot_command_the_terminal() {
        let view = samples::view();
        let items = native::watched().iter().map(samples::spoilt::<SessionItem>).collect::<Vec<_>>();
        let text: String = items.iter().map(|item| session_item(item, true, &view)).collect();
        assert!(text.contains('␛'), "the poison is in it");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}
