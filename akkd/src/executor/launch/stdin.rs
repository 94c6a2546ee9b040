//! Writing into an agent's FIFO: one writer per FIFO, so that lines never mix, and prompts in two steps, so that a
//! crash never leaves it open whether one arrived (crash-safety 1).

use crate::executor::ledger::LaunchLedger;
use crate::fault::{Point, point};
use crate::store::{PromptFate, PromptRow};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::{OpenOptions, Sender};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Lines that may wait behind a prompt that is being written. They are small: answers and cancels.
const MAX_WAITING: usize = 64;

/// The writing end of an agent's stdin.
#[derive(Debug)]
pub(in crate::executor) struct AgentStdin {
    lines: mpsc::Sender<Line>,
    done: mpsc::UnboundedReceiver<Written>,
    writer: JoinHandle<()>,
}

#[derive(Debug)]
enum Line {
    Plain(Vec<u8>, Option<oneshot::Sender<()>>),
    Prompt(Vec<u8>, PromptRow, PromptProgress),
}

/// How far a prompt came that is being written, at this moment.
#[derive(Debug, Clone, Default)]
pub(in crate::executor) struct PromptProgress(Arc<AtomicU8>);

impl PromptProgress {
    fn set(&self, fate: PromptFate) {
        self.0.store(u8::from(fate != PromptFate::Accepted) + u8::from(fate == PromptFate::Written), Ordering::Release);
    }

    /// `Accepted`, `Finishing` or `Written`.
    pub(in crate::executor) fn fate(&self) -> PromptFate {
        match self.0.load(Ordering::Acquire) {
            0 => PromptFate::Accepted,
            1 => PromptFate::Finishing,
            _ => PromptFate::Written,
        }
    }
}

/// What became of a prompt, or of the whole stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::executor) enum Written {
    /// The prompt was written, whole.
    Prompt,
    /// The prompt stopped before its last two bytes, because that could not be recorded: it did not arrive, and
    /// nothing can be written behind the stump.
    NotRecorded(String),
    /// Nobody reads any more.
    Broken(String),
}

impl AgentStdin {
    /// Opens the FIFO for writing. A description of its own: agents set flags on theirs.
    ///
    /// # Errors
    /// Nobody has it open for reading.
    pub(in crate::executor) fn open(fifo: &Path, ledger: Arc<dyn LaunchLedger>) -> io::Result<Self> {
        let fifo = OpenOptions::new().open_sender(fifo)?;
        let (lines, waiting) = mpsc::channel(MAX_WAITING);
        let (tell, done) = mpsc::unbounded_channel();
        let writer = tokio::spawn(write_all(fifo, waiting, tell, ledger));
        Ok(Self { lines, done, writer })
    }

    /// Queues one line, which ends in a line feed. False when the agent takes none any more: it is dead, or it
    /// reads nothing and too much waits already.
    pub(in crate::executor) fn line(&self, line: Vec<u8>) -> bool {
        self.lines.try_send(Line::Plain(line, None)).is_ok()
    }

    /// The same, with an answer once it was written; the answer fails when it never will be.
    pub(in crate::executor) fn acknowledged_line(&self, line: Vec<u8>) -> Option<oneshot::Receiver<()>> {
        let (tell, written) = oneshot::channel();
        self.lines.try_send(Line::Plain(line, Some(tell))).ok().map(|()| written)
    }

    /// Queues a prompt. `row` is recorded as `finishing` before the last two bytes of `line` and as `written` after.
    pub(in crate::executor) fn prompt(&self, line: Vec<u8>, row: PromptRow, progress: PromptProgress) -> bool {
        self.lines.try_send(Line::Prompt(line, row, progress)).is_ok()
    }

    /// Whether everything queued was written.
    pub(in crate::executor) fn is_drained(&self) -> bool {
        self.lines.capacity() == MAX_WAITING
    }

    /// What became of a prompt, or of the stream; never again after [`Written::Broken`]. May be dropped and called
    /// again.
    pub(in crate::executor) async fn written(&mut self) -> Written {
        match self.done.recv().await {
            Some(written) => written,
            None => std::future::pending().await,
        }
    }
}

