//! Words: how text is split for the full-text index, how a person's words become a query, what a hit shows.
//!
//! FTS5's `unicode61` takes a run of letters for a word. Chinese and Japanese have no spaces, so there each character
//! is made a word of its own, in texts and queries alike; a query's run of them must then occur side by side.

/// Words of a query at most; more are left out.
const MAX_WORDS: usize = 32;

/// Characters that a snippet shows before the hit.
const BEFORE: usize = 60;

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    /// The person's words, in lower case.
    words: Vec<String>,
}

impl Query {
    /// The words of `text`; none when there is nothing to search for in it.
    pub(super) fn of(text: &str) -> Option<Self> {
        let words: Vec<String> = text
            .split(|c: char| c.is_whitespace() || c.is_control())
            // Of marks alone FTS5 would make a phrase without words.
            .filter(|word| word.chars().any(char::is_alphanumeric))
            .take(MAX_WORDS)
            .map(str::to_lowercase)
            .collect();
        (!words.is_empty()).then_some(Self { words })
    }

    /// The query in FTS5's language: each word a string of it, all of which must occur.
    pub(super) fn expression(&self) -> String {
        let quoted: Vec<String> =
            self.words.iter().map(|word| format!("\"{}\"", words(word).replace('"', "\"\""))).collect();
        quoted.join(" ")
    }

    /// The part of `text` around the first word that is found as it was typed, on one line, `max` characters at most.
    pub(super) fn snippet(&self, text: &str, max: usize) -> String {
        let first = self.words.iter().filter_map(|word| find(text, word)).min().unwrap_or(0);
        let start = text[..first].char_indices().rev().nth(BEFORE - 1).map_or(0, |(at, _)| at);
        let mut line = String::new();
        let mut length = 0;
        if start > 0 {
            line.push('…');
            length += 1;
        }
        let mut space = true;
        for c in text[start..].chars() {
            let blank = c.is_whitespace() || c.is_control();
            if blank && space {
                continue;
            }
            if length + 1 == max {
                line.push('…');
                break;
            }
            line.push(if blank { ' ' } else { c });
            length += 1;
            space = blank;
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// `text` with each character of a script without spaces made a word of its own.
pub(super) fn words(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    for c in text.chars() {
        if is_word_of_its_own(c) {
            spaced.push(' ');
            spaced.push(c);
            spaced.push(' ');
        } else if c == '\0' {
            // FTS5 ends a text there.
            spaced.push(' ');
        } else {
            spaced.push(c);
        }
    }
    spaced
}

/// Han, kana, and Hangul syllables (whose words carry endings).
fn is_word_of_its_own(c: char) -> bool {
    matches!(u32::from(c),
        0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0x2_0000..=0x3_134f)
}

/// Where `word` (in lower case) stands in `text`, whatever the case there.
fn find(text: &str, word: &str) -> Option<usize> {
    text.char_indices().map(|(at, _)| at).find(|at| {
        let mut found = text[*at..].chars().flat_map(char::to_lowercase);
        word.chars().all(|c| found.next() == Some(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(text: &str) -> Option<String> {
        Query::of(text).map(|q| q.expression())
    }

    #[test]
    fn what_a_person_types_is_never_a_command_of_the_search() {
        assert_eq!(expression("a OR b").unwrap(), "\"a\" \"or\" \"b\"");
        assert_eq!(expression("say \"hi\" NEAR(x) col:*").unwrap(), "\"say\" \"\"\"hi\"\"\" \"near(x)\" \"col:*\"");
        assert_eq!(expression(" -- \" * \u{0} "), None);
        assert_eq!(expression(""), None);
    }

    #[test]
    fn characters_of_scripts_without_spaces_are_words() {
        assert_eq!(expression("store设计").unwrap(), "\"store 设  计 \"");
    }

    #[test]
    fn a_snippet_is_one_line_around_the_hit() {
        let q = Query::of("NEEDLE").unwrap();
        let text = format!("{} the Needle\n\n  is here {}", "hay ".repeat(100), "straw ".repeat(100));
        let snippet = q.snippet(&text, 200);
        assert!(snippet.starts_with('…') && snippet.ends_with('…'), "{snippet}");
        assert!(snippet.contains("the Needle is here straw"), "{snippet}");
        assert!(snippet.chars().count() <= 200);
        assert_eq!(q.snippet("no such word", 200), "no such word");
        assert_eq!(q.snippet("needle", 200), "needle");
        assert_eq!(Query::of("größe").unwrap().snippet("Die GRÖSSE, die Größe", 200), "Die GRÖSSE, die Größe");
    }
}
