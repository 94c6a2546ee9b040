//! The decisions, for both managers of services.

use super::*;

/// Two files: one that is there as it should be, and one as `before` says.
fn situation(platform: Platform, before: Option<&str>, managed: Managed, by_hand: Option<u32>) -> Situation {
    let file = |name: &str, before: Option<&str>| File {
        path: Path::new("/u").join(name),
        text: "new".to_owned(),
        before: before.map(str::to_owned),
    };
    let files = match platform {
        Platform::Systemd => vec![file(UNIT, before), file(SOCKETS[0], before.map(|_| "new"))],
        Platform::Launchd => vec![file("akkd.plist", before)],
    };
    Situation { platform, managed, by_hand, uid: 501, files }
}

const RESET: &str = "try reset-failed SOCKETS SERVICE";

/// The steps as lines.
fn told(steps: &[Step]) -> Vec<String> {
    let sockets = SOCKETS.join(" ");
    let line = |step: &Step| match step {
        Step::Write(file, text) => format!("write {} {text}", file.display()),
        Step::Remove(file) => format!("remove {}", file.display()),
        Step::Order(words) => words.join(" "),
        Step::Try(words) => format!("try {}", words.join(" ")),
        Step::Insist(words) => format!("insist {}", words.join(" ")),
        Step::HandOver => "hand over".to_owned(),
        Step::AwaitEnd => "await end".to_owned(),
    };
    steps.iter().map(|s| line(s).replace("--user ", "").replace(&sockets, "SOCKETS").replace(UNIT, "SERVICE")).collect()
}

fn running() -> Managed {
    Managed { enabled: true, pid: Some(7), listening: true, ..Managed::default() }
}

fn idle() -> Managed {
    Managed { enabled: true, listening: true, ..Managed::default() }
}

#[test]
fn without_a_manager_the_files_and_the_links_that_enabled_them_go() {
    let folder = Path::new("/c/systemd/user");
    let steps = uninstall_alone(folder, &[folder.join("akkd.service")]);
    let removed = ["default.target.wants/akkd.service", "sockets.target.wants/akkd.service", "akkd.service"];
    assert_eq!(steps, removed.map(|name| Step::Remove(folder.join(name))));
}

#[test]
fn a_first_installation_writes_enables_and_starts() {
    let first = situation(Platform::Systemd, None, Managed::default(), None);
    assert_eq!(
        told(&first.install()),
        [
            "write /u/SERVICE new",
            "write /u/akkd-control.socket new",
            "daemon-reload",
            "enable SOCKETS SERVICE",
            RESET,
            "start SOCKETS SERVICE"
        ]
    );
    let first = situation(Platform::Launchd, None, Managed::default(), None);
    assert_eq!(
        told(&first.install()),
        [
            "write /u/akkd.plist new",
            "try enable gui/501/agent-knock-knock.akkd",
            "insist bootstrap gui/501 /u/akkd.plist"
        ]
    );
}

#[test]
fn an_akkd_that_runs_by_hand_hands_over_when_nothing_else_can_fail() {
    let steps = told(&situation(Platform::Systemd, None, Managed::default(), Some(4711)).install());
    assert_eq!(steps[3..], ["enable SOCKETS SERVICE", "hand over", RESET, "start SOCKETS SERVICE"]);
    let steps = told(&situation(Platform::Launchd, None, Managed::default(), Some(4711)).install());
    assert_eq!(steps[1], "hand over");
    let beside = told(&situation(Platform::Systemd, Some("new"), idle(), Some(4711)).install());
    assert_eq!(beside, ["stop SOCKETS", "stop SERVICE", "hand over", RESET, "start SOCKETS SERVICE"]);
}

#[test]
fn a_repetition_does_nothing_where_all_is_in_place() {
    for (platform, managed) in
        [(Platform::Systemd, running()), (Platform::Systemd, idle()), (Platform::Launchd, running())]
    {
        assert_eq!(told(&situation(platform, Some("new"), managed, None).install()), [""; 0]);
    }
}

#[test]
fn a_changed_file_starts_the_service_again() {
    let steps = told(&situation(Platform::Systemd, Some("old"), running(), None).install());
    assert_eq!(
        steps,
        [
            "write /u/SERVICE new",
            "daemon-reload",
            "enable SOCKETS SERVICE",
            "stop SOCKETS",
            "stop SERVICE",
            RESET,
            "start SOCKETS SERVICE"
        ]
    );
    let steps = told(&situation(Platform::Launchd, Some("old"), running(), None).install());
    assert_eq!(
        steps,
        [
            "write /u/akkd.plist new",
            "try bootout gui/501/agent-knock-knock.akkd",
            "await end",
            "try enable gui/501/agent-knock-knock.akkd",
            "insist bootstrap gui/501 /u/akkd.plist"
        ]
    );
}

