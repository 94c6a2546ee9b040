//! The agents that can be asked for: built-in ones, changed or joined by the owner's.

use super::environment::{default_proxy, never_passed};
use super::error::{ConfigError, Source};
use super::file::{AgentTable, Check, TransportName};
use super::{AgentSpec, Config, Surroundings, spelling};
use akk_proto::conversation::{PermissionPolicy, Transport};
use akk_proto::error::{ErrorKind, Failure};
use std::collections::BTreeMap;
use std::time::Duration;
use toml::Spanned;

/// The Codex adapter that akkd was tried with.
const CODEX_ACP: &str = "@agentclientprotocol/codex-acp@2.6.0";
/// The Claude adapter that akkd was tried with.
const CLAUDE_ACP: &str = "@agentclientprotocol/claude-agent-acp@0.101.0";
/// How long an agent process without a turn is kept.
const WARM: Duration = Duration::from_mins(10);
/// What the built-in kinds over acpx end in.
const OVER_ACPX: &str = "-acpx";

struct BuiltIn {
    kind: &'static str,
    actor: &'static str,
    aliases: &'static [&'static str],
    command: &'static [&'static str],
}

const BUILT_IN: [BuiltIn; 4] = [
    BuiltIn { kind: "codex", actor: "codex", aliases: &["c"], command: &["npx", "-y", CODEX_ACP] },
    BuiltIn {
        kind: "claude",
        actor: "claude-code",
        aliases: &["claude-code", "claudecode"],
        command: &["npx", "-y", CLAUDE_ACP],
    },
    BuiltIn { kind: "cursor", actor: "cursor", aliases: &[], command: &["cursor-agent", "acp"] },
    BuiltIn { kind: "gemini", actor: "gemini", aliases: &[], command: &["gemini", "--acp"] },
];

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&w| w.to_owned()).collect()
}

/// The agents that need no configuration: the four, each over both transports, and the demo agent.
fn built_in(around: &Surroundings) -> BTreeMap<String, AgentSpec> {
    let spec = |kind: String, actor: &str, aliases: &[&str], transport, command, acpx_agent| AgentSpec {
        kind,
        actor: actor.to_owned(),
        aliases: owned(aliases),
        transport,
        command,
        acpx_agent,
        env_allow: Vec::new(),
        env: BTreeMap::new(),
        proxy: None,
        model: None,
        permissions: default_permissions(transport),
        warm: WARM,
    };
    let mut all = Vec::new();
    for b in &BUILT_IN {
        all.push(spec(b.kind.to_owned(), b.actor, b.aliases, Transport::Acp, owned(b.command), None));
        let kind = format!("{}{OVER_ACPX}", b.kind);
        all.push(spec(kind, b.actor, &[], Transport::Acpx, owned(&["acpx"]), Some(b.kind.to_owned())));
    }
    let demo = vec![around.akkctl.to_string_lossy().into_owned(), "demo-agent".to_owned()];
    all.push(spec("demo".to_owned(), "demo", &[], Transport::Acp, demo, None));
    all.into_iter().map(|s| (s.kind.clone(), s)).collect()
}

/// Every agent: the built-in ones with the changes and additions of `tables`. `path` becomes their `PATH`.
pub(super) fn table(
    source: &Source<'_>,
    tables: BTreeMap<Spanned<String>, AgentTable>,
    around: &Surroundings,
    path: Option<&str>,
) -> Result<BTreeMap<String, AgentSpec>, ConfigError> {
    let mut agents = built_in(around);
    // In the order of the file, so that the first wrong place is the one that is named.
    let mut tables: Vec<_> = tables.into_iter().collect();
    tables.sort_by_key(|(name, _)| name.span().start);
    let mut names = Vec::new();
    for (name, table) in tables {
        let kind = name.get_ref().clone();
        checked_name(source, &name, "an agent's name")?;
        names.push((name.span(), kind.clone()));
        for alias in table.aliases.iter().flatten() {
            names.push((alias.span(), kind.clone()));
        }
        let spec = configured(source, &name, table, agents.remove(&kind))?;
        agents.insert(kind, spec);
    }
    no_clash(source, &agents, &names)?;
    for spec in agents.values_mut() {
        if spec.model.is_none() {
            spec.model = default_model(spec, &around.env);
        }
        if spec.proxy.is_none() {
            spec.proxy = default_proxy(spec, &around.env);
        }
        if let Some(path) = path {
            spec.env.entry("PATH".to_owned()).or_insert_with(|| path.to_owned());
        }
    }
    Ok(agents)
}

