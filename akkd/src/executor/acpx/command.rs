//! acpx' command lines. The prompt never stands in one.
//!
//! Values follow their option after `=`, and a name that stands alone follows `--`: none can be taken for an option.
//! Global options come before the agent (acpx 0.19).

use crate::executor::TurnOrder;
use crate::executor::model::{self, Wanted};
use akk_proto::conversation::PermissionPolicy;
use std::path::Path;

/// How long a queue owner without work lives on, in seconds, should no akkd be there to end it with its turn.
const OWNER_SECONDS: u32 = 60;

/// The command lines of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commands {
    /// acpx and its global options, up to and with `--cwd`.
    base: Vec<String>,
    /// Options of what starts the agent: permissions, model.
    agent_options: Vec<String>,
    agent: String,
    session: String,
    effort: Option<(&'static str, String)>,
}

impl Commands {
    /// The command lines for this order.
    pub(super) fn of(order: &TurnOrder) -> Self {
        let spec = &order.agent;
        let mut base = if spec.command.is_empty() { vec!["acpx".to_owned()] } else { spec.command.clone() };
        // akkd offers agents no files and no terminals of its own, so acpx must not do it in its place.
        base.extend(["--format=json", "--no-fs", "--no-terminal"].map(str::to_owned));
        base.push(format!("--cwd={}", order.workspace.display()));
        let permissions = match order.permissions {
            PermissionPolicy::All => "--approve-all",
            PermissionPolicy::Reads => "--approve-reads",
            // acpx asks nobody; a conversation over it never has this policy.
            PermissionPolicy::Deny | PermissionPolicy::Ask => "--deny-all",
        };
        let mut agent_options = vec![permissions.to_owned(), format!("--ttl={OWNER_SECONDS}")];
        let agent = spec.acpx_agent.clone().unwrap_or_else(|| spec.kind.clone());
        let mapped = order.model.as_deref().map(|m| model::for_acpx(&agent, &Wanted::parse(m)));
        let (model, effort) = mapped.map_or((None, None), |m| (Some(m.model), m.effort));
        agent_options.extend(model.map(|m| format!("--model={m}")));
        Self { base, agent_options, agent, session: order.session.clone(), effort }
    }

    fn line(&self, options: bool, words: &[&str]) -> Vec<String> {
        let options = if options { self.agent_options.as_slice() } else { &[] };
        let words = words.iter().map(|w| (*w).to_owned());
        self.base.iter().chain(options).cloned().chain([self.agent.clone()]).chain(words).collect()
    }

    /// Makes the session, or finds it.
    pub(super) fn ensure(&self) -> Vec<String> {
        self.line(true, &["sessions", "ensure", &format!("--name={}", self.session)])
    }

    /// Sets the reasoning effort; none where the model's name says it or none was asked for.
    pub(super) fn set_effort(&self) -> Option<Vec<String>> {
        let (key, value) = self.effort.as_ref()?;
        Some(self.line(true, &["set", &format!("--session={}", self.session), "--", key, value]))
    }

    /// Hands over the prompt that its stdin holds, and tells the turn on its stdout. `tools`: the file that says which
    /// MCP servers the agent is to have.
    pub(super) fn prompt(&self, tools: &Path) -> Vec<String> {
        let mut line = self.line(true, &["prompt", &format!("--session={}", self.session), "--file=-"]);
        line.insert(self.base.len(), format!("--mcp-config={}", tools.display()));
        line
    }

    /// Asks the agent to stop its turn. Does not wait until it has.
    pub(super) fn cancel(&self) -> Vec<String> {
        self.line(false, &["cancel", &format!("--session={}", self.session)])
    }

    /// Says whether the session's queue owner lives.
    pub(super) fn status(&self) -> Vec<String> {
        self.line(false, &["status", &format!("--session={}", self.session)])
    }

    /// Ends the queue owner and the agent, and the session with them.
    pub(super) fn close(&self) -> Vec<String> {
        self.line(false, &["sessions", "close", "--", &self.session])
    }

    /// Tells every turn of the session from the first on, and goes on with what comes.
    pub(super) fn watch(&self) -> Vec<String> {
        self.line(false, &["sessions", "watch", &format!("--name={}", self.session)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::acpx::testing::order;

    #[test]
    fn every_command_line_names_its_session_and_never_the_prompt() {
        let mut order = order("codex");
        order.session = "-s evil".into();
        order.model = Some("gpt-x/high".into());
        order.permissions = PermissionPolicy::Reads;
        let c = Commands::of(&order);
        let common = ["acpx", "--format=json", "--no-fs", "--no-terminal", "--cwd=/a place"];
        let starting = ["--approve-reads", "--ttl=60", "--model=gpt-x"];
        let line = |with: bool, rest: &[&str]| -> Vec<String> {
            let starting: &[&str] = if with { &starting } else { &[] };
            common.iter().chain(starting).chain(&["codex"]).chain(rest).map(|s| (*s).to_owned()).collect()
        };
        assert_eq!(c.ensure(), line(true, &["sessions", "ensure", "--name=-s evil"]));
        let effort = c.set_effort().unwrap();
        assert_eq!(effort, line(true, &["set", "--session=-s evil", "--", "reasoning_effort", "high"]));
        let mut prompt = line(true, &["prompt", "--session=-s evil", "--file=-"]);
        prompt.insert(common.len(), "--mcp-config=/l/mcp.json".into());
        assert_eq!(c.prompt(Path::new("/l/mcp.json")), prompt);
        assert_eq!(c.cancel(), line(false, &["cancel", "--session=-s evil"]));
        assert_eq!(c.status(), line(false, &["status", "--session=-s evil"]));
        assert_eq!(c.close(), line(false, &["sessions", "close", "--", "-s evil"]));
        assert_eq!(c.watch(), line(false, &["sessions", "watch", "--name=-s evil"]));
    }

    #[test]
    fn the_configured_command_agent_and_permissions_are_used() {
        let mut order = order("claude");
        order.agent.command = vec!["npx".into(), "-y".into(), "acpx@0.19.1".into()];
        order.agent.acpx_agent = Some("claude-dev".into());
        for (policy, flag) in [(PermissionPolicy::All, "--approve-all"), (PermissionPolicy::Deny, "--deny-all")] {
            order.permissions = policy;
            let line = Commands::of(&order).prompt(Path::new("/l/mcp.json"));
            assert_eq!(line[..3], ["npx", "-y", "acpx@0.19.1"]);
            assert!(line.contains(&flag.to_owned()) && line.contains(&"claude-dev".to_owned()), "{line:?}");
            assert!(!line.iter().any(|w| w.starts_with("--model")));
        }
        assert_eq!(Commands::of(&order).set_effort(), None);
    }
}
