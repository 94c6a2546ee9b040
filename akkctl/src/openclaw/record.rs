//! Into which installations of OpenClaw the plugin was put: `<state>/openclaw/installed.json`.
//!
//! It only helps: where to look for `status` and `doctor`, what is linked already, and when the last one is gone. What
//! is true stands in OpenClaw's configuration.

use super::program::Places;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    /// One for each installation.
    pub(crate) installations: Vec<Installation>,
}

/// An installation of OpenClaw that was given the plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Installation {
    /// Its command, as it was when the plugin was linked.
    pub(crate) program: PathBuf,
    /// Which of its profiles.
    #[serde(default)]
    pub(crate) places: Places,
    /// The copy of the plugin that it was told to load.
    #[serde(default)]
    pub(crate) copy: Option<String>,
    /// Whether the plugin's tools were added to its policy.
    #[serde(default)]
    pub(crate) tools_allowed: bool,
}

impl Record {
    /// The record at `path`; none that can be read is as good as an empty one.
    pub(crate) fn read(path: &Path) -> Self {
        fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// What is recorded of one.
    pub(crate) fn of(&self, places: &Places) -> Option<&Installation> {
        self.installations.iter().find(|i| i.places == *places)
    }

    /// The same, with this one as it is now.
    pub(crate) fn with(mut self, installation: Installation) -> Self {
        self.installations.retain(|i| i.places != installation.places);
        self.installations.push(installation);
        self
    }

    /// The same, without one.
    pub(crate) fn without(mut self, places: &Places) -> Self {
        self.installations.retain(|i| i.places != *places);
        self
    }

    /// Writes it in one step.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let failed = |e| Error::file("write", path, e);
        let text = serde_json::to_vec_pretty(self).map_err(|e| failed(e.into()))?;
        let next = path.with_extension("json.new");
        let _ = fs::remove_file(&next);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next).map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&next, path).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_installation_has_one_line_that_outlives_a_broken_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("installed.json");
        assert_eq!(Record::read(&path), Record::default());
        let one = |profile: &str, copy: &str| Installation {
            program: "/usr/bin/openclaw".into(),
            places: Places { profile: Some(profile.to_owned()), ..Places::default() },
            copy: Some(copy.to_owned()),
            tools_allowed: false,
        };
        let record = Record::default().with(one("work", "a")).with(one("home", "a")).with(one("work", "b"));
        record.write(&path).unwrap();
        let read = Record::read(&path);
        assert_eq!(read, record);
        assert_eq!(read.of(&one("work", "").places).unwrap().copy.as_deref(), Some("b"));
        assert_eq!(read.without(&one("work", "").places).installations, [one("home", "a")]);
        fs::write(&path, "{").unwrap();
        assert_eq!(Record::read(&path), Record::default());
    }
}
