//! What all conversations' executors have in common.

use super::context::Context;
use super::launch::folder;
use super::launch::hints::OutputHints;
use akk_proto::ConversationId;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;
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
    at_work: watch::Sender<BTreeSet<ConversationId>>,
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
            at_work: watch::Sender::default(),
        })
    }

    /// Agent processes that are followed now.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// The conversations whose agent is at work.
    pub(super) fn at_work(&self) -> watch::Receiver<BTreeSet<ConversationId>> {
        self.at_work.subscribe()
    }

    /// The agent of this conversation is at work, until the answer is dropped.
    pub(super) fn works(self: &Arc<Self>, conversation: &ConversationId) -> AtWork {
        self.at_work.send_modify(|all| {
            all.insert(conversation.clone());
        });
        AtWork { shared: Arc::clone(self), conversation: conversation.clone() }
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

/// One conversation whose agent is at work.
pub(super) struct AtWork {
    shared: Arc<Shared>,
    conversation: ConversationId,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.shared.at_work.send_modify(|all| {
            all.remove(&self.conversation);
        });
    }
}
