//! A provider that says what a test wants, and what a session of it looks like.

use super::{JoinProbe, Outside, Takeovers};
use crate::config::{Config, Surroundings};
use crate::conversation::Conversations;
use crate::conversation::testing::House;
use crate::platform::ProcessIdentity;
use crate::sessions::{ContextLimits, Holder, Relative, Resume, SessionFacts, SessionProvider, Sessions};
use crate::store::Store;
use akk_proto::Timestamp;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::session::{
    Capability, ContextMessage, DiscoverAnswer, DiscoverParams, Evidence, ForkContext, HolderView, ProcessKind,
    ProviderView, SessionActivity, SessionItem, SessionSource, SessionView, TakeoverAnswer, TakeoverParams,
};
use futures_util::FutureExt as _;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;

/// The session of these tests.
pub(crate) const ID: &str = "0199a213-81c0-7800-8aa1-bbab2a035a53";

/// A session that nobody runs, in a directory that is there.
pub(crate) fn session() -> SessionView {
    SessionView {
        agent: "codex".into(),
        session_id: ID.into(),
        home: "/home/u/.codex".into(),
        cwd: Some("/".into()),
        title: Some("Fix the parser".into()),
        created_at: None,
        updated_at: None,
        archived: false,
        model: Some("gpt-5.5".into()),
        source: SessionSource::Cli,
        originator: None,
        parent: None,
        capability: Capability::Full,
        capability_reason: None,
        activity: SessionActivity::Idle,
        holders: Vec::new(),
        conversation_id: None,
    }
}

/// Facts about it.
pub(crate) fn free() -> SessionFacts {
    SessionFacts {
        session: session(),
        holders: Vec::new(),
        incomplete: Vec::new(),
        resume: Some(Resume {
            home: "/home/u/.codex".into(),
            cwd: "/".into(),
            model: Some("gpt-5.5".into()),
            sandbox: Some("workspace-write".into()),
            overrides: Vec::new(),
            activity: SessionActivity::Idle,
        }),
        control_socket: None,
    }
}

/// The same session, run by `holders`.
pub(crate) fn held(holders: Vec<Holder>) -> SessionFacts {
    let mut facts = free();
    facts.session.holders = holders.iter().map(|h| h.view.clone()).collect();
    facts.holders = holders;
    facts
}

/// A process of the name `pid`, which does not exist.
pub(crate) fn identity(pid: u32) -> ProcessIdentity {
    let uid = rustix::process::geteuid().as_raw();
    ProcessIdentity { boot: "b".into(), pid_namespace: 1, pid, started: 5, uid }
}

/// A process that runs the session in the session's directory.
pub(crate) fn holder(identity: ProcessIdentity, kind: ProcessKind, evidence: Evidence) -> Holder {
    let view = HolderView {
        pid: identity.pid,
        started_at: Some(Timestamp(5)),
        kind,
        executable: Some("/usr/bin/codex".into()),
        command: vec!["codex".into()],
        cwd: Some("/".into()),
        evidence,
        confidence: evidence.confidence(),
        also_holds: Vec::new(),
        conversation_id: None,
    };
    Holder {
        identity,
        started_at: view.started_at,
        kind,
        executable: view.executable.clone(),
        command: view.command.clone(),
        cwd: view.cwd.clone(),
        evidence,
        also_holds: Vec::new(),
        relatives: Vec::new(),
        view,
    }
}

/// A process that belongs to a holder.
pub(crate) fn relative(identity: ProcessIdentity) -> Relative {
    Relative { identity, executable: None, command: vec!["/bin/sleep".into(), "60".into()] }
}

type Script = Box<dyn FnMut() -> Result<SessionFacts, Failure> + Send>;

/// A provider that knows one session.
pub(crate) struct Scripted {
    script: Mutex<Script>,
    pub(crate) context: Mutex<Result<ForkContext, Failure>>,
    pub(crate) limits: Mutex<Option<ContextLimits>>,
    events: broadcast::Sender<Arc<SessionItem>>,
}

impl Scripted {
    /// A session that nobody runs.
    pub(crate) fn new() -> Arc<Self> {
        let message = ContextMessage { role: "user".into(), ts: None, text: "fix it".into(), truncated: false };
        let context = ForkContext { messages: vec![message], ..ForkContext::default() };
        Arc::new(Self {
            script: Mutex::new(Box::new(|| Ok(free()))),
            context: Mutex::new(Ok(context)),
            limits: Mutex::default(),
            events: broadcast::Sender::new(16),
        })
    }

