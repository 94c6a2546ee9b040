//! Ends processes by their identity: signals, and waits for what comes of them.

use crate::clock::Clock;
use crate::platform::{ExitWatch, ProcessIdentity, Signal};
use akk_proto::session::TakeoverStep;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// How long the end of a process that was killed is waited for at least: it is certain, but not on a busy machine at
/// once.
const AFTER_KILL: Duration = Duration::from_secs(3);

/// A process that is to be ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Doomed {
    /// Who it is.
    pub(super) identity: ProcessIdentity,
    /// What people call it.
    pub(super) name: String,
}

/// Processes that are held by what tells their end, so that no signal reaches another one.
pub(super) struct Held {
    processes: Vec<(Doomed, ExitWatch)>,
    clock: Clock,
    steps: Vec<TakeoverStep>,
    signalled: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Ended {
    /// What was done, in order.
    pub(super) steps: Vec<TakeoverStep>,
    /// Whether any signal was sent.
    pub(super) signalled: bool,
    /// Those that still run.
    pub(super) left: Vec<Doomed>,
}

impl Held {
    /// Holds those of `doomed` that still run. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The process table cannot be read, or no file descriptor is left: then nothing may be signalled.
    pub(super) fn take(doomed: Vec<Doomed>, clock: Clock) -> io::Result<Self> {
        let mut processes = Vec::with_capacity(doomed.len());
        for one in doomed {
            if let Some(watch) = ExitWatch::open(&one.identity)? {
                processes.push((one, watch));
            }
        }
        Ok(Self { processes, clock, steps: Vec::new(), signalled: false })
    }

    /// Whether this very process is among them.
    pub(super) fn holds(&self, identity: &ProcessIdentity) -> bool {
        self.processes.iter().any(|(one, _)| one.identity == *identity)
    }

    /// Asks all of them to end, and waits for that. With `kill`, those that are left are ended by force and waited for
    /// again. The first one is signalled first; when that is not permitted, none of the others is.
    pub(super) async fn end(mut self, wait: Duration, kill: bool) -> Ended {
        if self.signal(Signal::TERM, "SIGTERM") {
            self.exits(wait).await;
            if kill && !self.processes.is_empty() && self.signal(Signal::KILL, "SIGKILL") {
                self.exits(wait.max(AFTER_KILL)).await;
            }
        }
        self.finish()
    }

    /// Waits for the end of all of them without touching any.
    pub(super) async fn wait(mut self, wait: Duration) -> Ended {
        self.exits(wait).await;
        self.finish()
    }

    fn finish(self) -> Ended {
        let left = self.processes.into_iter().map(|(one, _)| one).collect();
        Ended { steps: self.steps, signalled: self.signalled, left }
    }

    /// False when not even the first one may be signalled. Who has ended by itself is found by the wait.
    fn signal(&mut self, signal: Signal, name: &str) -> bool {
        for (at, (one, watch)) in self.processes.iter().enumerate() {
            let (step, detail) = match watch.signal(signal) {
                Ok(false) => continue,
                Ok(true) => {
                    self.signalled = true;
                    // One that its user suspended would take notice only when it goes on. It is ending: that this one
                    // does not reach it any more is no fault.
                    let _ = watch.signal(Signal::CONT);
                    ("signalled", format!("{name} was sent to {}.", one.name))
                }
                Err(error) => ("still_active", format!("{name} could not be sent to {}: {error}.", one.name)),
            };
            let refused = step == "still_active";
            self.steps.push(TakeoverStep { ts: self.clock.wall(), step: step.to_owned(), detail });
            if refused && at == 0 {
                return false;
            }
        }
        true
    }

    async fn exits(&mut self, wait: Duration) {
        let deadline = Instant::now() + wait;
        let mut gone = vec![false; self.processes.len()];
        {
            let mut exits: FuturesUnordered<_> = self
                .processes
                .iter()
                .enumerate()
                .map(|(at, (_, watch))| async move { (at, watch.exited().await) })
                .collect();
            while let Ok(Some((at, exited))) = tokio::time::timeout_at(deadline, exits.next()).await {
                // An error means that the runtime goes down: what ran is not known to have ended.
                gone[at] = exited.is_ok();
                if gone[at] {
                    let detail = format!("{} has ended.", capital(&self.processes[at].0.name));
                    self.steps.push(TakeoverStep { ts: self.clock.wall(), step: "exited".to_owned(), detail });
                }
            }
        }
        let mut gone = gone.into_iter();
        self.processes.retain(|_| !gone.next().unwrap_or(false));
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, Command, Stdio};

