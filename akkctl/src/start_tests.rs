use super::*;
use crate::client::tests::home;
use std::ffi::OsString;
use std::fs;

fn program(path: &Path, script: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn akkd_beside_akkctl_goes_before_the_one_in_path() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
    let path = || Some(OsString::from(format!("relative:{}:{}", at("empty").display(), at("path").display())));
    program(&at("path/akkd"), "");
    program(&at("beside/akkctl"), "");
    let find = |akkctl: &str| find_program(Some(at(akkctl)), path()).map_err(|e| e.to_string());
    assert_eq!(find("beside/akkctl").unwrap(), at("path/akkd"));
    program(&at("beside/akkd"), "");
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
    program(&akkd, script);
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
    program(&akkd, "echo \"$AKK_HOME $PWD $$ $(ps -o sid= -p $$)\" >&2");
    let said = folder.path().join("said");
    fs::write(&said, "of the last start").unwrap();
    spawn(&akkd, &surroundings, &said).unwrap().wait().unwrap();
    let text = fs::read_to_string(&said).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words[..2], [surroundings.akk_home.unwrap().to_str().unwrap(), "/"]);
    assert_eq!(words[2], words[3], "it leads its session");
    assert_eq!(fs::metadata(&said).unwrap().permissions().mode() & 0o777, 0o600);
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
