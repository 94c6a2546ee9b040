//! The commands that go on with what happens: `transcript`, `events`.

use super::{Context, show_raw};
use crate::cli::{Events, Transcript as TranscriptOf};
use crate::error::{Result, exit};
use crate::output::{self, Transcript, print};
use akk_proto::api::{HistoryAnswer, HistoryParams, StreamItem, SubscribeParams};
use akk_proto::event::{EventBody, EventRecord};

pub(super) fn transcript(args: &TranscriptOf, context: &Context<'_>) -> Result<u8> {
    let mut akkd = context.akkd();
    let mut params = HistoryParams { conversation_id: args.which.wanted(), after_seq: 0, limit: None };
    let mut shown = Transcript::new(&context.view);
    let mut closed = false;
    let cursor = loop {
        let answer = akkd.call("conversation.transcript", &params)?;
        if context.json {
            show_raw(&answer)?;
        }
        let page: HistoryAnswer = answer.read()?;
        closed |= page.events.iter().any(ends);
        if !context.json {
            let text: String = page.events.iter().map(|e| shown.push(e)).collect();
            print(text.strip_prefix('\n').filter(|_| params.after_seq == 0).unwrap_or(&text))?;
        }
        params.conversation_id = page.conversation_id.to_string();
        match page.next_seq {
            Some(next) => params.after_seq = next,
            None => break page.cursor,
        }
    };
    if !args.follow || closed {
        print(&shown.finish())?;
        return Ok(exit::OK);
    }
    print(&shown.go_live())?;
    let from_here =
        SubscribeParams { since: Some(cursor), conversation_id: Some(params.conversation_id), kinds: Vec::new() };
    let mut events = akkd.follow(from_here)?;
    loop {
        let (answer, item) = events.next(None)?;
        if context.json {
            show_raw(&answer)?;
        }
        let StreamItem::Event(record) = item else { continue };
        if !context.json {
            print(&shown.push(&record))?;
        }
        // Nothing comes after the end of a conversation.
        if ends(&record) {
            return Ok(exit::OK);
        }
    }
}

fn ends(record: &EventRecord) -> bool {
    matches!(record.body, EventBody::ConversationClosed { .. })
}

pub(super) fn events(args: Events, context: &Context<'_>) -> Result<u8> {
    let params = SubscribeParams {
        since: args.since.or((!args.follow).then_some(0)),
        conversation_id: args.conversation,
        kinds: args.kind,
    };
    let mut events = context.akkd().follow(params)?;
    loop {
        let (answer, item) = events.next(None)?;
        let over = !args.follow && matches!(item, StreamItem::Live { .. });
        if context.json {
            show_raw(&answer)?;
        } else {
            // A stream may run past midnight.
            let view = context.view.at_this_moment();
            if let Some(line) = output::event_line(&item, &view) {
                print(&line)?;
            }
        }
        if over {
            return Ok(exit::OK);
        }
    }
}
