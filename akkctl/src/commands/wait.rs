//! `akkctl wait`: blocks until a conversation needs someone.

use super::{Context, show_raw};
use crate::akkd::is_stopping;
use crate::cli::Wait;
use crate::error::{Error, Result};
use crate::output;
use akk_proto::api::{WaitAnswer, WaitParams};
use std::time::{Duration, Instant};

/// akkd's longest wait; a longer one is several.
const LONGEST_CALL: Duration = Duration::from_hours(1);
/// How long after the end of a wait its answer may still come.
const GRACE: Duration = Duration::from_secs(30);
/// A connection that lasted for less is not worth another try.
const WORTH_ANOTHER_TRY: Duration = Duration::from_secs(1);

pub(super) fn run(args: &Wait, context: &Context<'_>) -> Result<u8> {
    let wanted = args.which.wanted();
    let which = if args.any { Which::Any { since: args.since } } else { Which::One(&wanted) };
    until_needed(which, args.timeout.map(Duration::from_secs), context)
}

/// For whom.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    /// This conversation.
    One(&'a str),
    /// Whoever is next, after this cursor or from now on.
    Any {
        /// Known since the first answer.
        since: Option<u64>,
    },
}

/// Waits for this conversation, or for any, and shows what it needs. Goes on across restarts of akkd.
///
/// # Errors
/// [`Error::WaitTimedOut`], or what a call comes to.
pub(super) fn until_needed(mut which: Which<'_>, timeout: Option<Duration>, context: &Context<'_>) -> Result<u8> {
    let begun = Instant::now();
    let mut akkd = context.akkd();
    if matches!(which, Which::Any { since: None }) {
        // What happens while akkd is replaced belongs to "from now on" too.
        let now = match akkd.call_once("conversation.wait", &params(which, Duration::ZERO), GRACE) {
            Err(e) if e.is_broken_connection() || is_stopping(&e) => {
                akkd.reconnect()?;
                akkd.call_once("conversation.wait", &params(which, Duration::ZERO), GRACE)
            }
            other => other,
        };
        which = Which::Any { since: now?.read::<WaitAnswer>()?.cursor };
    }
    loop {
        let left = timeout.map_or(LONGEST_CALL, |t| t.saturating_sub(begun.elapsed()).min(LONGEST_CALL));
        let called = Instant::now();
        let answer = match akkd.call_once("conversation.wait", &params(which, left), left + GRACE) {
            Err(e) if e.is_broken_connection() && called.elapsed() >= WORTH_ANOTHER_TRY => {
                akkd.reconnect()?;
                continue;
            }
            // Also said when akkd is about to be replaced by a newer one.
            Err(e) if is_stopping(&e) => {
                akkd.reconnect()?;
                continue;
            }
            other => other?,
        };
        let waited: WaitAnswer = answer.read()?;
        if let Some(need) = waited.need {
            context.show(&answer, output::waited)?;
            return Ok(need.exit_code());
        }
        if let (Which::Any { since }, Some(cursor)) = (&mut which, waited.cursor) {
            *since = Some(cursor);
        }
        if let Some(timeout) = timeout.filter(|t| begun.elapsed() >= *t || left.is_zero()) {
            if context.json {
                show_raw(&answer)?;
            }
            return Err(Error::WaitTimedOut(timeout));
        }
    }
}

/// The parameters of one call.
pub(super) fn params(which: Which<'_>, timeout: Duration) -> WaitParams {
    let timeout_ms = u64::try_from(timeout.as_millis()).ok();
    match which {
        Which::One(id) => WaitParams { conversation_id: Some(id.to_owned()), timeout_ms, ..WaitParams::default() },
        Which::Any { since } => WaitParams { any: true, since, timeout_ms, ..WaitParams::default() },
    }
}
