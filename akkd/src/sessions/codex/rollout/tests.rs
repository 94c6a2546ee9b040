use super::super::testing::{
    ABORTED, EXEC, EXEC_ID, EXEC_ZST, FORKS, Home, IN_FLIGHT, OLD, REFUSED, SUB_AGENT, THREE_TURNS, append, event,
    filler,
};
use super::lines::{Backward, Forward, Line};
use super::*;
use akk_proto::session::SessionSource;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::fs::File;
use std::path::{Path, PathBuf};

fn settings(cwd: &str, model: &str, sandbox: Sandbox, approval: &str) -> TurnSettings {
    TurnSettings {
        cwd: Some(cwd.into()),
        model: Some(model.into()),
        rights: Rights::Sandbox(sandbox),
        approval: Some(approval.into()),
    }
}

#[test]
fn every_rollout_of_a_home_is_listed() {
    let home = Home::new();
    assert!(list(&home.home).0.is_empty() && list(&home.home).1.is_empty(), "no folder yet");
    let plain = home.rollout(EXEC_ID, EXEC);
    let (base, _) = FORKS[0];
    let cold = home.put(&format!("sessions/2025/01/02/rollout-2025-01-02T03-04-05-{base}.jsonl.zst"), "");
    let (fork, _) = FORKS[1];
    let archived = home.put(&format!("archived_sessions/rollout-2025-01-02T03-04-05-{fork}.jsonl"), "");
    home.put("sessions/2026/11/22/notes.txt", "");
    home.put("sessions/2026/11/22/rollout-2026-11-22T16-50-37-not-an-id.jsonl", "");
    home.put(&format!("sessions/2026/11/22/rollout-2026-11-22T16-50-37-{EXEC_ID}.jsonl.zst"), "");
    home.put(&format!("sessions/2026/11/22/rollout-2026-11-22T16-50-37-{EXEC_ID}.jsonl.zst.tmp"), "");

    let (mut files, failed) = list(&home.home);
    files.sort_by(|a, b| a.thread_id.cmp(&b.thread_id));
    let file = |id: &str, path: &Path, compressed, archived| RolloutFile {
        thread_id: id.into(),
        path: path.into(),
        compressed,
        archived,
    };
    let expected =
        [file(EXEC_ID, &plain, false, false), file(base, &cold, true, false), file(fork, &archived, false, true)];
    assert_eq!(files, expected);
    assert!(failed.is_empty());
}

#[test]
fn a_rollout_is_found_where_it_was_noted_or_where_it_went() {
    let home = Home::new();
    let noted = home.rollout(EXEC_ID, EXEC);
    let find = |noted| find(&home.home, EXEC_ID, noted).map(|file| (file.path, file.compressed, file.archived));
    assert_eq!(find(Some(&noted)), Some((noted.clone(), false, false)));
    assert_eq!(find(None), Some((noted.clone(), false, false)));

    // It got cold: the row still names the file that was.
    let cold = PathBuf::from(format!("{}.zst", noted.display()));
    std::fs::rename(&noted, &cold).unwrap();
    assert_eq!(find(Some(&noted)), Some((cold.clone(), true, false)));
    // It was taken out again: the row may still name the other one.
    std::fs::rename(&cold, &noted).unwrap();
    assert_eq!(find(Some(&cold)), Some((noted.clone(), false, false)));

    let away = home.put(&format!("archived_sessions/rollout-2026-11-22T16-50-37-{EXEC_ID}.jsonl"), EXEC);
    std::fs::remove_file(&noted).unwrap();
    assert_eq!(find(Some(&noted)), Some((away, false, true)));
    // A row does not make another thread's file, or no file at all, into its own.
    assert_eq!(super::find(&home.home, FORKS[0].0, Some(Path::new("/dev/zero"))), None);
}

