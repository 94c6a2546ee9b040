//! `akkctl sessions`: the table, the live ones in detail, and what works here.

use super::View;
use super::native::{
    activity, activity_style, confidence_style, facts, field, holder, incomplete, live_mark, notes, painted, short_ids,
    title,
};
use super::terminal::{BOLD, DIM, GOOD, WARN};
use super::text::{counted, cut, cut_front, fit, one_line, padded, width, wrapped};
use akk_proto::session::{DiscoverAnswer, DiscoverParams, SessionView};
use anstyle::Style;
use std::cmp::Reverse;
use std::fmt::Write as _;

/// Columns that a title should have before other columns give way.
const TITLE: usize = 24;
/// Columns that a directory keeps at least.
const DIRECTORY: usize = 14;
const GAP: usize = 2;

/// The table: live ones first, newest first.
pub(crate) fn sessions(answer: &DiscoverAnswer, asked: &DiscoverParams, view: &View) -> String {
    if answer.sessions.is_empty() {
        return nothing(answer, asked, "session", view);
    }
    let mut sessions: Vec<&SessionView> = answer.sessions.iter().collect();
    sessions.sort_by_key(|s| (s.holders.is_empty(), Reverse(s.updated_at.or(s.created_at))));
    let table = Table::of(&sessions, view);
    let mut out = view.paint(DIM, &table.head());
    out.push('\n');
    for (row, session) in sessions.iter().enumerate() {
        out.push_str(&table.row(row, session, view));
        out.push('\n');
    }
    if answer.next.is_some() {
        let shown = sessions.len() as u64;
        let more = match answer.total.saturating_sub(shown) {
            0 => "… and more: --all, or words to filter\n".to_owned(),
            more => format!("… and {more} more: --all, or words to filter\n"),
        };
        out.push_str(&view.paint(DIM, &more));
    }
    out.push_str(&incomplete(&answer.incomplete, view));
    out.push_str(&view.paint(DIM, "akkctl takeover ID says how one of them becomes a conversation"));
    out.push('\n');
    out
}

/// The live ones: which process runs which, by what evidence, how sure.
pub(crate) fn active_sessions(answer: &DiscoverAnswer, asked: &DiscoverParams, view: &View) -> String {
    if answer.sessions.is_empty() {
        return nothing(answer, asked, "live session", view);
    }
    let ids: Vec<&str> = answer.sessions.iter().map(|s| s.session_id.as_str()).collect();
    let mut out = String::new();
    for (session, id) in answer.sessions.iter().zip(short_ids(&ids)) {
        let _ = writeln!(out, "{}  {}", view.paint(BOLD, &id), view.paint(DIM, &one_line(&session.session_id)));
        out.push_str(&facts(session, view));
        for held in &session.holders {
            out.push_str(&holder(held, session, 2, view));
        }
        out.push('\n');
    }
    out.push_str(&incomplete(&answer.incomplete, view));
    out.push_str(&view.paint(DIM, "akkctl takeover ID says how one of them becomes a conversation"));
    out.push('\n');
    out
}

/// What works here, and what does not and why.
pub(crate) fn capabilities(answer: &DiscoverAnswer, view: &View) -> String {
    let mut out = String::new();
    for provider in &answer.providers {
        let head = format!("{}: {}", one_line(&provider.agent), counted(provider.sessions, "session"));
        out.push_str(&view.paint(BOLD, &head));
        out.push('\n');
        for home in &provider.homes {
            out.push_str(&field("home", &view.path(home), view));
        }
        let names = provider.abilities.iter().map(|a| width(&one_line(&a.name))).max().unwrap_or_default() + GAP;
        for ability in &provider.abilities {
            let (style, word) = if ability.works { (GOOD, "works") } else { (WARN, "does not work") };
            let name = padded(&one_line(&ability.name), names);
            let _ = writeln!(out, "  {name}{}", view.paint(style, word));
            let reason = wrapped(ability.reason.as_deref().unwrap_or_default(), view.width, names + 2);
            out.push_str(&painted(&reason, DIM, view));
        }
    }
    if answer.providers.is_empty() {
        out.push_str("akkd knows no agent whose sessions it can read.\n");
    }
    out.push_str(&incomplete(&answer.incomplete, view));
    out
}

fn nothing(answer: &DiscoverAnswer, asked: &DiscoverParams, what: &str, view: &View) -> String {
    let filtered = asked.agent.is_some() || asked.cwd.is_some() || asked.text.is_some();
    let mut out = if filtered {
        format!("No {what} fits.\n")
    } else {
        format!("No {what} is known. akkctl sessions --capabilities says where akkd looks.\n")
    };
    out.push_str(&incomplete(&answer.incomplete, view));
    out
}

