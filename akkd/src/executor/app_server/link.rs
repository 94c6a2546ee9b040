//! A connection to the daemon in which a session lives: joining its thread, and finding a turn in it again.

use crate::sessions::codex::app_server::{
    AppServer, CallError, Incoming, RpcError, Thread, ThreadState, Turn, TurnState,
};
use akk_proto::session::NativeAttachment;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the answer to a call may take. They take milliseconds; a daemon that is stopped or swapped out must not
/// hold a turn for ever.
pub(super) const CALL: Duration = Duration::from_secs(20);

/// What a user can do when the session does not live in the daemon any more.
pub(super) const OPEN_AGAIN: &str =
    "open it in a terminal again (`codex resume`) and send again, or take the session over anew";

/// A connection to the daemon of one session.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) server: AppServer,
    pub(super) thread: String,
}

/// Where a turn was found.
#[derive(Debug)]
pub(super) enum Whereabouts {
    /// It runs, and the thread is joined: its id.
    Running(String),
    /// It is over.
    Over(Turn),
    /// It ran when its daemon ended.
    Stranded,
    /// Its prompt waits in the thread's queue, under this id.
    Queued(String),
    /// The session knows nothing of it.
    Nowhere,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Queued {
    id: String,
    #[serde(default)]
    client_user_message_id: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terminal {
    item_id: String,
    process_id: String,
}

#[derive(Debug, Deserialize)]
struct Terminals {
    data: Vec<Terminal>,
}

#[derive(Debug, Deserialize)]
struct Queue {
    data: Vec<Queued>,
}

impl Link {
    /// Connects to the daemon in which the session lived when it was attached. Joins nothing yet.
    ///
    /// # Errors
    /// A sentence for people.
    pub(super) async fn connect(attachment: &NativeAttachment) -> Result<Self, String> {
        let Some(path) = &attachment.control_socket else {
            return Err("the attachment names no control socket of a Codex daemon".into());
        };
        let server = AppServer::connect(Path::new(path), CONNECT)
            .await
            .map_err(|error| format!("the session's Codex daemon cannot be reached: {error}"))?;
        if let Some(home) = &server.info().home
            && !same_place(home, Path::new(&attachment.home))
        {
            let home = home.display();
            return Err(format!("the Codex daemon there works on {home}, not on {}", attachment.home));
        }
        Ok(Self { server, thread: attachment.session_id.clone() })
    }

    /// Joins the thread for a prompt, when it lives, no turn runs in it and nothing waits in its queue.
    ///
    /// # Errors
    /// A sentence for people; nothing was sent.
    pub(super) async fn join_idle(&mut self) -> Result<Thread, String> {
        let lost = |error: CallError| format!("the Codex daemon cannot be asked: {error}");
        if !self.is_loaded().await.map_err(lost)? {
            return Err(format!("the session does not live in the Codex daemon any more: {OPEN_AGAIN}"));
        }
        self.join().await.map_err(lost)?;
        let thread = self.server.thread(&self.thread, CALL).await.map_err(lost)?;
        if thread.ephemeral || thread.can_accept_direct_input == Some(false) {
            return Err("this session takes no messages of other clients".to_owned());
        }
        match thread.state() {
            ThreadState::Idle => {}
            ThreadState::Active => return Err(BUSY.to_owned()),
            ThreadState::NotLoaded => {
                return Err(format!("the session does not live in the Codex daemon any more: {OPEN_AGAIN}"));
            }
        }
        let queue = self.queue().await.map_err(|error| match error {
            CallError::Refused(error) => format!(
                "this Codex daemon ({}) has no queue, without which a message could end up in a turn of the user: end \
                 the terminal and take the session over anew ({error})",
                self.server.info().version.as_deref().unwrap_or("unknown version"),
            ),
            other => lost(other),
        })?;
        if queue.is_empty() {
            Ok(thread)
        } else {
            Err("messages of the user wait in this session's queue: send again when they are through".to_owned())
        }
    }

    /// What the daemon says next.
    pub(super) async fn next(&mut self) -> Incoming {
        self.server.next().await
    }

    /// Answers a request of the daemon.
    pub(super) async fn answer(&mut self, id: &Value, outcome: Result<Value, RpcError>) -> Result<(), CallError> {
        self.server.answer(id, outcome).await
    }

    /// Asks the turn to stop. Codex 0.169 answers within 30 ms and lets commands go on in the background; a turn that is
    /// over already is refused.
    pub(super) async fn interrupt(&mut self, turn: &str) -> Result<(), CallError> {
        let params = json!({ "threadId": self.thread, "turnId": turn });
        self.server.call("turn/interrupt", params, CALL).await.map(drop)
    }

    /// Ends the commands that go on in the background after their turn was stopped, as far as they are the turn's: the
    /// thread's other ones are the user's. Gives how many there were.
    pub(super) async fn end_commands(&mut self, is_ours: impl Fn(&str) -> bool) -> Result<usize, CallError> {
        let params = json!({ "threadId": self.thread });
        let all = self.server.read::<Terminals>("thread/backgroundTerminals/list", params, CALL).await?.data;
        let ours: Vec<Terminal> = all.into_iter().filter(|terminal| is_ours(&terminal.item_id)).collect();
        for terminal in &ours {
            let params = json!({ "threadId": self.thread, "processId": terminal.process_id });
            self.server.call("thread/backgroundTerminals/terminate", params, CALL).await?;
        }
        Ok(ours.len())
    }

    /// Sets model and effort of the thread, from its next turn on.
    pub(super) async fn set_model(&mut self, model: Option<&str>, effort: Option<&str>) -> Result<(), CallError> {
        let params = json!({ "threadId": self.thread, "model": model, "effort": effort });
        self.server.call("thread/settings/update", params, CALL).await.map(drop)
    }

    /// Finds the turn that began with the message `client_id`; joins the thread where it lives.
    pub(super) async fn whereabouts(&mut self, client_id: &str) -> Result<Whereabouts, CallError> {
        let live = self.is_loaded().await?;
        if live {
            self.join().await?;
        }
        let thread = self.thread.clone();
        for second_look in [false, true] {
            let Some(turn) = self.server.find_turn(&thread, CALL, |turn| turn.began_with(client_id)).await? else {
                break;
            };
            if turn.state() != TurnState::Running {
                return Ok(Whereabouts::Over(turn));
            }
            // After a kill the record of a turn goes on saying that it runs.
            let newest = self.server.find_turn(&thread, CALL, |_| true).await?;
            let is_newest = newest.is_some_and(|newest| newest.id == turn.id);
            if live && is_newest && self.server.thread(&thread, CALL).await?.state() == ThreadState::Active {
                return Ok(Whereabouts::Running(turn.id));
            }
            // Or it has just ended.
            if second_look {
                return Ok(Whereabouts::Stranded);
            }
        }
        let queued = self.queue().await?.into_iter().find(|q| q.client_user_message_id.as_deref() == Some(client_id));
        Ok(queued.map_or(Whereabouts::Nowhere, |queued| Whereabouts::Queued(queued.id)))
    }

    async fn is_loaded(&mut self) -> Result<bool, CallError> {
        Ok(self.server.loaded_threads(CALL).await?.contains(&self.thread))
    }

    /// From now on the thread's notifications and requests come here too. Changes nothing in a thread that lives; the
    /// requests that wait for an answer are told again.
    async fn join(&mut self) -> Result<(), CallError> {
        let params = json!({ "threadId": self.thread, "excludeTurns": true });
        self.server.call("thread/resume", params, CALL).await.map(drop)
    }

    async fn queue(&mut self) -> Result<Vec<Queued>, CallError> {
        let params = json!({ "threadId": self.thread });
        self.server.read::<Queue>("thread/queue/list", params, CALL).await.map(|queue| queue.data)
    }
}

/// Why nothing was sent into a session in which a turn runs.
pub(super) const BUSY: &str = "a turn of the user runs in this session: send again when it has ended";

fn same_place(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    a == b || real(a) == real(b)
}
