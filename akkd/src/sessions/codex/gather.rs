//! Reads the processes of this user and what those of Codex hold.

use super::places::{Places, canonical, session_file};
use super::processes::{CodexProcess, Held};
use super::roles::{Launch, Role, classify};
use crate::platform::ProcessIdentity;
use crate::platform::programs::{self, LockedFile, OpenFile, Program, Surroundings};
use crate::sessions::Relative;
use akk_proto::ConversationId;
use akk_proto::session::{Evidence, ProcessKind};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) processes: Vec<CodexProcess>,
    /// What could not be read, whatever the session.
    pub(super) incomplete: Vec<String>,
    /// Locks of which nobody can say who holds them.
    pub(super) unseen: Vec<Unseen>,
}

/// A lock that somebody holds who cannot be seen.
#[derive(Debug, Clone)]
pub(super) struct Unseen {
    pub(super) home: PathBuf,
    pub(super) session_id: String,
    /// Says it.
    pub(super) sentence: String,
}

/// Reads everything that `homes` need.
///
/// # Errors
/// The processes cannot be listed.
pub(super) fn gather(homes: &[Places]) -> io::Result<Gathered> {
    let mut incomplete = Vec::new();
    // The locks first: who holds one of them is then among the processes.
    let mut locked = Vec::new();
    for places in homes {
        match programs::locked_files(&places.locks) {
            Ok(files) => locked.extend(files.into_iter().map(|file| (places, file))),
            Err(error) => incomplete.push(format!("The locks in {} cannot be read: {error}.", places.locks.display())),
        }
    }
    let family = Family::of(programs::programs()?);
    let mut holdings = Holdings { homes, held: HashMap::new() };

    let (suspects, others): (Vec<&Program>, Vec<&Program>) =
        family.programs.iter().partition(|program| family.may_run_sessions(program));
    let identities = |programs: &[&Program]| programs.iter().map(|p| p.identity.clone()).collect::<Vec<_>>();
    match holdings.read(&identities(&suspects), |_| true) {
        Ok(unreadable) => incomplete.extend(unreadable.into_iter().map(|(process, error)| {
            format!("The open files of Codex process {} cannot be read: {error}.", process.pid)
        })),
        Err(error) => incomplete.push(format!("The open files of processes cannot be read: {error}.")),
    }
    let unseen = locks_of_unseen(locked, &identities(&others), &mut holdings);
    holdings.forget_inherited(&family);

    let found = others.into_iter().filter(|p| holdings.held.contains_key(&p.identity));
    let chosen: Vec<&Program> = suspects.iter().copied().chain(found).collect();
    let processes = describe(&chosen, &family, holdings.held)?;
    Ok(Gathered { processes, incomplete, unseen })
}

/// Of the locks that no Codex process holds, `others` are asked: the process that took it first, then all of them,
/// since it may have handed it on. What remains is held by somebody who cannot be seen.
fn locks_of_unseen(
    locked: Vec<(&Places, LockedFile)>,
    others: &[ProcessIdentity],
    holdings: &mut Holdings<'_>,
) -> Vec<Unseen> {
    let session_of = |file: &LockedFile| session_file(&file.path).map(|(id, _)| id);
    let mut open: Vec<(&Places, LockedFile, String)> =
        locked.into_iter().filter_map(|(places, file)| session_of(&file).map(|id| (places, file, id))).collect();
    let takers: HashSet<u32> = open.iter().filter_map(|(_, file, _)| file.taken_by).collect();
    let takers: Vec<ProcessIdentity> = others.iter().filter(|p| takers.contains(&p.pid)).cloned().collect();
    for asked in [&[], takers.as_slice(), others] {
        // Whoever cannot be read remains unseen. Any program may have a rollout open: only locks count here.
        let _ = holdings.read(asked, |held| held.evidence == Evidence::Lock);
        open.retain(|(places, _, id)| !holdings.knows_holder(&places.home, id));
        if open.is_empty() {
            return Vec::new();
        }
    }
    open.into_iter()
        // Released meanwhile: then nobody holds it.
        .filter(|(_, file, _)| !matches!(programs::locked_file(&file.path), Ok(None)))
        .map(|(places, file, session_id)| Unseen {
            home: places.home.clone(),
            sentence: unseen_sentence(&session_id, file.taken_by),
            session_id,
        })
        .collect()
}

