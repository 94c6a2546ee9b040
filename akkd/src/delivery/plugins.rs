//! Who takes deliveries for OpenClaw right now.
//!
//! Each installation of OpenClaw has one subscriber at most; a newer one takes the place of an older. What a subscriber
//! is to be told waits in its mailbox, in order and bounded: an offer is made only when there is room for it, so that
//! one who reads slowly costs no memory.

use crate::clock::Clock;
use akk_proto::api::DeliverySubscribeParams;
use akk_proto::delivery::{DeliveryItem, Offer, PluginView};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::{DeliveryId, Timestamp};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// Installations of OpenClaw that may be subscribed at a time.
pub const MAX_SUBSCRIBERS: usize = 16;
/// Offers that wait in a subscriber's mailbox at most.
const ROOM: usize = 4;
/// Installations that are remembered when they leave.
const REMEMBERED: usize = 64;

/// The subscribers. Cheap to clone.
#[derive(Clone)]
pub struct Plugins {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    started_at: Timestamp,
    board: Mutex<Board>,
    /// Counts whatever may let a delivery go.
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Board {
    next: u64,
    /// By installation.
    subscribers: BTreeMap<String, Arc<Subscriber>>,
    /// Since when an installation that was there is not.
    left_at: BTreeMap<String, Timestamp>,
    under_way: HashMap<DeliveryId, UnderWay>,
    probes: HashMap<String, oneshot::Sender<Answer>>,
}

/// What a probe was answered with.
struct Answer {
    gateway_ready: bool,
    detail: String,
}

/// One that takes deliveries.
pub(super) struct Subscriber {
    serial: u64,
    view: PluginView,
    mailbox: Mutex<VecDeque<Letter>>,
    arrived: Notify,
    room: Arc<Semaphore>,
    gone: CancellationToken,
}

struct Letter {
    item: DeliveryItem,
    /// Given back when the subscriber takes it.
    _room: Option<OwnedSemaphorePermit>,
}

/// How far an attempt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The offer waits for the subscriber.
    Waiting,
    /// The subscriber took the offer and said nothing yet.
    Offered,
    /// OpenClaw accepted it.
    Handed,
    /// It is known what became of it.
    Settled,
}

struct UnderWay {
    serial: u64,
    attempt: u32,
    gateway: String,
    lane: String,
    stage: watch::Sender<Stage>,
}

/// A subscriber's answer to a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Who was asked.
    pub plugin: PluginView,
    /// Whether sessions can be reached, and what was found; none when it did not answer in time.
    pub answer: Option<(bool, String)>,
}

impl Plugins {
    /// Nobody is subscribed.
    pub fn new(clock: Clock) -> Self {
        let started_at = clock.wall();
        let changed = watch::Sender::new(0);
        Self { shared: Arc::new(Shared { clock, started_at, board: Mutex::default(), changed }) }
    }

    /// Takes the place of an older subscriber of the same installation. It is subscribed until what is returned is
    /// dropped.
    ///
    /// # Errors
    /// `too_large` when there are too many.
    pub fn subscribe(&self, who: DeliverySubscribeParams) -> Result<Subscription, Failure> {
        let DeliverySubscribeParams { gateway, process, plugin_version, openclaw_version } = who;
        let connected_at = self.shared.clock.wall();
        let view = PluginView { gateway: gateway.clone(), process, plugin_version, openclaw_version, connected_at };
        let subscriber = {
            let mut board = self.board();
            if !board.subscribers.contains_key(&gateway) && board.subscribers.len() >= MAX_SUBSCRIBERS {
                return Err(Failure::new(
                    ErrorKind::TooLarge,
                    format!("{MAX_SUBSCRIBERS} installations of OpenClaw take deliveries already"),
                    "End those that are not needed.",
                ));
            }
            board.next += 1;
            let subscriber = Arc::new(Subscriber {
                serial: board.next,
                view,
                mailbox: Mutex::default(),
                arrived: Notify::new(),
                room: Arc::new(Semaphore::new(ROOM)),
                gone: CancellationToken::new(),
            });
            board.left_at.remove(&gateway);
            if let Some(older) = board.subscribers.insert(gateway, subscriber.clone()) {
                older.supersede();
            }
            subscriber
        };
        self.wake();
        Ok(Subscription { plugins: self.clone(), subscriber })
    }

    /// Who is subscribed.
    pub fn connected(&self) -> Vec<PluginView> {
        self.board().subscribers.values().map(|s| s.view.clone()).collect()
    }

