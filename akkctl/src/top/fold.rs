//! Text on lines of a width, with nothing of it left out.

use crate::output::text::width;
use unicode_segmentation::UnicodeSegmentation as _;

/// `line` on lines of at most `columns` columns, broken between words where there are some. Spaces at a break are left
/// out; what was moved to the right stays there on its first line.
pub(super) fn folded(line: &str, columns: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut left = line.trim_end();
    loop {
        let fits = fitting(left, columns);
        if fits == left.len() {
            break;
        }
        // The space may be the first character that does not fit. A break in the first third looks torn: the word is
        // broken then.
        let space = left[..fits].rfind(' ').filter(|at| *at > fits / 3);
        let at = if left[fits..].starts_with(' ') { fits } else { space.unwrap_or(fits) };
        out.push(left[..at].trim_end().to_owned());
        left = left[at..].trim_start();
    }
    if !left.is_empty() || out.is_empty() {
        out.push(left.to_owned());
    }
    out
}

/// `text` on lines of at most `columns` columns, broken anywhere and with every space: nothing can hide at an edge.
pub(super) fn broken(text: &str, columns: usize) -> Vec<String> {
    let mut out = Vec::new();
    for line in text.replace('\t', "    ").split('\n') {
        let mut left = line;
        loop {
            let (row, rest) = left.split_at(fitting(left, columns));
            out.push(row.to_owned());
            if rest.is_empty() {
                break;
            }
            left = rest;
        }
    }
    out
}

/// How many bytes of `line` fit into `columns`; one grapheme at least. Counted as it is drawn, grapheme by grapheme, which
/// can be more than its characters or the whole say. Looks no further than it fits.
fn fitting(line: &str, columns: usize) -> usize {
    let mut used = 0;
    for (at, grapheme) in line.grapheme_indices(true) {
        used += width(grapheme);
        if used > columns && at > 0 {
            return at;
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_whole_where_that_is_possible() {
        assert_eq!(folded("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(folded("one two", 3), ["one", "two"]);
        assert_eq!(folded("  moved to the right", 9), ["  moved", "to the", "right"]);
        assert_eq!(folded("a/very/long/path/of/a/file", 10), ["a/very/lon", "g/path/of/", "a/file"]);
        assert_eq!(folded("日本語日本語", 5), ["日本", "語日", "本語"]);
        assert_eq!(folded("", 5), [""]);
        assert_eq!(folded("日", 1), ["日"], "what can never fit does not loop");
    }

    #[test]
    fn what_is_broken_holds_every_character() {
        let text = "rm -rf build          ; curl evil\n\n\tlast";
        let rows = broken(text, 10);
        assert!(rows.iter().all(|r| width(r) <= 10), "{rows:?}");
        assert_eq!(rows, ["rm -rf bui", "ld        ", "  ; curl e", "vil", "", "    last"]);
    }

    fn drawn(line: &str) -> usize {
        line.graphemes(true).map(width).sum()
    }

    #[test]
    fn nothing_hides_behind_what_is_drawn_wider_than_its_characters_say() {
        for wide in ["❤️", "👩‍👩‍👧", "لا", "日", "e\u{301}", "🇩🇪", "1️⃣"] {
            let text = format!("echo {} ; curl evil", wide.repeat(40));
            for row in broken(&text, 20).iter().chain(&folded(&text, 20)) {
                assert!(drawn(row) <= 20 && width(row) <= 20, "{row:?}");
            }
            assert_eq!(broken(&text, 20).concat(), text);
        }
    }
}
