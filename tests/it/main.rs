//! The end-to-end stories: akkd, akkctl and agents as real processes.

#![expect(clippy::unwrap_used, reason = "a story fails loudly")]

/// A story with akkd beside a real codex; left out where that cannot be had.
macro_rules! with_codex {
    ($name:ident, mut $akkd:ident, $body:block) => {
        #[tokio::test]
        async fn $name() {
            let Some(mut $akkd) = akk_tests::Native::start(stringify!($name)).await else { return };
            $body
        }
    };
    ($name:ident, $akkd:ident, $body:block) => {
        #[tokio::test]
        async fn $name() {
            let Some($akkd) = akk_tests::Native::start(stringify!($name)).await else { return };
            $body
        }
    };
}

mod attach;
mod audit;
mod bad_input;
mod bench;
mod budget;
mod callback;
mod cancel;
mod crowd;
mod delegate;
mod delivery;
mod delivery_plugin;
mod demo;
mod discovery;
mod docs;
mod doctor;
mod hostile;
mod import;
mod layout;
mod native_turns;
mod openclaw_plugin;
mod operations;
mod packages;
mod permissions;
mod private;
mod real_acpx;
mod real_codex_acp;
mod recovery;
mod reporting;
mod restart;
mod service;
mod service_systemd;
mod supervision;
mod takeover;
mod top;
