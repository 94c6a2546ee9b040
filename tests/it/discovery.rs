//! Native sessions of the real codex are found, with who runs them, and what happens to them is told.

use akk_proto::session::{
    Capability, Confidence, DiscoverParams, DiscoverScope, Evidence, HolderView, ProcessKind, SessionActivity,
    SessionChange, SessionItem, SessionSource, SessionView,
};
use akk_tests::codex::say;
use akk_tests::{Codex, Daemon, Home, Native, ctl, native, wait_for};
use std::path::PathBuf;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// The processes that run a session for certain.
fn certain(session: &SessionView) -> Vec<&HolderView> {
    session.holders.iter().filter(|h| h.confidence == Confidence::Exact).collect()
}

/// The one process that runs a session for certain.
#[track_caller]
fn holder(session: &SessionView) -> &HolderView {
    let certain = certain(session);
    assert_eq!(certain.len(), 1, "{session:#?}");
    certain[0]
}

/// The one session that is run for certain, once it is.
async fn running(akkd: &Native) -> SessionView {
    let look = async || {
        let active = akkd.discover(DiscoverScope::Active).await.sessions;
        active.into_iter().find(|s| !certain(s).is_empty())
    };
    wait_for("a session that runs", look).await
}

with_codex!(a_finished_session_is_listed_with_what_is_known_of_it, akkd, {
    let id = akkd.codex.session("Please count the beans").await;
    let idle = async || Some(akkd.listed(&id).await).filter(|s| s.activity == SessionActivity::Idle);
    let session = wait_for("the session to be idle", idle).await;
    assert_eq!(session.agent, "codex");
    assert_eq!(session.home, akkd.codex.home().to_str().unwrap());
    assert_eq!(session.cwd.as_deref(), akkd.home.workspace().to_str());
    assert!(session.title.as_ref().unwrap().contains("count the beans"), "{session:#?}");
    assert_eq!(session.model.as_deref(), Some("gpt-fake"));
    assert_eq!(session.source, SessionSource::Exec);
    assert_eq!(session.originator.as_deref(), Some("codex_exec"));
    assert_eq!(session.capability, Capability::Full, "{session:#?}");
    assert!(!session.archived && certain(&session).is_empty(), "{session:#?}");
    assert!(session.updated_at >= session.created_at && session.created_at.is_some(), "{session:#?}");
    assert_eq!(akkd.active(&id).await.map(|s| certain(&s).len()).unwrap_or_default(), 0);
});

with_codex!(a_list_is_narrowed_by_text_directory_and_archive, akkd, {
    let beans = akkd.codex.session("Please count the beans").await;
    let peas = akkd.codex.session("Please count the peas").await;
    akkd.listed(&beans).await;
    akkd.listed(&peas).await;
    let ids = async |params: DiscoverParams| {
        let found = akkd.discover_as(params).await.sessions;
        found.into_iter().map(|s| s.session_id).collect::<Vec<_>>()
    };
    let text = |t: &str| DiscoverParams { text: Some(t.into()), ..DiscoverParams::default() };
    assert_eq!(ids(DiscoverParams::default()).await, [peas.as_str(), beans.as_str()], "newest first");
    assert_eq!(ids(text("the BEANS")).await, [beans.as_str()]);
    assert_eq!(ids(text("carrots")).await, Vec::<String>::new());
    let elsewhere = DiscoverParams { cwd: Some("/nowhere".into()), ..DiscoverParams::default() };
    assert_eq!(ids(elsewhere).await, Vec::<String>::new());

    let (code, said) = akkd.codex.run(&["archive", &peas]).await;
    assert_eq!(code, Some(0), "{said}");
    let gone = async || (ids(DiscoverParams::default()).await == [beans.as_str()]).then_some(());
    wait_for("the archived session to leave the list", gone).await;
    let all = DiscoverParams { archived: true, ..DiscoverParams::default() };
    let archived = async || (ids(all.clone()).await.len() == 2).then_some(());
    wait_for("the archived session in the list of all", archived).await;
});

