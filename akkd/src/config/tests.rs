use super::*;
use akk_proto::error::{ErrorKind, Failure};
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt as _;

fn around(env: &[(&str, &str)]) -> Surroundings {
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Surroundings { akkctl: "/opt/akk/akkctl".into(), env }
}

fn parse(text: &str) -> Config {
    Config::parse(Path::new("/c/config.toml"), text, &around(&[])).unwrap()
}

/// `line:column message | hint` of what is wrong with `text`.
fn wrong(text: &str) -> String {
    match Config::parse(Path::new("/c/config.toml"), text, &around(&[])) {
        Err(ConfigError::Wrong { line, column, message, hint, .. }) => format!("{line}:{column} {message} | {hint}"),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn without_a_file_the_documented_defaults_hold() {
    let dir = tempfile::tempdir().unwrap();
    let c = Config::load(&dir.path().join("config.toml"), &around(&[])).unwrap();
    assert_eq!((c.soft_limit, c.hard_limit), (50, 100));
    assert_eq!((c.agent_timeout_minutes, c.idle_timeout_minutes), (60, 10_080));
    assert_eq!(c.cancel_grace, Duration::from_secs(10));
    assert_eq!(c.default_agent, "codex");
    assert_eq!(c.recovery_policy, RecoveryPolicy::Auto);
    assert_eq!(c.sink_command, None);
    assert_eq!(c.sink_timeout, Duration::from_mins(1));
    assert!(!c.stop_on_timeout && c.delete_after_days.is_none() && c.warnings.is_empty());
    let kinds: Vec<&str> = c.agents.keys().map(String::as_str).collect();
    assert_eq!(
        kinds,
        ["claude", "claude-acpx", "codex", "codex-acpx", "cursor", "cursor-acpx", "demo", "gemini", "gemini-acpx"]
    );
}

#[test]
fn a_secret_at_the_wrong_place_is_not_repeated() {
    let said = wrong("[agents.a]\ncommand = [\"a\"]\nenv = \"OPENAI_API_KEY=geheim-1234\"\n");
    assert!(said.contains("OPENAI_API_KEY=[redacted]") && !said.contains("geheim"), "{said}");
    let said = wrong("delete_after_days = \"http://me:geheim@proxy:3128\"\n");
    assert!(said.contains("http://[redacted]@proxy") && !said.contains("geheim"), "{said}");
}

#[test]
fn everything_that_can_be_set_is_taken_over() {
    let c = parse(
        r#"
        default_agent = "m"
        recovery_policy = "explicit"
        delete_after_days = 30
        path = "/opt/bin:/bin"
        codex_homes = [{ path = "/srv/codex" }]
        [limits]
        soft = 5
        hard = 6
        [timeouts]
        agent_minutes = 1
        idle_minutes = 2
        cancel_grace_seconds = 3
        stop_on_timeout = true
        [agents.mine]
        command = ["my-agent", "--acp"]
        aliases = ["m"]
        actor = "mine-actor"
        env = { A = "1" }
        env_allow = ["B_*"]
        proxy = "socks5://u:p@h:1"
        model = "big"
        permissions = "reads"
        warm_minutes = 0
        [delivery]
        command = ["notify"]
        timeout_seconds = 7
        [log]
        level = "debug"
        retention_days = 3
        [openclaw]
        url = "ws://127.0.0.1:18789"
        token = "geheim"
        "#,
    );
    assert_eq!(c.default_agent, "mine");
    assert_eq!(c.recovery_policy, RecoveryPolicy::Explicit);
    assert_eq!((c.soft_limit, c.hard_limit, c.agent_timeout_minutes, c.idle_timeout_minutes), (5, 6, 1, 2));
    assert_eq!((c.cancel_grace, c.sink_timeout), (Duration::from_secs(3), Duration::from_secs(7)));
    assert!(c.stop_on_timeout);
    assert_eq!((c.delete_after_days, c.log_retention_days), (Some(30), Some(3)));
    assert_eq!(c.log_level.as_deref(), Some("debug"));
    assert_eq!(c.codex_homes, [PathBuf::from("/srv/codex")]);
    assert_eq!(c.sink_command.as_deref(), Some(&["notify".to_owned()][..]));
    let mine = c.agent("M").unwrap();
    assert_eq!((mine.kind.as_str(), mine.actor.as_str(), mine.transport), ("mine", "mine-actor", Transport::Acp));
    assert_eq!(mine.permissions, PermissionPolicy::Reads);
    assert_eq!(mine.warm, Duration::ZERO);
    assert_eq!(mine.env["PATH"], "/opt/bin:/bin");
    let shown = format!("{c:?}");
    assert!(!shown.contains("geheim") && !shown.contains("u:p"), "secrets in {shown}");
}

#[test]
fn a_wrong_key_is_refused_with_its_place_and_a_suggestion() {
    let text = wrong("[limits]\nsoft = 5\nhrad = 6\n");
    assert_eq!(text, "3:1 unknown key `hrad` | Did you mean `hard`? Known are: soft, hard.");
    let text = wrong("defualt_agent = \"codex\"");
    assert!(text.starts_with("1:1 unknown key `defualt_agent` | Did you mean `default_agent`?"), "{text}");
    let text = wrong("[agents.x]\ncommand = [\"x\"]\n  comand = [\"y\"]\n");
    assert!(text.starts_with("3:3 unknown key `comand` | Did you mean `command`?"), "{text}");
}

#[test]
fn a_wrong_value_is_refused_with_its_place() {
    for (text, expected) in [
        ("[limits]\nsoft = 0", "2:8 a limit of 0 rounds"),
        ("[limits]\nsoft = 9\nhard = 8", "2:8 the soft limit 9 is above the hard limit 8"),
        ("[limits]\nsoft = -1", "2:8 invalid value: integer `-1`"),
        ("[limits]\nsoft = \"5\"", "2:8 invalid type: string \"5\""),
        ("[timeouts]\nagent_minutes = 0", "2:17 0 is out of range"),
        ("[delivery]\ncommand = []", "2:11 the command is empty"),
        ("[delivery]\ncommand = \"notify-send hello\"", "2:11 invalid type: string"),
        ("[log]\nlevel = \"loud\"", "2:9 there is no log level `loud`"),
        ("default_agent = \"kodex\"", "1:17 there is no agent `kodex` | Did you mean `codex`?"),
        ("recovery_policy = \"never\"", "1:19 unknown variant `never`"),
        ("[agents.x]\npermissions = \"maybe\"", "2:15 unknown variant `maybe`"),
        ("[agents.codex]\ntransport = \"acpx\"\npermissions = \"ask\"", "3:15 over acpx nobody can be asked"),
        ("[agents.x]\ntransport = \"codex\"", "2:13 unknown variant `codex`"),
        ("[agents.x]\nmodel = \"m\"", "1:9 the agent `x` has no command"),
        ("[agents.X]\ncommand = [\"x\"]", "1:9 `X` cannot be an agent's name"),
        ("[agents.x]\ncommand = [\"x\"]\nactor = \"openclaw\"", "3:9 `openclaw` cannot be an actor"),
        ("[agents.openclaw]\ncommand = [\"x\"]", "1:9 `openclaw` cannot be an agent's name"),
        ("[agents.x]\ncommand = [\"x\"]\nacpx_agent = \"y\"", "3:14 `acpx_agent` needs the transport acpx"),
        ("[agents.x]\ncommand = [\"x\"]\nenv = { AKK_TICKET = \"1\" }", "3:9 `AKK_TICKET` is never given to agents"),
        ("[agents.x]\ncommand = [\"x\"]\nenv_allow = [\"A=B\"]", "3:14 `A=B` is not the name of a variable"),
        ("[agents.x]\ncommand = [\"x\"]\naliases = [\"c\"]", "3:12 both `codex` and `x` answer to `c`"),
        ("[agents.c]\ncommand = [\"x\"]", "1:9 both `c` and `codex` answer to `c`"),
        ("[openclaw]\nurl = \"http://x\"", "2:7 `http://x` is not a WebSocket address"),
        ("[openclaw]\ntoken = \"a\"\ntoken_file = \"/b\"", "3:14 both `token` and `token_file` are given"),
        ("[[codex_homes]]\npath = \"codex\"", "2:8 `codex` is not an absolute path"),
        ("[limits\nsoft = 5", "1:8 "),
    ] {
        let got = wrong(text);
        assert!(got.starts_with(expected), "{text}\n  expected {expected}\n  got      {got}");
        assert!(got.split_once(" | ").is_some_and(|(_, hint)| hint.ends_with('.')), "no hint: {got}");
    }
}

#[test]
fn a_missing_limit_gives_way_to_the_one_that_is_set() {
    let c = parse("[limits]\nsoft = 300");
    assert_eq!((c.soft_limit, c.hard_limit), (300, 300));
    let c = parse("[limits]\nhard = 10");
    assert_eq!((c.soft_limit, c.hard_limit), (10, 10));
}

#[test]
fn a_file_that_others_could_have_written_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, "[limits]\nsoft = 7\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o620)).unwrap();
    let failure = Failure::from(Config::load(&path, &around(&[])).unwrap_err());
    assert_eq!(failure.kind, ErrorKind::BadConfig);
    assert!(failure.message.ends_with("can be written by others (mode 620)"), "{}", failure.message);
    assert!(failure.hint.contains("chmod go-w"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(Config::load(&path, &around(&[])).unwrap().soft_limit, 7);
    let failure = Failure::from(Config::load(dir.path(), &around(&[])).unwrap_err());
    assert_eq!(failure.kind, ErrorKind::BadConfig);
}

#[test]
fn the_place_of_an_error_is_in_its_details() {
    let e = Config::parse(Path::new("/c/config.toml"), "x = 1", &around(&[])).unwrap_err();
    let failure = Failure::from(e);
    assert_eq!(failure.details["line"], 1);
    assert_eq!(failure.details["file"], "/c/config.toml");
    assert!(failure.message.starts_with("/c/config.toml:1:1: unknown key `x`"), "{}", failure.message);
}

#[test]
fn the_four_agents_are_there_over_both_transports() {
    let c = parse("");
    let codex = c.agent("c").unwrap();
    assert_eq!(codex.command, ["npx", "-y", "@agentclientprotocol/codex-acp@2.6.0"]);
    assert_eq!(c.agent("claude").unwrap().command, ["npx", "-y", "@agentclientprotocol/claude-agent-acp@0.101.0"]);
    assert_eq!(c.agent("ClaudeCode").unwrap().kind, "claude");
    assert_eq!(c.agent("claude").unwrap().actor, "claude-code");
    assert_eq!(c.agent("cursor").unwrap().command, ["cursor-agent", "acp"]);
    assert_eq!(c.agent("gemini").unwrap().command, ["gemini", "--acp"]);
    assert_eq!(c.agent("demo").unwrap().command, ["/opt/akk/akkctl", "demo-agent"]);
    let over = c.agent("claude-acpx").unwrap();
    assert_eq!(
        (over.transport, over.acpx_agent.as_deref(), over.actor.as_str()),
        (Transport::Acpx, Some("claude"), "claude-code")
    );
    assert_eq!(over.command, ["acpx"]);
}

#[test]
fn a_built_in_agent_goes_over_acpx_when_its_table_says_so() {
    let c = parse(
        "[agents.codex]\ntransport = \"acpx\"\ncommand = [\"npx\", \"acpx\"]\n[agents.other]\ntransport = \"acpx\"",
    );
    let codex = c.agent("codex").unwrap();
    assert_eq!((codex.transport, codex.acpx_agent.as_deref()), (Transport::Acpx, Some("codex")));
    assert_eq!(codex.command, ["npx", "acpx"]);
    assert_eq!(codex.aliases, ["c"], "what the table does not name stays");
    let other = c.agent("other").unwrap();
    assert_eq!((other.command.as_slice(), other.acpx_agent.as_deref()), (&["acpx".to_owned()][..], Some("other")));
}

#[test]
fn an_unknown_agent_is_refused_with_the_known_ones() {
    let c = parse("");
    let failure = c.agent("claud").unwrap_err();
    assert_eq!(failure.kind, ErrorKind::AgentUnavailable);
    assert!(failure.hint.starts_with("Did you mean `claude`?"), "{}", failure.hint);
    assert!(failure.hint.contains("gemini"));
    assert!(c.agent(&"x".repeat(100_000)).unwrap_err().message.len() < 200);
}

#[test]
fn an_alias_and_a_colon_select_the_agent_and_are_taken_off() {
    let c = parse("");
    for (request, expected) in [
        ("claude: review this", Some(("claude", "review this"))),
        ("  c：看一下", Some(("codex", "看一下"))),
        ("Claude-Code:fix", Some(("claude", "fix"))),
        ("claude:", Some(("claude", ""))),
        ("claude review this", None),
        ("fix: the build", None),
        ("codex://thread/1 is slow", None),
        ("please, codex: go", None),
        ("", None),
    ] {
        assert_eq!(c.split_alias_prefix(request), expected, "{request}");
    }
}

#[test]
fn the_environment_names_models_and_proxies_as_it_did_for_the_predecessor() {
    let env = around(&[
        ("CODEX_ACPX_MODEL", "gpt-5.5"),
        ("CURSOR_ACPX_MODEL", "auto"),
        ("CODEX_ALL_PROXY", "socks5://127.0.0.1:1080"),
        ("CURSOR_ALL_PROXY", "socks5://me:geheim@h:1"),
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
    ]);
    let c = Config::parse(Path::new("/c"), "[agents.cursor-acpx]\nmodel = \"mine\"", &env).unwrap();
    assert_eq!(c.agents["codex"].model, None, "it is the model over acpx");
    assert_eq!(c.agents["codex-acpx"].model.as_deref(), Some("gpt-5.5"));
    assert_eq!(c.agents["cursor-acpx"].model.as_deref(), Some("mine"));
    assert_eq!(c.agents["codex"].proxy.as_deref(), Some("socks5://127.0.0.1:1080"));
    assert_eq!(c.agents["cursor"].proxy.as_deref(), Some("socks5://127.0.0.1:9"), "the one with a password is ignored");
    assert_eq!(c.agents["gemini"].proxy.as_deref(), Some("socks5://127.0.0.1:9"));
    assert_eq!(c.warnings.len(), 1);
    assert!(c.warnings[0].starts_with("CURSOR_ALL_PROXY holds a password") && !c.warnings[0].contains("geheim"));
}

#[test]
fn an_agent_gets_its_own_variables_and_none_of_akkds() {
    let akkd: BTreeMap<String, String> = [
        ("HOME", "/home/u"),
        ("PATH", "/usr/bin"),
        ("LC_ALL", "C"),
        ("CODEX_HOME", "/x"),
        ("OPENAI_API_KEY", "k"),
        ("ANTHROPIC_API_KEY", "a"),
        ("HTTPS_PROXY", "http://u:p@h:1"),
        ("DATABASE_PASSWORD", "d"),
        ("MINE_A", "1"),
        ("NOTIFY_SOCKET", "n"),
        ("LISTEN_FDS", "2"),
        ("WATCHDOG_USEC", "1"),
        ("AKK_TICKET", "t"),
        ("OPENCLAW_GATEWAY_TOKEN", "g"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .into();
    let c = parse("[agents.codex]\nenv = { EXTRA = \"e\" }\nenv_allow = [\"MINE_*\", \"*\"]\n");
    let env = agent_environment(c.agent("claude").unwrap(), &akkd, None);
    let names: Vec<&str> = env.keys().map(String::as_str).collect();
    assert_eq!(names, ["ANTHROPIC_API_KEY", "HOME", "LC_ALL", "PATH"]);
    let env = agent_environment(c.agent("codex").unwrap(), &akkd, Some("socks5://u:p@h:1"));
    let names: Vec<&str> = env.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "ALL_PROXY",
            "ANTHROPIC_API_KEY",
            "CODEX_HOME",
            "DATABASE_PASSWORD",
            "EXTRA",
            "HOME",
            "LC_ALL",
            "MINE_A",
            "OPENAI_API_KEY",
            "PATH",
            "all_proxy"
        ],
        "`*` lets everything pass but what is akkd's own"
    );
    assert_eq!(env["PATH"], "/usr/bin");
    let env = agent_environment(parse("path = \"/p\"").agent("codex").unwrap(), &akkd, None);
    assert_eq!(env["PATH"], "/p");
}

#[test]
fn an_agent_over_acpx_gets_the_variables_of_its_family() {
    let c = parse(
        "[agents.reviewer]\ntransport = \"acpx\"\nacpx_agent = \"gemini\"\n[agents.mine]\ncommand = [\"m\"]\nactor = \"claude-code\"",
    );
    assert_eq!(c.agent("reviewer").unwrap().family(), Some("gemini"));
    assert_eq!(c.agent("codex-acpx").unwrap().family(), Some("codex"));
    assert_eq!(c.agent("mine").unwrap().family(), Some("claude"));
    assert_eq!(c.agent("demo").unwrap().family(), None);
}

#[test]
fn what_is_no_plain_file_is_refused_and_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("config.toml");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
    for path in [fifo.as_path(), dir.path(), Path::new("/dev/null")] {
        let refused = Config::load(path, &around(&[]));
        assert!(matches!(refused, Err(ConfigError::NotTrusted { .. })), "{refused:?}");
    }
}

#[test]
fn what_no_program_can_be_given_is_refused_with_its_place() {
    for text in [
        "[agents.codex.env]\nA = \"x\\u0000y\"",
        "path = \"/bin\\u0000\"",
        "codex_homes = [{ path = \"/a\\u0000b\" }]",
        "[agents.codex-acpx]\nacpx_agent = \"co\\u0000dex\"",
        "[agents.codex]\ncommand = [\"a\\u0000b\"]",
        "[agents.codex]\nmodel = \"a\\u0000b\"",
    ] {
        let said = wrong(text);
        assert!(!said.ends_with("| ") && !said.contains('\0'), "{text}: {said:?}");
    }
}

/// Configurations of every key with every kind of value, some with one character changed.
fn any_toml() -> impl Strategy<Value = String> {
    let table = prop::sample::select(vec![
        "",
        "[limits]",
        "[timeouts]",
        "[agents.codex]",
        "[agents.mine]",
        "[agents.mine.env]",
        "[agents.\"a b\"]",
        "[agents.codex-acpx]",
        "[delivery]",
        "[log]",
        "[openclaw]",
        "[codex]",
        "[[codex_homes]]",
        "[nonsense]",
    ]);
    let key = prop::sample::select(vec![
        "default_agent",
        "soft",
        "hard",
        "agent_minutes",
        "idle_minutes",
        "cancel_grace_seconds",
        "permission_minutes",
        "stop_on_timeout",
        "recovery_policy",
        "delete_after_days",
        "path",
        "command",
        "aliases",
        "actor",
        "transport",
        "acpx_agent",
        "env",
        "env_allow",
        "proxy",
        "model",
        "permissions",
        "warm_minutes",
        "timeout_seconds",
        "level",
        "retention_days",
        "url",
        "token",
        "token_file",
        "LD_PRELOAD",
        "AKK_TICKET",
        "\"\"",
        "\"\\u0000\"",
    ]);
    let value = prop::sample::select(vec![
        "0",
        "1",
        "-1",
        "60",
        "4294967295",
        "4294967296",
        "99999999999999999999",
        "1.5",
        "nan",
        "true",
        "\"\"",
        "\"codex\"",
        "\"mine\"",
        "\"acp\"",
        "\"acpx\"",
        "\"ask\"",
        "\"auto\"",
        "\"a\\u0000b\"",
        "\"\\u001b[2J\"",
        "\"/bin\"",
        "\"~/x\"",
        "\"http://u:p@h\"",
        "\"http://127.0.0.1:1\"",
        "\"-x\"",
        "[]",
        "[\"\"]",
        "[\"x\", \"y\"]",
        "[\"x\\u0000\"]",
        "[1]",
        "{}",
        "{ A = \"1\" }",
        "{ A = \"\\u0000\" }",
        "1979-05-27",
        "\"é\"",
    ]);
    let line = prop_oneof![
        1 => table.prop_map(str::to_owned),
        4 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
    ];
    let text = prop::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"));
    let changed = (text.clone(), any::<prop::sample::Index>(), any::<char>()).prop_map(|(text, at, c)| {
        let mut chars: Vec<char> = text.chars().chain(['\n']).collect();
        let at = at.index(chars.len());
        chars[at] = c;
        chars.into_iter().collect()
    });
    prop_oneof![4 => text, 2 => changed, 1 => any::<String>()]
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_that_can_be_used_or_is_refused_with_its_place(text in any_toml()) {
        match Config::parse(Path::new("/c/config.toml"), &text, &around(&[("HOME", "/h")])) {
            Ok(c) => {
                prop_assert!(1 <= c.soft_limit && c.soft_limit <= c.hard_limit);
                let ten_years = 1..=akk_proto::limits::MAX_MINUTES;
                prop_assert!(ten_years.contains(&c.agent_timeout_minutes) && ten_years.contains(&c.idle_timeout_minutes));
                prop_assert!(c.agent(&c.default_agent).is_ok());
                for (kind, agent) in &c.agents {
                    prop_assert!(!kind.is_empty() && !agent.command.is_empty());
                    let words = agent.command.iter().chain(agent.env.keys()).chain(agent.env.values());
                    let words = words.chain(&agent.model).chain(&agent.proxy).chain(&agent.acpx_agent);
                    for word in words {
                        prop_assert!(!word.contains('\0'), "{}: {:?}", kind, word);
                    }
                }
            }
            Err(ConfigError::Wrong { line, column, message, hint, .. }) => {
                prop_assert!((1..=text.matches('\n').count() + 1).contains(&line));
                prop_assert!((1..=text.chars().count() + 1).contains(&column));
                prop_assert!(!message.is_empty() && !message.contains('\n') && !hint.is_empty(), "{:?} {:?}", message, hint);
            }
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
