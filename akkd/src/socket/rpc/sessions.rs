//! `sessions.discover` and `sessions.watch`.

use super::Control;
use crate::sessions::{SessionProvider, merge};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::limits::MAX_SEARCH_CHARS;
use akk_proto::session::{DiscoverAnswer, DiscoverParams, DiscoverScope, SessionItem, SessionView, WatchParams};
use futures_util::future::try_join_all;
use jsonrpsee::core::{SubscriptionError, SubscriptionResult};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{PendingSubscriptionSink, SubscriptionMessage, SubscriptionSink};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Rows in a page by default.
const PAGE: u32 = 100;
/// Bytes of a directory or a cursor that is asked for; the longest path is 4,096 on Linux.
const MAX_PATH: usize = 8192;
/// Changes of all providers together that wait for one client.
const WAITING: usize = 64;

impl Control {
    pub(super) async fn look_around(&self, params: DiscoverParams) -> Result<DiscoverAnswer, Failure> {
        let limit = check(&params)?;
        let params = Arc::new(DiscoverParams { limit: Some(limit), ..params });
        let asked = self.providers(params.agent.as_deref())?.into_iter().map(|provider| {
            let params = params.clone();
            blocking(move || answer(provider.as_ref(), &params))
        });
        let mut answer = merge(try_join_all(asked).await?, limit as usize);
        self.name_conversations(&mut answer.sessions).await?;
        Ok(answer)
    }

    pub(super) async fn watch_native(
        &self,
        pending: PendingSubscriptionSink,
        params: WatchParams,
    ) -> SubscriptionResult {
        let providers = match self.providers(params.agent.as_deref()) {
            Ok(providers) => providers,
            Err(failure) => {
                pending.reject(ErrorObjectOwned::from(failure)).await;
                return Ok(());
            }
        };
        // Before it is known how many there are: what happens in between is told then.
        let begun = providers.into_iter().map(|provider| {
            blocking(move || {
                let changes = provider.subscribe();
                Ok((provider.watching(), changes))
            })
        });
        let begun = match try_join_all(begun).await {
            Ok(begun) => begun,
            Err(failure) => {
                pending.reject(ErrorObjectOwned::from(failure)).await;
                return Ok(());
            }
        };
        let sink = pending.accept().await?;
        send(&sink, &SessionItem::Live { sessions: begun.iter().map(|(known, _)| known).sum() }).await?;
        let (tx, mut changes) = mpsc::channel(WAITING);
        // They end with this subscription.
        let mut listeners = JoinSet::new();
        for (_, mut provider) in begun {
            let tx = tx.clone();
            listeners.spawn(async move {
                while let Some(item) = next(&mut provider).await {
                    if tx.send(item).await.is_err() {
                        return;
                    }
                }
            });
        }
        drop(tx);
        loop {
            let item = tokio::select! {
                () = sink.closed() => return Ok(()),
                item = changes.recv() => item,
            };
            match item.as_deref() {
                None => return Ok(()),
                Some(SessionItem::Session { session, .. }) if session.source.is_auxiliary() && !params.auxiliary => {}
                Some(SessionItem::Session { change, ts, session }) => {
                    let mut session = session.clone();
                    self.name_conversations(std::slice::from_mut(&mut *session)).await.map_err(|e| e.message)?;
                    send(&sink, &SessionItem::Session { change: *change, ts: *ts, session }).await?;
                }
                Some(other) => send(&sink, other).await?,
            }
        }
    }

    /// The provider that is asked for, or all of them.
    fn providers(&self, agent: Option<&str>) -> Result<Vec<Arc<dyn SessionProvider>>, Failure> {
        Ok(match agent {
            Some(agent) => vec![self.sessions.provider(Some(agent))?],
            None => self.sessions.all().to_vec(),
        })
    }

    /// Says to which open conversations these sessions belong.
    async fn name_conversations(&self, sessions: &mut [SessionView]) -> Result<(), Failure> {
        if sessions.is_empty() {
            return Ok(());
        }
        let ids: HashSet<String> = sessions.iter().map(|s| s.session_id.clone()).collect();
        let mut users = self.store.users_of_sessions(ids).await?;
        for session in sessions {
            session.conversation_id = users.remove(&session.session_id);
        }
        Ok(())
    }
}

