//! The process of a launch and everything that descends from it.

use crate::platform::{self, ExitWatch, ProcessIdentity, ProcessTable, Relative, Signal};
use akk_proto::LaunchId;
use akk_proto::event::Exit;
use futures_util::future::join_all;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How often it is looked whether the id of a dead process is free.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The process of a launch, started by us or found again.
#[derive(Debug)]
pub(in crate::executor) struct AgentProcess {
    identity: ProcessIdentity,
    launch: LaunchId,
    handle: Handle,
    state: State,
    stopped: bool,
    /// Its descendants that got a signal.
    signalled: Vec<ProcessIdentity>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Runs,
    /// How, where that could be learned.
    Ended(Option<Exit>),
}

#[derive(Debug)]
enum Handle {
    /// Ours: to be waited for, which also reaps it.
    Child(Box<Child>),
    /// Of a former akkd: its end is seen, its exit code is not.
    Adopted(ExitWatch),
    /// It ended before it was found again.
    Gone,
}

impl AgentProcess {
    /// Our own child.
    ///
    /// # Errors
    /// The process table cannot be read.
    pub(in crate::executor) fn of_child(launch: &LaunchId, child: Child) -> io::Result<Self> {
        // A child that died at once is a zombie until it is waited for, so its identity can still be read.
        let pid = child.id().ok_or_else(|| io::Error::other("the child has no process id"))?;
        let identity = ProcessIdentity::of(pid)?.ok_or_else(|| io::Error::other("the child vanished"))?;
        Ok(Self::new(launch, identity, Handle::Child(Box::new(child))))
    }

    /// A process of a former akkd: found, or seen to be gone.
    ///
    /// # Errors
    /// The process table cannot be read.
    pub(in crate::executor) fn find(launch: &LaunchId, identity: ProcessIdentity) -> io::Result<Self> {
        let handle = ExitWatch::open(&identity)?.map_or(Handle::Gone, Handle::Adopted);
        let mut process = Self::new(launch, identity, handle);
        if matches!(process.handle, Handle::Gone) {
            process.state = State::Ended(None);
        } else {
            // akkd may have died while it held the group back.
            process.stopped = true;
            process.go_on()?;
        }
        Ok(process)
    }

    fn new(launch: &LaunchId, identity: ProcessIdentity, handle: Handle) -> Self {
        Self { identity, launch: launch.clone(), handle, state: State::Runs, stopped: false, signalled: Vec::new() }
    }

    /// Who it is.
    pub(in crate::executor) fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    /// Whether it ended, as far as was learned by [`exited`](Self::exited).
    pub(in crate::executor) fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// Waits for its end: exit code or signal, where that can be learned. May be dropped and called again.
    pub(in crate::executor) async fn exited(&mut self) -> Option<Exit> {
        if let State::Ended(exit) = self.state {
            return exit;
        }
        let exit = match &mut self.handle {
            Handle::Child(child) => child
                .wait()
                .await
                .ok()
                .and_then(|status| status.code().map(Exit::Code).or_else(|| status.signal().map(Exit::Signal))),
            Handle::Adopted(watch) => {
                // An error means that the runtime goes down; nobody will look at the answer.
                let _ = watch.exited().await;
                None
            }
            Handle::Gone => None,
        };
        self.state = State::Ended(exit);
        exit
    }

    /// Holds the whole group back, so that it writes no more.
    ///
    /// # Errors
    /// The process table cannot be read.
    pub(in crate::executor) fn hold_back(&mut self) -> io::Result<()> {
        if !self.stopped {
            self.stopped = platform::signal_group(&self.identity, Signal::STOP)?;
        }
        Ok(())
    }

    /// Lets a group that was held back go on.
    ///
    /// # Errors
    /// The process table cannot be read.
    pub(in crate::executor) fn go_on(&mut self) -> io::Result<()> {
        if self.stopped {
            platform::signal_group(&self.identity, Signal::CONT)?;
            self.stopped = false;
        }
        Ok(())
    }

    /// Sends `signal` to the group and to every descendant outside of it, and gives those that it was meant for,
    /// without the process itself.
    ///
    /// # Errors
    /// The process table cannot be read.
    pub(in crate::executor) async fn signal_tree(&mut self, signal: Signal) -> io::Result<Vec<ProcessIdentity>> {
        // Looked up before the signal: a dead parent hides its children.
        let relatives = self.relatives().await?;
        let group = !self.has_ended() && platform::signal_group(&self.identity, signal)?;
        if !self.has_ended() && !group {
            platform::signal_process(&self.identity, signal)?;
        }
        for Relative { process, in_group } in &relatives {
            if !(group && *in_group) {
                platform::signal_process(process, signal)?;
            }
        }
        // A stopped process takes no signal but SIGKILL.
        self.go_on()?;
        let relatives: Vec<_> = relatives.into_iter().map(|r| r.process).collect();
        let fresh: Vec<_> = relatives.iter().filter(|p| !self.signalled.contains(p)).cloned().collect();
        self.signalled.extend(fresh);
        Ok(relatives)
    }

