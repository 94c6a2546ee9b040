//! The wiring: every room is made here, in order, and taken down in the reverse order.

use crate::callback::{DropFolders, Intake};
use crate::clock::Clock;
use crate::config::{ConfigSource, agent_environment};
use crate::conversation::{Asked, Conversations, IdleTimers};
use crate::delivery::{Deliveries, Plugins, Runner};
use crate::doctor::Moment;
use crate::effects::{Effects, Prompts, ToConversations};
use crate::executor::{Context, Executors, Timings};
use crate::lifecycle::{self, Activation, Listeners, Lock, LockError, Signals, Socket};
use crate::sessions::Sessions;
use crate::sessions::codex::CodexSessions;
use crate::sessions::codex::app_server::{self, ThreadState};
use crate::socket::rpc::{Callback, Control, StopAsked};
use crate::socket::{self, Audit, Limits};
use crate::store::Store;
use crate::takeover::{Outside, Takeovers};
use akk_proto::api::{CallbackServer as _, ControlServer as _};
use akk_proto::audit::AuditWay;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::paths::Paths;
use akk_proto::session::SessionActivity;
use jsonrpsee::Methods;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long connections may finish what they are in the middle of.
const FINISH: Duration = Duration::from_secs(5);
/// How long the end of another akkd is waited for, in a start. akkctl waits 20 s for a start.
const STOPPING: Duration = Duration::from_secs(15);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(20);
/// How often old conversations, where the configuration asks for it, and old rows of the audit are looked for.
const DELETE_EVERY: Duration = Duration::from_hours(24);

/// What akkd starts with.
pub struct Start {
    /// Where it keeps its things.
    pub paths: Paths,
    /// Its configuration, read for the first time.
    pub config: ConfigSource,
    /// Sockets that systemd handed over; taken before the process had threads.
    pub activation: Activation,
}

