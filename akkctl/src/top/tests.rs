//! Pictures of the screen, and what keys make of it.

mod requests;

use super::draw::{Shown, draw};
use super::model::{Action, Mode, Model, News};
use crate::output::samples;
use akk_proto::api::{GetAnswer, HistoryAnswer, ListAnswer};
use akk_proto::conversation::{ConversationSummary, Need, Status};
use akk_proto::event::{Activity, EventBody, EventRecord, MessageRecorded, Origin};
use akk_proto::permission::{PermissionChoice, Permit};
use akk_proto::{ConversationId, Timestamp};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use std::time::Duration;

/// Draws it as the screen does, and tells the model what was shown.
fn drawn(model: &mut Model, columns: u16, rows: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    let mut shown = Shown::default();
    terminal.draw(|frame| shown = draw(model, &samples::view(), frame.buffer_mut())).unwrap();
    if model.shown(&shown) {
        terminal.draw(|frame| shown = draw(model, &samples::view(), frame.buffer_mut())).unwrap();
    }
    let buffer = terminal.backend().buffer();
    (0..rows).map(|y| line(buffer, y) + "\n").collect()
}

/// A row as it is seen: a wide symbol hides the cell behind it.
fn line(buffer: &Buffer, y: u16) -> String {
    let mut out = String::new();
    let mut x = 0;
    while x < buffer.area.width {
        let symbol = buffer[(x, y)].symbol();
        out.push_str(symbol);
        x += crate::output::text::width(symbol).max(1) as u16;
    }
    out.trim_end().to_owned()
}

fn press(model: &mut Model, key: KeyCode) -> Vec<Action> {
    model.press(KeyEvent::new(key, KeyModifiers::NONE))
}

/// One key after the other, each with the picture of the former before its presser's eyes.
fn types(model: &mut Model, text: &str) -> Vec<Action> {
    let mut wanted = Vec::new();
    for c in text.chars() {
        wanted.extend(press(model, KeyCode::Char(c)));
        drawn(model, 80, 24);
    }
    wanted
}

fn id(n: usize) -> ConversationId {
    samples::list().conversations[n].conversation_id.clone()
}

/// The last events of a conversation whose agent asked something that needs more than a row.
fn asked() -> GetAnswer {
    let mut detail = samples::get();
    let c = &mut detail.conversation;
    (c.conversation_id, c.agent, c.status) = (id(1), "claude".into(), Status::WaitingForOpenclaw);
    (c.undelivered, c.overdue, c.response_rounds_used) = (2, 1, 49);
    c.user_request.clone_from(&samples::list().conversations[1].user_request);
    let mut message = samples::question();
    message.body =
        "Both stores pass the tests. I measured:\n\n  redb    1.2 ms a commit\n  sqlite  0.4 ms a commit\n\n\
                    sqlite is faster and already a dependency, but redb has no C code. Which of the two shall stay?"
            .into();
    message.from = akk_proto::message::Actor("claude".into());
    let last = detail.events.last().unwrap().clone();
    let body = EventBody::Message(Box::new(MessageRecorded { message, ..recorded(&samples::exchange()) }));
    detail.events.push(EventRecord { seq: last.seq + 1, ts: Timestamp(last.ts.0 + 2000), body, ..last });
    for event in &mut detail.events {
        event.conversation_id = id(1);
    }
    detail
}

fn recorded(events: &[EventRecord]) -> MessageRecorded {
    let message = |e: &EventRecord| match &e.body {
        EventBody::Message(m) if m.origin == Origin::Callback => Some((**m).clone()),
        _ => None,
    };
    events.iter().find_map(message).unwrap()
}

