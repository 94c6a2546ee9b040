//! akkd as a process on a home of its own.

use crate::agent::AgentLog;
use crate::binaries::binaries;
use crate::ctl::{self, CtlOutput};
use crate::home::Home;
use crate::raw::Raw;
use crate::refusal::Refusal;
use crate::wait::{PATIENCE, came, wait_for};
use crate::{peers, processes, replay};
use akk_proto::ConversationId;
use akk_proto::api::{
    ControlClient as _, ConversationParams, DelegateAnswer, DelegateParams, HistoryParams, SendAnswer, SendParams,
    StopParams, WaitAnswer, WaitParams,
};
use akk_proto::conversation::{ConversationView, Need, Status, Transport};
use akk_proto::event::EventRecord;
use jsonrpsee::core::client::Client;
use serde_json::json;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long an akkd may take to stop, agents included.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How long the processes of a stopped akkd may need to be gone.
const LEFTOVER_LIMIT: Duration = Duration::from_secs(30);

/// What an akkd is started with.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Lines at the top of the configuration.
    pub top: String,
    /// Seconds between the steps of a cancel.
    pub cancel_grace: u32,
    /// Further lines of `[timeouts]`.
    pub timeouts: String,
    /// Minutes that an agent without a turn is kept.
    pub warm_minutes: u32,
    /// Further options of the agent `demo`.
    pub agent_options: Vec<String>,
    /// Whether the agent `demo` is reached through the real acpx.
    pub over_acpx: bool,
    /// Further tables of the configuration.
    pub tables: String,
    /// Further variables of akkd's environment.
    pub env: Vec<(String, String)>,
    /// Another akkd than the one that was built.
    pub akkd: Option<PathBuf>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            top: String::new(),
            cancel_grace: 2,
            timeouts: String::new(),
            warm_minutes: 10,
            agent_options: Vec::new(),
            over_acpx: false,
            tables: String::new(),
            env: Vec::new(),
            akkd: None,
        }
    }
}

impl Plan {
    /// With these options of the scriptable agent.
    pub fn agent(mut self, options: &[&str]) -> Self {
        self.agent_options.extend(ctl::strs(options));
        self
    }

    /// With these lines at the top of the configuration.
    pub fn top(mut self, lines: &str) -> Self {
        self.top.push_str(lines);
        self.top.push('\n');
        self
    }

    /// With these tables at the end of the configuration.
    pub fn tables(mut self, lines: &str) -> Self {
        self.tables.push_str(lines);
        self.tables.push('\n');
        self
    }

    /// With this time between the steps of a cancel.
    pub fn cancel_grace(mut self, seconds: u32) -> Self {
        self.cancel_grace = seconds;
        self
    }

    /// With these lines in `[timeouts]`.
    pub fn timeouts(mut self, lines: &str) -> Self {
        self.timeouts.push_str(lines);
        self.timeouts.push('\n');
        self
    }

    /// With this time for an agent without a turn; 0 lets it go at once.
    pub fn warm_minutes(mut self, minutes: u32) -> Self {
        self.warm_minutes = minutes;
        self
    }

    /// Over this transport. The story must have asked [`peers`] before.
    pub fn over(mut self, transport: Transport) -> Self {
        self.over_acpx = transport == Transport::Acpx;
        self.cancel_grace = if self.over_acpx { 10 } else { self.cancel_grace };
        self
    }

    /// Starts akkd with it on a fresh home.
    pub async fn start(self) -> Daemon {
        Daemon::start_with(self, Home::new()).await
    }

    /// The command of the scriptable agent on this home.
    pub fn agent_command(&self, home: &Home) -> Vec<String> {
        let text = |p: &Path| p.to_str().expect("paths under /tmp are UTF-8").to_owned();
        let mut argv = vec![text(&binaries().akkctl)];
        argv.extend(ctl::strs(&["demo-agent", "--pace", "0", "--store"]));
        argv.push(text(&home.sessions()));
        argv.extend(["--log".to_owned(), text(&home.agent_log())]);
        argv.extend(self.agent_options.iter().cloned());
        argv
    }

