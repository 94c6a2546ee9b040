//! Stories of what a client asks: pages, active sessions, everything about one.

use super::house::{House, append, event, head, id, listed, numbers, said};
use crate::sessions::{ContextLimits, SessionProvider as _};
use akk_proto::error::ErrorKind;
use akk_proto::session::{
    Capability, Confidence, DiscoverParams, DiscoverScope, Evidence, ProcessKind, SessionActivity, SessionChange,
};
use std::os::unix::net::UnixListener;
use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_sessions_are_listed_in_pages() {
    let house = House::new();
    let mut database = house.database();
    let tx = database.transaction().unwrap();
    for n in 0..10_000_u32 {
        let insert = "INSERT INTO threads (id, rollout_path, cwd, title, created_at, updated_at, source)
            VALUES (?1, '', ?2, ?3, 1, ?4, 'cli')";
        tx.execute(insert, (id(n), format!("/p/{}", n % 50), format!("Title {n}"), 1_000_000 + n / 2)).unwrap();
    }
    tx.commit().unwrap();
    let provider = house.provider();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let params = DiscoverParams { limit: Some(777), after, ..DiscoverParams::default() };
        let page = provider.sessions(&params).unwrap();
        assert_eq!(page.total, 10_000);
        seen.extend(numbers(&page));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<u32> = (0..10_000).rev().collect();
    assert_eq!(seen, expected);
    let some = DiscoverParams { cwd: Some("/p/7".into()), text: Some("TITLE 99".into()), ..DiscoverParams::default() };
    assert_eq!(numbers(&provider.sessions(&some).unwrap()), [9957, 9907]);
    let bad = DiscoverParams { after: Some("somewhere".into()), ..DiscoverParams::default() };
    assert_eq!(provider.sessions(&bad).unwrap_err().kind, ErrorKind::InvalidParams);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_named_by_its_id_or_a_part_of_it_that_no_other_has() {
    let house = House::new();
    for n in [0x11_0001, 0x22_0001, 0x22_0002] {
        house.session(n, "t", 5000);
    }
    let provider = house.provider();
    for (text, n) in [("0002", 0x22_0002), ("00110001", 0x11_0001), (" 000000220002 ", 0x22_0002)] {
        assert_eq!(provider.resolve(text).unwrap(), id(n), "{text}");
    }
    assert_eq!(provider.resolve(&id(0x22_0001).to_uppercase()).unwrap(), id(0x22_0001));
    let kind = |text: &str| provider.resolve(text).unwrap_err().kind;
    for text in ["0001", "01a2", "01A2042A-b616"] {
        assert_eq!(kind(text), ErrorKind::AmbiguousId, "{text}");
    }
    let error = provider.resolve("0001").unwrap_err();
    assert!(error.message.contains(&id(0x11_0001)) && error.message.contains(&id(0x22_0001)), "{}", error.message);
    let simple = id(0x22_0001).replace('-', "");
    for text in [
        "",
        "002",
        "t",
        "titl",
        "fffff",
        &id(9),
        &simple,
        &format!("{{{}}}", id(0x22_0001)),
        "--last",
        "x".repeat(9999).as_str(),
    ] {
        assert_eq!(kind(text), ErrorKind::SessionNotFound, "{text:.50}");
        assert_eq!(provider.facts(text).unwrap_err().kind, ErrorKind::SessionNotFound, "{text:.50}");
        assert!(provider.resolve(text).unwrap_err().message.len() < 200);
    }
    // Just made, and the watch may not have seen it yet.
    std::fs::write(house.lock(0x33_0001), "").unwrap();
    assert_eq!(provider.resolve(&id(0x33_0001)).unwrap(), id(0x33_0001));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_facts_of_a_session_that_nobody_runs() {
    let house = House::new();
    let rollout = house.session(1, "The title", 5000);
    let context = r#"{"timestamp":"2026-11-22T17:00:00.000Z","type":"turn_context","payload":{"cwd":"/elsewhere","model":"m2","sandbox_policy":{"type":"workspace-write"},"approval_policy":"never"}}"#;
    append(&rollout, &format!("{}{}{context}\n{}", said("hello"), event("task_started"), event("task_complete")));
    let provider = house.provider();
    let facts = provider.facts(&id(1)).unwrap();
    assert_eq!((&facts.holders, &facts.incomplete, &facts.control_socket), (&vec![], &vec![], &None));
    let session = &facts.session;
    assert_eq!((session.title.as_deref(), session.model.as_deref()), (Some("The title"), Some("m2")));
    assert_eq!((session.capability, session.activity), (Capability::Full, SessionActivity::Idle));
    let resume = facts.resume.unwrap();
    assert_eq!(resume.model.as_deref(), Some("m2"));
    assert_eq!((resume.home.as_path(), resume.sandbox.as_deref()), (house.home.as_path(), Some("workspace-write")));
    let said = provider.context(&id(1), ContextLimits::default()).unwrap();
    assert!(said.messages.iter().any(|m| m.text == "hello"), "{said:?}");

    // A turn that was cut off with its process runs no more.
    append(&rollout, &event("task_started"));
    assert_eq!(provider.facts(&id(1)).unwrap().session.activity, SessionActivity::Idle);
    assert_eq!(listed(&provider).sessions[0].activity, SessionActivity::Idle);

    house.row(2, "without records", Path::new("/p"), 6000);
    let facts = provider.facts(&id(2)).unwrap();
    assert_eq!((facts.session.capability, facts.resume), (Capability::MetadataOnly, None));
    assert!(facts.session.capability_reason.unwrap().contains("no rollout"));
    assert_eq!(provider.context(&id(2), ContextLimits::default()).unwrap_err().kind, ErrorKind::Storage);
    assert_eq!(provider.context(&id(3), ContextLimits::default()).unwrap_err().kind, ErrorKind::SessionNotFound);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_now_is_listed_with_who_runs_it() {
    let house = House::new();
    let rollout = house.session(1, "working", 5000);
    append(&rollout, &event("task_started"));
    house.session(2, "not live", 9000);
    let sub = r#"{"subagent":{"thread_spawn":{"parent_thread_id":"01a2042a-b616-7f00-93fc-000000000001"}}}"#;
    std::fs::write(house.rollout_path(3), head(3, sub)).unwrap();
    let provider = house.provider();
    let lock = |n: u32| house.lock(n).display().to_string();
    let script = format!(
        "lock='{}'; exec {{fd}}<>\"$lock\"; flock -n $fd || exit 1; exec {{fe}}<>'{}'; flock -n $fe || exit 1;",
        lock(1),
        lock(3)
    );
    let one = house.codex(&script);
    let unknown = house.taking(4);
    let active = |auxiliary, text: Option<&str>| {
        let params = DiscoverParams {
            scope: DiscoverScope::Active,
            auxiliary,
            text: text.map(str::to_owned),
            ..DiscoverParams::default()
        };
        provider.active(&params).unwrap()
    };
    let answer = active(false, None);
    assert_eq!(numbers(&answer), [1, 4], "{answer:#?}");
    let working = &answer.sessions[0];
    assert_eq!((working.activity, working.title.as_deref()), (SessionActivity::Working, Some("working")));
    let holder = &working.holders[0];
    assert_eq!((holder.pid, holder.kind), (one.child.id(), ProcessKind::Tui));
    assert_eq!((holder.evidence, holder.confidence), (Evidence::Lock, Confidence::Exact));
    assert_eq!(holder.also_holds, [id(3)]);
    assert_eq!(answer.sessions[1].activity, SessionActivity::Idle, "nothing was said in it yet");
    assert_eq!(numbers(&active(true, None)), [3, 1, 4]);
    assert_eq!(numbers(&active(false, Some("WORK"))), [1]);

    let facts = provider.facts(&id(1)).unwrap();
    assert_eq!(facts.session.activity, SessionActivity::Working);
    assert_eq!(facts.holders.len(), 1);
    assert_eq!(facts.holders[0].view, facts.session.holders[0]);
    assert_eq!(facts.holders[0].identity.pid, one.child.id());
    let facts = provider.facts(&id(4)).unwrap();
    assert_eq!((facts.holders.len(), facts.resume), (1, None));
    one.kill();
    unknown.end();
    assert_eq!(active(true, None).total, 0);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn the_sub_agents_of_a_session_are_its_own_and_their_work_is_its_work() {
    let house = House::new();
    house.session(1, "the parent", 5);
    // Its sub-agent, that one's, and the sub-agent of somebody else.
    for (n, parent, turn) in [(2, 1, "task_complete"), (3, 2, "task_complete"), (4, 9, "task_complete")] {
        let source = format!(r#"{{"subagent":{{"thread_spawn":{{"parent_thread_id":"{}"}}}}}}"#, id(parent));
        std::fs::write(house.rollout_path(n), head(n, &source) + &event("task_started") + &event(turn)).unwrap();
    }
    let provider = house.provider();
    let take = |numbers: &[u32]| {
        let take = |n: &u32| format!("exec {{fd}}<>'{}'; flock -n $fd || exit 1;", house.lock(*n).display());
        house.codex(&numbers.iter().map(take).collect::<String>())
    };
    let terminal = take(&[1, 2, 3]);
    let facts = provider.facts(&id(1)).unwrap();
    assert!(facts.holders[0].also_holds.is_empty() && facts.holders[0].view.also_holds.len() == 2, "{facts:#?}");
    assert_eq!((facts.session.activity, facts.holders[0].evidence), (SessionActivity::Idle, Evidence::Lock));
    // For the sub-agent its parent is somebody else.
    assert_eq!(provider.facts(&id(2)).unwrap().holders[0].also_holds, [id(1)]);
    append(&house.rollout_path(3), &event("task_started"));
    assert_eq!(provider.facts(&id(1)).unwrap().session.activity, SessionActivity::Working);
    terminal.kill();
    let _shared = take(&[1, 4]);
    assert_eq!(provider.facts(&id(1)).unwrap().holders[0].also_holds, [id(4)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_of_which_nothing_is_known_may_run_the_newest_session_of_its_directory() {
    let house = House::new();
    let codex = house.codex("");
    let work = house.root.join("work");
    for (n, updated) in [(1, 5000), (2, 7000)] {
        house.session(n, "t", updated);
        house.row(n, "t", &work, updated);
    }
    house.session(3, "elsewhere", 9000);
    let provider = house.provider();
    let params = DiscoverParams { scope: DiscoverScope::Active, ..DiscoverParams::default() };
    let answer = provider.active(&params).unwrap();
    assert_eq!(answer.total, 1, "{answer:#?}");
    let suspected = answer.sessions.iter().find(|s| s.cwd.as_deref() == work.to_str()).unwrap();
    assert_eq!(suspected.holders[0].pid, codex.child.id());
    assert_eq!(suspected.holders[0].confidence, Confidence::Low);
    assert_eq!(provider.facts(&id(1)).unwrap().holders.len(), 1, "it may be this one too");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_lies_in_two_homes_cannot_be_said_to_be_free() {
    let house = House::new();
    house.session(1, "t", 5000);
    let copy = house.root.join("copy");
    assert!(std::process::Command::new("cp").arg("-a").arg(&house.home).arg(&copy).status().unwrap().success());
    let provider = house.provider_of(vec![copy.clone(), house.home.clone()]);
    assert_eq!(listed(&provider).total, 2);
    assert_eq!(provider.resolve("0001").unwrap(), id(1));
    let facts = provider.facts(&id(1)).unwrap();
    assert!(facts.incomplete[0].contains("several homes"), "{:?}", facts.incomplete);
    let codex = house.taking(1);
    assert_eq!(provider.facts(&id(1)).unwrap().session.home, house.home.display().to_string(), "where it is live");
    codex.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_read_leaves_the_facts_incomplete() {
    let house = House::new();
    std::fs::write(house.home.join("state_9.sqlite"), "no database ".repeat(1000)).unwrap();
    house.rollout(1, &(event("task_started") + &event("task_complete")));
    let facts = house.provider().facts(&id(1)).unwrap();
    assert!(facts.incomplete[0].contains("state_9.sqlite"), "{:?}", facts.incomplete);
    assert!(facts.resume.is_some());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn the_control_socket_is_the_one_that_the_daemon_listens_on() {
    let house = House::new();
    house.session(1, "t", 5000);
    let provider = house.provider();
    let control = house.home.join("app-server-control");
    std::fs::create_dir(&control).unwrap();
    let default = control.join("app-server-control.sock");
    let _listener = UnixListener::bind(&default).unwrap();
    assert_eq!(provider.facts(&id(1)).unwrap().control_socket, None, "no daemon holds it");
    let own = house.root.join("own.sock");
    let address = format!("unix://{}", own.display());
    let script = format!("lock='{}'; exec {{fd}}<>\"$lock\"; flock -n $fd || exit 1;", house.lock(1).display());
    let daemon = house.codex_with(&script, &["app-server", "--listen", &address, "--managed-daemon"]);
    let facts = provider.facts(&id(1)).unwrap();
    assert_eq!(facts.holders[0].kind, ProcessKind::Daemon);
    assert_eq!(facts.control_socket, Some(default), "the other one is not there");
    let _listener = UnixListener::bind(&own).unwrap();
    assert_eq!(provider.facts(&id(1)).unwrap().control_socket, Some(own));
    daemon.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_works_is_said_and_why_the_rest_does_not() {
    let house = House::absent();
    let provider = house.provider();
    let works = |name: &str| {
        let found = provider.capabilities().abilities.into_iter().find(|a| a.name == name).unwrap();
        (found.works, found.reason.unwrap_or_default())
    };
    assert!(!works("list").0 && works("list").1.contains("no Codex home"), "{:?}", works("list"));
    std::fs::create_dir_all(house.locks()).unwrap();
    std::fs::create_dir_all(house.home.join("sessions")).unwrap();
    let (resumes, why) = works("safe_resume");
    assert!(!resumes && why.contains("`codex` is not on the agents' PATH"), "{why}");
    assert!(works("list").0 && works("fork").0 && works("watch").0);
    let package = house.root.join("package");
    std::fs::create_dir_all(package.join("bin")).unwrap();
    let manifest = r#"{"name":"@openai/codex","version":"0.169.0-linux-x64"}"#;
    std::fs::write(package.join("package.json"), manifest).unwrap();
    std::fs::copy("/bin/sh", package.join("bin/codex.js")).unwrap();
    std::fs::create_dir_all(house.root.join("bin")).unwrap();
    std::os::unix::fs::symlink(package.join("bin/codex.js"), house.root.join("bin/codex")).unwrap();
    let (resumes, why) = works("safe_resume");
    assert!(resumes && why.ends_with("version 0.169.0 by its package"), "{why}");
    assert!(works("terminate_then_resume").0);
    assert!(!works("attach").0);
    assert_eq!(provider.capabilities().abilities.len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_home_that_cannot_be_read_at_all_nothing_is_said_to_work() {
    let house = House::absent();
    std::fs::create_dir_all(&house.home).unwrap();
    std::fs::write(house.home.join("state_5.sqlite"), "no database").unwrap();
    // A link to itself can be read by nobody, also not by root.
    std::os::unix::fs::symlink("sessions", house.home.join("sessions")).unwrap();
    let abilities = house.provider().capabilities().abilities;
    for name in ["list", "fork"] {
        let found = abilities.iter().find(|a| a.name == name).unwrap();
        assert!(!found.works && found.reason.as_ref().is_some_and(|r| r.contains("sessions")), "{found:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_users_is_written() {
    let house = House::new();
    house.session(1, "t", 5000);
    let listing = || {
        let out = std::process::Command::new("find").arg(&house.home).args(["-printf", "%p %s %T@ %m\n"]).output();
        let mut lines: Vec<String> =
            String::from_utf8(out.unwrap().stdout).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let before = listing();
    let (provider, mut told) = house.watching();
    listed(&provider);
    provider.capabilities();
    provider.facts(&id(1)).unwrap();
    provider.active(&DiscoverParams::default()).unwrap();
    assert_eq!(listing(), before);
    append(&house.rollout_path(1), &event("task_started"));
    told.wait(1, SessionChange::TurnStarted).await;
}
