//! Rollouts that Codex compressed (`.jsonl.zst`): decoded while they are read, in constant memory.
//!
//! The decoder is `ruzstd`: pure Rust, so that akkd carries no further C library. It is slower than that one, which is
//! enough for what is cold.

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;

/// Decoded bytes that are read of one file at most: what goes on for longer was made to.
const BOUND: u64 = 4 << 30;

/// Memory that a file may ask for. What zstd makes at its usual levels asks for 8 MiB at most.
const WINDOW: u64 = 32 << 20;

/// Whether its name says that it is compressed.
pub(in super::super) fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "zst")
}

/// What stands in the file, decoded where it is compressed.
///
/// # Errors
/// The file cannot be opened, or is none.
pub(in super::super) fn stream(path: &Path) -> io::Result<Box<dyn Read>> {
    let file = open(path)?;
    if is_compressed(path) {
        return Ok(Box::new(Frames::new(file).take(BOUND)));
    }
    Ok(Box::new(file))
}

/// Opens a regular file: what a thread's row names could be a pipe that waits for ever.
pub(in super::super) fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no regular file", path.display())))
}

/// One frame after the other: a file may have been compressed in parts.
struct Frames {
    file: BufReader<File>,
    decoder: FrameDecoder,
    within: bool,
}

impl Frames {
    fn new(file: File) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW);
        Self { file: BufReader::new(file), decoder, within: false }
    }

    /// Whether there is another frame.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.file.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.file) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut self.file.by_ref().take(length.into()), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.within && (buffer.is_empty() || !self.begin()?) {
                return Ok(0);
            }
            self.within = true;
            while self.decoder.can_collect() < buffer.len() && !self.decoder.is_finished() {
                let missing = BlockDecodingStrategy::UptoBytes(buffer.len() - self.decoder.can_collect());
                self.decoder.decode_blocks(&mut self.file, missing).map_err(io::Error::other)?;
            }
            match self.decoder.read(buffer)? {
                0 => self.within = false,
                read => return Ok(read),
            }
        }
    }
}
