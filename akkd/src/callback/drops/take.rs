//! Taking drops in: of one conversation in their order, one after the other.

use super::folder::{Content, Folder};
use crate::callback::Intake;
use akk_core::decide::Input;
use akk_proto::ConversationId;
use akk_proto::audit::{AuditRow, AuditWay, OK};
use akk_proto::drops::Drop;
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::limits::MAX_UNDELIVERED;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How often the folders of agents at work are looked at, should hints fail.
const SCAN: Duration = Duration::from_secs(2);

/// Keeps two from taking in the drops of one conversation at once: they would come twice, or out of order.
#[derive(Clone, Default)]
pub(in crate::callback) struct Lanes(Arc<Mutex<HashMap<ConversationId, Weak<tokio::sync::Mutex<()>>>>>);

impl Lanes {
    fn of(&self, id: &ConversationId) -> Arc<tokio::sync::Mutex<()>> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(id).and_then(Weak::upgrade) {
            return lane;
        }
        lanes.retain(|_, lane| lane.strong_count() > 0);
        let lane = Arc::default();
        lanes.insert(id.clone(), Arc::downgrade(&lane));
        lane
    }
}

/// Whether a process of a conversation's agent is there.
enum HasAgent {
    /// None is.
    No,
    /// It is not proven gone.
    Maybe,
}

/// What became of a drop.
enum Fate {
    /// It is recorded, or was before.
    Taken,
    /// A rule stands against it: why.
    Refused(String),
    /// It could not be judged now. What was left after it waits with it.
    Later(String),
}

impl Intake {
    /// Takes in what the agent of a conversation left. When it answers, everything that could be judged is recorded.
    pub async fn take_drops(&self, id: &ConversationId) {
        let lane = self.lanes.of(id);
        let _one_at_a_time = lane.lock().await;
        let roots: Vec<_> = self.folders.roots().map(Path::to_owned).collect();
        // Mostly nothing was left, and every report over the socket asks.
        let (below, of) = (roots.clone(), id.clone());
        if !off(move || Ok(below.iter().any(|root| holds_something(root, &of)))).await.unwrap_or(true) {
            return;
        }
        for root in roots {
            if let Err(error) = self.take_from(&root, id).await {
                tracing::warn!(%id, root = %root.display(), %error, "a drop folder cannot be used");
            }
        }
    }

