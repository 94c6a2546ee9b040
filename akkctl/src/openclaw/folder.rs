//! Where the plugin that akkctl carries is kept on disk: a folder of ours, never OpenClaw's.
//!
//! ```text
//! <state>/openclaw/agent-knock-knock          a link to the present copy: what OpenClaw is told
//! <state>/openclaw/agent-knock-knock-<uuid>/  a copy
//! ```
//!
//! A copy is complete before the link points to it, and the link changes in one step: a gateway that loads the plugin at
//! any moment finds all of one version.

use super::settings::ID;
use crate::error::{Error, Result};
use akk_proto::paths::Paths;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// The plugin's files, by their path in its folder.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/plugin_files.rs"));

/// The folder of ours.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
    record: PathBuf,
}

/// What is kept there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// No plugin.
    Nothing,
    /// One that is not the one that this akkctl carries: another version, or changed.
    Other,
    /// The one that this akkctl carries.
    Present,
}

impl Folder {
    /// The folder of this akkd.
    pub(crate) fn of(paths: &Paths) -> Self {
        Self { path: paths.openclaw(), record: paths.installed() }
    }

    /// What OpenClaw is told: the link.
    pub(crate) fn link(&self) -> PathBuf {
        self.path.join(ID)
    }

    /// Where the record of installations lies.
    pub(crate) fn record(&self) -> &Path {
        &self.record
    }

    /// Makes the folder, and keeps every other akkctl from changing it until the lock is dropped.
    ///
    /// # Errors
    /// When it cannot be made or locked.
    pub(crate) fn lock(&self) -> Result<File> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|e| Error::file("create", &self.path, e))?;
        let path = self.path.join("lock");
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .and_then(|f| f.lock().map(|()| f))
            .map_err(|e| Error::file("lock", &path, e))
    }

    /// What is kept now.
    pub(crate) fn kept(&self) -> Kept {
        let link = self.link();
        match link.symlink_metadata() {
            Err(_) => Kept::Nothing,
            Ok(_) if is_ours(&link, FILES) => Kept::Present,
            Ok(_) => Kept::Other,
        }
    }

    /// The name of the present copy: each copy has another.
    pub(crate) fn copy(&self) -> Option<String> {
        let target = fs::read_link(self.link()).ok()?;
        target.file_name()?.to_str().map(str::to_owned)
    }

    /// Makes the plugin that this akkctl carries the present copy. Tells whether it was not before. Former copies stay
    /// until [`Self::sweep`]: a gateway may still use one.
    ///
    /// # Errors
    /// When it cannot be written; then nothing has changed.
    pub(crate) fn write(&self) -> Result<bool> {
        if self.kept() == Kept::Present {
            return Ok(false);
        }
        let name = format!("{ID}-{}", uuid::Uuid::now_v7().simple());
        let copy = self.path.join(&name);
        copy_to(&copy, FILES).map_err(|e| Error::file("write", &copy, e))?;
        let next = self.path.join(format!("{name}.link"));
        symlink(&name, &next)
            .and_then(|()| fs::rename(&next, self.link()))
            .and_then(|()| sync(&self.path))
            .map_err(|e| Error::file("link", &self.link(), e))?;
        Ok(true)
    }

    /// Removes every copy but the present one, and what an interrupted write left.
    pub(crate) fn sweep(&self) {
        let present = self.copy();
        let ours = format!("{ID}-");
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|n| n.starts_with(&ours) && Some(*n) != present.as_deref()) else {
                continue;
            };
            // What cannot be removed is in nobody's way, and is tried again next time.
            let path = self.path.join(name);
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
    }

    /// Removes the plugin, and the folder when nothing else is in it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(crate) fn remove(&self) -> Result<()> {
        let link = self.link();
        match fs::remove_file(&link) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::file("remove", &link, e)),
            _ => {}
        }
        self.sweep();
        for rest in [&self.record, &self.path.join("lock")] {
            let _ = fs::remove_file(rest);
        }
        // What else lies there is not ours.
        let _ = fs::remove_dir(&self.path);
        Ok(())
    }
}

