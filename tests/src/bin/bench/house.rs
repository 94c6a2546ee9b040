//! A home with an akkd on it, as a user has it, but for the scripted agent.

use crate::process;
use crate::wire::Wire;
use akk_tests::AgentLog;
use akk_tests::binaries::binaries;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What nobody waits longer for.
const PATIENCE: Duration = Duration::from_mins(1);

/// A home, and its akkd while one runs.
pub(crate) struct House {
    root: PathBuf,
    akkd: Option<Child>,
    environment: Vec<(String, String)>,
    /// How long akkd is left alone before its memory is told.
    rest: Duration,
}

impl House {
    /// A home in this folder.
    pub(crate) fn new(root: PathBuf, rest: Duration) -> Self {
        for folder in ["akk", "work", "user", "t"] {
            std::fs::create_dir(root.join(folder)).expect("a fresh folder takes folders");
        }
        let mut house = Self { root, akkd: None, environment: Vec::new(), rest };
        let config = format!(
            "default_agent = \"demo\"\n[agents.demo]\ntransport = \"acp\"\ncommand = {}\n\
             [agents.absent]\ncommand = [\"/nonexistent/agent\"]\n",
            json!(house.agent_command())
        );
        std::fs::write(house.root.join("akk/config.toml"), config).expect("the home takes a file");
        let path = std::env::var("PATH").unwrap_or_default();
        let text = |path: PathBuf| path.to_str().expect("paths below /tmp are UTF-8").to_owned();
        house.environment = vec![
            ("PATH".into(), path),
            ("HOME".into(), text(house.root.join("user"))),
            ("TMPDIR".into(), text(house.root.join("t"))),
            ("AKK_HOME".into(), text(house.root.join("akk"))),
        ];
        house
    }

    /// The argv of the scripted agent.
    pub(crate) fn agent_command(&self) -> Vec<String> {
        let log = self.root.join("agent.log");
        let words =
            [binaries().akkctl.to_str(), Some("demo-agent"), Some("--pace"), Some("0"), Some("--log"), log.to_str()];
        words.into_iter().map(|w| w.expect("paths are UTF-8").to_owned()).collect()
    }

    /// One more variable of everything that is started from now on.
    pub(crate) fn with(mut self, name: &str, value: &Path) -> Self {
        self.environment.push((name.to_owned(), value.to_str().expect("paths are UTF-8").to_owned()));
        self
    }

    /// Where agents work.
    pub(crate) fn workspace(&self) -> PathBuf {
        self.root.join("work")
    }

    /// `HOME`.
    pub(crate) fn user(&self) -> PathBuf {
        self.root.join("user")
    }

    /// The folder of everything.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The callback socket.
    pub(crate) fn callback_socket(&self) -> PathBuf {
        self.root.join("akk/run/callback.sock")
    }

    fn control_socket(&self) -> PathBuf {
        self.root.join("akk/run/akkd.sock")
    }

    /// What the agents wrote down.
    pub(crate) fn agents(&self) -> AgentLog {
        AgentLog(self.root.join("agent.log"))
    }

    /// A program in the environment of this home, silent.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(self.environment.iter().cloned()).current_dir(self.workspace());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Starts akkd; the time until its socket has answered a call.
    pub(crate) fn start(&mut self) -> Duration {
        let begin = Instant::now();
        self.akkd = Some(self.command(&binaries().akkd).spawn().expect("akkd can be run"));
        self.answers(begin)
    }

    /// Starts akkd; one that runs is ended before.
    pub(crate) fn start_anew(&mut self) -> Duration {
        if self.akkd.is_some() {
            self.stop();
        }
        self.start()
    }