/// Runs akkd until it is asked to stop, by a signal or by a client.
///
/// # Errors
/// When it cannot start. What goes wrong later is told to whoever asked, and to the log.
pub async fn run(start: Start) -> Result<(), Failure> {
    let Start { paths, config, activation } = start;
    let clock = Clock::system();
    let lock = match lock_after_a_stopping_one(&paths).await {
        Ok(lock) => lock,
        Err(lost) => {
            if !activation.is_empty()
                && let Err(error) = lifecycle::turn_away(activation, &lost).await
            {
                tracing::warn!(%error, "waiting connections could not be answered");
            }
            return Err(Failure::from(&lost));
        }
    };
    let config = Arc::new(config);
    let store = Store::open(&paths.database()).map_err(Failure::from)?;
    let Listeners { control: control_listener, callback: callback_listener, bound } =
        lifecycle::bind(&paths, activation).await?;
    let signals = Signals::listen().map_err(|e| system("catch signals", &e))?;
    let (stop, stop_asked) = watch::channel(StopAsked::No);

    let sessions = Sessions::new(vec![Arc::new(codex_sessions(&config, &clock))]);
    let (timers, idle_queue) = IdleTimers::new(clock.clone());
    let (conversations, asked) = Conversations::new(store.clone(), clock.clone(), timers.clone());
    let env = &config.surroundings().env;
    let temporary = env.get("TMPDIR").filter(|dir| !dir.is_empty()).map_or_else(|| "/tmp".into(), PathBuf::from);
    let drop_folders = DropFolders::new(&paths.state, &temporary);
    let intake = Intake::new(store.clone(), conversations.clone(), drop_folders.clone());
    // First of all: what agents left while no akkd ran was said before anything that is done now. What it asks for
    // follows from the stored state, as after every start.
    let asked = without_effects(intake.take_all_drops(), asked).await;
    let executors = Executors::new(Context {
        ledger: Arc::new(store.clone()),
        reports: Arc::new(ToConversations { conversations: conversations.clone(), intake: intake.clone() }),
        prompts: Arc::new(Prompts { store: store.clone(), akkctl: akkctl_path(&config) }),
        sessions: sessions.clone(),
        environment: {
            let env = config.surroundings().env.clone();
            Arc::new(move |order| agent_environment(&order.agent, &env, order.proxy.as_deref()))
        },
        launches: paths.launches(),
        callback_socket: paths.callback_socket.clone(),
        akkctl: config.surroundings().akkctl.clone(),
        drop_folder: Arc::new(move |id, place| drop_folders.folder(id, place)),
        timings: Timings { cancel_grace: config.current().cancel_grace, ..Timings::default() },
    })
    .map_err(|e| system("use the folder of launches", &e))?;
    let effects = Effects::new(conversations.clone(), executors.clone(), config.clone(), store.clone(), intake.clone());

    let quit = CancellationToken::new();
    // These are not waited for: what they leave undone follows from the stored state at the next start.
    tokio::spawn(effects.clone().run(asked));
    // Before a socket answers: a client must not see a status that start-up is about to correct.
    effects.recover().await.map_err(Failure::from)?;
    // Not before, also for what was left while no akkd ran: what a deadline decides about a turn must find the one who has
    // it, or the agent is not told before the next start.
    tokio::spawn(idle_queue.run(conversations.clone(), timers.clone(), quit.clone()));
    for (id, deadline) in store.deadlines().await.map_err(Failure::from)? {
        timers.set(&id, Some(deadline));
    }
    let deliveries = Deliveries {
        store: store.clone(),
        conversations: conversations.clone(),
        plugins: Plugins::new(clock.clone()),
        clock: clock.clone(),
    };
    let runner = Runner { deliveries: deliveries.clone(), config: config.clone() };
    let running = tokio::spawn(runner.run(quit.clone()));
    tokio::spawn(delete_old(store.clone(), conversations.clone(), config.clone(), clock.clone(), quit.clone()));

    let outside = Outside {
        environment: config.surroundings().env.clone(),
        joining: Arc::new(|path, session| Box::pin(can_be_joined(path, session))),
    };
    let takeovers = Takeovers::new(store.clone(), conversations.clone(), sessions.clone(), outside, clock.clone());
    let control = Control {
        store: store.clone(),
        conversations: conversations.clone(),
        sessions,
        takeovers,
        deliveries,
        waits: intake.waits(),
        config: config.clone(),
        clock: clock.clone(),
        paths: paths.clone(),
        started_at: clock.wall(),
        started: Moment::now(&clock),
        agents: {
            let executors = executors.clone();
            Arc::new(move || executors.agents() as u64)
        },
        stop: stop.clone(),
    };
    tokio::spawn(intake.clone().watch_drops(executors.at_work(), quit.clone()));
    let heard = {
        let executors = executors.clone();
        Arc::new(move |id| executors.touch(id))
    };
    let callback = Callback { intake, heard };
    let doors = Doors {
        control: control.into_rpc().into(),
        callback: callback.into_rpc().into(),
        store: store.clone(),
        clock: clock.clone(),
        stop: CancellationToken::new(),
        tracker: TaskTracker::new(),
    };
    doors.open(Socket::Control, control_listener);
    doors.open(Socket::Callback, callback_listener);
    let keeper = doors.clone();
    let kept = tokio::spawn(bound.keep(doors.stop.clone(), move |socket, listener| keeper.open(socket, listener)));
    tokio::spawn(lifecycle::notify::signs_of_life(quit.clone()));
    lifecycle::notify::ready("serving");
    tracing::info!(pid = std::process::id(), home = %paths.state.display(), "akkd is ready");

    let (terminated, hurry) = (CancellationToken::new(), CancellationToken::new());
    tokio::spawn(signals.act(terminated.clone(), hurry.clone()));
    let asked = until_stop(stop_asked, &terminated).await;
    lifecycle::notify::stopping();
    tracing::info!(?asked, "akkd stops");
    doors.stop.cancel();
    doors.tracker.close();
    let wind_up = async {
        if tokio::time::timeout(FINISH, doors.tracker.wait()).await.is_err() {
            tracing::warn!("some connections did not finish in time");
        }
        // The socket files are removed while the lock is still held.
        let _ = kept.await;
        executors.shutdown(asked == StopAsked::EndAgents).await;
        quit.cancel();
        // It needs the store to note what arrived, and ends by itself.
        let _ = running.await;
    };
    // A second signal gives up what still waits; everything that was answered is durable already.
    let _ = hurry.run_until_cancelled(wind_up).await;
    quit.cancel();
    store.close().await;
    // The lock is let go last: whoever takes it finds everything written.
    drop(lock);
    Ok(())
}

