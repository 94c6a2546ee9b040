//! Who uses which gateway. Two of them at most run at a time: one that several stories use beside each other, and one
//! that stories use one after another, because they kill it or its akkd, or that is a story's own.

use super::Together;
use crate::peers::{self, OpenClawPeer};
use std::ops::AsyncFnOnce;
use std::sync::OnceLock;
use std::time::Instant;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// Runs a story with the gateway that nobody kills. All private chats have one session there (`agent:main:main`), as
/// OpenClaw is set up by default, so that one story at most may use one; groups have their own.
pub fn calm(story: &str, body: impl AsyncFnOnce(&'static Together)) {
    static SHARED: OnceCell<Result<Together, String>> = OnceCell::const_new();
    run(story, async |peer| {
        // On a thread, so that a gateway that does not start fails every story at once, and is not tried by each.
        let start = async || {
            let runtime = Handle::current();
            let start = tokio::task::spawn_blocking(move || runtime.block_on(Together::start(peer, "main")));
            start.await.map_err(|e| e.to_string())
        };
        let together = SHARED.get_or_init(start).await.as_ref();
        let together = together.unwrap_or_else(|e| panic!("the shared gateway did not start: {e}"));
        let told = Told(together);
        timed(story, body(together)).await;
        drop(told);
    });
}

/// Runs a story that may kill what it uses, and leaves it running. Private chats have sessions of their own.
pub fn restless(story: &str, body: impl AsyncFnOnce(&mut Together)) {
    run(story, async |peer| {
        let mut turn = Turn(turns().lock().await);
        if turn.0.as_ref().is_none_or(|t| t.gateway.is_worn_out()) {
            *turn.0 = None;
            *turn.0 = Some(Together::start(peer, "per-channel-peer").await);
        }
        timed(story, body(turn.0.as_mut().expect("it was started"))).await;
    });
}

/// Runs a story that starts a gateway of its own, in the turn of the ones that kill.
pub fn alone(story: &str, body: impl AsyncFnOnce(&'static OpenClawPeer)) {
    run(story, async |peer| {
        let mut turn = turns().lock().await;
        *turn = None;
        timed(story, body(peer)).await;
        drop(turn);
    });
}

fn turns() -> &'static Mutex<Option<Together>> {
    static TURNS: Mutex<Option<Together>> = Mutex::const_new(None);
    &TURNS
}

fn run(story: &str, body: impl AsyncFnOnce(&'static OpenClawPeer)) {
    // What several stories share outlives the runtime of one.
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let Some(peer) = peers::openclaw(story) else { return };
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime can be made")).block_on(body(peer));
}

/// Says how long a story took, without its wait for a gateway.
async fn timed(story: &str, body: impl Future<Output = ()>) {
    let begin = Instant::now();
    body.await;
    eprintln!("{story}: {:.1?}", begin.elapsed());
}

/// A story's turn with the gateway that stories kill. After one that failed the next begins with a new one.
struct Turn(MutexGuard<'static, Option<Together>>);

impl Drop for Turn {
    fn drop(&mut self) {
        if std::thread::panicking() {
            if let Some(together) = &*self.0 {
                together.tell();
            }
            *self.0 = None;
        }
    }
}

/// Shows the logs of what is shared when a story fails.
struct Told(&'static Together);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.tell();
        }
    }
}
