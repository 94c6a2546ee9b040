//! Sockets that systemd made and handed over.

use super::listeners::Socket;
use super::lock::LockError;
use akk_proto::error::Failure;
use listenfd::ListenFd;
use std::os::unix::net::UnixListener as StdListener;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;

/// How long an akkd that leaves waits for one more connection to answer.
const QUIET: Duration = Duration::from_secs(1);
/// Connections that it answers at most.
const MAX_TURNED_AWAY: usize = 1000;

/// The listening sockets that this process inherited.
#[derive(Debug, Default)]
pub struct Activation {
    pub(super) control: Option<StdListener>,
    pub(super) callback: Option<StdListener>,
}

impl Activation {
    /// Takes what `LISTEN_FDS` announces, by the names `control` and `callback` in `LISTEN_FDNAMES` (also with an
    /// ending, as in `akkd-control.socket`), else in this order. Removes the announcement from the environment, so it
    /// must be called before the process has threads.
    ///
    /// # Errors
    /// When something else than a listening Unix stream socket was handed over.
    pub fn from_env() -> std::io::Result<Self> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut handed = ListenFd::from_env();
        let mut listeners = Vec::new();
        for index in 0..handed.len() {
            if let Some(listener) = handed.take_unix_listener(index)? {
                listeners.push(listener);
            }
        }
        let names: Vec<&str> = names.split(':').collect();
        Ok(Self::of(&names, listeners))
    }

    /// Whether anything was handed over.
    pub fn is_empty(&self) -> bool {
        self.control.is_none() && self.callback.is_none()
    }

    fn of(names: &[&str], listeners: Vec<StdListener>) -> Self {
        let mut this = Self::default();
        let mut unnamed = Vec::new();
        for (index, listener) in listeners.into_iter().enumerate() {
            let place = match names.get(index).and_then(|name| socket_named(name)) {
                Some(Socket::Control) => &mut this.control,
                Some(Socket::Callback) => &mut this.callback,
                None => {
                    unnamed.push(listener);
                    continue;
                }
            };
            *place = Some(listener);
        }
        for listener in unnamed {
            let free = if this.control.is_none() { &mut this.control } else { &mut this.callback };
            if free.is_some() {
                tracing::warn!("more sockets were handed over than akkd has use for");
            }
            free.get_or_insert(listener);
        }
        this
    }
}

fn socket_named(name: &str) -> Option<Socket> {
    if name.contains("callback") {
        Some(Socket::Callback)
    } else if name.contains("control") {
        Some(Socket::Control)
    } else {
        None
    }
}

/// Answers everybody who connects to the inherited sockets with `lost`, which names the winner, until nobody has come
/// for a second. Leaving without it would make systemd start akkd again for the connections that wait.
///
/// # Errors
/// When the sockets cannot be used.
pub async fn turn_away(activation: Activation, lost: &LockError) -> std::io::Result<()> {
    let line = Failure::from(lost).to_line();
    let mut listeners = Vec::new();
    for listener in [activation.control, activation.callback].into_iter().flatten() {
        listener.set_nonblocking(true)?;
        listeners.push(UnixListener::from_std(listener)?);
    }
    for _ in 0..MAX_TURNED_AWAY {
        let Some(first) = listeners.first() else { break };
        let second = listeners.last().unwrap_or(first);
        let next = async {
            tokio::select! {
                stream = first.accept() => stream,
                stream = second.accept() => stream,
            }
        };
        let Ok(accepted) = tokio::time::timeout(QUIET, next).await else { break };
        let (mut stream, _) = accepted?;
        // A few hundred bytes always fit into a fresh socket.
        let _ = tokio::time::timeout(QUIET, stream.write_all(line.as_bytes())).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::net::UnixStream as StdStream;

    fn listeners(dir: &tempfile::TempDir, names: &[&str]) -> Vec<StdListener> {
        names.iter().map(|n| StdListener::bind(dir.path().join(n)).unwrap()).collect()
    }

    fn name(listener: Option<&StdListener>) -> Option<String> {
        let address = listener?.local_addr().unwrap();
        Some(address.as_pathname()?.file_name()?.to_string_lossy().into_owned())
    }

    #[test]
    fn sockets_are_told_apart_by_name_else_by_order() {
        for (names, made, control, callback) in [
            (&["callback", "control"][..], &["x", "y"][..], Some("y"), Some("x")),
            (&["akkd-callback.socket", "akkd-control.socket"], &["x", "y"], Some("y"), Some("x")),
            (&[""], &["x", "y"], Some("x"), Some("y")),
            (&["unknown", "callback"], &["x", "y"], Some("x"), Some("y")),
            (&["callback"], &["x"], None, Some("x")),
            (&["unknown"], &["x"], Some("x"), None),
            (&[], &[], None, None),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let got = Activation::of(names, listeners(&dir, made));
            assert_eq!(name(got.control.as_ref()).as_deref(), control, "{names:?}");
            assert_eq!(name(got.callback.as_ref()).as_deref(), callback, "{names:?}");
        }
    }

    #[tokio::test]
    async fn the_loser_names_the_winner_to_all_who_wait_and_leaves() {
        let dir = tempfile::tempdir().unwrap();
        let activation = Activation::of(&[], listeners(&dir, &["control", "callback"]));
        let clients: Vec<_> =
            ["control", "callback", "control"].map(|n| StdStream::connect(dir.path().join(n)).unwrap()).into();
        let lost = LockError::Held { path: "/l".into(), pid: Some(4711) };
        tokio::time::timeout(Duration::from_secs(20), turn_away(activation, &lost)).await.unwrap().unwrap();
        for mut client in clients {
            let mut heard = String::new();
            client.read_to_string(&mut heard).unwrap();
            let answer: serde_json::Value = serde_json::from_str(&heard).unwrap();
            assert_eq!(answer["error"]["data"]["details"]["pid"], 4711);
        }
    }
}
