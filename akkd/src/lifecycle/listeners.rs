//! The two sockets: inherited, or bound by us and bound again when their files vanish.

use super::activation::Activation;
use super::folders::{FolderError, private_folder};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::paths::{MAX_SOCKET_PATH, Paths};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::fs::{Metadata, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How long it may take an owner of a socket to be found out.
const PROBE: Duration = Duration::from_secs(2);
/// The first and the longest pause between attempts to bind a vanished socket again.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Which of the two sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Socket {
    /// Serves the user's clients.
    Control,
    /// Serves reports of agents only.
    Callback,
}

/// The sockets, listening.
#[derive(Debug)]
pub struct Listeners {
    /// The control socket.
    pub control: UnixListener,
    /// The callback socket.
    pub callback: UnixListener,
    /// Those of them that we bound ourselves.
    pub bound: Bound,
}

/// The socket files that are ours.
#[derive(Debug)]
pub struct Bound(Vec<SocketFile>);

#[derive(Debug)]
struct SocketFile {
    socket: Socket,
    path: PathBuf,
    identity: Identity,
    /// It was said that somebody else has taken the place.
    told: bool,
}

/// Device and inode of a socket file.
type Identity = (u64, u64);

/// Why a socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers there.
    #[error("another program answers on {}", .0.display())]
    Answers(PathBuf),
    /// Something that is no socket of ours lies there.
    #[error("{} is in the way: it is not a socket of yours", .0.display())]
    InTheWay(PathBuf),
    /// The path is longer than any system takes.
    #[error("the socket's path is longer than {MAX_SOCKET_PATH} bytes: {}", .0.display())]
    TooLong(PathBuf),
    /// Its folder is not usable.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The system refuses.
    #[error("cannot listen on {}: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<BindError> for Failure {
    fn from(e: BindError) -> Self {
        let message = e.to_string();
        let hint = match e {
            BindError::Folder(e) => return e.into(),
            BindError::Answers(_) => "Stop that program, or give this akkd another place with AKK_SOCKET.",
            BindError::InTheWay(_) => "Move it away, or give this akkd another place with AKK_SOCKET.",
            BindError::TooLong(_) => "Choose a shorter path in AKK_SOCKET.",
            BindError::Io { .. } => "Look at its folder's owner and free space, or set AKK_SOCKET.",
        };
        Self::new(ErrorKind::Storage, message, hint)
    }
}

/// The sockets of `paths`: those of `activation`, the others bound (0600, in a folder of 0700). A file that nobody
/// answers on is replaced; one that answers never.
///
/// # Errors
/// When a socket cannot be had.
pub async fn bind(paths: &Paths, activation: Activation) -> Result<Listeners, BindError> {
    let mut bound = Vec::new();
    let control = take_or_bind(Socket::Control, &paths.control_socket, activation.control, &mut bound).await?;
    let callback = take_or_bind(Socket::Callback, &paths.callback_socket, activation.callback, &mut bound).await?;
    Ok(Listeners { control, callback, bound: Bound(bound) })
}

async fn take_or_bind(
    socket: Socket,
    path: &Path,
    inherited: Option<StdListener>,
    bound: &mut Vec<SocketFile>,
) -> Result<UnixListener, BindError> {
    if let Some(listener) = inherited {
        let taken = listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
        return taken.map_err(|source| BindError::Io { path: path.to_owned(), source });
    }
    let (listener, identity) = bind_one(path).await?;
    bound.push(SocketFile { socket, path: path.to_owned(), identity, told: false });
    Ok(listener)
}

async fn bind_one(path: &Path) -> Result<(UnixListener, Identity), BindError> {
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        return Err(BindError::TooLong(path.to_owned()));
    }
    private_folder(path.parent().unwrap_or(Path::new(".")))?;
    let failed = |source| BindError::Io { path: path.to_owned(), source };
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(failed(e)),
        Ok(meta) => {
            let ours = meta.uid() == rustix::process::geteuid().as_raw();
            if !meta.file_type().is_socket() || !ours {
                return Err(BindError::InTheWay(path.to_owned()));
            }
            // An akkd that was killed while it made a child leaves its files to the child, until that becomes another
            // program: for a moment.
            let mut patience = 20;
            while answers(path).await {
                patience -= 1;
                if patience == 0 {
                    return Err(BindError::Answers(path.to_owned()));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(e)),
                _ => {}
            }
        }
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    let identity = identity(&std::fs::symlink_metadata(path).map_err(failed)?);
    Ok((listener, identity))
}

