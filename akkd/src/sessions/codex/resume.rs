//! Whether and how a thread can be resumed.
//!
//! Observed with codex 0.169: `codex exec resume` takes up a thread whose only turn was killed, and one that has no turn
//! at all; it starts a new session for an id that is no UUID, and refuses an archived thread.

use super::home::CodexHome;
use super::rollout::{self, Rights, RolloutFile, Sandbox, Tail, TurnState};
use super::threads::ThreadRow;
use crate::sessions::Resume;
use akk_proto::drops;
use akk_proto::session::SessionActivity;
use std::path::{Path, PathBuf};

/// Why a thread cannot be resumed, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotResumable {
    /// Codex would start a new session instead.
    #[error("its id is not a UUID: Codex would quietly start a new session")]
    NotAUuid,
    /// Codex would refuse.
    #[error("it is archived: Codex refuses to resume it until `codex unarchive` is run")]
    Archived,
    /// Nothing to resume from.
    #[error("its records are gone: there is no rollout to resume from")]
    NoRollout,
    /// The rollout is there and cannot be read, or is of a version that nobody here knows.
    #[error("its records cannot be read: {0}")]
    Unreadable(String),
    /// Nobody knows where it works.
    #[error("its records do not say where it works")]
    NoDirectory,
    /// It would be allowed more, or other things.
    #[error("what its newest turn was allowed to do (sandbox, permissions) cannot be given to it again from here")]
    Rights,
}

/// How thread `id` is resumed, from what was read of it; what is missing of `rollout` and `tail` is read now.
/// [`Resume::activity`] is what the records say: `working` while a turn is open in them, also when its process was
/// killed.
///
/// # Errors
/// Why it cannot be.
pub fn resume(
    home: &CodexHome,
    id: &str,
    row: Option<&ThreadRow>,
    rollout: Option<&RolloutFile>,
    tail: Option<&Tail>,
) -> Result<Resume, NotResumable> {
    if uuid::Uuid::try_parse(id).is_err() || id.len() != 36 {
        return Err(NotResumable::NotAUuid);
    }
    let noted = row.and_then(|row| row.rollout_path.as_deref());
    let found = if rollout.is_some() { None } else { rollout::find(home, id, noted) };
    let rollout = rollout.or(found.as_ref());
    if row.is_some_and(|row| row.archived) || rollout.is_some_and(|file| file.archived) {
        return Err(NotResumable::Archived);
    }
    let rollout = rollout.ok_or(NotResumable::NoRollout)?;
    let read = if tail.is_some() { None } else { Some(rollout::tail(&rollout.path).map_err(unreadable)?) };
    let tail = tail.or(read.as_ref());
    let head = rollout::head(&rollout.path).map_err(unreadable)?;
    let Some(head) = head.filter(|head| head.id == id) else {
        return Err(NotResumable::Unreadable("they do not begin with what Codex 0.169 writes".to_owned()));
    };
    let settings = tail.and_then(|tail| tail.settings.clone()).unwrap_or_default();
    let (sandbox, overrides) = given_again(&settings.rights).ok_or(NotResumable::Rights)?;
    let cwd = settings.cwd.or_else(|| row.map(|row| row.cwd.clone())).or(head.cwd);
    Ok(Resume {
        home: home.path().to_owned(),
        cwd: cwd.and_then(plain_path).ok_or(NotResumable::NoDirectory)?,
        model: settings.model.or_else(|| row?.model.clone()),
        sandbox,
        overrides,
        activity: match tail.map(|tail| tail.turn).unwrap_or_default() {
            TurnState::Running => SessionActivity::Working,
            TurnState::Ended => SessionActivity::Idle,
            TurnState::Unknown => SessionActivity::Unknown,
        },
    })
}