    async fn take_from(&self, root: &Path, id: &ConversationId) -> io::Result<()> {
        let (root, name) = (root.to_owned(), id.as_str().to_owned());
        let looked = off(move || -> io::Result<_> {
            let Some(folder) = Folder::open(&root, &name)? else { return Ok(None) };
            let (names, more) = folder.drops()?;
            Ok(Some((Arc::new(folder), names, more)))
        });
        let Some((folder, names, more)) = looked.await? else { return Ok(()) };
        if more {
            tracing::warn!(%id, "a drop folder is overfull: not all of it is looked at");
        }
        for name in names {
            let (reader, named) = (Arc::clone(&folder), name.clone());
            let fate = match off(move || reader.read(&named)).await? {
                Content::Gone => continue,
                Content::Bad(why) => Fate::Refused(why),
                Content::Drop(drop) => self.take(id, *drop).await,
            };
            let remover = Arc::clone(&folder);
            match fate {
                Fate::Taken => off(move || remover.remove(&name)).await?,
                Fate::Refused(reason) => {
                    tracing::warn!(%id, name, reason, "a drop is set aside");
                    let input = Input::DropRefused { file: name.clone(), reason };
                    if let Err(error) = self.conversations.ask(id, input, None).await {
                        tracing::warn!(%id, name, %error, "that a drop is set aside could not be recorded");
                    }
                    off(move || remover.set_aside(&name)).await?;
                }
                Fate::Later(why) => {
                    tracing::warn!(%id, name, why, "a drop waits");
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn take(&self, id: &ConversationId, drop: Drop) -> Fate {
        let (method, request_id) = match &drop {
            Drop::Report(report) => ("callback.report", report.attempt_id.clone()),
            Drop::ConfirmAnswer(_) => ("callback.confirm_answer", None),
        };
        let at = self.conversations.clock().wall();
        let taken = match drop {
            other if other.conversation_id() != id => Err(Failure::new(
                ErrorKind::InvalidRoute,
                format!("it is for {}", other.conversation_id()),
                "Leave a report in the folder of its own conversation.",
            )),
            Drop::Report(report) => self.record(report).await.map(|_| ()),
            Drop::ConfirmAnswer(confirm) => self.confirm(confirm).await.map(|_| ()),
        };
        let waits = match &taken {
            Ok(()) => false,
            Err(error) => is_passing(error) || self.is_one_too_many(id, error).await,
        };
        // What waits is tried again, and noted when it is known what becomes of it. Until then its file is there.
        if !waits {
            let row = AuditRow {
                at,
                via: AuditWay::Spool,
                method: method.to_owned(),
                conversation_id: Some(id.clone()),
                request_id,
                result: taken.as_ref().map_or_else(|error| error.kind.word(), |()| OK.to_owned()),
                peer: None,
            };
            self.store.audit_whole(row).await;
        }
        match taken {
            Ok(()) => Fate::Taken,
            // Recorded as late.
            Err(error) if error.kind == ErrorKind::ConversationClosed => Fate::Taken,
            Err(error) if waits => Fate::Later(error.message),
            Err(error) => Fate::Refused(error.message),
        }
    }

    /// Whether a drop is refused only for as long as so many messages are undelivered. Over the socket the agent hears of
    /// that and stops; who left this was told that it is safe.
    async fn is_one_too_many(&self, id: &ConversationId, error: &Failure) -> bool {
        let too_many = |n| n >= MAX_UNDELIVERED;
        error.kind == ErrorKind::TooLarge && self.store.undelivered(id, false).await.is_ok_and(too_many)
    }

    /// Takes in everything that was left while no akkd ran, and removes folders that nobody needs any more.
    pub async fn take_all_drops(&self) {
        let roots: Vec<_> = self.folders.roots().map(Path::to_owned).collect();
        for root in roots {
            let below = root.clone();
            let look = move || {
                let ids = conversations_below(&below);
                let left = ids.iter().filter(|id| holds_something(&below, id)).cloned().collect::<Vec<_>>();
                Ok((ids, left))
            };
            let (ids, left) = match off(look).await {
                Ok(found) => found,
                Err(error) => {
                    tracing::warn!(root = %root.display(), %error, "drop folders cannot be looked at");
                    continue;
                }
            };
            for id in &left {
                self.take_drops(id).await;
            }
            let open = self.who_is_open().await;
            for id in ids {
                let folder = root.join(id.as_str());
                match open.get(&id) {
                    Some(HasAgent::No) => continue,
                    Some(HasAgent::Maybe) => {
                        if let Ok(folder) = folder.canonicalize() {
                            self.folders.hints.watch(&id, &folder);
                        }
                        continue;
                    }
                    None => {}
                }
                match self.conversations.state(&id).await {
                    Ok(state) if state.phase.is_terminal() => remove_empty(&folder),
                    // Its drops are looked for when it is spoken to.
                    Ok(_) => {}
                    // Deleted for good, and this with it.
                    Err(error) if error.kind == ErrorKind::NotFound => {
                        tracing::info!(%id, "the drop folder of a deleted conversation is removed");
                        let _ = std::fs::remove_dir_all(&folder);
                    }
                    Err(error) => tracing::warn!(%id, %error, "whose drop folder this is cannot be read"),
                }
            }
        }
    }

    /// The open conversations, and whether a process of their agent may be there that a former akkd started. A folder is
    /// watched for the sake of such a process; one that is started later has it watched then. At a start there may be
    /// thousands, so nothing is asked for each of them.
    async fn who_is_open(&self) -> HashMap<ConversationId, HasAgent> {
        let open = match self.store.open_conversations().await {
            Ok(open) => open,
            Err(error) => {
                tracing::warn!(%error, "it cannot be told whose drop folders are needed");
                return HashMap::new();
            }
        };
        let (all, live) = match self.store.live_launches().await {
            Ok(live) => (false, live.into_iter().map(|launch| launch.conversation_id).collect()),
            Err(error) => {
                tracing::warn!(%error, "it cannot be told who has an agent: all drop folders are watched");
                (true, BTreeSet::new())
            }
        };
        let has = |id: &ConversationId| if all || live.contains(id) { HasAgent::Maybe } else { HasAgent::No };
        open.into_iter().map(|id| (has(&id), id)).map(|(has, id)| (id, has)).collect()
    }

    /// The conversation is closed: its folders go, unless something lies in them.
    pub async fn close_drops(&self, id: &ConversationId) {
        self.take_drops(id).await;
        self.folders.hints.forget(id);
        self.folders.roots().for_each(|root| remove_empty(&root.join(id.as_str())));
    }

    /// Takes drops in as they come, until `stop`. `at_work`: whose agents are at work, so that what they leave must be
    /// found soon though a hint was missed. What others leave unseen is found when they are spoken to, or at a start.
    pub async fn watch_drops(self, mut at_work: watch::Receiver<BTreeSet<ConversationId>>, stop: CancellationToken) {
        let mut next: Option<Instant> = None;
        loop {
            let mut looked_at = at_work.borrow_and_update().clone();
            looked_at.extend(self.folders.hints.unheard());
            // Turns that begin and end meanwhile do not put it off.
            next = if looked_at.is_empty() { None } else { next.or_else(|| Instant::now().checked_add(SCAN)) };
            let scan = async move {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let whose = tokio::select! {
                () = stop.cancelled() => return,
                () = self.folders.hints.told() => self.folders.hints.news(),
                Ok(()) = at_work.changed() => continue,
                () = scan => {
                    next = None;
                    self.who_left_something(looked_at).await
                }
            };
            for id in whose {
                self.take_drops(&id).await;
            }
        }
    }

    /// Those of them in whose folders something lies, or which cannot be read. All are looked at in one go.
    async fn who_left_something(&self, all: BTreeSet<ConversationId>) -> Vec<ConversationId> {
        let roots: Vec<_> = self.folders.roots().map(Path::to_owned).collect();
        let look = off(move || {
            Ok(all.into_iter().filter(|id| roots.iter().any(|root| holds_something(root, id))).collect::<Vec<_>>())
        });
        look.await.unwrap_or_default()
    }
}

/// Whether the same may be taken later.
fn is_passing(error: &Failure) -> bool {
    matches!(error.kind, ErrorKind::Storage | ErrorKind::Stopping | ErrorKind::Internal)
}

/// Whether something lies in the folder of a conversation below this root, or it cannot be read.
fn holds_something(root: &Path, id: &ConversationId) -> bool {
    match Folder::open(root, id.as_str()) {
        Ok(Some(folder)) => folder.drops().map_or(true, |(names, more)| more || !names.is_empty()),
        Ok(None) => false,
        Err(_) => true,
    }
}

/// Conversations that have a folder there.
fn conversations_below(root: &Path) -> Vec<ConversationId> {
    let names =
        std::fs::read_dir(root).into_iter().flatten().flatten().filter_map(|e| e.file_name().into_string().ok());
    let mut ids: Vec<_> = names.filter_map(|name| ConversationId::parse(name).ok()).collect();
    ids.sort_unstable();
    ids
}

fn remove_empty(folder: &Path) {
    match std::fs::remove_dir(folder) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
            tracing::warn!(folder = %folder.display(), %error, "a drop folder could not be removed");
        }
        _ => {}
    }
}

/// Off the threads that serve everybody.
async fn off<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
