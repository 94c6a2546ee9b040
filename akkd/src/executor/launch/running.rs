//! A launch while its process runs, and until the last of its output is read.

use super::facts::{LaunchFacts, Reader, recipe, redacted};
use super::folder::LaunchFolder;
use super::hints::Hint;
use super::offer::Offer;
use super::output::{MAX_LINE_BYTES, OutputTail, Piece, bound_stderr};
use super::process::AgentProcess;
use super::spawn::{SpawnError, Stdio3, spawn};
use super::stdin::{AgentStdin, Written};
use crate::executor::TurnOrder;
use crate::executor::ledger::LedgerError;
use crate::executor::shared::{Counted, Shared};
use crate::executor::stream::Seen;
use crate::fault::{Point, point};
use crate::platform::{LAUNCH_VARIABLE, ProcessIdentity};
use crate::store::{Checkpoint, LaunchRow, LaunchState};
use akk_core::redact;
use akk_proto::conversation::Transport;
use akk_proto::event::Exit;
use akk_proto::{LaunchId, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Unread output at which the agent is held back, and below which it goes on.
const HOLD_BACK_AT: u64 = 64 << 20;
const GO_ON_AT: u64 = 4 << 20;
/// Largest output file where read blocks cannot be given back to the disk.
const MAX_STUCK: u64 = 1 << 30;
/// Output after which a checkpoint is due although nothing was reported.
const CHECKPOINT_EVERY: u64 = 4 << 20;
/// What is told of stderr, in characters.
const MAX_TRACE_CHARS: usize = 2000;

/// What a launch has as its stdin.
#[derive(Debug)]
pub(in crate::executor) enum StdinOf<'a> {
    /// A FIFO that is written to as long as it runs.
    Fifo,
    /// A file with the prompt.
    Prompt(&'a [u8]),
}

/// Something that a launch did.
#[derive(Debug)]
pub(in crate::executor) enum Happening {
    /// A line of output, and what it means.
    Seen(Vec<Seen>),
    /// It ended, and everything that it had said before was seen. Said once.
    Exited(Option<Exit>),
    /// What became of something that was written to it.
    Written(Written),
    /// It cannot be followed any further: why.
    Lost(String),
}

/// Why a launch could not be started.
#[derive(Debug, thiserror::Error)]
pub(in crate::executor) enum StartError {
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("the launch folder cannot be made: {0}")]
    Folder(io::Error),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("the agent process cannot be followed: {0}")]
    Process(io::Error),
}

/// A launch whose process runs, or whose output is not read to its end.
pub(in crate::executor) struct Running {
    pub(in crate::executor) launch_id: LaunchId,
    pub(in crate::executor) facts: LaunchFacts,
    pub(in crate::executor) process: AgentProcess,
    pub(in crate::executor) reader: Reader,
    /// None for a one-shot client, and where nobody reads any more.
    pub(in crate::executor) stdin: Option<AgentStdin>,
    /// When output was read last, or as long ago as the file says at adoption.
    pub(in crate::executor) last_output: Instant,
    folder: LaunchFolder,
    tail: OutputTail,
    hint: Hint,
    /// Whether everything there is was read.
    drained: bool,
    /// Where output ends, once the process ended.
    output_end: Option<u64>,
    exit_told: bool,
    lost: bool,
    /// Up to where output need not be read again.
    durable: u64,
    _counted: Counted,
}

impl Running {
    /// Records a launch for `order` and starts it.
    pub(in crate::executor) async fn launch(
        shared: &Shared,
        order: &TurnOrder,
        argv: &[String],
        stdin: StdinOf<'_>,
    ) -> Result<Self, StartError> {
        Self::launch_as(shared, LaunchId::new(uuid::Uuid::now_v7()), order, argv, stdin).await
    }

