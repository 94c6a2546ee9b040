//! A stretch of a thread's history: its newest messages and commands, as they were written.

use super::super::rollout::Record;
use super::said::{End, Role, Said, said};
use crate::sessions::ContextLimits;
use akk_proto::Timestamp;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// How far the two records of one message lie apart at most, counted in messages.
const TWINS: usize = 16;

/// Calls whose other half was not met yet.
const HALVES: usize = 64;

/// What is kept of a text, compared with what is shown of it: what is taken out may make it shorter.
const SPARE: usize = 4;

/// From which end the records come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// The oldest first.
    Forward,
    /// The newest first.
    Backward,
}

/// A stretch of history. The oldest stand first.
#[derive(Debug, Default)]
pub(super) struct Portion {
    pub(super) messages: VecDeque<Message>,
    pub(super) commands: VecDeque<Command>,
    /// The first message of each side; from a reading from the beginning only.
    pub(super) firsts: Vec<Message>,
    /// Whether there was more than is kept.
    pub(super) leaves_out: bool,
    /// Records that could not be read.
    pub(super) skipped: u64,
    taken: u64,
}

/// A message.
#[derive(Debug, Clone)]
pub(super) struct Message {
    /// Its place in the stretch, counted from the end that was read first.
    place: u64,
    pub(super) role: Role,
    pub(super) at: Option<Timestamp>,
    /// The beginning of it.
    pub(super) text: String,
    /// Whether there is more of it.
    pub(super) cut: bool,
    pub(super) in_passing: bool,
    written: Written,
    id: Option<String>,
    /// Of all of it, white space left out.
    fingerprint: u64,
}

/// As what a message was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// What happened.
    Happened,
    /// What the model is given.
    Given,
    /// Both were met.
    Twice,
}

/// A command, or what is known of it so far.
#[derive(Debug)]
pub(super) struct Command {
    id: Option<String>,
    pub(super) at: Option<Timestamp>,
    /// None while only its end was met.
    pub(super) line: Option<String>,
    pub(super) exit_code: Option<i32>,
    /// The end of it.
    pub(super) output: Option<String>,
    /// Whether there is more of the one or the other.
    pub(super) cut: bool,
}

impl Portion {
    /// Takes what the next record says.
    pub(super) fn take(&mut self, record: &Record<'_>, limits: ContextLimits, direction: Direction) {
        if !record.is_known() {
            self.skipped += 1;
            return;
        }
        let at = record.at();
        let spare = limits.chars.saturating_mul(SPARE);
        match said(record) {
            None => self.skipped += 1,
            Some(Said::Nothing) => {}
            Some(Said::Message { role, text, in_passing, happened, id }) => {
                let fingerprint = fingerprint(role, &text);
                let written = if happened { Written::Happened } else { Written::Given };
                if self.meets_twin(fingerprint, id.as_deref(), written, at, direction) {
                    return;
                }
                self.taken += 1;
                let place = self.taken;
                let (text, cut) = beginning(&text, spare);
                let message = Message { place, role, at, text, cut, in_passing, written, id, fingerprint };
                self.take_message(message, limits, direction);
            }
            Some(Said::Command { id, command, end }) => {
                let (command, cut) = beginning(&command, spare);
                self.take_command(id, at, Some((command, cut)), end, limits, direction);
            }
            Some(Said::Answer { id, end }) => self.take_command(Some(id), at, None, Some(end), limits, direction),
            Some(Said::OtherCall { id }) => self.commands.retain(|c| c.line.is_some() || c.id.as_ref() != Some(&id)),
        }
    }

    /// Puts an older stretch in front of this one.
    pub(super) fn put_before(&mut self, mut older: Self) {
        older.messages.append(&mut self.messages);
        older.commands.append(&mut self.commands);
        self.messages = older.messages;
        self.commands = older.commands;
        self.firsts = older.firsts;
        self.leaves_out |= older.leaves_out;
        self.skipped += older.skipped;
    }

    /// Whether there is more of everything than is asked for.
    pub(super) fn is_full(&self, limits: ContextLimits) -> bool {
        let said = self.messages.iter().filter(|m| !m.in_passing).count();
        said > limits.messages && self.commands.iter().filter(|c| c.line.is_some()).count() > limits.commands
    }

    /// Whether the first message of each side was met.
    pub(super) fn has_both_firsts(&self) -> bool {
        self.firsts.len() == 2
    }

    /// After a reading from the beginning to the end: the first messages that are not among the newest.
    pub(super) fn settle(&mut self) {
        self.firsts.retain(|first| self.messages.iter().all(|m| m.place != first.place));
    }