/// Says that somebody holds the lock of `session_id` who cannot be seen.
pub(super) fn unseen_sentence(session_id: &str, taken_by: Option<u32>) -> String {
    match taken_by {
        Some(pid) => format!(
            "The writer lock of session {session_id} was taken by process {pid}, which this user cannot look into."
        ),
        None => format!("The writer lock of session {session_id} is held by a process that cannot be seen from here."),
    }
}

/// Which sessions each process holds.
struct Holdings<'a> {
    homes: &'a [Places],
    held: HashMap<ProcessIdentity, Vec<Held>>,
}

impl Holdings<'_> {
    /// Reads what of that `counts` these processes hold; answers which of them could not be read.
    fn read(
        &mut self,
        processes: &[ProcessIdentity],
        counts: impl Fn(&Held) -> bool,
    ) -> io::Result<Vec<(ProcessIdentity, io::Error)>> {
        let mut unreadable = Vec::new();
        for (process, files) in programs::open_files(processes, &|path| session_file(path).is_some())? {
            match files {
                Ok(files) => {
                    let mut held = self.of(&files);
                    held.retain(&counts);
                    if !held.is_empty() {
                        self.held.insert(process, held);
                    }
                }
                Err(error) => unreadable.push((process, error)),
            }
        }
        Ok(unreadable)
    }

    /// Whether some process is known that holds the lock of this session.
    fn knows_holder(&self, home: &Path, session_id: &str) -> bool {
        let is = |h: &Held| h.evidence == Evidence::Lock && h.session_id == session_id && h.home == home;
        self.held.values().flatten().any(is)
    }

    /// Each session once, by its surest evidence.
    fn of(&self, files: &[OpenFile]) -> Vec<Held> {
        let mut held: Vec<Held> =
            files.iter().filter_map(|file| self.homes.iter().find_map(|places| places.held_by(file))).collect();
        held.sort_by(|a, b| (&a.home, &a.session_id, a.evidence).cmp(&(&b.home, &b.session_id, b.evidence)));
        held.dedup_by(|later, first| later.home == first.home && later.session_id == first.session_id);
        held
    }

    /// A descriptor that was inherited belongs to the one that opened it: a child is a relative, no holder.
    fn forget_inherited(&mut self, family: &Family) {
        let before = self.held.clone();
        for (process, held) in &mut self.held {
            let above = family.ancestors(process.pid);
            let holds = |ancestor: &Program, h: &Held| {
                let of = before.get(&ancestor.identity);
                of.is_some_and(|all| all.iter().any(|a| a.home == h.home && a.session_id == h.session_id))
            };
            held.retain(|h| !above.iter().any(|ancestor| holds(ancestor, h)));
        }
        self.held.retain(|_, held| !held.is_empty());
    }
}

/// The processes of this user, and who started whom.
struct Family {
    programs: Vec<Program>,
    at: HashMap<u32, usize>,
    children: HashMap<u32, Vec<usize>>,
    launches: HashMap<u32, Launch>,
}

impl Family {
    fn of(programs: Vec<Program>) -> Self {
        let mut family =
            Self { at: HashMap::new(), children: HashMap::new(), launches: HashMap::new(), programs: Vec::new() };
        for (index, program) in programs.iter().enumerate() {
            let pid = program.identity.pid;
            family.at.insert(pid, index);
            family.children.entry(program.parent).or_default().push(index);
            family.launches.extend(classify(program.executable.as_deref(), &program.command).map(|l| (pid, l)));
        }
        family.programs = programs;
        family
    }

    fn launch(&self, program: &Program) -> Option<&Launch> {
        self.launches.get(&program.identity.pid)
    }

    /// Whether a process runs sessions, or could. A wrapper does when the program that it starts is not there.
    fn may_run_sessions(&self, program: &Program) -> bool {
        let Some(launch) = self.launch(program).filter(|launch| launch.role != Role::Helper) else { return false };
        let is_real = |p: &&Program| self.launch(p).is_some_and(|l| !l.wrapper && l.role != Role::Helper);
        !launch.wrapper || !self.descendants(program).iter().any(is_real)
    }

    /// Its parent, its parent's, and so on.
    fn ancestors(&self, pid: u32) -> Vec<&Program> {
        let mut found: Vec<&Program> = Vec::new();
        let mut at = self.at.get(&pid).map(|index| &self.programs[*index]);
        while let Some(program) = at {
            let parent = self.at.get(&program.parent).map(|index| &self.programs[*index]);
            // A parent is not younger than its child, and nobody is its own ancestor.
            at = parent.filter(|p| p.identity.started <= program.identity.started && found.len() < self.programs.len());
            found.extend(at);
        }
        found
    }

