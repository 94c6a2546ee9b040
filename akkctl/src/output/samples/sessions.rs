//! Fixed native sessions: live and old ones.

pub(crate) use super::takeovers::*;

use super::{MINUTE, ago};
use akk_proto::session::*;

pub(super) const HOUR: i64 = 60 * MINUTE;

/// A session in a terminal, with a turn that runs.
pub(crate) fn live() -> SessionView {
    SessionView {
        agent: "codex".into(),
        session_id: "0198f3a2-1111-7222-8333-444455556666".into(),
        home: "/home/u/.codex".into(),
        cwd: Some("/home/u/project".into()),
        title: Some("Fix the parser:\nit drops the last token of a line".into()),
        created_at: Some(ago(3 * HOUR)),
        updated_at: Some(ago(3 * MINUTE)),
        archived: false,
        model: Some("gpt-5.1-codex".into()),
        source: SessionSource::Cli,
        originator: Some("codex-tui".into()),
        parent: None,
        capability: Capability::Full,
        capability_reason: None,
        activity: SessionActivity::Working,
        holders: vec![holder()],
        conversation_id: None,
    }
}

fn holder() -> HolderView {
    HolderView {
        pid: 4242,
        started_at: Some(ago(3 * HOUR)),
        kind: ProcessKind::Tui,
        executable: Some("/usr/lib/codex/codex".into()),
        command: vec!["codex".into(), "--no-daemon".into()],
        cwd: Some("/home/u/project".into()),
        evidence: Evidence::Lock,
        confidence: Confidence::Exact,
        also_holds: vec![],
        conversation_id: None,
    }
}

/// A session that nobody runs.
pub(crate) fn old() -> SessionView {
    SessionView {
        session_id: "0198a000-1111-7222-8333-00000000aaaa".into(),
        cwd: Some("/srv/checkouts/a/very/deep/tree/project".into()),
        title: Some("Measure both stores and remove the slower one".into()),
        updated_at: Some(ago(49 * HOUR)),
        model: Some("gpt-5".into()),
        source: SessionSource::Exec,
        originator: Some("codex_exec".into()),
        activity: SessionActivity::Unknown,
        holders: vec![],
        ..live()
    }
}

fn guessed() -> SessionView {
    let mut guess = holder();
    guess.pid = 777;
    guess.evidence = Evidence::Argv;
    guess.confidence = Confidence::Medium;
    guess.command = vec!["codex".into(), "resume".into(), "0198b000-1111-7222-8333-000000001111".into()];
    SessionView {
        session_id: "0198b000-1111-7222-8333-000000001111".into(),
        title: Some("日本語のドキュメントを更新してください。よろしくお願いします。".into()),
        updated_at: Some(ago(30 * HOUR)),
        activity: SessionActivity::Unknown,
        holders: vec![guess],
        ..live()
    }
}

fn shared() -> SessionView {
    let mut daemon = holder();
    daemon.pid = 5000;
    daemon.kind = ProcessKind::Daemon;
    daemon.command = vec!["codex".into(), "app-server".into(), "--listen".into(), "unix://".into()];
    daemon.cwd = Some("/".into());
    daemon.also_holds =
        vec!["0198c000-1111-7222-8333-0000000c0001".into(), "0198c000-1111-7222-8333-0000000c0002".into()];
    let mut adapter = holder();
    adapter.pid = 5001;
    adapter.started_at = None;
    adapter.kind = ProcessKind::AcpAdapter;
    adapter.command = vec![];
    adapter.evidence = Evidence::Cwd;
    adapter.confidence = Confidence::Low;
    adapter.conversation_id = Some(super::conversation_id());
    SessionView {
        session_id: "0198c000-1111-7222-8333-0000000c0000".into(),
        title: Some("short".into()),
        updated_at: Some(ago(500)),
        source: SessionSource::Vscode,
        activity: SessionActivity::Idle,
        holders: vec![daemon, adapter],
        conversation_id: Some(super::conversation_id()),
        ..live()
    }
}

/// One of each kind, as akkd sends them: newest first.
pub(crate) fn page() -> DiscoverAnswer {
    let sessions = vec![
        shared(),
        SessionView { holders: vec![], activity: SessionActivity::Unknown, archived: true, ..live_in_another_home() },
        live(),
        guessed(),
        old(),
        SessionView {
            session_id: "0198d000-1111-7222-8333-0000000d0000".into(),
            cwd: None,
            title: None,
            updated_at: None,
            created_at: None,
            model: None,
            source: SessionSource::SubAgent,
            parent: Some(live().session_id),
            capability: Capability::MetadataOnly,
            capability_reason: Some("its record is gone".into()),
            ..old()
        },
    ];
    DiscoverAnswer { total: sessions.len() as u64, sessions, ..DiscoverAnswer::default() }
}

/// Ends with the same eight characters as [`live`].
fn live_in_another_home() -> SessionView {
    SessionView {
        session_id: "0198e000-1111-7222-8333-777755556666".into(),
        home: "/srv/codex".into(),
        title: Some("Evil \u{1b}[2J title".into()),
        updated_at: Some(ago(2 * MINUTE)),
        ..live()
    }
}

/// Those that a process runs.
pub(crate) fn active() -> DiscoverAnswer {
    let sessions = vec![live(), guessed(), shared()];
    let incomplete = vec!["The descriptors of process 612 belong to another user.".into()];
    DiscoverAnswer { total: 3, sessions, incomplete, ..DiscoverAnswer::default() }
}

/// What works here.
pub(crate) fn capabilities() -> DiscoverAnswer {
    let ability = |name: &str, reason: Option<&str>| AbilityView {
        name: name.into(),
        works: name != "attach",
        reason: reason.map(Into::into),
    };
    DiscoverAnswer {
        providers: vec![ProviderView {
            agent: "codex".into(),
            homes: vec!["/home/u/.codex".into(), "/srv/codex".into()],
            abilities: vec![
                ability("list", None),
                ability("watch", Some("/srv/codex does not exist yet; it is watched for")),
                ability("terminate_then_resume", None),
                ability(
                    "attach",
                    Some("no shared daemon of Codex runs, so that there is nothing to join in this home"),
                ),
            ],
            sessions: 1234,
        }],
        ..DiscoverAnswer::default()
    }
}

/// Everything that a watch can tell.
pub(crate) fn watched() -> Vec<SessionItem> {
    use SessionChange::{
        Activity, Changed, New, OwnerReleased, OwnerTaken, ProcessGone, Removed, TurnEnded, TurnStarted,
    };
    let told = |change, session: &SessionView| SessionItem::Session {
        change,
        ts: ago(1000),
        session: Box::new(session.clone()),
    };
    let mut items = vec![SessionItem::Live { sessions: 12 }];
    items.extend([New, OwnerTaken, TurnStarted, Activity, TurnEnded].map(|change| told(change, &live())));
    items.extend([OwnerReleased, ProcessGone, Changed, Removed].map(|change| told(change, &old())));
    items.push(told(OwnerTaken, &guessed()));
    items.push(SessionItem::Missed { reason: "the reader was too slow for what happened in ~/.codex".into() });
    items.push(SessionItem::Live { sessions: 1 });
    items
}
