use super::draw::draw;
use super::model::{Action, Mode, Model, News};
use crate::output::samples;
use akk_proto::api::{GetAnswer, ListAnswer};
use akk_proto::permission::Permit;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use ratatui::style::Color;

fn picture(model: &Model, columns: u16, rows: u16) -> String {
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
    draw(model, &samples::view(), &mut buffer);
    (0..rows).map(|y| line(&buffer, y) + "\n").collect()
}

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

/// The list of the samples, with the first one selected and told.
fn shown() -> Model {
    let mut model = Model::default();
    let wanted = model.hear(News::Listed(samples::list()));
    assert_eq!(wanted, [Action::Get(samples::list().conversations[1].conversation_id.clone())]);
    let mut detail = samples::get();
    detail.conversation.conversation_id = samples::list().conversations[1].conversation_id.clone();
    model.hear(News::Got(Box::new(detail)));
    model
}

/// One whose agent asks for a permission.
fn asking() -> Model {
    let mut model = shown();
    let mut conversation = samples::asking();
    conversation.conversation_id = model.selected.clone().unwrap();
    model.hear(News::Got(Box::new(GetAnswer { conversation, events: vec![], deliveries: vec![] })));
    model
}

fn press(model: &mut Model, key: KeyCode) -> Vec<Action> {
    model.press(KeyEvent::new(key, KeyModifiers::NONE))
}

fn types(model: &mut Model, text: &str) -> Vec<Action> {
    text.chars().flat_map(|c| press(model, KeyCode::Char(c))).collect()
}

#[test]
fn the_screen_at_80_by_24() {
    insta::assert_snapshot!(picture(&shown(), 80, 24));
}

#[test]
fn the_screen_at_40_by_10() {
    insta::assert_snapshot!(picture(&shown(), 40, 10));
}

#[test]
fn nothing_to_show_says_how_to_begin() {
    let mut model = Model::default();
    model.hear(News::Listed(ListAnswer { conversations: vec![], total: 0, next: None }));
    insta::assert_snapshot!(picture(&model, 80, 6));
    assert!(press(&mut model, KeyCode::Down).is_empty() && types(&mut model, "spcx").is_empty());
}

#[test]
fn the_help_and_a_request_fill_the_screen() {
    let mut model = asking();
    types(&mut model, "?");
    let help = picture(&model, 80, 12);
    types(&mut model, "?p");
    insta::assert_snapshot!(format!("{help}{}", picture(&model, 80, 10)));
}

#[test]
fn no_size_is_too_small_and_the_selected_one_is_always_in_sight() {
    let mut model = shown();
    let one = samples::list().conversations.remove(3);
    let many = (0..200).map(|n| {
        let conversation_id = format!("task-20260620T120525-{n:08x}").parse().unwrap();
        akk_proto::conversation::ConversationSummary { conversation_id, ..one.clone() }
    });
    model.hear(News::Listed(ListAnswer { conversations: many.collect(), total: 1_234, next: None }));
    for mode in ["", "?", "\u{1b}s"] {
        types(&mut model, mode);
        for (columns, rows) in [(0, 0), (1, 1), (2, 2), (3, 5), (200, 3), (300, 100)] {
            picture(&model, columns, rows);
        }
        press(&mut model, KeyCode::Esc);
    }
    types(&mut model, "G");
    let text = picture(&model, 80, 10);
    assert!(text.contains("> 000000c7") && text.contains("1034 more not shown"), "{text}");
}

#[test]
fn what_a_terminal_would_obey_never_reaches_it() {
    let mut model = Model::default();
    model.hear(News::Listed(samples::spoilt(&samples::list())));
    let mut detail = samples::spoilt(&samples::get());
    detail.conversation.conversation_id = model.selected.clone().unwrap();
    model.hear(News::Got(Box::new(detail)));
    model.hear(News::Lost("evil \u{1b}[2J".to_owned()));
    let text = picture(&model, 120, 40);
    assert!(text.contains('␛'), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
}

#[test]
fn without_colour_there_is_none() {
    let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
    draw(&shown(), &samples::view(), &mut buffer);
    assert!(buffer.content.iter().all(|c| c.fg == Color::Reset && c.bg == Color::Reset));
    draw(&shown(), &samples::coloured(), &mut buffer);
    assert!(buffer.content.iter().any(|c| c.fg == Color::Red));
}

#[test]
fn a_request_is_answered_by_its_nonce_even_when_the_list_moves() {
    let mut model = asking();
    let id = model.selected.clone().unwrap();
    let nonce = model.detail.as_ref().unwrap().conversation.permission_requests[0].nonce.clone();
    types(&mut model, "p");
    model.hear(News::Listed(ListAnswer { conversations: vec![], total: 0, next: None }));
    assert_eq!(types(&mut model, "y"), [Action::Permit(id, nonce, Permit::Allow)]);
}

#[test]
fn a_request_that_is_settled_meanwhile_takes_no_key() {
    let mut model = asking();
    types(&mut model, "p");
    let mut told = model.detail.clone().unwrap();
    told.conversation.permission_requests.clear();
    model.hear(News::Got(told));
    assert!(matches!(model.mode, Mode::Browse));
    assert!(types(&mut model, "y").is_empty());
}

#[test]
fn a_message_is_typed_and_sent_and_keys_mean_letters_in_it() {
    let mut model = shown();
    let id = model.selected.clone().unwrap();
    assert!(types(&mut model, "squit?").is_empty());
    press(&mut model, KeyCode::Backspace);
    assert_eq!(press(&mut model, KeyCode::Enter), [Action::Send(id, "quit".to_owned())]);
}

#[test]
fn cancel_and_close_ask_first() {
    let mut model = shown();
    let id = model.selected.clone().unwrap();
    assert!(types(&mut model, "cn").is_empty());
    assert_eq!(types(&mut model, "cy"), [Action::Cancel(id.clone())]);
    assert_eq!(types(&mut model, "xy"), [Action::Close(id)]);
    assert_eq!(types(&mut model, "q"), [Action::Quit]);
}

#[test]
fn a_lost_akkd_is_said_until_it_is_back() {
    let mut model = shown();
    model.hear(News::Lost("nothing answers".to_owned()));
    assert!(picture(&model, 80, 24).starts_with("akkd is not reachable"));
    assert!(model.hear(News::Back).contains(&Action::List));
    assert!(!picture(&model, 80, 24).contains("not reachable"));
}

#[test]
fn what_is_pasted_is_text_and_never_keys() {
    let mut model = shown();
    let id = model.selected.clone().unwrap();
    model.paste("xy");
    assert!(matches!(model.mode, Mode::Browse));
    types(&mut model, "s");
    model.paste("one\rxy");
    assert_eq!(press(&mut model, KeyCode::Enter), [Action::Send(id, "one\nxy".to_owned())]);
}
