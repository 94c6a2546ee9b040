//! Killed processes and failing disks. The process that dies is this test again, told so by its environment.

use crate::samples::{Story, task};
use akkd::store::{Store, StoreError};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the database to a process that plays a part.
const PART: &str = "AKK_TEST_STORE_PART";

/// The database to work on, in a process that plays a part.
fn part() -> Option<PathBuf> {
    std::env::var_os(PART).map(PathBuf::from)
}

/// This test in a process of its own, with `shell` around it.
fn play(test: &str, database: &Path, shell: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell} exec \"$0\" \"$@\"")]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command.env(PART, database).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Ten conversations that are changed as fast as it goes; says each change that was answered.
async fn work_until_killed(path: &Path) {
    let store = Store::open(path).unwrap();
    let workers = (0..10).map(async |n| {
        let mut story = Story::begin(&store, n, "r").await;
        while story.commit(story.noticed("x")).await.is_ok() {
            println!("on the disk: {n} {}", story.seq);
        }
    });
    futures_util::future::join_all(workers).await;
}

/// What the last answers before the death of `child` said: the number of events of each conversation.
fn answers(child: &mut std::process::Child, kill_after: usize) -> Vec<u64> {
    let mut answered = vec![0; 10];
    let mut seen = 0;
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    // A line without its end was cut by the death.
    while said.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
        let answer = line.split_once("on the disk: ").map(|(_, answer)| answer.trim_end().to_owned());
        line.clear();
        let Some(answer) = answer else { continue };
        let mut words = answer.split(' ').map(|w| w.parse::<u64>().unwrap());
        let (n, seq) = (words.next().unwrap() as usize, words.next().unwrap());
        answered[n] = seq;
        seen += 1;
        if seen == kill_after {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(seen > 0, "it never answered anything");
    answered
}

async fn nothing_answered_is_missing(path: &Path, answered: &[u64]) {
    let store = Store::open(path).unwrap();
    for (n, seq) in answered.iter().enumerate() {
        let (_, stored) = store.load(&task(n as u32)).await.unwrap().unwrap_or_else(|| panic!("{n} is gone"));
        assert!(stored >= *seq, "conversation {n}: answered {seq}, stored {stored}");
        let history = store.events(&task(n as u32), 0, u32::MAX - 1, usize::MAX).await.unwrap().events;
        assert!(history.iter().map(|e| e.seq).eq(1..=stored), "conversation {n}: a history without holes");
    }
    let check: String =
        rusqlite::Connection::open(path).unwrap().query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test]
async fn a_killed_process_leaves_every_change_that_was_answered() {
    if let Some(path) = part() {
        return work_until_killed(&path).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("akk.db");
    let test = "crashes::a_killed_process_leaves_every_change_that_was_answered";
    let mut child = play(test, &path, "").spawn().unwrap();
    let answered = answers(&mut child, 300);
    nothing_answered_is_missing(&path, &answered).await;
}

/// Points to die at exist in builds with debug assertions only.
#[cfg(debug_assertions)]
#[tokio::test]
async fn a_death_between_the_disk_and_the_answer_loses_nothing() {
    if let Some(path) = part() {
        return work_until_killed(&path).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("akk.db");
    let test = "crashes::a_death_between_the_disk_and_the_answer_loses_nothing";
    let mut child = play(test, &path, "").env("AKK_STOP_DEAD", "store.committed:40").spawn().unwrap();
    let answered = answers(&mut child, usize::MAX);
    nothing_answered_is_missing(&path, &answered).await;
    let store = Store::open(&path).unwrap();
    assert!(store.newest_cursor() > answered.iter().sum(), "the last transaction was not answered, and is there");
}

/// The process may write files of 2 MiB at most: a write that fails in the middle of a commit.
#[tokio::test]
async fn a_disk_that_fails_harms_nothing_that_was_answered_and_the_store_recovers() {
    if let Some(path) = part() {
        return write_past_the_limit(&path).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("akk.db");
    let test = "crashes::a_disk_that_fails_harms_nothing_that_was_answered_and_the_store_recovers";
    // Blocks of 512 bytes; without the signal the write fails like one on a broken disk.
    let out = play(test, &path, "trap '' XFSZ; ulimit -S -f 4096;").output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{said}");
    assert!(said.contains("failed, then went on"), "{said}");
    let store = Store::open(&path).unwrap();
    assert_eq!(store.load(&task(1)).await.unwrap().unwrap().1, 4);
    assert_eq!(store.load(&task(2)).await.unwrap().unwrap().1, 3);
}

async fn write_past_the_limit(path: &Path) {
    let store = Store::open(path).unwrap();
    let mut story = Story::begin(&store, 1, "r").await;
    let mut other = Story::begin(&store, 2, "r").await;
    let mut heard = store.subscribe_events();
    let big = story.message("codex", akk_proto::message::MessageType::Done, &"x".repeat(4 << 20));
    let big = story.change(vec![story.told(crate::samples::at(1), big, akk_proto::event::Origin::Callback)]);

    // Both wait when the writer looks, so they share the failing transaction; or the other one comes first.
    let (failed, beside) = tokio::join!(store.commit(big.clone()), store.commit(other.noticed("beside")));
    let failed = failed.unwrap_err();
    assert!(matches!(failed, StoreError::Io { .. }), "{failed}");
    match beside {
        Ok(committed) => other.seq = committed.seq,
        Err(error) => {
            assert!(matches!(error, StoreError::Io { .. }), "{error}");
            other.commit(other.noticed("beside, again")).await.unwrap();
        }
    }
    assert_eq!(store.load(&task(1)).await.unwrap().unwrap().1, 2, "nothing of it is there");
    story.commit(story.noticed("small enough")).await.unwrap();

    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
    let lifted = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, lifted).unwrap();
    let mut big = big;
    big.base_seq = story.seq;
    story.commit(big).await.unwrap();
    let mut cursors = Vec::new();
    while let Ok(event) = heard.try_recv() {
        cursors.push(event.cursor);
    }
    assert_eq!(cursors, [5, 6, 7], "nothing is told that is not there, and nothing twice");
    store.close().await;
    println!("failed, then went on");
}
