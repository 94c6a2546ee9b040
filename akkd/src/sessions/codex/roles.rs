//! What a process is to Codex, from its executable and its command line: the program by its file's name, the role by
//! the words. Substrings mean nothing: tools that Codex starts carry its name in their arguments.
//!
//! A program that is not known here is no terminal; when it holds a session's lock it is found by that.

use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A Codex program and what it was told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Launch {
    /// An interpreter that starts the real program (npm's, under node) rather than that program.
    pub(super) wrapper: bool,
    /// What it does.
    pub(super) role: Role,
    /// The session that its words resume. For `fork` they name the source: nothing is known of that then.
    pub(super) resumes: Option<String>,
    /// The directory that its words name (`-C`), as they name it.
    pub(super) directory: Option<PathBuf>,
    /// Whether its words forbid or rule out that it runs a session of its own in this home: a remote server does, or
    /// none is kept.
    pub(super) keeps_no_session: bool,
    /// Whether its words forbid the shared daemon.
    pub(super) no_daemon: bool,
}

/// What a Codex process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// A person's terminal.
    Tui,
    /// One run without a person.
    Exec,
    /// A server for the one client that started it: an app server on stdio, an MCP server.
    Server,
    /// A server on a socket.
    Daemon,
    /// An ACP adapter with Codex inside it, or in front of one.
    AcpAdapter,
    /// Something that runs no session: a sandbox's helper, `login`, `completion` and the like.
    Helper,
}

/// What this program is to Codex; none when it is no Codex.
pub(super) fn classify(executable: Option<&Path>, command: &[String]) -> Option<Launch> {
    let executable = executable.and_then(name_of);
    let called = command.first().and_then(|word| name_of(Path::new(word)));
    if let Some(interpreter) = executable.or(called).filter(|name| is_interpreter(name)) {
        let script = script_of(interpreter, command.get(1..)?)?;
        let program = program(name_of(Path::new(&command[script]))?)?;
        return Some(Launch { wrapper: true, ..program.launch(&command[script + 1..]) });
    }
    let words = command.get(1..).unwrap_or_default();
    match (executable.and_then(program), called) {
        // One file has many faces: it acts as what it is called.
        (Some(Program::Codex(_)), Some(called)) if is_helper(called) => Some(Program::Helper.launch(words)),
        (Some(Program::Codex(role)), Some(called)) => {
            Some(program(called).unwrap_or(Program::Codex(role)).launch(words))
        }
        (Some(program), _) => Some(program.launch(words)),
        // A renamed file that is still called by its name, or one that cannot be read.
        (None, Some(called)) => program(called).map(|p| p.launch(words)),
        (None, None) => None,
    }
}

/// A program of Codex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    /// The command line; those that were built for one role alone have it.
    Codex(Option<Role>),
    AcpAdapter,
    Helper,
}

impl Program {
    fn launch(self, words: &[String]) -> Launch {
        let launch = Launch {
            wrapper: false,
            role: Role::Helper,
            resumes: None,
            directory: None,
            keeps_no_session: false,
            no_daemon: false,
        };
        match self {
            Self::Codex(role) => Reading::of(words, role).into_launch(launch),
            Self::AcpAdapter => Launch { role: Role::AcpAdapter, ..launch },
            Self::Helper => launch,
        }
    }
}

fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// The program with this file name.
fn program(name: &str) -> Option<Program> {
    let name = name.strip_suffix(".exe").or_else(|| name.strip_suffix(".js")).unwrap_or(name);
    let name = name.strip_suffix(".mjs").or_else(|| name.strip_suffix(".cjs")).unwrap_or(name);
    // Wrapping packagers (Nix) put a dot before the name of the real program.
    let variant = name.strip_prefix('.').unwrap_or(name).strip_prefix("codex")?;
    let Some(variant) = variant.strip_prefix(['-', '.', '_']) else {
        return variant.is_empty().then_some(Program::Codex(None));
    };
    // Releases are named after machine or version: codex-x86_64-unknown-linux-musl, codex-linux-arm64, codex-0.169.0.
    let is_build = |v: &str| {
        ["x86_64", "x64", "aarch64", "arm64"].iter().any(|machine| v.split(['-', '.']).any(|part| part == *machine))
            || v.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit())
    };
    match variant {
        "tui" => Some(Program::Codex(Some(Role::Tui))),
        "exec" => Some(Program::Codex(Some(Role::Exec))),
        "app-server" | "mcp-server" => Some(Program::Codex(Some(Role::Server))),
        "acp" => Some(Program::AcpAdapter),
        "cli" | "bin" | "real" | "orig" | "wrapped" | "alpha" | "beta" | "nightly" | "dev" => {
            Some(Program::Codex(None))
        }
        _ if variant.strip_prefix("acp").is_some_and(|v| v.strip_prefix('-').is_some_and(is_build)) => {
            Some(Program::AcpAdapter)
        }
        _ => is_build(variant).then_some(Program::Codex(None)),
    }
}