/// The list of the samples, with the first one selected and told.
fn shown() -> Model {
    let mut model = Model::default();
    let wanted = model.hear(News::Listed(samples::list()));
    assert_eq!(wanted.first(), Some(&Action::Get(id(1))), "who needs you first is selected");
    assert_eq!(wanted.len(), 5, "what the others do is asked for, once: {wanted:?}");
    model.hear(News::Got(Box::new(asked())));
    model.looked_at.extend(samples::list().conversations.into_iter().map(|c| c.conversation_id));
    let mut tool = samples::every_event()
        .into_iter()
        .find(|e| matches!(&e.body, EventBody::AgentActivity(Activity::Tool { .. })))
        .unwrap();
    tool.conversation_id = id(0);
    model.hear(News::Event(Box::new(tool)));
    drawn(&mut model, 80, 24);
    model
}

/// One whose agent asks for a permission, with a text of so many lines.
fn asking(lines: usize) -> Model {
    let mut model = shown();
    let mut conversation = samples::asking();
    conversation.conversation_id = id(1);
    conversation.agent = "claude".into();
    let request = &mut conversation.permission_requests[0];
    request.truncated = false;
    if lines > 0 {
        request.text = (1..=lines).map(|n| format!("line {n} of the request")).collect::<Vec<_>>().join("\n");
    }
    request.answers = Permit::ALL.map(|answer| PermissionChoice { answer, name: String::new() }).to_vec();
    let mut list = samples::list();
    list.conversations[1].needs = Some(Need::Permission);
    model.hear(News::Listed(list));
    model.hear(News::Got(Box::new(GetAnswer { conversation, events: asked().events, deliveries: vec![] })));
    model
}

fn nonce(model: &Model) -> String {
    model.detail.as_ref().unwrap().conversation.permission_requests[0].nonce.clone()
}

#[test]
fn the_screen_at_80_by_24() {
    insta::assert_snapshot!(drawn(&mut shown(), 80, 24));
}

#[test]
fn the_screen_at_40_by_24() {
    insta::assert_snapshot!(drawn(&mut shown(), 40, 24));
}

#[test]
fn a_key_is_not_for_one_that_took_the_place_of_the_selected_one() {
    let without_the_first = || {
        let mut list = samples::list();
        list.conversations.retain(|c| c.conversation_id != id(1));
        News::Listed(list)
    };
    let mut model = shown();
    model.hear(without_the_first());
    let next = model.selected.clone().unwrap();
    assert!(model.notice.as_ref().unwrap().contains("is gone from the list"), "{:?}", model.notice);
    drawn(&mut model, 80, 24);
    assert!(types(&mut model, "xy").is_empty(), "the one that was meant is gone");
    assert!(model.notice.is_none() && matches!(model.mode, Mode::Browse));
    types(&mut model, "x");
    drawn(&mut model, 80, 24);
    assert_eq!(types(&mut model, "y"), [Action::Close(next)], "asked for again, with eyes open");

    // Whoever closes one after the other goes on with the next one.
    let mut model = shown();
    types(&mut model, "x");
    drawn(&mut model, 80, 24);
    assert_eq!(types(&mut model, "y"), [Action::Close(id(1))]);
    model.hear(without_the_first());
    assert!(model.notice.is_none(), "{:?}", model.notice);
    types(&mut model, "x");
    assert!(matches!(model.mode, Mode::Confirm(Action::Close(_))));
}

#[test]
fn nothing_to_show_says_how_to_begin() {
    let mut model = Model::default();
    model.hear(News::Listed(ListAnswer { conversations: vec![], total: 0, next: None }));
    let narrow = drawn(&mut model, 40, 8);
    insta::assert_snapshot!(format!("{}{narrow}", drawn(&mut model, 80, 10)));
    assert!(press(&mut model, KeyCode::Down).is_empty() && types(&mut model, "spcxj").is_empty());
}

#[test]
fn a_permission_request_at_80_by_24_and_at_40() {
    let mut model = asking(0);
    press(&mut model, KeyCode::Char('p'));
    let narrow = drawn(&mut model, 40, 16);
    insta::assert_snapshot!(format!("{}{narrow}", drawn(&mut model, 80, 16)));
}