    /// What it started, and they, in the order of generations.
    fn descendants(&self, program: &Program) -> Vec<&Program> {
        self.descendants_but(program, |_| false)
    }

    /// The same without those that are `apart`, and what they started.
    fn descendants_but(&self, program: &Program, apart: impl Fn(&Program) -> bool) -> Vec<&Program> {
        let mut found: Vec<&Program> = Vec::new();
        let mut next = vec![program];
        while let Some(parent) = next.pop() {
            for index in self.children.get(&parent.identity.pid).into_iter().flatten() {
                let child = &self.programs[*index];
                let known = child.identity == program.identity || found.iter().any(|f| f.identity == child.identity);
                if child.identity.started >= parent.identity.started && !known && !apart(child) {
                    found.push(child);
                    next.push(child);
                }
            }
        }
        found
    }

    /// The wrappers that started it, and what it started. A wrapper that runs another Codex besides is that one's too,
    /// and a daemon is everybody's, whoever started it.
    fn relatives(&self, program: &Program) -> Vec<Relative> {
        let role = self.launch(program).map(|launch| launch.role);
        let is_daemon = |p: &Program| self.launch(p).is_some_and(|l| l.role == Role::Daemon);
        let below = self.descendants_but(program, is_daemon);
        let is_own = |p: &Program| p.identity == program.identity || below.iter().any(|b| b.identity == p.identity);
        let runs_sessions = |p: &Program| self.launch(p).is_some_and(|l| !l.wrapper && l.role != Role::Helper);
        let serves_it_alone = |p: &Program| self.descendants(p).into_iter().all(|d| is_own(d) || !runs_sessions(d));
        let wraps =
            |p: &&Program| self.launch(p).is_some_and(|l| l.wrapper && Some(l.role) == role) && serves_it_alone(p);
        let wrappers = self.ancestors(program.identity.pid).into_iter().take_while(wraps);
        let relative = |p: &Program| Relative {
            identity: p.identity.clone(),
            executable: p.executable.as_ref().map(|path| path.display().to_string()),
            command: p.command.clone(),
        };
        wrappers.chain(below.iter().copied()).map(relative).collect()
    }

    fn kind(&self, program: &Program) -> ProcessKind {
        let Some(launch) = self.launch(program) else { return ProcessKind::Unknown };
        let is_adapter = |p: &&Program| self.launch(p).is_some_and(|l| l.role == Role::AcpAdapter);
        match launch.role {
            Role::Tui => ProcessKind::Tui,
            Role::Exec => ProcessKind::Exec,
            Role::Server if self.ancestors(program.identity.pid).iter().any(is_adapter) => ProcessKind::AcpAdapter,
            Role::Server => ProcessKind::AppServer,
            Role::Daemon => ProcessKind::Daemon,
            Role::AcpAdapter => ProcessKind::AcpAdapter,
            Role::Helper => ProcessKind::Unknown,
        }
    }
}

/// What of their environments is asked for.
const VARIABLES: [&str; 4] = ["CODEX_HOME", "HOME", "AKK_LAUNCH", "AKK_CONVERSATION"];

fn describe(
    chosen: &[&Program],
    family: &Family,
    mut held: HashMap<ProcessIdentity, Vec<Held>>,
) -> io::Result<Vec<CodexProcess>> {
    let identities: Vec<ProcessIdentity> = chosen.iter().map(|p| p.identity.clone()).collect();
    let surroundings = programs::surroundings(&identities, &VARIABLES)?;
    let alive = chosen.iter().filter_map(|p| Some((*p, surroundings.get(&p.identity)?)));
    let homes_of_daemons: HashSet<PathBuf> = alive
        .clone()
        .filter(|(p, _)| family.launch(p).is_some_and(|l| l.role == Role::Daemon))
        .filter_map(|(_, around)| home_of(around))
        .collect();
    let mut processes: Vec<CodexProcess> = alive
        .map(|(program, around)| {
            let home = home_of(around);
            let held = held.remove(&program.identity).unwrap_or_default();
            let launch = family.launch(program);
            let served = home.as_ref().is_some_and(|home| homes_of_daemons.contains(home));
            CodexProcess {
                started_at: program.identity.started_at(),
                kind: family.kind(program),
                executable: program.executable.clone(),
                command: program.command.clone(),
                may_work_in: launch.filter(|_| held.is_empty()).and_then(|l| may_work_in(l, around, served)),
                cwd: around.cwd.clone(),
                home,
                held,
                resumes: launch.and_then(|l| l.resumes.clone()),
                relatives: family.relatives(program),
                conversation: conversation_of(around),
                identity: program.identity.clone(),
            }
        })
        .collect();
    processes.sort_by_key(|p| (p.identity.started, p.identity.pid));
    Ok(processes)
}

