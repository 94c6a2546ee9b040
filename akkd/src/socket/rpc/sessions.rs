//! `sessions.discover` and `sessions.watch`.

use super::Control;
use crate::sessions::{SessionProvider, merge};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::limits::{MAX_PAGE, MAX_SEARCH_CHARS};
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
    debug_assert!(PAGE <= MAX_PAGE, "a page by default is a page");
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
