//! A gateway as a process: everything that it has is in a folder of its own.

use super::chat::{ANN, CARDED};
use super::{Chat, Mind, Ws, wait_for};
use crate::ctl::CtlOutput;
use crate::home::Home;
use crate::peers::OpenClawPeer;
use crate::processes;
use crate::wait::{came, wait_within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a gateway may take until it is ready: 8 to 12 s alone on two cores, up to 80 s under load.
const START_LIMIT: Duration = Duration::from_mins(3);
/// How long it may take to stop when asked.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How long what it started may need to end after it.
const CHILDREN_LIMIT: Duration = Duration::from_secs(5);
/// How long one command of OpenClaw's command line may take.
const CLI_LIMIT: Duration = Duration::from_mins(2);
/// How much of a log is shown when a story fails, in bytes.
const SHOWN: usize = 30_000;

/// What a gateway is set up with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Folders of plugins, loaded from where they are.
    pub plugins: Vec<PathBuf>,
    /// `plugins.entries`, by id.
    pub entries: Value,
    /// `session.dmScope`; OpenClaw's default is `main`: one session for all private chats.
    pub private_chats: &'static str,
}

/// A gateway, its chat and its model. Ended when dropped.
pub struct Gateway {
    /// Its folders: `HOME`, `TMPDIR`, workspace, and its state.
    pub home: Home,
    /// The people who talk with it.
    pub chat: Chat,
    /// The model behind it.
    pub mind: Mind,
    peer: &'static OpenClawPeer,
    port: u16,
    token: String,
    child: Option<Child>,
    kills: u32,
}

impl Gateway {
    /// Makes the folders and the configuration; nothing runs yet.
    pub fn new(peer: &'static OpenClawPeer, setup: &Setup) -> Self {
        let home = Home::new();
        // Free at this moment, and the kernel gives it to nobody else soon.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback has a free port");
        let token = format!("scripted-{}", free.port());
        let (chat, mind) = (Chat::start(), Mind::start());
        let gateway = Self { home, chat, mind, peer, port: free.port(), token, child: None, kills: 0 };
        fs::create_dir(gateway.state()).expect("a fresh home takes a folder");
        fs::write(gateway.config(), gateway.configuration(setup).to_string()).expect("the folder takes a file");
        gateway
    }

    fn configuration(&self, setup: &Setup) -> Value {
        let model = json!({"id": "scripted", "name": "Scripted", "reasoning": false, "input": ["text"],
            "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
            "contextWindow": 200_000, "maxTokens": 8192});
        let provider = json!({"baseUrl": self.mind.base_url(), "apiKey": "scripted", "api": "openai-completions",
            "models": [model]});
        let ours = setup.entries.as_object().into_iter().flatten().map(|(id, _)| id.as_str());
        let allowed: Vec<&str> = ["telegram"].into_iter().chain(ours).collect();
        let carded = format!(":group:{}", CARDED / 1_000_000_000);
        json!({
            "gateway": {"mode": "local", "port": self.port, "bind": "loopback", "controlUi": {"enabled": false},
                "auth": {"mode": "token", "token": self.token}},
            "agents": {"defaults": {"model": {"primary": "scripted/scripted"}, "workspace": self.home.workspace(),
                "skipBootstrap": true, "heartbeat": {"every": "0m"}}},
            "models": {"mode": "replace", "providers": {"scripted": provider}},
            "channels": {"telegram": {"enabled": true, "botToken": self.chat.token(), "apiRoot": self.chat.root(),
                "dmPolicy": "open", "allowFrom": ["*"], "groupPolicy": "open", "groupAllowFrom": ["*"],
                "groups": {"*": {"requireMention": false}},
                // Its default asks whoever may approve in private.
                "execApprovals": {"target": "channel"}}},
            "session": {"dmScope": setup.private_chats},
            "plugins": {"allow": allowed, "slots": {"memory": "none"},
                "load": {"paths": setup.plugins}, "entries": setup.entries},
            // Some groups and all topics have cards for what needs a person's approval.
            "approvals": {"plugin": {"enabled": true, "mode": "session", "sessionFilter": [carded, ":topic:"]}},
            "commands": {"ownerAllowFrom": [format!("telegram:{ANN}")]},
            // Else the model sees tools only after it looked for them.
            "tools": {"toolSearch": false},
            "discovery": {"mdns": {"mode": "off"}},
            "update": {"checkOnStart": false},
            "logging": {"file": self.log()},
        })
    }