/// The home that a process works on, canonical. An empty variable counts as none, as for Codex.
fn home_of(around: &Surroundings) -> Option<PathBuf> {
    let variables = around.variables.as_ref()?;
    let set = |name: &str| variables.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("CODEX_HOME").or_else(|| set("HOME").map(|home| home.join(".codex")))?;
    match &around.cwd {
        Some(cwd) => Some(canonical(&cwd.join(home))),
        None => home.is_absolute().then(|| canonical(&home)),
    }
}

/// The directory of which some session may be the one that a process runs that holds nothing. `served`: a daemon lives
/// in its home.
///
/// A terminal without a lock of its own next to a daemon is the daemon's client: whatever it shows is among the
/// sessions that the daemon provably holds, and no other session can be running in it.
fn may_work_in(launch: &Launch, around: &Surroundings, served: bool) -> Option<PathBuf> {
    let is_client = launch.role == Role::Tui && served && !launch.no_daemon;
    let runs = matches!(launch.role, Role::Tui | Role::Exec) && !launch.keeps_no_session && !is_client;
    if !runs || launch.resumes.is_some() {
        return None;
    }
    let named = launch.directory.as_deref().unwrap_or(Path::new(""));
    let directory = around.cwd.as_ref().map(|cwd| cwd.join(named)).or_else(|| Some(named.to_owned()))?;
    directory.is_absolute().then(|| canonical(&directory))
}

/// The conversation that akkd started a process for.
fn conversation_of(around: &Surroundings) -> Option<ConversationId> {
    let variables = around.variables.as_ref()?;
    variables.get("AKK_LAUNCH")?;
    ConversationId::parse(variables.get("AKK_CONVERSATION")?.as_str()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Process `pid`, started by `parent`.
    fn program(pid: u32, parent: u32, command: &[&str]) -> Program {
        let identity = ProcessIdentity { boot: "b".into(), pid_namespace: 1, pid, started: u64::from(pid), uid: 7 };
        let command: Vec<String> = command.iter().map(|w| (*w).to_owned()).collect();
        Program { identity, parent, executable: command.first().map(PathBuf::from), command }
    }

    fn relatives(of: u32, programs: Vec<Program>) -> Vec<u32> {
        let family = Family::of(programs);
        family.relatives(&family.programs[family.at[&of]]).iter().map(|r| r.identity.pid).collect()
    }

    #[test]
    fn the_shell_above_a_terminal_is_none_of_its_own_and_a_wrapper_is() {
        for shell in [&["/bin/bash"][..], &["/bin/bash", "-l"], &["/bin/zsh", "-i"], &["/usr/bin/tmux", "new", "codex"]]
        {
            let wrapped = vec![
                program(2, 1, shell),
                program(3, 2, &["/usr/bin/node", "/usr/bin/codex", "resume"]),
                program(4, 3, &["/opt/codex", "resume"]),
                program(5, 4, &["/bin/sleep", "9"]),
                program(6, 2, &["/usr/bin/vim"]),
            ];
            assert_eq!(relatives(4, wrapped), [3, 5], "{shell:?}");
        }
    }

    #[test]
    fn what_serves_others_too_does_not_end_with_a_terminal() {
        let shared = vec![
            program(2, 1, &["/bin/sh", "/home/u/bin/codex"]),
            program(3, 2, &["/opt/codex"]),
            program(4, 2, &["/opt/codex"]),
        ];
        assert!(relatives(3, shared).is_empty(), "the wrapper runs another terminal");
        let daemon = vec![
            program(2, 1, &["/opt/codex", "--no-daemon"]),
            program(3, 2, &["/opt/codex", "app-server", "--listen", "unix:///h/s.sock"]),
            program(4, 3, &["/bin/sleep", "9"]),
            program(5, 2, &["/bin/sleep", "9"]),
        ];
        assert_eq!(relatives(2, daemon), [5]);
    }
}
