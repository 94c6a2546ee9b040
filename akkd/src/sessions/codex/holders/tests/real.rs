//! With real processes. A stand-in is a copy of bash named like the program: `codex -c SCRIPT WORD…` runs the script,
//! and to whoever reads its command line it is Codex with one `-c` option and these words.
#![cfg(target_os = "linux")]

use super::super::super::locks::{LockHolder, lock_holder};
use super::*;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStdin, Command, Stdio};

/// A Codex home, a directory to work in and the stand-ins, in a temporary folder.
struct Lab {
    _folder: tempfile::TempDir,
    home: PathBuf,
    work: PathBuf,
    bin: PathBuf,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let lab = Self { home: root.join("home"), work: root.join("work"), bin: root.join("bin"), _folder: folder };
        for folder in [lab.locks(), lab.home.join("sessions/2026/11/23"), lab.work.clone(), lab.bin.clone()] {
            std::fs::create_dir_all(folder).unwrap();
        }
        for name in ["codex", "node", "tool"] {
            // By another process: a descriptor of this one, open for writing, could leak into a child of another test.
            assert!(Command::new("cp").arg("/bin/bash").arg(lab.bin.join(name)).status().unwrap().success());
        }
        lab
    }

    fn locks(&self) -> PathBuf {
        self.home.join("thread-writer-locks")
    }

    fn lock(&self, id: &str) -> PathBuf {
        self.locks().join(format!("{id}.lock"))
    }

    fn rollout(&self, id: &str) -> PathBuf {
        self.home.join(format!("sessions/2026/11/23/rollout-2026-11-23T18-10-04-{id}.jsonl"))
    }

    fn run(&self, program: &str, words: &[&str]) -> Running {
        Running::start(
            Command::new(self.bin.join(program)).args(words).current_dir(&self.work).env("CODEX_HOME", &self.home),
        )
    }

    /// `codex` with these words, running `script` first.
    fn codex(&self, script: &str, words: &[&str]) -> Running {
        let script = format!("{script}\necho ready; read x");
        self.run("codex", &[&["-c", &script], words].concat())
    }

    /// A script that takes the lock of `id`: a child takes it (`flock`) and hands it to the stand-in.
    fn taking(&self, id: &str) -> String {
        format!("exec {{fd}}<>'{}'; flock -n $fd || exit 1;", self.lock(id).display())
    }

    fn writing(&self, id: &str) -> String {
        format!("exec {{fd}}>>'{}';", self.rollout(id).display())
    }

    fn look(&self) -> Look {
        look(std::slice::from_ref(&self.home)).unwrap()
    }

    fn holders(&self, id: &str) -> Vec<Holder> {
        let look = self.look();
        assert_eq!(look.incomplete_for(&self.home, id), Vec::<String>::new());
        look.holders_of(&self.home, id, Some(&self.work))
    }

    /// Who runs the session, and by what.
    fn evidence(&self, id: &str) -> Vec<(u32, &'static str)> {
        self.holders(id).iter().map(|h| (h.identity.pid, h.evidence.as_str())).collect()
    }
}

/// A process that waits for a line or for the end of its input; ended when dropped.
struct Running {
    child: Child,
    input: Option<ChildStdin>,
    said: String,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        while !said.ends_with("ready\n") {
            assert_ne!(output.read_line(&mut said).unwrap(), 0, "it ended early: {said}");
        }
        Self { input: child.stdin.take(), child, said }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn end(&mut self) {
        self.input.take().unwrap().write_all(b"\n").unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Not killed: at the end of its input it ends by itself, and ends what it started.
        drop(self.input.take());
        self.child.wait().unwrap();
    }
}

