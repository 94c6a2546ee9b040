//! Text that a user or an agent hands over: as an argument, in a file, on standard input.

use crate::error::{Error, Result};
use crate::output::tell;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

/// Where a text comes from.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// It is there already.
    Given(String),
    /// Standard input.
    Stdin,
    /// A file.
    File(&'a Path),
}

impl Source<'_> {
    /// The text of an argument; `-` stands for standard input.
    pub(crate) fn of_argument(text: String) -> Self {
        if text == "-" { Self::Stdin } else { Self::Given(text) }
    }

    /// Reads it, `limit` bytes at most.
    ///
    /// # Errors
    /// When it is longer, cannot be read, is not UTF-8 or is blank. `what` names it, as `the request`.
    pub(crate) fn read(self, what: &'static str, limit: usize) -> Result<String> {
        let text = match self {
            Self::Given(text) => text,
            Self::Stdin => {
                if io::stdin().is_terminal() {
                    tell_waiting(what);
                }
                read_all(io::stdin().lock(), Path::new("standard input"), what, limit)?
            }
            Self::File(path) => {
                let file = File::open(path).map_err(|e| Error::file("read", path, e))?;
                read_all(file, path, what, limit)?
            }
        };
        if text.len() > limit {
            return Err(Error::TooLarge { what, limit });
        }
        if text.trim().is_empty() {
            return Err(Error::usage(format!("{what} is empty"), "write what you want to say"));
        }
        Ok(text)
    }
}

fn tell_waiting(what: &str) {
    // A person who forgot the text sees why nothing happens.
    tell(&format!("Reading {what} from the terminal; end it with Ctrl-D\n"));
}

fn read_all(source: impl Read, name: &Path, what: &'static str, limit: usize) -> Result<String> {
    let mut bytes = Vec::new();
    // One byte more than the limit tells that it is passed; nothing longer is ever held.
    source.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|e| Error::file("read", name, e))?;
    if bytes.len() > limit {
        return Err(Error::TooLarge { what, limit });
    }
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Error::usage(format!("{what} is not UTF-8 at byte {at} of {}", name.display()), "convert it to UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_from_an_argument_or_a_file() {
        let given = |t: &str| Source::of_argument(t.to_owned());
        assert_eq!(given("--what?").read("the request", 10).unwrap(), "--what?");
        assert!(matches!(given("-"), Source::Stdin));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from a file\n").unwrap();
        assert_eq!(Source::File(file.path()).read("the request", 100).unwrap(), "from a file\n");
    }

    #[test]
    fn what_cannot_be_taken_is_refused_with_its_reason() {
        let refused = |s: Source<'_>, limit| {
            let e = s.read("the report", limit).unwrap_err();
            (e.exit_code(), e.to_string())
        };
        let file = |bytes: &[u8]| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), bytes).unwrap();
            file
        };
        assert_eq!(refused(Source::Given(" \n".into()), 9), (2, "the report is empty".into()));
        assert_eq!(refused(Source::Given("0123456789".into()), 9), (5, "the report is longer than 9 bytes".into()));
        let long = file(&[b'x'; 100]);
        assert_eq!(refused(Source::File(long.path()), 9), (5, "the report is longer than 9 bytes".into()));
        let latin = file(b"caf\xe9");
        let (code, text) = refused(Source::File(latin.path()), 9);
        assert_eq!(code, 2);
        assert!(text.starts_with("the report is not UTF-8 at byte 3 of "), "{text}");
        assert_eq!(refused(Source::File(Path::new("/no/such/file")), 9).0, 1);
    }
}
