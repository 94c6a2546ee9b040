//! A small blocking client: one JSON-RPC message a line over a Unix socket.
//!
//! It starts nothing and repeats nothing; [`crate::akkd`] does.

use crate::error::{Error, Result};
use crate::peer;
use akk_proto::error::{ErrorData, ErrorKind, Failure};
use akk_proto::limits::{MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::io::{self, BufRead, BufReader, ErrorKind as Io, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a call may take when nothing else is said. Starting an agent is the slowest part of one.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// One connection to akkd.
#[derive(Debug)]
pub(crate) struct Client {
    reader: BufReader<UnixStream>,
    next_id: u64,
    longest_answer: usize,
}

/// The result of a call, as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The call.
    pub(crate) method: &'static str,
    /// The JSON text of the result.
    pub(crate) raw: Box<RawValue>,
}

impl Answer {
    /// Reads the result.
    ///
    /// # Errors
    /// [`Error::NotUnderstood`].
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(self.raw.get()).map_err(|e| not_understood(self.method, &e))
    }
}

/// A subscription that owns its connection.
#[derive(Debug)]
pub(crate) struct Subscription {
    client: Client,
    method: &'static str,
    id: Box<RawValue>,
}

#[derive(Serialize)]
struct Request<'a, P> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: &'a P,
}

#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<WireError>,
    #[serde(borrow, default)]
    params: Option<Notified<'a>>,
}

#[derive(Deserialize)]
struct Notified<'a> {
    #[serde(borrow)]
    subscription: &'a RawValue,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireError {
    code: i32,
    message: String,
    #[serde(default)]
    data: Option<serde_json::Value>,
}

impl Client {
    /// Connects to the socket at `path` and checks that it is served by the user who asks.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when nothing listens there, else what is in the way.
    pub(crate) fn connect(path: &Path) -> Result<Self> {
        let connect = |source: io::Error| match source.kind() {
            Io::NotFound | Io::ConnectionRefused => Error::NotRunning(path.to_owned()),
            _ => Error::Connect { socket: path.to_owned(), source },
        };
        let stream = UnixStream::connect(path).map_err(connect)?;
        let uid = peer::server_uid(&stream).map_err(connect)?;
        if uid != rustix::process::geteuid().as_raw() {
            return Err(Error::ForeignServer { socket: path.to_owned(), uid });
        }
        Ok(Self { reader: BufReader::new(stream), next_id: 1, longest_answer: MAX_RESPONSE_BYTES })
    }

    /// Calls `method` and waits for its answer, `patience` at most between two pieces of it.
    ///
    /// # Errors
    /// akkd's own error, or why there is no answer.
    pub(crate) fn call(&mut self, method: &'static str, params: &impl Serialize, patience: Duration) -> Result<Answer> {
        let id = self.next_id;
        self.next_id += 1;
        let mut line = serde_json::to_vec(&Request { jsonrpc: "2.0", id, method, params })
            .map_err(|e| not_understood(method, &e))?;
        // Checked here: akkd could only answer without an id, since it never reads so long a line.
        if line.len() > MAX_REQUEST_BYTES {
            return Err(Error::TooLarge { what: "the request", limit: MAX_REQUEST_BYTES });
        }
        line.push(b'\n');
        self.set_timeout(Some(patience));
        let failed = |e: io::Error| no_answer(method, patience, &e);
        // A server that refuses the connection may have said why before it closed: read on after a failed write.
        let written = self.reader.get_mut().write_all(&line);
        let id = id.to_string();
        loop {
            let Some(line) = self.read_line(method).map_err(|e| e.into_error(failed))? else {
                return Err(written.err().map_or_else(|| Error::Broken { method: method.to_owned() }, failed));
            };
            let incoming: Incoming<'_> = serde_json::from_slice(&line).map_err(|e| not_understood(method, &e))?;
            if incoming.method.is_some() {
                continue;
            }
            // An error without an id is about what we sent last: there is one call at a time.
            let for_us = incoming.id.map_or(incoming.error.is_some(), |i| i.get() == id);
            if !for_us {
                continue;
            }
            return match (incoming.result, incoming.error) {
                (_, Some(error)) => Err(error.into_error()),
                (Some(result), None) => Ok(Answer { method, raw: result.to_owned() }),
                (None, None) => Err(Error::NotUnderstood {
                    method: method.to_owned(),
                    detail: "neither a result nor an error".to_owned(),
                }),
            };
        }
    }

    /// The connection itself, so that another thread can end a call by shutting it down.
    pub(crate) fn connection(&self) -> Option<UnixStream> {
        self.reader.get_ref().try_clone().ok()
    }

