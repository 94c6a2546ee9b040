//! What agents find around them, and what akkd runs on: environment, clock, limits of the system.

use super::short;
use crate::config::has_password;
use crate::platform::Watches;
use akk_proto::Timestamp;
use akk_proto::api::{Check, CheckLevel, check};
use std::collections::BTreeMap;
use std::time::Duration;

/// Variables on which it depends what an agent can do, whose values may be shown.
const SHOWN: [&str; 22] = [
    "HOME",
    "LANG",
    "TZ",
    "TMPDIR",
    "XDG_STATE_HOME",
    "XDG_CONFIG_HOME",
    "CODEX_HOME",
    "CLAUDE_CONFIG_DIR",
    "CURSOR_CONFIG_DIR",
    "NVM_DIR",
    "VOLTA_HOME",
    "npm_config_cache",
    "npm_config_prefix",
    "npm_config_registry",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CODEX_ACPX_MODEL",
    "CURSOR_ACPX_MODEL",
    "NO_PROXY",
    "no_proxy",
    "SSH_AUTH_SOCK",
];
/// Variables that hold a secret: it is shown only that they are set.
const SECRET: [&str; 9] = [
    "OPENAI_API_KEY",
    "CODEX_API_KEY",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "CURSOR_API_KEY",
];
/// Difference of the two clocks that is no jump: NTP slews, and both are not read at the same moment.
const NO_JUMP: i64 = 2_000;
/// A clock that is wrong by more than this is no longer trusted by servers.
const BIG_JUMP: i64 = 5 * 60_000;
/// 2026-01-01: this akkd was made later.
const MADE_AFTER: i64 = 1_767_225_600_000;
/// 2100-01-01.
const FAR: i64 = 4_102_444_800_000;

/// What of an environment may be shown: see [`SHOWN`], proxies without passwords, of secrets that they are set.
pub(super) fn shown(env: &BTreeMap<String, String>, path: Option<&str>) -> BTreeMap<String, String> {
    let visible = |name: &str, value: &str| {
        if SECRET.contains(&name) {
            Some("set".to_owned())
        } else if is_proxy(name) || SHOWN.contains(&name) {
            // A path may have an `@` too.
            let address = is_proxy(name) || value.contains("://");
            Some(if address { without_password(value) } else { value.to_owned() })
        } else {
            None
        }
    };
    let mut shown: BTreeMap<String, String> = env
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| Some((name.clone(), visible(name, value)?)))
        .collect();
    if let Some(path) = path {
        shown.insert("PATH".to_owned(), path.to_owned());
    }
    shown
}

fn is_proxy(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    name.ends_with("_PROXY") && name != "NO_PROXY"
}

/// An address whose part before the at sign is hidden.
fn without_password(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
            format!("{scheme}***@{host}")
        }
        None => address.to_owned(),
    }
}

/// Where agents find programs, and through what they reach the network.
pub(super) fn environment(env: &BTreeMap<String, String>, path: Option<&str>, configured: bool) -> Vec<Check> {
    let line =
        |name: &str, level, found: String, hint: Option<&str>| Check::new(check::AGENTS, name, level, found, hint);
    let Some(path) = path.filter(|p| !p.is_empty()) else {
        let hint = "Set `path` in config.toml.";
        return vec![line("PATH", CheckLevel::Warn, "agents get none, and find no programs".to_owned(), Some(hint))];
    };
    let mut folders: Vec<String> = Vec::new();
    for folder in std::env::split_paths(path).map(|folder| short(&folder, env)) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let whose = if configured { "set in config.toml" } else { "akkd's own" };
    let mut checks = vec![line("PATH", CheckLevel::Ok, format!("{whose}: {}", folders.join(" ")), None)];
    // One with a password does not pass: the configuration's warnings say so.
    let proxies: Vec<String> = env
        .iter()
        .filter(|(name, value)| is_proxy(name) && !value.is_empty() && !has_password(value))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if !proxies.is_empty() {
        checks.push(line("proxy", CheckLevel::Ok, proxies.join(" "), None));
    }
    checks
}

/// The clock, and how far it was set since akkd started: none where that is not known.
pub(super) fn clock(now: Timestamp, jumped: Option<i64>, zone: Option<&str>) -> Check {
    let line = |level, found: String, hint: Option<&str>| Check::new(check::AKKD, "clock", level, found, hint);
    let zone_name =
        zone.map_or_else(|| "in an unknown time zone".to_owned(), |zone| format!("in the time zone {zone}"));
    let found = format!("{now} {zone_name}");
    if now.0 < MADE_AFTER || now.0 > FAR {
        let hint = "Set the clock: servers refuse a machine whose clock is wrong, and times in lists are wrong too.";
        return line(CheckLevel::Fail, format!("{found}: that cannot be"), Some(hint));
    }
    let jump = jumped.filter(|by| by.abs() > NO_JUMP);
    if let Some(by) = jump {
        let far = super::span(by.abs());
        let way = if by > 0 { "ahead" } else { "back" };
        let level = if by.abs() > BIG_JUMP { CheckLevel::Warn } else { CheckLevel::Note };
        let hint = "Deadlines count by the time that really passed; let the clock be set by the network.";
        let hint = (level == CheckLevel::Warn).then_some(hint);
        return line(level, format!("{found}; it was set {way} by {far} since akkd started"), hint);
    }
    let level = if zone.is_none() { CheckLevel::Note } else { CheckLevel::Ok };
    line(level, found, None)
}