    /// The time from `begin` until akkd has answered a call.
    fn answers(&self, begin: Instant) -> Duration {
        loop {
            if let Some(mut wire) = Wire::connect(&self.control_socket()) {
                wire.call("daemon.info", &json!({}));
                return begin.elapsed();
            }
            assert!(begin.elapsed() < PATIENCE, "akkd does not answer");
            // What is measured takes milliseconds.
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Ends akkd and its agents.
    pub(crate) fn stop(&mut self) {
        self.wire().call("daemon.stop", &json!({"agents": true}));
        match self.akkd.take() {
            Some(mut akkd) => drop(akkd.wait().expect("akkd ends")),
            None => await_that("the end of akkd", || !self.control_socket().exists()),
        }
    }

    /// akkd's process.
    pub(crate) fn pid(&self) -> u32 {
        self.akkd.as_ref().expect("akkd runs").id()
    }

    /// A new connection.
    pub(crate) fn wire(&self) -> Wire {
        Wire::connect(&self.control_socket()).expect("akkd listens")
    }

    /// Memory of akkd at rest: what a burst of calls needed for a moment has been given back, as far as it ever is.
    pub(crate) fn memory_at_rest(&self) -> Option<process::Memory> {
        std::thread::sleep(self.rest);
        process::memory(self.pid())
    }

    /// Delegates, without waiting for anything.
    pub(crate) fn delegate(&self, wire: &mut Wire, agent: &str, request: &str) -> String {
        let mut params = json!({"agent": agent, "request": request, "workspace": self.workspace()});
        // Measuring takes more rounds than work does.
        params["soft_limit"] = json!(1000);
        params["hard_limit"] = json!(1000);
        let answer = wire.call("conversation.delegate", &params);
        answer["conversation"]["conversation_id"].as_str().expect("an id").to_owned()
    }

    /// A conversation in whose turn the agent hangs, and the ticket that it has.
    pub(crate) fn hanging(&self, wire: &mut Wire, name: &str) -> (String, String) {
        let id = self.delegate(wire, "demo", &format!("envfile AKK_TICKET {name}.ticket\nhang"));
        let file = self.workspace().join(format!("{name}.ticket"));
        await_that("the agent's ticket", || std::fs::read_to_string(&file).is_ok_and(|t| !t.is_empty()));
        (id, std::fs::read_to_string(file).expect("it is there").trim().to_owned())
    }

    /// Conversations that nothing goes on in, until there are `count`.
    pub(crate) fn fill(&self, count: usize) {
        let have = self.wire().call("daemon.info", &json!({}))["conversations"].as_u64().unwrap_or(0) as usize;
        let todo = count.saturating_sub(have);
        std::thread::scope(|scope| {
            for part in 0..8 {
                scope.spawn(move || {
                    let mut wire = self.wire();
                    for n in (part..todo).step_by(8) {
                        self.delegate(&mut wire, "absent", &format!("conversation {n} of many"));
                    }
                });
            }
        });
    }

    /// Runs akkctl to its end, which must be a good one.
    pub(crate) fn ctl(&self, words: &[&str]) {
        let status = self.command(&binaries().akkctl).args(words).status().expect("akkctl can be run");
        assert!(status.success(), "akkctl {words:?}: {status}");
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut akkd) = self.akkd.take() {
            if let Some(mut wire) = Wire::connect(&self.control_socket()) {
                wire.call("daemon.stop", &json!({"agents": true}));
            } else {
                // It may have ended by itself.
                let _ = akkd.kill();
            }
            let _ = akkd.wait();
        }
    }
}

/// Waits until the conversation needs someone, and says for what.
pub(crate) fn wait(wire: &mut Wire, id: &str) -> Value {
    let answer = wire.call("conversation.wait", &json!({"conversation_id": id, "timeout_ms": 120_000}));
    assert_eq!(answer["need"], "done", "{answer}");
    answer
}

/// Closes a conversation, whatever it does.
pub(crate) fn close(wire: &mut Wire, id: &str) {
    wire.call("conversation.close", &json!({"conversation_id": id}));
}

/// Waits for a condition that is no figure.
pub(crate) fn await_that(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