    /// Asks all subscribers whether sessions can be reached, and waits `patience` for their answers.
    pub async fn probe(&self, patience: Duration) -> Vec<Probed> {
        let asked: Vec<_> = {
            let mut board = self.board();
            let subscribers: Vec<_> = board.subscribers.values().cloned().collect();
            subscribers
                .into_iter()
                .map(|subscriber| {
                    let nonce = uuid::Uuid::now_v7().to_string();
                    let (tell, told) = oneshot::channel();
                    board.probes.insert(nonce.clone(), tell);
                    subscriber.put(DeliveryItem::Probe { nonce: nonce.clone() }, None);
                    (subscriber, nonce, told)
                })
                .collect()
        };
        let until = tokio::time::Instant::now() + patience;
        let mut found = Vec::new();
        for (subscriber, nonce, told) in asked {
            let answer = tokio::select! {
                answer = tokio::time::timeout_at(until, told) => answer.ok().and_then(Result::ok),
                () = subscriber.gone.cancelled() => None,
            };
            self.board().probes.remove(&nonce);
            // One who does not read is not to find all probes that were ever made.
            subscriber.letters().retain(|l| !matches!(&l.item, DeliveryItem::Probe { nonce: n } if *n == nonce));
            let answer = answer.map(|a| (a.gateway_ready, a.detail));
            found.push(Probed { plugin: subscriber.view.clone(), answer });
        }
        found
    }

    /// The answer to a probe; one that comes too late means nothing.
    pub fn probed(&self, nonce: &str, gateway_ready: bool, detail: String) {
        if let Some(asked) = self.board().probes.remove(nonce) {
            // Whoever asked may have left.
            let _ = asked.send(Answer { gateway_ready, detail });
        }
    }

