//! Hostile surroundings: disks, rows, users, words.

use akk_proto::api::{
    ControlClient as _, DelegateParams, HistoryParams, ListParams, SearchParams, SendParams, SubscribeParams,
};
use akk_proto::conversation::{Need, Status};
use akk_proto::error::ErrorKind;
use akk_proto::limits::{MAX_KINDS, MAX_MINUTES, MAX_PAGE, MAX_SEARCH_CHARS};
use akk_tests::binaries::binaries;
use akk_tests::daemon::params;
use akk_tests::peers::note_left_out;
use akk_tests::raw::Raw;
use akk_tests::{Daemon, Home, Plan, Refusal, wait_for};
use serde_json::json;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small disk at akkd's own folder. Dropped after the akkd that lives on it.
struct SmallDisk {
    at: PathBuf,
    root: PathBuf,
}

impl SmallDisk {
    /// None where disks cannot be mounted: only root can, and not in every container.
    fn below(home: &Home, story: &str) -> Option<Self> {
        let disk = Self { at: home.akk(), root: home.root().to_owned() };
        let mounted = disk.mount(&["-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs"]);
        if !mounted {
            note_left_out(story, "no disk can be mounted here");
            std::mem::forget(disk);
            return None;
        }
        Some(disk)
    }

    fn mount(&self, options: &[&str]) -> bool {
        cfg!(target_os = "linux")
            && Command::new("mount").args(options).arg(&self.at).output().is_ok_and(|o| o.status.success())
    }

    /// Writes until nothing more fits.
    fn fill(&self) {
        let mut ballast = std::fs::OpenOptions::new().append(true).create(true).open(self.ballast()).unwrap();
        for size in [64 << 10, 4 << 10, 1] {
            while ballast.write_all(&vec![b'x'; size]).is_ok() {}
        }
    }

    fn ballast(&self) -> PathBuf {
        self.at.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.at).output();
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

#[tokio::test]
async fn on_a_full_disk_akkd_says_so_loses_nothing_and_goes_on_when_there_is_room() {
    let home = Home::new();
    let Some(disk) = SmallDisk::below(&home, "a full disk") else { return };
    let akkd = Daemon::start_with(Plan::default(), home).await;
    let (id, _) = akkd.done("say before").await;
    akkd.turn_over(&id).await;
    // A turn that is open while the disk is full, and whose end is recorded all the same: space is kept for that.
    let open = akkd.delegate("sleep 600").await.conversation.conversation_id;
    akkd.prompted("sleep 600").await;
    disk.fill();
    akkd.rpc().cancel(params(&open)).await.unwrap();
    akkd.turn_over(&open).await;

    disk.fill();
    let large = "x".repeat(5 << 20);
    let before = akkd.events(&id).await.len();
    let send = SendParams { conversation_id: id.to_string(), message: Some(large.clone()), ..SendParams::default() };
    let refusal = Refusal::of(akkd.rpc().send(send).await.unwrap_err());
    assert_eq!(refusal.kind, ErrorKind::Storage, "{refusal}");
    assert!(refusal.message.contains("full") && !refusal.hint.is_empty(), "{refusal}");
    let refusal = Refusal::of(akkd.rpc().delegate(akkd.task(&large)).await.unwrap_err());
    assert_eq!(refusal.kind, ErrorKind::Storage, "{refusal}");
    // What is there can be read.
    assert_eq!(akkd.events(&id).await.len(), before);
    assert_eq!(akkd.get(&id).await.status, Status::Idle);
    assert!(akkd.ctl(&["list"]).await.ok().stdout.contains("demo"));

    std::fs::remove_file(disk.ballast()).unwrap();
    akkd.send(&id, "say after").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "after");
    akkd.turn_over(&id).await;
    let seqs: Vec<u64> = akkd.events(&id).await.iter().map(|e| e.seq).collect();
    assert!(seqs.iter().copied().eq(1..=seqs.len() as u64), "{seqs:?}");
}

#[tokio::test]
async fn on_a_read_only_disk_akkd_does_not_start_and_says_why() {
    let home = Home::new();
    let Some(disk) = SmallDisk::below(&home, "a read-only disk") else { return };
    let mut akkd = Daemon::start_with(Plan::default(), home).await;
    let (id, _) = akkd.done("say hello").await;
    akkd.stop(true).await;
    assert!(disk.mount(&["-o", "remount,ro"]));
    let mut child = akkd.spawn();
    let status = wait_for("akkd to refuse", async || child.try_wait().unwrap()).await;
    assert!(!status.success());
    let said = std::fs::read_to_string(akkd.home.daemon_output()).unwrap();
    assert!(said.to_lowercase().contains("read-only") && !said.contains("panicked"), "{said}");
    assert!(disk.mount(&["-o", "remount,rw"]));
    akkd.start_again().await;
    assert_eq!(akkd.get(&id).await.status, Status::Idle);
    akkd.send(&id, "say again").await;
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "again");
    akkd.turn_over(&id).await;
}