    /// Whether the same message, written for the other purpose, was taken already.
    fn meets_twin(
        &mut self,
        fingerprint: u64,
        id: Option<&str>,
        written: Written,
        at: Option<Timestamp>,
        direction: Direction,
    ) -> bool {
        let is_twin = |m: &&mut Message| {
            let is_same = m.fingerprint == fingerprint || id.is_some() && m.id.as_deref() == id;
            m.written != Written::Twice && m.written != written && is_same
        };
        let twin = match direction {
            Direction::Forward => self.messages.iter_mut().rev().take(TWINS).find(is_twin),
            Direction::Backward => self.messages.iter_mut().take(TWINS).find(is_twin),
        };
        let Some(twin) = twin else { return false };
        twin.written = Written::Twice;
        // It was said when the first of them was written.
        twin.at = twin.at.min(at).or(twin.at).or(at);
        true
    }

    fn take_message(&mut self, message: Message, limits: ContextLimits, direction: Direction) {
        let alike = self.messages.iter().filter(|m| m.in_passing == message.in_passing).count();
        let is_enough = alike > limits.messages;
        self.leaves_out |= is_enough;
        match direction {
            Direction::Backward if is_enough => {}
            Direction::Backward => self.messages.push_front(message),
            Direction::Forward => {
                if !message.in_passing && self.firsts.iter().all(|first| first.role != message.role) {
                    self.firsts.push(message.clone());
                }
                let oldest = self.messages.iter().position(|m| m.in_passing == message.in_passing);
                if let Some(oldest) = oldest.filter(|_| is_enough) {
                    self.messages.remove(oldest);
                }
                self.messages.push_back(message);
            }
        }
    }

    /// Takes a command or its end, and puts it together with the other half where that was met.
    fn take_command(
        &mut self,
        id: Option<String>,
        at: Option<Timestamp>,
        command: Option<(String, bool)>,
        end: Option<End<'_>>,
        limits: ContextLimits,
        direction: Direction,
    ) {
        let spare = limits.chars.saturating_mul(SPARE);
        let ran = command.is_some() && end.is_some();
        let (exit_code, output) = end.map_or((None, None), |end| (end.exit_code, end.output));
        let output = output.filter(|output| !output.trim().is_empty()).map(|output| ending(&output, spare));
        let known = self.commands.iter_mut().find(|c| c.id.is_some() && c.id == id);
        let half = if let Some(known) = known {
            known
        } else {
            // An answer whose call was not met from the beginning on is no command's.
            if direction == Direction::Forward && command.is_none() {
                return;
            }
            let half = Command { id, at, line: None, exit_code: None, output: None, cut: false };
            let Some(half) = self.place(half, limits, direction) else { return };
            half
        };
        // The command that ran, else the call that asked for it.
        if let Some((command, cut)) = command {
            half.cut |= cut;
            half.line.get_or_insert(command);
        }
        if exit_code.is_some() || output.is_some() {
            half.at = half.at.max(at);
        }
        // What the command itself gave counts more than what the model was told of it.
        half.exit_code = if ran { exit_code.or(half.exit_code) } else { half.exit_code.or(exit_code) };
        if let Some((output, cut)) = output.filter(|_| ran || half.output.is_none()) {
            half.output = Some(output);
            half.cut |= cut;
        }
    }

    fn place(&mut self, half: Command, limits: ContextLimits, direction: Direction) -> Option<&mut Command> {
        let halves = self.commands.iter().filter(|c| c.line.is_none()).count();
        let is_enough = self.commands.len() - halves > limits.commands;
        match direction {
            Direction::Backward if is_enough || halves > HALVES => {
                self.leaves_out |= is_enough;
                None
            }
            Direction::Backward => {
                self.commands.push_front(half);
                self.commands.front_mut()
            }
            Direction::Forward => {
                if is_enough {
                    self.leaves_out = true;
                    self.commands.pop_front();
                }
                self.commands.push_back(half);
                self.commands.back_mut()
            }
        }
    }
}

fn fingerprint(role: Role, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (role == Role::User).hash(&mut hasher);
    text.split_whitespace().for_each(|word| hasher.write(word.as_bytes()));
    hasher.finish()
}

/// The first `chars` characters, and whether there are more.
fn beginning(text: &str, chars: usize) -> (String, bool) {
    match text.char_indices().nth(chars) {
        Some((end, _)) => (text[..end].to_owned(), true),
        None => (text.to_owned(), false),
    }
}

/// The last `chars` characters, and whether there are more.
fn ending(text: &str, chars: usize) -> (String, bool) {
    let text = text.trim_end();
    match text.char_indices().rev().nth(chars) {
        Some((at, c)) => (text[at + c.len_utf8()..].to_owned(), true),
        None => (text.to_owned(), false),
    }
}
