//! The store: SQLite in WAL mode, one writer thread with group commit, readers beside it.
//!
//! Everything that returns `Ok` from a writing call is on the disk. Calls that read see everything that was answered
//! before. Dropping the future of a writing call does not take the order back.

mod audit;
mod commit;
mod conversations;
mod delete;
mod error;
mod file;
mod history;
mod integrity;
mod launches;
mod messages;
mod migrate;
mod natives;
mod outbox;
mod plans;
mod readers;
mod reserve;
mod schema;
mod search;
mod startup;
mod writer;

pub use audit::AuditPlace;
pub use conversations::{Counts, ListFilter, ListPage};
pub use error::StoreError;
pub use history::{EventFilter, EventPage, Past};
pub use integrity::{Integrity, check_integrity};
pub use launches::TicketHashes;
pub use outbox::{DeliveryRow, DueDelivery, Lease, Leased, OVERDUE, OverdueRow, Waiting};
pub use plans::{PlanRow, PlanUse};
pub use schema::SCHEMA_VERSION;

use akk_core::{Conversation, Event};
use akk_proto::delivery::{DeliveryBody, SinkKind};
use akk_proto::event::EventRecord;
use akk_proto::{ConversationId, LaunchId, MessageId, RequestId, Timestamp, TurnId};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Orders that wait for the writer at most; then callers wait to give theirs.
const QUEUE: usize = 512;

/// Events that a subscriber may lie behind before it must read the history instead.
const LIVE_EVENTS: usize = 512;

/// Conversations, their histories, and what belongs to them, on the disk. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    queue: mpsc::Sender<writer::Order>,
    readers: Arc<readers::Readers>,
    events: broadcast::Sender<Arc<EventRecord>>,
    outbox: watch::Sender<u64>,
    newest: Arc<AtomicU64>,
    transactions: Arc<AtomicU64>,
    /// The place of the newest row of the audit.
    audited: AtomicI64,
    /// The last counts, and how many transactions there had been before they were read.
    counted: Mutex<Option<(u64, Counts)>>,
}

impl Store {
    /// Opens the database, or makes it: 0600, its directory 0700. Blocks for some milliseconds. The caller holds the
    /// lock of the home: one store per file, and once at a time.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`], [`StoreError::Foreign`], [`StoreError::Unsafe`]: the file was not touched.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let path = file::locate(path)?;
        file::refuse_what_is_not_ours(&path)?;
        let mut conn = file::connect_to_write(&path)?;
        if let Some(copy) = migrate::migrate(&mut conn, &path)? {
            tracing::info!(copy = %copy.display(), schema = SCHEMA_VERSION, "the database was brought to this version");
        }
        let newest = Arc::new(AtomicU64::new(history::newest_cursor(&conn)?));
        let audited = AtomicI64::new(audit::newest(&conn)?);
        let transactions = Arc::new(AtomicU64::new(0));
        let (queue, orders) = mpsc::channel(QUEUE);
        let events = broadcast::Sender::new(LIVE_EVENTS);
        let outbox = watch::Sender::new(0);
        let writer = writer::Writer {
            path: path.clone(),
            conn: Some(conn),
            lazy: false,
            queue: orders,
            events: events.clone(),
            outbox: outbox.clone(),
            newest: newest.clone(),
            transactions: transactions.clone(),
            reserve: reserve::Reserve::beside(&path),
        };
        std::thread::Builder::new().name("akk-store".to_owned()).spawn(move || writer.run())?;
        let readers = Arc::new(readers::Readers::new(path.clone()));
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                queue,
                readers,
                events,
                outbox,
                newest,
                transactions,
                audited,
                counted: Mutex::default(),
            }),
        })
    }

    /// Writes what waits, moves everything out of the write-ahead log, and closes the database. Later calls get
    /// [`StoreError::Closed`].
    pub async fn close(&self) {
        self.inner.readers.close().await;
        let (done, closed) = oneshot::channel();
        if self.inner.queue.send(writer::Order::Close(done)).await.is_ok() {
            // An error means that another call closed it.
            let _ = closed.await;
        }
    }

    /// The database file, with its directory resolved.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Writes a change to one conversation: all of it or nothing. When this returns it is on the disk, and its events
    /// were told to the subscribers.
    ///
    /// # Errors
    /// Nothing was written on [`StoreError::RepeatedRequest`], [`StoreError::Conflict`], [`StoreError::NotFound`] (the
    /// checkpoint's launch), [`StoreError::Full`], [`StoreError::ReadOnly`], [`StoreError::Busy`]. After
    /// [`StoreError::Io`] load the conversation again: it may have been written.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.order(Box::new(commit::CommitJob::new(commit, reply)?)).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Every event from now on, in the order of its cursor, when it is on the disk. Who lies 512 events behind is told
    /// `Lagged` and reads on with [`Store::events_since`]. Subscribe first and read the past then: no event falls
    /// between, and one seen twice is known by its cursor.
    pub fn subscribe_events(&self) -> broadcast::Receiver<Arc<EventRecord>> {
        self.inner.events.subscribe()
    }

    /// The cursor of the newest event; 0 when there was none. Cursors are never used twice.
    pub fn newest_cursor(&self) -> u64 {
        self.inner.newest.load(Ordering::Acquire)
    }

    /// Tells whenever a delivery may have become due: queued, failed, acknowledged, parked, asked for again. The number
    /// means nothing.
    pub fn subscribe_outbox(&self) -> watch::Receiver<u64> {
        self.inner.outbox.subscribe()
    }
}