#[test]
fn the_head_says_where_a_thread_comes_from() {
    let home = Home::new();
    let of = |id, content: &str| head(&home.rollout(id, content)).unwrap().unwrap();
    let exec = of(EXEC_ID, EXEC);
    assert_eq!((exec.id.as_str(), exec.cwd.as_deref()), (EXEC_ID, Some(Path::new("/home/dev/project"))));
    assert_eq!((exec.originator.as_deref(), exec.cli_version.as_deref()), (Some("codex_exec"), Some("0.169.0")));
    assert_eq!(exec.source.kind, SessionSource::Exec);
    assert_eq!(exec.created_at.unwrap().to_string(), "2026-11-22T16:50:37.727Z");
    assert_eq!((exec.forked_from, exec.history_base), (None, None));

    // A sub-agent's file has its parent's head too, as the second record.
    let kid = of("01a20447-ef03-7912-a77a-af4f2da1f2df", SUB_AGENT);
    assert_eq!(kid.id, "01a20447-ef03-7912-a77a-af4f2da1f2df");
    assert_eq!(kid.source.kind, SessionSource::SubAgent);
    assert_eq!(kid.source.parent.as_deref(), Some("01a20447-ee61-7e81-880a-9caee7541876"));

    let fork = of(FORKS[1].0, FORKS[1].1);
    assert_eq!(fork.forked_from.as_deref(), Some(FORKS[0].0));
    let base = fork.history_base.unwrap();
    assert_eq!((base.thread_id.as_str(), base.end_ordinal_exclusive), (FORKS[0].0, Some(16)));

    let old = of("0199a001-1111-7000-8000-000000000001", OLD);
    assert_eq!((old.originator.as_deref(), old.source.kind), (Some("codex_cli_rs"), SessionSource::Unknown));
}

