//! Places at which a test lets akkd stop dead: SIGKILL to itself, with nothing flushed, answered or ended.
//!
//! They exist in builds with debug assertions only. A release akkd has none of this, whatever its environment says.
//!
//! `AKK_STOP_DEAD=NAME:N` is the order to die at the `N`th passing of a point, from 1; `AKK_POINTS_LOG=FILE` has the
//! name of each point written to a file when it is passed, so that a test knows which there are to die at. Neither
//! reaches agents: no variable of akkd's own does.

/// A place between two steps that a crash can part. What holds on the disk there stands at each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A transaction is made and not committed: what led to it was done, and nothing of it is on the disk.
    BeforeCommit,
    /// A transaction is on the disk; nobody was answered, told or asked for anything.
    Committed,
    /// A call was decided, committed and its effects were asked for; whoever called was not answered.
    Unanswered,
    /// An effect was taken up and not carried out.
    EffectTaken,
    /// The folder of a launch with its streams is there, and no process.
    LaunchFolder,
    /// The process of a launch runs; who it is was not stored.
    Spawned,
    /// All of a prompt but its last two bytes was written; `finishing` was not stored.
    PromptHalf,
    /// `finishing` was stored; the last two bytes of the prompt were not written.
    PromptFinishing,
    /// The prompt was written, whole; that was not stored.
    PromptWritten,
    /// The process tree of a launch is gone, and its folder; that was not stored.
    TreeEnded,
}

impl Point {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::BeforeCommit => "store.before_commit",
            Self::Committed => "store.committed",
            Self::Unanswered => "call.unanswered",
            Self::EffectTaken => "effect.taken",
            Self::LaunchFolder => "launch.folder",
            Self::Spawned => "launch.spawned",
            Self::PromptHalf => "prompt.half",
            Self::PromptFinishing => "prompt.finishing",
            Self::PromptWritten => "prompt.written",
            Self::TreeEnded => "launch.tree_ended",
        }
    }
}

/// Passes a point.
#[cfg(not(debug_assertions))]
pub fn point(_: Point) {}

/// Passes a point, or dies there where a test asked for that.
#[cfg(debug_assertions)]
pub fn point(point: Point) {
    armed::pass(point);
}

#[cfg(debug_assertions)]
mod armed {
    use super::Point;
    use std::fs::{File, OpenOptions};
    use std::io::Write as _;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// What a test asked for.
    struct Orders {
        /// Where to die, and after how many passings.
        death: Option<(String, AtomicU64)>,
        log: Option<File>,
    }

    static ORDERS: LazyLock<Option<Orders>> = LazyLock::new(|| {
        let death = std::env::var("AKK_STOP_DEAD").ok();
        let log = std::env::var_os("AKK_POINTS_LOG");
        if death.is_none() && log.is_none() {
            return None;
        }
        let death = death.and_then(|order| {
            let (name, passings) = order.rsplit_once(':')?;
            Some((name.to_owned(), AtomicU64::new(passings.parse().ok()?)))
        });
        let log = log.and_then(|path| OpenOptions::new().append(true).create(true).open(path).ok());
        Some(Orders { death, log })
    });

    pub(super) fn pass(point: Point) {
        let Some(orders) = ORDERS.as_ref() else { return };
        if let Some(mut log) = orders.log.as_ref() {
            // In one write, so that lines of several threads do not mix. A test that misses a line says so.
            let _ = log.write_all(format!("{}\n", point.name()).as_bytes());
        }
        if let Some((name, left)) = &orders.death
            && name == point.name()
            && left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            stop_dead();
        }
    }

    fn stop_dead() -> ! {
        // No clean-up of any kind, and no core file, which `abort` may leave.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}
