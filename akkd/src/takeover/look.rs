//! Looks at a session and around it: everything that a plan is made from.

use super::plan::{Circumstances, Control, Guard};
use super::{JoinProbe, Takeovers};
use crate::config::{Config, agent_environment};
use crate::platform::{ProcessIdentity, ProcessTable};
use crate::sessions::{SessionFacts, SessionProvider};
use crate::store::LaunchRow;
use akk_proto::error::{ErrorKind, Failure};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a daemon may take to answer.
pub(super) const PROBE: Duration = Duration::from_secs(5);

/// Where programs are looked for when an agent has no PATH, as the C library does it.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A session and what is around it, at one moment.
#[derive(Clone)]
pub(super) struct Look {
    pub(super) provider: Arc<dyn SessionProvider>,
    pub(super) facts: SessionFacts,
    pub(super) around: Circumstances,
}

/// Calls a provider where blocking is allowed.
///
/// # Errors
/// What the provider says.
pub(super) async fn ask<T: Send + 'static>(
    provider: &Arc<dyn SessionProvider>,
    what: impl FnOnce(&dyn SessionProvider) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let provider = provider.clone();
    let asked = tokio::task::spawn_blocking(move || what(&*provider)).await;
    asked.unwrap_or_else(|panic| {
        Err(Failure::new(ErrorKind::Internal, format!("the session could not be looked at: {panic}"), "Try again."))
    })
}

impl Takeovers {
    /// Looks at one session, named in full.
    ///
    /// # Errors
    /// `session_not_found`; `storage`.
    pub(super) async fn look(
        &self,
        provider: Arc<dyn SessionProvider>,
        session_id: &str,
        config: &Config,
        caller: Option<u32>,
    ) -> Result<Look, Failure> {
        let id = session_id.to_owned();
        let facts = ask(&provider, move |p| p.facts(&id)).await?;
        let (guarded, incomplete) = match self.guarded(&facts, caller).await {
            Ok(guarded) => (guarded, Vec::new()),
            // Who must not be ended is not known then.
            Err(error) => (BTreeMap::new(), vec![format!("Who must not be ended cannot be told: {error}.")]),
        };
        let around = Circumstances {
            adopted_by: self.store.open_conversation_of_session(session_id).await?,
            no_workspace: no_workspace(&facts).await,
            no_program: self.no_program(&*provider, config).await?,
            control: control(&self.outside.joining, &facts).await,
            guarded,
            incomplete,
        };
        let mut look = Look { provider, facts, around };
        look.note_owner();
        Ok(look)
    }

    /// The same session again, as far as others may have changed it since.
    ///
    /// # Errors
    /// Those of [`Self::look`].
    pub(super) async fn look_again(&self, look: &Look) -> Result<Look, Failure> {
        let id = look.facts.session.session_id.clone();
        let mut again = look.clone();
        again.facts = ask(&look.provider, move |p| p.facts(&id)).await?;
        again.around.adopted_by = self.store.open_conversation_of_session(&again.facts.session.session_id).await?;
        again.around.no_workspace = no_workspace(&again.facts).await;
        again.note_owner();
        Ok(again)
    }

    /// Which of the processes that a takeover could end are not to be ended.
    async fn guarded(&self, facts: &SessionFacts, caller: Option<u32>) -> Result<BTreeMap<u32, Guard>, GuardError> {
        let mut guarded = BTreeMap::new();
        if facts.holders.is_empty() {
            return Ok(guarded);
        }
        let table = ProcessTable::now().await.map_err(|e| GuardError(e.to_string()))?;
        let launches = self.store.live_launches().await.map_err(|e| GuardError(e.to_string()))?;
        let pids = |line: Vec<ProcessIdentity>| line.into_iter().map(|p| p.pid).collect::<Vec<_>>();
        let above_akkd = pids(table.lineage(std::process::id()));
        let above_caller = caller.map_or_else(Vec::new, |pid| pids(table.lineage(pid)));
        if let Some(pid) = caller.filter(|_| above_caller.is_empty()) {
            return Err(GuardError(format!("the process {pid} that asks is not among them")));
        }
        let me = rustix::process::getuid().as_raw();
        let effective = rustix::process::geteuid().as_raw();
        for holder in &facts.holders {
            let relatives = holder.relatives.iter().map(|r| (&r.identity, None));
            for (process, view) in std::iter::once((&holder.identity, Some(&holder.view))).chain(relatives) {
                let guard = if process.uid != me && process.uid != effective {
                    Guard::Foreign
                } else if let Some(id) = view.and_then(|v| v.conversation_id.clone()) {
                    Guard::Ours(Some(id))
                } else if let Some(ours) = started_by_us(process, &table, &launches) {
                    ours
                } else if above_akkd.contains(&process.pid) {
                    Guard::Akkd
                } else if above_caller.contains(&process.pid) {
                    Guard::Caller
                } else {
                    continue;
                };
                guarded.insert(process.pid, guard);
            }
        }
        Ok(guarded)
    }

