//! What must hold after the scenario, wherever akkd died.

use crate::scenario::{FOR_CHAT, Over, TOLD};
use akk_proto::delivery::DeliveryState;
use akk_proto::event::{EventBody, EventRecord, Origin, TurnOutcome};
use akk_proto::message::MessageType;
use akk_tests::{processes, wait_for};
use std::collections::BTreeMap;

/// What a run came to.
pub(crate) struct Found {
    /// How often a person had to decide whether to go on, and why.
    pub(crate) asked: Vec<String>,
    /// How often the command was given a delivery again, under the same key.
    pub(crate) repeats: usize,
    /// Whether akkd died at all.
    pub(crate) died: bool,
}

/// Looks at everything. Whatever is wrong is told at once.
pub(crate) async fn examine(over: &mut Over) -> Found {
    let events = over.user.events(&over.id).await;
    let mut wrong = Vec::new();
    one_prompt_a_turn(over, &events, &mut wrong);
    each_report_once(over, &events, &mut wrong);
    let repeats = each_delivery_once(over, &events, &mut wrong).await;
    the_chat_was_told_once(over, &mut wrong).await;
    wait_for("the processes of a closed conversation to be gone", async || {
        // An akkd that died of ending them has to be there to go on.
        over.user.get(&over.id).await;
        let (root, akkd) = (over.user.akkd.home.root(), over.user.akkd.pid());
        processes::of(root).iter().all(|p| p.pid == akkd).then_some(())
    })
    .await;
    // The end of akkd is a part of the scenario. What comes after it lives, and answers for what is stored.
    over.user.rest().await;
    let names: Vec<_> = events.iter().map(|e| e.body.name()).collect();
    assert!(wrong.is_empty(), "{}\nasked: {:#?}\n{names:?}", wrong.join("\n"), over.user.asked);
    Found { asked: over.user.asked.clone(), repeats, died: over.user.deaths > 0 }
}

/// Each turn prompted its agent once at most, and once where it came to something.
fn one_prompt_a_turn(over: &Over, events: &[EventRecord], wrong: &mut Vec<String>) {
    let mut outcomes = BTreeMap::new();
    for event in events {
        if let EventBody::TurnStarted(start) = &event.body {
            outcomes.insert(start.turn_id.to_string(), None);
        }
        if let (EventBody::TurnEnded(end), Some(turn)) = (&event.body, &event.turn_id)
            && outcomes.insert(turn.to_string(), Some(end.outcome)) != Some(None)
        {
            wrong.push(format!("{turn} ended twice, or never began"));
        }
    }
    for (turn, outcome) in &outcomes {
        let heard = over.heard(turn);
        let fits = match outcome {
            None => false,
            Some(TurnOutcome::Completed) => heard == 1,
            Some(_) => heard <= 1,
        };
        if !fits {
            wrong.push(format!("{turn} came to {outcome:?}, and was prompted {heard} times"));
        }
    }
}

/// What the agent said stands in the history, once.
fn each_report_once(over: &Over, events: &[EventRecord], wrong: &mut Vec<String>) {
    let of_agent = |e: &EventRecord| match &e.body {
        EventBody::Message(m) if matches!(m.origin, Origin::Callback | Origin::Derived) => {
            Some((m.message.kind.as_str(), m.message.body.clone()))
        }
        _ => None,
    };
    let reports: Vec<_> = events.iter().filter_map(of_agent).collect();
    // An agent that was told that its report did not arrive knows as much.
    let refused = over.user.akkd.agent().all("callback").into_iter().filter(|c| c.facts["ok"] == false);
    let refused: Vec<_> = refused.map(|c| c.text("message").to_owned()).collect();
    // Of a turn that ended without its agent's word the person was told, and said the next thing instead of going on
    // with it: that word is missing then, and no other.
    let stalls = events.iter().filter(|e| matches!(e.body, EventBody::ConversationStalled { .. })).count();
    let mut passed_over = stalls.saturating_sub(over.user.asked.len());
    for (kind, body) in TOLD {
        let times = reports.iter().filter(|(k, b)| *k == kind && b.ends_with(body)).count();
        if times == 1 || refused.iter().any(|message| message.contains(body)) {
            continue;
        }
        if times == 0 && passed_over > 0 {
            passed_over -= 1;
            continue;
        }
        wrong.push(format!("{kind} {body:?} stands in the history {times} times: {reports:?}"));
    }
    if reports.len() > TOLD.len() {
        wrong.push(format!("more reports than there were: {reports:?}"));
    }
}

/// Each message that is to be told has one row, which was told: gives how often a key came again.
async fn each_delivery_once(over: &mut Over, events: &[EventRecord], wrong: &mut Vec<String>) -> usize {
    let rows = over.user.deliveries(&over.id).await;
    let told = over.told.by_key();
    wrong
        .extend(rows.iter().filter(|r| !told.contains_key(r.delivery_id.as_str())).map(|r| format!("not told: {r:?}")));
    // A permission that has its answer is asked for no more: its row goes, told or not.
    let asked_for = events.iter().filter(|e| matches!(e.body, EventBody::PermissionRequested(_))).count();
    let left = rows.iter().filter(|r| r.kind == "permission").count();
    if told.len() < rows.len() || told.len() - rows.len() > asked_for.saturating_sub(left) {
        wrong.push(format!("{} were told of {} rows", told.len(), rows.len()));
    }
    let wakes = [MessageType::Question, MessageType::Blocked, MessageType::Done, MessageType::Error];
    let to_tell = |e: &&EventRecord| match &e.body {
        EventBody::Message(m) => {
            matches!(m.origin, Origin::Callback | Origin::Derived) && wakes.contains(&m.message.kind)
        }
        EventBody::ConversationStalled { .. } => true,
        _ => false,
    };
    let to_tell = events.iter().filter(to_tell).count();
    if rows.len() - left != to_tell || left > asked_for {
        wrong.push(format!("{to_tell} messages and notices made {} rows: {rows:#?}", rows.len()));
    }
    told.values().map(|times| times - 1).sum()
}

/// The transcript has what was to be told, once.
async fn the_chat_was_told_once(over: &mut Over, wrong: &mut Vec<String>) {
    let Some((chat, id)) = &over.chat else { return };
    let transcript = chat.transcript();
    let rows = over.user.deliveries(id).await;
    for row in &rows {
        let times = transcript.iter().filter(|o| o.delivery_id == row.delivery_id).count();
        if times != 1 || row.state != DeliveryState::Acknowledged {
            wrong.push(format!("a chat was told {times} times: {row:?}"));
        }
    }
    let words = transcript.iter().filter(|o| o.body.text == FOR_CHAT).count();
    if words != 1 || transcript.len() != rows.len() {
        wrong.push(format!("the chat has {transcript:#?}"));
    }
}
