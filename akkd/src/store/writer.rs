//! The one thread that writes.
//!
//! Whatever waits when it looks shares one transaction, so one flush of the disk makes all of it durable. Each job has
//! a savepoint of its own: a refused one takes nothing of the others with it. Nobody is answered before the
//! transaction is on the disk, not even with a refusal: it may rest on what another job of the group wrote.

use super::error::StoreError;
use super::reserve::Reserve;
use super::{file, history, messages};
use crate::fault::{Point, point};
use akk_proto::event::EventRecord;
use rusqlite::{Connection, TransactionBehavior};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Jobs of one transaction at most.
const GROUP_JOBS: usize = 256;
/// Bytes that the jobs of one transaction bring at most, unless the first alone brings more.
const GROUP_BYTES: usize = 8 << 20;

/// Something to write. Runs again when its transaction is repeated.
pub(super) trait Job: Send {
    /// Bytes that it brings, roughly.
    fn bytes(&self) -> usize;
    /// Writes, inside a savepoint.
    fn run(&mut self, tx: &Connection, group: &mut Group) -> Result<(), StoreError>;
    /// Its events with their places in the history, once they are on the disk.
    fn events(&mut self) -> &[Arc<EventRecord>];
    /// Whether it only notes what happens: it is written in order, and survives the end of akkd, but the disk is not
    /// waited for, and no other job fails or waits because of it.
    fn is_note(&self) -> bool {
        false
    }
    /// Tells whoever waits what became of it.
    fn answer(self: Box<Self>, fate: Result<(), StoreError>);
}

/// What the jobs of one transaction leave for its end.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Texts to index for the search: the event's cursor and the words.
    pub words: Vec<(i64, String)>,
    /// Whether the outbox changed in a way that may make a delivery due.
    pub outbox: bool,
}

/// What became of each job of a transaction, or the fault that all share.
type Written = Result<(Group, Vec<Result<(), StoreError>>), StoreError>;

/// What is sent to the thread.
pub(super) enum Order {
    /// Write this.
    Write(Box<dyn Job>),
    /// Write what waits, close the database, say so.
    Close(oneshot::Sender<()>),
}

/// The thread's own things.
pub(super) struct Writer {
    pub path: PathBuf,
    /// None after a fault of the disk, until it could be opened again.
    pub conn: Option<Connection>,
    /// Whether the connection leaves it to the next transaction to wait for the disk.
    pub lazy: bool,
    pub queue: mpsc::Receiver<Order>,
    pub events: broadcast::Sender<Arc<EventRecord>>,
    pub outbox: watch::Sender<u64>,
    pub newest: Arc<AtomicU64>,
    /// Transactions so far, counted before anybody is answered.
    pub transactions: Arc<AtomicU64>,
    pub reserve: Reserve,
}

impl Writer {
    /// Serves until the store is closed or nobody holds it any more.
    pub(super) fn run(mut self) {
        let mut left_over = None;
        loop {
            let Some(first) = left_over.take().or_else(|| self.queue.blocking_recv()) else {
                break self.finish(None);
            };
            let (group, next) = self.gather(first);
            if !group.is_empty() {
                self.serve(group);
            }
            match next {
                Some(Order::Close(done)) => break self.finish(Some(done)),
                next => left_over = next,
            }
        }
    }

    /// The jobs that wait and fit into one transaction, and the order that no longer does.
    fn gather(&mut self, first: Order) -> (Vec<Box<dyn Job>>, Option<Order>) {
        let mut group: Vec<Box<dyn Job>> = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(order) = next.take().or_else(|| self.queue.try_recv().ok()) {
            match order {
                Order::Write(job) if group.is_empty() || bytes + job.bytes() <= GROUP_BYTES => {
                    bytes += job.bytes();
                    group.push(job);
                    if group.len() == GROUP_JOBS {
                        break;
                    }
                }
                other => return (group, Some(other)),
            }
        }
        (group, None)
    }