#[test]
fn a_head_of_another_shape_is_none() {
    let home = Home::new();
    for content in ["", "\n", "{}\n", "not json\n", r#"{"type":"session_meta","payload":[]}"#, &event("task_started")] {
        assert_eq!(head(&home.rollout(EXEC_ID, content)).unwrap(), None, "{content}");
    }
    // The oldest versions wrote the inside alone.
    let oldest = format!(r#"{{"id":"{EXEC_ID}","timestamp":"2025-05-07T17:24:21.597Z","instructions":""}}"#);
    let oldest = head(&home.rollout(EXEC_ID, oldest)).unwrap().unwrap();
    assert_eq!(oldest.created_at.unwrap().to_string(), "2025-05-07T17:24:21.597Z");
    // Instructions may be as long as they like, within reason.
    let long = EXEC.replacen("You are a coding agent.", &"You are a coding agent. ".repeat(50_000), 1);
    assert_eq!(head(&home.rollout(EXEC_ID, long)).unwrap().unwrap().id, EXEC_ID);
}

#[test]
fn the_tail_says_where_a_thread_stands() {
    let home = Home::new();
    let of = |content: &str| tail(&home.rollout(EXEC_ID, content)).unwrap();
    let exec = of(EXEC);
    let expected = settings("/home/dev/project", "gpt-5-fake", Sandbox::FullAccess, "never");
    assert_eq!((exec.settings, exec.turn), (Some(expected), TurnState::Ended));
    assert_eq!(exec.last_record_at.unwrap().to_string(), "2026-11-22T16:50:38.067Z");
    assert_eq!((exec.offset, exec.skipped), (EXEC.len() as u64, 0));

    assert_eq!(of(IN_FLIGHT).turn, TurnState::Running);
    assert_eq!(of(REFUSED).turn, TurnState::Ended, "a turn that failed has ended");
    assert_eq!(of(THREE_TURNS).turn, TurnState::Ended);
    let kid = of(SUB_AGENT);
    assert_eq!((kid.turn, kid.settings.unwrap().model.as_deref()), (TurnState::Ended, Some("gpt-6.1-sol")));

    // The command that was cut short is recorded after the end of its turn.
    let aborted = of(ABORTED);
    assert_eq!(
        (aborted.turn, aborted.settings.unwrap().rights),
        (TurnState::Ended, Rights::Sandbox(Sandbox::ReadOnly))
    );

    let old = of(OLD);
    assert_eq!(old.turn, TurnState::Unknown, "old versions did not say");
    assert_eq!(
        old.settings,
        Some(settings("/home/dev/old", "gpt-5-codex", Sandbox::WorkspaceWrite(Workspace::default()), "on-request"))
    );
}

#[test]
fn the_settings_of_the_newest_turn_count() {
    let home = Home::new();
    let newer = r#"{"type":"turn_context","payload":{"cwd":"/elsewhere","model":"other","approval_policy":{"granular":{}},"sandbox_policy":{"type":"external-sandbox"}}}"#;
    let path = home.rollout(EXEC_ID, format!("{EXEC}{}{newer}\n", event("task_started")));
    let tail = tail(&path).unwrap();
    let expected = TurnSettings {
        cwd: Some("/elsewhere".into()),
        model: Some("other".into()),
        rights: Rights::Unknown,
        ..TurnSettings::default()
    };
    assert_eq!((tail.settings, tail.turn), (Some(expected), TurnState::Running));
}

#[test]
fn a_turn_that_fills_megabytes_is_seen_through() {
    let home = Home::new();
    let path = home.rollout(EXEC_ID, format!("{IN_FLIGHT}{}", filler(300_000).repeat(40)));
    let tail = tail(&path).unwrap();
    assert_eq!((tail.turn, tail.settings.is_some()), (TurnState::Running, true));
}

#[test]
fn half_of_a_record_waits_for_the_other_half() {
    let home = Home::new();
    let (whole, half) = EXEC.split_at(EXEC.trim_end().rfind('\n').unwrap() + 20);
    let path = home.rollout(EXEC_ID, whole);
    let before = tail(&path).unwrap();
    assert_eq!((before.turn, before.skipped), (TurnState::Running, 0), "the end of the turn is not there yet");
    assert_eq!(before.offset, whole.len() as u64 - 19);
    assert_eq!(scan_from(&path, before.offset).unwrap(), Scan { offset: before.offset, ..Scan::default() });
    append(&path, half);
    let scan = scan_from(&path, before.offset).unwrap();
    assert_eq!(scan.events, [LiveEvent::TurnEnded]);
    assert_eq!((scan.offset, scan.records, scan.restarted, scan.more), (EXEC.len() as u64, 1, false, false));
}

#[test]
fn what_is_appended_is_told_once() {
    let home = Home::new();
    let path = home.rollout(EXEC_ID, "");
    let mut offset = 0;
    let mut events = Vec::new();
    for line in THREE_TURNS.split_inclusive('\n') {
        append(&path, line);
        let scan = scan_from(&path, offset).unwrap();
        assert_eq!((scan.records, scan.skipped, scan.restarted), (1, 0, false));
        assert!(scan.last_record_at.is_some());
        offset = scan.offset;
        events.extend(scan.events);
    }
    let turn = settings("/home/dev/project", "gpt-5-fake", Sandbox::WorkspaceWrite(Workspace::default()), "on-request");
    assert_eq!(events.len(), 9);
    for events in events.chunks(3) {
        assert_eq!(events[0], LiveEvent::TurnStarted);
        assert!(matches!(&events[1], LiveEvent::Settings(s) if s.cwd == turn.cwd && s.model == turn.model));
        assert_eq!(events[2], LiveEvent::TurnEnded);
    }
    assert_eq!(scan_from(&path, offset).unwrap(), Scan { offset, ..Scan::default() });
    assert_eq!(scan_from(&path, 0).unwrap().events, events, "all at once is the same");
}

#[test]
fn a_file_that_was_cut_is_read_again() {
    let home = Home::new();
    let path = home.rollout(EXEC_ID, EXEC);
    let scan = scan_from(&path, EXEC.len() as u64 + 1).unwrap();
    assert_eq!((scan.restarted, scan.records, scan.offset), (true, 28, EXEC.len() as u64));
    let scan = scan_from(&path, 10).unwrap();
    assert_eq!((scan.restarted, scan.records), (true, 28), "an offset within a line is another file's");
}

#[test]
fn a_long_backlog_comes_in_parts() {
    let home = Home::new();
    let path = home.rollout(EXEC_ID, event("task_started").repeat(400_000));
    let first = scan_from(&path, 0).unwrap();
    assert!(first.more && first.events.len() == 1000, "{} events", first.events.len());
    let mut records = first.records;
    let mut offset = first.offset;
    loop {
        let scan = scan_from(&path, offset).unwrap();
        records += scan.records;
        offset = scan.offset;
        if !scan.more {
            break;
        }
    }
    assert_eq!(records, 400_000);
}

#[test]
fn records_that_nobody_can_read_are_passed_over_and_counted() {
    let home = Home::new();
    let broken = "not json\n{\"type\":\n\u{0}\u{0}\n{\"type\":\"turn_context\",\"payload\":7}\n";
    let long = filler(5 << 20);
    let path = home.rollout(EXEC_ID, format!("{EXEC}{long}{broken}"));
    let tail = tail(&path).unwrap();
    assert_eq!((tail.turn, tail.skipped), (TurnState::Ended, 5));
    let scan = scan_from(&path, 0).unwrap();
    assert_eq!((scan.records, scan.skipped), (28 + 5, 5));
    std::fs::write(&path, [b"\xff\xfe{}\n".as_slice(), EXEC.as_bytes()].concat()).unwrap();
    assert_eq!(scan_from(&path, 0).unwrap().skipped, 1);
}

#[test]
fn a_half_written_line_of_any_length_waits() {
    let home = Home::new();
    let long = filler(6 << 20);
    let path = home.rollout(EXEC_ID, format!("{EXEC}{}", long.trim_end()));
    let tail = tail(&path).unwrap();
    assert_eq!((tail.offset, tail.skipped, tail.turn), (EXEC.len() as u64, 0, TurnState::Ended));
    assert_eq!(scan_from(&path, tail.offset).unwrap(), Scan { offset: tail.offset, ..Scan::default() });
    append(&path, "\n");
    assert_eq!(scan_from(&path, tail.offset).unwrap().skipped, 1);
}

#[test]
fn a_compressed_rollout_says_the_same() {
    let home = Home::new();
    let plain = home.rollout(EXEC_ID, EXEC);
    let cold = |content: &[u8]| home.put(&format!("cold/rollout-2026-11-22T16-50-37-{EXEC_ID}.jsonl.zst"), content);
    let (first, second) = EXEC.as_bytes().split_at(3000);
    let parts: Vec<u8> = [first, second].map(|part| compress_to_vec(part, CompressionLevel::Fastest)).concat();
    // A frame that decoders are to skip (RFC 8878, 3.1.2).
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3], EXEC_ZST].concat();
    for content in [EXEC_ZST, &parts, &skipped] {
        let path = cold(content);
        assert_eq!(head(&path).unwrap(), head(&plain).unwrap());
        let (cold, plain) = (tail(&path).unwrap(), tail(&plain).unwrap());
        assert_eq!(cold, Tail { offset: content.len() as u64, ..plain });
        assert_eq!(scan_from(&path, 0).unwrap(), Scan { offset: content.len() as u64, ..Scan::default() });
    }
    let broken = cold(&EXEC_ZST[..EXEC_ZST.len() / 2]);
    assert!(tail(&broken).is_err());
    assert!(tail(&cold(b"this is no zstd")).is_err());
}

