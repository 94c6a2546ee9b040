//! What programs say of their version, and how that compares with what this akkd was tried with. Looks at nothing.

use std::cmp::Ordering;

/// A program that agents are, or that they run on.
#[derive(Debug)]
pub(super) struct Known {
    /// What it is called.
    pub(super) name: &'static str,
    /// The names of its program, the first that is found counts.
    pub(super) programs: &'static [&'static str],
    /// The version that the tests of this build run with; none where they have no real one.
    pub(super) tried: Option<&'static str>,
    /// The oldest that can do what akkd asks for, and why.
    pub(super) oldest: Option<(&'static str, &'static str)>,
    /// How it is brought up to date.
    pub(super) update: &'static str,
}

/// Those that are looked for, in the order of the lines.
pub(super) const KNOWN: [Known; 7] = [
    Known {
        name: "codex",
        programs: &["codex"],
        tried: Some("0.169.0"),
        oldest: None,
        update: "npm install -g @openai/codex",
    },
    Known { name: "claude", programs: &["claude"], tried: None, oldest: None, update: "claude update" },
    Known { name: "cursor", programs: &["cursor-agent"], tried: None, oldest: None, update: "cursor-agent update" },
    Known {
        name: "gemini",
        programs: &["gemini"],
        tried: None,
        // Pull request 21171 of gemini-cli; acpx made the same change at 0.33.
        oldest: Some(("0.33.0", "`gemini --acp`, which akkd runs")),
        update: "npm install -g @google/gemini-cli",
    },
    Known {
        name: "acpx",
        programs: &["acpx"],
        tried: Some("0.19.1"),
        oldest: None,
        update: "npm install -g acpx@0.19.1",
    },
    Known {
        name: "node",
        programs: &["node"],
        tried: Some("24.21.0"),
        // `engines` of acpx 0.19.1.
        oldest: Some(("22.13.0", "acpx")),
        update: "nvm install 24",
    },
    Known {
        name: "openclaw",
        programs: &["openclaw"],
        tried: Some("2026.9.6"),
        oldest: None,
        update: "npm install -g openclaw",
    },
];

/// How a version compares with what was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Like the tried one, or nothing was tried and nothing is known against it.
    Fine,
    /// Older than what was tried; it may work.
    Before(&'static str),
    /// Newer than what was tried; it may have changed.
    After(&'static str),
    /// It cannot do this.
    TooOld(&'static str, &'static str),
}

/// The version in what a program printed: the first word of its first lines that looks like one.
pub(super) fn read(text: &str) -> Option<String> {
    let words = text.lines().take(5).flat_map(str::split_whitespace);
    words.map(|w| w.trim_start_matches('v').trim_end_matches([',', ';'])).find(|w| is_version(w)).map(str::to_owned)
}

fn is_version(word: &str) -> bool {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
    let mut parts = word.split(['.', '-', '+']);
    let number = |part: Option<&str>| part.is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    plain && word.len() <= 40 && word.contains('.') && number(parts.next()) && number(parts.next())
}

/// Compares the first `parts` numbers; what is no number counts as 0.
fn compare(one: &str, other: &str, parts: usize) -> Ordering {
    let numbers = |version: &str| -> Vec<u64> {
        version.split(['.', '-', '+']).take(parts).map(|part| part.parse().unwrap_or_default()).collect()
    };
    numbers(one).cmp(&numbers(other))
}

impl Known {
    /// How `version` fits.
    pub(super) fn fit(&self, version: &str) -> Fit {
        if let Some((oldest, what)) = self.oldest
            && compare(version, oldest, 3) == Ordering::Less
        {
            return Fit::TooOld(oldest, what);
        }
        // Another patch, or another day of the same month, is the same to us; of Node, another minor version too.
        let parts = if self.name == "node" { 1 } else { 2 };
        match self.tried.map(|tried| (compare(version, tried, parts), tried)) {
            Some((Ordering::Less, tried)) if self.oldest.is_none() => Fit::Before(tried),
            Some((Ordering::Greater, tried)) => Fit::After(tried),
            _ => Fit::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_programs_print() {
        for (text, version) in [
            ("codex-cli 0.169.0\n", Some("0.169.0")),
            ("v24.21.0\n", Some("24.21.0")),
            ("2.1.144 (Claude Code)\n", Some("2.1.144")),
            ("OpenClaw 2026.9.6 (eb377ac)\n", Some("2026.9.6")),
            ("2026.06.04-5fd875e\n", Some("2026.06.04-5fd875e")),
            ("WARNING: something\n0.33.0-preview.11\n", Some("0.33.0-preview.11")),
            ("", None),
            ("hello there. e.g. 1..2 a.b\n", None),
            ("\u{1b}[31m0.1.0\u{1b}[0m\n", None),
            ("one\ntwo\nthree\nfour\nfive\n1.2.3\n", None),
        ] {
            assert_eq!(read(text).as_deref(), version, "{text:?}");
        }
        assert_eq!(read(&format!("1.{}", "9".repeat(60))), None);
    }

    #[test]
    fn a_version_is_compared_with_the_one_that_was_tried() {
        let known = |name: &str| KNOWN.iter().find(|k| k.name == name).unwrap();
        for (name, version, fit) in [
            ("codex", "0.169.3", Fit::Fine),
            ("codex", "0.120.0", Fit::Before("0.169.0")),
            ("codex", "0.170.0-alpha.1", Fit::After("0.169.0")),
            ("codex", "1.0.0", Fit::After("0.169.0")),
            ("claude", "0.0.1", Fit::Fine),
            ("gemini", "0.32.9", Fit::TooOld("0.33.0", "`gemini --acp`, which akkd runs")),
            ("gemini", "0.33.0-preview.11", Fit::Fine),
            ("node", "20.20.2", Fit::TooOld("22.13.0", "acpx")),
            ("node", "22.13.0", Fit::Fine),
            ("node", "24.99.0", Fit::Fine),
            ("node", "26.1.0", Fit::After("24.21.0")),
            ("openclaw", "2026.9.30", Fit::Fine),
            ("openclaw", "2026.10.1", Fit::After("2026.9.6")),
        ] {
            assert_eq!(known(name).fit(version), fit, "{name} {version}");
        }
    }

    #[test]
    fn what_was_tried_is_new_enough() {
        for known in &KNOWN {
            assert!(known.tried.is_none_or(|tried| known.fit(tried) == Fit::Fine), "{}", known.name);
        }
    }
}
