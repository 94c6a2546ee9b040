//! Stories of the watch: what is told, in which order, and what becomes of what the system does not tell.

use super::*;
use crate::sessions::SessionProvider as _;
use crate::sessions::codex::CodexSessions;
use crate::sessions::codex::house::{House, Told, append, event, head, id, listed, listed_until, numbers, said};
use akk_proto::session::{Capability, Evidence, SessionChange as Change, SessionItem, SessionSource};
use std::path::Path;

/// A watcher that is moved by hand, and what it tells.
fn by_hand(house: &House, clock: &Clock) -> (Watcher, tokio::sync::broadcast::Receiver<Arc<SessionItem>>) {
    let known = Arc::new(Known::new(vec![CodexHome::new(&house.home)]));
    let told = known.subscribe();
    let mut watcher = Watcher::new(known, Arc::default(), clock.clone(), None, Folders::blind());
    watcher.begin();
    (watcher, told)
}

fn heard(told: &mut tokio::sync::broadcast::Receiver<Arc<SessionItem>>) -> Vec<String> {
    let mut heard = Vec::new();
    while let Ok(item) = told.try_recv() {
        heard.push(match item.as_ref() {
            SessionItem::Live { .. } => "live".to_owned(),
            SessionItem::Missed { .. } => "missed".to_owned(),
            SessionItem::Session { change, session, .. } => {
                format!("{} {}", change.as_str(), session.session_id.trim_start_matches(&id(0)[..28]))
            }
        });
    }
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_told_from_its_first_record_to_the_end_of_its_turn() {
    let house = House::new();
    house.database();
    let (provider, mut told) = house.watching();
    let rollout = house.rollout(1, &event("task_started"));
    let new = told.wait(1, Change::New).await;
    assert_eq!((new.cwd.as_deref(), new.source, new.capability), (Some("/p"), SessionSource::Exec, Capability::Full));
    told.wait(1, Change::TurnStarted).await;
    house.row(1, "The title", Path::new("/p"), 5000);
    let named = told.wait_until(1, Change::Changed, |s| s.title.is_some()).await;
    assert_eq!((named.title.as_deref(), named.model.as_deref()), (Some("The title"), Some("m1")));
    append(&rollout, &event("token_count"));
    told.wait(1, Change::Activity).await;
    append(&rollout, &event("task_complete"));
    told.wait(1, Change::TurnEnded).await;
    assert_eq!(numbers(&listed(&provider)), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn activity_is_told_once_a_second_and_its_end_is_not_lost() {
    let house = House::new();
    let rollout = house.session(1, "t", 5000);
    let (_provider, mut told) = house.watching();
    let mut last = String::new();
    let begun = Instant::now();
    for _ in 0..40 {
        last = event("token_count");
        append(&rollout, &last);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let last: serde_json::Value = serde_json::from_str(&last).unwrap();
    let told_last = |s: &akk_proto::session::SessionView| {
        s.updated_at.is_some_and(|t| t.to_string() == last["timestamp"].as_str().unwrap())
    };
    told.wait_until(1, Change::Activity, told_last).await;
    let times = told.of(1).iter().filter(|c| **c == Change::Activity).count() as u64;
    assert!(times >= 1 && times <= begun.elapsed().as_secs() + 2, "{times} in {:?}", begun.elapsed());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn who_takes_a_lock_without_a_word_is_told_and_leaves_nothing_behind() {
    let house = House::new();
    let (provider, mut told) = house.watching();
    let codex = house.taking(1);
    let pid = codex.child.id();
    told.wait(1, Change::New).await;
    let taken = told.wait(1, Change::OwnerTaken).await;
    assert_eq!(taken.holders.iter().map(|h| (h.pid, h.evidence)).collect::<Vec<_>>(), [(pid, Evidence::Lock)]);
    assert_eq!((taken.activity, taken.capability), (SessionActivity::Idle, Capability::MetadataOnly));
    assert_eq!(listed(&provider).sessions[0].holders[0].pid, pid);
    codex.end();
    told.wait(1, Change::Removed).await;
    assert_eq!(told.of(1), [Change::New, Change::OwnerTaken, Change::OwnerReleased, Change::Removed]);
    assert_eq!(listed(&provider).total, 0);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_is_told_at_once_and_what_it_wrote_last_before_that() {
    let house = House::new();
    let rollout = house.session(1, "t", 5000);
    let (provider, mut told) = house.watching();
    let codex = house.taking(1);
    told.wait(1, Change::OwnerTaken).await;
    append(&rollout, &event("task_started"));
    let started = told.wait(1, Change::TurnStarted).await;
    assert_eq!(started.activity, SessionActivity::Working);
    assert_eq!(listed(&provider).sessions[0].activity, SessionActivity::Working);
    codex.kill();
    let gone = told.wait(1, Change::ProcessGone).await;
    assert_eq!((gone.activity, gone.holders.len()), (SessionActivity::Idle, 0));
    assert!(house.lock(1).exists(), "the file means nothing");
    // Another one takes the same file.
    let other = house.taking(1);
    let taken = told.wait(1, Change::OwnerTaken).await;
    assert_eq!(taken.holders[0].pid, other.child.id());
    append(&rollout, &event("token_count"));
    other.end();
    told.wait(1, Change::OwnerReleased).await;
    let of = told.of(1);
    let activity = of.iter().rposition(|c| *c == Change::Activity).expect("what it wrote is told");
    assert!(activity < of.len() - 1, "before it let go: {of:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn who_is_there_already_is_known_when_the_watch_begins() {
    let house = House::new();
    let rollout = house.session(1, "t", 5000);
    append(&rollout, &event("task_started"));
    house.session(2, "t", 4000);
    std::fs::write(house.lock(2), "").unwrap();
    let codex = house.taking(1);
    let (provider, mut told) = house.watching();
    let answer = listed(&provider);
    assert_eq!(answer.sessions[0].holders.len(), 1, "{answer:#?}");
    assert_eq!(
        answer.sessions.iter().map(|s| s.activity).collect::<Vec<_>>(),
        [SessionActivity::Working, SessionActivity::Idle]
    );
    codex.end();
    told.wait(1, Change::OwnerReleased).await;
    assert_eq!(told.so_far.len(), 1, "nothing was told of what was so before: {:?}", told.of(1));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn without_locks_who_holds_the_rollout_open_is_the_owner() {
    let house = House::new();
    std::fs::remove_dir(house.locks()).unwrap();
    let rollout = house.session(1, "t", 5000);
    let (_provider, mut told) = house.watching();
    let codex = house.codex(&format!("exec {{fd}}>>'{}'", rollout.display()));
    append(&rollout, &event("task_started"));
    let taken = told.wait(1, Change::OwnerTaken).await;
    assert_eq!((taken.holders[0].pid, taken.holders[0].evidence), (codex.child.id(), Evidence::Rollout));
    told.wait(1, Change::TurnStarted).await;
    codex.kill();
    told.wait(1, Change::ProcessGone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_in_folders_that_appear_with_their_files() {
    let house = House::new();
    let (_provider, mut told) = house.watching();
    for n in 1..=40_u32 {
        let day = house.home.join(format!("sessions/{}/{:02}/{:02}", 2027 + n / 10, 1 + n % 12, 1 + n % 28));
        std::fs::create_dir_all(&day).unwrap();
        std::fs::write(day.join(format!("rollout-2027-01-01T00-00-00-{}.jsonl", id(n))), head(n, "\"cli\"")).unwrap();
    }
    for n in 1..=40 {
        if told.of(n).is_empty() {
            told.wait(n, Change::New).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missed_in_a_folder_that_was_made_again() {
    let house = House::new();
    let (provider, mut told) = house.watching();
    let day = house.rollout_path(1).parent().unwrap().to_path_buf();
    for n in 1..=20 {
        // The new folder may get the inode of the old one.
        std::fs::remove_dir_all(&day).unwrap();
        std::fs::create_dir(&day).unwrap();
        house.rollout(n, "");
        told.wait(n, Change::New).await;
    }
    listed_until(&provider, |a| a.total == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_may_come_later_vanish_and_come_back() {
    let house = House::absent();
    let (provider, mut told) = house.watching();
    assert_eq!(listed(&provider).total, 0);
    for _ in 0..2 {
        std::fs::create_dir_all(&house.home).unwrap();
        house.database();
        std::fs::create_dir_all(house.rollout_path(1).parent().unwrap()).unwrap();
        house.rollout(1, &event("task_started"));
        told.wait(1, Change::New).await;
        std::fs::create_dir_all(house.locks()).unwrap();
        #[cfg(target_os = "linux")]
        {
            let codex = house.taking(2);
            told.wait(2, Change::OwnerTaken).await;
            codex.end();
            told.wait(2, Change::Removed).await;
        }
        std::fs::remove_dir_all(&house.home).unwrap();
        told.wait(1, Change::Removed).await;
        assert_eq!(listed(&provider).total, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_name_an_archive_and_a_deletion_are_told() {
    let house = House::new();
    let rollout = house.session(1, "t", 5000);
    let (provider, mut told) = house.watching();
    // Codex changes nothing but the row and the list of names.
    house.database().execute("UPDATE threads SET name = 'N'", []).unwrap();
    std::fs::write(house.home.join("session_index.jsonl"), "{}\n").unwrap();
    listed_until(&provider, |a| a.sessions[0].title.as_deref() == Some("N")).await;
    told.wait(1, Change::Changed).await;

    let archived = house.home.join("archived_sessions").join(rollout.file_name().unwrap());
    std::fs::create_dir(archived.parent().unwrap()).unwrap();
    std::fs::rename(&rollout, &archived).unwrap();
    let set = "UPDATE threads SET archived = ?1, rollout_path = ?2";
    house.database().execute(set, (1, archived.display().to_string())).unwrap();
    let away = told.wait_until(1, Change::Changed, |s| s.archived).await;
    assert!(away.capability_reason.unwrap().contains("archived"));

    std::fs::rename(&archived, &rollout).unwrap();
    house.database().execute(set, (0, rollout.display().to_string())).unwrap();
    let back = told.wait_until(1, Change::Changed, |s| !s.archived).await;
    assert_eq!((back.title.as_deref(), back.capability), (Some("N"), Capability::Full));
    assert!(!told.of(1).contains(&Change::Activity), "its records stayed as they were: {:?}", told.of(1));

    std::fs::remove_file(&rollout).unwrap();
    house.database().execute("DELETE FROM threads", []).unwrap();
    told.wait(1, Change::Removed).await;
}

#[tokio::test]
async fn what_was_not_told_is_found_when_everything_is_looked_at() {
    let house = House::new();
    let old = house.session(1, "t", 5000);
    let gone = house.session(2, "t", 5000);
    let (mut watcher, mut told) = by_hand(&house, &Clock::system());
    assert_eq!(heard(&mut told), [""; 0], "what was there before");
    append(&old, &event("task_started"));
    std::fs::remove_file(gone).unwrap();
    house.database().execute("DELETE FROM threads WHERE id = ?1", [id(2)]).unwrap();
    house.rollout(3, &(event("task_started") + &event("task_complete")));
    watcher.turn(Asked::default());
    assert_eq!(heard(&mut told), [""; 0], "no hint, and it is not due");
    watcher.turn(Asked { everything: Some("the queue ran over".into()), ..Asked::default() });
    let mut found = heard(&mut told);
    assert_eq!(found.remove(0), "missed");
    found.sort();
    let three = ["new", "turn_ended", "turn_started"].map(|what| format!("{what} 00000003"));
    let mut expected = vec!["removed 00000002".to_owned(), "turn_started 00000001".to_owned()];
    expected.extend(three);
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_machine_that_slept_looks_at_everything() {
    let house = House::new();
    let rollout = house.session(1, "t", 5000);
    let clock = Clock::standing_at(Timestamp(1_800_000_000_000));
    let (mut watcher, mut told) = by_hand(&house, &clock);
    append(&rollout, &event("task_started"));
    clock.advance(Duration::from_hours(3));
    watcher.turn(Asked::default());
    assert_eq!(heard(&mut told), [""; 0], "both clocks went on");
    clock.set_wall(clock.wall().plus_millis(3_600_000));
    watcher.turn(Asked::default());
    assert_eq!(heard(&mut told), ["missed", "turn_started 00000001"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_hints_are_said_to_whoever_watches() {
    let house = House::new();
    let (provider, mut told) = house.watching();
    provider.inbox.everything("the system dropped hints");
    assert_eq!(told.wait_for_missed().await, "the system dropped hints");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_watcher_it_is_looked_every_two_seconds_and_said() {
    let house = House::new();
    let known = Arc::new(Known::new(vec![CodexHome::new(&house.home)]));
    let (inbox, told) = (Arc::<Inbox>::default(), known.subscribe());
    let watcher = Watcher::new(known.clone(), inbox.clone(), Clock::system(), None, Folders::blind());
    let thread = std::thread::spawn(move || watcher.run());
    known.wait_for(Stage::Watching);
    assert!(known.health().watch.is_some());
    house.rollout(1, "");
    let mut told = Told::of_bus(told);
    told.wait(1, Change::New).await;
    inbox.stop();
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_shape_leaves_the_rollouts() {
    let house = House::new();
    std::fs::write(house.home.join("state_9.sqlite"), "this is no database, whatever its name says".repeat(100))
        .unwrap();
    house.rollout(1, &(said("Fix  the\\n login") + &event("task_complete")));
    std::fs::write(house.rollout_path(2), "no record\n").unwrap();
    let sub = r#"{"subagent":{"thread_spawn":{"parent_thread_id":"01a2042a-b616-7f00-93fc-000000000001"}}}"#;
    std::fs::write(house.rollout_path(3), head(3, sub)).unwrap();
    let provider = house.provider();
    let answer = listed_until(&provider, |a| a.sessions.iter().any(|s| s.title.is_some())).await;
    assert_eq!(answer.total, 3);
    assert!(answer.incomplete.iter().any(|why| why.contains("state_9.sqlite")), "{:?}", answer.incomplete);
    let of = |n: u32| answer.sessions.iter().find(|s| s.session_id == id(n)).unwrap();
    assert_eq!((of(1).title.as_deref(), of(1).capability), (Some("Fix the login"), Capability::Full));
    assert_eq!(of(2).capability, Capability::MetadataOnly);
    assert!(of(2).capability_reason.as_ref().unwrap().contains("first record"), "{:?}", of(2));
    assert_eq!((of(3).source, of(3).parent.clone()), (SessionSource::SubAgent, Some(id(1))));
    let list = provider.capabilities().abilities.into_iter().find(|a| a.name == "list").unwrap();
    assert!(list.works && list.reason.unwrap().contains("state_9.sqlite"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_folder_under_two_names_is_read_once() {
    let house = House::new();
    house.session(1, "t", 5000);
    let link = house.root.join("link");
    std::os::unix::fs::symlink(&house.home, &link).unwrap();
    let provider = house.provider_of(vec![house.home.clone(), link.clone(), house.home.clone()]);
    let mut told = Told::begin(&provider);
    assert_eq!(listed(&provider).total, 1);
    assert_eq!(provider.capabilities().homes.len(), 3, "as they are configured");
    house.rollout(2, "");
    told.wait(2, Change::New).await;
    house.rollout(3, "");
    told.wait(3, Change::New).await;
    assert_eq!(told.of(2).iter().filter(|c| **c == Change::New).count(), 1);
    let list = provider.capabilities().abilities.into_iter().find(|a| a.name == "list").unwrap();
    assert!(list.reason.unwrap().contains("the same folder"));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_where_folders_should_be_are_said_and_stop_nobody() {
    let house = House::absent();
    std::fs::create_dir_all(&house.home).unwrap();
    house.row(1, "t", Path::new("/p"), 5000);
    std::fs::write(house.home.join("sessions"), "").unwrap();
    std::fs::write(house.locks(), "").unwrap();
    let (provider, _told): (CodexSessions, _) = house.watching();
    let answer = listed(&provider);
    assert_eq!((answer.total, answer.sessions[0].capability), (1, Capability::MetadataOnly));
    let abilities = provider.capabilities().abilities;
    let of = |name: &str| abilities.iter().find(|a| a.name == name).unwrap();
    assert!(!of("locks").works && !of("safe_resume").works, "{abilities:#?}");
}
