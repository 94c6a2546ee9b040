//! akkd beside a person's codex: what the stories of native sessions ask and watch.

use crate::codex::Codex;
use crate::daemon::{Daemon, Plan};
use crate::home::Home;
use crate::refusal::Refusal;
use crate::wait::wait_for;
use akk_proto::ConversationId;
use akk_proto::api::{CloseParams, ControlClient as _, ListParams};
use akk_proto::session::{
    DiscoverAnswer, DiscoverParams, DiscoverScope, SessionChange, SessionItem, SessionView, Strategy, TakeoverAnswer,
    TakeoverParams, TakeoverStatus, WatchParams,
};
use serde_json::json;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A home with a codex on it and an akkd that looks at it.
pub struct Native {
    // Dropped in this order: akkd ends its agents while their model is still there.
    akkd: Daemon,
    /// The person's codex.
    pub codex: Codex,
}

impl Deref for Native {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.akkd
    }
}

impl Native {
    /// Both on a fresh home; none where codex cannot be had, which is told then.
    pub async fn start(story: &str) -> Option<Self> {
        let home = Home::new();
        let codex = Codex::new(&home, story)?;
        Some(Self::on(home, codex).await)
    }

    /// akkd on the home of a codex that was there before.
    pub async fn on(home: Home, codex: Codex) -> Self {
        let akkd = Daemon::start_with(plan(&home, &codex), home).await;
        Self { akkd, codex }
    }

    /// akkd, as what it is when it is killed and started again.
    pub fn akkd(&mut self) -> &mut Daemon {
        &mut self.akkd
    }

    /// Sessions in this scope.
    pub async fn discover(&self, scope: DiscoverScope) -> DiscoverAnswer {
        self.discover_as(DiscoverParams { scope, ..DiscoverParams::default() }).await
    }

    /// What is discovered with these parameters.
    pub async fn discover_as(&self, params: DiscoverParams) -> DiscoverAnswer {
        self.rpc().discover(params).await.unwrap_or_else(|e| panic!("discover: {e}"))
    }

    /// Waits until a session is listed.
    pub async fn listed(&self, session: &str) -> SessionView {
        let look = async || named(self.discover(DiscoverScope::Sessions).await, session);
        wait_for("the session in the list", look).await
    }

    /// A session as it is run now; none when no process runs it.
    pub async fn active(&self, session: &str) -> Option<SessionView> {
        named(self.discover(DiscoverScope::Active).await, session)
    }

    /// Waits until a process is seen to run a session in a way that `fits`.
    pub async fn seen(&self, session: &str, fits: impl Fn(&SessionView) -> bool) -> SessionView {
        let what = format!("the session {session} to be seen as expected");
        wait_for(&what, async || self.active(session).await.filter(&fits)).await
    }

    /// Asks for a takeover.
    pub async fn try_takeover(&self, params: TakeoverParams) -> Result<TakeoverAnswer, Refusal> {
        self.rpc().takeover(params).await.map_err(Refusal::of)
    }

    /// Asks for a takeover that is answered.
    pub async fn takeover(&self, params: TakeoverParams) -> TakeoverAnswer {
        self.try_takeover(params).await.unwrap_or_else(|e| panic!("takeover: {e}"))
    }

    /// What a takeover would come to: nothing is done.
    pub async fn plan(&self, session: &str, strategy: Strategy) -> TakeoverAnswer {
        let answer = self.takeover(wanted(session, strategy)).await;
        assert!(!answer.side_effects_executed && answer.conversation.is_none(), "{answer:#?}");
        answer
    }

    /// Makes a session that nobody runs a conversation.
    pub async fn adopt(&self, session: &str) -> ConversationId {
        self.adopt_by(session, Strategy::SafeResume).await
    }

    /// Makes a session a conversation by a strategy of one step.
    pub async fn adopt_by(&self, session: &str, strategy: Strategy) -> ConversationId {
        let params = TakeoverParams { create_conversation: true, ..wanted(session, strategy) };
        let answer = self.takeover(params).await;
        assert_eq!(answer.status, TakeoverStatus::Attached, "{answer:#?}");
        assert!(answer.side_effects_executed);
        answer.conversation.expect("attached: a conversation").conversation_id
    }

