//! akkd as a service of its user. Where a story needs systemd, it plays systemd's part itself, towards the real akkd
//! and akkctl.

#![cfg(target_os = "linux")]

use akk_proto::api::{ControlClient as _, DelegateAnswer, DelegateParams, WaitParams};
use akk_tests::binaries::binaries;
use akk_tests::raw::Raw;
use akk_tests::{CtlOutput, Home, processes, wait_for};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A user's home without AKK_HOME, as the service knows it, and a systemctl that is played.
pub(crate) struct Login {
    pub(crate) home: Home,
}

impl Login {
    pub(crate) fn new() -> Self {
        let login = Self { home: Home::new() };
        std::fs::DirBuilder::new().mode(0o700).create(login.runtime()).unwrap();
        std::fs::create_dir_all(login.config().join("akk")).unwrap();
        std::fs::create_dir(login.root().join("bin")).unwrap();
        let text = |p: PathBuf| p.to_str().unwrap().to_owned();
        let agent = [
            text(binaries().akkctl.clone()),
            "demo-agent".to_owned(),
            "--pace".to_owned(),
            "0".to_owned(),
            "--store".to_owned(),
            text(login.home.sessions()),
            "--log".to_owned(),
            text(login.home.agent_log()),
        ];
        let config =
            format!("default_agent = \"demo\"\n[agents.demo]\ntransport = \"acp\"\ncommand = {}\n", json!(agent));
        std::fs::write(login.config().join("akk/config.toml"), config).unwrap();
        // It writes down what it is told, says what the story has put into `state`, and fails where the story says so.
        let systemctl = format!(
            "#!/bin/sh\ncd {}\necho \"$*\" >> told\ncase $2 in show) cat state ;; show-environment) ;; esac\n\
             if grep -qx -- \"$2\" failing; then echo \"Failed to $2: played.\" >&2; exit 1; fi\n",
            login.root().display()
        );
        for (name, script) in [("systemctl", systemctl.as_str()), ("loginctl", "#!/bin/sh\necho Linger=no\n")] {
            let path = login.root().join("bin").join(name);
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        for file in ["state", "failing", "told"] {
            std::fs::write(login.root().join(file), "").unwrap();
        }
        login
    }

    pub(crate) fn root(&self) -> &Path {
        self.home.root()
    }

    pub(crate) fn runtime(&self) -> PathBuf {
        self.root().join("rt")
    }

    fn config(&self) -> PathBuf {
        self.home.user().join(".config")
    }

    fn units(&self) -> PathBuf {
        self.config().join("systemd/user")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.runtime().join("akk/akkd.sock")
    }

    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let mut env = self.home.environment();
        env.retain(|(name, _)| name != "AKK_HOME" && name != "PATH");
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", self.root().join("bin").display());
        env.push(("PATH".to_owned(), path));
        env.push(("XDG_RUNTIME_DIR".to_owned(), self.runtime().to_str().unwrap().to_owned()));
        env
    }

    /// Runs akkctl as this user.
    async fn ctl_with(&self, words: &[&str], env: &[(&str, &str)]) -> CtlOutput {
        let mut command = tokio::process::Command::new(&binaries().akkctl);
        command.args(words).env_clear().envs(self.environment()).envs(env.iter().copied());
        command.current_dir(self.home.workspace()).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(90), command.output()).await.unwrap().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        CtlOutput { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    pub(crate) async fn ctl(&self, words: &[&str]) -> CtlOutput {
        self.ctl_with(words, &[]).await
    }

    /// What systemctl was told since the last question, without questions of akkctl.
    fn told(&self) -> Vec<String> {
        let told = std::fs::read_to_string(self.root().join("told")).unwrap();
        std::fs::write(self.root().join("told"), "").unwrap();
        let orders = told.lines().filter(|l| !l.starts_with("--user show"));
        orders
            .map(|l| l.replace("--user ", "").replace("akkd-control.socket akkd-callback.socket", "SOCKETS"))
            .collect()
    }

    /// What systemctl says of the units from now on.
    fn systemd_says(&self, sockets: &str, service: &str, enabled: &str, pid: u32) {
        let mut said = format!("Id=akkd.service\nActiveState={service}\nUnitFileState={enabled}\nMainPID={pid}\n");
        for socket in ["akkd-control.socket", "akkd-callback.socket"] {
            writeln!(said, "\nId={socket}\nActiveState={sockets}\nUnitFileState={enabled}").unwrap();
        }
        std::fs::write(self.root().join("state"), said).unwrap();
    }

    fn failing(&self, verb: &str) {
        std::fs::write(self.root().join("failing"), format!("{verb}\n")).unwrap();
    }

    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.units()).into_iter().flatten();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A task whose agent still works when this returns.
    pub(crate) async fn delegate(&self, script: &str) -> DelegateAnswer {
        let client = akk_proto::client::connect(&self.socket()).await.unwrap();
        let workspace = self.home.workspace().to_str().unwrap().to_owned();
        let params = DelegateParams { request: script.to_owned(), workspace, ..DelegateParams::default() };
        let answer = client.delegate(params).await.unwrap();
        let prompted = async || akk_tests::AgentLog(self.home.agent_log()).prompts(script).pop();
        wait_for("a prompt at the agent", prompted).await;
        answer
    }

