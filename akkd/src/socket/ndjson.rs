//! One connection, from its first line to its last answer.

use super::audit::Witness;
use super::dispatch::Dispatch;
use super::failure;
use super::hangup::hung_up;
use super::limits::Limits;
use super::lines::{Line, Lines};
use super::outgoing::{Outbox, outbox};
use super::request;
use akk_proto::error::Failure;
use jsonrpsee::core::server::Methods;
use jsonrpsee::types::Id;
use jsonrpsee::{ConnectionId, Extensions};
use std::future::Future;
use std::sync::Arc;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The peer has said all that it wants to say; it may still want answers.
    Said,
    /// The peer is gone.
    Gone,
    /// akkd stops.
    Stop,
}

struct Connection {
    lines: Lines,
    dispatch: Arc<Dispatch>,
    outbox: Outbox,
    limits: Limits,
    calls: TaskTracker,
    /// Slots for calls, and for the bytes of their requests.
    slots: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    /// Nobody takes answers any more.
    gone: CancellationToken,
    stop: CancellationToken,
}

/// Serves `stream` until its peer has had its answers and closed it, or `stop` is cancelled: then calls in flight are
/// finished within [`Limits::finish`].
pub(super) async fn serve(
    stream: UnixStream,
    methods: Methods,
    limits: Limits,
    connection: ConnectionId,
    extensions: Extensions,
    witness: Option<Witness>,
    stop: CancellationToken,
) {
    let (read, write) = stream.into_split();
    let (outbox, writer) = outbox(write, limits.max_outgoing_bytes, limits.write_timeout);
    let gone = CancellationToken::new();
    let over = gone.child_token();
    let cut = CancellationToken::new();
    let mut writing = tokio::spawn(writer.run(gone.clone()));
    let dispatch = Arc::new(Dispatch {
        methods,
        connection,
        extensions,
        witness,
        outbox: outbox.clone(),
        subscriptions: Arc::new(Semaphore::new(limits.max_subscriptions)),
        carriers: TaskTracker::new(),
        over: over.clone(),
        cut: cut.clone(),
        limits: limits.clone(),
    });
    let finish = limits.finish;
    let mut this = Connection {
        lines: Lines::new(read, limits.max_request, limits.read_timeout),
        dispatch,
        outbox,
        calls: TaskTracker::new(),
        slots: Arc::new(Semaphore::new(limits.max_in_flight)),
        bytes: Arc::new(Semaphore::new(limits.max_in_flight_bytes.max(limits.max_request))),
        limits,
        gone,
        stop,
    };
    let end = match this.read().await {
        End::Said => this.answer_the_rest().await,
        other => other,
    };
    this.calls.close();
    match end {
        End::Gone => this.gone.cancel(),
        End::Said | End::Stop => {
            if tokio::time::timeout(finish, this.calls.wait()).await.is_err() {
                cut.cancel();
                // What is left now waits for a peer that does not read.
                if tokio::time::timeout(finish, this.calls.wait()).await.is_err() {
                    this.gone.cancel();
                }
            }
        }
    }
    this.calls.wait().await;
    over.cancel();
    this.dispatch.carriers.close();
    this.dispatch.carriers.wait().await;
    // With the last outbox the writer comes to its end.
    let stop = this.stop.clone();
    drop(this);
    let patient = async {
        stop.cancelled().await;
        tokio::time::sleep(finish).await;
    };
    tokio::select! {
        _ = &mut writing => {}
        () = patient => writing.abort(),
    }
}

impl Connection {
    /// Reads and starts calls until there is nothing more to read.
    async fn read(&mut self) -> End {
        loop {
            // The slot comes before the line: a flood of calls stops the reading, and then the kernel's buffer stops
            // the peer. So does a peer that does not take its answers.
            let Some(slot) = self.while_wanted(self.slots.clone().acquire_owned()).await.and_then(Result::ok) else {
                return self.why_not_wanted();
            };
            if self.while_wanted(self.outbox.has_room()).await.is_none() {
                return self.why_not_wanted();
            }
            let line = tokio::select! {
                biased;
                () = self.stop.cancelled() => return End::Stop,
                () = self.gone.cancelled() => return End::Gone,
                line = self.lines.next() => line,
            };
            match line {
                Ok(Some(Line::Text(line))) if line.trim_ascii().is_empty() => {}
                Ok(Some(Line::Text(line))) => {
                    let bytes = line.len().min(self.limits.max_request) as u32;
                    let bytes = self.while_wanted(self.bytes.clone().acquire_many_owned(bytes)).await;
                    let Some(Ok(bytes)) = bytes else { return self.why_not_wanted() };
                    self.start(line, slot, bytes);
                }
                Ok(Some(Line::TooLong)) => self.tell(failure::line_too_long(self.limits.max_request)).await,
                Ok(Some(Line::Unfinished)) => {
                    self.tell(failure::line_unfinished(self.limits.read_timeout.as_secs())).await;
                    return End::Said;
                }
                Ok(None) => return End::Said,
                Err(e) => {
                    tracing::debug!(error = %e, "a connection failed");
                    return End::Gone;
                }
            }
        }
    }

    fn start(&self, line: Bytes, slot: OwnedSemaphorePermit, bytes: OwnedSemaphorePermit) {
        let (dispatch, outbox, gone) = (self.dispatch.clone(), self.outbox.clone(), self.gone.clone());
        self.calls.spawn(async move {
            let message = request::parse(&line, dispatch.limits.max_batch);
            drop(line);
            // A peer that is gone reads no answer; handlers are safe to drop.
            if let Some(Some(json)) = gone.run_until_cancelled(dispatch.answer(message)).await {
                outbox.send(json).await;
            }
            drop((slot, bytes));
        });
    }

    /// The peer has half-closed, or closed: waits for the end of what it has started, or for its going.
    async fn answer_the_rest(&self) -> End {
        self.calls.close();
        let all = u32::try_from(self.limits.max_subscriptions).unwrap_or(u32::MAX);
        let ended = async {
            self.calls.wait().await;
            // Subscriptions too: `printf … | nc -N -U akkd.sock` follows events until it is stopped.
            let _ = self.dispatch.subscriptions.acquire_many(all).await;
        };
        match self.while_wanted(ended).await {
            Some(()) => End::Said,
            None => self.why_not_wanted(),
        }
    }

    /// What `future` comes to, unless akkd stops or the peer goes first.
    async fn while_wanted<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            value = future => Some(value),
            () = self.stop.cancelled() => None,
            () = self.gone.cancelled() => None,
            () = hung_up(self.lines.stream()) => {
                self.gone.cancel();
                None
            }
        }
    }

    fn why_not_wanted(&self) -> End {
        if self.gone.is_cancelled() { End::Gone } else { End::Stop }
    }

    /// Tells the peer of something that belongs to no call.
    async fn tell(&self, failure: Failure) {
        self.outbox.send(failure::answer(Id::Null, failure).into_json()).await;
    }
}
