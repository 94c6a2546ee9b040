//! One drop folder, opened: every step goes through its descriptor, whatever becomes of its name.

use akk_proto::drops::{Drop, REFUSED, SUFFIX};
use akk_proto::limits::{MAX_DROP_BYTES, MAX_DROPS};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Names that are looked at in one go.
const MAX_NAMES: usize = 4 * MAX_DROPS;

/// An open drop folder.
pub(super) struct Folder(OwnedFd);

/// What a file in the folder is.
#[derive(Debug)]
pub(super) enum Content {
    /// A drop.
    Drop(Box<Drop>),
    /// None: why, as a sentence.
    Bad(String),
    /// It went away meanwhile.
    Gone,
}

impl Folder {
    /// Opens the folder `name` below `root`; none where there is none.
    ///
    /// # Errors
    /// It is not a folder of ours, or cannot be read.
    pub(super) fn open(root: &Path, name: &str) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = match rustix::fs::open(root, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            other => other?,
        };
        let folder = match rustix::fs::openat(&root, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            other => other?,
        };
        if rustix::fs::fstat(&folder)?.st_uid != rustix::process::getuid().as_raw() {
            return Err(io::Error::other("the drop folder belongs to somebody else"));
        }
        Ok(Some(Self(folder)))
    }

    /// The names of whole drops, in the order in which they were left, and whether more lies there than is looked at.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) fn drops(&self) -> io::Result<(Vec<String>, bool)> {
        let mut names = Vec::new();
        let mut seen = 0;
        for entry in Dir::read_from(&self.0)? {
            seen += 1;
            if seen > MAX_NAMES {
                break;
            }
            // Only names that akkctl makes, or that look like them: they can be shown, and stay within the folder.
            if let Ok(name) = entry?.file_name().to_str()
                && name.ends_with(SUFFIX)
                && !name.starts_with('.')
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        names.truncate(MAX_DROPS);
        Ok((names, seen > MAX_NAMES))
    }

    /// Reads one file.
    ///
    /// # Errors
    /// The disk fails; it is to be tried again.
    pub(super) fn read(&self, name: &str) -> io::Result<Content> {
        let bad = |why: &str| Ok(Content::Bad(why.to_owned()));
        // Not to wait for the other end of a FIFO.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.0, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(Content::Gone),
            Err(Errno::LOOP | Errno::MLINK) => return bad("it is a symbolic link"),
            Err(Errno::NXIO | Errno::OPNOTSUPP) => return bad("it is no file"),
            Err(Errno::ACCESS | Errno::PERM) => return bad("it may not be read"),
            Err(error) => return Err(error.into()),
        };
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return bad("it is no file");
        }
        if stat.st_uid != rustix::process::getuid().as_raw() {
            return bad("it belongs to somebody else");
        }
        let mut bytes = Vec::new();
        File::from(file).take(MAX_DROP_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > MAX_DROP_BYTES {
            return Ok(Content::Bad(format!("it has more than {MAX_DROP_BYTES} bytes")));
        }
        Ok(match serde_json::from_slice(&bytes) {
            Ok(drop) => Content::Drop(Box::new(drop)),
            // Not the reader's own words: they quote what stands in the file, which may be any file.
            Err(error) => {
                Content::Bad(format!("it is no drop: see its line {}, column {}", error.line(), error.column()))
            }
        })
    }

    /// Removes a drop that was taken in.
    ///
    /// # Errors
    /// It cannot be removed: it will be found again, and is a repeat then.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Sets a file aside, whatever it is, under a name that is not looked at.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub(super) fn set_aside(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.0, name, &self.0, format!("{name}{REFUSED}"))?)
    }
}
