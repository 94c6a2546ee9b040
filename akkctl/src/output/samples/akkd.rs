//! What akkd says of itself, its audit and its outbox.

use super::*;
use akk_proto::api::DaemonInfo;
use akk_proto::audit::{AuditAnswer, AuditPeer, AuditRow, AuditWay};
use akk_proto::delivery::{DeliveryState, DeliveryView, ParkReason, SinkKind};
use akk_proto::{DeliveryId, Timestamp};

/// Rows of the outbox.
pub(crate) fn deliveries() -> Vec<DeliveryView> {
    let row = |n, kind: &str, state| DeliveryView {
        delivery_id: DeliveryId::of(&conversation_id(), &message_id(n)),
        conversation_id: conversation_id(),
        kind: kind.into(),
        sink: SinkKind::Command,
        orchestrator: None,
        state,
        attempts: 0,
        created_at: ago(2 * MINUTE),
        next_attempt_at: None,
        last_error: None,
        reason: None,
        handed: None,
        waits_for: None,
        overdue: false,
        preview: "Which of the two parsers\nshall stay, and why should anybody keep the other one?".into(),
    };
    let mut rows = vec![row(1, "question", DeliveryState::Pending), row(2, "done", DeliveryState::Leased)];
    rows[0].attempts = 7;
    rows[0].overdue = true;
    rows[0].created_at = ago(30 * MINUTE);
    rows[0].next_attempt_at = Some(Timestamp(NOW + 90_000));
    rows[0].last_error = Some("notify-send ended with code 1: no display".into());
    rows[0].waits_for = Some("The next attempt is in 1 minute.".into());
    let parked = DeliveryView {
        sink: SinkKind::Plugin,
        orchestrator: Some("agent:main:main".into()),
        attempts: 1,
        last_error: Some("the session was reset\u{1b}[2J".into()),
        reason: Some(ParkReason::RecipientGone),
        waits_for: Some("It waits for a person: the session that asked was reset or is gone.".into()),
        ..row(3, "done", DeliveryState::Parked)
    };
    rows.push(parked);
    rows
}

/// What akkd says of itself.
pub(crate) fn info() -> DaemonInfo {
    DaemonInfo {
        version: "0.1.0".into(),
        protocol: 1,
        oldest_protocol: Some(1),
        pid: 4200,
        started_at: ago(7_500_000),
        uptime_ms: 7_500_000,
        home: "/home/u/.local/state/akk".into(),
        socket: "/run/user/1000/akk/akkd.sock".into(),
        config: "/home/u/.config/akk/config.toml".into(),
        open_conversations: 3,
        conversations: 12,
        open_turns: 1,
        agents: 2,
        undelivered: 1,
        overdue: 1,
    }
}

/// Calls of a person, of an agent, of one that left, and what was left in the drop folder.
pub(crate) fn audit() -> AuditAnswer {
    let row = |minutes: i64, via, method: &str, result: &str, peer: Option<(Option<u32>, Option<&str>)>| AuditRow {
        at: ago(minutes * MINUTE),
        via,
        method: method.into(),
        conversation_id: (method != "daemon.stop").then(conversation_id),
        request_id: None,
        result: result.into(),
        peer: peer.map(|(pid, path)| AuditPeer { pid, uid: 1000, executable: path.map(str::to_owned) }),
    };
    let akkctl = Some((Some(4300), Some("/home/u/.cargo/bin/akkctl")));
    AuditAnswer {
        rows: vec![
            row(60 * 24 * 3, AuditWay::Control, "conversation.delegate", "ok", akkctl),
            row(30, AuditWay::Control, "conversation.permit", "protected_process", akkctl),
            row(20, AuditWay::Callback, "callback.report", "ticket_refused", Some((Some(999_999), None))),
            row(10, AuditWay::Spool, "callback.report", "ok", None),
            row(5, AuditWay::Control, "conversation.send", "unanswered", Some((None, None))),
            row(0, AuditWay::Control, "daemon.stop", "unfinished", akkctl),
        ],
        more: true,
    }
}
