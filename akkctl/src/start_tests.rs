use super::*;
use crate::client::tests::home;
use crate::fake::{Fake, Play, install};
use std::ffi::OsString;
use std::fs;

#[test]
fn akkd_beside_akkctl_goes_before_the_one_in_path() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
    let path = || Some(OsString::from(format!("relative:{}:{}", at("empty").display(), at("path").display())));
    install("", &at("path/akkd"));
    install("", &at("beside/akkctl"));
    let find = |akkctl: &str| find_program(Some(at(akkctl)), path()).map_err(|e| e.to_string());
    assert_eq!(find("beside/akkctl").unwrap(), at("path/akkd"));
    install("", &at("beside/akkd"));
    assert_eq!(find("beside/akkctl").unwrap(), at("beside/akkd"));
    // A link to akkctl, as package managers make, leads to what was installed with it.
    fs::create_dir_all(at("bin")).unwrap();
    std::os::unix::fs::symlink(at("beside/akkctl"), at("bin/akkctl")).unwrap();
    assert_eq!(find("bin/akkctl").unwrap(), at("beside/akkd"));
    fs::set_permissions(at("beside/akkd"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(find("beside/akkctl").unwrap(), at("path/akkd"), "one that cannot be run is none");
    assert!(matches!(find_program(None, None), Err(Error::NoDaemonProgram)));
}

fn start_with(script: &str, patience: Duration) -> Error {
    let (folder, surroundings) = home();
    let akkd = folder.path().join("bin/akkd");
    install(script, &akkd);
    let said = folder.path().join("said");
    let child = spawn(&akkd, &surroundings, &said).unwrap();
    wait_until_ready(child, &surroundings.paths.control_socket, &said, patience).unwrap_err()
}

#[test]
fn the_starter_hears_why_akkd_did_not_start() {
    let patience = Duration::from_secs(20);
    let failed = |script: &str| match start_with(script, patience) {
        Error::StartFailed { message, hint } => (message, hint),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        failed("echo 'error: config.toml:3: unknown key' >&2; echo 'hint: remove it' >&2; exit 1"),
        ("config.toml:3: unknown key".to_owned(), Some("remove it".to_owned()))
    );
    assert_eq!(failed("echo >&2; echo 'akkd: no room' >&2; exit 1"), ("no room".to_owned(), None));
    assert_eq!(failed("exit 3"), ("it ended without a word".to_owned(), None));
}

#[test]
fn an_akkd_that_never_listens_is_not_waited_for_for_ever() {
    let e = start_with("sleep 0.3", Duration::from_millis(100));
    assert!(matches!(e, Error::StartSilent { .. }), "{e:?}");
    assert_eq!(e.exit_code(), 6);
}

#[test]
fn akkd_gets_a_session_and_absolute_paths_of_its_own() {
    let (folder, surroundings) = home();
    let akkd = folder.path().join("bin/akkd");
    install("echo \"$AKK_HOME $PWD\" >&2; exec sleep 60", &akkd);
    let said = folder.path().join("said");
    fs::write(&said, "of the last start").unwrap();
    let mut child = spawn(&akkd, &surroundings, &said).unwrap();
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    assert_eq!(rustix::process::getsid(Some(pid)).unwrap(), pid, "it leads its session");
    let begun = Instant::now();
    let text = loop {
        let text = fs::read_to_string(&said).unwrap();
        if text.ends_with('\n') || begun.elapsed() > Duration::from_secs(20) {
            break text;
        }
        std::thread::yield_now();
    };
    child.kill().unwrap();
    assert_eq!(text, format!("{} /\n", surroundings.akk_home.unwrap().display()));
    assert_eq!(fs::metadata(&said).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_waiting_client_comes_back_to_an_akkd_that_somebody_started() {
    let (_folder, surroundings) = home();
    let socket = surroundings.paths.control_socket.clone();
    let stopped = reconnect(&surroundings, Duration::from_millis(20)).unwrap_err();
    assert!(matches!(stopped, Error::NotRunning(_)), "a stopped akkd stays stopped: {stopped:?}");
    std::thread::scope(|s| {
        let waiting = s.spawn(|| reconnect(&surroundings, Duration::from_secs(20)));
        let fake = Fake::play(&socket, vec![vec![Play::Close]]);
        drop(waiting.join().unwrap().unwrap());
        fake.requests();
    });
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let died = reconnect(&surroundings, Duration::from_secs(20)).unwrap_err();
    assert!(matches!(died, Error::InsideAgent), "one that died is started again, if that is allowed: {died:?}");
}

#[test]
fn an_installed_service_that_is_stopped_is_not_started_behind_its_back() {
    let (folder, mut surroundings) = home();
    surroundings.inside_agent = false;
    let unit = folder.path().join("config/systemd/user/akkd.service");
    fs::create_dir_all(unit.parent().unwrap()).unwrap();
    fs::write(&unit, "").unwrap();
    assert_eq!(service::installed(&surroundings), None, "this home was named: it is not the service's");
    surroundings.akk_home = None;
    if cfg!(target_os = "linux") {
        assert_eq!(service::installed(&surroundings), Some(unit));
        let e = connect_or_start(&surroundings).unwrap_err();
        assert!(matches!(e, Error::ServiceStopped), "{e:?}");
        assert_eq!(e.exit_code(), 6);
    }
}

#[test]
fn a_service_that_only_came_with_a_package_is_nobodys_until_it_is_enabled() {
    let (folder, mut surroundings) = home();
    surroundings.akk_home = None;
    let packaged = folder.path().join("usr/lib/systemd/user/akkd.service");
    let wanted = folder.path().join("config/systemd/user/default.target.wants/akkd.service");
    for unit in [&packaged, &wanted] {
        fs::create_dir_all(unit.parent().unwrap()).unwrap();
    }
    fs::write(&packaged, "").unwrap();
    assert_eq!(service::installed(&surroundings), None);
    std::os::unix::fs::symlink(&packaged, &wanted).unwrap();
    if cfg!(target_os = "linux") {
        assert_eq!(service::installed(&surroundings), Some(wanted.clone()));
    }
    // The package was removed.
    fs::remove_file(&packaged).unwrap();
    assert_eq!(service::installed(&surroundings), None);
}
