//! What goes to a peer: one writer, a bounded number of bytes that wait for it.

use serde_json::value::RawValue;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Messages that may wait, whatever their size.
const QUEUE: usize = 64;
/// Small messages are put together up to this many bytes for one write.
const BURST: usize = 32 << 10;

/// Where messages for a peer are left. Clones share the queue and its bounds.
#[derive(Clone)]
pub(super) struct Outbox {
    queue: mpsc::Sender<Message>,
    room: Arc<Semaphore>,
    capacity: usize,
}

struct Message {
    json: Box<RawValue>,
    /// Given back when the message has been written.
    room: OwnedSemaphorePermit,
}

/// The other end of an [`Outbox`].
pub(super) struct Writer {
    queue: mpsc::Receiver<Message>,
    room: Arc<Semaphore>,
    half: OwnedWriteHalf,
    patience: Duration,
}

/// An outbox of `capacity` bytes, and the writer that empties it into `half`.
pub(super) fn outbox(half: OwnedWriteHalf, capacity: usize, patience: Duration) -> (Outbox, Writer) {
    let (tx, rx) = mpsc::channel(QUEUE);
    let capacity = capacity.min(u32::MAX as usize);
    let room = Arc::new(Semaphore::new(capacity));
    let writer = Writer { queue: rx, room: room.clone(), half, patience };
    (Outbox { queue: tx, room, capacity }, writer)
}

impl Outbox {
    /// Leaves `json` for the writer, as soon as there is room. `false`: nobody writes any more.
    pub(super) async fn send(&self, json: Box<RawValue>) -> bool {
        let bytes = json.get().len().min(self.capacity) as u32;
        let Ok(room) = self.room.clone().acquire_many_owned(bytes).await else { return false };
        self.queue.send(Message { json, room }).await.is_ok()
    }

    /// Waits until nothing waits for room.
    pub(super) async fn has_room(&self) {
        // The semaphore serves in order: whoever gets a byte of room is behind all that asked before.
        let _ = self.room.acquire().await;
    }
}

impl Writer {
    /// Writes until every outbox is gone and nothing is left, or the peer takes no more: then `gone` is cancelled.
    pub(super) async fn run(mut self, gone: CancellationToken) {
        let written = gone.run_until_cancelled(self.write()).await;
        if !matches!(written, Some(Ok(()))) {
            gone.cancel();
        }
        self.room.close();
        self.queue.close();
    }

    async fn write(&mut self) -> io::Result<()> {
        while let Some(first) = self.queue.recv().await {
            let mut burst = Vec::new();
            let Message { json, mut room } = first;
            let mut next = Some(json);
            while let Some(json) = next.take() {
                let json = one_line(json);
                if json.get().len() > BURST {
                    self.put(&burst).await?;
                    self.put(json.get().as_bytes()).await?;
                    burst.clear();
                } else {
                    burst.extend_from_slice(json.get().as_bytes());
                }
                burst.push(b'\n');
                if burst.len() < BURST
                    && let Ok(message) = self.queue.try_recv()
                {
                    room.merge(message.room);
                    next = Some(message.json);
                }
            }
            self.put(&burst).await?;
            drop(room);
        }
        self.half.shutdown().await
    }

    /// Writes all of `bytes`. The peer has the time for each piece that it takes, not for all of it.
    async fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match tokio::time::timeout(self.patience, self.half.write(bytes)).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Ok(n)) => bytes = &bytes[n..],
                Ok(Err(e)) => return Err(e),
                Err(_) => {
                    tracing::info!("a client that read nothing was cut off");
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        }
        Ok(())
    }
}

/// JSON may have newlines between its tokens (never inside of them); on the wire they would end the message.
fn one_line(json: Box<RawValue>) -> Box<RawValue> {
    if memchr::memchr2(b'\n', b'\r', json.get().as_bytes()).is_none() {
        return json;
    }
    RawValue::from_string(json.get().replace(['\n', '\r'], " ")).unwrap_or(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixStream;

    fn json(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn messages_are_lines_in_order_whatever_their_size() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (outbox, writer) = outbox(ours.into_split().1, 1 << 20, Duration::from_secs(10));
        let writer = tokio::spawn(writer.run(CancellationToken::new()));
        let large = format!("\"{}\"", "x".repeat(3 << 20));
        let reader = tokio::spawn(async move {
            let mut all = String::new();
            theirs.read_to_string(&mut all).await.unwrap();
            all
        });
        for message in ["1", "[2,\n3]", &large, "4"] {
            assert!(outbox.send(json(message)).await);
        }
        drop(outbox);
        writer.await.unwrap();
        assert_eq!(reader.await.unwrap(), format!("1\n[2, 3]\n{large}\n4\n"));
    }

    #[tokio::test]
    async fn what_waits_is_bounded_by_bytes_and_a_peer_that_reads_nothing_is_cut_off() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (outbox, writer) = outbox(ours.into_split().1, 1000, Duration::from_millis(100));
        let gone = CancellationToken::new();
        let writer = tokio::spawn(writer.run(gone.clone()));
        let large = format!("\"{}\"", "x".repeat(1 << 20));
        assert!(outbox.send(json(&large)).await, "it is being written");
        assert!(!outbox.send(json("1")).await, "nothing waits beside it, and the peer takes nothing");
        writer.await.unwrap();
        assert!(gone.is_cancelled());
        drop(theirs);
    }
}
