//! The real codex on a home of its own, with a scripted model: sessions as people have them.

use crate::home::Home;
use crate::model::Model;
use crate::peers::{self, Peers};
use crate::terminal::Terminal;
use crate::wait::{came, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How long a codex may need to end.
const END_LIMIT: Duration = Duration::from_secs(5);

/// The codex of one story.
pub struct Codex {
    /// What stands behind it.
    pub model: Model,
    peers: &'static Peers,
    home: PathBuf,
    workspace: PathBuf,
    environment: Vec<(String, String)>,
}

impl Codex {
    /// A codex on this home; none where it cannot be had, which is told then.
    pub fn new(home: &Home, story: &str) -> Option<Self> {
        let peers = peers::peers(story)?;
        let folder = home.root().canonicalize().expect("the folder is there").join("codex");
        fs::create_dir(&folder).expect("a fresh home takes a folder");
        let mut environment = home.environment();
        environment.push(("CODEX_HOME".into(), text(&folder)));
        let codex = Self { model: Model::start(), peers, home: folder, workspace: home.workspace(), environment };
        codex.configure("");
        Some(codex)
    }

    /// Writes the configuration; `top` are lines at its top.
    fn configure(&self, top: &str) {
        let config = format!(
            r#"{top}
model = "gpt-fake"
model_provider = "fake"
check_for_update_on_startup = false
# Else keys that come fast are taken for a paste, and Enter for a new line.
disable_paste_burst = true

[model_providers.fake]
name = "fake"
base_url = {url}
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0

# Without this exec waits 5 seconds at its end where there is no network.
[analytics]
enabled = false

# The first would copy 400 MB into this home, the second clones a catalogue into it.
[features]
daemon_auto_start = false
plugins = false

[projects.{workspace}]
trust_level = "trusted"
"#,
            url = json!(self.model.base_url()),
            workspace = json!(text(&self.workspace)),
        );
        fs::write(self.home.join("config.toml"), config).expect("the home takes a file");
    }

    /// `CODEX_HOME`; canonical.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Its native binary.
    pub fn program(&self) -> String {
        text(&self.peers.codex)
    }

    /// The environment of everything that runs here.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// `codex WORDS` in the workspace, not yet started.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.peers.codex);
        command
            .args(words)
            .env_clear()
            .envs(self.environment.iter().cloned())
            .current_dir(&self.workspace)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs `codex WORDS` to its end: exit code and everything that it printed.
    pub async fn run(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.command(words).kill_on_drop(true).output().await.expect("codex can be run");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// A session of one finished turn.
    pub async fn session(&self, prompt: &str) -> String {
        self.session_with(&[], prompt).await
    }

    /// The same with options for `codex exec`.
    pub async fn session_with(&self, options: &[&str], prompt: &str) -> String {
        let mut exec = self.exec(options, prompt).await;
        assert_eq!(exec.ended().await, Some(0), "{}", exec.said);
        exec.session.clone()
    }

    /// Starts `codex exec` and waits until it has told the id of its session.
    pub async fn exec(&self, options: &[&str], prompt: &str) -> Exec {
        let words: Vec<&str> = [&["exec", "--json", "--skip-git-repo-check"], options, &[prompt]].concat();
        let mut child = self.command(&words).kill_on_drop(true).spawn().expect("codex can be run");
        let mut out = BufReader::new(child.stdout.take().expect("it has an output")).lines();
        let first = out.next_line().await.expect("its output can be read").unwrap_or_default();
        let started: Value = serde_json::from_str(&first).unwrap_or_default();
        let Some(session) = started["thread_id"].as_str() else {
            let mut why = String::new();
            let _ = child.stderr.take().expect("it has one").read_to_string(&mut why).await;
            panic!("codex exec began with {first:?}\n{why}");
        };
        Exec { session: session.to_owned(), said: String::new(), child, out }
    }

    /// A person's terminal: codex with a screen, which shows its prompt already. It keeps its sessions to itself.
    pub async fn terminal(&self, words: &[&str]) -> Terminal {
        self.open(vec![self.program(), "--no-daemon".into()], words, &[]).await
    }

    /// The same through the script that npm installs, on a Node before 22.15: two processes, the script's and codex.
    /// (A newer Node becomes codex, so that nothing is to be seen of it.)
    pub async fn wrapped_terminal(&self, words: &[&str]) -> Terminal {
        let argv = vec![text(&self.peers.node), text(&self.peers.codex_wrapper), "--no-daemon".into()];
        let older = "--import=data:text/javascript,process.execve=undefined";
        let older = [("NODE_OPTIONS".to_owned(), older.to_owned())];
        self.open(argv, words, &older).await
    }

    /// The same as a terminal of the daemon that [`shared_daemon`](Self::shared_daemon) started.
    pub async fn shared_terminal(&self, words: &[&str]) -> Terminal {
        self.open(vec![self.program()], words, &[]).await
    }

    /// Starts the daemon that terminals share, as codex starts it, but from where it was installed: by itself, codex
    /// copies itself into its home first.
    pub async fn shared_daemon(&self) -> SharedDaemon {
        let socket = self.home.join("app-server-control/app-server-control.sock");
        let folder = socket.parent().expect("it is in a folder");
        fs::DirBuilder::new().mode(0o700).recursive(true).create(folder).expect("the home takes a folder");
        let listen = format!("unix://{}", text(&socket));
        let mut command = self.command(&["app-server", "--listen", &listen, "--managed-daemon"]);
        // Its group is its own, as with a daemon.
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn();
        let daemon = SharedDaemon { child: child.expect("codex can be run"), socket };
        wait_for("the control socket of the shared daemon", async || UnixStream::connect(&daemon.socket).ok()).await;
        daemon
    }

    async fn open(&self, mut argv: Vec<String>, words: &[&str], more: &[(String, String)]) -> Terminal {
        argv.extend(words.iter().map(|w| (*w).to_owned()));
        let terminal = Terminal::open(&argv, &[&self.environment, more].concat(), &self.workspace);
        terminal.shows("›").await;
        terminal
    }

    /// The rollout of a session.
    pub fn rollout(&self, session: &str) -> PathBuf {
        let is_it = |p: &PathBuf| p.to_str().is_some_and(|p| p.contains(session));
        files(&self.home.join("sessions")).into_iter().find(is_it).expect("a session has a rollout")
    }

    /// Every file of its home, with a digest of what is in it. What the readers of a database share has none: SQLite
    /// notes there who reads.
    pub fn listing(&self) -> BTreeMap<PathBuf, u64> {
        let digest = |path: &PathBuf| {
            let mut hasher = DefaultHasher::new();
            if path.extension().is_none_or(|e| e != "sqlite-shm") {
                fs::read(path).ok()?.hash(&mut hasher);
            }
            Some(hasher.finish())
        };
        files(&self.home).into_iter().filter_map(|path| Some((path.clone(), digest(&path)?))).collect()
    }

    /// The files that are other ones than in a former listing, or came, or went.
    pub fn changes_since(&self, before: &BTreeMap<PathBuf, u64>) -> Vec<PathBuf> {
        let now = self.listing();
        let all: BTreeSet<&PathBuf> = before.keys().chain(now.keys()).collect();
        all.into_iter().filter(|path| before.get(*path) != now.get(*path)).cloned().collect()
    }
}

/// A running `codex exec`. Ended when dropped.
pub struct Exec {
    /// Its session.
    pub session: String,
    /// What it printed, as far as it was read.
    pub said: String,
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
}

impl Exec {
    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it was not waited for")
    }

    /// Waits for its end: its exit code, none when a signal ended it.
    pub async fn ended(&mut self) -> Option<i32> {
        while let Ok(Some(line)) = self.out.next_line().await {
            self.said.push_str(&line);
            self.said.push('\n');
        }
        self.child.wait().await.expect("it can be waited for").code()
    }
}

/// The daemon that terminals share. Ended when dropped.
pub struct SharedDaemon {
    child: Child,
    /// Its control socket.
    pub socket: PathBuf,
}

impl SharedDaemon {
    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it was not waited for")
    }
}

