//! The lower half: the selected conversation, and what happened in it.

use super::fold::folded;
use super::list::WIDE;
use super::model::{Model, TRACE};
use super::paint::{ALERT, BOLD, DIM, PLAIN, Row, colour, pieces, row, rule, style_of};
use crate::output::text::{counted, cut, lines, width};
use crate::output::words::{self, Ball};
use crate::output::{View, one_line, short};
use akk_proto::ConversationId;
use akk_proto::conversation::{ConversationView, Status};
use akk_proto::event::{Activity, EventBody, EventRecord};
use std::collections::HashSet;

/// How many rows of an own message are shown: its writer knows it.
const OWN_ROWS: usize = 3;

/// The head: who, where it stands, why, and what it is about.
pub(super) fn head(model: &Model, view: &View, columns: usize, rows: usize) -> Vec<Row> {
    let Some(detail) = &model.detail else { return Vec::new() };
    let c = &detail.conversation;
    let id = (short(&c.conversation_id).to_owned(), BOLD);
    let sentence =
        words::idle(c).map_or_else(|| words::status_sentence(c.status, c.needs, &one_line(&c.agent)), str::to_owned);
    let style = colour(Ball::with(c.status, c.needs));
    let mut out = Vec::new();
    if width(&sentence) + width(&id.0) + 8 <= columns {
        out.push(rule(vec![id, ("  ".to_owned(), DIM), (sentence, style)], columns));
    } else {
        out.push(rule(vec![id], columns));
        out.extend(folded(&sentence, columns).into_iter().map(|line| row(line, style)));
    }
    if let Some(reason) = why(c) {
        out.extend(folded(&one_line(&reason), columns).into_iter().map(|line| row(line, ALERT)));
    }
    // What was said comes before what it is about.
    if rows >= if columns >= WIDE { 7 } else { 14 } {
        let label = c.label.as_deref().map(|l| format!("{}: ", one_line(l))).unwrap_or_default();
        let request = cut(&format!("{label}{}", one_line(&c.user_request)), columns).into_owned();
        out.push(row(request, PLAIN));
        for line in folded(&facts(c, view), columns) {
            out.push(row(line, DIM));
        }
    }
    out
}

/// Why it is where it is, where the status alone does not say it.
fn why(c: &ConversationView) -> Option<String> {
    match c.status {
        Status::NeedsRecovery => c.recovery.as_ref().map(|r| r.reason.clone()),
        Status::NeedsModelSelection => c.model_selection.as_ref().map(|m| match m.available.as_slice() {
            [] => m.reason.clone(),
            models => format!("{}; available: {}", m.reason, models.join(", ")),
        }),
        _ => c.stalled_reason.clone(),
    }
}

fn facts(c: &ConversationView, view: &View) -> String {
    let mut facts = vec![format!("in {}", view.path(&c.workspace))];
    facts.extend(c.executor_model.as_deref().map(|m| format!("model {}", one_line(m))));
    facts.extend(c.turn.as_ref().map(|t| t.turn_id.to_string()));
    facts.push(format!("round {} of {}", c.response_rounds_used, c.soft_limit));
    if !c.queued.is_empty() {
        facts.push(format!("{} queued", counted(c.queued.len() as u64, "message")));
    }
    facts.extend(c.orchestrator.as_deref().map(|o| format!("reports to {}", one_line(o))));
    facts.join(" · ")
}

/// What happened, the newest at the bottom, in `rows` rows of which `scrolled` are below; and how far can be scrolled.
pub(super) fn trace(model: &Model, view: &View, columns: usize, rows: usize) -> (Vec<Row>, usize) {
    let wanted = rows + model.scrolled;
    // From the end, and no further than it is looked at: a report may have thousands of lines.
    let mut blocks: Vec<Vec<Row>> = Vec::new();
    let mut have = 0;
    // Of a call of a tool, which begins, goes on and ends, the newest is shown.
    let mut calls = HashSet::new();
    let newest = |e: &&EventRecord| match &e.body {
        EventBody::AgentActivity(Activity::Tool { id, .. }) => calls.insert((e.turn_id.clone(), id.clone())),
        _ => true,
    };
    let mut events = model.trace.values().rev().filter(newest).peekable();
    while let Some(event) = events.next() {
        let mut block = event_rows(event, view, columns);
        let day = |e: &EventRecord| view.zoned(e.ts).date();
        let begins = events.peek().is_none_or(|before| day(before) != day(event));
        if begins && day(event) != view.zoned(view.now).date() {
            block.insert(0, row(day(event).strftime("%A, %-d %B %Y").to_string(), DIM));
        }
        if events.peek().is_none() && (event.seq > 1 || model.trace.len() >= TRACE) {
            let id = short(&event.conversation_id);
            let earlier = folded(&format!("What came before: akkctl status {id} --trace"), columns);
            block.splice(0..0, earlier.into_iter().map(|line| row(line, DIM)));
        }
        have += block.len();
        blocks.push(block);
        if have > wanted {
            break;
        }
    }
    let furthest = have.saturating_sub(rows);
    let scrolled = model.scrolled.min(furthest);
    let all: Vec<Row> = blocks.into_iter().rev().flatten().collect();
    let end = all.len() - scrolled.min(all.len());
    let first = end.saturating_sub(rows);
    (all.into_iter().skip(first).take(end - first).collect(), furthest)
}