    /// A shell that says when it is ready.
    fn shell(script: &str) -> (Child, Doomed) {
        let mut child =
            Command::new("/bin/sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap().unwrap();
        let doomed = Doomed { name: format!("process {}", identity.pid), identity };
        (child, doomed)
    }

    fn held(doomed: &[&Doomed]) -> Held {
        Held::take(doomed.iter().map(|&d| d.clone()).collect(), Clock::system()).unwrap()
    }

    fn names(steps: &[TakeoverStep]) -> Vec<&str> {
        steps.iter().map(|s| s.step.as_str()).collect()
    }

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(150);

    #[tokio::test]
    async fn a_process_that_ends_on_term_is_waited_for_although_nobody_reaps_it() {
        let (mut child, doomed) = shell("echo ready; read x");
        let ended = held(&[&doomed]).end(LONG, false).await;
        assert_eq!(
            (names(&ended.steps), ended.signalled, &ended.left[..]),
            (vec!["signalled", "exited"], true, &[][..])
        );
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_process_that_is_deaf_to_term_is_killed_only_when_that_is_allowed() {
        let (mut child, doomed) = shell("trap '' TERM; echo ready; while :; do read x || sleep 1; done");
        let ended = held(&[&doomed]).end(SHORT, false).await;
        assert_eq!((names(&ended.steps), &ended.left), (vec!["signalled"], &vec![doomed.clone()]));
        assert!(doomed.identity.is_alive().unwrap());
        let ended = held(&[&doomed]).end(SHORT, true).await;
        assert_eq!(names(&ended.steps), ["signalled", "signalled", "exited"]);
        assert!(ended.left.is_empty() && ended.steps[1].detail.starts_with("SIGKILL"), "{ended:?}");
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_suspended_process_ends_too() {
        let (mut child, doomed) = shell("echo ready; read x");
        crate::platform::signal_process(&doomed.identity, Signal::STOP).unwrap();
        let ended = held(&[&doomed]).end(LONG, false).await;
        assert_eq!((names(&ended.steps), ended.left.len()), (vec!["signalled", "exited"], 0));
        child.wait().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_child_in_a_session_of_its_own_is_ended_too() {
        let (mut parent, parent_doomed) = shell("setsid sh -c 'echo $$ >&2; sleep 60' 2>&1 & wait");
        // The child wrote its own pid, which `shell` took for the sign of readiness: it is found as a descendant.
        let table = crate::platform::ProcessTable::now().await.unwrap();
        let relatives = table.belonging_to(&parent_doomed.identity, "");
        let children: Vec<Doomed> = relatives
            .iter()
            .map(|r| Doomed { identity: r.process.clone(), name: format!("process {}", r.process.pid) })
            .collect();
        assert!(!children.is_empty());
        let all: Vec<&Doomed> = std::iter::once(&parent_doomed).chain(&children).collect();
        let ended = held(&all).end(LONG, false).await;
        assert!(ended.left.is_empty(), "{ended:?}");
        for child in &children {
            assert!(!child.identity.is_alive().unwrap());
        }
        parent.wait().unwrap();
    }

    #[tokio::test]
    async fn a_zombie_and_a_stranger_with_the_same_number_are_not_signalled() {
        let (mut zombie, dead) = shell("echo ready");
        let watch = ExitWatch::open(&dead.identity).unwrap();
        if let Some(watch) = watch {
            watch.exited().await.unwrap();
        }
        let (mut child, living) = shell("echo ready; read x");
        let mut other = living.clone();
        other.identity.started -= 1;
        let held = held(&[&dead, &other]);
        assert!(!held.holds(&dead.identity) && !held.holds(&other.identity));
        let ended = held.end(SHORT, true).await;
        assert_eq!(ended, Ended::default());
        assert!(living.identity.is_alive().unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
        zombie.wait().unwrap();
    }

    #[tokio::test]
    async fn waiting_alone_touches_nobody() {
        let (mut child, doomed) = shell("echo ready; read x");
        let ended = held(&[&doomed]).wait(SHORT).await;
        assert_eq!((ended.steps.len(), ended.signalled, ended.left.len()), (0, false, 1));
        drop(child.stdin.take());
        let ended = held(&[&doomed]).wait(LONG).await;
        assert!(ended.left.is_empty() && !ended.signalled);
        child.wait().unwrap();
    }
}
