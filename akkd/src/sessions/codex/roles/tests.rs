use super::*;

const ID: &str = "01a20999-b0ab-79b0-8721-7b3650d327c0";
const NATIVE: &str = "/opt/npm/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex";

/// The launch of the program at `executable` with the words of `line`; `ID` stands for a session's id.
fn launch(executable: &str, line: &str) -> Option<Launch> {
    let words: Vec<String> = line.split(' ').map(|word| word.replace("ID", ID)).collect();
    classify(Some(Path::new(executable)).filter(|p| !p.as_os_str().is_empty()), &words)
}

fn role(executable: &str, line: &str) -> Option<Role> {
    launch(executable, line).map(|l| l.role)
}

#[test]
fn the_first_command_says_the_role() {
    for (line, expected) in [
        ("codex", Role::Tui),
        ("codex fix the tests", Role::Tui),
        ("codex --no-daemon", Role::Tui),
        ("codex -m gpt-5 -C /srv/app -s read-only please exec", Role::Tui),
        ("codex -- exec", Role::Tui),
        ("codex resume", Role::Tui),
        ("codex resume ID", Role::Tui),
        ("codex fork ID", Role::Tui),
        ("codex agents", Role::Tui),
        ("codex exec hi", Role::Exec),
        ("codex e hi", Role::Exec),
        ("codex -c model=o3 --enable x exec hi", Role::Exec),
        ("codex -cmodel=o3 --sandbox=read-only --search exec hi", Role::Exec),
        ("codex exec -C /srv resume ID -", Role::Exec),
        ("codex review --base main", Role::Exec),
        ("codex app-server", Role::Server),
        ("codex app-server --listen stdio://", Role::Server),
        ("codex app-server --analytics-default-enabled", Role::Server),
        ("codex mcp-server", Role::Server),
        ("codex app-server --listen unix:///h/app-server-control/app-server-control.sock", Role::Daemon),
        ("codex app-server --listen unix:///h/c.sock --managed-daemon", Role::Daemon),
        ("codex app-server --listen=ws://127.0.0.1:4500", Role::Daemon),
        ("codex -c a=b app-server --listen unix:// --managed-daemon", Role::Daemon),
        ("codex app-server proxy", Role::Helper),
        ("codex app-server daemon status", Role::Helper),
        ("codex app-server generate-ts", Role::Helper),
        ("codex login", Role::Helper),
        ("codex login --device-auth", Role::Helper),
        ("codex logout", Role::Helper),
        ("codex mcp list", Role::Helper),
        ("codex sandbox linux ls", Role::Helper),
        ("codex completion bash", Role::Helper),
        ("codex doctor", Role::Helper),
        ("codex exec-server --listen ws://127.0.0.1:0", Role::Helper),
        ("codex queue --thread ID --message hi", Role::Helper),
        ("codex remote-control start", Role::Helper),
        ("codex --version", Role::Helper),
        ("codex exec --help", Role::Helper),
        ("codex --codex-run-as-apply-patch patch", Role::Helper),
        ("codex --codex-run-as-fs-helper", Role::Helper),
    ] {
        assert_eq!(role(NATIVE, line), Some(expected), "{line}");
    }
}

#[test]
fn a_program_is_known_by_its_file_not_by_its_arguments() {
    for (executable, line, expected) in [
        ("/usr/local/bin/codex", "codex", Some(Role::Tui)),
        ("/opt/codex-x86_64-unknown-linux-musl", "codex exec hi", Some(Role::Exec)),
        ("/opt/codex-aarch64-apple-darwin", "/opt/codex-aarch64-apple-darwin resume ID", Some(Role::Tui)),
        ("/opt/codex-linux-arm64", "codex", Some(Role::Tui)),
        ("/opt/codex-0.169.0", "codex", Some(Role::Tui)),
        ("/nix/store/x-codex/bin/.codex-wrapped", "codex exec hi", Some(Role::Exec)),
        ("/home/a/.codex/packages/standalone/current/codex", "cx", Some(Role::Tui)),
        ("/opt/tool-7", "codex exec hi", Some(Role::Exec)),
        ("", "codex exec hi", Some(Role::Exec)),
        ("/opt/codex-exec", "codex-exec hi", Some(Role::Exec)),
        ("/opt/codex-app-server", "codex-app-server", Some(Role::Server)),
        ("/opt/codex-acp", "codex-acp", Some(Role::AcpAdapter)),
        ("/opt/codex-acp-linux-x64", "codex-acp", Some(Role::AcpAdapter)),
        // One file, called by the name of a helper.
        (NATIVE, "codex-linux-sandbox --sandbox-policy-cwd /w -- bash -c codex", Some(Role::Helper)),
        (NATIVE, "/h/tmp/arg0-linux/codex-arg0BZ3atc/codex-linux-sandbox --sandbox-policy-cwd /w", Some(Role::Helper)),
        (NATIVE, "/h/tmp/arg0/codex-arg0x/apply_patch", Some(Role::Helper)),
        (NATIVE, "codex-execve-wrapper ls", Some(Role::Helper)),
        // What only speaks of Codex.
        ("/x/codex-resources/bwrap", "bwrap --ro-bind / / -- codex exec hi", None),
        ("/x/bin/codex-code-mode-host", "codex-code-mode-host", None),
        ("/usr/bin/sleep", "sleep 300", None),
        ("/usr/bin/vim", "vim /home/a/.codex/config.toml", None),
        ("/usr/bin/tail", "tail -f /home/a/.codex/sessions/rollout-codex.jsonl", None),
        ("/usr/bin/tmux", "tmux new-session codex --no-daemon", None),
        ("/usr/bin/ssh", "ssh host codex", None),
        ("/opt/codexmonitor", "codexmonitor", None),
        ("/opt/codex-usage", "codex-usage", None),
        ("", "sleep codex", None),
    ] {
        assert_eq!(role(executable, line), expected, "{executable}: {line}");
    }
    assert_eq!(classify(None, &[]), None);
    assert_eq!(role(NATIVE, ""), Some(Role::Tui));
}

