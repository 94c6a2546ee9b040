//! With real processes. On Linux: what is told there of locks is not told elsewhere.

use super::*;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

/// A process of ours; ended when dropped.
struct Running(Child);

impl Running {
    fn script(script: &str) -> Self {
        Self::start(Command::new("/bin/bash").args(["-c", script]))
    }

    /// It says a line once everything stands.
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }

    fn identity(&self) -> ProcessIdentity {
        ProcessIdentity::of(self.0.id()).unwrap().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_program_tells_its_words_its_place_and_its_variables() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let program = folder.join("codex");
    // Copied by another process: a descriptor of this one, open for writing, could leak into a child of another test.
    assert!(Command::new("cp").arg("/bin/bash").arg(&program).status().unwrap().success());
    let mut command = Command::new(&program);
    let mut child =
        Running::start(command.args(["-c", "echo ready; read x", "", "word"]).current_dir(&folder).env("AKK_A", "a=b"));
    std::fs::remove_file(&program).unwrap();
    let identity = child.identity();
    let found = programs().unwrap().into_iter().find(|p| p.identity == identity);
    let found = found.unwrap();
    assert_eq!(found.executable.as_deref(), Some(program.as_path()));
    assert_eq!(found.command[1..], ["-c", "echo ready; read x", "", "word"]);
    assert_eq!(found.parent, std::process::id());
    let all = surroundings(std::slice::from_ref(&identity), &["AKK_A", "AKK_MISSING"]).unwrap();
    assert_eq!(all[&identity].cwd.as_ref(), Some(&folder));
    assert_eq!(all[&identity].variables, Some(HashMap::from([("AKK_A".to_owned(), "a=b".to_owned())])));
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    assert!(surroundings(std::slice::from_ref(&identity), &[]).unwrap().is_empty());
    assert!(open_files(std::slice::from_ref(&identity), &|_| true).unwrap().is_empty());
    child = Running::script("echo ready; read x");
    assert!(programs().unwrap().iter().all(|p| p.identity != identity) && child.0.id() != identity.pid);
}

#[test]
fn open_files_tell_how_they_are_opened_and_whether_they_are_locked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let script = "exec 3>locked 4>open 5<read; exec 6<>gone; rm gone; flock -n 3; echo ready; read x";
    for name in ["locked", "open", "read", "gone"] {
        std::fs::write(folder.join(name), "").unwrap();
    }
    let child = Running::script(&format!("cd '{}'; {script}", folder.display()));
    let identity = child.identity();
    let mut found = open_files(std::slice::from_ref(&identity), &|p| p.starts_with(&folder)).unwrap();
    let mut files = found.remove(&identity).unwrap().unwrap();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let seen: Vec<_> =
        files.iter().map(|f| (f.path.file_name().unwrap().to_str().unwrap(), f.written, f.flock)).collect();
    assert_eq!(
        seen,
        [
            ("gone", true, Flock::NotHeld),
            ("locked", true, Flock::Held),
            ("open", true, Flock::NotHeld),
            ("read", false, Flock::NotHeld),
        ]
    );
    let metadata = std::fs::metadata(folder.join("open")).unwrap();
    assert_eq!(files[2].file, Some((metadata.dev(), metadata.ino())));
    // The lock was taken by a child of the shell (`flock`), which has ended: its id is only a hint.
    let locked = locked_files(&folder).unwrap();
    assert_eq!(locked.iter().map(|l| l.path.as_path()).collect::<Vec<_>>(), [folder.join("locked")]);
    assert_ne!(locked[0].taken_by, Some(child.0.id()));
    assert_eq!(locked_file(&folder.join("locked")).unwrap().as_ref(), Some(&locked[0]));
    assert_eq!(locked_file(&folder.join("open")).unwrap(), None);
    assert_eq!(locked_file(&folder.join("missing")).unwrap(), None);
    assert_eq!(locked_files(&folder.join("missing")).unwrap(), []);
    drop(child);
    assert_eq!(locked_files(&folder).unwrap(), []);
}