#[test]
fn an_answer_a_question_and_the_help() {
    let mut model = shown();
    types(&mut model, "ssqlite shall stay, because it is faster.");
    let answer = drawn(&mut model, 80, 16);
    press(&mut model, KeyCode::Esc);
    types(&mut model, "x");
    let question = drawn(&mut model, 40, 16);
    types(&mut model, "n?");
    insta::assert_snapshot!(format!("{answer}{question}{}", drawn(&mut model, 80, 18)));
}

#[test]
fn a_lost_akkd_is_said_until_it_is_back_and_nothing_is_done_meanwhile() {
    let mut model = shown();
    model.hear(News::Lost("akkd is not running: nothing answers on /run/user/1000/akk/akkd.sock".to_owned()));
    insta::assert_snapshot!(drawn(&mut model, 40, 16));
    assert!(types(&mut model, "jxy").is_empty());
    assert!(model.notice.as_ref().unwrap().contains("nothing was done"));
    types(&mut model, "sanswer");
    assert!(press(&mut model, KeyCode::Enter).is_empty());
    assert!(model.hear(News::Back).contains(&Action::List));
    assert!(!drawn(&mut model, 80, 24).contains("trying again"));
    types(&mut model, "s");
    let selected = model.selected.clone().unwrap();
    assert_eq!(
        press(&mut model, KeyCode::Enter),
        [Action::Send(selected, "answer".to_owned())],
        "what was written is kept"
    );
}

#[test]
fn no_size_is_too_small_and_the_selected_one_is_always_in_sight() {
    let mut model = asking(30);
    let one = samples::list().conversations.remove(3);
    let many = (0..60).map(|n| {
        let conversation_id = format!("task-20260620T120525-{n:08x}").parse().unwrap();
        ConversationSummary { conversation_id, ..one.clone() }
    });
    let sizes = [(1, 1), (2, 2), (3, 5), (12, 4), (30, 3), (200, 3), (300, 100)];
    for mode in ["", "?", "p", "s", "x"] {
        types(&mut model, mode);
        for (columns, rows) in sizes {
            drawn(&mut model, columns, rows);
        }
        press(&mut model, KeyCode::Esc);
    }
    draw(&model, &samples::view(), &mut Buffer::empty(Rect::ZERO));
    model.hear(News::Listed(ListAnswer { conversations: many.collect(), total: 1_234, next: None }));
    for _ in 0..59 {
        let id = model.selected.clone().unwrap();
        for (columns, rows) in [(80, 24), (80, 12), (40, 12)] {
            let text = drawn(&mut model, columns, rows);
            assert!(text.contains(&format!("▸ {}", crate::output::short(&id))), "{text}");
            assert!(text.contains("1174 more not shown"), "{text}");
        }
        types(&mut model, "j");
    }
    assert!(types(&mut model, "jjG").is_empty(), "there is nothing behind the last one");
    let text = drawn(&mut model, 80, 24);
    assert!(text.contains("▸ 0000003b") && text.contains('▲') && !text.contains('▼'), "{text}");
}