fn identity(meta: &Metadata) -> Identity {
    (meta.dev(), meta.ino())
}

/// Whether somebody listens at `path`. In doubt yes: only a refused connection proves that nobody does.
async fn answers(path: &Path) -> bool {
    match tokio::time::timeout(PROBE, UnixStream::connect(path)).await {
        Ok(Err(e)) => !matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound),
        Ok(Ok(_)) | Err(_) => true,
    }
}

impl Bound {
    /// Watches over the files until `stop` is cancelled, and removes them then. When one vanishes (a cleaner of
    /// temporary files, a logout that takes the runtime directory with it) it is bound again and the new listener
    /// handed to `serve`. Nothing wakes up while nothing happens to them.
    pub async fn keep(mut self, stop: CancellationToken, serve: impl Fn(Socket, UnixListener) + Send) {
        if !self.0.is_empty() {
            stop.run_until_cancelled(self.watch(serve)).await;
        }
        for file in &self.0 {
            if file.place() == Place::Ours {
                let _ = std::fs::remove_file(&file.path);
            }
        }
    }

    async fn watch(&mut self, serve: impl Fn(Socket, UnixListener)) {
        let mut pause = RETRY.0;
        loop {
            // The watch comes before the look, so that nothing happens unseen in between.
            let watched = self.watcher();
            let mut all_well = watched.is_ok();
            for file in &mut self.0 {
                all_well &= file.restore(&serve).await;
            }
            match watched {
                Ok((_watcher, mut changes)) if all_well => {
                    pause = RETRY.0;
                    // While the folder is the one that is watched, the same watch is good for the next look.
                    while changes.recv().await.is_some() && self.0.iter().all(|f| f.place() == Place::Ours) {}
                }
                _ => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY.1);
                }
            }
        }
    }

    /// A watch on the folders of the files, and where it says that something has changed there.
    fn watcher(&self) -> notify::Result<(RecommendedWatcher, mpsc::Receiver<()>)> {
        let (tx, rx) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Looking at the folder is itself an event on some systems; one word is enough for many changes.
            if !event.is_ok_and(|e| matches!(e.kind, EventKind::Access(_))) {
                let _ = tx.try_send(());
            }
        })?;
        let mut folders: Vec<&Path> = self.0.iter().filter_map(|f| f.path.parent()).collect();
        folders.dedup();
        for folder in folders {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        Ok((watcher, rx))
    }
}

/// What lies where a socket file of ours lay.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Ours,
    Empty,
    Another,
}

impl SocketFile {
    fn place(&self) -> Place {
        match std::fs::symlink_metadata(&self.path) {
            Ok(meta) if identity(&meta) == self.identity => Place::Ours,
            Ok(_) => Place::Another,
            Err(_) => Place::Empty,
        }
    }

