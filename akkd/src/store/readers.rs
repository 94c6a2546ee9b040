//! Connections that read beside the writer: a few, opened when they are needed, each used by one call at a time.

use super::error::StoreError;
use super::{Store, file};
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Calls that read at the same time. Two cores and short reads: more would only cost memory.
const READERS: usize = 3;

/// The connections.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
}

/// A connection in use. Returns when it is dropped, unless it was found broken.
struct Borrowed {
    readers: Arc<Readers>,
    conn: Option<Connection>,
    _place: OwnedSemaphorePermit,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, places: Arc::new(Semaphore::new(READERS)), idle: Mutex::default() }
    }

    /// Waits until nobody reads, and lets no one read after that.
    pub(super) async fn close(&self) {
        // An error means that it was closed before.
        let all = self.places.acquire_many(READERS as u32).await;
        self.places.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        drop(all);
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).push(conn);
        }
    }
}

impl Store {
    /// Reads with `work`, in one transaction: everything it sees is of the same moment. Runs on a thread where
    /// blocking is allowed; dropping the future does not stop it.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = self.inner.readers.clone();
        let place = readers.places.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let idle = readers.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut borrowed = Borrowed { readers, conn: idle, _place: place };
        let read = tokio::task::spawn_blocking(move || {
            let conn = match borrowed.conn.take() {
                Some(conn) => conn,
                None => file::connect_to_read(&borrowed.readers.path)?,
            };
            let read = in_one_moment(&conn, work);
            if !read.as_ref().is_err_and(StoreError::is_of_the_disk) {
                borrowed.conn = Some(conn);
            }
            drop(borrowed);
            read
        });
        read.await.unwrap_or_else(|panic| Err(StoreError::Defect { detail: panic.to_string() }))
    }
}

fn in_one_moment<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let tx = conn.unchecked_transaction()?;
    let read = work(&tx)?;
    tx.commit()?;
    Ok(read)
}
