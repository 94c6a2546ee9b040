use super::*;
use crate::openclaw::call::{ENDING, MAX_OUTPUT};
use rustix::process::{Pid, Signal, test_kill_process};

/// A program of this script, for which nothing of OpenClaw is set.
fn program(script: &str) -> (tempfile::TempDir, OpenClaw) {
    // Beside the build: a file that was just written may be inherited, open, by a child of another thread.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openclaw");
    crate::fake::install(script, &path);
    let openclaw = OpenClaw::find(Some(&path), None, Places::default()).unwrap();
    (folder, openclaw)
}

fn runs(pid: &str) -> bool {
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    // One that nobody has waited for yet is as dead as one that is gone.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    test_kill_process(pid).is_ok() && !stat.contains(") Z ")
}

#[test]
fn a_program_that_hangs_is_ended_with_what_it_started() {
    let (folder, openclaw) = program("sleep 1000 &\necho $! >\"$0.pid\"\nwait");
    let pid = folder.path().join("openclaw.pid");
    // Time enough for its first lines, on any machine: it is ended only once it has written them.
    let mut limit = Duration::from_millis(200);
    let error = loop {
        let error = openclaw.call(&["plugins"], None, limit).unwrap_err();
        if std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')) {
            break error;
        }
        limit *= 2;
    };
    assert!(error.to_string().starts_with("`openclaw plugins` did not end within "), "{error}");
    let pid = std::fs::read_to_string(pid).unwrap();
    while runs(&pid) {
        std::thread::sleep(ENDING);
    }
}

#[test]
fn what_a_program_left_running_does_not_keep_its_answer_back() {
    let (_folder, openclaw) = program("sleep 1000 &\necho $!");
    let said = openclaw.call(&[], None, CHANGE_LIMIT).unwrap();
    assert!(said.status.success());
    let left = Pid::from_raw(said.out.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(left, Signal::KILL).unwrap();
}

#[test]
fn much_output_is_read_to_its_end_and_kept_in_part() {
    let (_folder, openclaw) = program("head -c 6000000 /dev/zero\necho the end >&2");
    let said = openclaw.call(&[], None, CHANGE_LIMIT).unwrap();
    assert!(said.out.len() >= MAX_OUTPUT && said.out.len() < MAX_OUTPUT + 8192, "{}", said.out.len());
    assert_eq!(said.err, "the end\n");
}

#[test]
fn one_installation_is_asked_and_no_other() {
    let (_folder, mut openclaw) = program("echo \"$*, $OPENCLAW_STATE_DIR, $OPENCLAW_CONFIG_PATH, $NO_COLOR\"");
    openclaw.places = Places {
        profile: Some("work".to_owned()),
        env: BTreeMap::from([("OPENCLAW_STATE_DIR".to_owned(), "/s".to_owned())]),
    };
    let said = openclaw.call(&["config", "get", "$HOME; x"], None, LOOK_LIMIT).unwrap();
    assert_eq!(said.out, "--profile work config get $HOME; x, /s, , 1\n");
    assert_eq!(openclaw.typed("logs"), "openclaw --profile work logs");
}
