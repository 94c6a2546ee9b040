//! One report: over the socket, else in the drop folder; under one name on both ways.

use super::leave::{Left, leave};
use crate::client::{Answer, Client};
use crate::error::{Error, Result};
use akk_proto::RequestId;
use akk_proto::api::ReportParams;
use akk_proto::drops::Drop;
use akk_proto::error::ErrorKind;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A restart of akkd takes less; an agent that is told to try again often does not.
const RESTART: Duration = Duration::from_secs(3);
/// Between two tries to connect. Nothing tells an agent that a socket listens again.
pub(super) const PAUSE: Duration = Duration::from_millis(50);
/// A report is a row in a database.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Where reports go.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// The callback socket.
    pub(crate) socket: PathBuf,
    /// Where they are left when nobody answers there.
    pub(crate) folder: Option<PathBuf>,
}

/// What became of a report. Durable either way.
#[derive(Debug)]
pub(crate) enum Sent {
    /// akkd has it.
    Recorded(Answer),
    /// It was left for akkd.
    Left(Left),
}

/// Sends a report. It has one name, however often and on whatever way it arrives.
///
/// # Errors
/// akkd's refusal, or why it could neither be sent nor left.
pub(crate) fn send(door: &Door, params: ReportParams) -> Result<Sent> {
    let id = Uuid::now_v7();
    let params = ReportParams { attempt_id: RequestId::parse(id.to_string()).ok(), ..params };
    let error = match call(door, "callback.report", &params, PATIENCE) {
        Ok(answer) => return Ok(Sent::Recorded(answer)),
        Err(error) if is_worth_leaving(&error) => error,
        Err(error) => return Err(error),
    };
    let Some(folder) = &door.folder else { return Err(error) };
    let params = ReportParams { waits: false, ..params };
    match leave(folder, id, &Drop::Report(params)) {
        Ok(left) => Ok(Sent::Left(left)),
        Err(source) => Err(Error::NotLeft { cause: Box::new(error), folder: folder.clone(), source }),
    }
}

/// Calls until akkd answers; waits out a restart of it.
pub(super) fn call(door: &Door, method: &'static str, params: &impl Serialize, patience: Duration) -> Result<Answer> {
    let begun = Instant::now();
    loop {
        let answer = Client::connect(&door.socket).and_then(|mut c| c.call(method, params, patience));
        match answer {
            Err(error) if is_restart(&error) && begun.elapsed() < RESTART => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
}

pub(super) fn is_restart(error: &Error) -> bool {
    match error {
        Error::NotRunning(_) | Error::Broken { .. } => true,
        Error::Refused(failure) => failure.kind == ErrorKind::Stopping,
        _ => false,
    }
}

/// Whether akkd has not judged it, so that it can be told later.
pub(super) fn is_worth_leaving(error: &Error) -> bool {
    match error {
        Error::Connect { .. } | Error::ForeignServer { .. } | Error::Silent { .. } => true,
        Error::Refused(failure) => matches!(failure.kind, ErrorKind::Stopping | ErrorKind::Storage),
        other => is_restart(other),
    }
}