    /// Writes a group, tells the world, answers.
    fn serve(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        match self.write_even_when_full(&mut jobs) {
            Ok((group, fates)) => {
                if !only_notes(&jobs) {
                    point(Point::Committed);
                }
                for (job, fate) in jobs.iter_mut().zip(&fates) {
                    if fate.is_ok() {
                        self.publish(job.events());
                    }
                }
                if group.outbox {
                    self.outbox.send_modify(|changes| *changes += 1);
                }
                for (job, fate) in jobs.into_iter().zip(fates) {
                    job.answer(fate);
                }
                if !self.reserve.is_held() {
                    // Else the log, which only grows until it is emptied, would eat the space that was given back.
                    self.empty_log();
                    self.reserve.restore();
                }
            }
            Err(error) => {
                tracing::error!(%error, jobs = jobs.len(), "a group of commits failed");
                if error != StoreError::Full {
                    // What SQLite holds in memory may differ from the disk now: look again before anybody acts on it.
                    self.conn = None;
                    if let Err(error) = self.reopen() {
                        tracing::error!(%error, "the database could not be opened again");
                    }
                }
                for job in jobs {
                    job.answer(Err(error.clone()));
                }
            }
        }
    }

    /// One transaction. On a full disk again, once the write-ahead log's own space can be used anew, and again, when
    /// the reserve was given back. Notes are let go before that.
    fn write_even_when_full(&mut self, jobs: &mut Vec<Box<dyn Job>>) -> Written {
        let mut written = self.write(jobs);
        if matches!(written, Err(StoreError::Full)) && self.empty_log() {
            written = self.write(jobs);
        }
        if only_notes(jobs) {
            return written;
        }
        if matches!(written, Err(StoreError::Full)) && jobs.iter().any(|job| job.is_note()) {
            let (notes, others): (Vec<_>, Vec<_>) = std::mem::take(jobs).into_iter().partition(|job| job.is_note());
            *jobs = others;
            for note in notes {
                note.answer(Err(StoreError::Full));
            }
            written = self.write(jobs);
        }
        if matches!(written, Err(StoreError::Full)) && self.reserve.release() {
            self.empty_log();
            written = self.write(jobs);
        }
        written
    }

    /// Moves what stands in the write-ahead log into the database, without waiting for readers. Whether all of it was
    /// moved, so that the next transaction begins at the log's start.
    fn empty_log(&self) -> bool {
        let Some(conn) = &self.conn else { return false };
        let moved = conn
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok(row.get::<_, i64>(1)? == row.get::<_, i64>(2)?));
        moved.unwrap_or(false)
    }

    /// One transaction: what became of each job, or the fault that all share.
    fn write(&mut self, jobs: &mut [Box<dyn Job>]) -> Written {
        if self.conn.is_none() {
            self.reopen()?;
        }
        let conn = self.conn.as_mut().ok_or(StoreError::Closed)?;
        let lazy = only_notes(jobs);
        if self.lazy != lazy {
            // The log is written in order either way: who waits for the disk waits for all that stands before.
            conn.pragma_update(None, "synchronous", if lazy { "NORMAL" } else { "FULL" })?;
            self.lazy = lazy;
        }
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut group = Group::default();
        let mut fates = Vec::with_capacity(jobs.len());
        for job in jobs {
            tx.execute_batch("SAVEPOINT job")?;
            let (words, outbox) = (group.words.len(), group.outbox);
            let fate = job.run(&tx, &mut group);
            if let Err(error) = &fate {
                // SQLite gives up the whole transaction on some faults.
                if (error.is_of_the_disk() && !job.is_note()) || tx.is_autocommit() {
                    return Err(error.clone());
                }
                tx.execute_batch("ROLLBACK TO job")?;
                group.words.truncate(words);
                group.outbox = outbox;
            }
            tx.execute_batch("RELEASE job")?;
            fates.push(fate);
        }
        index_words(&tx, &group.words)?;
        if lazy {
            tx.commit()?;
            return Ok((group, fates));
        }
        point(Point::BeforeCommit);
        let committed = tx.commit();
        // Also where it failed: what became of it is not known.
        self.transactions.fetch_add(1, Ordering::Release);
        committed?;
        Ok((group, fates))
    }

    fn publish(&self, events: &[Arc<EventRecord>]) {
        for event in events {
            self.newest.store(event.cursor, Ordering::Release);
            // Nobody listening is fine: the history has it.
            let _ = self.events.send(event.clone());
        }
    }

    /// Opens the database anew and tells what a transaction of unknown fate left in it.
    fn reopen(&mut self) -> Result<(), StoreError> {
        let conn = file::connect_to_write(&self.path)?;
        let untold = history::after_cursor(&conn, self.newest.load(Ordering::Acquire))?;
        self.conn = Some(conn);
        self.lazy = false;
        self.publish(&untold);
        if !untold.is_empty() {
            self.outbox.send_modify(|changes| *changes += 1);
        }
        Ok(())
    }

    /// Writes what still waits and closes the database, with everything moved out of the write-ahead log.
    fn finish(mut self, done: Option<oneshot::Sender<()>>) {
        self.queue.close();
        while let Some(order) = self.queue.blocking_recv() {
            let (group, next) = self.gather(order);
            if !group.is_empty() {
                self.serve(group);
            }
            if let Some(Order::Write(job)) = next {
                self.serve(vec![job]);
            }
        }
        if let Some(conn) = self.conn.take() {
            let moved = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            if let Err(error) = moved {
                tracing::warn!(%error, "the write-ahead log stays; the next start reads it");
            }
        }
        if let Some(done) = done {
            let _ = done.send(());
        }
    }
}

