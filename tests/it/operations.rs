//! Every operation as a person or a script uses it: through akkctl.

use akk_proto::api::{
    CancelAnswer, ControlClient as _, DelegateAnswer, DeleteAnswer, GetAnswer, HistoryAnswer, ListAnswer, ResultAnswer,
    SearchAnswer, SendAnswer, StreamItem, SubscribeParams, WaitAnswer, WaitParams,
};
use akk_proto::conversation::{Need, Status};
use akk_proto::error::ErrorKind;
use akk_proto::event::TurnOutcome;
use akk_tests::daemon::params;
use akk_tests::raw::Raw;
use akk_tests::{Daemon, Home, Plan, Refusal, ctl, wait_for};
use nix::sys::signal::Signal;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader};

#[tokio::test]
async fn the_whole_life_of_a_conversation_by_command_line() {
    let akkd = Daemon::start().await;
    let started: DelegateAnswer = akkd.ctl(&["--json", "delegate", "ask Which way?"]).await.ok().json();
    let id = started.conversation.conversation_id.clone();
    let short = &id.as_str()[id.as_str().len() - 8..];

    let asked = akkd.ctl(&["--json", "wait", short]).await;
    assert_eq!(asked.code, Some(3), "a question needs someone");
    let asked: WaitAnswer = asked.json();
    assert_eq!((asked.need, asked.message.unwrap().body.as_str()), (Some(Need::Question), "Which way?"));
    akkd.turn_over(&id).await;

    let sent: SendAnswer = akkd.ctl(&["--json", "send", "@last", "tool go\nsay left it is"]).await.ok().json();
    assert_eq!(sent.conversation.conversation_id, id);
    let done = akkd.ctl(&["--json", "wait", short, "--timeout", "60"]).await.ok();
    assert_eq!(done.json::<WaitAnswer>().need, Some(Need::Done));

    let list: ListAnswer = akkd.ctl(&["--json", "list"]).await.ok().json();
    assert_eq!((list.total, list.conversations[0].status), (1, Status::Idle));
    let got: GetAnswer = akkd.ctl(&["--json", "status", short]).await.ok().json();
    assert_eq!(got.conversation.conversation_id, id);
    assert!(!got.events.is_empty() && got.events.len() <= 10);
    let result: ResultAnswer = akkd.ctl(&["--json", "result", short]).await.ok().json();
    assert_eq!(result.result.outcome, Some(TurnOutcome::Completed));
    assert_eq!(result.result.message.unwrap().body, "left it is");
    assert!(result.result.usage.is_some(), "the agent told its usage");
    let history: HistoryAnswer = akkd.ctl(&["--json", "transcript", short]).await.ok().json();
    assert!(history.events.windows(2).all(|w| w[0].seq + 1 == w[1].seq && w[0].cursor < w[1].cursor));
    let found: SearchAnswer = akkd.ctl(&["--json", "search", "left"]).await.ok().json();
    assert!(found.hits.iter().any(|h| h.conversation_id == id));

    let idle: CancelAnswer = akkd.ctl(&["--json", "cancel", short]).await.ok().json();
    assert!(idle.nothing_to_cancel);
    let refused = akkd.ctl(&["delete", short]).await;
    assert_eq!(refused.code, Some(5), "an open conversation is not deleted: {refused:?}");
    let closed: CancelAnswer = akkd.ctl(&["--json", "close", short, "--reason", "that was all"]).await.ok().json();
    assert_eq!(closed.conversation.close_reason.as_deref(), Some("that was all"));
    assert_eq!(akkd.ctl(&["--json", "wait", short]).await.code, Some(1), "closed");
    let gone: DeleteAnswer = akkd.ctl(&["--json", "delete", short]).await.ok().json();
    assert_eq!(gone.conversation_id, id);
    assert_eq!(akkd.ctl(&["status", id.as_str()]).await.code, Some(4));
}

