//! Stories of the index.

use super::*;

fn thread(shared: &mut Shared, title: &str, cwd: &Path, updated_ms: i64) -> Thread {
    Thread {
        title: Some(title.into()),
        cwd: Some(shared.directory(cwd)),
        updated_ms,
        source: SessionSource::Cli,
        ..Thread::unknown(KnownBy::Row, None)
    }
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x01a2_0000_0000_7000_8000_0000_0000_0000 + n)
}

fn key(n: u128) -> Key {
    Key { id: id(n), home: 0 }
}

fn filled(n: u128) -> Index {
    let mut index = Index::new(&["/h".into()]);
    for i in 0..n {
        let thread = thread(&mut Shared::default(), &format!("Title {i}"), Path::new("/work/p"), 1000 + i as i64 / 3);
        assert_eq!(index.put(key(i), thread), Some(SessionChange::New));
    }
    index
}

fn titles(answer: &DiscoverAnswer) -> Vec<&str> {
    answer.sessions.iter().map(|s| s.title.as_deref().unwrap()).collect()
}

#[test]
fn ten_thousand_sessions_come_in_pages_without_a_hole_or_a_repeat() {
    let index = filled(10_000);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = index.page(&Query { limit: 333, after, ..Query::default() });
        assert_eq!(page.total, 10_000);
        seen.extend(page.sessions.iter().map(Position::of));
        match page.next {
            Some(next) => after = Some(Position::parse(&next).unwrap()),
            None => break,
        }
    }
    assert_eq!(seen.len(), 10_000);
    assert!(seen.is_sorted_by(|a, b| a < b), "newest first, each once");
}

#[test]
fn a_cursor_stays_good_while_sessions_come_move_and_go() {
    let mut index = filled(10);
    let page = index.page(&Query { limit: 4, ..Query::default() });
    assert_eq!(titles(&page), ["Title 9", "Title 8", "Title 7", "Title 6"]);
    index.remove(key(6)).unwrap();
    let moved = Thread { updated_ms: 9999, ..index.get(key(2)).unwrap().clone() };
    assert_eq!(index.put(key(2), moved), None, "only its time changed");
    let rest =
        index.page(&Query { limit: 4, after: Some(Position::parse(&page.next.unwrap()).unwrap()), ..Query::default() });
    assert_eq!(titles(&rest), ["Title 5", "Title 4", "Title 3", "Title 1"]);
    assert_eq!(titles(&index.page(&Query { limit: 1, ..Query::default() })), ["Title 2"]);
}

#[test]
fn two_homes_may_hold_the_same_id() {
    let mut index = Index::new(&["/a".into(), "/b".into()]);
    for home in [1, 0] {
        let thread = thread(&mut Shared::default(), "x", Path::new("/p"), 5);
        index.put(Key { id: id(1), home }, thread);
    }
    assert_eq!(index.with_id(id(1)).len(), 2);
    let first = index.page(&Query { limit: 1, ..Query::default() });
    assert_eq!((first.total, first.sessions[0].home.as_str()), (2, "/a"));
    let after = Position::parse(&first.next.unwrap()).unwrap();
    let second = index.page(&Query { limit: 1, after: Some(after), ..Query::default() });
    assert_eq!((second.sessions[0].home.as_str(), second.next), ("/b", None));
}

#[test]
fn a_directory_is_found_by_its_real_place() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().canonicalize().unwrap().join("real");
    std::fs::create_dir(&real).unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let mut index = Index::new(&["/h".into()]);
    for (n, cwd) in [real.as_path(), link.as_path(), dir.path(), Path::new("/gone")].into_iter().enumerate() {
        let thread = thread(&mut Shared::default(), &n.to_string(), cwd, 10 - n as i64);
        index.put(key(n as u128), thread);
    }
    for asked in [&real, &link, &link.join("."), &dir.path().join("link/../real/")] {
        let page = index.page(&Query { limit: 10, cwd: Some(real_place(asked)), ..Query::default() });
        assert_eq!(titles(&page), ["0", "1"], "{}", asked.display());
    }
    let page = index.page(&Query { limit: 10, cwd: Some(real_place(Path::new("/gone/"))), ..Query::default() });
    assert_eq!(titles(&page), ["3"], "a directory that is gone has its name still");
}