/// One agent: what its table says, on top of the built-in one if there is one.
fn configured(
    source: &Source<'_>,
    name: &Spanned<String>,
    table: AgentTable,
    base: Option<AgentSpec>,
) -> Result<AgentSpec, ConfigError> {
    let check = Check { source };
    let kind = name.get_ref().clone();
    let transport = match table.transport {
        Some(TransportName::Acp) => Transport::Acp,
        Some(TransportName::Acpx) => Transport::Acpx,
        None => base.as_ref().map_or(Transport::Acp, |b| b.transport),
    };
    let kept_command = base.as_ref().filter(|b| b.transport == transport).map(|b| b.command.clone());
    let command = match (table.command, kept_command, transport) {
        (Some(command), _, _) => check.argv(command)?,
        (None, Some(command), _) => command,
        (None, None, Transport::Acpx) => owned(&["acpx"]),
        (None, None, _) => {
            let message = format!("the agent `{kind}` has no command");
            let hint =
                "Give `command = [\"program\", \"argument\"]`, or `transport = \"acpx\"` for an agent that acpx knows.";
            return Err(source.wrong(name.span(), message, hint));
        }
    };
    let acpx_agent = match (table.acpx_agent, transport) {
        (Some(agent), Transport::Acpx)
            if agent.get_ref().is_empty()
                || agent.get_ref().starts_with('-')
                || agent.get_ref().contains(char::is_control) =>
        {
            let message = format!("`{}` cannot be an agent of acpx", agent.get_ref().escape_debug());
            return Err(source.wrong(agent.span(), message, "Give the name that acpx knows it by, such as `codex`."));
        }
        (Some(agent), Transport::Acpx) => Some(agent.into_inner()),
        (Some(agent), _) => {
            let hint = "Add `transport = \"acpx\"`, or leave `acpx_agent` out.";
            return Err(source.wrong(agent.span(), "`acpx_agent` needs the transport acpx", hint));
        }
        (None, Transport::Acpx) => Some(base.as_ref().and_then(|b| b.acpx_agent.clone()).unwrap_or(kind.clone())),
        (None, _) => None,
    };
    let actor = match table.actor {
        Some(actor) => {
            checked_name(source, &actor, "an actor")?;
            actor.into_inner()
        }
        None => base.as_ref().map_or_else(|| kind.clone(), |b| b.actor.clone()),
    };
    let aliases = match table.aliases {
        Some(aliases) => {
            for alias in &aliases {
                checked_name(source, alias, "an alias")?;
            }
            aliases.into_iter().map(Spanned::into_inner).collect()
        }
        None => base.as_ref().map(|b| b.aliases.clone()).unwrap_or_default(),
    };
    for pattern in &table.env_allow {
        checked_variable(source, pattern, pattern.get_ref().trim_end_matches('*'))?;
    }
    for (variable, value) in &table.env {
        checked_variable(source, variable, variable.get_ref())?;
        if value.contains('\0') {
            let message = format!("the value of `{}` has a NUL in it", variable.get_ref());
            return Err(source.wrong(
                variable.span(),
                message,
                "No program can be given such a variable; leave it out.",
            ));
        }
    }
    for (what, text) in [("model", &table.model), ("proxy", &table.proxy)] {
        if let Some(text) = text
            && (text.get_ref().trim().is_empty() || text.get_ref().contains(char::is_control))
        {
            return Err(source.wrong(
                text.span(),
                format!("`{what}` is empty or no text"),
                "Give a value or leave it out.",
            ));
        }
    }
    let minutes = "Give minutes, 0 to let an agent go after each turn; a week at most.";
    let warm = check.optional(table.warm_minutes, 0..=7 * 24 * 60, minutes)?;
    Ok(AgentSpec {
        kind,
        actor,
        aliases,
        transport,
        command,
        acpx_agent,
        env_allow: table.env_allow.into_iter().map(Spanned::into_inner).collect(),
        env: table.env.into_iter().map(|(name, value)| (name.into_inner(), value)).collect(),
        proxy: table.proxy.map(Spanned::into_inner),
        model: table.model.map(Spanned::into_inner),
        permissions: permissions(source, table.permissions, transport)?,
        warm: warm.map_or(WARM, |m| Duration::from_mins(m.into())),
    })
}