#[tokio::test]
async fn what_people_read_names_what_matters_and_carries_no_control_characters() {
    let akkd = Daemon::start().await;
    let script = "tool make\nsay \u{1b}[31mred\u{1b}[0m \u{7}ding";
    let id = akkd.delegate(script).await.conversation.conversation_id;
    akkd.wait_need(&id, Need::Done).await;
    for (words, expected) in [
        (&["list"][..], &["idle", "demo"][..]),
        (&["list", "--all"], &["idle"]),
        (&["status", "@last"], &["idle", "demo"]),
        (&["status", "@last", "--trace"], &["make"]),
        (&["result", "@last"], &["red"]),
        (&["transcript", "@last"], &["red", "make"]),
        (&["search", "ding"], &["ding"]),
        (&["daemon", "status"], &[&akkd.pid().to_string()]),
        (&["deliveries"], &[]),
    ] {
        let output = akkd.ctl(words).await.ok();
        for word in expected {
            assert!(output.stdout.contains(word), "{words:?} lacks {word}:\n{}", output.stdout);
        }
        let control = output.stdout.chars().find(|c| c.is_control() && *c != '\n' && *c != '\t');
        assert_eq!(control, None, "{words:?}:\n{:?}", output.stdout);
    }
}

#[tokio::test]
async fn delegate_waits_when_asked_and_shows_progress_meanwhile() {
    let akkd = Daemon::start().await;
    let output = akkd.ctl(&["delegate", "--wait", "callback progress half way\ntool ls\nsay all done"]).await.ok();
    assert!(output.stdout.contains("all done"), "{output:?}");
    assert!(output.stderr.contains("half way"), "{output:?}");
    let output = akkd.ctl(&["delegate", "--wait", "ask Really?"]).await;
    assert_eq!(output.code, Some(3));
    assert!(output.stdout.contains("Really?"), "{output:?}");
    let output = akkd.ctl(&["delegate", "--wait", "tool ls\ncrash 3"]).await;
    assert_eq!(output.code, Some(3), "stalled needs someone: {output:?}");
    let output = akkd.ctl(&["delegate", "--wait", "callback error it broke"]).await;
    assert_eq!(output.code, Some(1));
    let output = akkd.ctl(&["delegate", "--wait", "--timeout", "1", "sleep 30"]).await;
    assert_eq!(output.code, Some(7));
}

#[tokio::test]
async fn requests_come_from_files_and_pipes_too() {
    let akkd = Daemon::start().await;
    let piped = ctl::run_with_input(&akkd.home, &["delegate", "--wait", "-"], b"say from a pipe").await.ok();
    assert!(piped.stdout.contains("from a pipe"));
    let file = akkd.home.root().join("request");
    std::fs::write(&file, "say from a file").unwrap();
    let output = akkd.ctl(&["delegate", "--wait", "--request-file", file.to_str().unwrap()]).await.ok();
    assert!(output.stdout.contains("from a file"));
    let output = akkd.ctl(&["delegate", "--wait", "--", "--not-a-flag"]).await;
    assert_ne!(output.code, Some(2), "a text may begin with dashes: {output:?}");
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let akkd = Plan::default().tables("[agents.absent]\ncommand = [\"/nowhere/agent\"]").start().await;
    for n in 0..5 {
        akkd.done(&format!("say {n}")).await;
    }
    let stuck = akkd.ctl(&["--json", "delegate", "--agent", "absent", "say x"]).await;
    let code = stuck.code;
    let stuck: DelegateAnswer = stuck.json();
    // Where the machine is busy the answer may come before the failure.
    let works = stuck.conversation.status != Status::Stalled;
    assert_eq!(code, Some(i32::from(!works)), "it is there, but nothing works on it");
    let stuck = stuck.conversation.conversation_id;
    akkd.wait_need(&stuck, Need::Stalled).await;
    let by_agent: ListAnswer = akkd.ctl(&["--json", "list", "--agent", "absent"]).await.ok().json();
    assert_eq!((by_agent.total, &by_agent.conversations[0].conversation_id), (1, &stuck));
    let by_status: ListAnswer = akkd.ctl(&["--json", "list", "--status", "idle"]).await.ok().json();
    assert_eq!(by_status.total, 5);
    let first: ListAnswer = akkd.ctl(&["--json", "list", "--limit", "4"]).await.ok().json();
    let after = first.next.clone().unwrap();
    let second: ListAnswer = akkd.ctl(&["--json", "list", "--limit", "4", "--after", &after]).await.ok().json();
    assert_eq!((first.conversations.len(), second.conversations.len(), second.next), (4, 2, None));
    assert!(first.conversations.windows(2).all(|w| w[0].updated_at >= w[1].updated_at), "newest activity first");
    akkd.ctl(&["close", stuck.as_str()]).await.ok();
    let open: ListAnswer = akkd.ctl(&["--json", "list"]).await.ok().json();
    let all: ListAnswer = akkd.ctl(&["--json", "list", "--all"]).await.ok().json();
    assert_eq!((open.total, all.total), (5, 6));
}