impl SharedDaemon {
    /// SIGKILL, as if the machine's memory had run out. It leaves its socket behind, which the next one replaces.
    pub async fn kill9(mut self) {
        self.child.kill().await.expect("it can be killed");
    }
}

impl Drop for SharedDaemon {
    fn drop(&mut self) {
        end(&mut self.child, Signal::SIGTERM);
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        // What ends its tools too.
        end(&mut self.child, Signal::SIGINT);
    }
}

/// Ends a codex, the hard way where the signal does not do.
fn end(child: &mut Child, signal: Signal) {
    let Some(pid) = child.id() else { return };
    // It may be gone meanwhile, which is what is wanted.
    let _ = kill(Pid::from_raw(pid as i32), signal);
    if !came(END_LIMIT, || matches!(child.try_wait(), Ok(Some(_)))) {
        let _ = child.start_kill();
        came(END_LIMIT, || matches!(child.try_wait(), Ok(Some(_))));
    }
}

/// A person sends a message, once no turn runs any more: while one does, it would go into that one.
pub async fn say(terminal: &Terminal, message: &str) {
    wait_for("the end of the turn on the screen", async || rests(&terminal.shown()).then_some(())).await;
    // codex (0.169) may put a text back that it took while a turn was being broken off: what stands there goes (Ctrl-U).
    terminal.keys("\x15");
    terminal.keys(message);
    terminal.shows(message).await;
    terminal.keys("\r");
}

/// Whether codex shows that the last turn on its screen is over: by how long it took, or by why it broke off.
fn rests(shown: &str) -> bool {
    let said: Vec<usize> = shown.match_indices("\n› ").map(|(at, _)| at).collect();
    // The last one is where the next message is typed.
    let last_turn = said.iter().rev().nth(1).map(|at| &shown[*at..]);
    let over = |turn: &str| turn.contains("Worked for") || turn.contains("■ ");
    !shown.contains("esc to interrupt") && last_turn.is_none_or(over)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            _ => found.push(entry.path()),
        }
    }
    found
}

fn text(path: &Path) -> String {
    path.to_str().expect("paths of the tests are UTF-8").to_owned()
}
