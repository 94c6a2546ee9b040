//! The configuration as it stands now: read anew at each delegate, the last good one where only a look is taken.

use super::{Config, ConfigError, Surroundings};
use akk_proto::error::Failure;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

/// Where the configuration comes from.
pub struct ConfigSource {
    path: PathBuf,
    around: Surroundings,
    last_good: RwLock<Arc<Config>>,
}

impl ConfigSource {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// When it is wrong: akkd does not start with a configuration that it cannot read.
    pub fn open(path: PathBuf, around: Surroundings) -> Result<Self, ConfigError> {
        let config = Config::load(&path, &around)?;
        Ok(Self { path, around, last_good: RwLock::new(Arc::new(config)) })
    }

    /// Reads the file again.
    ///
    /// # Errors
    /// When it is wrong now, with file, line and hint. The last good one stays in force for what runs.
    pub fn fresh(&self) -> Result<Arc<Config>, Failure> {
        let config = Arc::new(Config::load(&self.path, &self.around)?);
        *self.last_good.write().unwrap_or_else(PoisonError::into_inner) = config.clone();
        Ok(config)
    }

    /// The last good configuration.
    pub fn current(&self) -> Arc<Config> {
        self.last_good.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it depends on besides its file.
    pub fn surroundings(&self) -> &Surroundings {
        &self.around
    }
}