/// Does `work` while nobody carries effects out: they are let go.
async fn without_effects(work: impl Future<Output = ()>, mut asked: mpsc::Receiver<Asked>) -> mpsc::Receiver<Asked> {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            () = &mut work => break,
            _ = asked.recv() => {}
        }
    }
    while asked.try_recv().is_ok() {}
    asked
}

/// Takes the lock. An akkd that stops has removed its sockets, and lets the lock go once its agents have ended: it is
/// waited for.
async fn lock_after_a_stopping_one(paths: &Paths) -> Result<Lock, LockError> {
    let begun = Instant::now();
    loop {
        match Lock::acquire(&paths.lock()) {
            Err(LockError::Held { .. }) if !paths.control_socket.exists() && begun.elapsed() < STOPPING => {
                // The end of a lock is told to nobody who does not stand in line for it with a thread.
                tokio::time::sleep(LOOK).await;
            }
            other => return other,
        }
    }
}

/// The sockets' doors: what is served where, until `stop`.
#[derive(Clone)]
struct Doors {
    control: Methods,
    callback: Methods,
    store: Store,
    clock: Clock,
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Doors {
    fn open(&self, socket: Socket, listener: UnixListener) {
        let (methods, limits, via) = match socket {
            Socket::Control => (self.control.clone(), Limits::control(), AuditWay::Control),
            Socket::Callback => (self.callback.clone(), Limits::callback(), AuditWay::Callback),
        };
        let audit = Some(Audit { store: self.store.clone(), clock: self.clock.clone(), via });
        self.tracker.spawn(socket::serve(listener, methods, limits, audit, self.stop.clone(), self.tracker.clone()));
    }
}

/// Waits until somebody asks akkd to stop.
async fn until_stop(mut asked: watch::Receiver<StopAsked>, terminated: &CancellationToken) -> StopAsked {
    tokio::select! {
        () = terminated.cancelled() => StopAsked::LeaveAgents,
        found = asked.wait_for(|a| *a != StopAsked::No) => found.map_or(StopAsked::LeaveAgents, |a| *a),
    }
}

/// Whether a Codex session can be joined in the daemon whose control socket this is, and whether a turn runs in it; why
/// not, as a clause.
async fn can_be_joined(socket: PathBuf, session: String) -> Result<SessionActivity, String> {
    let thread = app_server::look_at_thread(&socket, &session).await?;
    if thread.state == ThreadState::NotLoaded {
        return Err("the daemon that answers there does not have it".to_owned());
    }
    if !thread.can_be_joined {
        return Err("the daemon that answers there cannot keep messages of AKK apart from turns of a person".to_owned());
    }
    Ok(if thread.state == ThreadState::Idle { SessionActivity::Idle } else { SessionActivity::Working })
}

fn system(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(
        ErrorKind::Internal,
        format!("akkd cannot {what}: {error}"),
        "Look at limits of the system such as open files.",
    )
}

/// Codex's sessions in the homes that are configured now: what the file says of homes later counts from the next start.
fn codex_sessions(config: &ConfigSource, clock: &Clock) -> CodexSessions {
    let current = config.current();
    let path = config.surroundings().env.get("PATH").map(Into::into);
    CodexSessions::new(current.codex_homes.clone(), current.codex_command.clone(), path, clock.clone())
}

fn akkctl_path(config: &ConfigSource) -> Arc<str> {
    config.surroundings().akkctl.to_string_lossy().into()
}

/// Deletes terminal conversations beyond the configured age, never by default, and what is too old of the audit.
async fn delete_old(
    store: Store,
    conversations: Conversations,
    config: Arc<ConfigSource>,
    clock: Clock,
    quit: CancellationToken,
) {
    loop {
        if let Err(error) = store.audit_forget_old(clock.wall()).await {
            tracing::warn!(%error, "old rows of the audit could not be deleted");
        }
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