    /// The same under an id that was recorded before.
    pub(in crate::executor) async fn launch_as(
        shared: &Shared,
        launch_id: LaunchId,
        order: &TurnOrder,
        argv: &[String],
        stdin: StdinOf<'_>,
    ) -> Result<Self, StartError> {
        let ticket = hex::encode(rand::random::<[u8; 32]>());
        let mut environment = (shared.context.environment)(order);
        let facts = LaunchFacts {
            transport: order.agent.transport,
            command: redacted(argv),
            recipe: recipe(argv, &environment, order),
            warm_ms: order.agent.warm.as_millis() as u64,
            session: None,
        };
        let offer = Offer::of(shared, order, &launch_id);
        environment.extend(
            offer.drop_dir.iter().filter_map(|dir| Some(("AKK_DROP_DIR".to_owned(), dir.to_str()?.to_owned()))),
        );
        environment.extend(
            [
                ("AKK_CONVERSATION", order.conversation_id.to_string()),
                ("AKK_TICKET", ticket.clone()),
                ("AKK_CALLBACK_SOCKET", shared.context.callback_socket.to_string_lossy().into_owned()),
                (LAUNCH_VARIABLE, launch_id.to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let folder = LaunchFolder::of(&shared.launches, &launch_id);
        let reader = Reader::new(order.agent.transport);
        let row = LaunchRow {
            launch_id: launch_id.clone(),
            conversation_id: order.conversation_id.clone(),
            facts: serde_json::to_value(&facts).unwrap_or_default(),
            state: LaunchState::Starting,
            identity: None,
            ticket_hash: hex::encode(Sha256::digest(ticket.as_bytes())),
            created_at: Timestamp::from(jiff::Timestamp::now()),
            offset: 0,
            reader: Value::Null,
        };
        shared.context.ledger.launch_begin(row).await?;
        let start = || -> Result<_, StartError> {
            folder.create().map_err(StartError::Folder)?;
            LaunchFolder::make_file(&folder.ticket(), ticket.as_bytes()).map_err(StartError::Folder)?;
            if order.agent.transport == Transport::Acpx {
                LaunchFolder::make_file(&folder.mcp_config(), &offer.for_acpx()).map_err(StartError::Folder)?;
            }
            let stdio = Stdio3 {
                stdin: match stdin {
                    StdinOf::Fifo => folder.make_fifo(),
                    StdinOf::Prompt(text) => folder.make_prompt(text),
                }
                .map_err(StartError::Folder)?,
                stdout: LaunchFolder::make_output(&folder.out()).map_err(StartError::Folder)?,
                stderr: LaunchFolder::make_output(&folder.err()).map_err(StartError::Folder)?,
            };
            // Our own end, while the one that the child gets still counts as a reader.
            let fifo = match stdin {
                StdinOf::Fifo => {
                    Some(AgentStdin::open(&folder.fifo(), shared.context.ledger.clone()).map_err(StartError::Folder)?)
                }
                StdinOf::Prompt(_) => None,
            };
            let tail = OutputTail::open(&folder, 0).map_err(StartError::Folder)?;
            point(Point::LaunchFolder);
            let child = spawn(argv, environment, &order.workspace, stdio)?;
            point(Point::Spawned);
            let process = AgentProcess::of_child(&launch_id, child).map_err(StartError::Process)?;
            Ok((fifo, tail, process))
        };
        match start() {
            Ok((stdin, tail, process)) => {
                let hint = shared.hints.watch(&folder.out());
                let identity = serde_json::to_value(process.identity()).unwrap_or_default();
                let running = Self {
                    launch_id: launch_id.clone(),
                    facts,
                    process,
                    reader,
                    stdin,
                    last_output: Instant::now(),
                    folder,
                    tail,
                    hint,
                    drained: false,
                    output_end: None,
                    exit_told: false,
                    lost: false,
                    durable: 0,
                    _counted: shared.count(),
                };
                // Should this fail, a successor finds the process by its stdin.
                if let Err(error) = shared.context.ledger.launch_live(launch_id, identity).await {
                    tracing::warn!(%error, "a launch could not be recorded as live");
                }
                Ok(running)
            }
            Err(error) => {
                folder.remove();
                if let Err(error) = shared.context.ledger.launch_gone(launch_id).await {
                    tracing::warn!(%error, "a launch that did not start could not be recorded as gone");
                }
                Err(error)
            }
        }
    }

    /// Finds the process of `row` again, alive or not, and goes on reading where a former akkd stopped.
    pub(in crate::executor) fn adopt(
        shared: &Shared,
        row: &LaunchRow,
        identity: ProcessIdentity,
    ) -> Result<Self, StartError> {
        let folder = LaunchFolder::of(&shared.launches, &row.launch_id);
        let facts: LaunchFacts = serde_json::from_value(row.facts.clone())
            .map_err(|e| StartError::Process(io::Error::other(format!("its record cannot be read: {e}"))))?;
        let reader = match &row.reader {
            Value::Null => Reader::new(facts.transport),
            state => serde_json::from_value(state.clone())
                .map_err(|e| StartError::Process(io::Error::other(format!("its reader cannot be read: {e}"))))?,
        };
        // The hint is asked for before the file is looked at, so that nothing falls in between.
        let hint = shared.hints.watch(&folder.out());
        let tail = OutputTail::open(&folder, row.offset).map_err(StartError::Folder)?;
        let process = AgentProcess::find(&row.launch_id, identity).map_err(StartError::Process)?;
        let stdin = if facts.transport == Transport::Acp && !process.has_ended() {
            AgentStdin::open(&folder.fifo(), shared.context.ledger.clone())
                .inspect_err(|error| tracing::warn!(launch = %row.launch_id, %error, "nobody reads the FIFO any more"))
                .ok()
        } else {
            None
        };
        let silent = tail.silent_for();
        Ok(Self {
            launch_id: row.launch_id.clone(),
            facts,
            process,
            reader,
            stdin,
            last_output: Instant::now().checked_sub(silent).unwrap_or_else(Instant::now),
            folder,
            tail,
            hint,
            drained: false,
            output_end: None,
            exit_told: false,
            lost: false,
            durable: row.offset,
            _counted: shared.count(),
        })
    }

    /// What it does next. `scan`: how often the output is looked at should hints fail; only for an open turn. May be
    /// dropped and called again. After [`Happening::Exited`] and [`Happening::Lost`] nothing comes any more.
    pub(in crate::executor) async fn next(&mut self, scan: Option<Duration>) -> Happening {
        loop {
            while !self.drained {
                match self.read() {
                    Ok(Some(seen)) => return Happening::Seen(seen),
                    Ok(None) => {}
                    Err(error) => return self.lost(&format!("its output cannot be read: {error}")).await,
                }
                if self.tail.stuck() > MAX_STUCK {
                    return self.lost("it wrote more output than can be kept").await;
                }
                // A flood must not keep others waiting.
                tokio::task::yield_now().await;
            }
            if self.output_end.is_some() {
                if self.exit_told {
                    return std::future::pending().await;
                }
                self.exit_told = true;
                return Happening::Exited(self.process.exited().await);
            }
            let (process, stdin, hint) = (&mut self.process, &mut self.stdin, &self.hint);
            tokio::select! {
                () = hint.grown() => self.drained = false,
                _ = process.exited() => {
                    // What descends from it may write for ever; what it wrote itself is there now.
                    self.output_end = Some(self.tail.size().unwrap_or(0));
                    self.drained = false;
                }
                written = written(stdin) => return Happening::Written(written),
                () = pause(scan) => {
                    self.drained = false;
                    if let Err(error) = bound_stderr(&self.folder)
                        && error.kind() != io::ErrorKind::Unsupported
                    {
                        tracing::warn!(%error, "stderr of an agent cannot be bounded");
                    }
                }
            }
        }
    }

    /// Reads a piece: what it means, if it means something.
    fn read(&mut self) -> io::Result<Option<Vec<Seen>>> {
        let piece = self.tail.next()?;
        if piece != Piece::End {
            self.last_output = Instant::now();
        }
        match piece {
            Piece::Line => return Ok(Some(self.reader.stream.feed(self.tail.line()))),
            Piece::TooLong { head, total } => {
                return Ok(Some(self.reader.stream.feed_oversized(&head, total)));
            }
            Piece::Truncated => {
                self.durable = 0;
                let text = "output_truncated: the agent's output file was cut; reading goes on at its beginning";
                return Ok(Some(vec![Seen::Notice(text.to_owned())]));
            }
            Piece::More => self.guard_backlog()?,
            Piece::End => {
                self.guard_backlog()?;
                self.drained = true;
            }
        }
        if let Some(end) = self.output_end
            && (self.drained || self.tail.offset() >= end)
        {
            self.drained = true;
            if let Some(last) = self.tail.take_unfinished() {
                let seen = self.reader.stream.feed(&last);
                return Ok(Some(seen));
            }
        }
        Ok(None)
    }

    async fn lost(&mut self, why: &str) -> Happening {
        if self.exit_told {
            return std::future::pending().await;
        }
        (self.exit_told, self.lost) = (true, true);
        Happening::Lost(why.to_owned())
    }

    /// Whether it cannot be followed any further although it may run.
    pub(in crate::executor) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Holds the agent back while too much of its output waits to be read.
    pub(in crate::executor) fn guard_backlog(&mut self) -> io::Result<()> {
        let backlog = self.tail.backlog()?;
        if backlog > HOLD_BACK_AT {
            self.process.hold_back()?;
        } else if backlog < GO_ON_AT {
            self.process.go_on()?;
        }
        Ok(())
    }

    /// How far output was read, and the reader's state there.
    pub(in crate::executor) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            launch_id: self.launch_id.clone(),
            offset: self.tail.offset(),
            reader: serde_json::to_value(&self.reader).unwrap_or_default(),
        }
    }

    /// Whether much was read since the last checkpoint.
    pub(in crate::executor) fn checkpoint_due(&self) -> bool {
        self.tail.offset() >= self.durable + CHECKPOINT_EVERY
    }

    /// `offset` is durable as the place to read on from.
    pub(in crate::executor) fn checkpointed(&mut self, offset: u64) {
        self.durable = offset;
        self.tail.give_back(offset);
    }

    /// Writes a line to it. False when it takes none.
    pub(in crate::executor) fn write(&self, line: Vec<u8>) -> bool {
        self.stdin.as_ref().is_some_and(|stdin| stdin.line(line))
    }

    /// Whether the end of what was written last still lies unread in its FIFO. Said of a dead agent: it never got that.
    pub(in crate::executor) fn left_input_unread(&self) -> bool {
        self.stdin.is_some() && self.folder.unread_input().is_ok_and(|bytes| bytes >= 2)
    }

    /// What it printed last on stderr: redacted, cut; none when that is nothing.
    pub(in crate::executor) fn trace(&self) -> Option<String> {
        let tail = redact::redact(&self.folder.stderr_tail(8 << 10));
        let tail = tail.trim();
        let skip = tail.chars().count().saturating_sub(MAX_TRACE_CHARS);
        (!tail.is_empty()).then(|| tail.chars().skip(skip).collect())
    }

    /// The last `max` bytes that it printed on stdout.
    pub(in crate::executor) fn stdout(&self, max: usize) -> Vec<u8> {
        LaunchFolder::tail_of(&self.folder.out(), max)
    }

    /// What it printed on stderr, not redacted: to be searched, not shown.
    pub(in crate::executor) fn stderr(&self) -> String {
        self.folder.stderr_tail(64 << 10)
    }

    /// Ends the process and what descends from it, and removes its folder. True when all of it is proven gone.
    pub(in crate::executor) async fn end(&mut self, shared: &Shared) -> bool {
        let timings = &shared.context.timings;
        let gone = match self.process.end_tree(timings.end_grace, timings.kill_wait).await {
            Ok(gone) => gone,
            Err(error) => {
                tracing::error!(launch = %self.launch_id, %error, "a process tree could not be ended");
                false
            }
        };
        if gone {
            self.hint.end();
            self.folder.remove();
            point(Point::TreeEnded);
        } else {
            tracing::error!(launch = %self.launch_id, pid = self.process.identity().pid, "a process tree would not end");
        }
        gone
    }
}

async fn written(stdin: &mut Option<AgentStdin>) -> Written {
    match stdin {
        Some(stdin) => stdin.written().await,
        None => std::future::pending().await,
    }
}

async fn pause(scan: Option<Duration>) {
    match scan {
        Some(scan) => sleep(scan).await,
        None => std::future::pending().await,
    }
}

const _: () = assert!(MAX_LINE_BYTES <= crate::executor::stream::MAX_LINE_BYTES);