#[tokio::test]
async fn a_conversation_whose_rows_are_damaged_is_said_to_be_and_others_go_on() {
    let mut akkd = Daemon::start().await;
    let (well, _) = akkd.done("say well").await;
    let mut hurt = Vec::new();
    for _ in 0..3 {
        let id = akkd.delegate("sleep 600").await.conversation.conversation_id;
        hurt.push(id);
    }
    wait_for("three prompts", async || (akkd.agent().prompts("sleep 600").len() == 3).then_some(())).await;
    akkd.stop(true).await;
    let database = rusqlite::Connection::open(akkd.home.akk().join("akk.db")).unwrap();
    for (sql, id) in [
        ("UPDATE states SET state = '{' WHERE ord = (SELECT ord FROM conversations WHERE id = ?1)", &hurt[0]),
        ("UPDATE events SET body = '{}' WHERE conversation = ?1", &hurt[1]),
        ("UPDATE launches SET facts = '', state = 'live' WHERE conversation = ?1", &hurt[2]),
    ] {
        assert!(database.execute(sql, [id.as_str()]).unwrap() > 0, "{sql}");
    }
    drop(database);
    akkd.start_again().await;
    let refusal = Refusal::of(akkd.rpc().get(params(&hurt[0])).await.unwrap_err());
    assert_eq!(refusal.kind, ErrorKind::Storage, "{refusal}");
    assert!(refusal.message.contains(hurt[0].as_str()) && !refusal.hint.is_empty(), "{refusal}");
    let history = HistoryParams { conversation_id: hurt[1].to_string(), ..HistoryParams::default() };
    let refusal = Refusal::of(akkd.rpc().transcript(history).await.unwrap_err());
    assert_eq!(refusal.kind, ErrorKind::Storage, "{refusal}");
    let output = akkd.ctl(&["status", hurt[0].as_str()]).await;
    assert!(output.code == Some(1) && output.stderr.contains(hurt[0].as_str()), "{output:?}");
    assert!(akkd.ctl(&["list", "--all"]).await.ok().stdout.contains("demo"));
    akkd.send(&well, "say still well").await;
    assert_eq!(akkd.wait_need(&well, Need::Done).await.message.unwrap().body, "still well");
    akkd.turn_over(&well).await;
    akkd.done("say and new ones").await;
    // Its states cannot be compared with its histories any more.
    akkd.stop(true).await;
}

/// `nobody`, on Linux and macOS alike as far as this needs it: an id that owns nothing here.
const NOBODY: u32 = 65534;

