//! Every error and every help text, as people see them, in one place: read as a whole, and held to one voice.
//!
//! The errors of akkd are taken from its sources: what a call site says stands here with its placeholders.

use crate::cli::Cli;
use crate::error::Error;
use crate::output::{self, samples};
use akk_proto::error::{ErrorKind, Failure};
use clap::CommandFactory as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The Rust files below these folders of the repository, without tests.
fn sources(folders: &[&str]) -> Vec<String> {
    let mut open: Vec<PathBuf> =
        folders.iter().map(|f| Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(f)).collect();
    let mut texts = BTreeMap::new();
    while let Some(path) = open.pop() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else if path.extension().is_some_and(|e| e == "rs")
            && !name.contains("test")
            && !path.to_string_lossy().contains("/test")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
            texts.insert(path, text[..end].to_owned());
        }
    }
    texts.into_values().collect()
}

/// The arguments that begin at `text`, up to the bracket that closes them.
fn arguments(text: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut found) = (0, 0, Vec::new());
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'"' if text[..at].ends_with("r#") => at += text[at..].find("\"#").unwrap_or_default() + 1,
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += 1 + usize::from(bytes[at] == b'\\');
                }
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' if depth == 0 => {
                found.push(text[begin..at].trim());
                return found.into_iter().filter(|a| !a.is_empty()).collect();
            }
            b')' | b']' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                found.push(text[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    Vec::new()
}

/// The string literals of an expression, as they read.
fn literals(expression: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = expression.chars();
    while let Some(c) = chars.next() {
        if c != '"' {
            continue;
        }
        let rest = chars.as_str();
        if expression[..expression.len() - rest.len()].ends_with("r#\"") {
            let (text, rest) = rest.split_once("\"#").unwrap_or((rest, ""));
            found.push(text.to_owned());
            chars = rest.chars();
            continue;
        }
        let mut text = String::new();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => match chars.next() {
                    // The line goes on below.
                    Some('\n') => {
                        let rest = chars.as_str().trim_start();
                        chars = rest.chars();
                    }
                    Some('n') => text.push('\n'),
                    Some(c) => text.push(c),
                    None => {}
                },
                c => text.push(c),
            }
        }
        found.push(text);
    }
    found
}

/// Whether a literal says something, and does not only stand between two others.
fn is_sentence(text: &str) -> bool {
    text.split_whitespace().count() > 1
}

/// What an argument says: its own literals, else those of the variable that it is, else its name.
fn said(argument: &str, before: &str) -> Vec<String> {
    let own: Vec<String> = literals(argument).into_iter().filter(|text| is_sentence(text)).collect();
    if !own.is_empty() {
        return own;
    }
    let name = argument.trim_start_matches('&').split('.').next().unwrap_or_default();
    let of_variable = before.rfind(&format!("let {name} = ")).map(|at| {
        let statement = &before[at..];
        // Up to the blank line or the end of the call: good enough to read it.
        let end = statement.find(";\n").unwrap_or(statement.len());
        literals(&statement[..end]).into_iter().filter(|text| is_sentence(text)).collect::<Vec<_>>()
    });
    match of_variable {
        Some(found) if !found.is_empty() => found,
        _ => vec![format!("‹{}›", argument.split_whitespace().collect::<Vec<_>>().join(" "))],
    }
}

/// Every call of `function` in `text`: what stands before it, and its arguments.
fn calls<'a>(text: &'a str, function: &'a str) -> impl Iterator<Item = (&'a str, Vec<&'a str>)> {
    text.match_indices(function).map(move |(at, _)| (&text[..at], arguments(&text[at + function.len()..])))
}

fn kind(argument: &str) -> Option<ErrorKind> {
    let name = argument.strip_prefix("ErrorKind::")?;
    ErrorKind::ALL.into_iter().find(|k| format!("{k:?}") == name)
}

/// The kind of error that stands for an obstacle of a takeover.
fn obstacle(argument: &str) -> Option<ErrorKind> {
    Some(match argument.strip_prefix("BlockReason::")? {
        "SharedHolder" => ErrorKind::SharedHolder,
        "WeakEvidence" => ErrorKind::TakeoverNotConfirmable,
        "Working" => ErrorKind::SessionWorking,
        "ProtectedProcess" => ErrorKind::ProtectedProcess,
        // Told by an answer, with the same word.
        "TargetStillActive" => ErrorKind::TargetStillActive,
        // Said in an answer that is no error.
        _ => return None,
    })
}

/// What is wrong with the voice of a hint.
fn faults(hint: &str) -> Option<&'static str> {
    if hint.starts_with('‹') {
        return None;
    }
    let hint = hint.trim_end();
    // What ends in a placeholder ends in a sentence that was made elsewhere.
    if !hint.ends_with(['.', '?', '}']) {
        return Some("no full stop");
    }
    let begins = hint.chars().next().is_some_and(|c| c.is_uppercase() || matches!(c, '`' | '{' | '['));
    (!begins && !hint.starts_with("akk")).then_some("no capital letter")
}

