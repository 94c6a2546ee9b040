//! Reading an agent's output file line by line while it grows, with bounded memory and bounded disk.

use super::folder::LaunchFolder;
use crate::platform;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

/// Longest line that is looked at, in bytes; a longer one is skipped as junk.
pub(in crate::executor) const MAX_LINE_BYTES: usize = 8 << 20;
/// Bytes read at once.
const CHUNK: usize = 64 << 10;
/// What is kept of a line that is too long.
const HEAD: usize = 1 << 10;
/// Size of stderr at which all but its tail is given back.
const MAX_STDERR_BYTES: u64 = 1 << 20;
/// Tail of stderr that is kept.
const STDERR_TAIL: u64 = 64 << 10;
/// Blocks are given back in pieces of at least this many bytes.
const GIVE_BACK_STEP: u64 = 1 << 20;

/// What the output file holds next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::executor) enum Piece {
    /// A line without its end; see [`OutputTail::line`].
    Line,
    /// A line that was too long was skipped: its beginning and its length in bytes.
    TooLong { head: Vec<u8>, total: u64 },
    /// The file is shorter than what was read of it: somebody truncated it. Reading goes on at its beginning.
    Truncated,
    /// More was read, no line is complete yet. Ask again, after others had their turn.
    More,
    /// Nothing new.
    End,
}

/// The reading end of an output file.
#[derive(Debug)]
pub(in crate::executor) struct OutputTail {
    file: File,
    /// Where the next line begins: everything before it was handed out.
    offset: u64,
    /// What was read; `start` of it was handed out.
    buffer: Vec<u8>,
    /// Where in `buffer` the next line begins.
    start: usize,
    /// Up to where in `buffer` the next line's end was searched for.
    searched: usize,
    /// Where in `buffer` the line lies that was handed out last.
    line: Range<usize>,
    /// The line that is too long and being skipped: its beginning and its length so far.
    skipping: Option<(Vec<u8>, u64)>,
    /// Up to where blocks were given back.
    given_back: u64,
    can_give_back: bool,
}

impl OutputTail {
    /// Reads stdout of `folder` from `offset` on.
    ///
    /// # Errors
    /// The file is gone, or not ours.
    pub(in crate::executor) fn open(folder: &LaunchFolder, offset: u64) -> io::Result<Self> {
        Ok(Self {
            file: LaunchFolder::open_output(&folder.out())?,
            offset,
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            line: 0..0,
            skipping: None,
            // What lies before the offset of a former akkd was given back by it, or is now.
            given_back: 0,
            can_give_back: true,
        })
    }

    /// Where the next line begins.
    pub(in crate::executor) fn offset(&self) -> u64 {
        self.offset
    }

    /// The line that [`Piece::Line`] announced, without its end, until [`next`](Self::next) is called again.
    pub(in crate::executor) fn line(&self) -> &[u8] {
        self.buffer.get(self.line.clone()).unwrap_or_default()
    }

    /// The next piece. Reads a chunk at most.
    ///
    /// # Errors
    /// The disk refuses.
    pub(in crate::executor) fn next(&mut self) -> io::Result<Piece> {
        if let Some(at) = self.buffer[self.searched..].iter().position(|b| *b == b'\n') {
            let end = self.searched + at;
            self.line = self.start..end;
            let length = (end + 1 - self.start) as u64;
            self.offset += length;
            (self.start, self.searched) = (end + 1, end + 1);
            return Ok(match self.skipping.take() {
                Some((head, before)) => Piece::TooLong { head, total: before + length },
                None => Piece::Line,
            });
        }
        self.drop_handed();
        self.searched = self.buffer.len();
        if self.skipping.is_some() || self.buffer.len() > MAX_LINE_BYTES {
            self.skip_buffer();
        }
        self.read_chunk()
    }