#[tokio::test]
async fn events_are_followed_live_and_resumed_without_loss() {
    let akkd = Daemon::start().await;
    let (id, _) = akkd.done("say first").await;
    let past = akkd.events(&id).await;
    let mut stream = akkd.rpc().events(SubscribeParams { since: Some(0), ..SubscribeParams::default() }).await.unwrap();
    let mut seen = Vec::new();
    loop {
        match stream.next().await.unwrap().unwrap() {
            StreamItem::Event(e) => seen.push(*e),
            StreamItem::Live { .. } => break,
            gap @ StreamItem::Gap { .. } => panic!("{gap:?}"),
        }
    }
    assert_eq!(seen, past);
    let middle = seen[2].cursor;
    drop(stream);
    let resume = SubscribeParams { since: Some(middle), conversation_id: Some(id.to_string()), kinds: vec![] };
    let mut stream = akkd.rpc().events(resume).await.unwrap();
    akkd.send(&id, "say second").await;
    let mut resumed = Vec::new();
    while resumed.iter().filter(|e: &&akk_proto::event::EventRecord| e.body.name() == "turn_ended").count() < 2 {
        if let StreamItem::Event(e) = stream.next().await.unwrap().unwrap() {
            resumed.push(*e);
        }
    }
    let all = akkd.events(&id).await;
    let expected: Vec<_> = all.into_iter().filter(|e| e.cursor > middle).take(resumed.len()).collect();
    assert_eq!(resumed, expected);
}

#[tokio::test]
async fn transcript_and_events_go_on_live_by_command_line() {
    let akkd = Daemon::start().await;
    let (id, _) = akkd.done("say first").await;
    for words in [&["transcript", id.as_str(), "--follow"][..], &["--json", "events", "--follow", "--since", "0"]] {
        let mut child = ctl::command(&akkd.home, words).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while !lines.next_line().await.unwrap().expect("it goes on").contains("first") {}
        let say = format!("say live {}", words.len());
        akkd.send(&id, &say).await;
        while !lines.next_line().await.unwrap().expect("it goes on").contains(&format!("live {}", words.len())) {}
        child.kill().await.unwrap();
        akkd.turn_over(&id).await;
    }
}

#[tokio::test]
async fn a_loop_of_wait_any_misses_nothing_between_its_calls() {
    let akkd = Daemon::start().await;
    let any = |since| WaitParams { any: true, since, timeout_ms: Some(0), ..WaitParams::default() };
    let mut cursor = akkd.rpc().wait(any(None)).await.unwrap().cursor;
    let mut expected = Vec::new();
    for _ in 0..3 {
        expected.push(akkd.done("say news").await.0);
    }
    for id in expected {
        let shell = cursor.unwrap().to_string();
        let told = akkd.ctl(&["--json", "wait", "--any", "--since", &shell, "--timeout", "0"]).await;
        let answer = akkd.rpc().wait(any(cursor)).await.unwrap();
        assert_eq!(answer.conversation.unwrap().conversation_id, id);
        assert_eq!(told.json::<WaitAnswer>().cursor, answer.cursor);
        cursor = answer.cursor;
    }
    let answer = akkd.rpc().wait(any(cursor)).await.unwrap();
    assert!(answer.timed_out && answer.cursor >= cursor);
    let refusal = Refusal::of(akkd.rpc().wait(any(Some(u64::MAX >> 1))).await.unwrap_err());
    assert_eq!(refusal.kind, ErrorKind::InvalidParams);
    let unknown = SubscribeParams { kinds: vec!["turn_endde".into()], ..SubscribeParams::default() };
    let refusal = Refusal::of(akkd.rpc().events(unknown).await.map(drop).unwrap_err());
    assert_eq!(refusal.kind, ErrorKind::InvalidParams);
    assert!(refusal.hint.contains("turn_ended"), "{}", refusal.hint);
}

