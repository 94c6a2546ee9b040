//! What every story shows besides its own point: the state of each conversation follows from its history alone.

use crate::home::Home;
use crate::raw::Raw;
use akk_core::{Conversation, Event, apply};
use akk_proto::api::HistoryAnswer;
use akk_proto::event::EventRecord;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// Conversations whose stored state is another one than their events lead to.
pub(crate) fn differences(home: &Home) -> Vec<String> {
    let mut raw = Raw::connect(&home.control_socket()).expect("akkd listens");
    stored(home).into_iter().filter_map(|(id, seq, state)| difference(&mut raw, &id, seq, &state).err()).collect()
}

/// Each conversation's id, the number of its events, and the state that is stored for it: read at one moment.
fn stored(home: &Home) -> Vec<(String, u64, String)> {
    let database = Connection::open_with_flags(home.akk().join("akk.db"), OpenFlags::SQLITE_OPEN_READ_ONLY);
    let database = database.expect("the database can be read beside akkd");
    let mut rows = database
        .prepare("SELECT c.id, c.seq, s.state FROM conversations c JOIN states s ON s.ord = c.ord")
        .expect("the tables are as akkd makes them");
    let rows = rows
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs(), row.get(2)?)))
        .expect("rows can be read");
    rows.map(|row| row.expect("a row can be read")).collect()
}

fn difference(raw: &mut Raw, id: &str, seq: u64, state: &str) -> Result<(), String> {
    let stored: Conversation = serde_json::from_str(state).map_err(|e| format!("{id}: stored state: {e}"))?;
    let mut events = history(raw, id)?.into_iter().filter(|e| e.seq <= seq).map(|e| (e.seq, event(e)));
    let (_, first) = events.next().ok_or_else(|| format!("{id} has no events"))?;
    let mut replayed = apply::begin(&first).map_err(|e| format!("{id}: {e}"))?;
    for (seq, event) in events {
        let refused = |e| format!("{id}: event {seq} ({}) cannot happen: {e}", event.body.name());
        replayed = apply::apply(&replayed, &event).map_err(refused)?.0;
    }
    if replayed == stored {
        return Ok(());
    }
    let json = |c: &Conversation| serde_json::to_string_pretty(c).expect("a state becomes JSON");
    Err(format!("{id}: the events lead to\n{}\nand stored is\n{}", json(&replayed), json(&stored)))
}

fn history(raw: &mut Raw, id: &str) -> Result<Vec<EventRecord>, String> {
    let mut events = Vec::new();
    let mut after = 0;
    loop {
        let params = json!({"conversation_id": id, "after_seq": after});
        let answer: Value = raw.call("conversation.transcript", params).map_err(|e| format!("{id}: {e}"))?;
        // Deleted meanwhile.
        let Some(result) = answer.get("result") else { return Err(format!("{id}: {answer}")) };
        let page: HistoryAnswer = serde_json::from_value(result.clone()).map_err(|e| format!("{id}: {e}"))?;
        events.extend(page.events);
        match page.next_seq {
            Some(next) => after = next,
            None => return Ok(events),
        }
    }
}

fn event(record: EventRecord) -> Event {
    Event { ts: record.ts, turn_id: record.turn_id, body: record.body }
}
