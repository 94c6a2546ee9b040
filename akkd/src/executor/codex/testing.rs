//! Sessions as this room's tests want them.

use crate::platform::ProcessIdentity;
use crate::sessions::{ContextLimits, Holder, Resume, SessionFacts, SessionProvider, Sessions};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::session::{
    Capability, DiscoverAnswer, DiscoverParams, Evidence, ForkContext, HolderView, ProcessKind, ProviderView,
    SessionActivity, SessionItem, SessionSource, SessionView,
};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::broadcast;

/// The session of the samples.
pub(super) const SESSION: &str = "5e551000-0000-4000-8000-000000000001";

/// A provider that knows one session. Each look takes the next of its facts; the last one stays.
pub(super) struct OneSession {
    facts: Mutex<Vec<SessionFacts>>,
    pub(super) looks: AtomicUsize,
}

impl OneSession {
    pub(super) fn new(facts: Vec<SessionFacts>) -> Arc<Self> {
        Arc::new(Self { facts: Mutex::new(facts), looks: AtomicUsize::new(0) })
    }

    pub(super) fn sessions(self: &Arc<Self>) -> Sessions {
        Sessions::new(vec![self.clone()])
    }
}

/// What is known of a session that nobody runs.
pub(super) fn free(cwd: &Path) -> SessionFacts {
    let session = SessionView {
        agent: "codex".into(),
        session_id: SESSION.into(),
        home: "/home/me/.codex".into(),
        cwd: Some(cwd.to_string_lossy().into_owned()),
        title: None,
        created_at: None,
        updated_at: None,
        archived: false,
        model: Some("gpt-own".into()),
        source: SessionSource::Cli,
        originator: None,
        parent: None,
        capability: Capability::Full,
        capability_reason: None,
        activity: SessionActivity::Idle,
        holders: vec![],
        conversation_id: None,
    };
    let resume = Resume {
        home: "/home/me/.codex".into(),
        cwd: cwd.to_owned(),
        model: Some("gpt-own".into()),
        sandbox: Some("workspace-write".into()),
        overrides: Vec::new(),
        activity: SessionActivity::Idle,
    };
    SessionFacts { session, holders: vec![], incomplete: vec![], resume: Some(resume), control_socket: None }
}

/// The same, with a terminal that runs it, or seems to.
pub(super) fn held(cwd: &Path, evidence: Evidence) -> SessionFacts {
    let identity = ProcessIdentity { boot: "b".into(), pid_namespace: 1, pid: 4242, started: 7, uid: 1000 };
    let view = HolderView {
        pid: 4242,
        started_at: None,
        kind: ProcessKind::Tui,
        executable: None,
        command: vec!["codex".into(), "--token".into(), "hunter2hunter2".into()],
        cwd: None,
        evidence,
        confidence: evidence.confidence(),
        also_holds: vec![],
        conversation_id: None,
    };
    let holder = Holder {
        identity,
        started_at: None,
        kind: ProcessKind::Tui,
        executable: None,
        command: view.command.clone(),
        cwd: None,
        evidence,
        also_holds: vec![],
        relatives: vec![],
        view,
    };
    SessionFacts { holders: vec![holder], ..free(cwd) }
}

fn not_asked() -> ! {
    panic!("no executor asks for it")
}

impl SessionProvider for OneSession {
    fn agent(&self) -> &'static str {
        "codex"
    }

    fn facts(&self, session_id: &str) -> Result<SessionFacts, Failure> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        if session_id != SESSION {
            return Err(Failure::new(ErrorKind::SessionNotFound, "there is no such session", "Look again."));
        }
        let mut facts = self.facts.lock().unwrap();
        Ok(if facts.len() > 1 { facts.remove(0) } else { facts[0].clone() })
    }

    fn capabilities(&self) -> ProviderView {
        not_asked()
    }

    fn sessions(&self, _: &DiscoverParams) -> Result<DiscoverAnswer, Failure> {
        not_asked()
    }

    fn active(&self, _: &DiscoverParams) -> Result<DiscoverAnswer, Failure> {
        not_asked()
    }

    fn resolve(&self, _: &str) -> Result<String, Failure> {
        not_asked()
    }

    fn context(&self, _: &str, _: ContextLimits) -> Result<ForkContext, Failure> {
        not_asked()
    }

    fn watching(&self) -> u64 {
        not_asked()
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<SessionItem>> {
        not_asked()
    }
}
