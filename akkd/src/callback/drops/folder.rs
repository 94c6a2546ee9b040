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
        let stat = rustix::fs::fstat(&folder)?;
        if stat.st_uid != rustix::process::getuid().as_raw() {
            return Err(io::Error::other("the drop folder belongs to somebody else"));
        }
        // Its agent may have taken our rights away: what is taken in could not be removed then, and would be found
        // again and again.
        if Mode::from_raw_mode(stat.st_mode) != Mode::RWXU {
            rustix::fs::fchmod(&folder, Mode::RWXU)?;
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
        if rustix::fs::renameat(&self.0, name, &self.0, format!("{name}{REFUSED}")).is_ok() {
            return Ok(());
        }
        // That name is too long, or a folder has it. Whatever its agent chose, the file must go out of the way: it would
        // be told of again and again, and what was left after it would wait for ever.
        let other = format!("{}{REFUSED}", uuid::Uuid::now_v7());
        Ok(rustix::fs::renameat(&self.0, name, &self.0, other)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    const REPORT: &str =
        r#"{"drop":"report","conversation_id":"task-20260620T140525-0a1b2c3d","ticket":"t","message":"m"}"#;

    struct House(tempfile::TempDir);

    impl House {
        fn new() -> Self {
            let house = Self(tempfile::tempdir().unwrap());
            std::fs::create_dir(house.0.path().join("it")).unwrap();
            house
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.0.path().join("it").join(name)
        }

        fn folder(&self) -> Folder {
            Folder::open(self.0.path(), "it").unwrap().unwrap()
        }

        fn why(&self, name: &str) -> String {
            match self.folder().read(name).unwrap() {
                Content::Bad(why) => why,
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn whole_drops_are_found_in_their_order_and_nothing_else() {
        let house = House::new();
        for name in ["b.json", "a.json", ".c.json", "d.json.refused", "e.txt"] {
            std::fs::write(house.path(name), REPORT).unwrap();
        }
        assert_eq!(house.folder().drops().unwrap(), (vec!["a.json".to_owned(), "b.json".to_owned()], false));
        assert!(matches!(house.folder().read("a.json").unwrap(), Content::Drop(_)));
        assert!(matches!(house.folder().read("none.json").unwrap(), Content::Gone));
        house.folder().remove("a.json").unwrap();
        house.folder().remove("a.json").unwrap();
        assert!(!house.path("a.json").exists());
    }

    #[test]
    fn what_is_no_plain_file_is_not_opened_and_nothing_is_waited_for() {
        let house = House::new();
        let secret = house.path("secret");
        std::fs::write(&secret, REPORT).unwrap();
        symlink(&secret, house.path("link.json")).unwrap();
        symlink("/dev/zero", house.path("endless.json")).unwrap();
        std::fs::create_dir(house.path("folder.json")).unwrap();
        nix::unistd::mkfifo(&house.path("fifo.json"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(house.path("socket.json")).unwrap();
        assert_eq!(house.why("link.json"), "it is a symbolic link");
        assert_eq!(house.why("endless.json"), "it is a symbolic link");
        for name in ["folder.json", "fifo.json", "socket.json"] {
            assert_eq!(house.why(name), "it is no file", "{name}");
        }
        for name in ["link.json", "folder.json", "fifo.json"] {
            house.folder().set_aside(name).unwrap();
            assert!(house.path(&format!("{name}.refused")).symlink_metadata().is_ok());
        }
        assert_eq!(std::fs::read_to_string(secret).unwrap(), REPORT);
    }

    #[test]
    fn what_is_too_large_or_no_drop_is_refused_without_its_words() {
        let house = House::new();
        std::fs::write(house.path("large.json"), vec![b' '; MAX_DROP_BYTES + 1]).unwrap();
        assert!(house.why("large.json").contains("more than 1048576 bytes"));
        for (n, text) in
            ["", "hunter2", "[]", r#"{"drop":"hunter2"}"#, "{\"drop\":\"report\"}", "\u{0}\u{ff}"].iter().enumerate()
        {
            let name = format!("{n}.json");
            std::fs::write(house.path(&name), text).unwrap();
            let why = house.why(&name);
            assert!(why.starts_with("it is no drop: see its line") && !why.contains("hunter2"), "{text}: {why}");
        }
        std::fs::write(house.path("closed.json"), REPORT).unwrap();
        std::fs::set_permissions(house.path("closed.json"), std::fs::Permissions::from_mode(0o0)).unwrap();
        // The superuser may read everything.
        if !rustix::process::geteuid().is_root() {
            assert_eq!(house.why("closed.json"), "it may not be read");
        }
    }

    #[test]
    fn what_cannot_have_its_name_with_our_ending_is_set_aside_under_another() {
        let house = House::new();
        let long = format!("{}{SUFFIX}", "x".repeat(255 - SUFFIX.len()));
        std::fs::write(house.path(&long), "junk").unwrap();
        std::fs::write(house.path("taken.json"), "junk").unwrap();
        std::fs::create_dir_all(house.path("taken.json.refused").join("full")).unwrap();
        for name in [long.as_str(), "taken.json"] {
            house.folder().set_aside(name).unwrap();
            assert!(!house.path(name).exists(), "{name}");
        }
        assert_eq!(house.folder().drops().unwrap().0, Vec::<String>::new());
        let aside: Vec<_> = std::fs::read_dir(house.0.path().join("it"))
            .unwrap()
            .flatten()
            .filter(|e| e.path().is_file())
            .map(|e| (e.file_name().into_string().unwrap(), std::fs::read_to_string(e.path()).unwrap()))
            .collect();
        assert!(aside.len() == 2 && aside.iter().all(|(n, t)| n.ends_with(REFUSED) && t == "junk"), "{aside:?}");
    }

    #[test]
    fn a_folder_whose_rights_its_agent_took_away_is_ours_again() {
        let house = House::new();
        std::fs::write(house.path("a.json"), REPORT).unwrap();
        let folder = house.0.path().join("it");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o577)).unwrap();
        house.folder().remove("a.json").unwrap();
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
    }

    #[test]
    fn a_folder_that_was_replaced_by_a_link_is_not_followed() {
        let house = House::new();
        symlink(house.0.path().join("it"), house.0.path().join("that")).unwrap();
        assert!(Folder::open(house.0.path(), "that").is_err());
        assert!(Folder::open(house.0.path(), "none").unwrap().is_none());
        assert!(Folder::open(&house.0.path().join("none"), "it").unwrap().is_none());
    }
}