/// A name under which the command line does another thing (0.169: links in `CODEX_HOME/tmp/arg0*`).
fn is_helper(called: &str) -> bool {
    matches!(called, "apply_patch" | "applypatch") || (called.starts_with("codex-") && program(called).is_none())
}

fn is_interpreter(name: &str) -> bool {
    // With versions in their names: node20, python3.12.
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    matches!(bare, "node" | "nodejs" | "bun" | "deno" | "sh" | "bash" | "dash" | "zsh" | "ksh" | "busybox" | "python")
}

/// Where among `words` plus one the script stands that an interpreter runs; none when it runs no file.
fn script_of(interpreter: &str, words: &[String]) -> Option<usize> {
    let node = interpreter.starts_with("node");
    let mut at = 0;
    while let Some(word) = words.get(at) {
        if word == "--" {
            at += 1;
            break;
        }
        let Some(option) = word.strip_prefix('-') else {
            // `bun run FILE`, `deno run FILE`, `busybox sh FILE`.
            let runs = at == 0 && matches!(interpreter, "bun" | "deno" | "busybox");
            if runs && matches!(word.as_str(), "run" | "sh" | "ash" | "x") {
                at += 1;
                continue;
            }
            break;
        };
        // What is given on the command line is no file.
        if matches!(option, "-eval" | "-print" | "-test" | "-check") || (!option.starts_with('-') && runs_text(option))
        {
            return None;
        }
        let takes_next = node
            && matches!(
                option,
                "r" | "-require"
                    | "-import"
                    | "-loader"
                    | "-experimental-loader"
                    | "C"
                    | "-conditions"
                    | "-env-file"
                    | "-env-file-if-exists"
                    | "-title"
                    | "-icu-data-dir"
                    | "-openssl-config"
                    | "-diagnostic-dir"
                    | "-redirect-warnings"
                    | "-report-dir"
                    | "-report-directory"
                    | "-trace-event-categories"
            );
        at += if takes_next { 2 } else { 1 };
    }
    (at < words.len()).then_some(at + 1)
}

/// Short options of which one says that a program's text follows: `-c`, `-e`, `-p`; python's `-m` names no file.
fn runs_text(option: &str) -> bool {
    !matches!(option, "r" | "C") && option.chars().all(char::is_alphabetic) && option.contains(['c', 'e', 'p', 'm'])
}

/// Long options that take the next word (0.169), without their dashes.
const WITH_VALUE: [&str; 26] = [
    "add-dir",
    "ask-for-approval",
    "cd",
    "cloud-skills-snapshot",
    "code-mode-host",
    "color",
    "config",
    "cyber-access-program",
    "disable",
    "enable",
    "image",
    "listen",
    "local-provider",
    "model",
    "output-last-message",
    "output-schema",
    "profile",
    "remote",
    "remote-auth-token-env",
    "sandbox",
    "session-source",
    "startup-client-info",
    "thread-source",
    "ws-auth",
    "ws-shared-secret-file",
    "ws-token-file",
];

/// Short ones.
const SHORT_WITH_VALUE: [char; 8] = ['C', 'a', 'c', 'i', 'm', 'o', 'p', 's'];

/// A command line, read from the left.
struct Reading<'a> {
    role: Option<Role>,
    positionals: Vec<&'a str>,
    options: Vec<(&'a str, Option<&'a str>)>,
    helper: bool,
}

