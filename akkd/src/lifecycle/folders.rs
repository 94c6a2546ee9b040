//! Folders that are ours alone.

use akk_proto::error::{ErrorKind, Failure};
use akk_proto::paths::{Paths, usual_runtime_dir};
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// What akkd puts into its folders. A folder with one of these, or with nothing, is ours to close for others.
const OUR_NAMES: [&str; 9] =
    ["akk.db", "akkd.lock", "akkd.sock", "callback.sock", "config.toml", "drops", "launches", "logs", "run"];

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the folder {} {problem}", path.display())]
pub struct FolderError {
    /// The folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub hint: String,
}

impl From<FolderError> for Failure {
    fn from(e: FolderError) -> Self {
        let message = e.to_string();
        Self::new(ErrorKind::Storage, message, e.hint).with("folder", e.path.to_string_lossy())
    }
}

/// Makes all folders that akkd needs, or checks those that are there: see [`private_folder`].
///
/// # Errors
/// When one of them is not usable.
pub fn private_folders(paths: &Paths) -> Result<(), FolderError> {
    for folder in [&paths.state, &paths.run, &paths.logs(), &paths.launches()] {
        private_folder(folder)?;
    }
    Ok(())
}

/// Makes `path`, with what is missing above it, for its owner alone (0700); or checks that it is a folder of ours, no
/// link, and closed for others. One that is open to others and plainly akkd's is closed; any other is refused: it
/// may be the user's home.
///
/// # Errors
/// When it is not usable, with what to do.
pub fn private_folder(path: &Path) -> Result<(), FolderError> {
    let wrong = |problem: String, hint: &str| FolderError { path: path.to_owned(), problem, hint: hint.to_owned() };
    let failed = |e: io::Error| wrong(format!("cannot be used: {e}"), "Make it writable for you, or set AKK_HOME.");
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::DIRECTORY;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let folder: File = match opened {
        Ok(folder) => folder,
        Err(_) if path.is_symlink() => {
            return Err(wrong("is a link".into(), "Name the folder that it leads to, for example in AKK_HOME."));
        }
        Err(e) => return Err(failed(e)),
    };
    let meta = folder.metadata().map_err(failed)?;
    let uid = rustix::process::geteuid().as_raw();
    if meta.uid() != uid {
        let problem = format!("belongs to the user with the id {}, not to you ({uid})", meta.uid());
        return Err(wrong(problem, "Choose a folder of your own, for example with AKK_HOME."));
    }
    let for_others = meta.mode() & 0o077;
    if for_others == 0 {
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path).map_err(failed)?.flatten().peekable();
    let plainly_ours = entries.peek().is_none() || entries.any(|e| OUR_NAMES.iter().any(|n| e.file_name() == *n));
    if !plainly_ours {
        let problem = format!("is open to others (mode {:o}) and holds other things", meta.mode() & 0o777);
        return Err(wrong(problem, "Choose a folder of its own for akk, or run `chmod 700` on this one."));
    }
    tracing::info!(folder = %path.display(), "closed a folder that was open to others");
    folder.set_permissions(Permissions::from_mode(0o700)).map_err(failed)
}

/// The runtime directory that systemd made for this user, for an environment that does not name it: akkctl looks for
/// akkd there too. None elsewhere, or where it is not the user's own and closed for others.
pub fn runtime_dir_by_systemd() -> Option<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let folder = usual_runtime_dir(uid);
    let ours = |m: std::fs::Metadata| m.is_dir() && m.uid() == uid && m.mode() & 0o077 == 0;
    (cfg!(target_os = "linux") && folder.symlink_metadata().is_ok_and(ours)).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_folder_is_made_for_its_owner_alone_with_what_is_missing_above() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        private_folder(&path).unwrap();
        assert_eq!((mode(&path), mode(&dir.path().join("a"))), (0o700, 0o700));
        private_folder(&path).unwrap();
    }

    #[test]
    fn an_open_folder_of_ours_is_closed_and_one_with_other_things_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("home");
        std::fs::create_dir(&path).unwrap();
        let open = || std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        open();
        private_folder(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        open();
        std::fs::write(path.join("letter.txt"), "").unwrap();
        let refused = private_folder(&path).unwrap_err();
        assert!(refused.to_string().contains("is open to others (mode 755)"), "{refused}");
        assert_eq!(mode(&path), 0o755, "it may be the user's home");
        std::fs::write(path.join("akk.db"), "").unwrap();
        private_folder(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_link_and_a_file_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (link, file) = (dir.path().join("link"), dir.path().join("file"));
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        std::fs::write(&file, "").unwrap();
        assert!(private_folder(&link).unwrap_err().to_string().ends_with("is a link"));
        let failure = Failure::from(private_folder(&file).unwrap_err());
        assert_eq!(failure.kind, ErrorKind::Storage);
    }
}
