//! Reaching the control socket, and making sure that it is this user's.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Longest message that is taken, in bytes. A longer one ends the connection.
pub(super) const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Why a daemon cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Nothing is there, or nobody listens: the daemon is gone.
    #[error("no Codex daemon listens on {path}: {why}")]
    Gone {
        /// The socket.
        path: PathBuf,
        /// The system's word.
        why: String,
    },
    /// It is not a socket, or not this user's.
    #[error("{path} is not used: {why}")]
    Distrusted {
        /// The socket.
        path: PathBuf,
        /// A half sentence.
        why: String,
    },
    /// Somebody listens and does not speak the protocol.
    #[error("what listens on {path} does not speak the protocol of a Codex daemon: {why}")]
    Foreign {
        /// The socket.
        path: PathBuf,
        /// A half sentence.
        why: String,
    },
    /// It did not answer in time.
    #[error("the Codex daemon on {path} did not answer within {millis} ms")]
    Late {
        /// The socket.
        path: PathBuf,
        /// The limit.
        millis: u64,
    },
}

/// Opens the control socket. Gives the connection and the process at the other end, where the system tells it.
///
/// Codex 0.169 puts a symbolic link to a socket in a 0700 folder below `/tmp` there: what the link leads to must be
/// this user's, and so must be the process that answers, whoever swaps the link meanwhile.
pub(super) async fn open(path: &Path) -> Result<(WebSocketStream<UnixStream>, Option<u32>), ConnectError> {
    let me = rustix::process::geteuid().as_raw();
    let gone = |error: &io::Error| ConnectError::Gone { path: path.to_owned(), why: error.to_string() };
    let distrusted = |why: &str| ConnectError::Distrusted { path: path.to_owned(), why: why.to_owned() };
    let meta = tokio::fs::metadata(path).await.map_err(|e| gone(&e))?;
    if !meta.file_type().is_socket() {
        return Err(distrusted("it is not a socket"));
    }
    if meta.uid() != me {
        return Err(distrusted("it belongs to another user"));
    }
    // The link's target fits where the path through a deep home would not (103 bytes on macOS).
    let target = tokio::fs::canonicalize(path).await.map_err(|e| gone(&e))?;
    let stream = UnixStream::connect(&target).await.map_err(|e| gone(&e))?;
    let peer = stream.peer_cred().map_err(|e| distrusted(&format!("the system does not tell who listens ({e})")))?;
    if peer.uid() != me {
        return Err(distrusted("a process of another user listens on it"));
    }
    let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
    let limits =
        WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE_BYTES)).max_frame_size(Some(MAX_MESSAGE_BYTES));
    match client_async_with_config("ws://localhost/", stream, Some(limits)).await {
        Ok((socket, _)) => Ok((socket, pid)),
        Err(error) => Err(ConnectError::Foreign { path: path.to_owned(), why: error.to_string() }),
    }
}
