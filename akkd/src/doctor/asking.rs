//! Asking another program one thing: bounded in time and in what is read, without shell, input or terminal.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// How long a program may take to say its version.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// What is kept of its words, in bytes; the rest is read and forgotten.
const KEPT: usize = 4096;
/// How long words may take that were written before the program ended.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It ended: with this code (none for a signal), having printed this.
    Said { code: Option<i32>, text: String },
    /// It did not end in time, and was ended.
    Silent,
    /// It could not be started.
    Unstartable(String),
}

/// Variables that keep programs from looking for newer versions of themselves, from asking, and from colours.
const QUIET: [(&str, &str); 5] = [
    ("NO_COLOR", "1"),
    ("NO_UPDATE_NOTIFIER", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("CI", "1"),
];

/// What a program finds in its environment to say who it is: where it and its settings lie. No key, no proxy.
const PASSED: [&str; 18] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "CODEX_HOME",
    "CLAUDE_CONFIG_DIR",
    "CURSOR_CONFIG_DIR",
    "NVM_DIR",
    "VOLTA_HOME",
    "ASDF_DATA_DIR",
    "MISE_DATA_DIR",
    "NODE_EXTRA_CA_CERTS",
];

/// The environment for such a question, out of that of an agent.
pub(super) fn environment(agents: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    PASSED
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), agents.get(*name)?.clone())))
        .chain(QUIET.map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect()
}

/// Runs `program` and waits for its end, `patience` at most; then it is killed, with what it started in its group.
pub(super) async fn ask(program: &Path, words: &[&str], env: &BTreeMap<String, String>, patience: Duration) -> Answer {
    let spawned = Command::new(program)
        .args(words)
        .env_clear()
        .envs(env)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(e) => return Answer::Unstartable(e.to_string()),
    };
    let group = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
    let kept = Arc::new(Mutex::new(Vec::new()));
    let mut reading = tokio::spawn(read(child.stdout.take(), Arc::clone(&kept)));
    let ended = tokio::time::timeout(patience, child.wait()).await;
    if ended.is_ok() {
        // What it printed is in the pipe; a child that it left behind may keep that open.
        let _ = tokio::time::timeout(LAST_WORDS, &mut reading).await;
    }
    if let Some(group) = group {
        // Mostly nobody is left in it.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    reading.abort();
    match ended {
        Ok(Ok(status)) => {
            let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            Answer::Said { code: status.code(), text: String::from_utf8_lossy(&kept).into_owned() }
        }
        Ok(Err(e)) => Answer::Unstartable(e.to_string()),
        Err(_) => {
            // It may have left its group, or hang in the system, where no signal reaches it: it is not waited for.
            let _ = child.start_kill();
            let _ = tokio::time::timeout(LAST_WORDS, child.wait()).await;
            Answer::Silent
        }
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, kept: Arc<Mutex<Vec<u8>>>) {
    let Some(mut pipe) = pipe else { return };
    let mut part = [0; 1024];
    while let Ok(n @ 1..) = pipe.read(&mut part).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT.saturating_sub(kept.len());
        kept.extend_from_slice(&part[..n.min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const LONG: Duration = Duration::from_mins(1);

    fn script(folder: &Path, text: &str) -> std::path::PathBuf {
        let path = folder.join("program");
        let new = folder.join("new");
        std::fs::write(&new, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(&new, &path).unwrap();
        path
    }

    async fn asked(text: &str, patience: Duration) -> Answer {
        let folder = tempfile::tempdir().unwrap();
        let program = script(folder.path(), text);
        let agents = BTreeMap::from([
            ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
            ("OPENAI_API_KEY".to_owned(), "secret".to_owned()),
        ]);
        loop {
            // A child that another test makes at this moment may still have the script open for writing.
            match ask(&program, &["--version"], &environment(&agents), patience).await {
                Answer::Unstartable(why) if why.contains("busy") => {}
                answer => return answer,
            }
        }
    }

    #[tokio::test]
    async fn a_program_is_asked_without_input_and_without_keys() {
        let said = asked(r#"read x || echo "$1 no input, ${OPENAI_API_KEY:-no key}"; exit 3"#, LONG).await;
        assert_eq!(said, Answer::Said { code: Some(3), text: "--version no input, no key\n".to_owned() });
        assert!(matches!(ask(Path::new("/no/such"), &[], &BTreeMap::new(), LONG).await, Answer::Unstartable(_)));
    }

    #[tokio::test]
    async fn one_that_hangs_is_ended_with_its_children_and_one_that_floods_is_read_in_part() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let hangs = format!("sleep 1000 & echo $! > {}; wait", pid.display());
        let patience = Duration::from_millis(300);
        assert_eq!(asked(&hangs, patience).await, Answer::Silent);
        if let Ok(pid) = std::fs::read_to_string(&pid).unwrap_or_default().trim().parse::<i32>() {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            while rustix::process::test_kill_process(pid).is_ok()
                && crate::platform::ProcessIdentity::of(pid.as_raw_pid().cast_unsigned())
                    .is_ok_and(|p| p.is_some_and(|p| p.is_alive().unwrap_or(false)))
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        let Answer::Said { code: Some(0), text } = asked("yes | head -c 3000000", LONG).await else { panic!() };
        assert_eq!(text.len(), KEPT);
        let left = asked("sleep 1000 & echo 1.2.3", LONG).await;
        assert_eq!(left, Answer::Said { code: Some(0), text: "1.2.3\n".to_owned() });
    }
}
