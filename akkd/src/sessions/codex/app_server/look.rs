//! Short looks at a daemon, for plans. Nothing is joined and nothing changes.

use super::client::AppServer;
use super::message::CallError;
use super::thread::ThreadState;
use super::{ConnectError, ServerInfo};
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// How long a look may take.
const LOOK: Duration = Duration::from_secs(2);

/// A thread in a daemon that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonThread {
    /// The daemon.
    pub server: ServerInfo,
    /// Whether the thread lives in it, and whether a turn runs.
    pub state: ThreadState,
    /// Whether what is sent to it can be kept apart from turns of the person; akkd sends nothing otherwise.
    pub can_be_joined: bool,
    /// Its model, as it would be used now.
    pub model: Option<String>,
}

/// Whether the thread `id` lives in the daemon at `path` and can be joined there, within 2 seconds. The error is a
/// sentence for people.
///
/// # Errors
/// Nobody listens, somebody else does, it does not answer in time, or it does not know the thread.
pub async fn look_at_thread(path: &Path, id: &str) -> Result<DaemonThread, String> {
    let look = async {
        let mut server = AppServer::connect(path, LOOK).await.map_err(|e| e.to_string())?;
        let looked = look(&mut server, id).await.map_err(|e| e.to_string());
        server.close().await;
        looked
    };
    let late = ConnectError::Late { path: path.to_owned(), millis: LOOK.as_millis() as u64 };
    timeout(LOOK * 2, look).await.unwrap_or_else(|_| Err(late.to_string()))
}

async fn look(server: &mut AppServer, id: &str) -> Result<DaemonThread, CallError> {
    let loaded = server.loaded_threads(LOOK).await?.iter().any(|thread| thread == id);
    let thread = server.thread(id, LOOK).await?;
    let state = if loaded { thread.state() } else { ThreadState::NotLoaded };
    // Reading the queue changes nothing, and a daemon without one refuses it.
    let queue = server.call("thread/queue/list", serde_json::json!({ "threadId": id }), LOOK).await;
    let can_be_joined =
        queue.is_ok() && state != ThreadState::NotLoaded && thread.can_accept_direct_input != Some(false);
    Ok(DaemonThread { server: server.info().clone(), state, can_be_joined, model: thread.model })
}
