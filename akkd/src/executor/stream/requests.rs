//! Requests of both sides, as `acpx --format json` tells them: whose request an answer belongs to.

use super::raw::{cut, id_text};
use super::reader::{MAX_ID_CHARS, MAX_OPTIONS};
use super::seen::{RpcError, Seen};
use super::tools::{self, word};
use super::wire;
use akk_proto::event::Activity;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::VecDeque;

/// Requests without an answer that are remembered, each way.
const MAX_OPEN_REQUESTS: usize = 32;

/// Requests that wait for an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Requests {
    /// Of acpx to the agent, oldest first.
    called: VecDeque<Called>,
    /// Of the agent to acpx, oldest first.
    asked: VecDeque<Asked>,
}

/// A request of acpx to the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Called {
    id: String,
    pub(super) method: String,
    /// The model that it sets, if it does.
    pub(super) model: Option<String>,
}

/// A request of the agent to acpx.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Asked {
    id: String,
    /// What a permission is asked for; none when it is something else.
    permission: Option<String>,
    /// The options' ids and kinds.
    options: Vec<(String, String)>,
}

/// Whose request was answered.
pub(super) enum Settled {
    Called(Called),
    Asked(Vec<Seen>),
    Unknown,
}

impl Requests {
    /// acpx called the agent.
    pub(super) fn called(&mut self, id: &str, method: &str, model: Option<String>) {
        if self.called.len() >= MAX_OPEN_REQUESTS {
            self.called.pop_front();
        }
        self.called.push_back(Called { id: cut(id, MAX_ID_CHARS), method: method.to_owned(), model });
    }

    /// The agent asked acpx.
    pub(super) fn asked(&mut self, id: &RawValue, method: &str, params: Option<&RawValue>) {
        let (mut permission, mut options) = (None, Vec::new());
        if method == "session/request_permission" {
            let told: Option<wire::PermissionParams<'_>> = wire::parse(params);
            let tool: Option<wire::PermissionTool<'_>> = told.as_ref().and_then(|t| wire::parse(t.tool_call));
            permission = Some(tool.as_ref().map(tools::title_of).unwrap_or_default());
            options = wire::items(told.and_then(|t| t.options), MAX_OPTIONS)
                .into_iter()
                .filter_map(|o| wire::parse::<wire::PermissionOption<'_>>(Some(o)))
                .filter_map(|o| Some((word(o.option_id, 80)?, word(o.kind, 40).unwrap_or_default())))
                .collect();
        }
        if self.asked.len() >= MAX_OPEN_REQUESTS {
            self.asked.pop_front();
        }
        self.asked.push_back(Asked { id: id_text(id), permission, options });
    }

    /// Whose request `id` answers. Both sides count from 0, so an id may stand on both lists: then the agent's
    /// question, which was asked inside the prompt, is answered first, unless the answer has the form of the other.
    pub(super) fn settle(&mut self, id: &str, outcome: &Result<Option<&RawValue>, RpcError>) -> Settled {
        let called = self.called.iter().position(|c| c.id == id);
        let asked = self.asked.iter().position(|a| a.id == id);
        let take_called = match (called, asked) {
            (Some(_), Some(_)) => stop_reason(outcome) || is_acpx_own(outcome),
            (Some(_), None) => true,
            _ => false,
        };
        if take_called {
            return called.and_then(|at| self.called.remove(at)).map_or(Settled::Unknown, Settled::Called);
        }
        let Some(asked) = asked.and_then(|at| self.asked.remove(at)) else { return Settled::Unknown };
        let Some(title) = asked.permission else { return Settled::Asked(vec![]) };
        let answer: Option<wire::PermissionAnswer<'_>> = outcome.as_ref().ok().and_then(|r| wire::parse(*r));
        let chosen: Option<wire::PermissionOutcome<'_>> = answer.and_then(|a| wire::parse(a.outcome));
        let option = chosen
            .as_ref()
            .and_then(|c| word(c.option_id, 80))
            .and_then(|o| asked.options.into_iter().find(|(id, _)| *id == o))
            .map(|(_, kind)| kind);
        let selected = chosen.as_ref().is_some_and(|c| wire::text(c.outcome).is_some_and(|o| o == "selected"));
        let decision = match &option {
            Some(kind) if selected && kind.starts_with("allow") => "allowed",
            _ if selected => "refused",
            _ => "cancelled",
        };
        let decision = decision.to_owned();
        Settled::Asked(vec![Seen::Activity(Activity::Permission { title, decision, option })])
    }
}

/// Methods that a client calls; every other is the agent's.
pub(super) fn is_called_by_client(method: &str) -> bool {
    match method.split_once('/') {
        None => true,
        Some(("session", verb)) => !matches!(verb, "update" | "request_permission"),
        Some(_) => false,
    }
}

/// The model that a request sets, if it does.
pub(super) fn model_set(method: &str, params: Option<&RawValue>) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Setting<'a> {
        #[serde(borrow)]
        config_id: Option<&'a RawValue>,
        #[serde(borrow)]
        value: Option<&'a RawValue>,
        #[serde(borrow)]
        model_id: Option<&'a RawValue>,
    }
    if !matches!(method, "session/set_config_option" | "session/set_model") {
        return None;
    }
    let setting: Setting<'_> = wire::parse(params)?;
    match wire::text(setting.config_id) {
        Some(id) if id.contains("model") => word(setting.value, MAX_ID_CHARS),
        Some(_) => None,
        None => word(setting.model_id, MAX_ID_CHARS),
    }
}

pub(super) fn stop_reason(outcome: &Result<Option<&RawValue>, RpcError>) -> bool {
    let Ok(result) = outcome else { return false };
    wire::parse::<wire::Answer<'_>>(*result).is_some_and(|a| a.stop_reason.is_some())
}

pub(super) fn is_acpx_own(outcome: &Result<Option<&RawValue>, RpcError>) -> bool {
    let Err(error) = outcome else { return false };
    error.data.as_ref().is_some_and(|d| d.get("acpxCode").is_some())
}