    fn config(&self, home: &Home) -> String {
        let argv = self.agent_command(home);
        let (transport, command) = if self.over_acpx {
            peers::configure_acpx(home, "demo", &argv);
            ("transport = \"acpx\"\nacpx_agent = \"demo\"", peers::acpx_command())
        } else {
            ("transport = \"acp\"", argv)
        };
        let Self { top, cancel_grace, timeouts, warm_minutes, tables, .. } = self;
        format!(
            "default_agent = \"demo\"\n{top}\n[timeouts]\ncancel_grace_seconds = {cancel_grace}\n{timeouts}\n\
             [agents.demo]\n{transport}\ncommand = {}\nwarm_minutes = {warm_minutes}\n\n{tables}",
            json!(command),
        )
    }
}

/// A running akkd, its home, and a connection to it.
pub struct Daemon {
    /// Its folders.
    pub home: Home,
    plan: Plan,
    child: Option<Child>,
    client: Option<Client>,
    /// Processes may be left behind on purpose: akkd was stopped or killed and did not come back.
    abandoned: bool,
}

impl Daemon {
    /// Starts akkd on a fresh home, with the scriptable agent as its default agent.
    pub async fn start() -> Self {
        Plan::default().start().await
    }

    /// Starts akkd on a home that is there already.
    pub async fn start_with(plan: Plan, home: Home) -> Self {
        let mut daemon = Self::not_started(plan, home);
        daemon.start_again().await;
        daemon
    }

    /// A home with a configuration, and no akkd yet.
    pub fn not_started(plan: Plan, home: Home) -> Self {
        std::fs::write(home.config(), plan.config(&home)).expect("the home takes a file");
        Self { home, plan, child: None, client: None, abandoned: false }
    }

    /// Further variables of akkd's environment, from its next start on.
    pub fn environment(&mut self) -> &mut Vec<(String, String)> {
        &mut self.plan.env
    }

    /// Starts akkd on the same home, and waits until its socket answers.
    ///
    /// # Panics
    /// When it does not, with what it printed.
    pub async fn start_again(&mut self) {
        if let Err(status) = self.try_start().await {
            panic!("akkd ended at its start: {status}");
        }
    }

    /// The same for an akkd that may die at its start.
    ///
    /// # Errors
    /// How it ended.
    pub async fn try_start(&mut self) -> Result<(), ExitStatus> {
        assert!(self.child.is_none(), "akkd runs already");
        self.child = Some(self.spawn());
        self.abandoned = true;
        match self.connect_to_new().await {
            Ok(client) => self.client = Some(client),
            Err(status) => {
                self.child = None;
                return Err(status);
            }
        }
        self.abandoned = false;
        Ok(())
    }

    /// Starts one more akkd on the same home, without waiting for anything.
    pub fn spawn(&self) -> Child {
        let output = OpenOptions::new().append(true).create(true).open(self.home.daemon_output());
        let output = output.expect("the home takes a file");
        Command::new(self.plan.akkd.as_ref().unwrap_or(&binaries().akkd))
            .env_clear()
            .envs(self.home.environment())
            .envs(self.plan.env.iter().cloned())
            .current_dir(self.home.root())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file can be shared"))
            .stderr(output)
            .spawn()
            .expect("akkd can be run")
    }

    async fn connect_to_new(&mut self) -> Result<Client, ExitStatus> {
        let socket = self.home.control_socket();
        let child = self.child.as_mut().expect("akkd was started");
        wait_for("the socket of akkd", async || {
            if let Ok(Some(status)) = child.try_wait() {
                return Some(Err(status));
            }
            let client = akk_proto::client::connect(&socket).await.ok()?;
            client.daemon_info(akk_proto::api::Empty {}).await.ok()?;
            Some(Ok(client))
        })
        .await
    }

