use super::*;
use akk_proto::session::Confidence;

mod real;

const A: &str = "01a20999-b0ab-79b0-8721-7b3650d327c0";
const B: &str = "01a20999-cf11-78a0-b496-0a0522fa802d";
const HOME: &str = "/h/.codex";

/// A terminal of [`HOME`] with this id of which nothing is known.
fn process(pid: u32) -> CodexProcess {
    CodexProcess {
        identity: ProcessIdentity { boot: "b".into(), pid_namespace: 1, pid, started: u64::from(pid), uid: 7 },
        started_at: None,
        kind: ProcessKind::Tui,
        executable: None,
        command: vec!["codex".into()],
        cwd: None,
        home: Some(HOME.into()),
        held: Vec::new(),
        resumes: None,
        may_work_in: None,
        relatives: Vec::new(),
        conversation: None,
    }
}

fn holding(pid: u32, session_id: &str, evidence: Evidence) -> CodexProcess {
    let held = Held { home: HOME.into(), session_id: session_id.into(), evidence };
    CodexProcess { held: vec![held], ..process(pid) }
}

fn resuming(pid: u32, session_id: &str) -> CodexProcess {
    CodexProcess { resumes: Some(session_id.into()), ..process(pid) }
}

fn standing_in(pid: u32, directory: &str) -> CodexProcess {
    CodexProcess { may_work_in: Some(directory.into()), ..process(pid) }
}

fn seen(processes: Vec<CodexProcess>) -> Look {
    Look { processes, ..Look::default() }
}

/// Who runs session `A`, which works in `/w`, and by what.
fn holders(look: &Look) -> Vec<(u32, &'static str)> {
    let holders = look.holders_of(Path::new(HOME), A, Some(Path::new("/w")));
    holders.iter().map(|h| (h.identity.pid, h.evidence.as_str())).collect()
}

#[test]
fn the_lock_speaks_against_everybody_else() {
    let look = seen(vec![standing_in(1, "/w"), resuming(2, A), holding(3, A, Evidence::Lock)]);
    assert_eq!(holders(&look), [(3, "lock")]);
}

#[test]
fn two_that_write_the_rollout_are_both_holders_and_a_command_line_still_counts() {
    let look = seen(vec![
        standing_in(1, "/w"),
        resuming(2, A),
        holding(3, A, Evidence::Rollout),
        holding(4, A, Evidence::Rollout),
    ]);
    assert_eq!(holders(&look), [(3, "rollout"), (4, "rollout"), (2, "argv")]);
}

#[test]
fn without_anything_certain_words_come_before_the_directory() {
    let look = seen(vec![standing_in(1, "/w"), standing_in(2, "/other"), resuming(3, A), resuming(4, B)]);
    assert_eq!(holders(&look), [(3, "argv"), (1, "cwd")]);
    let found = look.holders_of(Path::new(HOME), A, Some(Path::new("/w")));
    let confidence: Vec<_> = found.iter().map(|h| h.view.confidence).collect();
    assert_eq!(confidence, [Confidence::Medium, Confidence::Low]);
    assert_eq!(look.holders_of(Path::new(HOME), A, None).len(), 1);
    assert_eq!(look.suspected_directories(Path::new(HOME)), [Path::new("/other"), Path::new("/w")]);
}

#[test]
fn who_holds_another_session_for_certain_has_left_the_one_in_its_command_line() {
    let switched = CodexProcess { resumes: Some(A.into()), ..holding(1, B, Evidence::Lock) };
    let look = seen(vec![switched]);
    assert!(holders(&look).is_empty());
    let live: Vec<_> = look.live_sessions(Path::new(HOME)).into_iter().map(|l| (l.session_id, l.evidence)).collect();
    assert_eq!(live, [(B.to_owned(), Evidence::Lock)]);
}

#[test]
fn a_process_of_another_home_is_nobodys_holder_here_and_one_of_an_unknown_home_may_be() {
    let other = CodexProcess { home: Some("/other".into()), ..resuming(1, A) };
    let unknown = CodexProcess { home: None, ..standing_in(2, "/w") };
    assert_eq!(holders(&seen(vec![other, unknown])), [(2, "cwd")]);
    let mut elsewhere = holding(3, A, Evidence::Lock);
    elsewhere.held[0].home = "/other".into();
    assert!(holders(&seen(vec![elsewhere])).is_empty());
}

#[test]
fn every_session_that_would_end_with_a_process_is_named() {
    let mut daemon = holding(1, A, Evidence::Lock);
    daemon.held.extend(holding(1, B, Evidence::Rollout).held);
    let nested = holding(2, "nested", Evidence::Lock);
    let relative = crate::sessions::Relative { identity: nested.identity.clone(), executable: None, command: vec![] };
    daemon.relatives.push(relative);
    let look = seen(vec![daemon, nested]);
    let found = look.holders_of(Path::new(HOME), A, None);
    assert_eq!(found[0].also_holds, [B, "nested"]);
    assert_eq!(found[0].view.also_holds, found[0].also_holds);
    let live: Vec<_> = look.live_sessions(Path::new(HOME)).into_iter().map(|l| (l.session_id, l.process.pid)).collect();
    assert_eq!(live, [(A.to_owned(), 1), (B.to_owned(), 1), ("nested".to_owned(), 2)]);
}

#[test]
fn a_live_session_is_told_once_with_its_surest_process() {
    let look = seen(vec![resuming(1, A), holding(2, A, Evidence::Rollout)]);
    let live = look.live_sessions(Path::new(HOME));
    assert_eq!(live.len(), 1);
    assert_eq!((live[0].process.pid, live[0].evidence), (2, Evidence::Rollout));
}

#[test]
fn a_lock_of_somebody_unseen_is_in_doubt_for_its_session_alone() {
    let unseen = Unseen { home: HOME.into(), session_id: A.into(), sentence: "Who?".into() };
    let look = Look { incomplete: vec!["All.".into()], unseen: vec![unseen], ..Look::default() };
    assert_eq!(look.incomplete_for(Path::new(HOME), A), ["All.", "Who?"]);
    assert_eq!(look.incomplete_for(Path::new(HOME), B), ["All."]);
    assert_eq!(look.incomplete_for(Path::new("/other"), A), ["All."]);
}

#[test]
fn a_command_line_is_shown_without_secrets_and_not_whole() {
    let long = "x".repeat(300);
    let words = ["codex", "-c", "api_key=sk-1234567890", "--token", "hunter22", "--model", "gpt", &long];
    let mut command: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
    command.extend((0..20).map(|n| n.to_string()));
    let shown = shown(&command);
    assert_eq!(shown[..7], ["codex", "-c", "api_key=[redacted]", "--token", "[redacted]", "--model", "gpt"]);
    assert_eq!(shown[7].chars().count(), 200);
    assert_eq!(shown.len(), 20);
}
