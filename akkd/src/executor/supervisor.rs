//! The face of the executors: one seat per conversation that has an agent process or an open turn.

use super::context::Context;
use super::launch::folder::LaunchFolder;
use super::launch::process::AgentProcess;
use super::order::{PermissionAnswer, RecoveredTurn, TurnOrder};
use super::seat::{Found, Order, Seat};
use super::shared::Shared;
use crate::platform::{self, ProcessIdentity};
use crate::store::LaunchRow;
use akk_proto::{ConversationId, LaunchId, TurnId};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

/// The executors of all conversations. Cheap to clone.
///
/// Orders return at once; what comes of them is told to the [`ReportSink`](super::ReportSink). Orders for one
/// conversation are carried out in the order in which they were given.
#[derive(Clone)]
pub struct Executors {
    registry: Arc<Registry>,
}

pub(super) struct Registry {
    shared: Arc<Shared>,
    seats: Mutex<Seats>,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Seats {
    open: HashMap<ConversationId, mpsc::UnboundedSender<Order>>,
    closed: bool,
}

impl Executors {
    /// Executors without any agent yet. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The folder of launches cannot be made.
    pub fn new(context: Context) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(context)?);
        Ok(Self { registry: Arc::new(Registry { shared, seats: Mutex::default(), tasks: TaskTracker::new() }) })
    }

    /// Carries a turn out. It ends with one [`TurnEnded`](akk_core::ExecutorReport::TurnEnded), whatever happens.
    pub fn start_turn(&self, order: TurnOrder) {
        self.registry.send(&order.conversation_id.clone(), Order::Start(Box::new(order)));
    }

    /// Stops a turn: the protocol's cancel, after `grace` SIGTERM to the process group, after another `grace`
    /// SIGKILL. It always ends in `TurnEnded`: cancelled, or what really happened meanwhile. A turn that is not
    /// known here ends as cancelled.
    pub fn cancel_turn(&self, conversation: ConversationId, turn: TurnId, grace: Duration) {
        self.registry.send(&conversation, Order::Cancel { turn, grace });
    }

    /// Tells an agent what became of its permission request. Nothing happens where the process that asked is gone.
    pub fn answer_permission(&self, conversation: ConversationId, answer: PermissionAnswer) {
        self.registry.send_if_open(&conversation, Order::Permission(answer));
    }

    /// Ends every agent process of a conversation, and what descends from it. A turn that is open ends with it.
    pub fn release(&self, conversation: ConversationId, reason: String) {
        self.registry.send_if_open(&conversation, Order::Release { reason });
    }

    /// A message of the conversation's agent came: that is activity, as output is.
    pub fn touch(&self, conversation: ConversationId) {
        self.registry.send_if_open(&conversation, Order::Touch);
    }

    /// Agent processes that are followed now.
    pub fn agents(&self) -> usize {
        self.registry.shared.running()
    }

    /// The conversations whose agent is at work: a turn is open, or is being settled after a start of akkd.
    pub fn at_work(&self) -> watch::Receiver<BTreeSet<ConversationId>> {
        self.registry.shared.at_work()
    }

    /// After a start of akkd, before anything else: settles every launch that a former akkd left, and every turn
    /// that was open. Agents in the middle of a turn are adopted and go on; agents that are warm are kept; everything
    /// else is ended. Returns when it is known what there is; the ends are told as reports.
    pub async fn recover(&self, turns: Vec<RecoveredTurn>) {
        let shared = &self.registry.shared;
        let launches = loop {
            match shared.context.ledger.live_launches().await {
                Ok(launches) => break launches,
                Err(error) => {
                    // Without the record nothing can be told apart: processes would be started twice.
                    tracing::error!(%error, "the launches of a former akkd cannot be read");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        };
        let folder = shared.launches.clone();
        let by_stdin = tokio::task::spawn_blocking(move || by_stdin(&folder)).await.unwrap_or_default();
        self.sweep(&launches, &by_stdin);
        let mut found: HashMap<ConversationId, Found> = HashMap::new();
        for row in launches {
            let recorded = row.identity.as_ref().and_then(|i| serde_json::from_value(i.clone()).ok());
            let process = recorded.or_else(|| by_stdin.get(&row.launch_id).cloned());
            found.entry(row.conversation_id.clone()).or_default().launches.push((row, process));
        }
        for turn in turns {
            let conversation = turn.order.conversation_id.clone();
            found.entry(conversation).or_default().turn = Some(turn);
        }
        for (conversation, found) in found {
            self.registry.send(&conversation, Order::Recover(Box::new(found)));
        }
    }

    /// Ends what has a launch folder and no record: processes that nobody will ask for, and the folders themselves.
    fn sweep(&self, launches: &[LaunchRow], by_stdin: &HashMap<LaunchId, ProcessIdentity>) {
        let shared = &self.registry.shared;
        let known = |launch: &LaunchId| launches.iter().any(|row| row.launch_id == *launch);
        let entries = std::fs::read_dir(&shared.launches).into_iter().flatten().flatten();
        let folders = entries.filter_map(|e| LaunchId::parse(e.file_name().into_string().ok()?).ok());
        for launch in by_stdin.keys().cloned().chain(folders).filter(|launch| !known(launch)) {
            let (shared, process) = (Arc::clone(shared), by_stdin.get(&launch).cloned());
            self.registry.tasks.spawn(async move {
                let timings = shared.context.timings;
                if let Some(Ok(mut process)) = process.map(|p| AgentProcess::find(&launch, p)) {
                    tracing::warn!(%launch, pid = process.identity().pid, "a process without a record is ended");
                    if !process.end_tree(timings.end_grace, timings.kill_wait).await.unwrap_or(false) {
                        return;
                    }
                }
                LaunchFolder::of(&shared.launches, &launch).remove();
            });
        }
    }

    /// Ends the executors: agents without a turn are ended; running turns go on without akkd, unless `end_agents`.
    /// Later orders are dropped.
    pub async fn shutdown(&self, end_agents: bool) {
        {
            let mut seats = self.registry.lock();
            seats.closed = true;
            for seat in seats.open.values() {
                // A seat that has just left needs no word.
                let _ = seat.send(Order::Shutdown { end_agents });
            }
        }
        self.registry.tasks.close();
        // Reports that cannot be stored are given up at last: a successor finds them out again.
        let wound_up = tokio::time::timeout(self.registry.shared.context.timings.wind_up, self.registry.tasks.wait());
        if wound_up.await.is_err() {
            self.registry.shared.stopping.cancel();
            self.registry.tasks.wait().await;
        }
    }
}

/// Processes by the launch whose stdin they have; none where the system does not tell.
fn by_stdin(launches: &Path) -> HashMap<LaunchId, ProcessIdentity> {
    let found = platform::stdin_below(launches).unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::Unsupported {
            tracing::error!(%error, "the processes of former launches cannot be looked for");
        }
        Vec::new()
    });
    let mut by_launch: HashMap<LaunchId, ProcessIdentity> = HashMap::new();
    for (path, process) in found {
        let launch = path.strip_prefix(launches).ok().and_then(|p| p.iter().next()).and_then(|n| n.to_str());
        let Some(launch) = launch.and_then(|name| LaunchId::parse(name).ok()) else { continue };
        // Children may inherit stdin: the leader is the oldest.
        let known = by_launch.entry(launch).or_insert_with(|| process.clone());
        if (process.started, process.pid) < (known.started, known.pid) {
            *known = process;
        }
    }
    by_launch
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Seats> {
        // Nothing is left half done under this lock.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(self: &Arc<Self>, conversation: &ConversationId, order: Order) {
        let mut seats = self.lock();
        if seats.closed {
            tracing::info!(%conversation, ?order, "an order came too late: akkd is stopping");
            return;
        }
        let seat = seats.open.entry(conversation.clone()).or_insert_with(|| {
            let (orders, inbox) = mpsc::unbounded_channel();
            let seat = Seat::new(Arc::clone(&self.shared), Arc::clone(self), conversation.clone(), inbox);
            self.tasks.spawn(seat.serve());
            orders
        });
        // The seat leaves under this lock only.
        let _ = seat.send(order);
    }

    fn send_if_open(&self, conversation: &ConversationId, order: Order) {
        if let Some(seat) = self.lock().open.get(conversation) {
            let _ = seat.send(order);
        }
    }

    /// Removes a seat that has nothing to look after; false when an order came meanwhile.
    pub(super) fn leave(&self, conversation: &ConversationId, inbox: &mut mpsc::UnboundedReceiver<Order>) -> bool {
        let mut seats = self.lock();
        if !inbox.is_empty() {
            return false;
        }
        seats.open.remove(conversation);
        true
    }
}