/// Over acpx nobody can be asked; over ACP a person is, unless the owner says otherwise.
fn permissions(
    source: &Source<'_>,
    asked: Option<Spanned<PermissionPolicy>>,
    transport: Transport,
) -> Result<PermissionPolicy, ConfigError> {
    match asked {
        Some(policy) if *policy.get_ref() == PermissionPolicy::Ask && transport != Transport::Acp => {
            let message = format!("over {transport} nobody can be asked for a permission");
            Err(source.wrong(policy.span(), message, "Use `all`, `reads` or `deny`, or `transport = \"acp\"`."))
        }
        Some(policy) => Ok(policy.into_inner()),
        None => Ok(default_permissions(transport)),
    }
}

fn default_permissions(transport: Transport) -> PermissionPolicy {
    if transport == Transport::Acp { PermissionPolicy::Ask } else { PermissionPolicy::All }
}

fn checked_name(source: &Source<'_>, name: &Spanned<String>, what: &str) -> Result<(), ConfigError> {
    let text = name.get_ref();
    if text == "openclaw" {
        let message = format!("`openclaw` cannot be {what}");
        return Err(source.wrong(name.span(), message, "It is the orchestrator's own name; choose another."));
    }
    let fits = !text.is_empty()
        && text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if fits {
        return Ok(());
    }
    let hint = "Use lower-case letters, digits and hyphens, 64 at most, no hyphen in front.";
    Err(source.wrong(name.span(), format!("`{text}` cannot be {what}"), hint))
}

fn checked_variable(source: &Source<'_>, at: &Spanned<String>, name: &str) -> Result<(), ConfigError> {
    if never_passed(name) {
        let message = format!("`{}` is never given to agents", at.get_ref());
        return Err(source.wrong(at.span(), message, "It is akkd's own; leave it out."));
    }
    let whole_pattern = name.is_empty() && at.get_ref() == "*";
    if !whole_pattern && (name.is_empty() || name.contains(['=', '*', '\0']) || name.contains(char::is_whitespace)) {
        let hint = "Give a variable's name; in `env_allow` it may end in `*`.";
        return Err(source.wrong(at.span(), format!("`{}` is not the name of a variable", at.get_ref()), hint));
    }
    Ok(())
}

