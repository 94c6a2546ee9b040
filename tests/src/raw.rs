//! A connection without any client library: what a stranger could send, and clean-up without a runtime.

use serde_json::{Value, json};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A blocking connection to one of akkd's sockets.
#[derive(Debug)]
pub struct Raw(BufReader<UnixStream>);

impl Raw {
    /// Connects.
    ///
    /// # Errors
    /// When nothing listens there.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When akkd has closed the connection.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// The next line, as JSON; none when akkd has closed the connection.
    ///
    /// # Errors
    /// When nothing comes for 30 seconds.
    pub fn receive(&mut self) -> io::Result<Option<Value>> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(serde_json::from_str(&line)?)),
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// One call; the whole answer.
    ///
    /// # Errors
    /// When the connection breaks first.
    pub fn call(&mut self, method: &str, params: Value) -> io::Result<Value> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.send(format!("{request}\n").as_bytes())?;
        self.receive()?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