    /// Sends SIGINT to its group, as a terminal does for Ctrl-C: a wrapper and what it wraps both hear it. What left the
    /// group, such as the tools of an agent, is the agent's to end.
    ///
    /// # Errors
    /// The process table cannot be read.
    pub(in crate::executor) fn interrupt(&mut self) -> io::Result<()> {
        if !self.has_ended() && !platform::signal_group(&self.identity, Signal::INT)? {
            platform::signal_process(&self.identity, Signal::INT)?;
        }
        self.go_on()
    }

    /// Sends SIGINT to what is left of the group of a process that ended, and waits for its end, `limit` at most.
    ///
    /// # Errors
    /// The process table cannot be read.
    pub(in crate::executor) async fn interrupt_rest(&mut self, limit: Duration) -> io::Result<()> {
        let rest: Vec<_> = self.relatives().await?.into_iter().filter(|r| r.in_group).map(|r| r.process).collect();
        for process in &rest {
            platform::signal_process(process, Signal::INT)?;
        }
        // What takes longer is ended with the launch.
        let _ = timeout(limit, join_all(rest.iter().map(wait_gone))).await;
        Ok(())
    }

    async fn relatives(&self) -> io::Result<Vec<Relative>> {
        Ok(ProcessTable::now().await?.belonging_to(&self.identity, self.launch.as_str()))
    }