#[test]
fn who_holds_the_lock_runs_the_session_until_it_ends() {
    let lab = Lab::new();
    let mut tui = lab.codex(&format!("{}{}", lab.taking(A), lab.writing(A)), &["--no-daemon"]);
    let holders = lab.holders(A);
    assert_eq!(holders.len(), 1);
    let holder = &holders[0];
    assert_eq!((holder.identity.pid, holder.kind, holder.evidence), (tui.pid(), ProcessKind::Tui, Evidence::Lock));
    assert_eq!(holder.executable.as_deref(), lab.bin.join("codex").to_str());
    assert_eq!(holder.cwd.as_deref(), lab.work.to_str());
    assert_eq!(holder.identity, ProcessIdentity::of(tui.pid()).unwrap().unwrap());
    let age = akk_proto::Timestamp::from(jiff::Timestamp::now()).millis_since(holder.started_at.unwrap());
    assert!((-2_000..60_000).contains(&age), "started {age} ms ago");
    assert_eq!(lock_holder(&lab.home, A).unwrap(), LockHolder::Process(holder.identity.clone()));
    // It stands in the directory of the other session, too; what it holds says that it does not run it.
    assert!(lab.evidence(B).is_empty());

    tui.end();
    assert!(lab.lock(A).exists(), "the lock's file stays, as after a kill");
    assert!(lab.evidence(A).is_empty());
    assert_eq!(lock_holder(&lab.home, A).unwrap(), LockHolder::Nobody);
}

#[test]
fn a_rollout_held_open_for_writing_names_the_session_and_reading_it_does_not() {
    let lab = Lab::new();
    let exec = lab.codex(&lab.writing(A), &["exec", "-"]);
    let reader = lab.codex(&format!("exec 7<'{}'", lab.rollout(A).display()), &["mcp-server"]);
    assert_eq!(lab.evidence(A), [(exec.pid(), "rollout")]);
    assert_eq!(lab.look().live_sessions(&lab.home)[0].kind, ProcessKind::Exec);
    drop(reader);
}

#[test]
fn without_locks_and_rollouts_words_and_then_the_directory_are_what_is_known() {
    let lab = Lab::new();
    let resumed = lab.codex("", &["resume", A]);
    let standing = lab.codex("", &[]);
    let login = lab.codex("", &["login"]);
    let ephemeral = lab.codex("", &["exec", "--ephemeral", "-"]);
    assert_eq!(lab.evidence(A), [(resumed.pid(), "argv"), (standing.pid(), "cwd")]);
    assert_eq!(lab.evidence(B), [(standing.pid(), "cwd")]);
    assert_eq!(lab.look().suspected_directories(&lab.home), std::slice::from_ref(&lab.work));
    let elsewhere = lab.look().holders_of(&lab.home, B, Some(&lab.home));
    assert!(elsewhere.is_empty());
    drop((login, ephemeral));
}

#[test]
fn a_terminal_next_to_a_daemon_is_its_client_and_suspected_of_nothing() {
    let lab = Lab::new();
    let daemon = lab.codex(&lab.taking(A), &["app-server", "--listen", "unix:///c.sock", "--managed-daemon"]);
    let client = lab.codex("", &[]);
    assert_eq!(lab.evidence(A), [(daemon.pid(), "lock")]);
    assert_eq!(lab.holders(A)[0].kind, ProcessKind::Daemon);
    assert!(lab.evidence(B).is_empty());
    let alone = lab.codex("", &["--no-daemon"]);
    assert_eq!(lab.evidence(B), [(alone.pid(), "cwd")]);
    drop(client);
}

