//! Pieces of a picture: what weighs how much, and rows of text.

use crate::output::text::{cut, width};
use crate::output::words::Ball;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

/// A row of the screen.
pub(super) type Row = Line<'static>;

/// As it comes.
pub(super) const PLAIN: Style = Style::new();
/// A heading, a key, a question.
pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
/// Of less weight.
pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);
/// Went wrong, or needs someone.
pub(super) const ALERT: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
/// Worth a look.
pub(super) const WARN: Style = Style::new().fg(Color::Yellow);

/// The colour of a group.
pub(super) fn colour(ball: Ball) -> Style {
    match ball {
        Ball::NeedsYou => ALERT,
        Ball::Working => Style::new().fg(Color::Cyan),
        Ball::Done => Style::new().fg(Color::Green),
    }
}

/// A style of the other views, which know four colours.
pub(super) fn style_of(style: anstyle::Style) -> Style {
    use anstyle::{AnsiColor, Color as Anstyle, Effects};
    let mut out = Style::new();
    out.fg = match style.get_fg_color() {
        Some(Anstyle::Ansi(AnsiColor::Red)) => Some(Color::Red),
        Some(Anstyle::Ansi(AnsiColor::Yellow)) => Some(Color::Yellow),
        Some(Anstyle::Ansi(AnsiColor::Cyan)) => Some(Color::Cyan),
        Some(Anstyle::Ansi(AnsiColor::Green)) => Some(Color::Green),
        _ => None,
    };
    if style.get_effects().contains(Effects::BOLD) {
        out = out.add_modifier(Modifier::BOLD);
    }
    if style.get_effects().contains(Effects::DIMMED) {
        out = out.add_modifier(Modifier::DIM);
    }
    out
}

/// A row of one style.
pub(super) fn row(text: impl Into<String>, style: Style) -> Row {
    Line::styled(text.into(), style)
}

/// A row of several.
pub(super) fn pieces(pieces: impl IntoIterator<Item = (String, Style)>) -> Row {
    Line::from(pieces.into_iter().map(|(text, style)| Span::styled(text, style)).collect::<Vec<_>>())
}

/// `text` in exactly `columns` columns.
pub(super) fn cell(text: &str, columns: usize) -> String {
    crate::output::text::padded(&cut(text, columns), columns)
}

/// `left`, and `right` at the other edge where both fit.
pub(super) fn spread(left: (String, Style), right: (String, Style), columns: usize) -> Row {
    let room = columns.saturating_sub(width(&left.0) + width(&right.0));
    if right.0.is_empty() || room < 2 {
        return pieces([left]);
    }
    pieces([left, (" ".repeat(room), PLAIN), right])
}

/// A line across the screen with a heading in it.
pub(super) fn rule(heading: Vec<(String, Style)>, columns: usize) -> Row {
    let used: usize = heading.iter().map(|(text, _)| width(text)).sum();
    let rest = "─".repeat(columns.saturating_sub(used + 4));
    pieces([("── ".to_owned(), DIM)].into_iter().chain(heading).chain([(format!(" {rest}"), DIM)]))
}
