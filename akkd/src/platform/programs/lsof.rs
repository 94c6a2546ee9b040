//! The output of `lsof -F`: one field per line, its first character says which.

use super::{Flock, OpenFile};
use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The arguments before a selection. Names of hosts, ports and users are not looked up, nothing is warned of; process,
/// descriptor, access, lock, type and name of each file.
#[cfg_attr(not(target_os = "macos"), expect(dead_code, reason = "elsewhere only what reads the output is tested"))]
pub(super) const ARGUMENTS: [&str; 2] = ["-nPlw", "-Fpfaltn"];

/// The open files of each process in `output`. A process that has no files is there too.
pub(super) fn parse(output: &[u8]) -> HashMap<u32, Vec<OpenFile>> {
    let mut processes: HashMap<u32, Vec<OpenFile>> = HashMap::new();
    let mut pid = None;
    let mut file = Descriptor::default();
    for line in output.split(|b| *b == b'\n') {
        let Some((field, value)) = line.split_first() else { continue };
        match field {
            b'p' => {
                pid = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
                file = Descriptor::default();
                if let Some(pid) = pid {
                    processes.entry(pid).or_default();
                }
            }
            // `cwd`, `txt` and the like are no descriptors.
            b'f' => file = Descriptor { numbered: value.iter().all(u8::is_ascii_digit), ..Descriptor::default() },
            b'a' => file.written = matches!(value, b"w" | b"u"),
            b'l' => file.locked = matches!(value, b"W" | b"w" | b"R" | b"r" | b"u" | b"U"),
            b'n' if file.numbered && value.first() == Some(&b'/') => {
                let open = OpenFile {
                    path: PathBuf::from(OsString::from_vec(unescaped(value))),
                    written: file.written,
                    flock: if file.locked { Flock::Held } else { Flock::NotTold },
                    file: None,
                };
                if let Some(files) = pid.and_then(|pid| processes.get_mut(&pid)) {
                    files.push(open);
                }
            }
            _ => {}
        }
    }
    processes
}

#[derive(Default)]
struct Descriptor {
    numbered: bool,
    written: bool,
    locked: bool,
}

/// What cannot be printed stands as `\xNN`, `\n`, `\t` and the like, a backslash as `\\`.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let (byte, after) = match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (first, &rest[1..]),
            },
            (b'\\', [b'n', after @ ..]) => (b'\n', after),
            (b'\\', [b't', after @ ..]) => (b'\t', after),
            (b'\\', [b'\\', after @ ..]) => (b'\\', after),
            (_, after) => (first, after),
        };
        out.push(byte);
        rest = after;
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_under_their_processes() {
        let output = b"p71\nfcwd\na \nl \ntDIR\nn/Users/a\nftxt\na \ntREG\nn/opt/codex\nf3\nau\nl \ntREG\n\
                       n/Users/a/.codex/thread-writer-locks/x.lock\nf4\nar\nl \ntREG\nn/Users/a/caf\\xc3\\xa9\n\
                       f5\nau\nl \ntunix\nn->0xabc\np72\nfcwd\na \ntDIR\nn/\nf9\naw\nlW\ntREG\nn/l\n";
        let found = parse(output);
        let seen = |pid: u32| -> Vec<(String, bool, Flock)> {
            found[&pid].iter().map(|f| (f.path.display().to_string(), f.written, f.flock)).collect()
        };
        assert_eq!(
            seen(71),
            [
                ("/Users/a/.codex/thread-writer-locks/x.lock".to_owned(), true, Flock::NotTold),
                ("/Users/a/café".to_owned(), false, Flock::NotTold),
            ]
        );
        assert_eq!(seen(72), [("/l".to_owned(), true, Flock::Held)]);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn what_is_no_output_of_lsof_is_nothing() {
        assert!(parse(b"").is_empty());
        assert!(parse(b"n/x\nf3\nlsof: illegal option\npabc\nf3\nn/x\n").is_empty());
    }

    #[test]
    fn escapes_are_taken_back() {
        assert_eq!(unescaped(b"a\\x41\\n\\\\x41\\q\\x4"), b"aA\n\\x41\\q\\x4");
    }
}