with_codex!(a_running_exec_is_known_by_its_lock, akkd, {
    let mut exec = akkd.codex.exec(&[], "HOLD the line;;SAY bye").await;
    akkd.codex.model.prompted("HOLD the line").await;
    let session = akkd.seen(&exec.session, |s| s.activity == SessionActivity::Working).await;
    let holder = holder(&session);
    assert_eq!((holder.pid, holder.kind, holder.evidence), (exec.pid(), ProcessKind::Exec, Evidence::Lock));
    assert_eq!(holder.executable.as_deref(), Some(akkd.codex.program().as_str()));
    assert!(holder.also_holds.is_empty() && holder.conversation_id.is_none(), "{holder:#?}");
    akkd.codex.model.let_go("the line");
    assert_eq!(exec.ended().await, Some(0));
    let session = akkd.active(&exec.session).await;
    assert!(session.as_ref().is_none_or(|s| certain(s).is_empty()), "{session:#?}");
    let idle = async || Some(akkd.listed(&exec.session).await).filter(|s| s.activity == SessionActivity::Idle);
    wait_for("the session to be idle", idle).await;
});

with_codex!(a_terminal_is_known_exactly_and_whether_it_works, akkd, {
    let terminal = akkd.codex.terminal(&[]).await;
    say(&terminal, "HOLD the line;;SAY Salutations").await;
    akkd.codex.model.prompted("HOLD the line").await;
    let id = running(&akkd).await.session_id;
    let working = akkd.seen(&id, |s| s.activity == SessionActivity::Working).await;
    assert_eq!(working.source, SessionSource::Cli);
    let who = holder(&working);
    assert_eq!((who.pid, who.kind, who.evidence), (terminal.pid(), ProcessKind::Tui, Evidence::Lock));
    akkd.codex.model.let_go("the line");
    terminal.shows("• Salutations").await;
    let idle = akkd.seen(&id, |s| s.activity == SessionActivity::Idle).await;
    assert_eq!(holder(&idle).pid, terminal.pid());
});

with_codex!(a_terminal_in_which_nothing_was_said_holds_a_session_without_records, akkd, {
    let terminal = akkd.codex.terminal(&[]).await;
    let session = running(&akkd).await;
    assert_eq!((holder(&session).pid, holder(&session).kind), (terminal.pid(), ProcessKind::Tui));
    assert_eq!(session.capability, Capability::MetadataOnly, "{session:#?}");
    assert!(session.capability_reason.is_some());
    let watch = akkd.watch().await;
    say(&terminal, "SAY Salutations").await;
    terminal.shows("• Salutations").await;
    watch.told(&session.session_id, SessionChange::TurnEnded).await;
    let full = async || Some(akkd.listed(&session.session_id).await).filter(|s| s.capability == Capability::Full);
    let full = wait_for("the session with its records", full).await;
    assert_eq!(full.cwd.as_deref(), akkd.home.workspace().to_str());
});

with_codex!(a_terminal_through_the_script_of_npm_is_one_holder, akkd, {
    let terminal = akkd.codex.wrapped_terminal(&[]).await;
    say(&terminal, "SAY Salutations").await;
    terminal.shows("• Salutations").await;
    let session = running(&akkd).await;
    assert_eq!(session.holders.len(), 1, "{session:#?}");
    let who = holder(&session);
    assert_eq!((who.kind, who.evidence), (ProcessKind::Tui, Evidence::Lock));
    assert_ne!(who.pid, terminal.pid(), "the script runs codex beside itself");
    assert_eq!(who.executable.as_deref(), Some(akkd.codex.program().as_str()));
});

with_codex!(a_session_of_the_shared_daemon_is_held_by_the_daemon, akkd, {
    let daemon = akkd.codex.shared_daemon().await;
    let terminal = akkd.codex.shared_terminal(&[]).await;
    say(&terminal, "SAY Salutations").await;
    terminal.shows("• Salutations").await;
    let session = running(&akkd).await;
    let who = holder(&session);
    assert_eq!((who.pid, who.kind, who.evidence), (daemon.pid(), ProcessKind::Daemon, Evidence::Lock));
    assert_eq!((session.source, session.originator.as_deref()), (SessionSource::Vscode, Some("codex-tui")));
});