#[test]
fn every_error_of_akkd_says_what_is_wrong_and_what_to_do() {
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut bad = Vec::new();
    for text in sources(&["akkd/src", "akkd/core/src", "proto/src"]) {
        let made = ["Failure::new(", "Self::new(", "Obstacle::new("].into_iter().flat_map(|f| calls(&text, f));
        let made = made.filter_map(|(before, arguments)| {
            let [first, message, hint] = arguments[..] else { return None };
            Some((kind(first).or_else(|| obstacle(first))?, said(message, before), said(hint, before)))
        });
        // Where a `match` gives kind and hint, the message is the error's own.
        let paired = calls(&text, "(").filter_map(|(before, arguments)| {
            let [first, hint] = arguments[..] else { return None };
            let own = before.rfind("StoreError::").map_or("", |at| &before[at..]);
            let own = own.split([' ', '(', '{', '\n']).next().unwrap_or_default().to_owned();
            Some((kind(first)?, vec![format!("‹{own}›")], said(hint, before)))
        });
        for (kind, messages, hints) in made.chain(paired) {
            // A comparison of kinds looks like a pair.
            if messages == ["‹›"] {
                continue;
            }
            let (message, hint) = (messages.join(" | "), hints.join(" | "));
            bad.extend(hints.iter().filter_map(|h| Some(format!("{}: {}: {h}", kind.word(), faults(h)?))));
            bad.extend(
                messages.iter().filter(|m| m.trim_end().ends_with('.')).map(|m| format!("{m}: ends like a sentence")),
            );
            let shown = output::error(&Error::Refused(Box::new(Failure::new(kind, message, hint))), &samples::view());
            seen.entry(kind.word()).or_default().insert(shown);
        }
    }
    bad.sort();
    bad.dedup();
    assert!(bad.is_empty(), "these hints are no sentences:\n{}", bad.join("\n"));
    for kind in ErrorKind::ALL {
        // What akkctl finds by itself stands below.
        let by_akkctl = kind == ErrorKind::VersionMismatch;
        assert!(seen.contains_key(&kind.word()) || by_akkctl, "nothing makes a {}", kind.word());
    }
    let text = |(kind, shown): (String, BTreeSet<String>)| {
        format!("## {kind}\n\n{}", shown.into_iter().collect::<Vec<_>>().join("\n"))
    };
    insta::assert_snapshot!("errors_of_akkd", seen.into_iter().map(text).collect::<Vec<_>>().join("\n"));
}

/// One of each, in the order of their definition; `None` for the one that is never shown. A new one has to stand here.
fn name(error: &Error) -> Option<&'static str> {
    Some(match error {
        Error::Refused(_) => "refused",
        Error::Usage { .. } => "usage",
        Error::NotRunning(_) => "not running",
        Error::Connect { .. } => "connect",
        Error::ForeignServer { .. } => "foreign server",
        Error::ServiceStopped => "service stopped",
        Error::InsideAgent => "inside agent",
        Error::NoDaemonProgram => "no daemon program",
        Error::StartFailed { .. } => "start failed",
        Error::StartSilent { .. } => "start silent",
        Error::Broken { .. } => "broken",
        Error::Silent { .. } => "silent",
        Error::AnswerTooLong { .. } => "answer too long",
        Error::TooLarge { .. } => "too large",
        Error::NotUnderstood { .. } => "not understood",
        Error::VersionMismatch { .. } => "version mismatch",
        Error::OtherVersion { .. } => "other version",
        Error::WaitTimedOut(_) => "wait timed out",
        Error::File { .. } => "file",
        Error::Report { .. } => "report",
        Error::NotLeft { .. } => "not left",
        Error::Program { .. } => "program",
        Error::Output(_) => "output",
        Error::ReaderLeft => return None,
    })
}

