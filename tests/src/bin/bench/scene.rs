//! What all parts share: the folder of the homes, how often things are done, and the home that grows.

use crate::house::House;
use akk_tests::leash::Leash;
use std::path::PathBuf;
use std::time::Duration;

/// How long akkd is left alone before its memory is told.
const REST: Duration = Duration::from_secs(2);

/// Everything that runs for the bench ends with it, also when it is interrupted.
pub(crate) struct Scene {
    quick: bool,
    grown: Option<House>,
    _leash: Leash,
    root: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new(quick: bool) -> Self {
        let root = tempfile::Builder::new().prefix("akkb-").tempdir_in("/tmp").expect("/tmp takes a folder");
        Self { quick, grown: None, _leash: Leash::on(&[root.path()]), root }
    }

    /// How often something is done; a few times in a quick run.
    pub(crate) fn often(&self, times: usize) -> usize {
        if self.quick { times.min(3) } else { times }
    }

    /// How large something is; a hundredth in a quick run.
    pub(crate) fn size(&self, size: usize) -> usize {
        if self.quick { size.div_ceil(100) } else { size }
    }

    /// A new folder of this name.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let folder = self.root.path().join(name);
        std::fs::create_dir(&folder).expect("a fresh folder takes folders");
        folder
    }

    /// A home of its own, without akkd.
    pub(crate) fn house(&self, name: &str) -> House {
        House::new(self.folder(name), if self.quick { Duration::ZERO } else { REST })
    }

    /// The home that grows, as it stands.
    pub(crate) fn grown_now(&self) -> &House {
        self.grown.as_ref().expect("it was grown before")
    }

    /// The home that grows, with at least so many conversations that nothing goes on in, and a freshly started akkd.
    pub(crate) fn grown(&mut self, conversations: usize) -> &mut House {
        let size = self.size(conversations);
        let mut house = self.grown.take().unwrap_or_else(|| self.house("many"));
        house.start_anew();
        house.fill(size);
        house.start_anew();
        self.grown.insert(house)
    }
}
