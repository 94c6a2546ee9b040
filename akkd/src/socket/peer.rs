//! Who is at the other end.

use crate::platform::programs;
use akk_proto::error::{ErrorKind, Failure};
use std::path::PathBuf;
use tokio::net::UnixStream;

/// The process that connected, as the kernel noted it at that moment. It may have handed the connection on since, and
/// its pid may have gone to another: good for a record, never for a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its process id, where the system tells it and it lives in a pid namespace that akkd can see.
    pub pid: Option<i32>,
    /// Its effective user id.
    pub uid: u32,
}

impl Peer {
    /// Who opened `stream`.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn of(stream: &UnixStream) -> std::io::Result<Self> {
        let cred = stream.peer_cred()?;
        Ok(Self { pid: cred.pid().filter(|pid| *pid > 0), uid: cred.uid() })
    }

    /// The file that the process runs whose connection was just taken in; none when it has ended already.
    pub(super) fn executable(self, stream: &UnixStream) -> Option<PathBuf> {
        programs::executable_of_peer(stream, u32::try_from(self.pid?).ok()?)
    }

    /// Refuses every user but the one with the id `uid`, root included.
    ///
    /// # Errors
    /// With what the peer is told.
    pub(super) fn admitted_by(self, uid: u32) -> Result<Self, Failure> {
        if self.uid == uid {
            return Ok(self);
        }
        let message = format!("this akkd serves the user with the id {uid}, not {}", self.uid);
        Err(Failure::new(ErrorKind::PeerRefused, message, "Use the akkd of your own user; it has a socket of its own."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_user_is_admitted() {
        let peer = Peer { pid: Some(7), uid: 1000 };
        assert_eq!(peer.admitted_by(1000), Ok(peer));
        assert_eq!(peer.admitted_by(1001).unwrap_err().kind, ErrorKind::PeerRefused);
        assert!(Peer { pid: None, uid: 0 }.admitted_by(1000).is_err(), "root has an akkd of its own");
    }

    #[tokio::test]
    async fn the_kernel_tells_who_connected() {
        let (a, _b) = UnixStream::pair().unwrap();
        let peer = Peer::of(&a).unwrap();
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert_eq!(peer.pid, i32::try_from(std::process::id()).ok());
        assert_eq!(peer.executable(&a), std::env::current_exe().ok());
    }
}