/// A text column. What is not UTF-8 in a damaged row becomes marks, so that its owner alone fails to be read.
fn text(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<String> {
    let bytes = row.get_ref(at)?.as_bytes().map_err(|e| rusqlite::types::FromSqlError::Other(e.into()));
    let bytes =
        bytes.map_err(|e| rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, e.into()))?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// One transaction's worth of change to one conversation.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Whose.
    pub conversation_id: ConversationId,
    /// The `seq` of the newest event that `state` was built on; 0 for a new conversation.
    pub base_seq: u64,
    /// New events, in order.
    pub events: Vec<Event>,
    /// The state after them.
    pub state: Conversation,
    /// Outbox rows: sink and body.
    pub deliveries: Vec<(SinkKind, DeliveryBody)>,
    /// Whether every ticket of the conversation is revoked.
    pub revoke_tickets: bool,
    /// How far an agent's output has been read when these events followed from it.
    pub checkpoint: Option<Checkpoint>,
    /// The repeat-safe call that this answers.
    pub request: Option<AnsweredRequest>,
}

/// How far an agent's output has been read, and what the reader must know to go on from there.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Whose output.
    pub launch_id: LaunchId,
    /// Bytes of stdout that need not be read again.
    pub offset: u64,
    /// The reader's own state at that offset.
    pub reader: serde_json::Value,
}

/// A repeat-safe call and what it led to.
#[derive(Debug, Clone, PartialEq)]
pub struct AnsweredRequest {
    /// The client's name for it.
    pub request_id: RequestId,
    /// The method, so that the same name for another call is refused.
    pub method: String,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The message that it recorded, if any.
    pub message_id: Option<MessageId>,
    /// The turn that it opened, if any.
    pub turn_id: Option<TurnId>,
}

/// What a commit became.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The events with their places in the history.
    pub events: Vec<Arc<EventRecord>>,
    /// The new `base_seq`.
    pub seq: u64,
}

/// One start of an agent process. Precedes the spawn and ends when its process tree is proven gone.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchRow {
    /// Its id; also the name of its folder below the launches folder.
    pub launch_id: LaunchId,
    /// The conversation that it serves.
    pub conversation_id: ConversationId,
    /// The transport's wire name and further facts that its adoption needs, as the executor wrote them.
    pub facts: serde_json::Value,
    /// Where it stands.
    pub state: LaunchState,
    /// The identity of the process, once it is known, as the executor wrote it.
    pub identity: Option<serde_json::Value>,
    /// Hex digest of its ticket.
    pub ticket_hash: String,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Bytes of stdout that need not be read again.
    pub offset: u64,
    /// The reader's state at that offset; null at the beginning.
    pub reader: serde_json::Value,
}

/// Where a launch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaunchState {
    /// Recorded; the process may or may not exist.
    Starting,
    /// The process is known.
    Live,
    /// Its process tree is proven gone.
    Gone,
}

/// The fate of one prompt (crash-safety 1 and 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptRow {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The turn.
    pub turn_id: TurnId,
    /// From 1: how often this turn's prompt was begun. More than 1 only when an earlier one provably did not arrive.
    pub attempt: u32,
    /// The launch that it is written to.
    pub launch_id: LaunchId,
    /// How far it came.
    pub fate: PromptFate,
}

/// How far a prompt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptFate {
    /// Recorded; at most all but its last two bytes are written.
    Accepted,
    /// The last two bytes may or may not be written: from here on it is never sent again by itself.
    Finishing,
    /// Written, whole.
    Written,
    /// Its answer, or its process's end, was seen.
    Ended,
}
