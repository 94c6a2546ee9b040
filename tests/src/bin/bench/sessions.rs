//! Native sessions: ten thousand of them, and one that is new.

use crate::codex_home::{CodexHome, head, id};
use crate::house::House;
use crate::process;
use crate::sample::Sample;
use crate::scene::Scene;
use crate::table::{Bar, Table, Unit, mb, ms};
use crate::wire::Wire;
use serde_json::json;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// The list, and what is announced.
pub(crate) fn sessions(scene: &mut Scene, table: &mut Table) {
    let count = scene.size(10_000);
    let codex = CodexHome::new(&scene.folder("codex"), count);
    let mut house = scene.house("sessions").with("CODEX_HOME", codex.path());
    let listed = |house: &House, limit: usize| {
        let mut wire = house.wire();
        let begin = Instant::now();
        let answer = wire.call("sessions.discover", &json!({"scope": "sessions", "limit": limit}));
        let took = begin.elapsed();
        assert_eq!(answer["total"], count, "all are known: {}", answer["total"]);
        took
    };
    house.start();
    let first = Sample::best(scene.often(3), || {
        house.stop();
        house.start();
        listed(&house, 100)
    });
    let note = format!("the longest {:.0} ms", ms(first.longest()));
    let what = "list of 10,000 native sessions: the first, which makes the index";
    table.row(what, Bar::AtMost(300.0), Unit::Milliseconds, ms(first.p50()), &note);
    let again = Sample::best(scene.often(50), || listed(&house, 100));
    let whole = Sample::best(scene.often(20), || listed(&house, 1000));
    let note = format!("a page of 100; one of 1,000 {:.2} ms", ms(whole.p50()));
    let what = "list of 10,000 native sessions: from memory, p50";
    table.row(what, Bar::AtMost(10.0), Unit::Milliseconds, ms(again.p50()), &note);
    if let Some(memory) = process::memory(house.pid()) {
        table.row("memory of akkd with that index, RSS", Bar::None, Unit::Megabytes, mb(memory.rss), "");
    }

    let mut watch = house.wire();
    watch.call("sessions.watch", &json!({}));
    watch.item();
    let mut n = count;
    let by_file = Sample::best(scene.often(10), || {
        n += 1;
        let path = codex.rollout(n);
        let begin = Instant::now();
        std::fs::write(&path, head(n)).expect("the home takes files");
        told(&mut watch, "new", n);
        begin.elapsed()
    });
    let note = format!("the longest {:.0} ms", ms(by_file.longest()));
    let what = "a new native session is announced after its rollout appears, p50";
    table.row(what, Bar::AtMost(250.0), Unit::Milliseconds, ms(by_file.p50()), &note);

    let what = "the same, after its writer lock is taken";
    if cfg!(not(target_os = "linux")) {
        return table.not_measured(what, "the stand-in for Codex needs programs of Linux");
    }
    let program = stand_in(house.root());
    let by_lock = Sample::best(scene.often(5), || {
        n += 1;
        let mut codex = Taking::start(&program, codex.path(), &codex.lock(n));
        told(&mut watch, "owner_taken", n);
        let took = SystemTime::now().duration_since(codex.taken).unwrap_or_default();
        codex.end();
        told(&mut watch, "removed", n);
        took
    });
    let note = format!("the longest {:.0} ms; with who has it", ms(by_lock.longest()));
    table.row(what, Bar::AtMost(250.0), Unit::Milliseconds, ms(by_lock.p50()), &note);
}

/// Waits until this is told of session `n`.
fn told(watch: &mut Wire, change: &str, n: usize) {
    loop {
        let item = watch.item();
        assert_ne!(item["item"], "missed", "nothing is missed here: {item}");
        if item["change"] == change && item["session"]["session_id"] == id(n) {
            return;
        }
    }
}

/// A stand-in for Codex: a copy of bash of that name.
fn stand_in(folder: &Path) -> PathBuf {
    let program = folder.join("codex");
    std::fs::copy("/bin/bash", &program).expect("a program can be copied");
    program
}

/// A stand-in that has the lock of a session.
struct Taking {
    child: std::process::Child,
    /// When it had it, by the clock of the wall.
    taken: SystemTime,
}

impl Taking {
    fn start(program: &Path, home: &Path, lock: &Path) -> Self {
        let lock = lock.display();
        let script =
            format!("exec {{fd}}<>'{lock}'; flock -n $fd || exit 1; echo $EPOCHREALTIME; read x; rm -f '{lock}'");
        let mut child = Command::new(program)
            .args(["-c", &script])
            .env("CODEX_HOME", home)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the stand-in can be run");
        let mut said = String::new();
        let output = child.stdout.take().expect("it has an output");
        BufReader::new(output).read_line(&mut said).expect("it speaks");
        let since = said.trim().parse().expect("it has the lock, and says since when");
        Self { child, taken: SystemTime::UNIX_EPOCH + Duration::from_secs_f64(since) }
    }

    fn end(&mut self) {
        self.child.stdin.take().expect("it has an input").write_all(b"\n").expect("it reads");
        self.child.wait().expect("it ends");
    }
}
