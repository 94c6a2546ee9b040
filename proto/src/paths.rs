//! Where akkd keeps its things. Pure: the caller brings the environment and the platform's directories.

use std::path::{Path, PathBuf};

/// Longest path of a Unix socket, in bytes: 103 on macOS, 107 on Linux; the smaller holds everywhere.
pub const MAX_SOCKET_PATH: usize = 103;

/// The label of akkd as an agent of launchd, on macOS: `akkctl daemon install` gives it, and akkd knows by it who started
/// it (`XPC_SERVICE_NAME`).
pub const LAUNCHD_LABEL: &str = "agent-knock-knock.akkd";

/// The runtime directory that systemd makes for a user, on Linux: what `XDG_RUNTIME_DIR` says in every login, and what
/// `su`, cron and some logins by ssh do not say. It counts where it is there, so that all find the same sockets.
pub fn usual_runtime_dir(uid: u32) -> PathBuf {
    PathBuf::from(format!("/run/user/{uid}"))
}

/// What the paths follow from.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `AKK_HOME`.
    pub akk_home: Option<PathBuf>,
    /// `AKK_SOCKET`: another control socket; the callback socket lies beside it.
    pub akk_socket: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, where the platform has it; where it is not set, [`usual_runtime_dir`] if that is there and the
    /// user's own.
    pub runtime_dir: Option<PathBuf>,
    /// The platform's directory for state, such as `~/.local/state`.
    pub platform_state: PathBuf,
    /// The platform's directory for configuration, such as `~/.config`.
    pub platform_config: PathBuf,
    /// The user id, for a short socket directory.
    pub uid: u32,
}

/// Where akkd keeps its things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Database, lock, logs, launches. 0700.
    pub state: PathBuf,
    /// `config.toml`.
    pub config: PathBuf,
    /// The sockets' directory. 0700. Nothing that a restart needs lies there.
    pub run: PathBuf,
    /// The control socket.
    pub control_socket: PathBuf,
    /// The callback socket.
    pub callback_socket: PathBuf,
}

impl Paths {
    /// The paths for this environment.
    pub fn resolve(env: &Environment) -> Self {
        let (state, config, run) = if let Some(home) = &env.akk_home {
            (home.clone(), home.join("config.toml"), home.join("run"))
        } else {
            let state = env.platform_state.join("akk");
            let run = env.runtime_dir.as_ref().map_or_else(|| state.join("run"), |r| r.join("akk"));
            (state, env.platform_config.join("akk").join("config.toml"), run)
        };
        let run = match env.akk_socket.as_deref().and_then(Path::parent) {
            Some(parent) => parent.to_owned(),
            None => short(run, env.uid),
        };
        let control_socket = env.akk_socket.clone().unwrap_or_else(|| run.join("akkd.sock"));
        let callback_socket = run.join("callback.sock");
        Self { state, config, run, control_socket, callback_socket }
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.state.join("akk.db")
    }

    /// The lock that the one akkd of this home holds for life.
    pub fn lock(&self) -> PathBuf {
        self.state.join("akkd.lock")
    }

    /// The folder of the diagnostic logs.
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }

    /// The folder with the OpenClaw plugin that akkctl installed.
    pub fn openclaw(&self) -> PathBuf {
        self.state.join("openclaw")
    }

    /// Into which installations of OpenClaw akkctl put the plugin; there while it is in one.
    pub fn installed(&self) -> PathBuf {
        self.openclaw().join("installed.json")
    }

    /// The folder with one folder per launch of an agent: its stdin, stdout, stderr.
    pub fn launches(&self) -> PathBuf {
        self.state.join("launches")
    }
}

/// `run`, or a short folder under `/tmp` when a socket in it would have too long a name.
fn short(run: PathBuf, uid: u32) -> PathBuf {
    let longest = run.as_os_str().len() + "/callback.sock".len();
    if longest <= MAX_SOCKET_PATH {
        return run;
    }
    PathBuf::from(format!("/tmp/{}", private_name(uid, &run)))
}

/// The name of a folder of one user, for one folder of akkd's, in a place that is shared.
pub(crate) fn private_name(uid: u32, of: &Path) -> String {
    // FNV-1a: stable over versions, and nothing secret is hidden by it.
    let hash = of
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    format!("akk-{uid}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn env() -> Environment {
        Environment {
            runtime_dir: Some("/run/user/1000".into()),
            platform_state: "/home/u/.local/state".into(),
            platform_config: "/home/u/.config".into(),
            uid: 1000,
            ..Environment::default()
        }
    }

    #[test]
    fn without_akk_home_the_platforms_directories_are_used() {
        let p = Paths::resolve(&env());
        assert_eq!(p.control_socket, Path::new("/run/user/1000/akk/akkd.sock"));
        assert_eq!(p.database(), Path::new("/home/u/.local/state/akk/akk.db"));
        assert_eq!(p.config, Path::new("/home/u/.config/akk/config.toml"));
        let p = Paths::resolve(&Environment { runtime_dir: None, ..env() });
        assert_eq!(p.run, Path::new("/home/u/.local/state/akk/run"));
    }

    #[test]
    fn akk_home_holds_everything_and_a_long_one_gets_short_sockets() {
        let p = Paths::resolve(&Environment { akk_home: Some("/h".into()), ..env() });
        assert_eq!(p.callback_socket, Path::new("/h/run/callback.sock"));
        assert_eq!(p.config, Path::new("/h/config.toml"));
        let long = PathBuf::from(format!("/{}", "x".repeat(100)));
        let p = Paths::resolve(&Environment { akk_home: Some(long.clone()), ..env() });
        assert!(p.callback_socket.as_os_str().len() <= MAX_SOCKET_PATH);
        assert_eq!(p.state, long);
    }

    #[test]
    fn akk_socket_moves_both_sockets() {
        let p = Paths::resolve(&Environment { akk_socket: Some("/s/x.sock".into()), ..env() });
        assert_eq!(p.control_socket, Path::new("/s/x.sock"));
        assert_eq!(p.callback_socket, Path::new("/s/callback.sock"));
    }

    fn any_path() -> impl Strategy<Value = PathBuf> {
        prop_oneof!["(/[a-z. é]{0,12}){0,4}", "(/[a-z]{20,40}){2,6}", any::<String>()].prop_map(PathBuf::from)
    }

    proptest! {
        /// Whatever the environment says: the sockets lie beside each other, can be bound, and nothing of akkd's own lies
        /// anywhere but in its state folder.
        #[test]
        fn any_environment_gives_sockets_that_can_be_bound(
            akk_home in prop::option::of(any_path()), akk_socket in prop::option::of(any_path()),
            runtime_dir in prop::option::of(any_path()), platform_state in any_path(), uid in any::<u32>(),
        ) {
            let moved = akk_socket.as_deref().and_then(Path::parent).is_some();
            let env = Environment { akk_home, akk_socket, runtime_dir, platform_state, uid, ..env() };
            let p = Paths::resolve(&env);
            prop_assert_eq!(p.callback_socket.parent(), Some(p.run.as_path()));
            if !moved && env.akk_socket.is_none() {
                prop_assert!(p.control_socket.as_os_str().len() <= MAX_SOCKET_PATH);
                prop_assert!(p.callback_socket.as_os_str().len() <= MAX_SOCKET_PATH);
                prop_assert_eq!(p.control_socket.parent(), Some(p.run.as_path()));
            }
            for own in [p.database(), p.lock(), p.logs(), p.launches(), p.openclaw()] {
                prop_assert_eq!(own.parent(), Some(p.state.as_path()));
            }
            prop_assert_eq!(Paths::resolve(&env), p);
        }
    }
}
