//! An error of akkd, as a client sees it.

use akk_proto::error::{ErrorData, ErrorKind};
use jsonrpsee::core::ClientError;
use std::fmt;

/// An error of akkd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// JSON-RPC's code.
    pub code: i32,
    /// The stable word.
    pub kind: ErrorKind,
    /// What was wrong.
    pub message: String,
    /// What to do next.
    pub hint: String,
}

impl Refusal {
    /// Takes the error that akkd answered with.
    ///
    /// # Panics
    /// When the call failed for another reason, or the error lacks what ours carry.
    pub fn of(error: ClientError) -> Self {
        let ClientError::Call(error) = error else { panic!("not an error of akkd: {error}") };
        let data = error.data().expect("our errors carry data").get();
        let data: ErrorData = serde_json::from_str(data).expect("data has kind and hint");
        Self { code: error.code(), kind: data.kind, message: error.message().to_owned(), hint: data.hint }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}\nhint: {}", self.kind, self.message, self.hint)
    }
}
