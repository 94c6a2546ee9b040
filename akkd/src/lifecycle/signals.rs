//! The signals that akkd acts on.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// SIGTERM, SIGINT, SIGQUIT and SIGHUP, caught: which is also what gives agents the default of each, since a shell that
/// starts akkd in the background, or `nohup`, hands them on as ignored, and an ignored signal stays ignored in whatever is
/// started. SIGPIPE needs nothing: Rust's runtime ignores it, and gives it back its default in children.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Catches the signals from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// SIGTERM, SIGINT or SIGQUIT cancels `stop`: akkd ends in order and leaves running turns alone. A second one cancels
    /// `hurry`: whatever still waits is given up. SIGHUP changes nothing (the configuration is read anew at each
    /// delegate, and akkd outlives its terminal). Runs until `hurry` is cancelled.
    pub async fn act(mut self, stop: CancellationToken, hurry: CancellationToken) {
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => "SIGTERM",
                _ = self.interrupt.recv() => "SIGINT",
                _ = self.quit.recv() => "SIGQUIT",
                _ = self.hang_up.recv() => {
                    tracing::info!("SIGHUP: nothing to do, the configuration is read at each delegate");
                    continue;
                }
                () = hurry.cancelled() => return,
            };
            if stop.is_cancelled() {
                tracing::warn!(signal = name, "a second signal: leaving at once");
                hurry.cancel();
            } else {
                tracing::info!(signal = name, "stopping");
                stop.cancel();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal as Sig, raise};
    use std::time::Duration;

    #[tokio::test]
    async fn the_first_signal_stops_and_the_second_hurries() {
        let (stop, hurry) = (CancellationToken::new(), CancellationToken::new());
        let acting = tokio::spawn(Signals::listen().unwrap().act(stop.clone(), hurry.clone()));
        raise(Sig::SIGHUP).unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(100), stop.cancelled()).await.is_err());
        raise(Sig::SIGTERM).unwrap();
        tokio::time::timeout(Duration::from_secs(20), stop.cancelled()).await.unwrap();
        assert!(!hurry.is_cancelled());
        raise(Sig::SIGINT).unwrap();
        tokio::time::timeout(Duration::from_secs(20), hurry.cancelled()).await.unwrap();
        acting.await.unwrap();
    }
}