#[tokio::test]
async fn wait_any_tells_what_changes_after_the_call() {
    let akkd = Daemon::start().await;
    akkd.done("say old news").await;
    let nothing = WaitParams { any: true, timeout_ms: Some(300), ..WaitParams::default() };
    let answer = akkd.rpc().wait(nothing).await.unwrap();
    assert!(answer.timed_out && answer.conversation.is_none());
    let client = akkd.connect().await;
    let waiting = tokio::spawn(async move {
        let any = WaitParams { any: true, timeout_ms: Some(60_000), ..WaitParams::default() };
        client.wait(any).await.unwrap()
    });
    // The call is on its way when akkd has answered one that came after it on the same machine; until then try anew.
    let mut news = Vec::new();
    wait_for("news", async || {
        news.push(akkd.done("say news").await.0);
        waiting.is_finished().then_some(())
    })
    .await;
    let answer = waiting.await.unwrap();
    assert_eq!(answer.need, Some(Need::Done));
    assert!(news.contains(&answer.conversation.unwrap().conversation_id));
}

#[tokio::test]
async fn akkctl_starts_akkd_by_itself_and_stops_it() {
    let home = Home::new();
    let output = ctl::run(&home, &["--json", "list"]).await.ok();
    assert_eq!(output.json::<ListAnswer>().total, 0);
    assert!(Raw::connect(&home.control_socket()).is_ok());
    ctl::run(&home, &["daemon", "stop", "--agents"]).await.ok();
    wait_for("akkd to be gone", async || akk_tests::processes::of(home.root()).is_empty().then_some(())).await;
    assert_eq!(ctl::run(&home, &["daemon", "status"]).await.code, Some(6));
    ctl::run(&home, &["daemon", "start"]).await.ok();
    ctl::run(&home, &["daemon", "status"]).await.ok();
    let logs = ctl::run(&home, &["daemon", "logs"]).await.ok();
    assert!(!logs.stdout.is_empty());
    ctl::run(&home, &["daemon", "stop", "--agents"]).await.ok();
    wait_for("akkd to be gone", async || akk_tests::processes::of(home.root()).is_empty().then_some(())).await;
}

#[tokio::test]
async fn ten_akkctl_at_once_start_one_akkd() {
    let home = Home::new();
    let calls = (0..10).map(|_| ctl::run(&home, &["--json", "daemon", "start"]));
    for output in futures_util::future::join_all(calls).await {
        output.ok();
    }
    let akkds = akk_tests::processes::of(home.root());
    assert_eq!(akkds.len(), 1, "{akkds:#?}");
    ctl::run(&home, &["daemon", "stop", "--agents"]).await.ok();
    wait_for("akkd to be gone", async || akk_tests::processes::of(home.root()).is_empty().then_some(())).await;
}

#[tokio::test]
async fn leaving_a_wait_with_ctrl_c_leaves_the_work_running() {
    let akkd = Daemon::start().await;
    let mut command = ctl::command(&akkd.home, &["delegate", "--wait", "until go.on\nsay went on"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    akkd.prompted("until go.on\nsay went on").await;
    let pid = nix::unistd::Pid::from_raw(child.id().unwrap() as i32);
    // Tests that were started in the background of a shell, and all that they start, know no Ctrl-C.
    let leave = if akk_tests::processes::knows_ctrl_c() { Signal::SIGINT } else { Signal::SIGTERM };
    nix::sys::signal::kill(pid, leave).unwrap();
    let mut child = child;
    child.wait().await.unwrap();
    akkd.home.go_on();
    let id =
        akkd.rpc().list(akk_proto::api::ListParams::default()).await.unwrap().conversations[0].conversation_id.clone();
    assert_eq!(akkd.wait_need(&id, Need::Done).await.message.unwrap().body, "went on");
}

#[tokio::test]
async fn a_deleted_conversation_is_gone_for_good_and_an_open_one_stays() {
    let akkd = Daemon::start().await;
    let (id, _) = akkd.done("say unforgettable").await;
    let refused = Refusal::of(akkd.rpc().delete(params(&id)).await.unwrap_err());
    assert_eq!(refused.kind, ErrorKind::WrongStatus);
    akkd.ctl(&["close", id.as_str()]).await.ok();
    akkd.rpc().delete(params(&id)).await.unwrap();
    let found: SearchAnswer = akkd.ctl(&["--json", "search", "unforgettable"]).await.ok().json();
    assert!(found.hits.is_empty());
    let all: ListAnswer = akkd.ctl(&["--json", "list", "--all"]).await.ok().json();
    assert_eq!(all.total, 0);
    let left = wait_for("its files to be gone", async || {
        let left: Vec<_> =
            std::fs::read_dir(akkd.home.akk().join("launches")).into_iter().flatten().flatten().collect();
        left.is_empty().then_some(())
    });
    left.await;
}
