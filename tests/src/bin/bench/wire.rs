//! A blocking connection to akkd, as cheap as one can be: what is measured should be akkd.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A connection.
pub(crate) struct Wire(BufReader<UnixStream>);

impl Wire {
    /// None while nobody listens.
    pub(crate) fn connect(socket: &Path) -> Option<Self> {
        Some(Self(BufReader::new(UnixStream::connect(socket).ok()?)))
    }

    /// One call that must succeed.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Value {
        let line = format!("{}\n", json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}));
        self.0.get_mut().write_all(line.as_bytes()).expect("akkd listens");
        loop {
            let mut answer = self.line();
            // What a subscription tells meanwhile is not waited for here.
            if answer.get("id").is_some() {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    /// The next item of a subscription.
    pub(crate) fn item(&mut self) -> Value {
        loop {
            let mut line = self.line();
            if line.get("method").is_some() {
                return line["params"]["result"].take();
            }
        }
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("akkd answers");
        serde_json::from_str(&line).expect("akkd answers in JSON")
    }
}