#[test]
fn a_wrapper_and_what_was_started_are_relatives_and_no_holders() {
    let lab = Lab::new();
    let inner = format!(
        "{}sleep 60 & echo $!; CODEX_THREAD_ID={A} sleep 60 & echo $!; echo ready; read x; kill %1 %2",
        lab.taking(A)
    );
    let script = lab.bin.join("codex.js");
    std::fs::write(
        &script,
        format!("'{}' -c '{}' \"$@\"\n:", lab.bin.join("codex").display(), inner.replace('\'', "'\\''")),
    )
    .unwrap();
    let mut wrapper = lab.run("node", &[script.to_str().unwrap(), "--no-daemon"]);
    let started: Vec<u32> = wrapper.said.lines().filter_map(|l| l.parse().ok()).collect();
    let holders = lab.holders(A);
    assert_eq!(holders.len(), 1);
    assert_eq!((holders[0].kind, holders[0].evidence), (ProcessKind::Tui, Evidence::Lock));
    assert_ne!(holders[0].identity.pid, wrapper.pid());
    let mut relatives: Vec<u32> = holders[0].relatives.iter().map(|r| r.identity.pid).collect();
    let mut expected = [&[wrapper.pid()], started.as_slice()].concat();
    relatives.sort_unstable();
    expected.sort_unstable();
    assert_eq!(relatives, expected);
    assert!(holders[0].relatives.iter().any(|r| r.command.get(1).is_some_and(|w| w.ends_with("codex.js"))));
    assert!(lab.evidence(B).is_empty());
    wrapper.end();
}

#[test]
fn a_wrapper_whose_program_is_not_there_yet_counts_as_it() {
    let lab = Lab::new();
    let script = lab.bin.join("codex.js");
    std::fs::write(&script, "echo ready; read x").unwrap();
    let wrapper = lab.run("node", &[script.to_str().unwrap(), "resume", A]);
    assert_eq!(lab.evidence(A), [(wrapper.pid(), "argv")]);
}

#[test]
fn a_program_that_was_replaced_while_it_runs_is_still_known() {
    let lab = Lab::new();
    let tui = lab.codex(&lab.taking(A), &["resume", B]);
    std::fs::remove_file(lab.bin.join("codex")).unwrap();
    assert_eq!(lab.evidence(A), [(tui.pid(), "lock")]);
    assert_eq!(lab.holders(A)[0].kind, ProcessKind::Tui);
    assert_eq!(lab.holders(A)[0].executable.as_deref(), lab.bin.join("codex").to_str());
}

#[test]
fn one_process_holds_several_sessions() {
    let lab = Lab::new();
    let tui = lab.codex(&format!("{}{}", lab.taking(A), lab.taking(B)), &[]);
    assert_eq!(lab.evidence(A), [(tui.pid(), "lock")]);
    assert_eq!(lab.holders(A)[0].also_holds, [B]);
    let live: Vec<String> = lab.look().live_sessions(&lab.home).into_iter().map(|l| l.session_id).collect();
    assert_eq!(live, [A, B]);
}

#[test]
fn a_lock_that_a_program_of_another_name_holds_is_held_all_the_same() {
    let lab = Lab::new();
    // The program that took it has ended: only the descriptor of the stand-in tells.
    let script = format!("{}echo ready; read x", lab.taking(A));
    let tool = lab.run("tool", &["-c", &script]);
    assert_eq!(lab.evidence(A), [(tool.pid(), "lock")]);
    assert_eq!(lab.holders(A)[0].kind, ProcessKind::Unknown);
    assert!(matches!(lock_holder(&lab.home, A).unwrap(), LockHolder::Process(p) if p.pid == tool.pid()));
    // Taken by the very process that holds it: this one.
    let file = std::fs::File::create(lab.lock(B)).unwrap();
    file.lock().unwrap();
    assert_eq!(lab.evidence(B), [(std::process::id(), "lock")]);
    assert!(matches!(lock_holder(&lab.home, B).unwrap(), LockHolder::Process(p) if p.pid == std::process::id()));
    file.unlock().unwrap();
    assert!(lab.evidence(B).is_empty());
    assert_eq!(lock_holder(&lab.home, B).unwrap(), LockHolder::Nobody);
}

#[test]
fn a_descriptor_that_a_child_inherited_is_its_parents() {
    let lab = Lab::new();
    let tui = lab.codex(&format!("{}sleep 60 & trap 'kill %1' EXIT;", lab.taking(A)), &[]);
    assert_eq!(lab.evidence(A), [(tui.pid(), "lock")]);
    assert_eq!(lab.holders(A)[0].relatives.len(), 1);
}