    /// Subscribes with `method`; the connection serves nothing else from then on.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) fn subscribe(mut self, method: &'static str, params: &impl Serialize) -> Result<Subscription> {
        let id = self.call(method, params, PATIENCE)?.raw;
        Ok(Subscription { client: self, method, id })
    }

    /// Waits until akkd closes the connection, `patience` at most. Tells whether it did.
    pub(crate) fn wait_for_close(&mut self, patience: Duration) -> bool {
        self.set_timeout(Some(patience));
        let mut rest = [0; 4096];
        loop {
            match self.reader.read(&mut rest) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) if e.kind() == Io::Interrupted => {}
                Err(e) => return is_broken(&e),
            }
        }
    }

    fn set_timeout(&mut self, patience: Option<Duration>) {
        // A duration of zero would be refused; it means: what is there already.
        let patience = patience.map(|p| p.max(Duration::from_millis(1)));
        let stream = self.reader.get_ref();
        let _ = stream.set_read_timeout(patience).and_then(|()| stream.set_write_timeout(patience));
    }

    /// One line without its newline; `None` when the connection ended, also in the middle of a line.
    fn read_line(&mut self, method: &str) -> Result<Option<Vec<u8>>, LineError> {
        let mut line = Vec::new();
        loop {
            let chunk = match self.reader.fill_buf() {
                Ok([]) => return Ok(None),
                Ok(chunk) => chunk,
                Err(e) if e.kind() == Io::Interrupted => continue,
                Err(e) => return Err(LineError::Io(e)),
            };
            let (part, used, complete) = match chunk.iter().position(|b| *b == b'\n') {
                Some(at) => (&chunk[..at], at + 1, true),
                None => (chunk, chunk.len(), false),
            };
            if line.len() + part.len() > self.longest_answer {
                let limit = self.longest_answer;
                return Err(LineError::TooLong(Error::AnswerTooLong { method: method.to_owned(), limit }));
            }
            line.extend_from_slice(part);
            self.reader.consume(used);
            if complete {
                return Ok(Some(line));
            }
        }
    }
}

impl Subscription {
    /// The next item, as it came. Waits for ever, or for `patience`.
    ///
    /// # Errors
    /// [`Error::Broken`] when akkd ended the subscription or the connection, [`Error::Silent`] when nothing came. The
    /// subscription is of no use afterwards: part of a line may be lost.
    pub(crate) fn next(&mut self, patience: Option<Duration>) -> Result<Answer> {
        let method = self.method;
        self.client.set_timeout(patience);
        loop {
            let line = self
                .client
                .read_line(method)
                .map_err(|e| e.into_error(|e| no_answer(method, patience.unwrap_or_default(), &e)))?;
            let Some(line) = line else { return Err(Error::Broken { method: method.to_owned() }) };
            let incoming: Incoming<'_> = serde_json::from_slice(&line).map_err(|e| not_understood(method, &e))?;
            let Some(params) = incoming.params.filter(|p| p.subscription.get() == self.id.get()) else { continue };
            return match params.result {
                Some(result) => Ok(Answer { method, raw: result.to_owned() }),
                // The server's way to say that the subscription is over.
                None => Err(Error::Broken { method: method.to_owned() }),
            };
        }
    }
}

enum LineError {
    Io(io::Error),
    TooLong(Error),
}

impl LineError {
    fn into_error(self, io: impl FnOnce(io::Error) -> Error) -> Error {
        match self {
            Self::Io(e) => io(e),
            Self::TooLong(e) => e,
        }
    }
}

impl WireError {
    fn into_error(self) -> Error {
        let data = self.data.unwrap_or_default();
        let (kind, hint, details) = if let Ok(data) = ErrorData::deserialize(&data) {
            (data.kind, data.hint, data.details)
        } else {
            // JSON-RPC's own errors carry no data, and a newer akkd may know further kinds.
            let kind = ErrorKind::ALL.into_iter().find(|k| k.code() == self.code).unwrap_or(ErrorKind::Internal);
            let hint = data.get("hint").and_then(|h| h.as_str()).unwrap_or("look into `akkctl daemon logs`");
            (kind, hint.to_owned(), serde_json::Map::new())
        };
        Error::Refused(Box::new(Failure { kind, message: self.message, hint, details }))
    }
}

fn is_broken(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        Io::BrokenPipe | Io::ConnectionReset | Io::ConnectionAborted | Io::NotConnected | Io::UnexpectedEof
    )
}

fn no_answer(method: &str, patience: Duration, e: &io::Error) -> Error {
    match e.kind() {
        Io::WouldBlock | Io::TimedOut => Error::Silent { method: method.to_owned(), after: patience },
        _ if is_broken(e) => Error::Broken { method: method.to_owned() },
        _ => Error::NotUnderstood { method: method.to_owned(), detail: e.to_string() },
    }
}

fn not_understood(method: &str, e: &serde_json::Error) -> Error {
    Error::NotUnderstood { method: method.to_owned(), detail: e.to_string() }
}

#[cfg(test)]
#[path = "client_tests.rs"]
pub(crate) mod tests;
