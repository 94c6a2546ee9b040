//! The wiring: every room is made here, in order, and taken down in the reverse order.

use crate::callback::Intake;
use crate::clock::Clock;
use crate::config::{ConfigError, ConfigSource, Surroundings, agent_environment};
use crate::conversation::{Conversations, IdleTimers};
use crate::delivery::Runner;
use crate::effects::{Effects, Prompts, ToConversations};
use crate::executor::{Context, Executors, Timings};
use crate::lifecycle::{self, Lock};
use crate::socket::rpc::{Callback, Control, StopAsked};
use crate::socket::{self, Limits};
use crate::store::{Store, StoreError};
use akk_proto::api::{CallbackServer as _, ControlServer as _};
use akk_proto::error::Failure;
use akk_proto::paths::Paths;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long connections may finish what they are in the middle of.
const FINISH: Duration = Duration::from_secs(5);
/// How often old conversations are looked for, where the configuration asks for it.
const DELETE_EVERY: Duration = Duration::from_hours(24);

/// Why akkd does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another akkd, a directory or a socket stands against it.
    #[error(transparent)]
    Lifecycle(#[from] lifecycle::LifecycleError),
    /// The configuration file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store cannot be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl RunError {
    /// What to tell a person.
    pub fn failure(self) -> Failure {
        match self {
            Self::Lifecycle(e) => e.into(),
            Self::Config(e) => e.into(),
            Self::Store(e) => e.into(),
            Self::System { .. } => Failure::new(
                akk_proto::error::ErrorKind::Internal,
                self.to_string(),
                "Look at the log, and at limits of the system such as open files.",
            ),
        }
    }
}

/// Runs akkd until it is asked to stop, by a signal or by a client.
///
/// # Errors
/// When it cannot start. What goes wrong later is told to whoever asked, and to the log.
pub async fn run(paths: Paths, around: Surroundings, stop: watch::Sender<StopAsked>) -> Result<(), RunError> {
    let clock = Clock::system();
    lifecycle::prepare(&paths)?;
    let lock = match Lock::acquire(&paths.lock()) {
        Ok(lock) => lock,
        Err(error) => return Err(lifecycle::answer_for_the_winner(&paths, error).await.into()),
    };
    let config = Arc::new(ConfigSource::open(paths.config.clone(), around)?);
    let store = Store::open(&paths.database())?;
    let listeners = lifecycle::bind(&paths).await?;

    let (timers, idle_queue) = IdleTimers::new(clock.clone());
    let (conversations, asked) = Conversations::new(store.clone(), clock.clone(), timers.clone());
    let executors = Executors::new(Context {
        ledger: Arc::new(store.clone()),
        reports: Arc::new(ToConversations(conversations.clone())),
        prompts: Arc::new(Prompts { store: store.clone(), akkctl: akkctl_path(&config) }),
        environment: {
            let env = config.surroundings().env.clone();
            Arc::new(move |order| agent_environment(&order.agent, &env, order.proxy.as_deref()))
        },
        launches: paths.launches(),
        callback_socket: paths.callback_socket.clone(),
        timings: Timings { cancel_grace: config.current().cancel_grace, ..Timings::default() },
    });
    let effects = Effects::new(conversations.clone(), executors.clone(), config.clone(), store.clone());

    let quit = CancellationToken::new();
    let tasks = TaskTracker::new();
    tasks.spawn(effects.clone().run(asked));
    tasks.spawn(idle_queue.run(conversations.clone(), timers.clone(), quit.clone()));
    for (id, deadline) in store.deadlines().await? {
        timers.set(&id, Some(deadline));
    }
    // Before a socket answers: a client must not see a status that start-up is about to correct.
    effects.recover().await?;
    let runner = Runner {
        store: store.clone(),
        conversations: conversations.clone(),
        config: config.clone(),
        clock: clock.clone(),
    };
    tasks.spawn(runner.run(quit.clone()));
    tasks.spawn(delete_old(store.clone(), conversations.clone(), config.clone(), clock.clone(), quit.clone()));

    let control = Control {
        store: store.clone(),
        conversations: conversations.clone(),
        config: config.clone(),
        clock: clock.clone(),
        paths: paths.clone(),
        started_at: clock.wall(),
        agents: {
            let executors = executors.clone();
            Arc::new(move || executors.agents() as u64)
        },
        stop: stop.clone(),
    };
    let callback = Callback { intake: Intake::new(store.clone(), conversations.clone()) };
    let connections = TaskTracker::new();
    let sockets = CancellationToken::new();
    tasks.spawn(listeners.serve(control.into_rpc().into(), callback.into_rpc().into(), sockets.clone(), connections.clone()));
    lifecycle::ready();
    tracing::info!(pid = std::process::id(), home = %paths.state.display(), "akkd is ready");

    let asked = lifecycle::until_stop(&stop).await;
    lifecycle::stopping();
    tracing::info!(?asked, "akkd stops");
    sockets.cancel();
    connections.close();
    if tokio::time::timeout(FINISH, connections.wait()).await.is_err() {
        tracing::warn!("some connections did not finish in time");
    }
    executors.shutdown(asked == StopAsked::EndAgents).await;
    quit.cancel();
    store.close().await;
    // The lock is let go last: whoever takes it finds everything written.
    drop(lock);
    Ok(())
}

fn akkctl_path(config: &ConfigSource) -> Arc<str> {
    config.surroundings().akkctl.to_string_lossy().into()
}

/// Deletes terminal conversations beyond the configured age; never by default.
async fn delete_old(
    store: Store,
    conversations: Conversations,
    config: Arc<ConfigSource>,
    clock: Clock,
    quit: CancellationToken,
) {
    loop {
        if let Some(days) = config.current().delete_after_days {
            let before = clock.wall().plus_millis(-i64::from(days) * 86_400_000);
            match store.terminal_older_than(before).await {
                Ok(ids) => {
                    for id in ids {
                        if let Err(error) = conversations.delete(&id).await {
                            tracing::warn!(%id, %error, "an old conversation could not be deleted");
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "old conversations could not be looked for"),
            }
        }
        tokio::select! {
            () = quit.cancelled() => return,
            () = tokio::time::sleep(DELETE_EVERY) => {}
        }
    }
}
