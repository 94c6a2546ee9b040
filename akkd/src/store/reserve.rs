//! A file that holds space for bad times: when the disk is full it is removed, so that what must be recorded (the end
//! of a turn, an acknowledgement) still can be. It comes back by itself once there is room.

use super::file;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes that the file holds.
pub(super) const RESERVE_BYTES: usize = 1 << 20;

/// How long to wait before space is reserved anew after it was released or could not be had.
const PAUSE: Duration = Duration::from_mins(1);

/// The file, held or released.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    held: bool,
    tried: Instant,
}

impl Reserve {
    /// Reserves space beside `database`. That there is none is no error: it is tried again later.
    pub(super) fn beside(database: &Path) -> Self {
        let mut reserve = Self { path: database.with_file_name("akk.reserve"), held: false, tried: Instant::now() };
        reserve.take();
        reserve
    }

    /// Whether the space is reserved.
    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// Gives the space back to the disk. Whether there was any to give.
    pub(super) fn release(&mut self) -> bool {
        let freed = self.held && std::fs::remove_file(&self.path).is_ok();
        self.held = false;
        self.tried = Instant::now();
        if freed {
            tracing::warn!(file = %self.path.display(), "the disk is full: the reserved space was released");
        }
        freed
    }

    /// Reserves the space anew if some time went by since it was released.
    pub(super) fn restore(&mut self) {
        if !self.held && self.tried.elapsed() >= PAUSE {
            self.take();
        }
    }

    fn take(&mut self) {
        self.tried = Instant::now();
        self.held = match reserve(&self.path) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "no space could be reserved for a full disk");
                false
            }
        };
    }
}

/// Makes the file, unless it is there, whole.
fn reserve(path: &Path) -> Result<(), super::StoreError> {
    if let Some(found) = file::ours(path)? {
        if found.len() == RESERVE_BYTES as u64 {
            return Ok(());
        }
        std::fs::remove_file(path)?;
    }
    let mut made = file::create(path)?;
    // Bytes that no file system can leave out or pack: a multiplicative generator's.
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(RESERVE_BYTES);
    while bytes.len() < RESERVE_BYTES {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    let written = made.write_all(&bytes).and_then(|()| made.sync_all());
    if let Err(error) = written {
        drop(made);
        // Half a reserve would only make a full disk fuller.
        let _ = std::fs::remove_file(path);
        return Err(error.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_space_is_released_once_and_comes_back() {
        let home = tempfile::tempdir().unwrap();
        let mut reserve = Reserve::beside(&home.path().join("akk.db"));
        let path = home.path().join("akk.reserve");
        assert_eq!(path.metadata().unwrap().len(), RESERVE_BYTES as u64);
        assert!(reserve.release());
        assert!(!path.exists());
        assert!(!reserve.release(), "there is nothing more to give");
        reserve.restore();
        assert!(!path.exists(), "not at once: the disk is still full");
        reserve.tried = Instant::now().checked_sub(PAUSE).unwrap();
        reserve.restore();
        assert!(path.exists());
    }

    #[test]
    fn half_a_reserve_is_made_whole_and_a_link_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("akk.reserve");
        std::fs::write(&path, b"half").unwrap();
        assert!(Reserve::beside(&home.path().join("akk.db")).held);
        assert_eq!(path.metadata().unwrap().len(), RESERVE_BYTES as u64);

        std::fs::remove_file(&path).unwrap();
        std::fs::write(home.path().join("precious"), b"x").unwrap();
        std::os::unix::fs::symlink(home.path().join("precious"), &path).unwrap();
        assert!(!Reserve::beside(&home.path().join("akk.db")).held);
        assert_eq!(std::fs::read(home.path().join("precious")).unwrap(), b"x");
    }
}