with_codex!(one_terminal_can_hold_two_sessions, akkd, {
    let terminal = akkd.codex.terminal(&[]).await;
    say(&terminal, "SAY Salutations").await;
    terminal.shows("• Salutations").await;
    let first = running(&akkd).await.session_id;
    say(&terminal, "/new").await;
    wait_for("a fresh screen", async || (!terminal.shown().contains("• Salutations")).then_some(())).await;
    say(&terminal, "SAY Farewell").await;
    terminal.shows("• Farewell").await;
    let second = async || {
        let active = akkd.discover(DiscoverScope::Active).await.sessions;
        active.into_iter().find(|s| s.session_id != first && !certain(s).is_empty())
    };
    let second = wait_for("the second session", second).await;
    assert_eq!(holder(&second).pid, terminal.pid());
    // Whether codex lets the first one go is its affair: what is told of it must only fit.
    let active = akkd.discover(DiscoverScope::Active).await.sessions;
    let held = |id: &str| active.iter().find(|s| s.session_id == id && !certain(s).is_empty());
    let expected: &[String] = if held(&first).is_some() { std::slice::from_ref(&first) } else { &[] };
    assert_eq!(holder(held(&second.session_id).unwrap()).also_holds, expected);
});

with_codex!(a_sub_agent_is_left_out_unless_asked_for, akkd, {
    let mut exec = akkd.codex.exec(&[], "SPAWN HOLD below;;HOLD above;;SAY bye").await;
    let sub_agent = async || akkd.codex.model.asked().into_iter().find(|a| a.prompt == "HOLD below");
    wait_for("the sub-agent's prompt", sub_agent).await;
    let parent = akkd.seen(&exec.session, |s| !certain(s).is_empty()).await;
    let all = DiscoverParams { scope: DiscoverScope::Active, auxiliary: true, ..DiscoverParams::default() };
    let other = async || {
        let all = akkd.discover_as(all.clone()).await.sessions;
        // A lock may be seen before the first records are.
        let known = |s: &SessionView| s.source == SessionSource::SubAgent && s.parent.is_some();
        all.into_iter().find(|s| s.session_id != exec.session && !certain(s).is_empty() && known(s))
    };
    let sub_agent = wait_for("the sub-agent's session", other).await;
    assert_eq!(sub_agent.source, SessionSource::SubAgent);
    assert_eq!(sub_agent.parent.as_ref(), Some(&parent.session_id));
    assert_eq!(holder(&sub_agent).also_holds, [parent.session_id.as_str()]);
    wait_for("the parent alone in the list", async || {
        let shown = akkd.discover(DiscoverScope::Sessions).await.sessions;
        (shown.len() == 1 && shown[0].session_id == parent.session_id).then_some(())
    })
    .await;
    akkd.codex.model.let_go("below");
    akkd.codex.model.let_go("above");
    assert_eq!(exec.ended().await, Some(0));
});

with_codex!(what_happens_to_a_session_is_told_as_it_happens, akkd, {
    use SessionChange::{New, OwnerReleased, OwnerTaken, ProcessGone, TurnEnded, TurnStarted};
    let watch = akkd.watch().await;
    let mut exec = akkd.codex.exec(&[], "HOLD the line;;SAY bye").await;
    let id = exec.session.clone();
    watch.told(&id, New).await;
    let started = watch.told(&id, TurnStarted).await;
    assert_eq!(started.activity, SessionActivity::Working);
    let taken = watch.told(&id, OwnerTaken).await;
    assert_eq!(holder(&taken).pid, exec.pid());
    akkd.codex.model.let_go("the line");
    exec.ended().await;
    let ended = watch.told(&id, TurnEnded).await;
    assert_eq!(ended.activity, SessionActivity::Idle);
    let left = async || watch.changes(&id).into_iter().find(|(c, _)| matches!(c, OwnerReleased | ProcessGone));
    let (_, after) = wait_for("the end of the ownership", left).await;
    assert!(certain(&after).is_empty(), "{after:#?}");
    let count = |change| watch.changes(&id).iter().filter(|(c, _)| *c == change).count();
    assert_eq!((count(New), count(TurnStarted), count(TurnEnded)), (1, 1, 1), "{:#?}", watch.changes(&id));
});

