//! Every command line of akkctl that README and docs show is one.

use super::Cli;
use clap::Parser as _;
use clap::error::ErrorKind;
use std::path::{Path, PathBuf};

/// A command line of akkctl in a document, and whether it stands there to be typed (in a block) or to be talked of.
#[derive(Debug, PartialEq)]
struct Shown {
    words: Vec<String>,
    whole: bool,
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|e| e == "md"));
    docs.chain([root.join("README.md")]).collect()
}

/// The words of the commands on a line, as a shell would take them apart: quotes, comments, and what joins commands.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars().chain([' ']) {
        match (quote, c) {
            (Some(q), _) if q == c => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '&' | ';') => {
                commands.last_mut().unwrap().extend(word.take());
                commands.push(Vec::new());
            }
            (None, c) if c.is_whitespace() => commands.last_mut().unwrap().extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    commands
}

/// The command lines of akkctl in a document.
fn shown(text: &str) -> Vec<Shown> {
    let mut found = Vec::new();
    let mut keep = |line: &str, whole| {
        for mut words in commands(line) {
            if words.first().is_some_and(|program| program == "akkctl" || program.ends_with("/akkctl")) {
                words.remove(0);
                found.push(Shown { words, whole });
            }
        }
    };
    let mut block: Option<&str> = None;
    for line in text.lines() {
        match (block, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => block = Some(language),
            (Some(_), Some(_)) => block = None,
            (Some("sh"), None) => keep(line.trim_start_matches("$ "), true),
            (Some(_), None) => {}
            (None, None) => line.split('`').skip(1).step_by(2).for_each(|code| keep(code, false)),
        }
    }
    found
}

/// Why it is no command line, if so. What is only talked of may lack what it would need.
fn wrong(shown: &Shown) -> Option<String> {
    let words = std::iter::once("akkctl").chain(shown.words.iter().map(String::as_str));
    match Cli::try_parse_from(words).err()?.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => None,
        ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !shown.whole => {
            None
        }
        kind => Some(format!("{kind:?}")),
    }
}

#[test]
fn every_command_line_in_readme_and_docs_is_understood() {
    let (mut seen, mut complaints) = (0, Vec::new());
    for path in documents() {
        for shown in shown(&std::fs::read_to_string(&path).unwrap()) {
            seen += 1;
            let complaint = wrong(&shown).map(|why| format!("{}: {:?}: {why}", path.display(), shown.words));
            complaints.extend(complaint);
        }
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(seen > 100, "the documents show command lines: {seen}");
}

#[test]
fn the_check_of_command_lines_sees_them_and_tells_good_from_bad() {
    let text = "Say `akkctl send` or `cargo test`:\n```sh\ncargo build && ./akkctl send 1a \"a # b\"  # more\n```\n\
                ```text\nakkctl nonsense\n```\n";
    let found = shown(text);
    let line = |words: &[&str], whole| Shown { words: words.iter().map(|w| (*w).to_owned()).collect(), whole };
    assert_eq!(found, [line(&["send"], false), line(&["send", "1a", "a # b"], true)]);
    assert!(found.iter().all(|shown| wrong(shown).is_none()));
    for bad in [line(&["help"], false), line(&["send", "--loud", "x"], false), line(&["delegate"], true)] {
        assert!(wrong(&bad).is_some(), "{bad:?}");
    }
}