    /// Ends the whole tree: SIGTERM, after `grace` SIGKILL, after `kill_wait` once more. True when it is proven gone.
    ///
    /// # Errors
    /// The process table cannot be read.
    pub(in crate::executor) async fn end_tree(&mut self, grace: Duration, kill_wait: Duration) -> io::Result<bool> {
        for (signal, limit) in [(Signal::TERM, grace), (Signal::KILL, kill_wait), (Signal::KILL, kill_wait)] {
            let descendants = self.signal_tree(signal).await?;
            let deadline = Instant::now() + limit;
            let leader_gone = timeout_at(deadline, self.exited()).await.is_ok();
            let others = join_all(descendants.iter().map(wait_gone));
            let others_gone = timeout_at(deadline, others).await.is_ok();
            // What was forked meanwhile shows up in a second look.
            if leader_gone && others_gone && self.relatives().await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(self.has_ended() && self.relatives().await?.is_empty())
    }

    /// Waits until the ids of its descendants that were ended by a signal are free, `limit` at most. A dead process
    /// keeps its id until its parent has asked how it ended; who looks for it by that id takes it for alive.
    pub(in crate::executor) async fn reaped(&self, limit: Duration) {
        let is_there = |p: &ProcessIdentity| ProcessIdentity::of(p.pid).is_ok_and(|found| found.as_ref() == Some(p));
        let over = async {
            while self.signalled.iter().any(is_there) {
                sleep(LOOK_AGAIN).await;
            }
        };
        // Where nobody asks, as in a container without an init, it never comes.
        let _ = timeout(limit, over).await;
    }

    /// Waits for its end, `limit` at most; true when it ended.
    pub(in crate::executor) async fn ends_within(&mut self, limit: Duration) -> bool {
        timeout(limit, self.exited()).await.is_ok()
    }
}

async fn wait_gone(process: &ProcessIdentity) {
    // Without a watch nothing is waited for; the second look tells.
    if let Ok(Some(watch)) = ExitWatch::open(process) {
        let _ = watch.exited().await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::folder::LaunchFolder;
    use super::super::spawn::{SpawnError, Stdio3, spawn};
    use super::*;
    use crate::platform::LAUNCH_VARIABLE;
    use std::collections::BTreeMap;
    use std::path::Path;

    struct Fixture {
        home: tempfile::TempDir,
        launch: LaunchId,
    }

    impl Fixture {
        fn new() -> Self {
            Self { home: tempfile::tempdir().unwrap(), launch: LaunchId::new(uuid::Uuid::now_v7()) }
        }

        fn start(&self, argv: &[&str]) -> Result<Child, SpawnError> {
            let folder = LaunchFolder::of(self.home.path(), &self.launch);
            folder.remove();
            folder.create().unwrap();
            let stdio = Stdio3 {
                stdin: folder.make_fifo().unwrap(),
                stdout: LaunchFolder::make_output(&folder.out()).unwrap(),
                stderr: LaunchFolder::make_output(&folder.err()).unwrap(),
            };
            let argv: Vec<String> = argv.iter().map(|s| (*s).to_owned()).collect();
            let environment = BTreeMap::from([
                ("PATH".to_owned(), std::env::var("PATH").unwrap()),
                (LAUNCH_VARIABLE.to_owned(), self.launch.to_string()),
            ]);
            spawn(&argv, environment, self.home.path(), stdio)
        }

        fn shell(&self, script: &str) -> AgentProcess {
            AgentProcess::of_child(&self.launch, self.start(&["/bin/sh", "-c", script]).unwrap()).unwrap()
        }

        async fn said(&self, what: &str) {
            let folder = LaunchFolder::of(self.home.path(), &self.launch);
            for _ in 0..500 {
                if std::fs::read_to_string(folder.out()).unwrap().contains(what) {
                    return;
                }
                sleep(Duration::from_millis(10)).await;
            }
            panic!("never said {what}");
        }
    }

    const GRACE: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn the_exit_code_of_a_child_is_learned() {
        let f = Fixture::new();
        assert_eq!(f.shell("exit 3").exited().await, Some(Exit::Code(3)));
        assert_eq!(Fixture::new().shell("kill -9 $$").exited().await, Some(Exit::Signal(9)));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_child_leads_its_own_session_and_gets_only_the_given_environment() {
        let f = Fixture::new();
        let mut p = f.shell("env; cut -d' ' -f5,6 /proc/$$/stat; echo $$; echo over");
        p.exited().await;
        let said = std::fs::read_to_string(LaunchFolder::of(f.home.path(), &f.launch).out()).unwrap();
        let pid = p.identity().pid;
        assert!(said.contains(&format!("{pid} {pid}\n{pid}\n")), "{said}");
        assert!(!said.contains("CARGO"), "{said}");
    }

    #[tokio::test]
    async fn a_command_that_cannot_be_started_is_named() {
        let f = Fixture::new();
        assert!(matches!(f.start(&["akk-no-such-agent"]), Err(SpawnError::NotFound(p)) if p == "akk-no-such-agent"));
        assert!(matches!(f.start(&["/dev/null"]), Err(SpawnError::NotExecutable(..))));
        assert!(matches!(f.start(&[]), Err(SpawnError::NoCommand)));
        let stdio = || Stdio3 {
            stdin: tempfile::tempfile().unwrap(),
            stdout: tempfile::tempfile().unwrap(),
            stderr: tempfile::tempfile().unwrap(),
        };
        let gone = spawn(&["true".to_owned()], BTreeMap::new(), Path::new("/akk/no/such/place"), stdio());
        assert!(matches!(gone, Err(SpawnError::Workspace(_))));
        let empty = tempfile::tempdir().unwrap();
        let path = BTreeMap::from([("PATH".to_owned(), empty.path().to_str().unwrap().to_owned())]);
        let without_node = spawn(&["npx".to_owned()], path, Path::new("/"), stdio()).unwrap_err();
        assert!(without_node.to_string().contains("install Node.js"), "{without_node}");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_tree_is_ended_with_the_grandchildren_that_left_the_group() {
        let f = Fixture::new();
        let mut p = f.shell("trap '' TERM; setsid sleep 300 & (sleep 301 &) ; echo ready; while :; do sleep 1; done");
        f.said("ready").await;
        while p.relatives().await.unwrap().len() < 3 {
            sleep(Duration::from_millis(10)).await;
        }
        assert!(p.end_tree(GRACE, GRACE * 10).await.unwrap());
        assert!(p.relatives().await.unwrap().is_empty());
        assert_eq!(p.exited().await, Some(Exit::Signal(9)));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_orphans_of_a_crashed_agent_are_ended() {
        let f = Fixture::new();
        let mut p = f.shell("sleep 300 & setsid sleep 301 & exit 4");
        assert_eq!(p.exited().await, Some(Exit::Code(4)));
        assert_eq!(p.relatives().await.unwrap().len(), 2);
        assert!(p.end_tree(GRACE, GRACE * 10).await.unwrap());
        assert!(p.relatives().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_group_that_was_held_back_still_ends() {
        let f = Fixture::new();
        let mut p = f.shell("while :; do sleep 0.01; done");
        p.hold_back().unwrap();
        assert!(p.end_tree(GRACE * 20, GRACE * 20).await.unwrap());
        assert_eq!(p.exited().await, Some(Exit::Signal(15)));
    }

    #[tokio::test]
    async fn a_process_is_found_again_by_its_identity_or_known_to_be_gone() {
        let f = Fixture::new();
        let mut mine = f.shell("while :; do sleep 0.01; done");
        let mut found = AgentProcess::find(&f.launch, mine.identity().clone()).unwrap();
        assert!(!found.has_ended());
        assert!(found.signal_tree(Signal::KILL).await.is_ok());
        assert_eq!(found.exited().await, None);
        mine.exited().await;
        assert!(AgentProcess::find(&f.launch, mine.identity().clone()).unwrap().has_ended());
    }
}