#[test]
fn what_a_terminal_would_obey_never_reaches_it() {
    let mut model = Model::default();
    model.hear(News::Listed(samples::spoilt(&samples::list())));
    let mut detail = samples::spoilt(&samples::get());
    detail.conversation.conversation_id = model.selected.clone().unwrap();
    model.hear(News::Got(Box::new(detail)));
    for event in samples::every_event() {
        let mut event = samples::spoilt(&event);
        event.conversation_id = model.selected.clone().unwrap();
        model.hear(News::Event(Box::new(event)));
    }
    model.hear(News::Lost("evil \u{1b}[2J".to_owned()));
    model.hear(News::Told("evil \u{1b}[2J".to_owned()));
    for columns in [40, 120] {
        let text = drawn(&mut model, columns, 200);
        assert!(text.contains('␛'), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
    }
    let mut asked = samples::asking();
    asked.conversation_id = model.selected.clone().unwrap();
    let asked = GetAnswer { conversation: samples::spoilt(&asked), events: vec![], deliveries: vec![] };
    model.hear(News::Back);
    model.hear(News::Got(Box::new(asked)));
    types(&mut model, "p");
    let text = drawn(&mut model, 60, 24);
    assert!(text.contains("may it do this") && text.contains('␛'), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
}

#[test]
fn without_colour_there_is_none_and_the_selected_one_is_seen_all_the_same() {
    let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
    draw(&shown(), &samples::view(), &mut buffer);
    assert!(buffer.content.iter().all(|c| c.fg == Color::Reset && c.bg == Color::Reset));
    let marked: Vec<usize> = (0..buffer.content.len()).filter(|i| buffer.content[*i].symbol() == "▸").collect();
    let [at] = marked[..] else { panic!("one is selected: {marked:?}") };
    assert!(buffer.content[at..at + 80].iter().all(|c| c.modifier.contains(Modifier::REVERSED)));
    draw(&shown(), &samples::coloured(), &mut buffer);
    assert!(buffer.content.iter().any(|c| c.fg == Color::Red));
}

#[test]
fn a_message_is_typed_and_sent_and_keys_mean_letters_in_it() {
    let mut model = shown();
    assert!(types(&mut model, "squit?").is_empty());
    press(&mut model, KeyCode::Backspace);
    assert_eq!(press(&mut model, KeyCode::Enter), [Action::Send(id(1), "quit".to_owned())]);
    assert!(press(&mut model, KeyCode::Enter).is_empty(), "Enter begins an answer");
    assert!(press(&mut model, KeyCode::Enter).is_empty(), "and sends none that is empty");
}

#[test]
fn what_was_written_is_not_lost_when_it_is_left_or_refused() {
    let mut model = shown();
    types(&mut model, "shalf");
    press(&mut model, KeyCode::Esc);
    types(&mut model, "s way");
    let sent = press(&mut model, KeyCode::Enter);
    assert_eq!(sent, [Action::Send(id(1), "half way".to_owned())]);
    model.hear(News::NotSent(id(1), "half way".to_owned(), "the budget is used up".to_owned()));
    let text = drawn(&mut model, 80, 24);
    assert!(text.contains("the budget is used up") && text.contains("s brings your text back"), "{text}");
    types(&mut model, "s");
    assert_eq!(press(&mut model, KeyCode::Enter), sent);
}

#[test]
fn what_is_pasted_is_text_and_never_keys() {
    let mut model = shown();
    model.paste("xy");
    assert!(matches!(model.mode, Mode::Browse));
    types(&mut model, "s");
    model.paste("one\rxy\u{1b}");
    assert_eq!(press(&mut model, KeyCode::Enter), [Action::Send(id(1), "one\nxy".to_owned())]);
}

#[test]
fn cancel_and_close_ask_first() {
    let mut model = shown();
    assert!(types(&mut model, "cnc").is_empty());
    assert!(press(&mut model, KeyCode::Enter).is_empty(), "Enter is no yes");
    assert_eq!(types(&mut model, "cy"), [Action::Cancel(id(1))]);
    assert_eq!(types(&mut model, "xy"), [Action::Close(id(1))]);
    press(&mut model, KeyCode::Char('x'));
    assert!(press(&mut model, KeyCode::Char('y')).is_empty(), "the question was not on the screen yet");
    press(&mut model, KeyCode::Esc);
    drawn(&mut model, 80, 24);
    press(&mut model, KeyCode::Esc);
    assert_eq!(types(&mut model, "q"), [Action::Quit]);
}

#[test]
fn who_closes_one_after_the_other_goes_on_with_the_next() {
    let mut model = shown();
    let tab = |model: &mut Model| press(model, KeyCode::Tab);
    assert_eq!(tab(&mut model), [Action::Get(id(2))]);
    assert_eq!(tab(&mut model), [Action::Get(id(1))], "only two need you");
    let mut list = samples::list();
    list.conversations.remove(1);
    assert_eq!(model.hear(News::Listed(list)), [Action::Get(id(2))]);
}

#[test]
fn the_trace_is_scrolled_no_further_than_there_is_something() {
    let mut model = shown();
    let first = drawn(&mut model, 80, 20);
    for _ in 0..20 {
        press(&mut model, KeyCode::PageUp);
        drawn(&mut model, 80, 20);
    }
    let top = drawn(&mut model, 80, 20);
    assert!(top.contains("What came before: akkctl status 1a1b2c3d --trace") && top != first, "{top}");
    let mut pages = 0;
    while drawn(&mut model, 80, 20) != first {
        press(&mut model, KeyCode::PageDown);
        pages += 1;
        assert!(pages < 9);
    }
}

#[test]
fn a_gap_in_the_trace_is_asked_for() {
    let mut model = Model::default();
    model.hear(News::Listed(samples::list()));
    let mut told = asked();
    for (event, seq) in told.events.iter_mut().zip(1_000..) {
        event.seq = seq;
    }
    let last = told.events.last().unwrap().clone();
    assert_eq!(model.hear(News::Got(Box::new(told))), [Action::Past(id(1), last.seq - 200)]);
    let early = EventRecord { seq: 999, ..last.clone() };
    model.hear(News::Past(HistoryAnswer { conversation_id: id(1), events: vec![early], next_seq: None, cursor: 0 }));
    assert!(model.trace.contains_key(&999));
    // What is known already is not asked for again.
    let next = EventRecord { seq: last.seq + 1, ..last };
    assert_eq!(model.hear(News::Event(Box::new(next))), [Action::List, Action::Get(id(1))]);
    assert_eq!(model.trace.last_key_value().unwrap().0, &1_005);
}

#[test]
fn an_idle_screen_wakes_up_when_an_age_changes_and_else_never() {
    let view = samples::view();
    assert_eq!(Model::default().stands_for(&view), None);
    let mut model = shown();
    let stands = model.stands_for(&view).unwrap();
    assert_eq!(stands, Duration::from_mins(1), "all of them are two hours old");
    model.conversations[0].created_at = Timestamp(view.now.0 - 5_400);
    assert_eq!(model.stands_for(&view).unwrap(), Duration::from_millis(601));
}

#[test]
fn a_row_says_what_its_agent_is_about() {
    let mut model = Model::default();
    model.hear(News::Listed(samples::list()));
    let mut seq = 0;
    let mut happens = |model: &mut Model, body: EventBody, n: u32| {
        seq += 1;
        let record = asked().events.pop().unwrap();
        let turn_id = Some(akk_proto::TurnId::nth(n));
        model.hear(News::Event(Box::new(EventRecord { seq, conversation_id: id(0), turn_id, body, ..record })));
        drawn(model, 120, 24)
    };
    let tool = |title: &str, status: &str| {
        EventBody::AgentActivity(Activity::Tool {
            id: title.to_owned(),
            title: title.to_owned(),
            kind: None,
            status: status.to_owned(),
            preview: None,
        })
    };
    let question = asked().events.pop().unwrap().body;
    assert!(happens(&mut model, tool("cargo test", "in_progress"), 1).contains("verbose: cargo test\n"));
    assert!(happens(&mut model, tool("cargo test", "failed"), 1).contains("verbose: cargo test (failed)\n"));
    assert!(happens(&mut model, question, 1).contains("verbose: Both stores pass"));
    assert!(happens(&mut model, tool("clean up", "completed"), 1).contains("verbose: Both stores pass"), "it is asked");
    assert!(happens(&mut model, tool("go on", "in_progress"), 2).contains("verbose: go on\n"));
}