impl<'a> Reading<'a> {
    fn of(words: &'a [String], role: Option<Role>) -> Self {
        let helper = words.first().is_some_and(|word| word.starts_with("--codex-run-as-"));
        let mut reading = Self { role, positionals: Vec::new(), options: Vec::new(), helper };
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            if word == "--" {
                // A prompt that begins with a dash: it is no command.
                reading.positionals.extend(words.next().map(|_| ""));
                break;
            }
            if let Some(long) = word.strip_prefix("--") {
                match long.split_once('=') {
                    Some((name, value)) => reading.options.push((name, Some(value))),
                    None if WITH_VALUE.contains(&long) => reading.options.push((long, words.next())),
                    None => reading.options.push((long, None)),
                }
            } else if let Some(short) = word.strip_prefix('-').filter(|short| !short.is_empty()) {
                let mut chars = short.chars();
                let takes = chars.next().is_some_and(|c| SHORT_WITH_VALUE.contains(&c));
                let name = &short[..short.len() - chars.as_str().len()];
                match chars.as_str() {
                    "" if takes => reading.options.push((name, words.next())),
                    rest => reading.options.push((name, takes.then(|| rest.trim_start_matches('=')))),
                }
            } else {
                reading.positionals.push(word);
            }
        }
        reading
    }

    fn value(&self, names: [&str; 2]) -> Option<&'a str> {
        self.options.iter().rev().find(|(name, _)| names.contains(name)).and_then(|(_, value)| *value)
    }

    fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(option, _)| *option == name)
    }

    fn into_launch(self, launch: Launch) -> Launch {
        if self.helper || ["help", "version", "h", "V"].iter().any(|option| self.has(option)) {
            return launch;
        }
        let (role, rest) = self.role_and_rest();
        let resumes = (rest.first() == Some(&"resume"))
            .then(|| rest.get(1).and_then(|id| session_id(id)))
            .flatten()
            .filter(|_| !self.has("last"));
        Launch {
            role,
            resumes,
            directory: self.value(["cd", "C"]).map(PathBuf::from),
            keeps_no_session: self.has("remote") || self.has("ephemeral"),
            no_daemon: self.has("no-daemon"),
            ..launch
        }
    }

    /// The role, and the positionals from the word on that may be `resume`.
    fn role_and_rest(&self) -> (Role, &[&'a str]) {
        let all = self.positionals.as_slice();
        let after = all.get(1..).unwrap_or_default();
        match (self.role, all.first().copied()) {
            (Some(role), _) => (role, all),
            (None, Some("exec" | "e")) => (Role::Exec, after),
            (None, Some("review")) => (Role::Exec, &[]),
            (None, None | Some("resume")) => (Role::Tui, all),
            (None, Some("fork" | "agents")) => (Role::Tui, &[]),
            // `proto` was the app server of older versions.
            (None, Some("mcp-server" | "proto")) => (Role::Server, &[]),
            (None, Some("app-server")) => match after.first() {
                Some(_) => (Role::Helper, &[]),
                None if self.has("managed-daemon") => (Role::Daemon, &[]),
                None => match self.value(["listen", "listen"]) {
                    Some(address) if !address.starts_with("stdio") && address != "off" => (Role::Daemon, &[]),
                    _ => (Role::Server, &[]),
                },
            },
            (None, Some(word)) if COMMANDS_WITHOUT_SESSION.contains(&word) => (Role::Helper, &[]),
            // Any other word is a prompt.
            (None, Some(_)) => (Role::Tui, &[]),
        }
    }
}

/// Commands that run no session (0.169 and older).
const COMMANDS_WITHOUT_SESSION: [&str; 28] = [
    "a",
    "apply",
    "archive",
    "cloud",
    "cloud-tasks",
    "completion",
    "debug",
    "delete",
    "doctor",
    "exec-server",
    "execpolicy",
    "features",
    "help",
    "login",
    "logout",
    "mcp",
    "migrate-nfs-db",
    "migrate-rollouts",
    "plugin",
    "queue",
    "remote-control",
    "responses-api-proxy",
    "sandbox",
    "stdio-to-uds",
    "unarchive",
    "update",
    "upgrade",
    "generate-ts",
];

/// The session id in `text`, as Codex writes it: a UUID with small letters. A session's name is none.
pub(super) fn session_id(text: &str) -> Option<String> {
    // Other spellings of a UUID, such as one in braces, are names to Codex.
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten().map(|id| id.hyphenated().to_string())
}

#[cfg(test)]
mod tests;
