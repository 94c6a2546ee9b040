//! A server with calls of its own, and a client that writes lines.

use super::super::limits::Limits;
use super::super::listen::serve;
use super::super::peer::Peer;
use super::PATIENCE;
use jsonrpsee::core::server::{Methods, SubscriptionMessage};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::{Extensions, RpcModule};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Echo {
    text: String,
}

/// What the handlers of the table tell the stories.
#[derive(Default)]
pub(super) struct Seen {
    /// Calls of `big` that have begun.
    pub(super) big: AtomicUsize,
    /// Calls of `hold` that are going on.
    pub(super) held: AtomicUsize,
    /// Lets one `hold` go.
    pub(super) release: Notify,
    /// Told at each begin and end of a `hold`, at each item of `ticks`, at each end of it.
    pub(super) changed: Notify,
    /// Items that `ticks` has handed over.
    pub(super) ticked: AtomicUsize,
    /// Subscriptions that are going on.
    pub(super) ticking: AtomicUsize,
}

impl Seen {
    pub(super) async fn until(&self, what: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if what(self) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it never came to it");
    }
}

/// Counts while it lives.
pub(super) struct During<'a>(&'a AtomicUsize, &'a Notify);

impl<'a> During<'a> {
    pub(super) fn begin(count: &'a AtomicUsize, changed: &'a Notify) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        changed.notify_waiters();
        Self(count, changed)
    }
}

impl Drop for During<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
        self.1.notify_waiters();
    }
}

pub(super) fn table(seen: Arc<Seen>) -> Methods {
    let mut m = RpcModule::from_arc(seen);
    m.register_method("echo", |params, _, _| params.sequence().next::<Echo>().map(|e| e.text)).unwrap();
    m.register_method("peer", |_, _, ext: &Extensions| ext.get::<Peer>().map(|p| (p.pid, p.uid))).unwrap();
    m.register_method("fail", |_, _, _| {
        let failure = akk_proto::error::Failure::new(akk_proto::error::ErrorKind::NotFound, "no such thing", "Look.");
        Err::<(), _>(ErrorObjectOwned::from(failure))
    })
    .unwrap();
    m.register_async_method("panic", |params, _, _| async move {
        assert!(params.as_str().is_none(), "a defect");
    })
    .unwrap();
    m.register_async_method("big", |params, seen, _| async move {
        seen.big.fetch_add(1, Ordering::SeqCst);
        "x".repeat(params.sequence().next::<usize>().unwrap_or(0))
    })
    .unwrap();
    m.register_async_method("hold", |_, seen, _| async move {
        let _during = During::begin(&seen.held, &seen.changed);
        seen.release.notified().await;
        "held"
    })
    .unwrap();
    m.register_subscription("ticks", "tick", "unticks", |params, pending, seen, _| async move {
        let sizes = match params.sequence().next::<Vec<usize>>() {
            Ok(sizes) => sizes,
            Err(e) => {
                pending.reject(e).await;
                return;
            }
        };
        let Ok(sink) = pending.accept().await else { return };
        let _during = During::begin(&seen.ticking, &seen.changed);
        // `[count, size]`; without a count it only waits for its end.
        for n in 0..sizes.first().copied().unwrap_or(0) {
            let item = json!([n, "x".repeat(sizes[1])]);
            let item = serde_json::value::to_raw_value(&item).unwrap();
            if sink.send(SubscriptionMessage::from(item)).await.is_err() {
                return;
            }
            seen.ticked.fetch_add(1, Ordering::SeqCst);
            seen.changed.notify_waiters();
        }
        if sizes.is_empty() {
            sink.closed().await;
        }
    })
    .unwrap();
    m.into()
}

pub(super) struct Server {
    pub(super) _dir: tempfile::TempDir,
    pub(super) path: PathBuf,
    pub(super) seen: Arc<Seen>,
    pub(super) stop: CancellationToken,
    pub(super) tracker: TaskTracker,
}

impl Server {
    pub(super) fn start(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let (seen, stop, tracker) = (Arc::new(Seen::default()), CancellationToken::new(), TaskTracker::new());
        tracker.spawn(serve(listener, table(seen.clone()), limits, None, stop.clone(), tracker.clone()));
        Self { _dir: dir, path, seen, stop, tracker }
    }

    pub(super) async fn client(&self) -> Client {
        Client(BufReader::new(UnixStream::connect(&self.path).await.unwrap()))
    }

    pub(super) async fn all_connections_end(&self) {
        self.tracker.close();
        tokio::time::timeout(PATIENCE, self.tracker.wait()).await.expect("a connection goes on for ever");
    }
}

pub(super) struct Client(pub(super) BufReader<UnixStream>);

impl Client {
    pub(super) async fn say(&mut self, text: &str) {
        let line = format!("{text}\n");
        let said = self.0.get_mut().write_all(line.as_bytes());
        tokio::time::timeout(PATIENCE, said).await.expect("nobody reads").unwrap();
    }

    pub(super) async fn call(&mut self, id: u32, method: &str, params: Value) {
        self.say(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()).await;
    }

    /// The next line; null at the end.
    pub(super) async fn hear(&mut self) -> Value {
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("no answer").unwrap();
        if line.is_empty() { Value::Null } else { serde_json::from_str(&line).unwrap() }
    }
}

pub(super) fn kind(answer: &Value) -> &str {
    assert!(answer["error"]["data"]["hint"].as_str().is_some_and(|h| h.len() > 3), "no hint: {answer}");
    answer["error"]["data"]["kind"].as_str().unwrap()
}