    /// Binds the socket again if its file is gone. `false`: it should be tried again.
    async fn restore(&mut self, serve: &impl Fn(Socket, UnixListener)) -> bool {
        if self.place() == Place::Ours {
            return true;
        }
        match bind_one(&self.path).await {
            Ok((listener, identity)) => {
                tracing::warn!(path = %self.path.display(), "a socket file had vanished and was bound again");
                (self.identity, self.told) = (identity, false);
                serve(self.socket, listener);
                true
            }
            Err(e) => {
                if !std::mem::replace(&mut self.told, true) {
                    tracing::error!(error = %e, "a socket file is gone and cannot be bound again; trying on");
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use akk_proto::paths::Environment;
    use std::sync::{Arc, Mutex};

    const PATIENCE: Duration = Duration::from_secs(20);

    fn paths(dir: &tempfile::TempDir) -> Paths {
        Paths::resolve(&Environment { akk_home: Some(dir.path().join("home")), ..Environment::default() })
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[tokio::test]
    async fn both_sockets_are_bound_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(&dir);
        let listeners = bind(&paths, Activation::default()).await.unwrap();
        assert_eq!(
            (mode(&paths.run), mode(&paths.control_socket), mode(&paths.callback_socket)),
            (0o700, 0o600, 0o600)
        );
        let client = UnixStream::connect(&paths.callback_socket);
        let (client, accepted) = tokio::join!(client, listeners.callback.accept());
        assert!(client.is_ok() && accepted.is_ok());
    }

    #[tokio::test]
    async fn a_socket_that_answers_is_never_taken_and_a_stale_one_is() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(&dir);
        let first = bind(&paths, Activation::default()).await.unwrap();
        let refused = bind(&paths, Activation::default()).await.unwrap_err();
        assert!(matches!(refused, BindError::Answers(_)), "{refused}");
        assert!(UnixStream::connect(&paths.control_socket).await.is_ok(), "it is still there");
        drop(first);
        let second = bind(&paths, Activation::default()).await.unwrap();
        let client = UnixStream::connect(&paths.control_socket);
        let (client, accepted) = tokio::join!(client, second.control.accept());
        assert!(client.is_ok() && accepted.is_ok());
    }

    #[tokio::test]
    async fn a_file_in_the_way_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(&dir);
        private_folder(&paths.run).unwrap();
        std::fs::write(&paths.control_socket, "precious").unwrap();
        assert!(matches!(bind(&paths, Activation::default()).await, Err(BindError::InTheWay(_))));
        assert_eq!(std::fs::read_to_string(&paths.control_socket).unwrap(), "precious");
    }

    #[tokio::test]
    async fn an_inherited_socket_is_used_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(&dir);
        let elsewhere = dir.path().join("systemds");
        let activation = Activation { control: Some(StdListener::bind(&elsewhere).unwrap()), ..Activation::default() };
        let listeners = bind(&paths, activation).await.unwrap();
        assert!(!paths.control_socket.exists() && paths.callback_socket.exists());
        let client = UnixStream::connect(&elsewhere);
        let (client, accepted) = tokio::join!(client, listeners.control.accept());
        assert!(client.is_ok() && accepted.is_ok());
        assert_eq!(listeners.bound.0.len(), 1);
        let stop = CancellationToken::new();
        stop.cancel();
        listeners.bound.keep(stop, |_, _| {}).await;
        assert!(elsewhere.exists(), "systemd's file is not ours to remove");
        assert!(!paths.callback_socket.exists());
    }

    #[tokio::test]
    async fn a_socket_file_that_vanishes_is_bound_again_even_with_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(&dir);
        let listeners = bind(&paths, Activation::default()).await.unwrap();
        let (stop, again) = (CancellationToken::new(), Arc::new(Mutex::new(Vec::new())));
        let (tx, mut rx) = mpsc::unbounded_channel();
        let kept = again.clone();
        let keeping = tokio::spawn(listeners.bound.keep(stop.clone(), move |socket, listener| {
            kept.lock().unwrap().push(listener);
            let _ = tx.send(socket);
        }));
        std::fs::remove_file(&paths.control_socket).unwrap();
        let socket = tokio::time::timeout(PATIENCE, rx.recv()).await.unwrap();
        assert_eq!(socket, Some(Socket::Control));
        assert!(UnixStream::connect(&paths.control_socket).await.is_ok());
        std::fs::remove_dir_all(&paths.run).unwrap();
        let mut both = Vec::new();
        while both.len() < 2 {
            both.extend(tokio::time::timeout(PATIENCE, rx.recv()).await.unwrap());
        }
        assert!(both.contains(&Socket::Control) && both.contains(&Socket::Callback));
        assert_eq!(mode(&paths.run), 0o700);
        stop.cancel();
        keeping.await.unwrap();
        assert!(!paths.control_socket.exists(), "it is gone when akkd is");
    }
}