    fn read_chunk(&mut self) -> io::Result<Piece> {
        let from = self.offset + self.buffer.len() as u64;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        let read = self.file.read_at(&mut self.buffer[filled..], from);
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        if read? > 0 {
            return Ok(Piece::More);
        }
        if self.file.metadata()?.len() < from {
            self.buffer = Vec::new();
            (self.offset, self.searched, self.skipping, self.given_back) = (0, 0, None, 0);
            return Ok(Piece::Truncated);
        }
        // Idle agents are many and cost nothing.
        self.buffer.shrink_to_fit();
        Ok(Piece::End)
    }

    fn drop_handed(&mut self) {
        self.buffer.drain(..self.start);
        (self.start, self.searched, self.line) = (0, self.searched - self.start, 0..0);
    }

    /// Skipped bytes count as handed out, so that they need not be read again after a restart: what follows up to
    /// the line's end is junk then as it is now.
    fn skip_buffer(&mut self) {
        let skipped = self.buffer.len() as u64;
        let head = &self.buffer[..self.buffer.len().min(HEAD)];
        self.skipping.get_or_insert_with(|| (head.to_vec(), 0)).1 += skipped;
        self.offset += skipped;
        self.buffer = Vec::new();
        self.searched = 0;
    }

    /// The last line, which has no end: after the process has ended it is all that will come. None when there is none.
    pub(in crate::executor) fn take_unfinished(&mut self) -> Option<Vec<u8>> {
        self.drop_handed();
        if self.buffer.is_empty() || self.skipping.is_some() {
            return None;
        }
        self.offset += self.buffer.len() as u64;
        self.searched = 0;
        Some(std::mem::take(&mut self.buffer))
    }

    /// The file's size.
    ///
    /// # Errors
    /// The disk refuses.
    pub(in crate::executor) fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Bytes that wait to be read.
    ///
    /// # Errors
    /// The disk refuses.
    pub(in crate::executor) fn backlog(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len().saturating_sub(self.offset + (self.buffer.len() - self.start) as u64))
    }

    /// How long ago the file was last written to, by the wall clock; zero when the clock went back.
    pub(in crate::executor) fn silent_for(&self) -> Duration {
        let written = self.file.metadata().and_then(|m| m.modified());
        written.ok().and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default()
    }

    /// Gives the disk blocks before `checkpoint` back. `checkpoint` is durable: nothing before it is read again.
    pub(in crate::executor) fn give_back(&mut self, checkpoint: u64) {
        if !self.can_give_back || checkpoint < self.given_back + GIVE_BACK_STEP {
            return;
        }
        match platform::give_back(&self.file, self.given_back, checkpoint) {
            Ok(()) => self.given_back = checkpoint,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => self.can_give_back = false,
            Err(error) => tracing::warn!(%error, "blocks of an output file could not be given back"),
        }
    }

    /// Bytes on disk that cannot be given back although they were read; 0 where giving back works.
    pub(in crate::executor) fn stuck(&self) -> u64 {
        if self.can_give_back { 0 } else { self.offset }
    }
}

