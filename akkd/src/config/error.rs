//! What can be wrong with the configuration, and where.

use akk_core::redact::redact;
use akk_proto::error::{ErrorKind, Failure};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there and cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody else could have written it.
    #[error("{} {problem}", path.display())]
    NotTrusted {
        /// The file.
        path: PathBuf,
        /// What is wrong with its owner, mode or type.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// What stands in it.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
}

impl From<ConfigError> for Failure {
    fn from(e: ConfigError) -> Self {
        let message = e.to_string();
        match e {
            ConfigError::Unreadable { path, .. } => {
                Self::new(ErrorKind::BadConfig, message, "Make the file readable for you, or move it away.")
                    .with("file", path.to_string_lossy())
            }
            ConfigError::NotTrusted { path, hint, .. } => {
                Self::new(ErrorKind::BadConfig, message, hint).with("file", path.to_string_lossy())
            }
            ConfigError::Wrong { path, line, column, hint, .. } => Self::new(ErrorKind::BadConfig, message, hint)
                .with("file", path.to_string_lossy())
                .with("line", line)
                .with("column", column),
        }
    }
}

/// The text that is being read, for the places of errors.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// An error about the bytes `span` of the text.
    pub(super) fn wrong(&self, span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ConfigError::Wrong {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            // A value at the wrong place may be a secret, and the sentence stands in logs.
            message: redact(&message.into()),
            hint: redact(&hint.into()),
        }
    }
}
