//! A home with a scripted agent, and what its executors told.

use super::MemoryLedger;
use crate::config::AgentSpec;
use crate::executor::{Context, Executors, PromptError, PromptSource, ReportError, ReportSink, Timings, TurnOrder};
use crate::sessions::Sessions;
use crate::store::Checkpoint;
use akk_core::{Ended, ExecutorReport};
use akk_proto::conversation::{PermissionPolicy, Transport};
use akk_proto::{ConversationId, Timestamp, TurnId};
use futures_util::future::BoxFuture;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// How long any condition is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

pub(in crate::executor) struct House {
    pub(in crate::executor) ledger: Arc<MemoryLedger>,
    pub(in crate::executor) told: Arc<Told>,
    pub(in crate::executor) timings: Timings,
    /// The native sessions that executors see.
    pub(in crate::executor) sessions: Sessions,
    prompts: Arc<Prompts>,
    home: tempfile::TempDir,
}

/// What executors told, and what the store keeps of it.
pub(in crate::executor) struct Told {
    reports: watch::Sender<Vec<ExecutorReport>>,
    ledger: Arc<MemoryLedger>,
    /// Reports that are still to be refused for want of disk.
    failures: AtomicU32,
}

#[derive(Default)]
struct Prompts(Mutex<HashMap<TurnId, String>>);

impl ReportSink for Told {
    fn report(
        &self,
        _conversation: ConversationId,
        report: ExecutorReport,
        checkpoint: Option<Checkpoint>,
    ) -> BoxFuture<'static, Result<(), ReportError>> {
        let left = self.failures.load(Ordering::SeqCst);
        if left > 0 {
            self.failures.store(left - 1, Ordering::SeqCst);
            return Box::pin(async { Err(ReportError::Storage("disk full".into())) });
        }
        if let Some(checkpoint) = &checkpoint {
            self.ledger.take_checkpoint(checkpoint);
        }
        self.reports.send_modify(|reports| reports.push(report));
        Box::pin(async { Ok(()) })
    }
}

impl PromptSource for Prompts {
    fn prompt(&self, _conversation: ConversationId, turn: TurnId) -> BoxFuture<'static, Result<String, PromptError>> {
        let text = self.0.lock().unwrap().get(&turn).cloned();
        Box::pin(async move { text.ok_or_else(|| PromptError("no such turn".into())) })
    }
}

