//! Whose sub-agent a thread is: the parent's process runs it too, and it ends with the parent.

use super::home::CodexHome;
use super::rollout::{self, TurnState};
use super::source::Source;
use super::survey::parse_id;
use super::threads;
use crate::sessions::Holder;
use akk_proto::session::{SessionActivity, SessionSource};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Generations that are followed. Codex 0.169 allows fewer by far.
const GENERATIONS: usize = 16;

/// Takes the sub-agents of session `id` out of what its holders run besides; gives them. Ending a holder ends no session
/// of anybody else's with them. What people see of a holder names them still.
pub(super) fn take_own(home: &CodexHome, id: Uuid, holders: &mut [Holder]) -> BTreeSet<Uuid> {
    let others: BTreeSet<&String> = holders.iter().flat_map(|h| &h.also_holds).collect();
    let own: BTreeSet<Uuid> =
        others.into_iter().filter_map(|other| parse_id(other)).filter(|other| descends(home, *other, id)).collect();
    for holder in holders {
        holder.also_holds.retain(|other| parse_id(other).is_none_or(|other| !own.contains(&other)));
    }
    own
}

/// What a session does whose sub-agents are these: their work is its work.
pub(super) fn with_own(home: &CodexHome, own: &BTreeSet<Uuid>, activity: SessionActivity) -> SessionActivity {
    if activity == SessionActivity::Working {
        return activity;
    }
    let mut activity = activity;
    for id in own {
        let file = rollout::find(home, &id.to_string(), None);
        match file.map(|file| rollout::tail(&file.path).map(|tail| tail.turn)) {
            Some(Ok(TurnState::Ended)) => {}
            Some(Ok(TurnState::Running)) => return SessionActivity::Working,
            // Nothing was said to it yet, or nobody can tell.
            None | Some(Ok(TurnState::Unknown) | Err(_)) => activity = SessionActivity::Unknown,
        }
    }
    activity
}

fn descends(home: &CodexHome, id: Uuid, ancestor: Uuid) -> bool {
    let mut at = id;
    for _ in 0..GENERATIONS {
        match parent(home, at) {
            Some(parent) if parent == ancestor => return true,
            Some(parent) => at = parent,
            None => return false,
        }
    }
    false
}

/// The session whose sub-agent `id` is, by its row, else by its rollout's head: a row comes a moment later.
fn parent(home: &CodexHome, id: Uuid) -> Option<Uuid> {
    let of = |source: Source| {
        let is_sub_agent = matches!(source.kind, SessionSource::SubAgent | SessionSource::Guardian);
        source.parent.filter(|_| is_sub_agent).as_deref().and_then(parse_id)
    };
    let text = id.to_string();
    let row = threads::read_one(home, &text).ok().flatten();
    let noted = row.as_ref().and_then(|row| row.rollout_path.clone());
    row.and_then(|row| of(row.source)).or_else(|| {
        let file = rollout::find(home, &text, noted.as_deref())?;
        of(rollout::head(&file.path).ok()??.source)
    })
}
