//! The temporary home of a demo: set, used, and struck, whether the demo ends by itself, by a failure or by a signal.

use crate::akkd::Akkd;
use crate::client::Client;
use crate::environment::Surroundings;
use crate::error::{Error, Result};
use crate::output;
use akk_proto::api::{DaemonInfo, Empty, StopParams};
use akk_proto::paths::{Environment, Paths};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long akkd and its agent may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at an akkd that is about to end.
const LOOK: Duration = Duration::from_millis(5);

/// A temporary home with a configuration in it.
pub(super) struct Stage {
    surroundings: Surroundings,
    workspace: PathBuf,
    props: Arc<Mutex<Props>>,
}

/// What must be gone afterwards.
struct Props {
    /// The folder that holds everything; none once it was removed.
    folder: Option<PathBuf>,
    socket: PathBuf,
    /// The pid of the akkd that was started.
    akkd: Option<Pid>,
}

impl Stage {
    /// Makes the home, and has a signal remove it.
    pub(super) fn set() -> Result<Self> {
        let from_process = Surroundings::from_process()?;
        if from_process.inside_agent {
            return Err(Error::InsideAgent);
        }
        // Short, so that the sockets in it have short names: the usual temporary folder of macOS is none.
        let folder = Path::new("/tmp").join(format!("akk-demo-{}", &uuid::Uuid::new_v4().simple().to_string()[..8]));
        let (home, workspace) = (folder.join("home"), folder.join("work"));
        let private =
            |path: &Path| DirBuilder::new().mode(0o700).create(path).map_err(|e| Error::file("create", path, e));
        private(&folder)?;
        let environment = Environment {
            akk_home: Some(home.clone()),
            platform_state: home.clone(),
            platform_config: home.clone(),
            uid: rustix::process::getuid().as_raw(),
            ..Environment::default()
        };
        let paths = Paths::resolve(&environment);
        let surroundings = Surroundings {
            akk_home: Some(home.clone()),
            // Named, so that a variable of the user's cannot lead to their own akkd.
            akk_socket: Some(paths.control_socket.clone()),
            platform_config: home.clone(),
            runtime_dir: None,
            uid: environment.uid,
            // As an agent: a call that loses its akkd to a signal must not start another one.
            inside_agent: true,
            paths,
        };
        let socket = surroundings.paths.control_socket.clone();
        let props = Arc::new(Mutex::new(Props { folder: Some(folder), socket, akkd: None }));
        let stage = Self { surroundings, workspace: workspace.clone(), props };
        let made = stage.strike_on_signal().and_then(|()| private(&home)).and_then(|()| private(&workspace));
        if let Err(e) = made.and_then(|()| stage.configure()) {
            stage.strike()?;
            return Err(e);
        }
        Ok(stage)
    }

    pub(super) fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// Where the agent works.
    pub(super) fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// Starts akkd. A signal waits until it is known whom to stop.
    pub(super) fn start(&self) -> Result<()> {
        let mut props = locked(&self.props);
        let surroundings = Surroundings { inside_agent: false, ..self.surroundings.clone() };
        let info: DaemonInfo = Akkd::new(&surroundings).call("daemon.info", &Empty {})?.read()?;
        props.akkd = i32::try_from(info.pid).ok().map(Pid::from_raw);
        Ok(())
    }

    /// Ends akkd and the agent, and removes everything.
    pub(super) fn strike(&self) -> Result<()> {
        locked(&self.props).strike()
    }

    /// The agent may write in its workspace, which nobody misses.
    fn configure(&self) -> Result<()> {
        let akkctl = std::env::current_exe().map_err(|e| Error::file("find", Path::new("akkctl"), e))?;
        let command = json!([akkctl.to_string_lossy(), "demo-agent", "--workshop"]);
        let text = format!("default_agent = \"demo\"\n\n[agents.demo]\ncommand = {command}\n");
        let path = &self.surroundings.paths.config;
        std::fs::write(path, text).map_err(|e| Error::file("write", path, e))
    }

    fn strike_on_signal(&self) -> Result<()> {
        let cannot = |e: io::Error| Error::Program {
            message: format!("signals cannot be caught: {e}"),
            hint: "this is a defect: please report it".to_owned(),
        };
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(cannot)?;
        let props = Arc::clone(&self.props);
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // Held until the process has ended: what the demo still tries fails behind this lock, unseen.
                let mut props = locked(&props);
                output::tell("\n");
                if let Err(e) = props.strike() {
                    output::tell(&output::error(&e, &output::View::stderr()));
                }
                std::process::exit(128 + signal);
            }
        });
        Ok(())
    }
}

impl Props {
    fn strike(&mut self) -> Result<()> {
        let Some(folder) = self.folder.take() else { return Ok(()) };
        let stopped = self.stop_akkd();
        // Sockets of a home with a long name lie elsewhere; akkd removes those itself.
        let removed = std::fs::remove_dir_all(&folder).map_err(|e| Error::file("remove", &folder, e));
        stopped.and(removed)
    }

    fn stop_akkd(&mut self) -> Result<()> {
        match Client::connect(&self.socket) {
            Ok(mut client) => {
                match client.call("daemon.stop", &StopParams { agents: true }, STOP_PATIENCE) {
                    // It was quicker than its answer.
                    Ok(_) | Err(Error::Broken { .. }) => {}
                    Err(e) => return Err(e),
                }
            }
            Err(Error::NotRunning(_)) => {}
            Err(e) => return Err(e),
        }
        let Some(pid) = self.akkd.take() else { return Ok(()) };
        // akkd is a child of this process: its end can be waited for, and its files are its own until then.
        let begun = Instant::now();
        while matches!(waitpid(pid, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive)) {
            if begun.elapsed() > STOP_PATIENCE {
                return Err(Error::Program {
                    message: format!("akkd (process {pid}) was asked to stop and still runs"),
                    hint: format!("end it with `kill {pid}`"),
                });
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

fn locked(props: &Mutex<Props>) -> MutexGuard<'_, Props> {
    props.lock().unwrap_or_else(PoisonError::into_inner)
}