    /// Closes a conversation, whatever it does.
    pub async fn close(&self, id: &ConversationId) {
        let params = CloseParams { conversation_id: id.to_string(), ..CloseParams::default() };
        self.rpc().close(params).await.unwrap_or_else(|e| panic!("close: {e}"));
        wait_for("the end of the conversation", async || self.get(id).await.status.is_terminal().then_some(())).await;
    }

    /// How many conversations are open.
    pub async fn conversations(&self) -> u64 {
        self.rpc().list(ListParams::default()).await.unwrap_or_else(|e| panic!("list: {e}")).total
    }

    /// Everything that was written to the agents of forks.
    pub fn heard_by_forks(&self) -> String {
        std::fs::read_to_string(heard(&self.home)).expect("the agent of a fork was started")
    }

    /// Watches native sessions from now on.
    pub async fn watch(&self) -> Watch {
        watch(&self.akkd).await
    }
}

/// Watches native sessions from now on.
pub async fn watch(akkd: &Daemon) -> Watch {
    let mut items = akkd.rpc().watch_sessions(WatchParams::default()).await.expect("akkd can be asked to watch");
    let first = items.next().await.expect("the watch begins").expect("an item can be read");
    assert!(matches!(first, SessionItem::Live { .. }), "{first:?}");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seeing = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Some(Ok(item)) = items.next().await {
            seeing.lock().expect("no holder panics").push(item);
        }
    });
    Watch { seen }
}

/// What akkd is started with, to look at this codex. A fork goes to the scriptable agent, which is overheard.
pub fn plan(home: &Home, codex: &Codex) -> Plan {
    let mut plan = Plan::default();
    let overheard = ["/bin/sh", "-c", r#"tee -a "$0" | "$@""#].map(str::to_owned);
    let heard = heard(home).to_str().expect("it is UTF-8").to_owned();
    let fork: Vec<String> = overheard.into_iter().chain([heard]).chain(plan.agent_command(home)).collect();
    plan = plan.tables(&format!(
        "[codex]\ncommand = {}\n[agents.codex]\ntransport = \"acp\"\ncommand = {}",
        json!([codex.program()]),
        json!(fork)
    ));
    plan.env.push(("CODEX_HOME".into(), codex.home().to_str().expect("it is UTF-8").into()));
    plan
}

/// Everything that was written to agents of forks.
fn heard(home: &Home) -> PathBuf {
    home.root().join("heard.log")
}

/// The parameters of a takeover that only plans.
pub fn wanted(session: &str, strategy: Strategy) -> TakeoverParams {
    TakeoverParams { session_id: session.to_owned(), strategy: Some(strategy), ..TakeoverParams::default() }
}

fn named(answer: DiscoverAnswer, session: &str) -> Option<SessionView> {
    answer.sessions.into_iter().find(|s| s.session_id == session)
}

/// What was announced of native sessions.
pub struct Watch {
    seen: Arc<Mutex<Vec<SessionItem>>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- announced");
            for item in self.seen.lock().expect("no holder panics").iter() {
                match item {
                    SessionItem::Session { change, ts, session } => eprintln!("{ts} {change:?} {session:?}"),
                    other => eprintln!("{other:?}"),
                }
            }
        }
    }
}

impl Watch {
    /// The changes of one session so far, in order.
    pub fn changes(&self, session: &str) -> Vec<(SessionChange, SessionView)> {
        let seen = self.seen.lock().expect("no holder panics");
        let of = |item: &SessionItem| match item {
            SessionItem::Session { change, session: view, .. } if view.session_id == session => {
                Some((*change, (**view).clone()))
            }
            _ => None,
        };
        seen.iter().filter_map(of).collect()
    }

    /// Waits until this was announced of a session, and gives the session after it.
    pub async fn told(&self, session: &str, change: SessionChange) -> SessionView {
        self.told_times(session, change, 1).await
    }

    /// Waits until this was announced so many times.
    pub async fn told_times(&self, session: &str, change: SessionChange, times: usize) -> SessionView {
        let what = format!("{change:?} of {session}, {times} times");
        let look = async || {
            let fits = self.changes(session).into_iter().filter(|(c, _)| *c == change);
            fits.map(|(_, view)| view).nth(times - 1)
        };
        wait_for(&what, look).await
    }
}
