//! What all conversations' executors have in common.

use super::context::Context;
use super::launch::folder;
use super::launch::hints::OutputHints;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_util::sync::CancellationToken;

/// What all conversations' executors have in common.
pub(super) struct Shared {
    pub(super) context: Context,
    /// Canonical.
    pub(super) launches: PathBuf,
    pub(super) hints: OutputHints,
    /// akkd goes down: nothing is waited for any more.
    pub(super) stopping: CancellationToken,
    running: Arc<AtomicUsize>,
}

impl Shared {
    /// Prepares the folder of launches and the watcher of output files.
    pub(super) fn new(context: Context) -> io::Result<Self> {
        let launches = folder::prepare(&context.launches)?;
        Ok(Self {
            context,
            launches,
            hints: OutputHints::start(),
            stopping: CancellationToken::new(),
            running: Arc::default(),
        })
    }

    /// Agent processes that are followed now.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Counts one more, until the answer is dropped.
    pub(super) fn count(&self) -> Counted {
        self.running.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(&self.running))
    }
}

/// One agent process that is followed.
#[derive(Debug)]
pub(super) struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