with_codex!(from_the_shell_what_happens_is_told_line_by_line, akkd, {
    let mut watch = ctl::command(&akkd.home, &["sessions", "--watch", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    assert!(first.contains("\"live\""), "{first}");
    let id = akkd.codex.session("SAY hello").await;
    let mut told = Vec::new();
    while !told.contains(&SessionChange::TurnEnded) {
        let line = lines.next_line().await.unwrap().unwrap();
        match serde_json::from_str(&line).unwrap() {
            SessionItem::Session { change, session, .. } => {
                assert_eq!(session.session_id, id);
                told.push(change);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(told.contains(&SessionChange::New) && told.contains(&SessionChange::TurnStarted), "{told:?}");
    watch.kill().await.unwrap();
});

with_codex!(a_killed_terminal_is_told_as_gone, akkd, {
    let terminal = akkd.codex.terminal(&[]).await;
    say(&terminal, "SAY Salutations").await;
    terminal.shows("• Salutations").await;
    let id = running(&akkd).await.session_id;
    let watch = akkd.watch().await;
    akk_tests::processes::end(terminal.pid());
    let gone = watch.told(&id, SessionChange::ProcessGone).await;
    assert!(certain(&gone).is_empty(), "{gone:#?}");
    assert!(akkd.active(&id).await.is_none_or(|s| certain(&s).is_empty()));
});

with_codex!(a_second_terminal_on_the_same_thread_is_told_as_its_owner, akkd, {
    let id = akkd.codex.session("SAY first").await;
    akkd.listed(&id).await;
    let watch = akkd.watch().await;
    let terminal = akkd.codex.terminal(&["resume", &id]).await;
    let taken = watch.told(&id, SessionChange::OwnerTaken).await;
    assert_eq!((holder(&taken).pid, holder(&taken).kind), (terminal.pid(), ProcessKind::Tui));
    say(&terminal, "SAY second").await;
    terminal.shows("• second").await;
    watch.told(&id, SessionChange::TurnEnded).await;
    drop(terminal);
    let left = async || {
        let changes = watch.changes(&id).into_iter().map(|(c, _)| c);
        changes.into_iter().find(|c| matches!(c, SessionChange::OwnerReleased | SessionChange::ProcessGone))
    };
    wait_for("the end of the ownership", left).await;
});

#[tokio::test]
async fn looking_changes_nothing_in_the_home() {
    let home = Home::new();
    let Some(codex) = Codex::new(&home, "looking_changes_nothing_in_the_home") else { return };
    let id = codex.session("RUN true;;SAY first").await;
    let before = codex.listing();
    let akkd = Native::on(home, codex).await;
    let _watch = akkd.watch().await;
    akkd.listed(&id).await;
    for scope in [DiscoverScope::Capabilities, DiscoverScope::Sessions, DiscoverScope::Active] {
        akkd.discover(scope).await;
    }
    assert_eq!(akkd.codex.changes_since(&before), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn a_home_that_is_made_later_is_watched_for() {
    let story = "a_home_that_is_made_later_is_watched_for";
    let Some(codex) = akk_tests::peers::peers(story).map(|p| p.codex.to_str().unwrap().to_owned()) else { return };
    let mut plan = akk_tests::Plan::default().tables(&format!("[codex]\ncommand = [{codex:?}]"));
    let home = Home::new();
    plan.env.push(("CODEX_HOME".into(), home.root().join("codex").to_str().unwrap().into()));
    let akkd = Daemon::start_with(plan, home).await;
    let watch = native::watch(&akkd).await;
    let codex = Codex::new(&akkd.home, story).unwrap();
    let id = codex.session("SAY hello").await;
    watch.told(&id, SessionChange::New).await;
}
