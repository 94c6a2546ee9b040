//! Takes connections in.

use super::audit::{Audit, Witness};
use super::failure;
use super::limits::Limits;
use super::ndjson;
use super::peer::Peer;
use akk_proto::error::Failure;
use jsonrpsee::core::server::Methods;
use jsonrpsee::{ConnectionId, Extensions};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long nothing is taken in after the system had no descriptors or memory left. There is no event for their
/// coming back.
const BREATHER: Duration = Duration::from_millis(200);

/// Serves `methods` on `listener` to processes of akkd's own user until `stop` is cancelled; calls that are to change
/// something are noted in `audit`. Returns then; the connections finish on `tracker`, within [`Limits::finish`] and the time that their last answers take.
pub async fn serve(
    listener: UnixListener,
    methods: impl Into<Methods>,
    limits: Limits,
    audit: Option<Audit>,
    stop: CancellationToken,
    tracker: TaskTracker,
) {
    let uid = rustix::process::geteuid().as_raw();
    serve_user(uid, listener, methods.into(), limits, audit, stop, tracker).await;
}

pub(super) async fn serve_user(
    uid: u32,
    listener: UnixListener,
    methods: Methods,
    limits: Limits,
    audit: Option<Audit>,
    stop: CancellationToken,
    tracker: TaskTracker,
) {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    loop {
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { return };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionAborted => continue,
            Err(e) => {
                tracing::warn!(error = %e, "cannot take a connection in");
                tokio::time::sleep(BREATHER).await;
                continue;
            }
        };
        let peer = match Peer::of(&stream) {
            Ok(peer) => peer,
            Err(e) => {
                tracing::warn!(error = %e, "cannot tell who connected; closed");
                continue;
            }
        };
        if let Err(failure) = peer.admitted_by(uid) {
            tracing::warn!(uid = peer.uid, pid = peer.pid, "refused a connection of another user");
            turn_away(&stream, &failure);
            continue;
        }
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            tracing::warn!(pid = peer.pid, max = limits.max_connections, "too many connections");
            turn_away(&stream, &failure::too_many_connections(limits.max_connections));
            continue;
        };
        let mut extensions = Extensions::new();
        extensions.insert(peer);
        let witness = audit.as_ref().map(|audit| Witness::of(audit, peer, peer.executable(&stream)));
        let connection = ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed));
        let served =
            ndjson::serve(stream, methods.clone(), limits.clone(), connection, extensions, witness, stop.clone());
        tracker.spawn(async move {
            served.await;
            drop(slot);
        });
    }
}

/// Says why, as far as the socket's empty buffer takes it, and closes.
fn turn_away(stream: &UnixStream, failure: &Failure) {
    let _ = stream.try_write(failure.to_line().as_bytes());
}