impl House {
    pub(in crate::executor) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("agent.sh"), include_str!("agent.sh")).unwrap();
        std::fs::create_dir(home.path().join("workspace")).unwrap();
        let ledger = Arc::new(MemoryLedger::default());
        let told = Told { reports: watch::Sender::default(), ledger: ledger.clone(), failures: AtomicU32::new(0) };
        let timings = Timings {
            start: Duration::from_secs(20),
            answer: Duration::from_secs(20),
            cancel_grace: Duration::from_millis(200),
            end_grace: Duration::from_millis(500),
            wind_up: Duration::from_secs(1),
            settle_sign: Duration::from_millis(300),
            settle_answer: Duration::from_millis(500),
            ..Timings::default()
        };
        let sessions = Sessions::new(Vec::new());
        Self { ledger, told: Arc::new(told), timings, sessions, prompts: Arc::default(), home }
    }

    pub(in crate::executor) fn path(&self, name: &str) -> PathBuf {
        self.home.path().canonicalize().unwrap().join(name)
    }

    /// akkd's executors, as after a start of it.
    pub(in crate::executor) fn executors(&self) -> Executors {
        let home = self.path("");
        let environment = move |order: &TurnOrder| {
            let mut variables = order.agent.env.clone();
            variables.insert("PATH".into(), std::env::var("PATH").unwrap());
            variables.insert("AGENT_HOME".into(), home.to_string_lossy().into_owned());
            variables
        };
        let context = Context {
            ledger: self.ledger.clone(),
            reports: self.told.clone(),
            prompts: self.prompts.clone(),
            sessions: self.sessions.clone(),
            environment: Arc::new(environment),
            launches: self.path("launches"),
            callback_socket: self.path("callback.sock"),
            akkctl: "/opt/akk/akkctl".into(),
            drop_folder: Arc::new({
                let drops = self.path("drops");
                move |id, _| Some(drops.join(id.as_str()))
            }),
            timings: self.timings,
        };
        Executors::new(context).unwrap()
    }

    pub(in crate::executor) fn conversation() -> ConversationId {
        ConversationId::new(Timestamp(0), 7)
    }

    /// The order for a turn whose prompt is `script`.
    pub(in crate::executor) fn order(&self, turn: u32, session: Option<&str>, script: &str) -> TurnOrder {
        let turn_id = TurnId::nth(turn);
        self.prompts.0.lock().unwrap().insert(turn_id.clone(), script.to_owned());
        TurnOrder {
            conversation_id: Self::conversation(),
            turn_id,
            agent: AgentSpec {
                kind: "scripted".into(),
                actor: "scripted".into(),
                aliases: Vec::new(),
                transport: Transport::Acp,
                command: vec!["/bin/sh".into(), self.path("agent.sh").to_string_lossy().into_owned()],
                acpx_agent: None,
                env_allow: Vec::new(),
                env: BTreeMap::new(),
                proxy: None,
                model: None,
                permissions: PermissionPolicy::All,
                warm: Duration::from_mins(1),
            },
            workspace: self.path("workspace"),
            session: "akk-scripted-1".into(),
            native_session: session.map(str::to_owned),
            attachment: None,
            replaces: None,
            model: None,
            proxy: None,
            permissions: PermissionPolicy::All,
            agent_timeout: Duration::from_hours(1),
        }
    }

    /// What the agent noted, line by line.
    pub(in crate::executor) fn log(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    /// How often the agent noted something that begins so.
    pub(in crate::executor) fn noted(&self, start: &str) -> usize {
        self.log().iter().filter(|line| line.starts_with(start)).count()
    }

    pub(in crate::executor) async fn wait_until(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = std::time::Instant::now() + PATIENCE;
        while !condition() {
            assert!(std::time::Instant::now() < deadline, "{what}: {:?} {:?}", self.log(), self.told.all());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(in crate::executor) async fn wait_for_note(&self, start: &str) {
        self.wait_until(start, || self.noted(start) > 0).await;
    }

    /// Runs `life` as one life of akkd, which then dies without a word.
    pub(in crate::executor) fn live_and_die<F: Future<Output = ()>>(&self, life: impl FnOnce(Executors) -> F) {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async { life(self.executors()).await });
        // What still runs after this would be a second akkd.
        runtime.shutdown_timeout(Duration::from_secs(10));
    }

    /// Processes that have the stdin of one of this home's launches.
    pub(in crate::executor) fn processes(&self) -> usize {
        crate::platform::stdin_below(&self.path("launches")).unwrap().len()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // A test that failed must leave nothing behind.
        for (_, process) in crate::platform::stdin_below(&self.path("launches")).unwrap_or_default() {
            let _ = crate::platform::signal_group(&process, crate::platform::Signal::KILL);
        }
    }
}

impl Told {
    pub(in crate::executor) fn all(&self) -> Vec<ExecutorReport> {
        self.reports.borrow().clone()
    }

    /// The next reports fail for want of disk.
    pub(in crate::executor) fn fail_next(&self, times: u32) {
        self.failures.store(times, Ordering::SeqCst);
    }

    /// Whether one of them failed by now.
    pub(in crate::executor) fn failed(&self) -> bool {
        (1..u32::MAX).contains(&self.failures.load(Ordering::SeqCst))
    }

    /// Waits until a report is what `is` looks for.
    pub(in crate::executor) async fn wait<T>(&self, is: impl Fn(&ExecutorReport) -> Option<T>) -> T {
        let mut reports = self.reports.subscribe();
        let found = reports.wait_for(|all| all.iter().any(|r| is(r).is_some()));
        let all = tokio::time::timeout(PATIENCE, found).await;
        let all = all.unwrap_or_else(|_| panic!("never told; but {:?}", self.all())).unwrap();
        all.iter().find_map(is).unwrap()
    }

    pub(in crate::executor) async fn end_of(&self, turn: u32) -> Ended {
        self.wait(|r| ended(r, turn)).await
    }

    pub(in crate::executor) fn count(&self, is: impl Fn(&ExecutorReport) -> bool) -> usize {
        self.all().iter().filter(|r| is(r)).count()
    }
}

/// The end of the `turn`-th turn, if `report` is that.
pub(in crate::executor) fn ended(report: &ExecutorReport, turn: u32) -> Option<Ended> {
    match report {
        ExecutorReport::TurnEnded { turn_id, ended } if turn_id.ordinal() == turn => Some((**ended).clone()),
        _ => None,
    }
}