/// The sandbox, and what must be set besides so that Codex' configuration neither adds to it nor takes from it. None
/// when the same rights cannot be given.
///
/// Tried with codex 0.169: `--sandbox=workspace-write` takes folders and network from the configuration and makes
/// nothing of a permission profile, whose prohibitions are lost then; a profile that the configuration does not have any
/// more is refused.
fn given_again(rights: &Rights) -> Option<(Option<String>, Vec<String>)> {
    match rights {
        Rights::Unrecorded => Some((None, Vec::new())),
        Rights::Unknown => None,
        Rights::Profile(name) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.');
            let named = !name.is_empty() && name.chars().all(plain);
            named.then(|| (Some(format!("profile {name}")), vec![format!("default_permissions=\"{name}\"")]))
        }
        Rights::Sandbox(sandbox) => {
            let overrides = match sandbox {
                Sandbox::WorkspaceWrite(workspace) => {
                    // The drop folder of a former conversation was added by akkd for that one. It may be gone, and Codex
                    // runs no command where a folder is missing (tried with 0.169).
                    let theirs = |root: &&String| !drops::is_own_folder(Path::new(root.as_str()));
                    let roots: Vec<&String> = workspace.writable_roots.iter().filter(theirs).collect();
                    // A list of strings in JSON is one in TOML; where it is none, Codex refuses it.
                    let roots = serde_json::to_string(&roots).ok()?;
                    [
                        ("writable_roots", roots),
                        ("network_access", workspace.network_access.to_string()),
                        ("exclude_tmpdir_env_var", workspace.exclude_tmpdir_env_var.to_string()),
                        ("exclude_slash_tmp", workspace.exclude_slash_tmp.to_string()),
                    ]
                    .map(|(name, value)| format!("sandbox_workspace_write.{name}={value}"))
                    .to_vec()
                }
                Sandbox::ReadOnly | Sandbox::FullAccess => Vec::new(),
            };
            Some((Some(sandbox.as_str().to_owned()), overrides))
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(error: std::io::Error) -> NotResumable {
    NotResumable::Unreadable(error.to_string())
}

/// An absolute path; some records of Codex 0.169 write it as `file://…`.
fn plain_path(path: PathBuf) -> Option<PathBuf> {
    let plain = path.to_str().and_then(|text| text.strip_prefix("file://")).map(|text| Path::new(text).to_owned());
    Some(plain.unwrap_or(path)).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ABORTED, EXEC, EXEC_ID, Home, IN_FLIGHT, OLD};
    use super::*;

    fn of(home: &Home, id: &str) -> Result<Resume, NotResumable> {
        resume(&home.home, id, None, None, None)
    }

    #[test]
    fn a_session_is_resumed_as_its_newest_turn_was() {
        let home = Home::new();
        home.rollout(EXEC_ID, EXEC);
        let expected = Resume {
            home: home.home.path().to_owned(),
            cwd: "/home/dev/project".into(),
            model: Some("gpt-5-fake".into()),
            sandbox: Some("danger-full-access".into()),
            overrides: Vec::new(),
            activity: SessionActivity::Idle,
        };
        assert_eq!(of(&home, EXEC_ID), Ok(expected));
    }

    #[test]
    fn a_killed_first_turn_does_not_keep_it_from_being_resumed() {
        let home = Home::new();
        home.rollout("01a20431-6dc8-7ec1-aa70-c48193cdef51", IN_FLIGHT);
        let resume = of(&home, "01a20431-6dc8-7ec1-aa70-c48193cdef51").unwrap();
        assert_eq!((resume.activity, resume.sandbox.as_deref()), (SessionActivity::Working, Some("workspace-write")));
    }

    #[test]
    fn a_session_gets_the_rights_of_its_newest_turn_whatever_the_configuration_says() {
        let home = Home::new();
        let with = |rights: &str| {
            let turn = format!(r#"{{"type":"turn_context","payload":{{"cwd":"/home/dev/project",{rights}}}}}"#);
            home.rollout(EXEC_ID, format!("{EXEC}{turn}\n"));
            of(&home, EXEC_ID).map(|resume| (resume.sandbox, resume.overrides))
        };
        let (sandbox, overrides) =
            with(r#""sandbox_policy":{"type":"workspace-write","writable_roots":["/a \"b"]}"#).unwrap();
        assert_eq!(sandbox.as_deref(), Some("workspace-write"));
        assert_eq!(
            overrides,
            [
                r#"sandbox_workspace_write.writable_roots=["/a \"b"]"#,
                "sandbox_workspace_write.network_access=false",
                "sandbox_workspace_write.exclude_tmpdir_env_var=false",
                "sandbox_workspace_write.exclude_slash_tmp=false",
            ]
        );
        let profile = r#""sandbox_policy":{"type":"workspace-write"},"active_permission_profile":{"id":"NAME"}"#;
        let (sandbox, overrides) = with(&profile.replace("NAME", "mine")).unwrap();
        assert_eq!(sandbox.as_deref(), Some("profile mine"));
        assert_eq!(overrides, [r#"default_permissions="mine""#]);
        for odd in [&profile.replace("NAME", r#"a\" b"#), r#""sandbox_policy":{"type":"external-sandbox"}"#] {
            assert_eq!(with(odd), Err(NotResumable::Rights), "{odd}");
        }
    }

    #[test]
    fn without_a_turn_the_head_says_where_it_works() {
        let home = Home::new();
        home.rollout(EXEC_ID, EXEC.lines().next().unwrap());
        let resume = of(&home, EXEC_ID).unwrap();
        assert_eq!((resume.cwd.as_path(), resume.model, resume.sandbox), (Path::new("/home/dev/project"), None, None));
        assert_eq!(resume.activity, SessionActivity::Unknown);
    }

    #[test]
    fn what_cannot_be_resumed_says_why() {
        let home = Home::new();
        let why = |id| of(&home, id).unwrap_err().to_string();
        assert!(why("my-session").starts_with("its id is not a UUID"));
        assert!(
            why("01a2042ab6167f0093fca0a1485810f0").starts_with("its id is not a UUID"),
            "Codex writes it with dashes"
        );
        assert!(why(EXEC_ID).starts_with("its records are gone"));
        let path = home.rollout(EXEC_ID, "{}\n");
        assert!(why(EXEC_ID).starts_with("its records cannot be read"));
        std::fs::write(&path, ABORTED).unwrap();
        assert!(why(EXEC_ID).starts_with("its records cannot be read"), "they are another thread's");
        std::fs::remove_file(&path).unwrap();
        home.put(&format!("archived_sessions/rollout-2026-11-22T16-50-37-{EXEC_ID}.jsonl"), EXEC);
        assert!(why(EXEC_ID).starts_with("it is archived"));
        let old = "0199a001-1111-7000-8000-000000000001";
        home.rollout(old, OLD.replace("/home/dev/old", "old"));
        assert!(why(old).starts_with("its records do not say where"), "a path that is relative to who knows what");
    }
}