#[test]
fn an_interpreter_that_runs_a_file_named_codex_is_a_wrapper() {
    for (executable, line, expected) in [
        ("/usr/bin/node", "node /usr/lib/node_modules/@openai/codex/bin/codex.js", Some(Role::Tui)),
        ("/usr/bin/node", "node /usr/local/bin/codex exec hi", Some(Role::Exec)),
        ("/usr/bin/node", "node --no-warnings /w/node_modules/.bin/codex resume ID", Some(Role::Tui)),
        ("/usr/bin/node", "node --require /x/codex.js /w/codex app-server", Some(Role::Server)),
        ("/usr/bin/node", "node --max-old-space-size=4096 -r x -- /w/codex mcp-server", Some(Role::Server)),
        ("/usr/bin/node20", "node /w/codex login", Some(Role::Helper)),
        ("/usr/bin/bun", "bun run /w/codex.js exec hi", Some(Role::Exec)),
        ("/bin/bash", "/bin/bash /usr/local/bin/codex exec hi", Some(Role::Exec)),
        ("/usr/bin/node", "node /w/node_modules/.bin/codex-acp", Some(Role::AcpAdapter)),
        ("", "node /w/codex exec hi", Some(Role::Exec)),
        ("/bin/bash", "bash -c codex", None),
        ("/bin/bash", "bash -lc codex", None),
        ("/bin/bash", "-bash", None),
        ("/usr/bin/node", "node -e codex codex", None),
        ("/usr/bin/node", "node --eval codex", None),
        ("/usr/bin/node", "node", None),
        ("/usr/bin/node", "node server.js codex", None),
        ("/usr/bin/node", "node /usr/bin/npx @openai/codex", None),
        ("/usr/bin/python3.12", "python3 -m codex", None),
    ] {
        assert_eq!(role(executable, line), expected, "{executable}: {line}");
        assert!(launch(executable, line).is_none_or(|l| l.wrapper), "{line}");
    }
    assert!(!launch(NATIVE, "codex").unwrap().wrapper);
}

#[test]
fn only_a_resume_by_id_names_the_session_that_runs() {
    for (line, expected) in [
        ("codex resume ID", true),
        ("codex --no-daemon -m x resume --all -C /w ID go on", true),
        ("codex exec --json -s read-only resume --model m --skip-git-repo-check ID -", true),
        ("codex resume --last", false),
        ("codex resume --last ID", false),
        ("codex resume", false),
        ("codex resume my-session", false),
        ("codex resume 01a20999", false),
        ("codex fork ID", false),
        ("codex exec fork ID", false),
        ("codex exec ID", false),
        ("codex ID", false),
        ("codex exec tell me how to resume ID", false),
        ("codex -- resume ID", false),
        ("codex archive ID", false),
    ] {
        let resumes = launch(NATIVE, line).unwrap().resumes;
        assert_eq!(resumes.as_deref(), expected.then_some(ID), "{line}");
    }
    assert_eq!(session_id(&ID.to_uppercase()).as_deref(), Some(ID));
    assert_eq!(session_id(&format!("{{{ID}}}")), None);
    assert_eq!(session_id(&ID.replace('-', "")), None);
}

#[test]
fn options_say_where_a_session_works_and_whether_it_can_be_this_homes() {
    let seen = |line| {
        let launch = launch(NATIVE, line).unwrap();
        (launch.directory.map(|d| d.display().to_string()), launch.keeps_no_session, launch.no_daemon)
    };
    assert_eq!(seen("codex"), (None, false, false));
    assert_eq!(seen("codex --no-daemon --cd /w"), (Some("/w".to_owned()), false, true));
    assert_eq!(seen("codex -C/w"), (Some("/w".to_owned()), false, false));
    assert_eq!(seen("codex exec -C sub --ephemeral hi"), (Some("sub".to_owned()), true, false));
    assert_eq!(seen("codex --remote ws://host:1"), (None, true, false));
}
