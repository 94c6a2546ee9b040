//! The end-to-end stories with a real OpenClaw gateway, its chat and its model scripted. A program of its own, so that
//! they do not run beside the others: a gateway takes most of a small machine.

#![expect(clippy::unwrap_used, reason = "a story fails loudly")]

/// A story with the gateway that stories share.
macro_rules! calm {
    ($name:ident, $oc:ident, $body:block) => {
        #[test]
        fn $name() {
            akk_tests::openclaw::calm(stringify!($name), async |$oc| $body);
        }
    };
}

/// A story that may kill its gateway, or its akkd.
macro_rules! restless {
    ($name:ident, $oc:ident, $body:block) => {
        #[test]
        fn $name() {
            akk_tests::openclaw::restless(stringify!($name), async |$oc| $body);
        }
    };
}

mod command;
mod delegation;
mod install;
mod killed;
mod permission;
mod sessions;
mod takeover;
mod waiting;