impl Drop for AgentStdin {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

async fn write_all(
    mut fifo: Sender,
    mut waiting: mpsc::Receiver<Line>,
    tell: mpsc::UnboundedSender<Written>,
    ledger: Arc<dyn LaunchLedger>,
) {
    while let Some(line) = waiting.recv().await {
        let said = match line {
            Line::Plain(line, tell) => fifo.write_all(&line).await.map(|()| {
                // Whether somebody still waits for that makes no difference.
                tell.map(|tell| tell.send(()));
                None
            }),
            Line::Prompt(line, row, progress) => {
                write_prompt(&mut fifo, line, row, &progress, &tell, ledger.as_ref()).await
            }
        };
        // An error here means that nobody listens any more; then this task is about to be ended.
        match said {
            Ok(None) => {}
            Ok(Some(stump)) => return drop(tell.send(stump)),
            Err(error) => return drop(tell.send(Written::Broken(error.to_string()))),
        }
    }
}

async fn write_prompt(
    fifo: &mut Sender,
    line: Vec<u8>,
    row: PromptRow,
    progress: &PromptProgress,
    tell: &mpsc::UnboundedSender<Written>,
    ledger: &dyn LaunchLedger,
) -> io::Result<Option<Written>> {
    let held_back = line.len().saturating_sub(2);
    fifo.write_all(&line[..held_back]).await?;
    point(Point::PromptHalf);
    if let Err(error) = ledger.prompt_put(PromptRow { fate: PromptFate::Finishing, ..row.clone() }).await {
        return Ok(Some(Written::NotRecorded(error.to_string())));
    }
    progress.set(PromptFate::Finishing);
    point(Point::PromptFinishing);
    // Two bytes are far below PIPE_BUF: both are written in one go, or none.
    fifo.write_all(&line[held_back..]).await?;
    point(Point::PromptWritten);
    progress.set(PromptFate::Written);
    drop(line);
    // Told at once, so that it stands in the history before what the agent makes of it.
    let _ = tell.send(Written::Prompt);
    if let Err(error) = ledger.prompt_put(PromptRow { fate: PromptFate::Written, ..row }).await {
        // A crash now would find `finishing`: unknown, which is the careful side.
        tracing::warn!(%error, "a written prompt could not be recorded as written");
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::folder::LaunchFolder;
    use super::*;
    use crate::executor::testing::MemoryLedger;
    use akk_proto::{ConversationId, LaunchId, Timestamp, TurnId};
    use std::io::Read;
    use std::time::Duration;

    struct Fixture {
        _home: tempfile::TempDir,
        folder: LaunchFolder,
        agent: std::fs::File,
        ledger: Arc<MemoryLedger>,
    }

    impl Fixture {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let folder = LaunchFolder::of(home.path(), &LaunchId::new(uuid::Uuid::nil()));
            folder.create().unwrap();
            let agent = folder.make_fifo().unwrap();
            Self { _home: home, folder, agent, ledger: Arc::default() }
        }

        fn stdin(&self) -> AgentStdin {
            AgentStdin::open(&self.folder.fifo(), self.ledger.clone()).unwrap()
        }

        fn read(&mut self, bytes: usize) -> Vec<u8> {
            let mut text = vec![0; bytes];
            self.agent.read_exact(&mut text).unwrap();
            text
        }
    }

    fn row() -> PromptRow {
        PromptRow {
            conversation_id: ConversationId::new(Timestamp(0), 1),
            turn_id: TurnId::nth(1),
            attempt: 1,
            launch_id: LaunchId::new(uuid::Uuid::nil()),
            fate: PromptFate::Accepted,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_last_two_bytes_follow_only_after_finishing_is_recorded() {
        let mut f = Fixture::new();
        f.ledger.hold_prompts();
        let mut stdin = f.stdin();
        assert!(stdin.prompt(b"{\"prompt\":1}\n".to_vec(), row(), PromptProgress::default()));
        assert_eq!(f.read(11), b"{\"prompt\":1");
        f.ledger.wait_for_held_prompt().await;
        assert_eq!(rustix::io::ioctl_fionread(&f.agent).unwrap(), 0);
        f.ledger.release_prompts();
        assert_eq!(stdin.written().await, Written::Prompt);
        assert_eq!(f.read(2), b"}\n");
        while f.ledger.fates() != [PromptFate::Finishing, PromptFate::Written] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn a_prompt_larger_than_the_pipe_is_written_as_fast_as_the_agent_reads() {
        let mut f = Fixture::new();
        let mut stdin = f.stdin();
        let mut big = vec![b'x'; 5 << 20];
        big.extend(b"}\n");
        assert!(stdin.prompt(big.clone(), row(), PromptProgress::default()));
        assert!(stdin.line(b"cancel\n".to_vec()));
        assert!(tokio::time::timeout(Duration::from_millis(50), stdin.written()).await.is_err());
        assert!(f.ledger.fates().is_empty());
        let length = big.len() + 7;
        let got = tokio::task::spawn_blocking(move || f.read(length)).await.unwrap();
        assert_eq!(stdin.written().await, Written::Prompt);
        assert!(got.starts_with(&big) && got.ends_with(b"}\ncancel\n"));
    }

    #[tokio::test]
    async fn a_prompt_that_cannot_be_recorded_stops_short() {
        let f = Fixture::new();
        f.ledger.refuse("disk full");
        let mut stdin = f.stdin();
        assert!(stdin.prompt(b"{}\n".to_vec(), row(), PromptProgress::default()));
        assert_eq!(stdin.written().await, Written::NotRecorded("the store failed: disk full".into()));
        assert_eq!(rustix::io::ioctl_fionread(&f.agent).unwrap(), 1);
    }

    #[tokio::test]
    async fn a_dead_agent_breaks_the_stream_and_a_deaf_one_takes_only_so_much() {
        let f = Fixture::new();
        let mut stdin = f.stdin();
        let line = vec![b'x'; 60 << 10];
        let mut taken = 0;
        while stdin.line(line.clone()) {
            taken += 1;
            tokio::task::yield_now().await;
        }
        assert!((MAX_WAITING..MAX_WAITING + 4).contains(&taken), "{taken}");
        assert!(!stdin.is_drained());
        drop(f.agent);
        assert!(matches!(stdin.written().await, Written::Broken(_)));
        assert!(AgentStdin::open(&f.folder.fifo(), f.ledger.clone()).is_err());
    }
}