#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let home = Home::new();
    let pipe = home.put("pipe", "");
    std::fs::remove_file(&pipe).unwrap();
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(tail(&pipe).is_err());
    assert!(head(home.home.path()).is_err());
    assert!(scan_from(&home.home.path().join("nowhere"), 0).is_err());
}

fn forward(content: &[u8]) -> Vec<String> {
    let mut lines = Forward::new(content);
    let mut found = Vec::new();
    while let Some(line) = lines.next().unwrap() {
        found.push(shown(&line));
    }
    found
}

fn backward(path: &Path) -> Vec<String> {
    let file = File::open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let mut lines = Backward::new(file, length);
    let mut found = Vec::new();
    while let Some(line) = lines.next().unwrap() {
        found.push(shown(&line));
    }
    found.reverse();
    found
}

fn shown(line: &Line<'_>) -> String {
    match line {
        Line::Whole(line) => format!("whole {} {:?}", line.len(), &line[..line.len().min(9)]),
        Line::Open(line) => format!("open {} {:?}", line.len(), &line[..line.len().min(9)]),
        Line::TooLong { open } => format!("too long {open}"),
    }
}

#[test]
fn lines_are_the_same_from_both_ends() {
    let home = Home::new();
    let long = |bytes: usize| "y".repeat(bytes);
    for content in [
        String::new(),
        "\n".into(),
        "\n\n".into(),
        "a".into(),
        "a\nb".into(),
        "a\n\nb\n".into(),
        format!("a\n{}\nb\n", long(300 << 10)),
        format!("{}\n{}\nb\n{}", long(256 << 10), long(256 << 10), long((256 << 10) - 1)),
        format!("a\n{}\nb\n", long(4 << 20)),
        format!("a\n{}\nb\n", long((4 << 20) + 1)),
        format!("{}\n{}\n{}", long(9 << 20), long(700_000), long(9 << 20)),
        long(5 << 20),
    ] {
        let path = home.put("lines", &content);
        assert_eq!(backward(&path), forward(content.as_bytes()), "of {} bytes", content.len());
    }
}

