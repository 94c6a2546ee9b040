//! Where a conversation comes from: a native session, or the predecessor.

use super::{Refused, impossible};
use crate::conversation::{self, Conversation, Phase};
use akk_proto::Timestamp;
use akk_proto::event::EventBody;
use akk_proto::import::{Imported, Standing};

/// Whether the predecessor's history may still come: nothing has happened here.
pub(super) fn may_be_imported(state: &Conversation) -> bool {
    state.phase == Phase::Created && state.imported.is_none() && state.turns == 0 && state.origin.is_none()
}

/// The predecessor's history is told: where the conversation stands.
pub(super) fn came_here(next: &mut Conversation, imported: &Imported, body: &EventBody) -> Result<(), Refused> {
    if !may_be_imported(next) {
        return Err(impossible(body, "the conversation is akkd's already"));
    }
    next.phase = match imported.standing.clone() {
        Standing::Created => Phase::Created,
        Standing::WaitingForOpenclaw { blocked } => Phase::WaitingForOpenclaw { blocked },
        Standing::Idle => Phase::Idle { since: imported.imported_at },
        Standing::Stalled { reason } => Phase::Stalled { reason },
        Standing::NeedsRecovery { reason, pending } => Phase::NeedsRecovery { reason, pending },
        Standing::NeedsModelSelection { attempted, available, reason, pending } => {
            Phase::NeedsModelSelection { attempted, available, reason, pending }
        }
        Standing::Failed { reason, hard_stop } => Phase::Failed { reason, hard_stop },
        Standing::Cancelled { at, reason } => Phase::Cancelled { at, reason },
        Standing::Closed { at, reason } => Phase::Closed { at, reason },
    };
    next.rounds_used = imported.rounds_used;
    next.announced = next.budget_level();
    next.imported = Some(Box::new(imported.clone()));
    Ok(())
}

/// A conversation that begins with a native session: nothing was said yet, and it is ready to be used.
pub(super) fn came_from(
    next: &mut Conversation,
    ts: Timestamp,
    origin: conversation::Origin,
    body: &EventBody,
) -> Result<(), Refused> {
    if next.phase != Phase::Created || next.origin.is_some() {
        return Err(impossible(body, "the conversation has begun already"));
    }
    if let conversation::Origin::Attached { attachment, .. } = &origin
        && next.native_session.as_ref() != Some(&attachment.session_id)
    {
        return Err(impossible(body, "the conversation was made for another session"));
    }
    next.origin = Some(origin);
    next.phase = Phase::Idle { since: ts };
    Ok(())
}