/// How far the clock was set since `then`, in milliseconds: what it says passed, less what did.
pub(super) fn jump(then: (Timestamp, Option<Duration>), now: (Timestamp, Option<Duration>)) -> Option<i64> {
    let passed = now.1?.checked_sub(then.1?)?;
    Some(now.0.millis_since(then.0) - i64::try_from(passed.as_millis()).ok()?)
}

/// File watches, where the system limits them.
pub(super) fn watches(watches: Option<Watches>) -> Option<Check> {
    let Watches { used, ours, limit, instances, instance_limit } = watches?;
    let found = format!("{used} of {limit} are used, {ours} by this akkd; {instances} of {instance_limit} watchers");
    let nearly = |used: u64, limit: u64| used.saturating_mul(10) >= limit.saturating_mul(9);
    let (level, hint) = match (nearly(used, limit), nearly(instances, instance_limit)) {
        (true, _) => (
            CheckLevel::Warn,
            Some("Raise the limit: `sudo sysctl fs.inotify.max_user_watches=524288`; without a watch news comes late."),
        ),
        (_, true) => (
            CheckLevel::Warn,
            Some("Raise the limit: `sudo sysctl fs.inotify.max_user_instances=1024`; without a watch news comes late."),
        ),
        _ => (CheckLevel::Ok, None),
    };
    Some(Check::new(check::AKKD, "file watches", level, found, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_line(check: &Check) -> String {
        let hint = check.hint.as_ref().map(|h| format!("\n    {h}")).unwrap_or_default();
        format!("{:?} {}: {}{hint}", check.level, check.name, check.found)
    }

    #[test]
    fn no_secret_of_an_environment_is_shown() {
        let env = [
            ("HOME", "/home/u"),
            ("HTTPS_PROXY", "http://user:geheim@proxy:3128"),
            ("all_proxy", "socks5://geheim@h:1"),
            ("http_proxy", "http://proxy:3128"),
            ("OPENAI_API_KEY", "geheim"),
            ("AWS_SECRET_ACCESS_KEY", "geheim"),
            ("npm_config_registry", "https://u:geheim@npm.example/"),
            ("CODEX_HOME", ""),
        ];
        let env = env.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        let shown = shown(&env, Some("/home/u/bin:/bin"));
        assert!(!format!("{shown:?}").contains("geheim"), "{shown:?}");
        let names: Vec<_> = shown.keys().map(String::as_str).collect();
        let expected =
            ["HOME", "HTTPS_PROXY", "OPENAI_API_KEY", "PATH", "all_proxy", "http_proxy", "npm_config_registry"];
        assert_eq!(names, expected);
        assert_eq!((shown["HTTPS_PROXY"].as_str(), shown["OPENAI_API_KEY"].as_str()), ("http://***@proxy:3128", "set"));
        let lines = environment(&env, Some("/home/u/bin:/bin"), false);
        insta::assert_snapshot!(lines.iter().map(shown_line).collect::<Vec<_>>().join("\n"));
        assert_eq!(environment(&env, None, false)[0].level, CheckLevel::Warn);
    }

    #[test]
    fn the_clock_is_judged_by_its_year_and_by_what_really_passed() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().into();
        let seconds = |n: u64| Some(Duration::from_secs(n));
        let now = at("2026-06-20T14:05:25Z");
        let then = at("2026-06-20T13:05:25Z");
        assert_eq!(jump((then, seconds(10)), (now, seconds(3610))), Some(0));
        assert_eq!(jump((then, seconds(10)), (now, seconds(70))), Some(59 * 60_000));
        assert_eq!(jump((now, seconds(10)), (then, seconds(20))), Some(-3_610_000));
        assert_eq!(jump((then, None), (now, seconds(1))), None);
        let all = [
            clock(now, Some(40), Some("Europe/Berlin")),
            clock(now, None, None),
            clock(now, Some(30_000), Some("UTC")),
            clock(now, Some(-3_610_000), Some("UTC")),
            clock(at("1970-01-01T00:00:03Z"), Some(0), Some("UTC")),
        ];
        insta::assert_snapshot!(all.iter().map(shown_line).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn watches_that_are_nearly_used_up_are_told() {
        let all = |used, instances| {
            watches(Some(Watches { used, ours: 12, limit: 1000, instances, instance_limit: 128 })).unwrap()
        };
        assert_eq!(watches(None), None);
        assert_eq!(all(20, 3).level, CheckLevel::Ok);
        assert!(all(950, 3).hint.unwrap().contains("max_user_watches"));
        assert!(all(20, 127).hint.unwrap().contains("max_user_instances"));
    }
}