#[test]
fn a_service_that_was_stopped_or_disabled_is_installed_again() {
    let stopped = Managed { enabled: true, ..Managed::default() };
    assert_eq!(
        told(&situation(Platform::Systemd, Some("new"), stopped, None).install()),
        ["stop SOCKETS", "stop SERVICE", RESET, "start SOCKETS SERVICE"]
    );
    let disabled = Managed { enabled: false, ..running() };
    let steps = told(&situation(Platform::Systemd, Some("new"), disabled, None).install());
    assert_eq!(steps, ["daemon-reload", "enable SOCKETS SERVICE"]);
}

#[test]
fn an_installation_that_failed_is_taken_back() {
    let first = situation(Platform::Systemd, None, Managed::default(), None);
    assert_eq!(
        told(&first.take_back()),
        [
            "try disable --now SOCKETS SERVICE",
            "remove /u/SERVICE",
            "remove /u/akkd-control.socket",
            "try daemon-reload",
            RESET
        ]
    );
    let again = situation(Platform::Systemd, Some("old"), running(), None);
    assert_eq!(
        told(&again.take_back()),
        ["write /u/SERVICE old", "try daemon-reload", RESET, "try start SOCKETS SERVICE"],
        "what ran before runs again"
    );
    let first = situation(Platform::Launchd, None, Managed::default(), None);
    assert_eq!(told(&first.take_back()), ["try bootout gui/501/agent-knock-knock.akkd", "remove /u/akkd.plist"]);
    let again = situation(Platform::Launchd, Some("old"), running(), None);
    assert_eq!(told(&again.take_back())[1..], ["write /u/akkd.plist old", "insist bootstrap gui/501 /u/akkd.plist"]);
}

#[test]
fn starting_starts_the_sockets_too() {
    let start = |platform, managed| told(&situation(platform, Some("new"), managed, None).start(Path::new("/u/f")));
    assert_eq!(start(Platform::Systemd, idle()), [RESET, "start SOCKETS SERVICE"]);
    let deaf = Managed { listening: false, ..running() };
    assert_eq!(
        start(Platform::Systemd, deaf),
        ["stop SERVICE", RESET, "start SOCKETS SERVICE"],
        "systemd does not listen for one that runs"
    );
    assert_eq!(start(Platform::Launchd, running()), ["kickstart gui/501/agent-knock-knock.akkd"]);
    assert_eq!(start(Platform::Launchd, Managed::default()), ["insist bootstrap gui/501 /u/f"]);
}

#[test]
fn the_end_of_an_installation_undoes_what_it_did_and_nothing_twice() {
    let files = [SOCKETS[0], SOCKETS[1], UNIT].map(|name| Path::new("/u").join(name));
    let mut expected = vec!["stop SOCKETS", "stop SERVICE", "disable SOCKETS SERVICE"];
    expected.extend(["remove /u/akkd-control.socket", "remove /u/akkd-callback.socket", "remove /u/SERVICE"]);
    expected.extend(["daemon-reload", RESET]);
    assert_eq!(told(&uninstall(Platform::Systemd, 501, &files)), expected);
    assert_eq!(
        told(&uninstall(Platform::Systemd, 501, &files[1..])),
        [
            "try stop akkd-control.socket",
            "stop akkd-callback.socket",
            "stop SERVICE",
            "try disable akkd-control.socket",
            "disable akkd-callback.socket SERVICE",
            "remove /u/akkd-callback.socket",
            "remove /u/SERVICE",
            "daemon-reload",
            RESET
        ],
        "an end that was cut off is gone on with"
    );
    let files = [PathBuf::from("/u/f")];
    assert_eq!(
        told(&uninstall(Platform::Launchd, 501, &files)),
        ["try bootout gui/501/agent-knock-knock.akkd", "await end", "remove /u/f"]
    );
    for platform in [Platform::Systemd, Platform::Launchd] {
        assert_eq!(uninstall(platform, 501, &[]), []);
    }
}

#[test]
fn somebody_elses_unit_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(UNIT);
    assert!(File::new(path.clone(), "new".to_owned()).unwrap().changes());
    std::fs::write(&path, "[Service]\n").unwrap();
    let refused = File::new(path.clone(), "new".to_owned()).unwrap_err();
    assert!(refused.to_string().ends_with("is there, and akkctl did not write it"), "{refused}");
    std::fs::write(&path, format!("# Written by `{OURS}`\n")).unwrap();
    assert!(File::new(path, "new".to_owned()).unwrap().changes());
}

#[test]
fn every_file_that_is_written_says_who_wrote_it() {
    for platform in [Platform::Systemd, Platform::Launchd] {
        let files = crate::service::render::rendered(platform, Path::new("/a/akkd"), &[]).unwrap();
        assert!(!files.is_empty() && files.iter().all(|(_, text)| text.contains(OURS)), "{files:?}");
        assert!(files.iter().any(|(name, _)| *name == platform.main_file()), "{files:?}");
    }
}