    /// What became of it, by the akkd that answers now.
    pub(crate) async fn result(&self, task: &DelegateAnswer) -> String {
        let client = akk_proto::client::connect(&self.socket()).await.unwrap();
        let conversation_id = Some(task.conversation.conversation_id.to_string());
        let params = WaitParams { conversation_id, timeout_ms: Some(60_000), ..WaitParams::default() };
        client.wait(params).await.unwrap().message.unwrap().body
    }

    pub(crate) fn pid(&self) -> u64 {
        let answer = Raw::connect(&self.socket()).unwrap().call("daemon.info", json!({})).unwrap();
        answer["result"]["pid"].as_u64().unwrap()
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        processes::end_all(self.root());
    }
}

const UNITS: [&str; 3] = ["akkd-callback.socket", "akkd-control.socket", "akkd.service"];
const RESET: &str = "reset-failed SOCKETS akkd.service";
const START: &str = "start SOCKETS akkd.service";
const FIRST: [&str; 4] = ["daemon-reload", "enable SOCKETS akkd.service", RESET, START];

#[tokio::test]
async fn systemd_understands_the_units_as_they_are_installed() {
    let login = Login::new();
    let password = [("ALL_PROXY", "socks5://u:geheim@h:1"), ("http_proxy", "http://h:3/%41")];
    let said = login.ctl_with(&["daemon", "install"], &password).await.ok();
    assert!(said.stdout.contains("note: ALL_PROXY holds a password"), "{}", said.stdout);
    assert!(said.stdout.contains("loginctl enable-linger"), "{}", said.stdout);
    assert_eq!(login.files(), UNITS);
    let service = std::fs::read_to_string(login.units().join("akkd.service")).unwrap();
    assert!(!service.contains("geheim"), "{service}");
    assert!(service.contains(&format!("Environment=\"PATH={}/bin:", login.root().display())), "{service}");
    // A part of systemd itself, in Debian and Fedora in the package of that name.
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--user", "--recursive-errors=yes"])
        .args(UNITS.map(|name| login.units().join(name)))
        .env("XDG_RUNTIME_DIR", login.runtime())
        .output()
        .expect("systemd-analyze is needed by this test: `apt-get install systemd`");
    let complaints = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !complaints.contains("akkd"), "{complaints}");
}

#[tokio::test]
async fn an_installation_and_its_end_can_be_repeated() {
    let login = Login::new();
    login.ctl(&["daemon", "install"]).await.ok();
    assert_eq!(login.told(), FIRST);
    login.systemd_says("active", "inactive", "enabled", 0);
    let again = login.ctl(&["daemon", "install"]).await.ok();
    assert_eq!(login.told(), [""; 0], "an idle service that listens is in place: {}", again.stdout);
    // Another PATH is another unit.
    let bin = format!("/opt/new/bin:{}/bin:/usr/bin:/bin", login.root().display());
    login.ctl_with(&["daemon", "install"], &[("PATH", &bin)]).await.ok();
    let restart = ["stop SOCKETS", "stop akkd.service", RESET, START];
    assert_eq!(login.told(), [&FIRST[..2], &restart[..]].concat());
    login.ctl(&["daemon", "uninstall"]).await.ok();
    let end = ["stop SOCKETS", "stop akkd.service", "disable SOCKETS akkd.service", "daemon-reload"];
    assert_eq!(login.told(), [&end[..], &[RESET]].concat());
    assert_eq!(login.files(), [""; 0]);
    let nothing = login.ctl(&["daemon", "uninstall"]).await.ok();
    assert_eq!((nothing.stdout.as_str(), login.told()), ("nothing is installed\n", vec![]));
}