    /// Tells whenever a subscriber came or left.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changed.subscribe()
    }

    /// The names of the installations that are there.
    pub(super) fn gateways(&self) -> Vec<String> {
        self.board().subscribers.keys().cloned().collect()
    }

    /// Who may get what is for `gateway`. What is for none in particular goes to the one that is there for longest.
    pub(super) fn for_gateway(&self, gateway: Option<&str>) -> Option<Arc<Subscriber>> {
        let board = self.board();
        match gateway {
            Some(gateway) => board.subscribers.get(gateway).cloned(),
            None => board.subscribers.values().min_by_key(|s| s.serial).cloned(),
        }
    }

    /// Whether `process` is a process of another installation than `gateway`.
    pub(super) fn is_of_another(&self, process: &str, gateway: &str) -> bool {
        let board = self.board();
        let mut views = board.subscribers.values().map(|s| &s.view).filter(|v| v.process == process).peekable();
        views.peek().is_some() && views.all(|v| v.gateway != gateway)
    }

    /// Since when nobody is there for `gateway`; none while somebody is. The time says when it left, if it was there.
    pub(super) fn away(&self, gateway: Option<&str>) -> Option<Away> {
        let board = self.board();
        let there = match gateway {
            Some(gateway) => board.subscribers.contains_key(gateway),
            None => !board.subscribers.is_empty(),
        };
        if there {
            return None;
        }
        let left = match gateway {
            Some(gateway) => board.left_at.get(gateway).copied(),
            None => board.left_at.values().max().copied(),
        };
        Some(left.map_or(Away::NeverThere { since: self.shared.started_at }, |since| Away::Left { since }))
    }

    /// Whether something is under way in this lane of an installation.
    pub(super) fn is_busy(&self, gateway: Option<&str>, lane: &str) -> bool {
        let fits = |u: &&UnderWay| u.lane == lane && gateway.is_none_or(|g| u.gateway == g);
        self.board().under_way.values().any(|u| fits(&u))
    }

    /// Notes that an attempt is under way, before the subscriber hears of it.
    pub(super) fn begin(&self, to: &Subscriber, id: &DeliveryId, attempt: u32, lane: &str, handed: bool) -> Attempt {
        let (stage, seen) = watch::channel(if handed { Stage::Handed } else { Stage::Waiting });
        let gateway = to.view.gateway.clone();
        let under_way = UnderWay { serial: to.serial, attempt, gateway, lane: lane.to_owned(), stage };
        self.board().under_way.insert(id.clone(), under_way);
        Attempt { plugins: self.clone(), serial: to.serial, delivery_id: id.clone(), stage: seen }
    }

    /// Leaves an offer in the mailbox, unless its attempt was settled meanwhile.
    pub(super) fn offer(&self, to: &Subscriber, room: OwnedSemaphorePermit, offer: Offer) {
        let board = self.board();
        // Under the lock: whoever settles it afterwards finds the offer in the mailbox, or knows that it was taken.
        if board.under_way.get(&offer.delivery_id).is_some_and(|u| *u.stage.borrow() != Stage::Settled) {
            to.put(DeliveryItem::Offer(Box::new(offer)), Some(room));
        }
    }

    /// OpenClaw accepted it.
    pub(super) fn handed(&self, id: &DeliveryId, attempt: u32) {
        if let Some(under_way) = self.board().under_way.get(id).filter(|u| u.attempt == attempt) {
            under_way.stage.send_replace(Stage::Handed);
        }
    }

    /// It is known what became of it. Its subscriber is told, unless `by` names the attempt that it reported itself.
    pub(super) fn settled(&self, id: &DeliveryId, by: Option<u32>) {
        let mut board = self.board();
        let Some(under_way) = board.under_way.remove(id) else { return };
        under_way.stage.send_replace(Stage::Settled);
        if by == Some(under_way.attempt) {
            return;
        }
        if let Some(subscriber) = board.subscribers.values().find(|s| s.serial == under_way.serial) {
            subscriber.withdraw(id);
        }
    }

    fn taken(&self, id: &DeliveryId) {
        if let Some(under_way) = self.board().under_way.get(id) {
            under_way.stage.send_if_modified(|stage| {
                let waits = *stage == Stage::Waiting;
                if waits {
                    *stage = Stage::Offered;
                }
                waits
            });
        }
    }

    fn leave(&self, subscriber: &Subscriber) {
        subscriber.gone.cancel();
        subscriber.letters().clear();
        {
            let mut board = self.board();
            let gateway = &subscriber.view.gateway;
            if board.subscribers.get(gateway).is_some_and(|s| s.serial == subscriber.serial) {
                board.subscribers.remove(gateway);
                board.left_at.insert(gateway.clone(), self.shared.clock.wall());
                if board.left_at.len() > REMEMBERED
                    && let Some(oldest) = board.left_at.iter().min_by_key(|(_, at)| **at).map(|(g, _)| g.clone())
                {
                    board.left_at.remove(&oldest);
                }
            }
        }
        self.wake();
    }

    fn wake(&self) {
        self.shared.changed.send_modify(|n| *n += 1);
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.shared.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Since when nobody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Away {
    /// It was there, and left.
    Left {
        /// When.
        since: Timestamp,
    },
    /// It was not there since akkd runs.
    NeverThere {
        /// When akkd began.
        since: Timestamp,
    },
}

impl Subscriber {
    /// The installation of OpenClaw.
    pub(super) fn gateway(&self) -> &str {
        &self.view.gateway
    }

    /// Cancelled when it left or was superseded.
    pub(super) fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    /// Waits for room in its mailbox; none when it left.
    pub(super) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        let room = self.gone.run_until_cancelled(self.room.clone().acquire_owned()).await;
        room.and_then(Result::ok)
    }

    fn put(&self, item: DeliveryItem, room: Option<OwnedSemaphorePermit>) {
        self.letters().push_back(Letter { item, _room: room });
        self.arrived.notify_one();
    }

    /// Takes an offer back, or says that it is not to be begun any more.
    fn withdraw(&self, id: &DeliveryId) {
        let mut letters = self.letters();
        let before = letters.len();
        letters.retain(|l| !matches!(&l.item, DeliveryItem::Offer(offer) if offer.delivery_id == *id));
        let taken = letters.len() == before;
        drop(letters);
        if taken {
            self.put(DeliveryItem::Withdrawn { delivery_id: id.clone() }, None);
        }
    }

    fn supersede(&self) {
        self.letters().clear();
        self.put(DeliveryItem::Superseded, None);
        self.gone.cancel();
    }

    fn letters(&self) -> MutexGuard<'_, VecDeque<Letter>> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subscriber's own end. Dropping it leaves.
pub struct Subscription {
    plugins: Plugins,
    subscriber: Arc<Subscriber>,
}

impl Subscription {
    /// Waits for the next item; none when it is superseded and was told so.
    pub async fn next(&self) -> Option<DeliveryItem> {
        loop {
            let arrived = self.subscriber.arrived.notified();
            let letter = self.subscriber.letters().pop_front();
            match letter.map(|l| l.item) {
                Some(item) => {
                    if let DeliveryItem::Offer(offer) = &item {
                        self.plugins.taken(&offer.delivery_id);
                    }
                    return Some(item);
                }
                None if self.subscriber.gone.is_cancelled() => return None,
                None => arrived.await,
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.plugins.leave(&self.subscriber);
    }
}

/// An attempt that is under way, until this is dropped.
pub(super) struct Attempt {
    plugins: Plugins,
    serial: u64,
    delivery_id: DeliveryId,
    /// How far it came.
    pub(super) stage: watch::Receiver<Stage>,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut board = self.plugins.board();
        if board.under_way.get(&self.delivery_id).is_some_and(|u| u.serial == self.serial) {
            board.under_way.remove(&self.delivery_id);
        }
    }
}