    /// The folder of its state.
    pub fn state(&self) -> PathBuf {
        self.home.root().join("openclaw")
    }

    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.state().join("openclaw.json")
    }

    fn log(&self) -> PathBuf {
        self.home.root().join("gateway.log")
    }

    fn output(&self) -> PathBuf {
        self.home.root().join("gateway.out")
    }

    /// The environment of everything of OpenClaw's that runs here.
    pub fn environment(&self) -> Vec<(String, String)> {
        let text = |p: PathBuf| p.to_str().expect("paths under /tmp are UTF-8").to_owned();
        let mut environment = self.home.environment();
        environment.retain(|(name, _)| !name.starts_with("AKK_"));
        environment.push(("OPENCLAW_STATE_DIR".into(), text(self.state())));
        environment.push(("OPENCLAW_CONFIG_PATH".into(), text(self.config())));
        // No child in the gateway's place, no jobs, no announcements, no downloads.
        for name in ["NO_RESPAWN", "SKIP_CRON", "DISABLE_BONJOUR", "NO_AUTO_UPDATE"] {
            environment.push((format!("OPENCLAW_{name}"), "1".into()));
        }
        environment.push(("OPENCLAW_EXEC_SHELL_SNAPSHOT".into(), "0".into()));
        environment.push(("NO_COLOR".into(), "1".into()));
        environment
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.peer.node);
        command
            .arg(&self.peer.script)
            .args(words)
            .env_clear()
            .envs(self.environment())
            .current_dir(self.home.root())
            .stdin(Stdio::null());
        command
    }

    /// Starts the gateway and waits until it is ready. One starts at a time on this machine: a start takes 10 s of
    /// both cores.
    ///
    /// # Panics
    /// When it does not become ready, with what it printed.
    pub async fn start(&mut self) {
        assert!(self.child.is_none(), "the gateway runs already");
        let turn = File::create(self.peer.folder.join("starting")).expect("the installation takes a file");
        wait_within(START_LIMIT * 3, "other gateways to be ready", async || turn.try_lock().ok()).await;
        let output = OpenOptions::new().append(true).create(true).open(self.output());
        let output = output.expect("the home takes a file");
        let mut command = self.command(&["gateway", "run"]);
        command.stdout(output.try_clone().expect("a file can be shared")).stderr(output);
        // Ctrl-C ends the tests; the leash ends this then.
        self.child = Some(command.process_group(0).spawn().expect("the gateway can be run"));
        wait_within(START_LIMIT, "the gateway to be ready", async || {
            let child = self.child.as_mut().expect("it was started");
            if let Ok(Some(status)) = child.try_wait() {
                self.tell();
                panic!("the gateway ended at its start: {status}");
            }
            self.is_ready().then_some(())
        })
        .await;
    }

    fn is_ready(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(stream, "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the gateway runs").id()
    }

    /// Whether it was started and not ended by the story.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// SIGKILL, as if the machine's memory had run out.
    pub fn kill9(&mut self) {
        let mut child = self.child.take().expect("the gateway runs");
        child.kill().expect("it can be killed");
        child.wait().expect("it was killed");
        self.kills += 1;
    }

    /// Whether one more SIGKILL is one too many: after the third unclean start within five minutes OpenClaw leaves its
    /// channels down (2026.9).
    pub fn is_worn_out(&self) -> bool {
        self.kills >= 2
    }

    /// Stops it where it stands, until [`Self::go_on`]: it answers nobody, and what it is sent waits.
    pub fn pause(&self) {
        kill(Pid::from_raw(self.pid() as i32), Signal::SIGSTOP).expect("it runs");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        kill(Pid::from_raw(self.pid() as i32), Signal::SIGCONT).expect("it was paused");
    }

    /// SIGKILL and a new start.
    pub async fn restart(&mut self) {
        self.kill9();
        self.start().await;
    }

    /// Asks it to stop and waits for its end.
    pub async fn stop(&mut self) {
        let mut child = self.child.take().expect("the gateway runs");
        kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("it can be asked to end");
        let ended = async || child.try_wait().expect("it can be waited for");
        wait_within(STOP_LIMIT, "the end of a gateway that was asked to end", ended).await;
    }

    /// A connection to it.
    pub async fn ws(&self) -> Ws {
        wait_for("a connection to the gateway", async || Ws::connect(self.port, &self.token).await.ok()).await
    }

    /// Runs a command of OpenClaw's command line, which takes seconds.
    pub async fn cli(&self, words: &[&str]) -> CtlOutput {
        let mut command = tokio::process::Command::from(self.command(words));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let output = tokio::time::timeout(CLI_LIMIT, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("openclaw {words:?} did not end in {CLI_LIMIT:?}"));
        let output = output.expect("openclaw can be run");
        CtlOutput {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The program and its first argument, for who starts OpenClaw by itself.
    pub fn program(&self) -> [&Path; 2] {
        [&self.peer.node, &self.peer.script]
    }

    /// Prints what helps to understand a failure.
    pub fn tell(&self) {
        let text = fs::read(self.output()).unwrap_or_default();
        let tail = &text[text.len().saturating_sub(SHOWN)..];
        eprintln!("---- what the gateway printed\n{}", String::from_utf8_lossy(tail));
        eprintln!("---- what it asked of the chat\n{}", self.chat.asked().join("\n"));
        eprintln!("---- the chats\n{}", self.chat.shown());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may be gone already, which is what matters here.
            let _ = child.kill();
            let _ = child.wait();
        }
        // What it started ends by itself, or else here.
        came(CHILDREN_LIMIT, || processes::of(self.home.root()).is_empty());
        processes::end_all(self.home.root());
    }
}
