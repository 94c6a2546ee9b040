//! akkd as the commands see it: there when it is needed, called again when a connection broke.

use crate::client::{Answer, Client, PATIENCE, Subscription};
use crate::environment::Surroundings;
use crate::error::{Error, Result};
use crate::start;
use akk_proto::RequestId;
use akk_proto::api::{Empty, StreamItem, SubscribeParams};
use akk_proto::error::ErrorKind;
use akk_proto::session::WatchParams;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long a waiting client waits for a stopped akkd to be started by somebody.
const RECONNECT: Duration = Duration::from_secs(10);
/// How often a call is repeated whose connection broke. An akkd that dies of a call dies of its repetition too.
const TRIES: u32 = 3;
/// Between two attempts.
const BREATH: Duration = Duration::from_millis(20);

/// akkd, connected when first needed, and started when none runs.
#[derive(Debug)]
pub(crate) struct Akkd<'a> {
    surroundings: &'a Surroundings,
    client: Option<Client>,
}

impl<'a> Akkd<'a> {
    /// akkd of these surroundings; nothing is connected yet.
    pub(crate) fn new(surroundings: &'a Surroundings) -> Self {
        Self { surroundings, client: None }
    }

    /// Calls `method`. A connection that breaks before the answer is made again and the call repeated: every
    /// call that changes something carries a request id, or may be repeated without harm.
    ///
    /// # Errors
    /// akkd's own error, or why there is no answer.
    pub(crate) fn call(&mut self, method: &'static str, params: &impl Serialize) -> Result<Answer> {
        self.call_within(method, params, PATIENCE)
    }

    /// As [`Self::call`], with another patience.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) fn call_within(
        &mut self,
        method: &'static str,
        params: &impl Serialize,
        patience: Duration,
    ) -> Result<Answer> {
        let mut tries = TRIES;
        loop {
            match self.call_once(method, params, patience) {
                Err(e) if e.is_broken_connection() && tries > 0 => tries -= 1,
                other => return other,
            }
            // An akkd that is being killed or stops may still take a connection, and breaks it.
            std::thread::sleep(BREATH);
        }
    }

    /// As [`Self::call_within`], without a second try.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) fn call_once(
        &mut self,
        method: &'static str,
        params: &impl Serialize,
        patience: Duration,
    ) -> Result<Answer> {
        let answer = self.connected()?.call(method, params, patience);
        // After anything but an answer the next line may belong to this call.
        if !matches!(answer, Ok(_) | Err(Error::Refused(_))) {
            self.client = None;
        }
        answer
    }

    /// Events from `params.since` on, across restarts of akkd.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) fn follow(&self, params: SubscribeParams) -> Result<Follow<'a>> {
        let mut stream = Stream::new(self.surroundings, "events.subscribe");
        stream.subscribed(&params)?;
        Ok(Follow { stream, params })
    }

    /// What happens to native sessions, across restarts of akkd: each connection begins with an item that says `live`,
    /// and what happened between two connections is not told.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) fn watch_sessions(&self, params: WatchParams) -> Result<SessionStream<'a>> {
        let mut stream = Stream::new(self.surroundings, "sessions.watch");
        stream.subscribed(&params)?;
        Ok(SessionStream { stream, params })
    }

    /// Connects again when akkd stopped or died in the middle of a wait; lets a stopping one end first.
    ///
    /// # Errors
    /// As [`start::reconnect`].
    pub(crate) fn reconnect(&mut self) -> Result<()> {
        if let Some(mut stopping) = self.client.take() {
            stopping.wait_for_close(RECONNECT);
        }
        self.client = Some(start::reconnect(self.surroundings, RECONNECT)?);
        Ok(())
    }

    fn connected(&mut self) -> Result<&mut Client> {
        let client = match self.client.take() {
            Some(client) => client,
            None => start::connect_or_start(self.surroundings)?,
        };
        Ok(self.client.insert(client))
    }
}

/// A stream of events that goes on where it stood when the connection breaks.
#[derive(Debug)]
pub(crate) struct Follow<'a> {
    stream: Stream<'a>,
    params: SubscribeParams,
}