/// The columns before the title, in the order of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Id,
    Live,
    Turn,
    Age,
    Source,
    Model,
    Cwd,
}

struct Column {
    name: Name,
    head: &'static str,
    width: usize,
    cells: Vec<String>,
}

struct Table {
    columns: Vec<Column>,
    /// Columns for the title.
    left: Option<usize>,
}

impl Table {
    fn of(sessions: &[&SessionView], view: &View) -> Self {
        let cells = |cell: &dyn Fn(&SessionView) -> String| sessions.iter().map(|s| cell(s)).collect::<Vec<_>>();
        let ids: Vec<&str> = sessions.iter().map(|s| s.session_id.as_str()).collect();
        let turn = |s: &SessionView| if s.holders.is_empty() { String::new() } else { activity(s.activity).to_owned() };
        let age = |s: &SessionView| s.updated_at.or(s.created_at).map(|at| view.age(at)).unwrap_or_default();
        let all = [
            (Name::Id, "ID", short_ids(&ids)),
            (Name::Live, "LIVE", cells(&live_mark)),
            (Name::Turn, "TURN", cells(&turn)),
            (Name::Age, "AGE", cells(&age)),
            (Name::Source, "SOURCE", cells(&|s| s.source.as_str().to_owned())),
            (Name::Model, "MODEL", cells(&|s| s.model.as_deref().map(one_line).unwrap_or_default())),
            (Name::Cwd, "CWD", cells(&|s| s.cwd.as_deref().map(|c| view.path(c)).unwrap_or_default())),
        ];
        let columns = all
            .into_iter()
            // What no session has, such as a process, takes no place.
            .filter(|(_, _, cells)| cells.iter().any(|c| !c.is_empty()))
            .map(|(name, head, cells)| {
                let width = cells.iter().map(|c| width(c)).chain([head.len()]).max().unwrap_or_default();
                Column { name, head, width, cells }
            })
            .collect();
        let longest = sessions.iter().map(|s| width(&notes(s)) + width(&title(s))).max().unwrap_or_default();
        let mut table = Self { columns, left: None };
        if let Some(columns) = view.width {
            table.make_room(columns, longest.min(TITLE));
        }
        table
    }

    /// Gives up what matters least until a title has its place.
    fn make_room(&mut self, columns: usize, wanted: usize) {
        let missing = |table: &Self| {
            let used: usize = table.columns.iter().map(|c| c.width + GAP).sum();
            (used + wanted).saturating_sub(columns)
        };
        if missing(self) > 0 {
            self.columns.retain(|c| c.name != Name::Model);
        }
        let short = missing(self);
        if let Some(cwd) = self.columns.iter_mut().find(|c| c.name == Name::Cwd && short > 0) {
            cwd.width = cwd.width.min(cwd.width.saturating_sub(short).max(DIRECTORY));
        }
        // Where a title still has hardly a word: a narrow window.
        for name in [Name::Cwd, Name::Source, Name::Turn, Name::Age] {
            if missing(self) > wanted / 2 {
                self.columns.retain(|c| c.name != name);
            }
        }
        let used: usize = self.columns.iter().map(|c| c.width + GAP).sum();
        self.left = Some(columns.saturating_sub(used).max(1));
    }

    fn head(&self) -> String {
        let mut line: String = self.columns.iter().map(|c| padded(c.head, c.width + GAP)).collect();
        line.push_str("TITLE");
        line
    }

