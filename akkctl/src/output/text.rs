//! Text of agents and users on its way to a terminal: harmless, cut to a width, aligned.

use akk_proto::ConversationId;
use std::borrow::Cow;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` with its line breaks and tabs, and without anything that a terminal obeys: control characters are shown as
/// their pictures, characters that reorder or hide text as their code points.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    neutralised(text, false)
}

/// As [`lines`], on one line: line breaks and tabs become spaces, and spaces in a row become one.
pub(crate) fn one_line(text: &str) -> String {
    neutralised(text, true).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn neutralised(text: &str, one_line: bool) -> Cow<'_, str> {
    if !text.chars().any(|c| c != '\n' && c != '\t' && is_obeyed(c)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => safe.push(c),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' if one_line => safe.push(' '),
            '\u{0}'..='\u{1f}' => safe.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\u{7f}' => safe.push('\u{2421}'),
            c if is_obeyed(c) => {
                let code = format!("<U+{:04X}>", u32::from(c));
                safe.push_str(&code);
            }
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Whether a terminal does something else with `c` than to show it.
fn is_obeyed(c: char) -> bool {
    // C0, DEL and C1; line and paragraph separators; marks and overrides of direction; invisible characters that
    // hide a difference between two texts; tags.
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{200b}' | '\u{2060}' | '\u{feff}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
}

/// Columns that `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// `text` in at most `columns` columns, with `…` at its end when something was left out.
pub(crate) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    // Bytes bound the width for everything but a few symbols, and cost nothing to count.
    if text.len() <= columns || width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut used = 0;
    let mut end = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used >= columns {
            break;
        }
        end = at + c.len_utf8();
    }
    Cow::Owned(format!("{}…", text[..end].trim_end()))
}

/// As [`cut`], where there is a width.
pub(crate) fn fit(text: &str, columns: Option<usize>) -> Cow<'_, str> {
    match columns {
        Some(columns) => cut(text, columns),
        None => Cow::Borrowed(text),
    }
}

/// `text` with spaces up to `columns`.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// As [`cut`], with the end of the text kept: what tells two paths apart.
pub(crate) fn cut_front(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut used = 0;
    let mut begin = text.len();
    for (at, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used >= columns {
            break;
        }
        begin = at;
    }
    Cow::Owned(format!("…{}", &text[begin..]))
}

/// `text` on lines of at most `columns` columns, moved to the right; longer words are left whole. Its last line ends
/// with a newline; nothing where there are no words.
pub(crate) fn wrapped(text: &str, columns: Option<usize>, indent: usize) -> String {
    let left = columns.map_or(usize::MAX, |c| c.saturating_sub(indent));
    let indent = " ".repeat(indent);
    let mut out = String::new();
    let mut used = 0;
    for word in one_line(text).split(' ').filter(|w| !w.is_empty()) {
        let columns = width(word);
        if used > 0 && used + 1 + columns > left {
            out.push('\n');
            used = 0;
        }
        if used == 0 {
            out.push_str(&indent);
        } else {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += columns;
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// `text` with every line moved to the right; its last line ends with a newline.
pub(crate) fn indented(text: &str, by: usize) -> String {
    let indent = " ".repeat(by);
    let mut out = String::with_capacity(text.len() + 64);
    for line in lines(text).trim_end().lines() {
        if !line.trim().is_empty() {
            out.push_str(&indent);
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// The eight random digits of an id: normally enough to name it.
pub(crate) fn short(id: &ConversationId) -> &str {
    id.as_str().rsplit('-').next().unwrap_or(id.as_str())
}

/// `1 message`, `2 messages`.
pub(crate) fn counted(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// Bytes for people: `512 B`, `12 KiB`, `3.4 MiB`.
pub(crate) fn bytes(n: u64) -> String {
    match n {
        0..=1023 => format!("{n} B"),
        1024..=1_048_575 => format!("{} KiB", n / 1024),
        _ => format!("{:.1} MiB", n as f64 / 1_048_576.0),
    }
}

/// How wide each column of a table is: its head or its widest cell, in columns of a terminal.
pub(super) fn column_widths<'a, const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = &'a [String; N]> + Clone,
) -> [usize; N] {
    std::array::from_fn(|i| rows.clone().map(|row| width(&row[i])).chain([head[i].len()]).max().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(lines("a\u{1b}[2Jb\u{7}\u{8}\u{7f}"), "a␛[2Jb␇␈␡");
        assert_eq!(lines("\u{9b}31m"), "<U+009B>31m");
        assert_eq!(lines("user\u{202e}gnp.exe"), "user<U+202E>gnp.exe");
        assert_eq!(lines("a\u{e0041}b\u{200b}"), "a<U+E0041>b<U+200B>");
        assert_eq!(lines("one\r\ntwo\rthree\tfour\n"), "one\ntwo␍three\tfour\n");
        assert!(lines("\u{0}\u{1}\u{1f}").chars().all(|c| !c.is_control()));
    }

    #[test]
    fn ordinary_text_of_any_script_passes_untouched() {
        for text in ["plain", "línea\n\tdos", "日本語", "👩‍👩‍👧", "עברית", ""] {
            assert!(matches!(lines(text), Cow::Borrowed(t) if t == text), "{text}");
        }
    }

    #[test]
    fn one_line_stays_one_line() {
        assert_eq!(one_line("  a\n\n b\t\tc\r\nd\re\u{1b}]0;x\u{7} "), "a b c d e␛]0;x␇");
        assert_eq!(one_line(""), "");
    }

    #[test]
    fn a_cut_counts_columns_and_not_bytes() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdefg", 6), "abcde…");
        assert_eq!(cut("日本語日本語", 7), "日本語…");
        assert_eq!(width(&cut("日本語日本語", 6)), 5);
        assert_eq!(cut("éééééé", 6), "éééééé");
    }

    #[test]
    fn the_end_of_a_path_is_kept() {
        assert_eq!(cut_front("~/a/b", 5), "~/a/b");
        assert_eq!(cut_front("~/work/project", 9), "…/project");
        assert_eq!(width(&cut_front("/日本語/日本語", 8)), 8);
    }

    #[test]
    fn a_paragraph_is_broken_between_words() {
        assert_eq!(wrapped("one two  three\nfour", Some(11), 2), "  one two\n  three\n  four\n");
        assert_eq!(wrapped("a/very/long/word that stays", Some(8), 0), "a/very/long/word\nthat\nstays\n");
        assert_eq!(wrapped("no terminal, no break", None, 4), "    no terminal, no break\n");
        assert_eq!(wrapped(" \n", Some(8), 4), "");
    }

    #[test]
    fn indentation_leaves_empty_lines_empty() {
        assert_eq!(indented("a\n\nb\n\n", 2), "  a\n\n  b\n");
    }
}
