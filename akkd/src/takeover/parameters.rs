//! What a client may ask for.

use crate::conversation::Making;
use crate::sessions::ContextLimits;
use akk_proto::conversation::{PermissionPolicy, RecoveryPolicy};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::limits::MAX_FORK_SUMMARY_BYTES;
use akk_proto::session::{SessionView, Strategy, TakeoverParams};
use std::ops::RangeInclusive;
use std::time::Duration;

/// How long the end of a process and its lock are waited for, unless the client says otherwise.
const WAIT_MS: u64 = 3000;

/// What a call asks for, checked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// As the client gave it.
    pub(super) params: TakeoverParams,
    /// How long an end is waited for.
    pub(super) wait: Duration,
    /// How much a fork's context may hold.
    pub(super) limits: ContextLimits,
}

impl Asked {
    /// # Errors
    /// `invalid_params`, `too_large`.
    pub(super) fn read(params: TakeoverParams) -> Result<Self, Failure> {
        let defaults = ContextLimits::default();
        let wait = within(params.wait_ms, WAIT_MS, 100..=60_000, "a wait", "milliseconds")?;
        let messages = within(params.max_messages, defaults.messages as u32, 1..=50, "a context", "messages")?;
        let commands = within(params.max_commands, defaults.commands as u32, 0..=50, "a context", "commands")?;
        let chars = within(params.max_text_length, defaults.chars as u32, 100..=10_000, "a text", "characters")?;
        if params.session_id.trim().is_empty() {
            return Err(invalid("no session is named", "`akkctl sessions` lists them."));
        }
        if params.create_conversation && params.strategy.is_none() {
            let names = Strategy::ALL.map(Strategy::as_str).join(", ");
            let hint = format!(
                "Choose one of {names}; `akkctl takeover {}` explains which of them work.",
                akk_core::redact::cut(&params.session_id, 60)
            );
            return Err(invalid("no strategy is named, so nothing is done", hint));
        }
        if params.confirm_terminate
            && params.create_conversation
            && params.plan_id.is_none()
            && params.expected_pid.is_none()
        {
            let hint = "Give the plan's id, or the process that it names (--confirm PID).";
            return Err(invalid("the confirmation does not say which process may be ended", hint));
        }
        if params.permissions == Some(PermissionPolicy::Ask)
            && params.strategy.is_some_and(|strategy| strategy != Strategy::Fork)
        {
            let message = "nobody can be asked for the permissions of a session that goes on";
            return Err(invalid(message, "Use all, reads or deny; only a fork has an agent that asks."));
        }
        if let Some(summary) = &params.fork_summary {
            check_summary(summary)?;
        }
        let limits = ContextLimits { messages: messages as usize, commands: commands as usize, chars: chars as usize };
        Ok(Self { params, wait: Duration::from_millis(wait), limits })
    }

    /// Whether something is to be done now. What lacks its confirmation is answered with what is to be confirmed.
    pub(super) fn acts(&self) -> bool {
        let confirmed = match self.params.strategy {
            None => false,
            Some(Strategy::TerminateThenResume) => self.params.confirm_terminate,
            Some(Strategy::Fork) => self.params.fork_summary.is_some(),
            Some(Strategy::SafeResume | Strategy::Attach) => true,
        };
        self.params.create_conversation && confirmed
    }

    /// The conversation that is asked for.
    pub(super) fn making(&self, session: &SessionView) -> Making {
        let p = &self.params;
        let given = |text: &Option<String>| text.clone().filter(|t| !t.trim().is_empty());
        let name = || format!("{} session {}", session.agent, session.session_id);
        Making {
            request: given(&p.request).or_else(|| given(&session.title)).unwrap_or_else(name),
            session: None,
            native_session: None,
            model: p.model.clone(),
            proxy: None,
            soft_limit: p.soft_limit,
            hard_limit: p.hard_limit,
            agent_timeout_minutes: p.agent_timeout_minutes,
            idle_timeout_minutes: p.idle_timeout_minutes,
            orchestrator: p.orchestrator.clone(),
            recipient: p.recipient.clone(),
            sink: p.sink,
            label: p.label.clone(),
            recovery_policy: None,
            permissions: p.permissions,
            deliver_progress: p.deliver_progress,
        }
    }

    /// The same for one that goes on with the session itself, which is never replayed into a fresh one unasked.
    pub(super) fn attaching(&self, session: &SessionView) -> Making {
        Making {
            native_session: Some(session.session_id.clone()),
            recovery_policy: Some(RecoveryPolicy::Explicit),
            ..self.making(session)
        }
    }
}

fn check_summary(summary: &str) -> Result<(), Failure> {
    if summary.trim().is_empty() {
        return Err(invalid("the summary is empty", "Give the summary that the user confirmed."));
    }
    if summary.len() > MAX_FORK_SUMMARY_BYTES {
        return Err(Failure::new(
            ErrorKind::TooLarge,
            format!("the summary has {} bytes, {MAX_FORK_SUMMARY_BYTES} are allowed", summary.len()),
            "Say less; put long material into a file in the workspace and name the file.",
        ));
    }
    Ok(())
}

fn within<N: Copy + PartialOrd + std::fmt::Display>(
    asked: Option<N>,
    default: N,
    range: RangeInclusive<N>,
    what: &str,
    unit: &str,
) -> Result<N, Failure> {
    match asked {
        None => Ok(default),
        Some(n) if range.contains(&n) => Ok(n),
        Some(n) => Err(invalid(
            format!("{what} of {n} {unit} is not possible"),
            format!("Choose {} to {}.", range.start(), range.end()),
        )),
    }
}

fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::InvalidParams, message, hint)
}