#[tokio::test]
async fn an_installation_that_systemd_refuses_leaves_nothing_behind() {
    let login = Login::new();
    login.failing("enable");
    let refused = login.ctl(&["daemon", "install"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("Failed to enable: played"), "{}", refused.stderr);
    assert_eq!(login.files(), [""; 0]);
    assert_eq!(login.told()[2..4], ["disable --now SOCKETS akkd.service", "daemon-reload"]);
}

#[tokio::test]
async fn a_home_that_a_variable_names_is_not_the_services() {
    let login = Login::new();
    let akk = login.home.akk();
    let refused = login.ctl_with(&["daemon", "install"], &[("AKK_HOME", akk.to_str().unwrap())]).await;
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("Unset both"), "{}", refused.stderr);
    assert_eq!((login.files(), login.told()), (vec![], vec![]));
}

#[tokio::test]
async fn an_akkd_that_runs_by_hand_hands_its_turn_over_to_the_service() {
    let login = Login::new();
    login.ctl(&["daemon", "start"]).await.ok();
    let by_hand = login.pid();
    let task = login.delegate("until go.on\nsay handed over").await;
    let said = login.ctl(&["daemon", "install"]).await.ok();
    assert!(
        said.stdout.contains(&format!("akkd (process {by_hand}), started by hand, was stopped")),
        "{}",
        said.stdout
    );
    assert_eq!(login.told(), FIRST);
    assert!(!login.socket().exists(), "its sockets are gone before systemd makes its own");
    let systemd = Systemd::listen(&login);
    let mut service = systemd.start(&[]);
    login.home.go_on();
    assert_eq!(login.result(&task).await, "handed over");
    systemd.end(&mut service).await;
}

#[tokio::test]
async fn stopping_takes_the_sockets_away_first_and_starting_brings_them_back() {
    let login = Login::new();
    login.ctl(&["daemon", "install"]).await.ok();
    login.told();
    let systemd = Systemd::listen(&login);
    let mut service = systemd.start(&[]);
    systemd.hears("READY=1").await;
    login.systemd_says("active", "active", "enabled", service.id());
    let stopped = login.ctl(&["daemon", "stop"]).await.ok();
    assert!(stopped.stdout.starts_with("akkd is stopped"), "{}", stopped.stdout);
    assert_eq!(login.told(), ["stop SOCKETS", "stop akkd.service"]);
    assert!(service.wait().unwrap().success());
    // The sockets listen still, as they would not if systemd had done as it was told: nobody is woken by a stop.
    login.systemd_says("active", "inactive", "enabled", 0);
    let idle = login.ctl(&["daemon", "stop"]).await.ok();
    assert_eq!(idle.stdout, "akkd is not running\n");
    assert_eq!(login.told(), ["stop SOCKETS", "stop akkd.service"]);
    assert!(systemd.nobody_called(), "a stop connects to nobody when no akkd runs");
    drop(systemd);
    std::fs::remove_file(login.socket()).unwrap();
    login.systemd_says("inactive", "inactive", "enabled", 0);
    let list = login.ctl(&["list"]).await;
    assert_eq!(list.code, Some(6), "{}", list.stderr);
    assert!(list.stderr.contains("a service of yours, which is stopped"), "{}", list.stderr);
    login.failing("start");
    let start = login.ctl(&["daemon", "start"]).await;
    assert!(start.stderr.contains("Failed to start: played"), "{}", start.stderr);
    assert_eq!(login.told(), ["stop akkd.service", RESET, START]);
}