#[test]
fn a_home_behind_a_link_is_the_same_home() {
    let lab = Lab::new();
    let link = lab.bin.join("link");
    std::os::unix::fs::symlink(&lab.home, &link).unwrap();
    let script = format!("{}echo ready; read x", lab.taking(A));
    let mut command = Command::new(lab.bin.join("codex"));
    command.args(["-c", &script]).current_dir(&lab.work).env("CODEX_HOME", &link);
    let tui = Running::start(&mut command);
    let mut command = Command::new(lab.bin.join("codex"));
    command
        .args(["-c", "echo ready; read x", "resume", B])
        .env_remove("CODEX_HOME")
        .env("HOME", lab.home.parent().unwrap());
    std::os::unix::fs::symlink(&lab.home, lab.home.parent().unwrap().join(".codex")).unwrap();
    let default = Running::start(&mut command);
    for home in [&lab.home, &link] {
        let look = look(std::slice::from_ref(home)).unwrap();
        let pids = |id| look.holders_of(home, id, None).iter().map(|h| h.identity.pid).collect::<Vec<_>>();
        assert_eq!(pids(A), [tui.pid()]);
        assert_eq!(pids(B), [default.pid()]);
    }
}

#[test]
fn what_akkd_started_names_its_conversation() {
    let lab = Lab::new();
    let mut command = Command::new(lab.bin.join("codex"));
    let script = format!("{}echo ready; read x", lab.taking(A));
    command.args(["-c", &script, "exec", "-"]).env("CODEX_HOME", &lab.home).env("AKK_LAUNCH", "l");
    let id = "task-20260101T000000-00000000";
    let exec = Running::start(command.env("AKK_CONVERSATION", id));
    let holder = lab.holders(A).remove(0);
    assert_eq!(holder.identity.pid, exec.pid());
    assert_eq!(holder.view.conversation_id.as_ref().map(ToString::to_string).as_deref(), Some(id));
    assert_eq!(holder.view.command[0], lab.bin.join("codex").display().to_string());
}

#[test]
fn a_codex_that_hides_its_files_leaves_the_facts_incomplete() {
    let lab = Lab::new();
    // A program that may be run but not read is hidden from everybody but root.
    std::fs::set_permissions(lab.bin.join("codex"), std::fs::Permissions::from_mode(0o111)).unwrap();
    let tui = lab.codex(&lab.taking(A), &[]);
    let look = lab.look();
    let of_it: Vec<_> =
        look.incomplete_for(&lab.home, A).into_iter().filter(|s| s.contains(&tui.pid().to_string())).collect();
    if rustix::process::geteuid().is_root() {
        assert!(of_it.is_empty(), "{of_it:?}");
        assert_eq!(lab.evidence(A), [(tui.pid(), "lock")]);
    } else {
        assert!(!of_it.is_empty());
        assert!(look.holders_of(&lab.home, A, None).iter().all(|h| h.evidence > Evidence::Rollout));
    }
}

#[test]
fn who_waits_for_a_lock_does_not_hold_it() {
    let lab = Lab::new();
    let holder = lab.codex(&lab.taking(A), &[]);
    let script = format!("exec 7<>'{}'; flock 7 & echo ready; read x; kill %1", lab.lock(A).display());
    let mut waiting = lab.run("codex", &["-c", &script, "exec", "-"]);
    assert_eq!(lab.evidence(A), [(holder.pid(), "lock")]);
    assert!(matches!(lock_holder(&lab.home, A).unwrap(), LockHolder::Process(p) if p.pid == holder.pid()));
    waiting.end();
}

#[test]
fn a_session_that_is_none_of_codex_is_refused() {
    let lab = Lab::new();
    for id in ["", "../state_5.sqlite", "my-session"] {
        assert_eq!(lock_holder(&lab.home, id).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    assert_eq!(lock_holder(&lab.home.join("missing"), A).unwrap(), LockHolder::Nobody);
    assert!(look(&[lab.home.join("missing")]).unwrap().live_sessions(&lab.home.join("missing")).is_empty());
}
