//! Tells a peer that has closed its connection from one that has only finished talking.

use std::io;
use std::os::fd::AsFd as _;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Ends once the peer of `stream` has closed both directions; never for a mere `shutdown(SHUT_WR)`, whose sender still
/// wants its answers.
///
/// Waits on a duplicate of the descriptor: the end of the write direction (`EPOLLHUP`; `EV_EOF` of `EVFILT_WRITE`) is
/// an event for it without disturbing what the stream's own reader and writer wait for.
pub(super) async fn hung_up(stream: &UnixStream) {
    if let Ok(duplicate) = duplicate(stream) {
        while let Ok(ready) = duplicate.ready(Interest::WRITABLE).await {
            if ready.is_write_closed() {
                return;
            }
            // Merely writable. Claiming that it is not makes the next wait end with the next change.
            let _ = duplicate.try_io(Interest::WRITABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
        }
    }
    // Out of descriptors. The next write will tell.
    std::future::pending::<()>().await;
}

fn duplicate(stream: &UnixStream) -> io::Result<UnixStream> {
    UnixStream::from_std(stream.as_fd().try_clone_to_owned()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_closed_peer_is_told_from_a_half_closed_one() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.shutdown().await.unwrap();
        assert_eq!(ours.read(&mut [0]).await.unwrap(), 0);
        assert!(timeout(Duration::from_millis(50), hung_up(&ours)).await.is_err());
        let watcher = async { timeout(Duration::from_secs(10), hung_up(&ours)).await };
        let closer = async { drop(theirs) };
        assert!(tokio::join!(watcher, closer).0.is_ok());
        assert!(timeout(Duration::from_secs(10), hung_up(&ours)).await.is_ok(), "also when it happened before");
    }
}
