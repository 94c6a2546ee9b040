//! What systemd is told, where it wants to hear it (`Type=notify`). Nothing happens elsewhere.

use sd_notify::NotifyState;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The sockets answer and what was running has been found again.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// akkd ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Sends the sign of life that `WatchdogSec=` asks for, twice in its time, until `stop` is cancelled. It comes from
/// the runtime that serves clients, so that one that stands still is noticed. Returns at once, and no timer runs,
/// where no sign is asked for.
pub async fn signs_of_life(stop: CancellationToken) {
    if let Some(within) = sd_notify::watchdog_enabled() {
        signs_every(within / 2, stop, || tell(&[NotifyState::Watchdog])).await;
    }
}

async fn signs_every(period: Duration, stop: CancellationToken, sign: impl Fn()) {
    let mut ticks = tokio::time::interval(period.max(Duration::from_millis(1)));
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        sign();
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(state) {
        tracing::warn!(error = %e, "cannot tell systemd");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test(start_paused = true)]
    async fn a_sign_of_life_comes_twice_in_the_time_and_ends_with_akkd() {
        let stop = CancellationToken::new();
        let signs = Cell::new(0);
        let ticking = signs_every(Duration::from_secs(15), stop.clone(), || signs.set(signs.get() + 1));
        let ending = async {
            tokio::time::sleep(Duration::from_secs(61)).await;
            stop.cancel();
        };
        tokio::join!(ticking, ending);
        assert_eq!(signs.get(), 5, "at once and after 15, 30, 45 and 60 s");
    }
}