    /// akkd's pid.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("akkd runs").id()
    }

    /// The connection.
    pub fn rpc(&self) -> &Client {
        self.client.as_ref().expect("akkd runs")
    }

    /// A further connection.
    pub async fn connect(&self) -> Client {
        akk_proto::client::connect(&self.home.control_socket()).await.expect("akkd listens")
    }

    /// A connection without any client library.
    pub fn raw(&self) -> Raw {
        Raw::connect(&self.home.control_socket()).expect("akkd listens")
    }

    /// What the scriptable agents wrote down.
    pub fn agent(&self) -> AgentLog {
        AgentLog(self.home.agent_log())
    }

    /// SIGKILL, as if the machine's memory had run out.
    pub fn kill9(&mut self) {
        let mut child = self.child.take().expect("akkd runs");
        self.client = None;
        self.abandoned = true;
        child.kill().expect("akkd can be killed");
        child.wait().expect("akkd was killed");
    }

    /// SIGKILL and a new start.
    pub async fn restart(&mut self) {
        self.kill9();
        self.start_again().await;
    }

    /// Asks akkd to stop and waits for its end. Running turns are left alone unless `agents`.
    pub async fn stop(&mut self, agents: bool) {
        self.rpc().daemon_stop(StopParams { agents }).await.expect("akkd agrees to stop");
        self.ended().await;
        self.abandoned = !agents;
    }

    /// Waits for the end of an akkd that was asked to end, or has died.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("akkd runs");
        let ended = async || child.try_wait().expect("akkd can be waited for");
        let status = wait_for("the end of a stopped akkd", ended).await;
        self.child = None;
        self.client = None;
        self.abandoned = true;
        status
    }

    /// Runs akkctl on this home.
    pub async fn ctl(&self, words: &[&str]) -> CtlOutput {
        ctl::run(&self.home, words).await
    }

    /// The parameters of a delegation to the default agent in the home's workspace.
    pub fn task(&self, request: &str) -> DelegateParams {
        let workspace = self.home.workspace().to_str().expect("paths under /tmp are UTF-8").to_owned();
        DelegateParams { request: request.to_owned(), workspace, ..DelegateParams::default() }
    }

    /// Delegates a script to the agent.
    pub async fn delegate(&self, script: &str) -> DelegateAnswer {
        self.delegate_as(self.task(script)).await
    }

    /// Delegates with these parameters.
    pub async fn delegate_as(&self, params: DelegateParams) -> DelegateAnswer {
        self.rpc().delegate(params).await.unwrap_or_else(|e| panic!("delegate: {e}"))
    }

    /// Delegates a script and waits until the conversation needs someone.
    pub async fn done(&self, script: &str) -> (ConversationId, WaitAnswer) {
        let id = self.delegate(script).await.conversation.conversation_id;
        let answer = self.wait(&id).await;
        (id, answer)
    }

    /// Sends a message.
    pub async fn send(&self, id: &ConversationId, message: &str) -> SendAnswer {
        self.try_send(id, message).await.unwrap_or_else(|e| panic!("send: {e}"))
    }

    /// Sends a message that may be refused.
    pub async fn try_send(&self, id: &ConversationId, message: &str) -> Result<SendAnswer, Refusal> {
        let message = Some(message.to_owned());
        let params = SendParams { conversation_id: id.to_string(), message, ..SendParams::default() };
        self.rpc().send(params).await.map_err(Refusal::of)
    }

    /// Waits until the conversation needs someone.
    ///
    /// # Panics
    /// When that takes too long.
    pub async fn wait(&self, id: &ConversationId) -> WaitAnswer {
        let timeout_ms = Some(PATIENCE.as_millis() as u64);
        let params = WaitParams { conversation_id: Some(id.to_string()), timeout_ms, ..WaitParams::default() };
        let answer = self.rpc().wait(params).await.unwrap_or_else(|e| panic!("wait: {e}"));
        assert!(!answer.timed_out, "{id} needed nobody: {:#?}", answer.conversation);
        answer
    }

    /// Waits until the conversation needs someone for this reason, and gives what it says.
    pub async fn wait_need(&self, id: &ConversationId, need: Need) -> WaitAnswer {
        let answer = self.wait(id).await;
        assert_eq!(answer.need, Some(need), "{:#?}", answer.conversation);
        answer
    }

    /// The conversation.
    pub async fn get(&self, id: &ConversationId) -> ConversationView {
        let params = params(id);
        self.rpc().get(params).await.unwrap_or_else(|e| panic!("get: {e}")).conversation
    }

    /// Waits for a status.
    pub async fn until(&self, id: &ConversationId, status: Status) -> ConversationView {
        let what = format!("{id} to become {status}");
        wait_for(&what, async || Some(self.get(id).await).filter(|c| c.status == status)).await
    }

    /// Waits until no turn is open.
    pub async fn turn_over(&self, id: &ConversationId) -> ConversationView {
        let over = |c: &ConversationView| c.turn.as_ref().is_none_or(|t| t.ended_at.is_some());
        wait_for("the end of the turn", async || Some(self.get(id).await).filter(|c| over(c))).await
    }

    /// The whole history.
    pub async fn events(&self, id: &ConversationId) -> Vec<EventRecord> {
        let mut all = Vec::new();
        let mut after_seq = 0;
        loop {
            let params = HistoryParams { conversation_id: id.to_string(), after_seq, limit: None };
            let page = self.rpc().transcript(params).await.unwrap_or_else(|e| panic!("transcript: {e}"));
            all.extend(page.events);
            match page.next_seq {
                Some(next) => after_seq = next,
                None => return all,
            }
        }
    }

    /// The names of the events, in order.
    pub async fn event_names(&self, id: &ConversationId) -> Vec<&'static str> {
        self.events(id).await.iter().map(|e| e.body.name()).collect()
    }

    /// Waits until the scriptable agent has heard a prompt that says exactly this, and, where its script makes it deaf
    /// to a cancel, until it is.
    pub async fn prompted(&self, body: &str) -> crate::agent::Line {
        let line = wait_for("a prompt at the agent", async || self.agent().prompts(body).pop()).await;
        if body.lines().any(|l| l == "hang" || l == "ignorecancel" || l.starts_with("block ")) {
            let deaf = async || self.agent().all("deaf").iter().any(|l| l.pid == line.pid).then_some(());
            wait_for("the agent to be deaf to a cancel", deaf).await;
        }
        line
    }
}