/// Gives all but the tail of a large stderr back.
pub(in crate::executor) fn bound_stderr(folder: &LaunchFolder) -> io::Result<()> {
    let file = LaunchFolder::open_output(&folder.err())?;
    let meta = file.metadata()?;
    let on_disk = std::os::unix::fs::MetadataExt::blocks(&meta) * 512;
    if on_disk > MAX_STDERR_BYTES && meta.len() > MAX_STDERR_BYTES {
        platform::give_back(&file, 0, meta.len() - STDERR_TAIL)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::stream::{Seen, Source, StreamReader};
    use akk_proto::LaunchId;
    use proptest::prelude::*;
    use std::io::Write;

    struct Fixture {
        _home: tempfile::TempDir,
        folder: LaunchFolder,
        child: File,
    }

    impl Fixture {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let folder = LaunchFolder::of(home.path(), &LaunchId::new(uuid::Uuid::nil()));
            folder.create().unwrap();
            let child = LaunchFolder::make_output(&folder.out()).unwrap();
            Self { _home: home, folder, child }
        }

        fn tail(&self, offset: u64) -> OutputTail {
            OutputTail::open(&self.folder, offset).unwrap()
        }
    }

    /// Everything until nothing new is there; lines as text.
    fn drain(tail: &mut OutputTail) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            match tail.next().unwrap() {
                Piece::Line => seen.push(String::from_utf8_lossy(tail.line()).into_owned()),
                Piece::More => {}
                Piece::End => return seen,
                other => seen.push(format!("{other:?}")),
            }
        }
    }

    #[test]
    fn lines_come_whole_however_they_were_written() {
        let mut f = Fixture::new();
        let mut tail = f.tail(0);
        assert!(drain(&mut tail).is_empty());
        f.child.write_all(b"one\ntw").unwrap();
        assert_eq!(drain(&mut tail), ["one"]);
        assert_eq!(tail.offset(), 4);
        f.child.write_all(b"o\n\nthree\n").unwrap();
        assert_eq!(drain(&mut tail), ["two", "", "three"]);
        assert_eq!((tail.offset(), tail.take_unfinished(), tail.backlog().unwrap()), (15, None, 0));
        f.child.write_all(b"no end").unwrap();
        assert!(drain(&mut tail).is_empty());
        assert_eq!(tail.take_unfinished().as_deref(), Some(b"no end".as_slice()));
        assert_eq!((tail.offset(), tail.take_unfinished()), (21, None));
    }

    #[test]
    fn reading_goes_on_where_a_former_akkd_stopped() {
        let mut f = Fixture::new();
        f.child.write_all(b"one\ntwo\nthree\n").unwrap();
        let mut first = f.tail(0);
        assert_eq!(first.next().unwrap(), Piece::More);
        assert_eq!(first.next().unwrap(), Piece::Line);
        assert_eq!(drain(&mut f.tail(first.offset())), ["two", "three"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_memory_stays_small() {
        let mut f = Fixture::new();
        f.child.write_all(b"before\n").unwrap();
        let mebibyte = vec![b'x'; 1 << 20];
        for _ in 0..30 {
            f.child.write_all(&mebibyte).unwrap();
        }
        f.child.write_all(b"\nafter\n").unwrap();
        let mut tail = f.tail(0);
        let mut largest = 0;
        let mut seen = Vec::new();
        loop {
            match tail.next().unwrap() {
                Piece::Line => seen.push(String::from_utf8_lossy(tail.line()).into_owned()),
                Piece::TooLong { head, total } => {
                    assert!(head.iter().all(|b| *b == b'x') && head.len() == HEAD);
                    seen.push(format!("{total} bytes"));
                }
                Piece::End => break,
                _ => {}
            }
            largest = largest.max(tail.buffer.capacity());
        }
        assert_eq!(seen, ["before", "31457281 bytes", "after"]);
        assert!(largest <= 3 * MAX_LINE_BYTES, "{largest}");
        assert!(tail.buffer.capacity() <= CHUNK, "{}", tail.buffer.capacity());
    }

    #[test]
    fn a_truncated_file_is_noticed_and_read_from_its_beginning() {
        let mut f = Fixture::new();
        f.child.write_all(b"a long line of output\n").unwrap();
        let mut tail = f.tail(0);
        assert_eq!(drain(&mut tail).len(), 1);
        f.child.set_len(0).unwrap();
        f.child.write_all(b"new\n").unwrap();
        assert_eq!(drain(&mut tail), ["Truncated", "new"]);
    }

    #[test]
    fn what_was_read_is_given_back_to_the_disk() {
        let mut f = Fixture::new();
        for _ in 0..64 {
            f.child.write_all(&vec![b'x'; (64 << 10) - 1]).unwrap();
            f.child.write_all(b"\n").unwrap();
        }
        f.child.sync_all().unwrap();
        let mut tail = f.tail(0);
        assert_eq!(drain(&mut tail).len(), 64);
        let on_disk = || std::os::unix::fs::MetadataExt::blocks(&f.child.metadata().unwrap()) * 512;
        let before = on_disk();
        tail.give_back(tail.offset());
        if tail.can_give_back {
            assert!(on_disk() < before / 2, "{} of {before}", on_disk());
            assert_eq!(tail.stuck(), 0);
        } else {
            assert_eq!(tail.stuck(), 4 << 20);
        }
        f.child.write_all(b"more\n").unwrap();
        assert_eq!(drain(&mut tail), ["more"]);
    }

    #[test]
    fn a_flood_on_stderr_keeps_its_tail_only() {
        let f = Fixture::new();
        let mut err = LaunchFolder::make_output(&f.folder.err()).unwrap();
        err.write_all(&vec![b'e'; 3 << 20]).unwrap();
        err.write_all(b"last words").unwrap();
        err.sync_all().unwrap();
        match bound_stderr(&f.folder) {
            Ok(()) => {
                let blocks = std::os::unix::fs::MetadataExt::blocks(&err.metadata().unwrap());
                assert!(blocks * 512 < 1 << 20, "{blocks}");
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Unsupported),
        }
        assert!(f.folder.stderr_tail(20).ends_with("last words"));
    }

    /// What agents and acpx have written, whole, changed in some bytes, cut; and noise between it.
    fn any_output() -> impl Strategy<Value = Vec<u8>> {
        let recorded = prop::sample::select(vec![
            include_bytes!("../../../tests/fixtures/acpx/turn.jsonl").as_slice(),
            include_bytes!("../../../tests/fixtures/acpx/crash.jsonl"),
            include_bytes!("../../../tests/fixtures/acpx/permission-allowed.jsonl"),
            include_bytes!("../../../tests/fixtures/acpx/model-refused.jsonl"),
            include_bytes!("../../../tests/fixtures/acpx/resume-lost.jsonl"),
        ]);
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
        let noise = prop::collection::vec(any::<u8>(), 0..60);
        (recorded, changes, any::<prop::sample::Index>(), noise).prop_map(|(recorded, changes, cut, noise)| {
            let mut output = recorded.to_vec();
            for (at, byte) in changes {
                let at = at.index(output.len());
                output[at] = byte;
            }
            // Half of them stay whole.
            output.truncate(cut.index(2 * output.len()).max(1));
            output.extend(noise);
            output
        })
    }

    fn tell(reader: &mut StreamReader, tail: &mut OutputTail, seen: &mut Vec<Seen>) {
        loop {
            match tail.next().unwrap() {
                Piece::Line => seen.extend(reader.feed(tail.line())),
                Piece::More => {}
                Piece::End => return,
                other => panic!("{other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn an_agents_output_says_the_same_wherever_it_is_cut_and_akkd_restarted(
            output in any_output(),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..8),
            acpx in any::<bool>(),
        ) {
            let source = if acpx { Source::Acpx } else { Source::Agent };
            let (mut straight, mut expected) = (StreamReader::new(source), Vec::new());
            let whole = output.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            for line in output[..whole].split_inclusive(|b| *b == b'\n') {
                expected.extend(straight.feed(&line[..line.len() - 1]));
            }

            let mut f = Fixture::new();
            let (mut tail, mut reader, mut seen) = (f.tail(0), StreamReader::new(source), Vec::new());
            let mut cuts: Vec<_> = cuts.iter().map(|(at, restart)| (at.index(output.len() + 1), *restart)).collect();
            cuts.sort_unstable();
            let mut from = 0;
            for (to, restart) in cuts.into_iter().chain([(output.len(), false)]) {
                f.child.write_all(&output[from..to]).unwrap();
                from = to;
                tell(&mut reader, &mut tail, &mut seen);
                if restart {
                    tail = f.tail(tail.offset());
                    reader = serde_json::from_value(serde_json::to_value(&reader).unwrap()).unwrap();
                }
            }
            // After a restart what was begun is read again.
            tell(&mut reader, &mut tail, &mut seen);
            prop_assert_eq!(seen, expected);
            prop_assert_eq!(tail.offset(), whole as u64);
            prop_assert_eq!(tail.take_unfinished().unwrap_or_default(), &output[whole..]);
            prop_assert!(tail.buffer.capacity() <= output.len() + 2 * CHUNK);
            prop_assert_eq!(&reader, &straight);
            prop_assert!(serde_json::to_vec(&reader).unwrap().len() < 1 << 20);
        }
    }
}