    /// Why the program that resumes sessions cannot be started.
    async fn no_program(&self, provider: &dyn SessionProvider, config: &Config) -> Result<Option<String>, Failure> {
        let agent = config.agent(provider.agent())?;
        let environment = agent_environment(agent, &self.outside.environment, None);
        let path = environment.get("PATH").cloned().unwrap_or_else(|| DEFAULT_PATH.to_owned());
        let word = config.codex_command.first().cloned().unwrap_or_default();
        let found = tokio::task::spawn_blocking(move || {
            (!is_there(&word, &path)).then(|| format!("the program `{word}` is not on the PATH of agents ({path})"))
        });
        found.await.map_err(|e| Failure::new(ErrorKind::Internal, e.to_string(), "Try again."))
    }
}

impl Look {
    /// The view that clients see names the conversation that has the session.
    fn note_owner(&mut self) {
        self.facts.session.conversation_id.clone_from(&self.around.adopted_by);
    }
}

/// Why it is not known who must not be ended.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct GuardError(String);

/// The guard of a process that akkd started. The mark in its environment counts also when the launch is another akkd's.
fn started_by_us(process: &ProcessIdentity, table: &ProcessTable, launches: &[LaunchRow]) -> Option<Guard> {
    if let Some(mark) = table.launch_of(process.pid) {
        let launch = launches.iter().find(|l| l.launch_id.as_str() == mark);
        return Some(Guard::Ours(launch.map(|l| l.conversation_id.clone())));
    }
    let line = table.lineage(process.pid);
    let launch = launches.iter().find(|l| {
        let identity = l.identity.clone().and_then(|i| serde_json::from_value::<ProcessIdentity>(i).ok());
        identity.is_some_and(|i| line.contains(&i))
    })?;
    Some(Guard::Ours(Some(launch.conversation_id.clone())))
}

async fn no_workspace(facts: &SessionFacts) -> Option<String> {
    let cwd = match (&facts.resume, &facts.session.cwd) {
        (Some(resume), _) => resume.cwd.clone(),
        (None, Some(cwd)) => PathBuf::from(cwd),
        (None, None) => return Some("it is not known".to_owned()),
    };
    if !cwd.is_absolute() {
        return Some(format!("{} is not an absolute path", cwd.display()));
    }
    match tokio::fs::metadata(&cwd).await {
        Ok(found) if found.is_dir() => None,
        Ok(_) => Some(format!("{} is not a directory", cwd.display())),
        Err(error) => Some(format!("{}: {error}", cwd.display())),
    }
}

async fn control(probe: &JoinProbe, facts: &SessionFacts) -> Control {
    let Some(socket) = facts.control_socket.clone() else { return Control::Absent };
    match tokio::time::timeout(PROBE, probe(socket, facts.session.session_id.clone())).await {
        Ok(Ok(_)) => Control::CanBeJoined,
        Ok(Err(why)) => Control::CannotBeJoined(why),
        Err(_elapsed) => Control::CannotBeJoined(format!("nothing came within {} seconds", PROBE.as_secs())),
    }
}

/// Whether `word` names a program: a path to one, or a name that is found on `path`.
fn is_there(word: &str, path: &str) -> bool {
    let runs = |file: &Path| file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    if word.contains('/') {
        return Path::new(word).is_absolute() && runs(Path::new(word));
    }
    !word.is_empty() && std::env::split_paths(path).any(|folder| runs(&folder.join(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_a_file_that_can_be_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let file = dir.path().join("tool");
        std::fs::write(&file, "").unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        let both = format!("/no/such/folder:{path}");
        assert!(!is_there("tool", &both), "it is not marked as a program");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(is_there("tool", &both));
        assert!(is_there(file.to_str().unwrap(), ""));
        for no in ["", "folder", "other", "./tool", "/no/such/tool"] {
            assert!(!is_there(no, &both), "{no:?}");
        }
    }
}