#[test]
fn text_is_found_in_id_title_and_directory_whatever_the_case() {
    let mut index = Index::new(&["/h".into()]);
    for (n, (title, cwd)) in [("Fix the Login", "/p/Änderung"), ("STRASSE größer", "/p/x")].into_iter().enumerate() {
        let thread = thread(&mut Shared::default(), title, Path::new(cwd), n as i64);
        index.put(key(n as u128), thread);
    }
    let found = |text: &str| {
        let query = Query { limit: 9, text: Needle::new(text), ..Query::default() };
        titles(&index.page(&query)).len()
    };
    for (text, expected) in
        [("login", 1), ("FIX THE", 1), ("änderung", 1), ("GRÖSSER", 0), ("größer", 1), ("GRÖßER", 1), ("/p/", 2)]
    {
        assert_eq!(found(text), expected, "{text}");
    }
    assert_eq!(found(&id(1).to_string().to_uppercase()), 1);
    assert_eq!(found("no such thing that is longer than any title"), 0);
    assert_eq!(found(""), 2);
}

#[test]
fn archived_ones_and_sub_agents_are_left_out_unless_asked_for() {
    let mut index = filled(4);
    let archived = Thread { archived: true, ..index.get(key(0)).unwrap().clone() };
    assert_eq!(index.put(key(0), archived), Some(SessionChange::Changed));
    let sub = Thread { source: SessionSource::SubAgent, parent: Some(id(0)), ..index.get(key(1)).unwrap().clone() };
    index.put(key(1), sub);
    let total = |archived, auxiliary| index.page(&Query { archived, auxiliary, limit: 1, ..Query::default() }).total;
    assert_eq!([total(false, false), total(true, false), total(false, true), total(true, true)], [2, 3, 3, 4]);
}

#[test]
fn an_older_row_does_not_take_a_newer_turns_model_back() {
    let mut index = filled(1);
    let model = |index: &Index| index.get(key(0)).unwrap().model.as_deref().map(str::to_owned);
    let turn = Thread {
        model: Some(Shared::default().word("new")),
        model_ms: 5000,
        updated_ms: 5000,
        ..index.get(key(0)).unwrap().clone()
    };
    assert_eq!(index.put(key(0), turn), Some(SessionChange::Changed));
    let row = |word, updated_ms| Thread {
        model: Some(Shared::default().word(word)),
        ..thread(&mut Shared::default(), "Title 0", Path::new("/work/p"), updated_ms)
    };
    let old = row("old", 4000);
    assert_eq!(index.put(key(0), old), None);
    assert_eq!(model(&index).as_deref(), Some("new"));
    let newer = row("newest", 6000);
    assert_eq!(index.put(key(0), newer), Some(SessionChange::Changed));
    assert_eq!(model(&index).as_deref(), Some("newest"));
}

#[test]
fn what_no_session_uses_is_forgotten() {
    let (mut index, mut shared) = (Index::new(&["/h".into()]), Shared::default());
    for n in 0..10 {
        let thread = thread(&mut shared, "x", Path::new("/p"), n);
        index.put(key(n as u128), thread);
    }
    shared.tidy();
    assert_eq!(shared.directories.len(), 1, "kept once for ten sessions");
    for n in 0..10 {
        index.remove(key(n)).unwrap();
    }
    shared.tidy();
    assert_eq!((index.len(), shared.directories.len(), index.order.len()), (0, 0, 0));
}

#[test]
fn a_part_names_sessions_by_beginning_and_end() {
    let index = filled(300);
    assert_eq!(index.named("01a2").len(), 300);
    assert_eq!(index.named("00ff"), [key(255)]);
    assert_eq!(index.named(&id(7).to_string()), [key(7)]);
    assert!(index.named("ffff-").is_empty());
}