fn only_notes(jobs: &[Box<dyn Job>]) -> bool {
    jobs.iter().all(|job| job.is_note())
}

/// Adds texts to the full-text index. A damaged index harms the search, not the commit.
fn index_words(tx: &Connection, words: &[(i64, String)]) -> Result<(), StoreError> {
    if words.is_empty() {
        return Ok(());
    }
    tx.execute_batch("SAVEPOINT words")?;
    // FTS5 writes what it gathered when a savepoint begins; without one its faults would fail the whole COMMIT.
    let flush = || Ok(tx.execute_batch("SAVEPOINT flush; RELEASE flush")?);
    match messages::add_words(tx, words).and_then(|()| flush()) {
        Err(error) if error.is_of_the_disk() || tx.is_autocommit() => return Err(error),
        Err(error) => {
            tracing::error!(%error, "messages could not be added to the search");
            tx.execute_batch("ROLLBACK TO words")?;
        }
        Ok(()) => {}
    }
    tx.execute_batch("RELEASE words")?;
    Ok(())
}

/// A job made of a closure.
struct Task<T, F> {
    work: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&Connection, &mut Group) -> Result<T, StoreError> + Send,
{
    fn bytes(&self) -> usize {
        0
    }

    fn run(&mut self, tx: &Connection, group: &mut Group) -> Result<(), StoreError> {
        self.value = Some((self.work)(tx, group)?);
        Ok(())
    }

    fn events(&mut self) -> &[Arc<EventRecord>] {
        &[]
    }

    fn answer(self: Box<Self>, fate: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        let _ = reply.send(fate.and_then(|()| value.ok_or(StoreError::Closed)));
    }
}

impl super::Store {
    /// Writes with `work`, in a savepoint of a shared transaction; durable when this returns. `work` may run twice,
    /// the first time without effect. Dropping the future does not take the order back.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&Connection, &mut Group) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.order(Box::new(Task { work, value: None, reply })).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Queues a job without waiting for anything.
    pub(super) fn order_later(&self, job: Box<dyn Job>) {
        let Err(mpsc::error::TrySendError::Full(order)) = self.inner.queue.try_send(Order::Write(job)) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let queue = self.inner.queue.clone();
        runtime.spawn(async move { queue.send(order).await.is_ok() });
    }