/// The parameters of methods that need a conversation only.
pub fn params(id: &ConversationId) -> ConversationParams {
    ConversationParams { request_id: None, conversation_id: id.to_string() }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.client = None;
        let mut complaints = Vec::new();
        if self.child.is_some() && !std::thread::panicking() {
            complaints.extend(replay::differences(&self.home));
        }
        if let Some(mut child) = self.child.take() {
            let asked = Raw::connect(&self.home.control_socket())
                .and_then(|mut raw| raw.call("daemon.stop", json!({"agents": true})));
            if asked.is_err() || !came(STOP_LIMIT, || matches!(child.try_wait(), Ok(Some(_)))) {
                complaints.push(format!("akkd did not stop when asked: {asked:?}"));
                // It may be gone already, which is what matters here.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        if !self.abandoned {
            came(LEFTOVER_LIMIT, || processes::of(self.home.root()).is_empty());
        }
        let left = processes::of(self.home.root());
        for process in &left {
            processes::end(process.pid);
        }
        if !left.is_empty() && !self.abandoned {
            complaints.push(format!("processes were left behind: {left:#?}"));
        }
        let overlaps = self.agent().all("overlap");
        if !overlaps.is_empty() {
            complaints.push(format!("an agent was prompted over an open prompt: {overlaps:#?}"));
        }
        if std::thread::panicking() || !complaints.is_empty() {
            self.tell();
        }
        if !std::thread::panicking() {
            assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        }
    }
}

impl Daemon {
    /// Prints what helps to understand a failure.
    pub fn tell(&self) {
        let logs = std::fs::read_dir(self.home.akk().join("logs")).into_iter().flatten().flatten().map(|e| e.path());
        let files = [self.home.daemon_output()].into_iter().chain(logs).chain([self.home.agent_log()]);
        for file in files {
            let text = std::fs::read(&file).unwrap_or_default();
            let tail = &text[text.len().saturating_sub(8000)..];
            let name = file.strip_prefix(self.home.root()).unwrap_or(&file).display();
            eprintln!("---- {name}\n{}", String::from_utf8_lossy(tail));
        }
    }
}