impl Follow<'_> {
    /// The next item, as it came and as it reads. Waits for ever, or until `deadline`.
    ///
    /// # Errors
    /// When akkd cannot be reached again, or ends two subscriptions in a row without an item; [`Error::Silent`] when
    /// the time is over.
    pub(crate) fn next(&mut self, deadline: Option<Instant>) -> Result<(Answer, StreamItem)> {
        let answer = self.stream.next(&self.params, deadline)?;
        let item: StreamItem = answer.read()?;
        self.params.since = Some(match &item {
            StreamItem::Event(e) => e.cursor,
            StreamItem::Live { cursor } => *cursor,
            StreamItem::Gap { to, .. } => *to,
        });
        Ok((answer, item))
    }
}

/// What happens to native sessions.
#[derive(Debug)]
pub(crate) struct SessionStream<'a> {
    stream: Stream<'a>,
    params: WatchParams,
}

impl SessionStream<'_> {
    /// The next item, as it came. Waits for ever.
    ///
    /// # Errors
    /// As [`Follow::next`].
    pub(crate) fn next(&mut self) -> Result<Answer> {
        self.stream.next(&self.params, None)
    }
}

/// A subscription that is made again when its connection breaks.
#[derive(Debug)]
struct Stream<'a> {
    surroundings: &'a Surroundings,
    method: &'static str,
    subscription: Option<Subscription>,
    /// The last connection broke, and the present one has not brought anything yet.
    fruitless: bool,
}

impl<'a> Stream<'a> {
    fn new(surroundings: &'a Surroundings, method: &'static str) -> Self {
        Self { surroundings, method, subscription: None, fruitless: false }
    }

    /// The next item. A subscription that has to be made again is made with these parameters.
    fn next(&mut self, params: &impl Serialize, deadline: Option<Instant>) -> Result<Answer> {
        loop {
            let patience = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            match self.subscribed(params)?.next(patience) {
                Ok(answer) => {
                    self.fruitless = false;
                    return Ok(answer);
                }
                Err(e) if e.is_broken_connection() && !self.fruitless => {
                    self.subscription = None;
                    self.fruitless = true;
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn subscribed(&mut self, params: &impl Serialize) -> Result<&mut Subscription> {
        let subscription = match self.subscription.take() {
            Some(subscription) => subscription,
            None if self.fruitless => self.subscribed_again(params)?,
            None => start::connect_or_start(self.surroundings)?.subscribe(self.method, params)?,
        };
        Ok(self.subscription.insert(subscription))
    }

    /// An akkd that stops may still take a connection, and breaks it.
    fn subscribed_again(&self, params: &impl Serialize) -> Result<Subscription> {
        let begun = Instant::now();
        loop {
            let left = RECONNECT.saturating_sub(begun.elapsed());
            match start::reconnect(self.surroundings, left)?.subscribe(self.method, params) {
                Err(e) if (e.is_broken_connection() || is_stopping(&e)) && !left.is_zero() => {
                    std::thread::sleep(BREATH);
                }
                other => return other,
            }
        }
    }
}

pub(crate) fn is_stopping(e: &Error) -> bool {
    matches!(e, Error::Refused(failure) if failure.kind == ErrorKind::Stopping)
}

/// A name of our own for a call that changes something.
pub(crate) fn new_request_id() -> Option<RequestId> {
    RequestId::parse(uuid::Uuid::now_v7().to_string()).ok()
}

/// The better error for `e` when the akkd that runs speaks another protocol or is of another version: an answer that
/// cannot be understood, or a method or parameter that it does not know, then follows from that.
pub(crate) fn explain(e: Error, surroundings: &Surroundings) -> Error {
    let doubtful = match &e {
        Error::NotUnderstood { .. } => true,
        Error::Refused(f) => {
            matches!(f.kind, ErrorKind::InvalidParams | ErrorKind::InvalidRequest | ErrorKind::UnknownMethod)
        }
        _ => false,
    };
    if !doubtful {
        return e;
    }
    let version = Client::connect(&surroundings.paths.control_socket)
        .and_then(|mut c| c.call("daemon.info", &Empty {}, Duration::from_secs(5)))
        .and_then(|a| a.read::<start::Version>());
    match version {
        // A wrong parameter is more often the user's than the version's.
        Ok(version) if is_about_a_value(&e) => version.mismatch().unwrap_or(e),
        Ok(version) => version.explain(e),
        Err(_) => e,
    }
}

/// Whether akkd understood the call and found a value wrong. What it does not know is told by serde's words for it.
fn is_about_a_value(e: &Error) -> bool {
    matches!(e, Error::Refused(f) if f.kind == ErrorKind::InvalidParams
        && !["unknown field", "unknown variant", "missing field"].iter().any(|words| f.message.contains(words)))
}