    /// From now on, a look finds what `script` says.
    pub(crate) fn finds(&self, script: impl FnMut() -> Result<SessionFacts, Failure> + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// From now on, a look finds this.
    pub(crate) fn is(&self, facts: SessionFacts) {
        self.finds(move || Ok(facts.clone()));
    }

    /// From now on, a look finds those of `holders` that run, and the session free when none does: like one that reads
    /// the processes.
    pub(crate) fn is_run_by(&self, holders: Vec<Holder>) {
        self.finds(move || {
            let living = holders.iter().filter(|h| h.identity.is_alive().unwrap()).cloned().collect();
            Ok(held(living))
        });
    }
}

impl SessionProvider for Scripted {
    fn agent(&self) -> &'static str {
        "codex"
    }

    fn capabilities(&self) -> ProviderView {
        ProviderView { agent: "codex".into(), homes: Vec::new(), abilities: Vec::new(), sessions: 1 }
    }

    fn sessions(&self, _params: &DiscoverParams) -> Result<DiscoverAnswer, Failure> {
        Ok(DiscoverAnswer { sessions: vec![session()], total: 1, ..DiscoverAnswer::default() })
    }

    fn active(&self, params: &DiscoverParams) -> Result<DiscoverAnswer, Failure> {
        self.sessions(params)
    }

    fn resolve(&self, text: &str) -> Result<String, Failure> {
        if ID.starts_with(text) || ID.ends_with(text) {
            return Ok(ID.into());
        }
        Err(Failure::new(ErrorKind::SessionNotFound, format!("there is no session {text}"), "Look again."))
    }

    fn facts(&self, session_id: &str) -> Result<SessionFacts, Failure> {
        assert_eq!(session_id, ID);
        (self.script.lock().unwrap())()
    }

    fn context(&self, _session_id: &str, limits: ContextLimits) -> Result<ForkContext, Failure> {
        *self.limits.lock().unwrap() = Some(limits);
        self.context.lock().unwrap().clone()
    }

    fn watching(&self) -> u64 {
        1
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<SessionItem>> {
        self.events.subscribe()
    }
}

/// A house with a provider, and with a program that could resume sessions.
pub(crate) struct Scene {
    pub(crate) house: House,
    pub(crate) provider: Arc<Scripted>,
    pub(crate) takeovers: Takeovers,
    pub(crate) config: Config,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let house = House::new();
        let program = house.dir.path().join("codex");
        std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
        let provider = Scripted::new();
        let takeovers = takeovers(&house, &provider, answering());
        let config = configured(&house, &format!("[codex]\ncommand = [{:?}]\n", program.to_str().unwrap()));
        Self { house, provider, takeovers, config }
    }

    pub(crate) async fn ask(&self, params: TakeoverParams) -> Result<TakeoverAnswer, Failure> {
        let answer = self.takeovers.takeover(params, &self.config, Some(1)).await?;
        // Whatever is answered reads back as it was.
        let wire = serde_json::to_string(&answer).unwrap();
        assert_eq!(serde_json::from_str::<TakeoverAnswer>(&wire).unwrap(), answer);
        assert!(!answer.explanation.is_empty(), "{wire}");
        Ok(answer)
    }

    pub(crate) async fn conversations(&self) -> u64 {
        self.house.store.counts().await.unwrap().conversations
    }
}

pub(crate) fn takeovers(house: &House, provider: &Arc<Scripted>, joining: JoinProbe) -> Takeovers {
    let provider: Arc<dyn SessionProvider> = provider.clone();
    let outside = Outside { environment: BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]), joining };
    let sessions = Sessions::new(vec![provider]);
    Takeovers::new(house.store.clone(), house.conversations.clone(), sessions, outside, house.clock.clone())
}

pub(crate) fn configured(house: &House, text: &str) -> Config {
    let around = Surroundings { akkctl: "akkctl".into(), env: BTreeMap::new() };
    Config::parse(&house.dir.path().join("config.toml"), text, &around).unwrap()
}

/// Every control socket answers, if it is called `answers.sock`.
pub(crate) fn answering() -> JoinProbe {
    Arc::new(|path: PathBuf, session: String| {
        assert_eq!(session, ID);
        let answers = path.file_name().is_some_and(|n| n == Path::new("answers.sock"));
        async move { if answers { Ok(()) } else { Err("connection refused".to_owned()) } }.boxed()
    })
}

impl Takeovers {
    /// The same, as another akkd would have it after a restart.
    pub(crate) fn on(&self, store: Store, conversations: Conversations) -> Self {
        Self::new(store, conversations, self.sessions.clone(), self.outside.clone(), self.clock.clone())
    }
}