fn answer(provider: &dyn SessionProvider, params: &DiscoverParams) -> Result<DiscoverAnswer, Failure> {
    match params.scope {
        DiscoverScope::Capabilities => {
            Ok(DiscoverAnswer { providers: vec![provider.capabilities()], ..DiscoverAnswer::default() })
        }
        DiscoverScope::Sessions => provider.sessions(params),
        DiscoverScope::Active => provider.active(params),
    }
}

/// Refuses what cannot be looked for. The rows of a page.
fn check(params: &DiscoverParams) -> Result<u32, Failure> {
    let too_large = |what: &str, most: String| {
        Err(Failure::new(ErrorKind::TooLarge, format!("the {what} is too long"), format!("{most} at most.")))
    };
    if params.text.as_ref().is_some_and(|text| text.chars().nth(MAX_SEARCH_CHARS).is_some()) {
        return too_large("text", format!("{MAX_SEARCH_CHARS} characters"));
    }
    if [&params.cwd, &params.after].into_iter().flatten().any(|text| text.len() > MAX_PATH) {
        return too_large("directory or cursor", format!("{MAX_PATH} bytes"));
    }
    if let Some(cwd) = params.cwd.as_deref().filter(|cwd| !Path::new(cwd).is_absolute()) {
        return Err(Failure::new(
            ErrorKind::InvalidParams,
            format!("{:?} is not an absolute path", akk_core::redact::cut(cwd, 60)),
            "Give the directory from the root on.",
        ));
    }
    super::limit(params.limit, PAGE)
}

/// Runs `work` where blocking is allowed. It is not stopped when nobody waits for it any more.
async fn blocking<T, F>(work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Failure> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Failure::new(
            ErrorKind::Internal,
            format!("a look at native sessions failed: {error}"),
            "Look into akkd's log; this is a defect.",
        ))
    })
}

/// The next change of a provider; none when it is gone.
async fn next(changes: &mut broadcast::Receiver<Arc<SessionItem>>) -> Option<Arc<SessionItem>> {
    match changes.recv().await {
        Ok(item) => Some(item),
        Err(RecvError::Lagged(missed)) => Some(Arc::new(SessionItem::Missed {
            reason: format!("this client is slow: {missed} changes were dropped"),
        })),
        Err(RecvError::Closed) => None,
    }
}

async fn send(sink: &SubscriptionSink, item: &SessionItem) -> Result<(), SubscriptionError> {
    let message = SubscriptionMessage::new(sink.method_name(), sink.subscription_id(), item)?;
    Ok(sink.send(message).await.map_err(|_| "the client left".to_owned())?)
}

#[cfg(test)]
mod tests {
    use super::super::tests::control;
    use super::*;
    use crate::conversation::testing::{House, created};
    use crate::sessions::{ContextLimits, SessionFacts, Sessions};
    use akk_core::ExecutorReport;
    use akk_proto::Timestamp;
    use akk_proto::api::ControlServer as _;
    use akk_proto::event::{SessionEnsured, SessionReached};
    use akk_proto::session::{Capability, ForkContext, ProviderView, SessionActivity, SessionChange, SessionSource};

    /// An agent's sessions, as a test tells them.
    struct Told {
        agent: &'static str,
        sessions: Vec<SessionView>,
        bus: broadcast::Sender<Arc<SessionItem>>,
    }