#[tokio::test]
async fn the_first_connection_starts_the_service_and_agents_outlive_it() {
    let login = Login::new();
    let systemd = Systemd::listen(&login);
    // Before anybody serves: the client waits in the socket, as behind systemd's.
    let begun = Instant::now();
    let mut client = Raw::connect(&login.socket()).unwrap();
    client.send(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon.info\",\"params\":{}}\n").unwrap();
    let mut first = systemd.start(&[("WATCHDOG_USEC", "20000000")]);
    let answer = client.receive().unwrap().unwrap();
    eprintln!("from the first connection to the first answer: {:?}", begun.elapsed());
    assert_eq!(answer["result"]["pid"], Value::from(first.id()));
    drop(client);
    systemd.hears("READY=1").await;
    systemd.hears("WATCHDOG=1").await;
    let task = login.delegate("until go.on\nsay outlived").await;
    systemd.end(&mut first).await;
    assert!(login.socket().exists(), "systemd's sockets are systemd's");
    assert!(!processes::of(login.root()).is_empty(), "the agent goes on");
    let mut second = systemd.start(&[]);
    login.home.go_on();
    assert_eq!(login.result(&task).await, "outlived");
    // One more, as by hand or by mistake, says who is there and is not started again.
    let mut third = systemd.start(&[]);
    let told = wait_for("the end of the one too many", async || third.try_wait().unwrap()).await;
    assert_eq!(told.code(), Some(5), "the unit lists it in RestartPreventExitStatus");
    systemd.end(&mut second).await;
}

#[tokio::test]
async fn a_login_without_a_runtime_directory_finds_the_same_socket() {
    let uid = nix::unistd::getuid();
    let usual = PathBuf::from(format!("/run/user/{uid}"));
    let login = Login::new();
    let mut env = login.environment();
    env.retain(|(name, _)| name != "XDG_RUNTIME_DIR");
    let output = Command::new(&binaries().akkctl)
        .args(["daemon", "status"])
        .env_clear()
        .envs(env)
        .env("HOME", login.home.user())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    let expected = if usual.is_dir() { usual.join("akk") } else { login.home.user().join(".local/state/akk/run") };
    assert!(said.contains(expected.to_str().unwrap()), "{said}");
}

/// systemd's part: sockets that listen before akkd runs, and an ear for what akkd says.
struct Systemd<'a> {
    login: &'a Login,
    control: UnixListener,
    callback: UnixListener,
    ear: UnixDatagram,
}

impl<'a> Systemd<'a> {
    fn listen(login: &'a Login) -> Self {
        let folder = login.runtime().join("akk");
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&folder).unwrap();
        let ear = UnixDatagram::bind(login.root().join("notify")).unwrap();
        ear.set_nonblocking(true).unwrap();
        let bind = |name: &str| UnixListener::bind(folder.join(name)).unwrap();
        Self { login, control: bind("akkd.sock"), callback: bind("callback.sock"), ear }
    }

    /// Starts akkd as the unit says. A shell puts the sockets where systemd puts them: 3 and 4.
    fn start(&self, env: &[(&str, &str)]) -> Child {
        let hand = |listener: &UnixListener| Stdio::from(OwnedFd::from(listener.try_clone().unwrap()));
        let output = std::fs::File::options().append(true).create(true).open(self.login.home.daemon_output()).unwrap();
        let script = "exec 3<&0 4<&1 0</dev/null 1>&2; export LISTEN_PID=$$ WATCHDOG_PID=$$; exec \"$0\"";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).arg(&binaries().akkd).current_dir("/");
        command.env_clear().envs(self.login.environment()).envs(env.iter().copied());
        command.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", "control:callback");
        command.env("NOTIFY_SOCKET", self.login.root().join("notify"));
        command.stdin(hand(&self.control)).stdout(hand(&self.callback)).stderr(output);
        command.spawn().unwrap()
    }

    /// Waits until akkd says this.
    async fn hears(&self, what: &str) {
        let mut buffer = [0; 4096];
        let heard = async || {
            let length = self.ear.recv(&mut buffer).ok()?;
            let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
            said.lines().any(|line| line == what).then_some(())
        };
        wait_for(what, heard).await;
    }

    /// Whether no connection waits in the control socket.
    fn nobody_called(&self) -> bool {
        self.control.set_nonblocking(true).unwrap();
        self.control.accept().is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Ends it as `systemctl stop` does: SIGTERM to akkd alone.
    async fn end(&self, child: &mut Child) {
        let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.hears("STOPPING=1").await;
        let status = wait_for("the end of akkd", async || child.try_wait().unwrap()).await;
        assert!(status.success(), "{status}");
    }
}