/// Refuses two agents that answer to the same name. The place is one where the owner wrote a name.
fn no_clash(
    source: &Source<'_>,
    agents: &BTreeMap<String, AgentSpec>,
    written: &[(std::ops::Range<usize>, String)],
) -> Result<(), ConfigError> {
    let mut taken: BTreeMap<&str, &str> = agents.keys().map(|kind| (kind.as_str(), kind.as_str())).collect();
    for spec in agents.values() {
        for alias in &spec.aliases {
            let Some(other) = taken.insert(alias, &spec.kind).filter(|other| *other != spec.kind) else { continue };
            let text = |span: &std::ops::Range<usize>| source.text.get(span.clone()).unwrap_or_default();
            let place = written
                .iter()
                .find(|(span, kind)| (kind == other || *kind == spec.kind) && text(span).contains(alias.as_str()))
                .map(|(span, _)| span.clone())
                .unwrap_or_default();
            let message = format!("both `{other}` and `{}` answer to `{alias}`", spec.kind);
            let is_written =
                written.iter().any(|(span, kind)| *kind == spec.kind && text(span).contains(alias.as_str()));
            let hint = if is_written && other != alias {
                format!("Choose another alias, or take it from `{other}`: [agents.{other}] with other `aliases`.")
            } else {
                format!(
                    "Choose another name, or set the `aliases` of `{}` to those that you want; to change `{}` itself write [agents.{}].",
                    spec.kind, spec.kind, spec.kind
                )
            };
            return Err(source.wrong(place, message, hint));
        }
    }
    Ok(())
}

/// The model from the environment that the predecessor read for this agent over acpx.
fn default_model(spec: &AgentSpec, env: &BTreeMap<String, String>) -> Option<String> {
    let variable = match (spec.transport, spec.acpx_agent.as_deref()) {
        (Transport::Acpx, Some("codex")) => "CODEX_ACPX_MODEL",
        (Transport::Acpx, Some("cursor")) => "CURSOR_ACPX_MODEL",
        _ => return None,
    };
    env.get(variable).map(|m| m.trim()).filter(|m| !m.is_empty()).map(str::to_owned)
}

/// The agent that answers to `name`, in any case of letters.
pub(super) fn find<'a>(agents: &'a BTreeMap<String, AgentSpec>, name: &str) -> Option<&'a AgentSpec> {
    let name = name.trim().to_ascii_lowercase();
    agents.get(&name).or_else(|| agents.values().find(|s| s.aliases.contains(&name)))
}

/// All kinds, for a hint.
pub(super) fn names(agents: &BTreeMap<String, AgentSpec>) -> Vec<String> {
    agents.keys().cloned().collect()
}

impl Config {
    /// The agent that answers to `name_or_alias`.
    ///
    /// # Errors
    /// When there is none: [`ErrorKind::AgentUnavailable`], with the known ones in the hint.
    pub fn agent(&self, name_or_alias: &str) -> Result<&AgentSpec, Failure> {
        find(&self.agents, name_or_alias).ok_or_else(|| {
            let known = names(&self.agents);
            let shown = akk_core::redact::cut(name_or_alias, 60);
            let hint = format!(
                "{} Others are added in {} under [agents.NAME].",
                spelling::suggest(name_or_alias, known.iter().map(String::as_str)),
                self.path.display()
            );
            Failure::new(ErrorKind::AgentUnavailable, format!("there is no agent `{shown}`"), hint)
                .with("agents", known)
        })
    }

    /// The agent kind and the rest, when `request` begins with a name or alias and a colon (`claude: review this`;
    /// the full-width colon counts too).
    pub fn split_alias_prefix<'r>(&self, request: &'r str) -> Option<(&str, &'r str)> {
        let (name, rest) = request.trim_start().split_once([':', '：'])?;
        // `codex://…` is an address, not an order to Codex.
        if name.len() > 64 || name.contains(char::is_whitespace) || rest.starts_with("//") {
            return None;
        }
        find(&self.agents, name).map(|spec| (spec.kind.as_str(), rest.trim_start()))
    }
}

impl AgentSpec {
    /// The agent of the built-in four that this one is at heart: the one whose environment variables it needs.
    pub fn family(&self) -> Option<&'static str> {
        let names = [Some(self.kind.as_str()), self.acpx_agent.as_deref(), Some(self.actor.as_str())];
        names.into_iter().flatten().find_map(|name| {
            let name = name.strip_suffix(OVER_ACPX).unwrap_or(name);
            BUILT_IN.iter().find(|b| b.kind == name || b.actor == name).map(|b| b.kind)
        })
    }
}
