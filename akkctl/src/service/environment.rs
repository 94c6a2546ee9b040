//! What of the shell's environment the service is given, and what it has.

use std::collections::BTreeMap;
use std::path::Path;

/// The variables of the installing shell that the service is given: where programs and homes are, how the network is
/// reached, and what akkd reads a model from. A manager of services knows none of them, since it did not read the
/// user's shell profile. Nothing here is a key or a password: see [`captured`].
pub(crate) const NAMES: [&str; 16] = [
    "PATH",
    "CODEX_HOME",
    "XDG_STATE_HOME",
    "XDG_CONFIG_HOME",
    "CODEX_ACPX_MODEL",
    "CURSOR_ACPX_MODEL",
    "CODEX_ALL_PROXY",
    "CURSOR_ALL_PROXY",
    "ALL_PROXY",
    "all_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// A variable of [`NAMES`] in which the service and this shell differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Its name.
    pub(crate) name: &'static str,
    /// What the service has, fit to be shown: without passwords.
    pub(crate) service: Option<String>,
    /// What this shell has, fit to be shown.
    pub(crate) shell: Option<String>,
}

/// What the service is given of `shell`, by name. A proxy's address with a password or a token is left out, since unit
/// files are no place for secrets: akkd takes such a one from its configuration only. Empty values count as unset.
pub(crate) fn captured(shell: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    let given = NAMES.iter().filter_map(|name| Some((*name, shell(name).filter(|v| !v.is_empty())?)));
    given.filter(|(name, value)| !holds_secret(name, value) && fits(name, value)).collect()
}

/// The names of those that [`captured`] leaves out because of a secret in them.
pub(crate) fn left_out(shell: impl Fn(&str) -> Option<String>) -> Vec<&'static str> {
    NAMES.into_iter().filter(|name| shell(name).is_some_and(|value| holds_secret(name, &value))).collect()
}

/// Where the service's environment differs from the shell's. What only the service has counts too: it may be old.
pub(crate) fn differences(
    service: &BTreeMap<String, String>,
    shell: impl Fn(&str) -> Option<String>,
) -> Vec<Difference> {
    let compared = NAMES.into_iter().map(|name| {
        let service = service.get(name).filter(|v| !v.is_empty()).cloned();
        (name, service, shell(name).filter(|v| !v.is_empty()))
    });
    compared
        .filter(|(_, service, shell)| service != shell)
        .map(|(name, service, shell)| Difference {
            name,
            service: service.map(|v| shown(name, v)),
            shell: shell.map(|v| shown(name, v)),
        })
        .collect()
}

/// `NAME=value` parts, as in `/proc/PID/environ`, separated by `separator`.
pub(crate) fn parsed(text: &str, separator: char) -> BTreeMap<String, String> {
    let pairs = text.split(separator).filter_map(|part| part.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn shown(name: &str, value: String) -> String {
    if holds_secret(name, &value) { "(an address with a password)".to_owned() } else { value }
}

/// Whether a proxy's address holds a password or a token: nothing else in such an address has an `@`. akkd judges so too.
fn holds_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.ends_with("_PROXY") && name != "NO_PROXY" && value.contains('@')
}

/// A folder that is not absolute means another one for the service, whose working directory is not the shell's.
fn fits(name: &str, value: &str) -> bool {
    let folder = name == "CODEX_HOME" || name.starts_with("XDG_");
    !folder || Path::new(value).is_absolute()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str) -> Option<String> {
        let value = match name {
            "PATH" => "/home/u/bin:/usr/bin",
            "ALL_PROXY" => "socks5://u:geheim@h:1",
            "https_proxy" => "http://token@h:2",
            "http_proxy" => "http://h:3",
            "no_proxy" => "a@b,localhost",
            "CODEX_HOME" => "relative",
            "XDG_STATE_HOME" => "/home/u/state",
            "OPENAI_API_KEY" => "sk-1",
            "all_proxy" => "",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn the_service_is_given_no_secret_and_nothing_relative() {
        let given: Vec<_> = captured(shell).into_iter().map(|(name, _)| name).collect();
        assert_eq!(given, ["PATH", "XDG_STATE_HOME", "http_proxy", "no_proxy"]);
        assert_eq!(left_out(shell), ["ALL_PROXY", "https_proxy"]);
    }

    #[test]
    fn a_difference_is_shown_without_its_password() {
        let service = parsed("PATH=/usr/bin\0http_proxy=http://h:3\0ALL_PROXY=\0NO_PROXY=x\0", '\0');
        let found = differences(&service, shell);
        let names: Vec<_> = found.iter().map(|d| d.name).collect();
        assert_eq!(names, ["PATH", "CODEX_HOME", "XDG_STATE_HOME", "ALL_PROXY", "https_proxy", "NO_PROXY", "no_proxy"]);
        assert_eq!(found[0].service.as_deref(), Some("/usr/bin"));
        assert_eq!(found[3].shell.as_deref(), Some("(an address with a password)"));
        assert!(!format!("{found:?}").contains("geheim"));
    }
}