    fn session(agent: &str, id: &str, updated: i64) -> SessionView {
        SessionView {
            agent: agent.into(),
            session_id: id.into(),
            home: "/h".into(),
            cwd: None,
            title: None,
            created_at: None,
            updated_at: Some(Timestamp(updated)),
            archived: false,
            model: None,
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

    fn changed(session: SessionView) -> Arc<SessionItem> {
        let (change, ts) = (SessionChange::Activity, Timestamp(1));
        Arc::new(SessionItem::Session { change, ts, session: Box::new(session) })
    }

    impl Told {
        fn new(agent: &'static str, sessions: &[(&str, i64)]) -> Arc<Self> {
            let sessions = sessions.iter().map(|(id, updated)| session(agent, id, *updated)).collect();
            Arc::new(Self { agent, sessions, bus: broadcast::channel(4).0 })
        }
    }

    impl SessionProvider for Told {
        fn agent(&self) -> &'static str {
            self.agent
        }
        fn capabilities(&self) -> ProviderView {
            let sessions = self.sessions.len() as u64;
            ProviderView { agent: self.agent.into(), homes: Vec::new(), abilities: Vec::new(), sessions }
        }
        fn sessions(&self, params: &DiscoverParams) -> Result<DiscoverAnswer, Failure> {
            assert!(params.limit.is_some(), "a provider is told how many");
            let (sessions, total) = (self.sessions.clone(), self.sessions.len() as u64);
            Ok(DiscoverAnswer { sessions, total, ..DiscoverAnswer::default() })
        }
        fn active(&self, _params: &DiscoverParams) -> Result<DiscoverAnswer, Failure> {
            Ok(DiscoverAnswer { incomplete: vec!["nobody looked".into()], ..DiscoverAnswer::default() })
        }
        fn resolve(&self, _text: &str) -> Result<String, Failure> {
            panic!("nobody asked for one")
        }
        fn facts(&self, _session_id: &str) -> Result<SessionFacts, Failure> {
            panic!("nobody asked for one")
        }
        fn context(&self, _session_id: &str, _limits: ContextLimits) -> Result<ForkContext, Failure> {
            panic!("nobody asked for one")
        }
        fn subscribe(&self) -> broadcast::Receiver<Arc<SessionItem>> {
            self.bus.subscribe()
        }
    }

    fn with(house: &House, providers: Vec<Arc<dyn SessionProvider>>) -> Control {
        Control { sessions: Sessions::new(providers), ..control(house) }
    }

    async fn next_session(told: &mut jsonrpsee::core::server::Subscription) -> String {
        let item = told.next::<SessionItem>().await.unwrap().unwrap().0;
        let SessionItem::Session { session, .. } = item else { panic!("{item:?}") };
        session.session_id
    }

    fn ids(answer: &DiscoverAnswer) -> Vec<&str> {
        answer.sessions.iter().map(|s| s.session_id.as_str()).collect()
    }

    #[tokio::test]
    async fn all_providers_make_one_list_and_conversations_are_named() {
        let house = House::new();
        let id = house.begin(created(1)).await;
        let reached = SessionEnsured { native_session_id: "b".into(), how: SessionReached::Created, model: None };
        house.conversations.executor_report(&id, ExecutorReport::SessionReady(reached), None).await.unwrap();
        let one = Told::new("one", &[("a", 1), ("b", 3)]);
        let two = Told::new("two", &[("c", 2), ("d", 4)]);
        let control = with(&house, vec![one, two]);
        let all = control.look_around(DiscoverParams::default()).await.unwrap();
        assert_eq!((ids(&all), all.total, &all.next), (vec!["d", "b", "c", "a"], 4, &None));
        let named: Vec<_> = all.sessions.iter().map(|s| s.conversation_id.clone()).collect();
        assert_eq!(named, [None, Some(id), None, None]);
        let page = DiscoverParams { limit: Some(3), ..DiscoverParams::default() };
        let page = control.look_around(page).await.unwrap();
        assert_eq!((ids(&page).len(), page.next.as_deref()), (3, Some("2/c//h")));
        let some = DiscoverParams { agent: Some("two".into()), ..DiscoverParams::default() };
        assert_eq!(ids(&control.look_around(some).await.unwrap()), ["d", "c"]);
        let works = DiscoverParams { scope: DiscoverScope::Capabilities, ..DiscoverParams::default() };
        assert_eq!(control.look_around(works).await.unwrap().providers.len(), 2);
        let active = DiscoverParams { scope: DiscoverScope::Active, ..DiscoverParams::default() };
        assert_eq!(control.look_around(active).await.unwrap().incomplete.len(), 2);
    }

    #[tokio::test]
    async fn what_cannot_be_looked_for_is_refused() {
        let house = House::new();
        let control = with(&house, vec![Told::new("one", &[])]);
        let long = "x".repeat(10_000);
        let empty = DiscoverParams::default;
        for (params, kind) in [
            (DiscoverParams { limit: Some(0), ..empty() }, ErrorKind::InvalidParams),
            (DiscoverParams { limit: Some(1001), ..empty() }, ErrorKind::InvalidParams),
            (DiscoverParams { cwd: Some("relative".into()), ..empty() }, ErrorKind::InvalidParams),
            (DiscoverParams { cwd: Some(format!("/{long}")), ..empty() }, ErrorKind::TooLarge),
            (DiscoverParams { after: Some(long.clone()), ..empty() }, ErrorKind::TooLarge),
            (DiscoverParams { text: Some("ü".repeat(1001)), ..empty() }, ErrorKind::TooLarge),
            (DiscoverParams { agent: Some("three".into()), ..empty() }, ErrorKind::AgentUnavailable),
        ] {
            assert_eq!(control.look_around(params.clone()).await.unwrap_err().kind, kind, "{params:?}");
        }
        let most = DiscoverParams { text: Some("ü".repeat(1000)), limit: Some(1000), ..empty() };
        control.look_around(most).await.unwrap();
    }

    #[tokio::test]
    async fn a_watch_begins_with_live_and_tells_what_was_asked_for() {
        let house = House::new();
        let one = Told::new("one", &[("a", 1)]);
        let two = Told::new("two", &[("b", 1), ("c", 1)]);
        let module = with(&house, vec![one.clone(), two.clone()]).into_rpc();
        let mut all = module.subscribe("sessions.watch", [WatchParams::default()], 16).await.unwrap();
        let with_all = WatchParams { agent: Some("two".into()), auxiliary: true };
        let mut some = module.subscribe("sessions.watch", [with_all], 16).await.unwrap();
        assert_eq!(all.next::<SessionItem>().await.unwrap().unwrap().0, SessionItem::Live { sessions: 3 });
        assert_eq!(some.next::<SessionItem>().await.unwrap().unwrap().0, SessionItem::Live { sessions: 2 });
        let helper = SessionView { source: SessionSource::SubAgent, ..session("two", "helper", 1) };
        for item in [changed(helper), changed(session("two", "b", 2))] {
            two.bus.send(item).unwrap();
        }
        assert_eq!(next_session(&mut all).await, "b");
        assert_eq!([next_session(&mut some).await, next_session(&mut some).await], ["helper", "b"]);
        one.bus.send(changed(session("one", "a", 2))).unwrap();
        assert_eq!(next_session(&mut all).await, "a");
    }

    #[tokio::test]
    async fn who_is_slow_is_told_that_changes_were_missed() {
        let house = House::new();
        let one = Told::new("one", &[]);
        let mut changes = one.subscribe();
        for n in 0..7 {
            one.bus.send(changed(session("one", &n.to_string(), n))).unwrap();
        }
        let missed = next(&mut changes).await.unwrap();
        assert!(matches!(missed.as_ref(), SessionItem::Missed { reason } if reason.contains('3')), "{missed:?}");
        assert!(matches!(next(&mut changes).await.unwrap().as_ref(), SessionItem::Session { .. }));
        drop(with(&house, vec![one]));
        while let Some(item) = next(&mut changes).await {
            assert!(matches!(item.as_ref(), SessionItem::Session { .. }));
        }
    }

    #[tokio::test]
    async fn a_watch_over_a_provider_that_is_not_there_is_refused() {
        let house = House::new();
        let module = with(&house, vec![Told::new("one", &[])]).into_rpc();
        let params = WatchParams { agent: Some("two".into()), auxiliary: false };
        assert!(module.subscribe("sessions.watch", [params], 16).await.is_err());
    }
}
