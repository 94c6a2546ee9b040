//! Where drop folders lie: one for each conversation, never in a workspace.

use super::watch::Hints;
use akk_proto::ConversationId;
use akk_proto::drops::{self, Place};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The drop folders of all conversations. Cheap to clone.
#[derive(Clone)]
pub struct DropFolders {
    roots: Arc<[(Place, PathBuf); 2]>,
    pub(super) hints: Hints,
}

impl DropFolders {
    /// `state` is akkd's own folder, `temporary` the system's for temporary files. Nothing is made yet.
    pub fn new(state: &Path, temporary: &Path) -> Self {
        let uid = rustix::process::getuid().as_raw();
        // By its true name: its next start may name it by another one.
        let known = state.canonicalize();
        let temporary = drops::temporary_root(temporary, uid, known.as_deref().unwrap_or(state));
        let roots = [(Place::Own, drops::own_root(state)), (Place::Temporary, temporary)];
        Self { roots: Arc::new(roots), hints: Hints::start() }
    }

    /// The folder of a conversation, made where it is missing and watched from now on. None where it cannot be had, which
    /// is logged: an agent can still report with its tools and with its final text.
    pub fn folder(&self, id: &ConversationId, place: Place) -> Option<PathBuf> {
        let (_, root) = self.roots.iter().find(|(p, _)| *p == place)?;
        match make(root, id) {
            Ok(folder) => {
                self.hints.watch(id, &folder);
                Some(folder)
            }
            Err(error) => {
                tracing::warn!(%id, root = %root.display(), %error, "there is no drop folder for an agent");
                None
            }
        }
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = &Path> {
        self.roots.iter().map(|(_, root)| root.as_path())
    }
}

/// Makes the folder of a conversation, private from its root on.
fn make(root: &Path, id: &ConversationId) -> io::Result<PathBuf> {
    let (Some(above), Some(state)) = (root.parent(), root.parent().and_then(Path::parent)) else {
        return Err(io::Error::other("it has no place"));
    };
    DirBuilder::new().recursive(true).mode(0o700).create(state)?;
    let folder = root.join(id.as_str());
    for folder in [above, root, &folder] {
        private(folder)?;
    }
    folder.canonicalize()
}

/// Makes one folder; one that is there must be ours, and a folder. In a place where everybody may write, somebody else
/// may have been first.
fn private(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let meta = folder.symlink_metadata()?;
    if !meta.is_dir() || meta.uid() != rustix::process::getuid().as_raw() {
        return Err(io::Error::other(format!("{} is not a folder of ours", folder.display())));
    }
    if meta.permissions().mode() & 0o077 != 0 {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ConversationId {
        ConversationId::new(akk_proto::Timestamp(0), 1)
    }

    #[test]
    fn a_folder_is_made_private_in_either_place() {
        let home = tempfile::tempdir().unwrap();
        let folders = DropFolders::new(&home.path().join("state"), &home.path().join("tmp"));
        for place in [Place::Own, Place::Temporary] {
            let folder = folders.folder(&id(), place).unwrap();
            assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
            assert_eq!(folders.folder(&id(), place).unwrap(), folder);
        }
    }

    #[test]
    fn a_place_that_somebody_prepared_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let state = home.path().join("state");
        let folders = DropFolders::new(&state, home.path());
        let root = drops::temporary_root(home.path(), rustix::process::getuid().as_raw(), &state);
        std::os::unix::fs::symlink("/tmp", root.parent().unwrap()).unwrap();
        assert_eq!(folders.folder(&id(), Place::Temporary), None);
    }
}