    fn row(&self, row: usize, session: &SessionView, view: &View) -> String {
        let mut out = String::new();
        for column in &self.columns {
            let cell = column.cells.get(row).map(String::as_str).unwrap_or_default();
            let cell = match column.name {
                Name::Cwd => cut_front(cell, column.width),
                _ => cut(cell, column.width),
            };
            let style = match (column.name, session.holders.first()) {
                (Name::Live, Some(holder)) => confidence_style(holder.confidence),
                (Name::Turn, Some(_)) => activity_style(session.activity),
                (Name::Id, _) => BOLD,
                (Name::Cwd, _) => DIM,
                _ => Style::new(),
            };
            // Padded outside of the colours, so that they do not count.
            let padding = " ".repeat((column.width + GAP).saturating_sub(width(&cell)));
            out.push_str(&view.paint(style, &cell));
            out.push_str(&padding);
        }
        let notes = notes(session);
        let text = format!("{notes}{}", title(session));
        let text = fit(&text, self.left);
        // Painted after the cut, as far as the pieces survived it.
        match text.strip_prefix(&notes) {
            Some(title) => {
                out.push_str(&view.paint(WARN, &notes));
                out.push_str(title);
            }
            None => out.push_str(&view.paint(WARN, &text)),
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples::{self, sessions as native};

    fn asked() -> DiscoverParams {
        DiscoverParams::default()
    }

    #[test]
    fn live_sessions_stand_first_and_then_the_newest() {
        insta::assert_snapshot!(sessions(&native::page(), &asked(), &samples::view()));
    }

    #[test]
    fn an_ordinary_page_fits_eighty_columns_with_its_directories() {
        let answer = DiscoverAnswer { sessions: vec![native::old(), native::live()], total: 2, ..native::page() };
        insta::assert_snapshot!(sessions(&answer, &asked(), &samples::view()));
    }

    #[test]
    fn a_wide_terminal_shows_the_model_and_whole_directories() {
        let mut view = samples::view();
        view.width = Some(150);
        insta::assert_snapshot!(sessions(&native::page(), &asked(), &view));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in [40, 50, 60, 80, 100, 200] {
            let mut view = samples::view();
            view.width = Some(columns);
            let text = sessions(&native::page(), &asked(), &view);
            let too_wide: Vec<&str> =
                text.lines().filter(|l| width(l) > columns && !l.starts_with("akkctl takeover")).collect();
            assert!(too_wide.is_empty(), "{columns}: {too_wide:#?}");
        }
    }

    #[test]
    fn a_narrow_window_still_shows_who_is_live_and_what_it_is_about() {
        let mut view = samples::view();
        view.width = Some(48);
        insta::assert_snapshot!(sessions(&native::page(), &asked(), &view));
    }

    #[test]
    fn a_page_says_how_many_it_leaves_out_and_what_could_not_be_read() {
        let mut answer = native::page();
        answer.sessions.truncate(1);
        answer.total = 1234;
        answer.next = Some("c".to_owned());
        answer.incomplete = vec!["the database is locked".to_owned()];
        let text = sessions(&answer, &asked(), &samples::view());
        assert!(text.contains("\n… and 1233 more: --all, or words to filter\n"), "{text}");
        assert!(text.contains("\nNot everything could be read: the database is locked\n"), "{text}");
    }

    #[test]
    fn nothing_is_said_in_words() {
        let view = samples::view();
        let none = DiscoverAnswer { incomplete: vec!["no /proc here".to_owned()], ..DiscoverAnswer::default() };
        let filtered = DiscoverParams { text: Some("x".to_owned()), ..asked() };
        insta::assert_snapshot!([
            sessions(&none, &asked(), &view),
            sessions(&none, &filtered, &view),
            active_sessions(&none, &asked(), &view),
            capabilities(&none, &view),
        ]
        .concat(), @r"
        No session is known. akkctl sessions --capabilities says where akkd looks.
        Not everything could be read: no /proc here
        No session fits.
        Not everything could be read: no /proc here
        No live session is known. akkctl sessions --capabilities says where akkd looks.
        Not everything could be read: no /proc here
        akkd knows no agent whose sessions it can read.
        Not everything could be read: no /proc here
        ");
    }

    #[test]
    fn colours_do_not_move_the_columns() {
        let plain = sessions(&native::page(), &asked(), &samples::view());
        let coloured = sessions(&native::page(), &asked(), &samples::coloured());
        assert_ne!(plain, coloured);
        assert_eq!(plain, anstream::adapter::strip_str(&coloured).to_string());
    }

    #[test]
    fn where_no_terminal_reads_nothing_is_cut() {
        let answer = native::page();
        let text = sessions(&answer, &asked(), &samples::unlimited());
        assert!(text.contains("/srv/checkouts/a/very/deep/tree/project"), "{text}");
        assert!(text.contains("gpt-5.1-codex"), "{text}");
    }

    #[test]
    fn every_live_session_names_its_processes_and_the_evidence() {
        insta::assert_snapshot!(active_sessions(&native::active(), &asked(), &samples::view()));
    }

    #[test]
    fn what_works_is_told_with_the_reason_for_what_does_not() {
        insta::assert_snapshot!(capabilities(&native::capabilities(), &samples::view()));
    }

    #[test]
    fn what_stands_in_a_session_cannot_command_the_terminal() {
        let view = samples::view();
        let spoilt = |answer| samples::spoilt::<DiscoverAnswer>(answer);
        let text = [
            sessions(&spoilt(&native::page()), &asked(), &view),
            active_sessions(&spoilt(&native::active()), &asked(), &view),
            capabilities(&spoilt(&native::capabilities()), &view),
        ]
        .concat();
        assert!(text.contains('␛'), "the poison is in it");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    }
}