    /// Queues a job; waits while the queue is full.
    pub(super) async fn order(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        self.inner.queue.send(Order::Write(job)).await.map_err(|_| StoreError::Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::StoreError;
    use crate::store::Store;
    use akk_proto::Timestamp;
    use akk_proto::audit::{AuditRow, AuditWay};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Notes a call of this name; its method has `bytes` bytes.
    async fn note(store: &Store, name: &str, bytes: usize, runs: &Arc<AtomicU32>) -> Result<(), StoreError> {
        let (name, method, runs) = (name.to_owned(), "x".repeat(bytes), runs.clone());
        store
            .write(move |tx, _| {
                runs.fetch_add(1, Ordering::Relaxed);
                tx.execute("INSERT INTO requests (id, method, conversation) VALUES (?1, ?2, '')", (&name, &method))?;
                Ok(())
            })
            .await
    }

    async fn noted(store: &Store) -> Vec<String> {
        let names = store.read(|conn| {
            let mut statement = conn.prepare("SELECT id FROM requests ORDER BY id")?;
            let names = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(names)
        });
        names.await.unwrap()
    }

    /// SQLite's own limit of pages answers as a full disk does.
    async fn limit_pages(store: &Store, pages: u32) {
        store
            .write(move |tx, _| {
                let sql = format!("PRAGMA max_page_count = {pages}");
                Ok(tx.query_row(&sql, [], |_| Ok(()))?)
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_is_tried_again_with_all_that_can_be_freed_and_then_fails_the_whole_group() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("akk.db")).unwrap();
        let reserve = home.path().join("akk.reserve");
        let (small, big) = (Arc::default(), Arc::default());
        limit_pages(&store, 60).await;
        assert!(reserve.exists());

        let (first, second) = tokio::join!(note(&store, "a", 10, &small), note(&store, "b", 1 << 20, &big));

        assert_eq!(second, Err(StoreError::Full));
        assert_eq!(big.load(Ordering::Relaxed), 3, "again with an empty log, and again with what was reserved");
        assert!(!reserve.exists());
        // The first was alone, or it shared the fate of the second: whoever was answered `Ok` is there.
        let answered: Vec<String> = if first.is_ok() { vec!["a".into()] } else { Vec::new() };
        assert_eq!(noted(&store).await, answered);

        note(&store, "c", 10, &small).await.unwrap();
        limit_pages(&store, 1_000_000).await;
        note(&store, "d", 1 << 20, &big).await.unwrap();
        assert!(noted(&store).await.ends_with(&["c".into(), "d".into()]));
    }

    #[tokio::test]
    async fn on_a_full_disk_a_note_is_let_go_and_takes_nothing_of_what_is_reserved() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("akk.db")).unwrap();
        let (small, big) = (Arc::default(), Arc::default());
        limit_pages(&store, 80).await;
        let big_row = AuditRow {
            at: Timestamp(1),
            via: AuditWay::Spool,
            method: "x".repeat(1 << 20),
            conversation_id: None,
            request_id: None,
            result: "ok".into(),
            peer: None,
        };
        store.audit_whole(big_row.clone()).await;
        assert!(home.path().join("akk.reserve").exists());
        // Together with one, what is answered is written all the same.
        let (first, (), second) =
            tokio::join!(note(&store, "a", 10, &small), store.audit_whole(big_row), note(&store, "b", 10, &big));
        assert_eq!((first, second), (Ok(()), Ok(())));
        assert_eq!(noted(&store).await, ["a", "b"]);
        assert_eq!(store.audit(None, None, 10).await.unwrap(), (vec![], false));
        assert!(home.path().join("akk.reserve").exists());
    }

    #[tokio::test]
    async fn a_defect_in_one_job_fails_that_job_only() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("akk.db")).unwrap();
        let runs = Arc::default();
        let (a, b, again) =
            tokio::join!(note(&store, "a", 1, &runs), note(&store, "b", 1, &runs), note(&store, "a", 1, &runs));
        assert_eq!((a, b), (Ok(()), Ok(())));
        assert!(matches!(again, Err(StoreError::Defect { .. })), "{again:?}");
        assert_eq!(noted(&store).await, ["a", "b"]);
    }

    #[tokio::test]
    async fn a_reader_cannot_write_and_a_failed_read_gives_its_place_back() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("akk.db")).unwrap();
        for _ in 0..10 {
            let written = store.read(|conn| Ok(conn.execute("DELETE FROM requests", [])?)).await;
            assert!(matches!(written, Err(StoreError::ReadOnly { .. })), "{written:?}");
        }
        assert_eq!(noted(&store).await, Vec::<String>::new());
    }
}
