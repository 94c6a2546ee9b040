//! akkd as a service of a real systemd: a manager of a user, started for this story alone.

#![cfg(target_os = "linux")]

use crate::service::Login;
use akk_tests::leash::Leash;
use akk_tests::peers::note_left_out;
use akk_tests::raw::Raw;
use akk_tests::wait_for;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Where the control groups are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";

/// A user manager for one login, in control groups of its own: it takes over all processes of the groups that it starts
/// in, and so must not start in ours. Without `/run/systemd/system` it would not start at all, so that it gets a `/run`
/// of its own.
struct Manager {
    child: Child,
    name: String,
}

impl Manager {
    /// Why there can be none here.
    fn obstacle() -> Option<&'static str> {
        if !nix::unistd::getuid().is_root() {
            Some("only root can give a manager control groups of its own")
        } else if Path::new("/run/systemd/system").exists() {
            Some("a systemd runs here already, whose services are not for tests")
        } else if !Path::new("/lib/systemd/systemd").exists() {
            Some("there is no systemd")
        } else {
            None
        }
    }

    fn start(login: &Login) -> Self {
        let name = format!("akkt-{}", std::process::id());
        // It goes on only when it stands in groups of its own everywhere, but for cpuset, which systemd does not use and
        // which takes nobody before it was set up.
        let script = "set -e
            if [ -f $GROUPS_AT/cgroup.controllers ]; then all=$GROUPS_AT; else all=$(echo $GROUPS_AT/*); fi
            for at in $all; do
              case $at in */cpuset) continue ;; esac
              [ -f $at/cgroup.procs ] || continue
              mkdir -p $at/$GROUP
              echo $$ > $at/$GROUP/cgroup.procs
            done
            if grep -v -e \":/$GROUP\\$\" -e :cpuset: /proc/self/cgroup; then exit 1; fi
            exec unshare -m --propagation private sh -c 'mount -t tmpfs none /run && mkdir -p /run/systemd/system &&
              exec /lib/systemd/systemd --user --unit=basic.target --log-level=warning --log-target=console'";
        let output = std::fs::File::create(login.root().join("systemd.out")).unwrap();
        let child = Command::new("/bin/sh")
            .args(["-c", script])
            .env_clear()
            .envs(login.environment())
            .env("GROUP", &name)
            .env("GROUPS_AT", CGROUPS)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Self { child, name }
    }

    /// Waits until it takes orders; false where it ended instead.
    async fn is_ready(&mut self, login: &Login) -> bool {
        wait_for("the user manager", async || {
            if self.child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            systemctl(login, &["show", "--property=Version"]).starts_with("Version=").then_some(true)
        })
        .await
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
        let groups = std::fs::read_dir(CGROUPS).into_iter().flatten().flatten().map(|e| e.path());
        for group in groups.chain([PathBuf::from(CGROUPS)]) {
            remove_group(&group.join(&self.name));
        }
    }
}

/// Removes a control group with those in it; one with a process in it stays.
fn remove_group(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            remove_group(&entry.path());
        }
    }
    let _ = std::fs::remove_dir(group);
}

fn systemctl(login: &Login, words: &[&str]) -> String {
    let output = Command::new("timeout")
        .args(["60", "systemctl", "--user"])
        .args(words)
        .env_clear()
        .envs(login.environment())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn systemd_starts_restarts_and_lets_go_of_akkd_while_an_agent_works() {
    let story = "systemd_starts_restarts_and_lets_go_of_akkd_while_an_agent_works";
    if let Some(why) = Manager::obstacle() {
        return note_left_out(story, why);
    }
    let login = Login::new();
    for played in ["systemctl", "loginctl"] {
        std::fs::remove_file(login.root().join("bin").join(played)).unwrap();
    }
    let _leash = Leash::on(&[login.root()]);
    let mut manager = Manager::start(&login);
    if !manager.is_ready(&login).await {
        let said = std::fs::read_to_string(login.root().join("systemd.out")).unwrap();
        return note_left_out(story, &format!("no user manager starts here: {}", said.trim()));
    }
    let active = || systemctl(&login, &["is-active", "akkd.service", "akkd-control.socket", "akkd-callback.socket"]);

    // An akkd of nobody's hands its turn over.
    login.ctl(&["daemon", "start"]).await.ok();
    let by_hand = login.pid();
    let task = login.delegate("until go.on\nsay survived all").await;
    let said = login.ctl(&["daemon", "install"]).await.ok();
    assert!(said.stdout.contains(&format!("akkd (process {by_hand})")), "{}", said.stdout);
    assert_eq!(active(), "active\nactive\nactive\n");
    let service = login.pid();
    assert_ne!(service, by_hand);

    // Another start while the agent works, then the end of its turn.
    systemctl(&login, &["restart", "akkd.service"]);
    assert_ne!(login.pid(), service);
    login.home.go_on();
    assert_eq!(login.result(&task).await, "survived all");
    let again = login.ctl(&["daemon", "install"]).await.ok();
    assert!(again.stdout.contains("everything is in place"), "{}", again.stdout);

    // Idle: systemd listens, and the first connection starts it.
    systemctl(&login, &["stop", "akkd.service"]);
    assert_eq!(active(), "inactive\nactive\nactive\n");
    let begun = Instant::now();
    Raw::connect(&login.socket()).unwrap().call("daemon.info", json!({})).unwrap();
    eprintln!("from the first connection to the first answer, by systemd: {:?}", begun.elapsed());
    // It answers a moment before it says that it is ready.
    wait_for("the service to be active", async || (active() == "active\nactive\nactive\n").then_some(())).await;

    // Stopped is stopped, until somebody starts it.
    login.ctl(&["daemon", "stop"]).await.ok();
    assert_eq!(active(), "inactive\ninactive\ninactive\n");
    assert_eq!(login.ctl(&["list"]).await.code, Some(6));
    assert_eq!(active(), "inactive\ninactive\ninactive\n");
    login.ctl(&["daemon", "start"]).await.ok();
    assert_eq!(active(), "active\nactive\nactive\n");

    // Killed, it is there again for whoever asks.
    let killed = login.pid();
    akk_tests::processes::end(killed.try_into().unwrap());
    login.ctl(&["list"]).await.ok();
    assert_ne!(login.pid(), killed);

    login.ctl(&["daemon", "uninstall"]).await.ok();
    assert_eq!(active(), "inactive\ninactive\ninactive\n");
    assert_eq!(login.files(), [""; 0]);
    assert!(!login.socket().exists());
    login.ctl(&["list"]).await.ok();
    assert_ne!(login.pid(), 0, "without a service akkd starts as it did before");
    login.ctl(&["daemon", "stop", "--agents"]).await.ok();
}