#[tokio::test]
async fn another_user_of_the_machine_reaches_no_socket_and_is_refused_where_it_does() {
    if !nix::unistd::geteuid().is_root() {
        note_left_out("another user of the machine", "only root can be two users");
        return;
    }
    let akkd = Daemon::start().await;
    // Programs may stand where others cannot go.
    let akkctl = akkd.home.root().join("akkctl");
    std::fs::copy(&binaries().akkctl, &akkctl).unwrap();
    let open = |path: &Path, mode: u32| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    open(&akkctl, 0o755);
    open(akkd.home.root(), 0o711);
    let stranger = |socket: &Path, words: &[&str]| {
        let output = Command::new(&akkctl)
            .args(words)
            .env_clear()
            .env("HOME", "/nowhere")
            .env("AKK_HOME", "/nowhere/akk")
            .env("AKK_SOCKET", socket)
            .env("AKK_CALLBACK_SOCKET", socket)
            .env("AKK_TICKET", "guessed")
            .current_dir("/")
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let report = ["callback", "--conversation", "task-20260620T140525-0a1b2c3d", r#"{"type":"done","body":"x"}"#];
    let asked: [(PathBuf, &[&str]); 2] =
        [(akkd.home.control_socket(), &["list"]), (akkd.home.callback_socket(), &report)];
    for (socket, words) in &asked {
        let (code, said) = stranger(socket, words);
        assert!(code != Some(0) && !said.contains("panicked"), "{said}");
        assert!(!said.contains("belongs to"), "the folder lets nobody in: {said}");
    }
    // Somebody opens every door.
    for path in [akkd.home.akk(), akkd.home.akk().join("run")] {
        open(&path, 0o711);
    }
    for (socket, words) in &asked {
        open(socket, 0o666);
        let (code, said) = stranger(socket, words);
        assert!(code != Some(0), "{said}");
        assert!(said.contains("another user") || said.contains("user"), "akkd itself says no: {said}");
    }
    assert_eq!(akkd.rpc().list(ListParams::default()).await.unwrap().total, 0);
    akkd.done("say its owner is served").await;
    let run = akkd.home.akk().join("run");
    open(&run, 0o700);
}

/// Everything that makes a terminal do something, and what makes a reader misread.
const EVIL: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{8}\u{7f}\u{0}\u{202e}txt\u{2066}\u{200b}\u{feff}\u{2028}";

/// What may not stand in anything that people read.
fn obeyed(text: &str) -> Option<char> {
    text.chars().find(|c| {
        (c.is_control() && *c != '\n' && *c != '\t') || "\u{202e}\u{2066}\u{200b}\u{feff}\u{2028}".contains(*c)
    })
}

#[tokio::test]
async fn no_view_of_akkctl_carries_what_a_terminal_obeys() {
    let akkd = Plan::default().top("").start().await;
    let update = |body: serde_json::Value| format!("update {body}");
    let asked = json!({"type": "blocked", "body": format!("stuck {EVIL}"), "from": "demo", "extra": EVIL}).to_string();
    let script = [
        update(
            json!({"sessionUpdate": "tool_call", "toolCallId": "t", "title": format!("make {EVIL}"), "kind": "execute",
            "status": "completed", "rawInput": {"command": EVIL}}),
        ),
        update(
            json!({"sessionUpdate": "plan", "entries": [{"content": EVIL, "status": "pending", "priority": "low"}]}),
        ),
        format!("stderr err {}", EVIL.replace('\u{0}', "")),
        format!("junk {}", EVIL.replace('\u{0}', "")),
        format!("callbackraw {asked}"),
        format!("say said {EVIL}"),
    ]
    .join("\n");
    let task = DelegateParams { orchestrator: Some("agent:main:main".into()), ..akkd.task(&script) };
    let id = akkd.delegate_as(task).await.conversation.conversation_id;
    akkd.wait_need(&id, Need::Blocked).await;
    akkd.turn_over(&id).await;
    let permission = akkd.delegate(&format!("perm rm {EVIL}")).await.conversation.conversation_id;
    akkd.wait_need(&permission, Need::Permission).await;
    let failed = akkd.delegate(&format!("rpcerror -32000 broke {EVIL}")).await.conversation.conversation_id;
    akkd.wait_need(&failed, Need::Stalled).await;
    let odd = akkd.home.workspace().join("odd \u{1b}[2J\u{202e}");
    std::fs::create_dir(&odd).unwrap();
    let task = DelegateParams { workspace: odd.to_str().unwrap().into(), ..akkd.task("say here") };
    let elsewhere = akkd.delegate_as(task).await.conversation.conversation_id;
    akkd.wait_need(&elsewhere, Need::Done).await;
    akkd.turn_over(&elsewhere).await;

    let ids = [&id, &permission, &failed, &elsewhere].map(|id| id.as_str().to_owned());
    let mut views: Vec<Vec<&str>> = vec![
        vec!["list"],
        vec!["list", "--all"],
        vec!["search", "stuck"],
        vec!["search", EVIL],
        vec!["deliveries"],
        vec!["daemon", "status"],
        vec!["daemon", "logs"],
        vec!["doctor"],
        vec!["wait", "--any", "--timeout", "1"],
        vec!["status", EVIL.trim_end_matches('\u{2028}')],
        vec!["delegate", "--agent", "\u{1b}[2J", "say x"],
        vec!["delegate", "--workspace", "/nowhere/\u{1b}[2J", "say x"],
        vec!["delegate", "--label", "\u{1b}[2J", "say x"],
        vec!["\u{1b}[2J"],
    ];
    for id in &ids {
        for view in [
            &["status"][..],
            &["status", "--trace"],
            &["result"],
            &["transcript"],
            &["wait", "--timeout", "1"],
            &["recover"],
        ] {
            views.push([&[view[0], id.as_str()], &view[1..]].concat());
        }
    }
    let mut shown = String::new();
    let mut bad = Vec::new();
    for view in &views {
        let words: Vec<String> = view.iter().map(|w| w.replace('\u{0}', "")).collect();
        let output = akkd.ctl(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert!(!output.stderr.contains("panicked"), "{view:?}: {output:?}");
        for text in [&output.stdout, &output.stderr] {
            if let Some(c) = obeyed(text) {
                bad.push(format!("{view:?} shows {c:?}: {text:?}"));
            }
        }
        shown.push_str(&output.stdout);
    }
    assert!(bad.is_empty(), "{}", bad.join("\n\n"));
    for word in ["make", "stuck", "said", "rm", "broke", "odd"] {
        assert!(shown.contains(word), "no view shows {word}:\n{shown}");
    }
    assert!(shown.contains("<U+202E>") && shown.contains('␛'), "what is hidden is shown as what it is");
}

#[tokio::test]
async fn what_no_program_no_path_and_no_clock_can_take_is_refused_before_anything_is_recorded() {
    let akkd = Daemon::start().await;
    let inside = akkd.home.workspace();
    let link = inside.join("link");
    std::os::unix::fs::symlink("/nowhere/at/all", &link).unwrap();
    let task = |change: &dyn Fn(&mut DelegateParams)| {
        let mut task = akkd.task("say hi");
        change(&mut task);
        task
    };
    for (name, task) in [
        ("NUL in the workspace", task(&|t| t.workspace.push('\0'))),
        ("a workspace without an end", task(&|t| t.workspace = format!("/{}", "x/".repeat(5000)))),
        ("a link to nowhere", task(&|t| t.workspace = link.to_str().unwrap().into())),
        ("out of the workspace to a file", task(&|t| t.workspace.push_str("/../akkd.out"))),
        ("NUL in the model", task(&|t| t.model = Some("a\0b".into()))),
        ("an option as model", task(&|t| t.model = Some("--yolo".into()))),
        ("an escape in the session", task(&|t| t.session = Some("\u{1b}[2J".into()))),
        ("NUL in the proxy", task(&|t| t.proxy = Some("http://h\0".into()))),
        ("an escape in the label", task(&|t| t.label = Some("\u{1b}[2J".into()))),
        ("an orchestrator of two lines", task(&|t| t.orchestrator = Some("a\nb".into()))),
        ("a time beyond all calendars", task(&|t| t.idle_timeout_minutes = Some(u32::MAX))),
        ("more than ten years", task(&|t| t.agent_timeout_minutes = Some(MAX_MINUTES + 1))),
    ] {
        match akkd.rpc().delegate(task).await {
            Ok(answer) => panic!("{name} was taken: {:#?}", answer.conversation),
            Err(error) => {
                let refusal = Refusal::of(error);
                assert_eq!(refusal.kind, ErrorKind::InvalidParams, "{name}: {refusal}");
                assert!(!refusal.hint.is_empty(), "{name}: {refusal}");
            }
        }
    }
    assert_eq!(akkd.rpc().list(ListParams { all: true, ..ListParams::default() }).await.unwrap().total, 0);

    // Text may hold anything, also what no environment or command line can.
    let (id, answer) = akkd.done("say a\u{0}b\u{1b}c").await;
    assert_eq!(answer.message.unwrap().body, "a\u{0}b\u{1b}c");
    akkd.turn_over(&id).await;
    let task = DelegateParams { hard_limit: Some(u32::MAX), soft_limit: Some(u32::MAX), ..akkd.task("say hi") };
    let task = DelegateParams { idle_timeout_minutes: Some(MAX_MINUTES), ..task };
    let id = akkd.delegate_as(task).await.conversation.conversation_id;
    akkd.wait_need(&id, Need::Done).await;
    akkd.turn_over(&id).await;
}

#[tokio::test]
async fn each_limit_of_the_sockets_is_told_with_its_number() {
    let akkd = Daemon::start().await;
    let (id, _) = akkd.done("say hi").await;
    let page = |limit| ListParams { limit: Some(limit), ..ListParams::default() };
    let mut refusals = Vec::new();
    for limit in [0, MAX_PAGE + 1] {
        refusals.push((Refusal::of(akkd.rpc().list(page(limit)).await.unwrap_err()), MAX_PAGE as usize));
    }
    let search = SearchParams { text: "ü".repeat(MAX_SEARCH_CHARS + 1), limit: None };
    refusals.push((Refusal::of(akkd.rpc().search(search).await.unwrap_err()), MAX_SEARCH_CHARS));
    let kinds = SubscribeParams { kinds: vec!["message".into(); MAX_KINDS + 1], ..SubscribeParams::default() };
    refusals.push((Refusal::of(akkd.rpc().events(kinds).await.map(drop).unwrap_err()), MAX_KINDS));
    for (refusal, limit) in refusals {
        assert!(refusal.to_string().contains(&limit.to_string()), "{limit}: {refusal}");
    }
    assert!(akkd.rpc().list(page(MAX_PAGE)).await.is_ok());

    let mut raw = akkd.raw();
    let long = "r".repeat(129);
    let answer = raw.call("conversation.cancel", json!({"conversation_id": id, "request_id": long})).unwrap();
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    // A line of the callback socket has a smaller limit than one of the control socket.
    let mut callbacks = Raw::connect(&akkd.home.callback_socket()).unwrap();
    let message = "x".repeat(akk_proto::limits::MAX_CALLBACK_REQUEST_BYTES);
    let answer = callbacks.call("callback.report", json!({"conversation_id": id, "ticket": "t", "message": message}));
    assert_eq!(answer.unwrap()["error"]["data"]["kind"], "too_large");
    let answer = callbacks.call("callback.report", json!({"conversation_id": id, "ticket": "t", "message": "x"}));
    assert_eq!(answer.unwrap()["error"]["data"]["kind"], "ticket_refused", "and the connection serves on");
}
