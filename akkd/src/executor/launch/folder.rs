//! The folder of one launch: what the child has as stdin, stdout and stderr.

use akk_proto::LaunchId;
use nix::sys::stat::Mode;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What `O_NOFOLLOW` is called by the standard library's raw flags.
const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// The folder of one launch, 0700. Its name is the launch's id, so nothing foreign becomes a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::executor) struct LaunchFolder {
    path: PathBuf,
}

impl LaunchFolder {
    /// The folder of `launch` below `launches`, existing or not.
    pub(in crate::executor) fn of(launches: &Path, launch: &LaunchId) -> Self {
        Self { path: launches.join(launch.as_str()) }
    }

    /// Makes it.
    ///
    /// # Errors
    /// It exists, or the disk refuses.
    pub(in crate::executor) fn create(&self) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(&self.path)
    }

    /// stdin of an agent that is spoken to: a FIFO.
    pub(in crate::executor) fn fifo(&self) -> PathBuf {
        self.path.join("in")
    }

    /// stdin of a one-shot client: a file with the prompt.
    pub(in crate::executor) fn prompt(&self) -> PathBuf {
        self.path.join("prompt")
    }

    /// The ticket, for the reporting tools: they are started by the agent, whose environment they may not get.
    pub(in crate::executor) fn ticket(&self) -> PathBuf {
        self.path.join("ticket")
    }

    /// What tells acpx of the reporting tools.
    pub(in crate::executor) fn mcp_config(&self) -> PathBuf {
        self.path.join("mcp.json")
    }

    /// stdout.
    pub(in crate::executor) fn out(&self) -> PathBuf {
        self.path.join("out")
    }

    /// stderr.
    pub(in crate::executor) fn err(&self) -> PathBuf {
        self.path.join("err")
    }

    /// Makes the FIFO and opens it for reading *and* writing. As the child's stdin this is a stream that never ends,
    /// whoever else dies.
    ///
    /// # Errors
    /// The file system cannot hold a FIFO, or something lies there already.
    pub(in crate::executor) fn make_fifo(&self) -> io::Result<File> {
        nix::unistd::mkfifo(&self.fifo(), Mode::S_IRUSR | Mode::S_IWUSR)?;
        let file = OpenOptions::new().read(true).write(true).custom_flags(NO_FOLLOW).open(self.fifo())?;
        if !file.metadata()?.file_type().is_fifo() {
            return Err(io::Error::other("stdin of the launch is no FIFO"));
        }
        Ok(file)
    }

    /// Bytes in the FIFO that nobody has read. Known only while somebody, such as we, has it open.
    ///
    /// # Errors
    /// It is gone.
    pub(in crate::executor) fn unread_input(&self) -> io::Result<u64> {
        let flags = NO_FOLLOW | rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let fifo = OpenOptions::new().read(true).custom_flags(flags).open(self.fifo())?;
        Ok(rustix::io::ioctl_fionread(&fifo)?)
    }

    /// Writes the prompt file and opens it for reading.
    ///
    /// # Errors
    /// The disk refuses, or something lies there already.
    pub(in crate::executor) fn make_prompt(&self, text: &[u8]) -> io::Result<File> {
        let mut file = new_file().write(true).open(self.prompt())?;
        file.write_all(text)?;
        file.sync_data()?;
        drop(file);
        OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(self.prompt())
    }

    /// Writes a file that the child reads.
    ///
    /// # Errors
    /// The disk refuses, or something lies there already.
    pub(in crate::executor) fn make_file(path: &Path, text: &[u8]) -> io::Result<()> {
        new_file().write(true).open(path)?.write_all(text)
    }

    /// Makes stdout or stderr: append-only, so that a write neither blocks nor breaks nor gets lost.
    ///
    /// # Errors
    /// The disk refuses, or something lies there already.
    pub(in crate::executor) fn make_output(path: &Path) -> io::Result<File> {
        new_file().append(true).open(path)
    }

    /// Opens stdout or stderr for reading; for writing too, because giving blocks back asks for that.
    ///
    /// # Errors
    /// It is gone, or not a file of ours.
    pub(in crate::executor) fn open_output(path: &Path) -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).custom_flags(NO_FOLLOW).open(path)?;
        let meta = file.metadata()?;
        if !meta.is_file() || meta.uid() != rustix::process::getuid().as_raw() {
            return Err(io::Error::other(format!("{} is not a file of ours", path.display())));
        }
        Ok(file)
    }

    /// The last `max` bytes of stderr, as text; empty where there is none.
    pub(in crate::executor) fn stderr_tail(&self, max: usize) -> String {
        // What was given back to the disk reads as zeros.
        String::from_utf8_lossy(&Self::tail_of(&self.err(), max)).trim_start_matches('\0').to_owned()
    }

    /// The last `max` bytes of stdout or stderr; empty where there is none.
    pub(in crate::executor) fn tail_of(path: &Path, max: usize) -> Vec<u8> {
        let read = || -> io::Result<Vec<u8>> {
            let file = Self::open_output(path)?;
            let size = file.metadata()?.len();
            let mut tail = vec![0; max.min(usize::try_from(size).unwrap_or(max))];
            let from = size - tail.len() as u64;
            file.read_exact_at(&mut tail, from)?;
            Ok(tail)
        };
        read().unwrap_or_default()
    }

    /// Removes it with all that is in it.
    pub(in crate::executor) fn remove(&self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.path.display(), %error, "a launch folder could not be removed");
        }
    }
}

fn new_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create_new(true).mode(0o600).custom_flags(NO_FOLLOW);
    options
}

/// Makes the folder of all launches where it is missing, and gives its canonical path.
///
/// # Errors
/// The disk refuses.
pub(in crate::executor) fn prepare(launches: &Path) -> io::Result<PathBuf> {
    DirBuilder::new().mode(0o700).recursive(true).create(launches)?;
    launches.canonicalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn everything_of_a_launch_is_the_owners_alone() {
        let home = tempfile::tempdir().unwrap();
        let launches = prepare(&home.path().join("launches")).unwrap();
        let folder = LaunchFolder::of(&launches, &LaunchId::new(uuid::Uuid::nil()));
        folder.create().unwrap();
        folder.make_fifo().unwrap();
        folder.make_prompt(b"hello").unwrap();
        LaunchFolder::make_output(&folder.out()).unwrap();
        let mode = |p: &Path| p.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&launches), mode(&folder.path)), (0o700, 0o700));
        for path in [folder.fifo(), folder.prompt(), folder.out()] {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        assert!(folder.create().is_err());
        folder.remove();
        assert!(!folder.path.exists());
    }

    #[test]
    fn the_end_of_stderr_is_told() {
        let home = tempfile::tempdir().unwrap();
        let folder = LaunchFolder::of(home.path(), &LaunchId::new(uuid::Uuid::nil()));
        assert_eq!(folder.stderr_tail(10), "");
        folder.create().unwrap();
        LaunchFolder::make_output(&folder.err()).unwrap().write_all(b"first\nlast words").unwrap();
        assert_eq!(folder.stderr_tail(10), "last words");
        assert_eq!(folder.stderr_tail(100), "first\nlast words");
    }
}
