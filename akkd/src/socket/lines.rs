//! Lines from a peer, in bounded memory. An idle connection holds no buffer.

use std::io;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::time::Instant;
use tokio_util::bytes::{Bytes, BytesMut};

/// Least and most that is read at once, in bytes.
const CHUNK: std::ops::RangeInclusive<usize> = 4 << 10..=256 << 10;

/// Reads lines. [`Lines::next`] may be dropped at any time without losing anything.
pub(super) struct Lines {
    half: OwnedReadHalf,
    max: usize,
    patience: Duration,
    buffer: BytesMut,
    /// So far no newline stands in the buffer.
    searched: usize,
    /// The rest of a line that is too long is thrown away.
    skipping: bool,
    /// When the line that has begun must have ended.
    deadline: Option<Instant>,
    ended: bool,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, without its newline.
    Text(Bytes),
    /// A line longer than the limit; its rest will be thrown away.
    TooLong,
    /// A line that did not end in time.
    Unfinished,
}

impl Lines {
    pub(super) fn new(half: OwnedReadHalf, max: usize, patience: Duration) -> Self {
        let buffer = BytesMut::new();
        Self { half, max, patience, buffer, searched: 0, skipping: false, deadline: None, ended: false }
    }

    pub(super) fn stream(&self) -> &UnixStream {
        self.half.as_ref()
    }

    /// The next line; none at the end. The last line needs no newline.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.buffered() {
                return Ok(Some(line));
            }
            if self.ended {
                let rest = std::mem::take(&mut self.buffer).freeze();
                let whole = !self.skipping && !rest.is_empty();
                self.skipping = false;
                self.searched = 0;
                return Ok(whole.then_some(Line::Text(rest)));
            }
            if self.buffer.is_empty() && !self.skipping {
                // Nothing has begun: wait as long as it takes, and hold no memory meanwhile.
                self.buffer = BytesMut::new();
                self.deadline = None;
                self.half.readable().await?;
            } else {
                let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + self.patience);
                match tokio::time::timeout_at(deadline, self.half.readable()).await {
                    Ok(ready) => ready?,
                    Err(_) => return Ok(Some(Line::Unfinished)),
                }
            }
            self.buffer.reserve(self.buffer.len().clamp(*CHUNK.start(), *CHUNK.end()));
            match self.half.try_read_buf(&mut self.buffer) {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // It closed without reading all that was sent: an end like any other.
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => self.ended = true,
                Err(e) => return Err(e),
            }
        }
    }

    /// A line that is in the buffer.
    fn buffered(&mut self) -> Option<Line> {
        loop {
            let newline = memchr::memchr(b'\n', &self.buffer[self.searched..]).map(|at| at + self.searched);
            match newline {
                Some(at) => {
                    let mut line = self.buffer.split_to(at + 1);
                    line.truncate(at);
                    self.searched = 0;
                    self.deadline = None;
                    if self.buffer.is_empty() {
                        // Lets a large buffer go with the line that needed it.
                        self.buffer = BytesMut::new();
                    }
                    if std::mem::take(&mut self.skipping) {
                        continue;
                    }
                    return Some(if at > self.max { Line::TooLong } else { Line::Text(line.freeze()) });
                }
                None if self.skipping => {
                    self.buffer.clear();
                    self.searched = 0;
                    return None;
                }
                None if self.buffer.len() > self.max => {
                    self.skipping = true;
                    self.buffer = BytesMut::new();
                    self.searched = 0;
                    return Some(Line::TooLong);
                }
                None => {
                    self.searched = self.buffer.len();
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt as _;

    fn lines(max: usize, patience: Duration) -> (Lines, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Lines::new(ours.into_split().0, max, patience), theirs)
    }

    fn text(s: &str) -> Line {
        Line::Text(Bytes::copy_from_slice(s.as_bytes()))
    }

    #[tokio::test]
    async fn lines_come_whole_however_they_were_cut() {
        let (mut lines, mut peer) = lines(10, Duration::from_mins(1));
        peer.write_all(b"one\ntwo\nth").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), Some(text("one")));
        assert_eq!(lines.next().await.unwrap(), Some(text("two")));
        assert!(tokio::time::timeout(Duration::from_millis(20), lines.next()).await.is_err(), "nothing whole yet");
        peer.write_all(b"ree\n\nlast").await.unwrap();
        drop(peer);
        assert_eq!(lines.next().await.unwrap(), Some(text("three")));
        assert_eq!(lines.next().await.unwrap(), Some(text("")));
        assert_eq!(lines.next().await.unwrap(), Some(text("last")));
        assert_eq!(lines.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_skipped_and_the_next_one_read() {
        let (mut lines, mut peer) = lines(10, Duration::from_mins(1));
        let writer = tokio::spawn(async move {
            peer.write_all(&vec![b'x'; 5_000_000]).await.unwrap();
            peer.write_all(b"\n0123456789\n0123456789a\nok\n").await.unwrap();
        });
        assert_eq!(lines.next().await.unwrap(), Some(Line::TooLong));
        assert_eq!(lines.next().await.unwrap(), Some(text("0123456789")));
        assert!(lines.buffer.capacity() <= *CHUNK.end(), "what is skipped is not kept");
        assert_eq!(lines.next().await.unwrap(), Some(Line::TooLong));
        assert_eq!(lines.next().await.unwrap(), Some(text("ok")));
        assert_eq!(lines.next().await.unwrap(), None);
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn a_large_line_leaves_no_large_buffer_behind() {
        let (mut lines, mut peer) = lines(4 << 20, Duration::from_mins(1));
        let writer = tokio::spawn(async move {
            peer.write_all(&vec![b'x'; 3 << 20]).await.unwrap();
            peer.write_all(b"\n").await.unwrap();
            peer
        });
        let Some(Line::Text(line)) = lines.next().await.unwrap() else { panic!("no line") };
        assert_eq!(line.len(), 3 << 20);
        assert_eq!(lines.buffer.capacity(), 0);
        drop(writer.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_must_end_in_time_and_an_idle_peer_may_wait() {
        let (mut lines, mut peer) = lines(100, Duration::from_mins(1));
        assert!(tokio::time::timeout(Duration::from_hours(24), lines.next()).await.is_err());
        peer.write_all(b"half").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), Some(Line::Unfinished));
    }

    /// What must come of these bytes, said in the simplest way.
    fn expected(bytes: &[u8], max: usize) -> Vec<Line> {
        let mut lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
        if lines.last().is_some_and(|last| last.is_empty()) {
            lines.pop();
        }
        let line = |l: &[u8]| if l.len() > max { Line::TooLong } else { Line::Text(Bytes::copy_from_slice(l)) };
        lines.into_iter().map(line).collect()
    }

    proptest! {
        #[test]
        fn garbage_gives_the_same_lines_wherever_it_is_cut(
            bytes in prop::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'\n')], 0..300),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            max in 0_usize..40,
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
            let seen = runtime.block_on(async {
                let (mut lines, mut peer) = lines(max, Duration::from_mins(1));
                let mut seen = Vec::new();
                for cut in cuts.windows(2) {
                    peer.write_all(&bytes[cut[0]..cut[1]]).await.unwrap();
                    // The clock stands until nothing else happens: each piece is read before the next is written.
                    while let Ok(line) = tokio::time::timeout(Duration::from_millis(1), lines.next()).await {
                        seen.extend(line.unwrap());
                    }
                }
                drop(peer);
                while let Some(line) = lines.next().await.unwrap() {
                    seen.push(line);
                }
                seen
            });
            prop_assert_eq!(seen, expected(&bytes, max));
        }
    }
}