/// Whether a path that OpenClaw loads plugins from is a copy of ours: by its manifest, or by its name where it is gone.
pub(crate) fn is_a_copy(path: &str) -> bool {
    let path = Path::new(path);
    if !path.exists() {
        return path.file_name().is_some_and(|name| name == ID);
    }
    fs::read(path.join("openclaw.plugin.json"))
        .ok()
        .and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok())
        .is_some_and(|manifest| manifest["id"] == ID)
}

/// Whether `folder` holds these files and nothing else.
fn is_ours(folder: &Path, files: &[(&str, &str)]) -> bool {
    files.iter().all(|(name, text)| fs::read(folder.join(name)).is_ok_and(|found| found == text.as_bytes()))
        && count(folder).is_ok_and(|n| n == files.len())
}

fn count(folder: &Path) -> io::Result<usize> {
    fs::read_dir(folder)?
        .map(|entry| {
            let entry = entry?;
            if entry.file_type()?.is_dir() { count(&entry.path()) } else { Ok(1) }
        })
        .sum()
}

fn copy_to(folder: &Path, files: &[(&str, &str)]) -> io::Result<()> {
    let private = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path);
    private(folder)?;
    for (name, text) in files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            private(parent)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())?;
        // A power cut must not leave a link to empty files.
        file.sync_all()?;
    }
    sync(folder)
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use akk_proto::version::VERSION;
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt as _;

    fn source() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/openclaw-plugin")
    }

    fn names(folder: &Path, below: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let name = below.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                names(&entry.path(), &name, found);
            } else {
                found.insert(name.to_str().unwrap().to_owned());
            }
        }
    }

    #[test]
    fn every_file_of_the_plugin_but_its_tests_is_carried() {
        let mut there = BTreeSet::new();
        names(&source(), Path::new(""), &mut there);
        there.retain(|name| !name.starts_with("test/") && !name.starts_with("node_modules/"));
        assert_eq!(FILES.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>(), there);
        for (name, text) in FILES {
            assert_eq!(fs::read_to_string(source().join(name)).unwrap(), *text, "{name}");
        }
        for needed in ["index.js", "package.json", "openclaw.plugin.json", "skills/agent-knock-knock/SKILL.md"] {
            assert!(there.contains(needed), "{needed}");
        }
    }

    #[test]
    fn the_plugin_has_the_version_and_the_name_that_akkctl_looks_for() {
        for name in ["package.json", "openclaw.plugin.json"] {
            let (_, text) = FILES.iter().find(|(n, _)| *n == name).unwrap();
            let manifest: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(manifest["version"], VERSION, "{name}");
            assert!(name == "package.json" || manifest["id"] == ID);
        }
    }

    #[test]
    fn a_copy_is_known_by_its_manifest_and_a_vanished_one_by_its_name() {
        let known =
            [source().to_str().unwrap(), "/gone/openclaw/agent-knock-knock", "/gone/other", "/etc"].map(is_a_copy);
        assert_eq!(known, [true, true, false, false]);
    }

    #[test]
    fn a_copy_is_private_written_once_and_repaired() {
        let (_home, surroundings) = crate::client::tests::home();
        let folder = Folder::of(&surroundings.paths);
        assert_eq!(folder.kept(), Kept::Nothing);
        let lock = folder.lock().unwrap();
        assert!(folder.write().unwrap());
        let first = folder.copy().unwrap();
        assert_eq!((folder.write().unwrap(), folder.copy().unwrap()), (false, first.clone()));
        let mode = |path: PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(folder.path.clone()), mode(folder.path.join(&first))), (0o700, 0o700));
        assert_eq!(mode(folder.link().join("index.js")), 0o600);

        fs::write(folder.link().join("index.js"), "changed").unwrap();
        assert_eq!(folder.kept(), Kept::Other);
        assert!(folder.write().unwrap());
        assert_ne!(folder.copy().unwrap(), first);
        assert!(folder.path.join(&first).exists(), "a gateway may still use it");
        folder.sweep();
        assert!(!folder.path.join(&first).exists());
        assert_eq!(folder.kept(), Kept::Present);

        fs::write(folder.link().join("lib/left-over.js"), "").unwrap();
        assert_eq!(folder.kept(), Kept::Other, "a file of an older version is not ours");
        folder.remove().unwrap();
        drop(lock);
        assert!(!folder.path.exists());
        folder.remove().unwrap();
    }
}