/// One event. What an agent said is there to be read, and stands there whole.
fn event_rows(event: &EventRecord, view: &View, columns: usize) -> Vec<Row> {
    let clock = view.zoned(event.ts).strftime("%H:%M:%S").to_string();
    let indent = if columns >= WIDE { clock.len() + 2 } else { 2 };
    let style = style_of(words::event_style(&event.body));
    let stamped = |text: String| pieces([(format!("{clock}  "), DIM), (text, style)]);
    let left = columns.saturating_sub(clock.len() + 2).max(1);
    let (EventBody::Message(recorded) | EventBody::LateCallback(recorded)) = &event.body else {
        let text = words::event(event);
        if columns >= WIDE {
            return vec![stamped(cut(&text, left).into_owned())];
        }
        // On few columns a cut would leave nothing: the second row has the rest of most.
        let mut rows = folded(&text, left).into_iter();
        let mut out = vec![stamped(rows.next().unwrap_or_default())];
        let rest = rows.collect::<Vec<_>>().join(" ");
        if !rest.is_empty() {
            let rest = cut(&rest, columns.saturating_sub(indent)).into_owned();
            out.push(pieces([(" ".repeat(indent), PLAIN), (rest, style)]));
        }
        return out;
    };
    let body = lines(recorded.message.body.trim()).replace('\t', "    ");
    let one = format!("{}: {body}", words::message_head(recorded));
    if !body.contains('\n') && width(&one) <= left {
        return vec![stamped(one)];
    }
    let mut head = folded(&format!("{}:", words::message_head(recorded)), left).into_iter();
    let mut out = vec![stamped(head.next().unwrap_or_default())];
    out.extend(head.map(|line| pieces([(" ".repeat(indent), PLAIN), (line, style)])));
    let mut said: Vec<String> = body.lines().flat_map(|l| folded(l, columns.saturating_sub(indent).max(1))).collect();
    if recorded.message.from.is_orchestrator() && said.len() > OWN_ROWS {
        said.truncate(OWN_ROWS);
        if let Some(last) = said.last_mut() {
            last.push_str(" …");
        }
    }
    out.extend(said.into_iter().map(|line| pieces([(" ".repeat(indent), PLAIN), (line, PLAIN)])));
    out
}

/// Says at the right edge of the head that there is more above or below.
pub(super) fn tell_more(head: &mut [Row], scrolled: usize, furthest: usize, columns: usize) {
    let more = match (scrolled < furthest, scrolled > 0) {
        (false, false) => return,
        (true, false) => " ▲ PgUp ",
        (false, true) => " ▼ PgDn ",
        (true, true) => " ▲ PgUp ▼ PgDn ",
    };
    let Some(rule) = head.first_mut() else { return };
    let Some(line) = rule.spans.last_mut() else { return };
    let keep = line.width().saturating_sub(width(more) + 2);
    if keep > 1 && columns >= 40 {
        line.content = format!(" {}{more}──", "─".repeat(keep - 1)).into();
    }
}

/// Who is spoken to.
pub(super) fn agent(model: &Model, id: &ConversationId) -> String {
    let c = model.conversations.iter().find(|c| c.conversation_id == *id);
    c.map_or_else(|| short(id).to_owned(), |c| format!("{} ({})", one_line(&c.agent), short(id)))
}

/// Which conversation a question is about, so that nobody needs to know ids by heart.
pub(super) fn which(model: &Model, id: &ConversationId) -> String {
    let c = model.conversations.iter().find(|c| c.conversation_id == *id);
    let Some(c) = c else { return short(id).to_owned() };
    let about = one_line(c.label.as_deref().unwrap_or(&c.user_request));
    format!("{} ({}: {})", short(id), one_line(&c.agent), cut(&about, 48))
}
