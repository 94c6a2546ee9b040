//! What a person is asked, and what their key then answers.

use super::*;

#[test]
fn a_request_is_answered_by_its_nonce_even_when_the_list_moves() {
    let mut model = asking(0);
    let nonce = nonce(&model);
    types(&mut model, "p");
    model.hear(News::Listed(ListAnswer { conversations: vec![], total: 0, next: None }));
    assert_eq!(types(&mut model, "y"), [Action::Permit(id(1), nonce, Permit::Allow)]);
}

#[test]
fn a_request_is_allowed_only_when_its_last_line_was_on_the_screen() {
    for page in [KeyCode::Char(' '), KeyCode::PageDown, KeyCode::Down] {
        let mut model = asking(50);
        let nonce = nonce(&model);
        press(&mut model, KeyCode::Char('p'));
        let mut seen = drawn(&mut model, 80, 24);
        let mut pages = 0;
        while !seen.contains("line 50 of the request") {
            assert!(press(&mut model, KeyCode::Char('y')).is_empty() && model.notice.is_some());
            drawn(&mut model, 80, 24);
            assert!(press(&mut model, KeyCode::Char('a')).is_empty());
            drawn(&mut model, 80, 24);
            assert!(press(&mut model, page).is_empty());
            seen.push_str(&drawn(&mut model, 80, 24));
            pages += 1;
        }
        assert!((1..=50).all(|n| seen.contains(&format!("line {n} of the request\n"))), "no line was passed: {seen}");
        assert!(pages > 1, "it took {pages}");
        press(&mut model, KeyCode::Down);
        assert!(drawn(&mut model, 80, 24).contains("line 50 of the request\n"), "there is no scrolling past the end");
        assert_eq!(press(&mut model, KeyCode::Char('y')), [Action::Permit(id(1), nonce, Permit::Allow)]);
    }
}

#[test]
fn a_refusal_needs_no_reading_and_keys_that_nobody_was_asked_for_are_none() {
    let mut model = asking(50);
    let nonce = nonce(&model);
    // All at once, as if it had been typed ahead: nothing of the request was on the screen.
    press(&mut model, KeyCode::Char('p'));
    assert!(["y", "n", "a"].iter().all(|k| press(&mut model, KeyCode::Char(k.chars().next().unwrap())).is_empty()));
    assert!(matches!(model.mode, Mode::Permit(_)));
    drawn(&mut model, 80, 24);
    // Esc and a letter in one piece, as terminals send keys that are not known.
    for key in ['y', 'n', 'a'] {
        assert!(model.press(KeyEvent::new(KeyCode::Char(key), KeyModifiers::ALT)).is_empty());
        assert!(model.press(KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL)).is_empty());
    }
    assert_eq!(press(&mut model, KeyCode::Char('n')), [Action::Permit(id(1), nonce, Permit::Deny)]);
}

#[test]
fn the_end_of_a_long_request_is_fetched_before_it_can_be_allowed() {
    let mut model = asking(0);
    let request = &mut model.detail.as_mut().unwrap().conversation.permission_requests[0];
    request.truncated = true;
    let nonce = request.nonce.clone();
    assert_eq!(types(&mut model, "p"), [Action::Whole(id(1), nonce.clone())]);
    assert!(types(&mut model, "ya").is_empty());
    model.hear(News::Whole("another".to_owned(), Some(("x".to_owned(), false))));
    assert!(types(&mut model, "y").is_empty());
    model.hear(News::Whole(nonce.clone(), Some(("the whole\nof it".to_owned(), false))));
    assert!(press(&mut model, KeyCode::Char('y')).is_empty(), "it was not on the screen yet");
    assert!(drawn(&mut model, 80, 24).contains("of it"));
    assert_eq!(press(&mut model, KeyCode::Char('y')), [Action::Permit(id(1), nonce, Permit::Allow)]);
}

#[test]
fn what_akkd_does_not_know_whole_is_not_allowed_from_here() {
    let mut model = asking(0);
    let request = &mut model.detail.as_mut().unwrap().conversation.permission_requests[0];
    request.truncated = true;
    let nonce = request.nonce.clone();
    types(&mut model, "p");
    model.hear(News::Whole(nonce.clone(), None));
    assert!(drawn(&mut model, 80, 24).contains("a part of it is not known"));
    assert!(types(&mut model, "y").is_empty());
    assert!(model.notice.as_ref().unwrap().contains("akkctl permit 1a1b2c3d"));
    assert_eq!(types(&mut model, "n"), [Action::Permit(id(1), nonce, Permit::Deny)]);
}

#[test]
fn a_request_that_is_settled_meanwhile_takes_no_key() {
    let mut model = asking(0);
    types(&mut model, "p");
    let mut told = model.detail.clone().unwrap();
    told.conversation.permission_requests.clear();
    model.hear(News::Got(told));
    assert!(matches!(model.mode, Mode::Browse));
    assert!(types(&mut model, "y").is_empty());
}
