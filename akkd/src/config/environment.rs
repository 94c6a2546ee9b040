//! What an agent finds in its environment, and what akkd's own environment may say about agents.

use super::AgentSpec;
use std::collections::BTreeMap;

/// What every agent gets from akkd's environment: who and where the user is, how text looks, how the network is
/// reached, where common tools keep their things. Names, or prefixes ending in `*`.
pub(super) const FOR_ALL: [&str; 40] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TERM",
    "COLORTERM",
    "TZ",
    "TMPDIR",
    "XDG_*",
    "SSH_AUTH_SOCK",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NVM_DIR",
    "VOLTA_HOME",
    "ASDF_DATA_DIR",
    "MISE_DATA_DIR",
    "PNPM_HOME",
    "npm_config_cache",
    "npm_config_prefix",
    "npm_config_registry",
    "npm_config_userconfig",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "GOPATH",
    "JAVA_HOME",
    // The Nix and macOS ways to find the trust store and the text encoding.
    "NIX_SSL_CERT_FILE",
    "__CF_USER_TEXT_ENCODING",
];

/// What an agent of one family gets besides: its own directories, keys and addresses.
pub(super) fn for_family(family: &str) -> &'static [&'static str] {
    match family {
        "codex" => &["CODEX_HOME", "CODEX_API_KEY", "CODEX_PATH", "OPENAI_*", "AZURE_OPENAI_*"],
        "claude" => &["CLAUDE_CONFIG_DIR", "CLAUDE_CODE_*", "ANTHROPIC_*", "AWS_REGION", "AWS_PROFILE"],
        "gemini" => &["GEMINI_*", "GOOGLE_*"],
        "cursor" => &["CURSOR_API_KEY", "CURSOR_AGENT_*", "CURSOR_CONFIG_DIR"],
        _ => &[],
    }
}

/// What no agent gets, whatever a configuration says: it is addressed to akkd, or one of its secrets.
pub(super) fn never_passed(name: &str) -> bool {
    name == "NOTIFY_SOCKET"
        || ["LISTEN_", "WATCHDOG_", "AKK_", "OPENCLAW_"].iter().any(|prefix| name.starts_with(prefix))
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

/// The environment of an agent: what may pass from `akkd_env`, then what the configuration sets, then `proxy` (of
/// the conversation, else of the agent) as `ALL_PROXY` and `all_proxy`. `PATH` is the configured one, else akkd's.
///
/// akkd's own variables never pass, nor does a proxy address with a password from akkd's environment. What ties the
/// agent to its conversation (`AKK_CONVERSATION`, the ticket) is added by whoever starts it.
pub fn agent_environment(
    spec: &AgentSpec,
    akkd_env: &BTreeMap<String, String>,
    proxy: Option<&str>,
) -> BTreeMap<String, String> {
    let family = spec.family().map_or(&[][..], for_family);
    let may_pass = |name: &str| {
        name == "PATH"
            || FOR_ALL.iter().chain(family).any(|p| fits(p, name))
            || spec.env_allow.iter().any(|p| fits(p, name))
    };
    let mut env: BTreeMap<String, String> = akkd_env
        .iter()
        .filter(|(name, value)| may_pass(name) && !(is_proxy(name) && has_password(value)))
        .chain(&spec.env)
        .filter(|(name, _)| !never_passed(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let Some(proxy) = proxy.or(spec.proxy.as_deref()) {
        for name in ["ALL_PROXY", "all_proxy"] {
            env.insert(name.to_owned(), proxy.to_owned());
        }
    }
    env
}

/// The variables that the predecessor read a proxy from, by agent, in order.
fn proxy_variables(family: Option<&str>) -> &'static [&'static str] {
    match family {
        Some("codex") => &["CODEX_ALL_PROXY", "ALL_PROXY", "all_proxy"],
        Some("cursor") => &["CURSOR_ALL_PROXY", "ALL_PROXY", "all_proxy"],
        _ => &["ALL_PROXY", "all_proxy"],
    }
}

/// The proxy that the environment names for an agent. An address with a password counts only in the configuration,
/// which others cannot read; in the environment it is passed over.
pub(super) fn default_proxy(spec: &AgentSpec, env: &BTreeMap<String, String>) -> Option<String> {
    proxy_variables(spec.family())
        .iter()
        .filter_map(|name| env.get(*name))
        .find(|address| !address.trim().is_empty() && !has_password(address))
        .map(|address| address.trim().to_owned())
}

/// What is passed over in the environment.
pub(super) fn warnings(env: &BTreeMap<String, String>) -> Vec<String> {
    env.iter()
        .filter(|(name, value)| is_proxy(name) && has_password(value))
        .map(|(name, _)| {
            format!(
                "{name} holds a password and is ignored: a proxy with a password belongs into the configuration file"
            )
        })
        .collect()
}

fn is_proxy(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.ends_with("_PROXY") && name != "NO_PROXY"
}

/// Whether an address such as `socks5://user:password@host:1080` holds a password. A name without one counts too:
/// tokens are given so. Nothing else in a proxy's address has an `@`.
pub(crate) fn has_password(address: &str) -> bool {
    address.contains('@')
}
