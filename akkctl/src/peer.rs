//! Who serves a socket: the second half of the check that akkd makes of its clients.

use std::io;
use std::os::unix::net::UnixStream;

/// The effective user of the process that listens on the other end.
///
/// # Errors
/// When the kernel does not tell.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn server_uid(stream: &UnixStream) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw())
}

/// The effective user of the process that listens on the other end.
///
/// # Errors
/// When the kernel does not tell.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn server_uid(stream: &UnixStream) -> io::Result<u32> {
    Ok(nix::unistd::getpeereid(stream)?.0.as_raw())
}
