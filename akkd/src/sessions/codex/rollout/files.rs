//! Which rollouts a home has, and which one is a thread's.

use super::super::home::{CodexHome, is_absent};
use super::compressed::is_compressed;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::path::{Path, PathBuf};

/// `YYYY/MM/DD`, and one to spare.
const DEPTH: usize = 4;

/// A rollout, by its name alone: not opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutFile {
    /// The thread, as the name says it.
    pub thread_id: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Whether it is `.jsonl.zst`. Codex compresses what is cold.
    pub compressed: bool,
    /// Whether it lies among those that were put away.
    pub archived: bool,
}

/// Every rollout of a home, in no order; empty where there are none. What cannot be listed is in the second list, with
/// the reason. While Codex compresses one or takes one out, there are two of it: the one that is not compressed counts.
pub fn list(home: &CodexHome) -> (Vec<RolloutFile>, Vec<(PathBuf, io::Error)>) {
    let mut found = HashMap::new();
    let mut failed = Vec::new();
    for (folder, archived) in [(home.sessions(), false), (home.archived(), true)] {
        walk(&folder, DEPTH, &mut failed, &mut |path| {
            let Some(file) = named(path, archived) else { return };
            match found.entry(file.thread_id.clone()) {
                Entry::Vacant(place) => {
                    place.insert(file);
                }
                Entry::Occupied(mut other) if other.get().compressed && !file.compressed => {
                    other.insert(file);
                }
                Entry::Occupied(_) => {}
            }
        });
    }
    (found.into_values().collect(), failed)
}

/// The rollout of thread `id`: at `noted` (what the thread's row says), else its compressed twin, else where a search of
/// the folders finds it.
pub fn find(home: &CodexHome, id: &str, noted: Option<&Path>) -> Option<RolloutFile> {
    let noted = noted.filter(|path| thread_id_of(path) == Some(id));
    let twins = noted.into_iter().flat_map(|path| {
        let plain = if is_compressed(path) { path.with_extension("") } else { path.to_owned() };
        let mut compressed = plain.clone().into_os_string();
        compressed.push(".zst");
        [plain, compressed.into()]
    });
    for path in twins {
        if path.is_file() {
            let archived = path.starts_with(home.archived());
            return named(path, archived);
        }
    }
    list(home).0.into_iter().find(|file| file.thread_id == id)
}

/// The thread that a rollout's name tells: `rollout-<local time>-<id>.jsonl` or `.jsonl.zst`.
pub fn thread_id_of(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_prefix("rollout-")?;
    let name = name.strip_suffix(".zst").unwrap_or(name).strip_suffix(".jsonl")?;
    let id = name.get(name.len().checked_sub(36)?..)?;
    uuid::Uuid::try_parse(id).is_ok().then_some(id)
}

fn named(path: PathBuf, archived: bool) -> Option<RolloutFile> {
    let thread_id = thread_id_of(&path)?.to_owned();
    Some(RolloutFile { thread_id, compressed: is_compressed(&path), archived, path })
}

/// Every regular file below `folder`. Links are not followed.
fn walk(folder: &Path, depth: usize, failed: &mut Vec<(PathBuf, io::Error)>, each: &mut impl FnMut(PathBuf)) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return,
        Err(error) => return failed.push((folder.to_owned(), error)),
    };
    for entry in entries {
        let kind = entry.and_then(|entry| Ok((entry.file_type()?, entry)));
        match kind {
            Ok((kind, entry)) if kind.is_dir() && depth > 0 => walk(&entry.path(), depth - 1, failed, each),
            Ok((kind, entry)) if kind.is_file() => each(entry.path()),
            Ok(_) => {}
            // It was deleted meanwhile.
            Err(error) if is_absent(&error) => {}
            Err(error) => failed.push((folder.to_owned(), error)),
        }
    }
}