#[test]
fn every_error_of_akkctl_says_what_is_wrong_and_what_to_do() {
    use std::io::{Error as Io, ErrorKind as Kind};
    use std::time::Duration;
    let socket = || PathBuf::from("/h/run/akkd.sock");
    let method = || "conversation.list".to_owned();
    let denied = || Io::from(Kind::PermissionDenied);
    let mismatch = |our_protocol, their_protocol| Error::VersionMismatch {
        ours: "0.2.0",
        our_protocol,
        theirs: "0.1.0".to_owned(),
        their_protocol,
    };
    let refused = || Failure::new(ErrorKind::NotFound, "there is no conversation \"x\"", "See `akkctl list --all`.");
    let all = [
        Error::Refused(Box::new(refused())),
        Error::usage("the text is empty", "give it, or - to read it from standard input"),
        Error::NotRunning(socket()),
        Error::Connect { socket: socket(), source: denied() },
        Error::ForeignServer { socket: socket(), uid: 1001 },
        Error::ServiceStopped,
        Error::InsideAgent,
        Error::NoDaemonProgram,
        Error::StartFailed { message: "the disk is full".to_owned(), hint: None },
        Error::StartSilent { socket: socket(), after: Duration::from_secs(20) },
        Error::Broken { method: method() },
        Error::Silent { method: method(), after: Duration::from_mins(2) },
        Error::AnswerTooLong { method: method(), limit: 16 << 20 },
        Error::TooLarge { what: "the request", limit: 1 << 20 },
        Error::NotUnderstood { method: method(), detail: "expected value at line 1".to_owned() },
        mismatch(2, 1),
        mismatch(1, 2),
        Error::OtherVersion {
            cause: Box::new(Error::Refused(Box::new(refused()))),
            ours: "0.1.0",
            theirs: "0.2.0".into(),
        },
        Error::OtherVersion {
            cause: Box::new(Error::Refused(Box::new(refused()))),
            ours: "0.2.0",
            theirs: "0.1.0".into(),
        },
        Error::WaitTimedOut(Duration::from_secs(5)),
        Error::file("read", Path::new("/h/request.txt"), Io::from(Kind::NotFound)),
        Error::Report { cause: Box::new(Error::NotRunning(socket())), hint: "Say it with your final text." },
        Error::NotLeft { cause: Box::new(Error::NotRunning(socket())), folder: "/h/drops".into(), source: denied() },
        Error::Program { message: "systemctl could not be run".to_owned(), hint: "look into the log".to_owned() },
        Error::Output(Io::from(Kind::StorageFull)),
    ];
    let names: BTreeSet<_> = all.iter().filter_map(name).collect();
    assert_eq!(names.len(), 23, "one of each: {names:?}");
    let shown = |e: &Error| {
        let shown = output::error(e, &samples::view());
        let hint = shown.lines().last().and_then(|l| l.strip_prefix("hint: ")).unwrap_or_default();
        assert_eq!(faults(hint), None, "{shown}");
        format!("{shown}exit code {}\n", e.exit_code())
    };
    insta::assert_snapshot!("errors_of_akkctl", all.iter().map(shown).collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_is_wrong_with_a_command_line_says_what_to_do() {
    let mut seen = BTreeSet::new();
    for text in sources(&["akkctl/src"]) {
        let usages = calls(&text, "Error::usage(").filter_map(|(before, arguments)| {
            let [message, hint] = arguments[..] else { return None };
            Some((said(message, before).join(" | "), said(hint, before).join(" | ")))
        });
        let programs = calls(&text, "Error::Program {").filter_map(|(before, fields)| {
            let of = |name: &'static str| {
                fields.iter().find_map(|f| f.strip_prefix(name)).map_or(name, |f| f.trim_start_matches(':').trim())
            };
            (fields.len() == 2).then(|| (said(of("message"), before).join(" | "), said(of("hint"), before).join(" | ")))
        });
        for (message, hint) in usages.chain(programs) {
            let shown = output::error(&Error::usage(message, hint), &samples::view());
            seen.insert(shown);
        }
    }
    assert!(seen.len() > 30, "{}", seen.len());
    insta::assert_snapshot!("errors_of_command_lines", seen.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn every_command_and_every_option_is_explained_in_one_voice() {
    let mut command = Cli::command().term_width(80);
    command.build();
    let mut bad = Vec::new();
    let mut open = vec![(String::new(), &command)];
    while let Some((path, command)) = open.pop() {
        let path = format!("{path} {}", command.get_name());
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        if about.is_empty() || about.ends_with('.') || !about.starts_with(char::is_uppercase) {
            bad.push(format!("{path}: {about:?}"));
        }
        for argument in command.get_arguments().filter(|a| !a.is_hide_set()) {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            let begins =
                help.starts_with(|c: char| c.is_uppercase() || matches!(c, '`' | '@')) || help.starts_with("akk");
            if help.is_empty() || help.ends_with('.') || !begins {
                bad.push(format!("{path} {}: {help:?}", argument.get_id()));
            }
        }
        let below = command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help");
        open.extend(below.map(|c| (path.clone(), c)));
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    let names: Vec<String> =
        command.get_subcommands().map(|c| c.get_name().to_owned()).filter(|n| n != "help").collect();
    for name in names {
        let top = command.find_subcommand_mut(&name).unwrap();
        let mut shown = top.render_long_help().to_string();
        let below: Vec<String> =
            top.get_subcommands().map(|c| c.get_name().to_owned()).filter(|n| n != "help").collect();
        for name in below {
            let help = top.find_subcommand_mut(&name).unwrap().render_long_help().to_string();
            shown = format!("{shown}\n---\n{help}");
        }
        insta::assert_snapshot!(format!("long_help_{}", name.replace('-', "_")), shown);
    }
}