/// How long lines are, with a liking for what falls on the borders of the blocks that are read at once.
fn lengths() -> impl Strategy<Value = Vec<usize>> {
    let length = prop_oneof![3 => 0..40_usize, 2 => (256 << 10) - 3..(256 << 10) + 3_usize, 1 => 0..600_000_usize];
    prop::collection::vec(length, 0..5)
}

proptest! {
    // Each writes a megabyte.
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.div_ceil(8), ..ProptestConfig::default() })]

    #[test]
    fn lines_of_any_length_are_the_same_from_both_ends(lengths in lengths(), ended in any::<bool>()) {
        let home = Home::new();
        let lines: Vec<String> = lengths.iter().zip('a'..).map(|(n, c)| c.to_string().repeat(*n)).collect();
        let content = format!("{}{}", lines.join("\n"), if ended { "\n" } else { "" });
        prop_assert_eq!(backward(&home.put("lines", &content)), forward(content.as_bytes()));
    }
}

/// Lines such as rollouts have, whole and broken.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<String> =
        [EXEC, OLD, SUB_AGENT, ABORTED].iter().flat_map(|f| f.lines().map(str::to_owned)).collect();
    let line = prop_oneof![
        4 => prop::sample::select(known.clone()).prop_map(String::into_bytes),
        2 => (prop::sample::select(known), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(line, at, byte)| {
            let mut line = line.into_bytes();
            let at = at.index(line.len());
            line[at] = byte;
            line
        }),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => r#"\{"type":"(turn_context|event_msg|session_meta|response_item)","payload":(7|null|\[\]|"x"|\{\}|\{"type":null\}|\{"item":\[\]\})\}"#
            .prop_map(String::into_bytes),
    ];
    prop::collection::vec(line, 0..40).prop_map(|lines| lines.join(&b"\n"[..]))
}

proptest! {
    #[test]
    fn nothing_that_a_file_holds_makes_reading_panic(content in lines(), offset in 0_u64..20_000) {
        let home = Home::new();
        let path = home.rollout(EXEC_ID, &content);
        head(&path).unwrap();
        let tail = tail(&path).unwrap();
        prop_assert!(tail.offset <= content.len() as u64);
        let scan = scan_from(&path, offset).unwrap();
        prop_assert!(scan.offset <= content.len() as u64);
        // Whoever goes on from there sees no line twice and none cut in two.
        prop_assert!(scan.offset == 0 || content[usize::try_from(scan.offset).unwrap() - 1] == b'\n');
        prop_assert!(tail.offset == 0 || content[usize::try_from(tail.offset).unwrap() - 1] == b'\n');
        let rest = scan_from(&path, scan.offset).unwrap();
        prop_assert_eq!((rest.records, rest.restarted), (0, false));

        let cold = home.put("x.jsonl.zst", compress_to_vec(&*content, CompressionLevel::Fastest));
        let of_cold = super::tail(&cold).unwrap();
        prop_assert_eq!((of_cold.settings, of_cold.turn), (tail.settings, tail.turn));
        let broken = home.put("y.jsonl.zst", &content);
        let _ = (super::tail(&broken), head(&broken));
    }
}
