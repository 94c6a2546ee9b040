//! `akkctl deliveries`: what waits for the orchestrator.

use super::terminal::DIM;
use super::text::{column_widths, fit, one_line, padded, short, wrapped};
use super::{View, words};
use akk_proto::api::DeliveryListAnswer;
use akk_proto::delivery::{DeliveryState, DeliveryView};
use std::fmt::Write as _;

const HEAD: [&str; 6] = ["ID", "CONV", "KIND", "STATE", "TRIES", "AGE"];

/// The outbox as a table.
pub(crate) fn deliveries(answer: &DeliveryListAnswer, view: &View) -> String {
    if answer.deliveries.is_empty() {
        return "Nothing waits for an orchestrator.\n".to_owned();
    }
    let rows: Vec<[String; 6]> = answer.deliveries.iter().map(|d| cells(d, view)).collect();
    let widths = column_widths(HEAD, rows.iter());
    let mut out = String::new();
    let head: String = HEAD.iter().zip(&widths).map(|(h, w)| padded(h, w + 2)).collect();
    out.push_str(&view.paint(DIM, &format!("{head}TEXT")));
    out.push('\n');
    let left = view.width.map(|w| w.saturating_sub(widths.iter().map(|w| w + 2).sum::<usize>()));
    for (row, d) in rows.iter().zip(&answer.deliveries) {
        for (i, (cell, w)) in row.iter().zip(&widths).enumerate() {
            let cell = padded(cell, w + 2);
            out.push_str(&if i == 3 { view.paint(words::delivery_style(d.state), &cell) } else { cell });
        }
        out.push_str(&fit(&one_line(&d.preview), left));
        out.push('\n');
        for why in why(d) {
            let _ = writeln!(out, "{}", view.paint(DIM, wrapped(&why, view.width, 4).trim_end()));
        }
    }
    out.push_str(
        &view.paint(DIM, "akkctl deliveries retry ID tries one again, akkctl deliveries ack ID marks it as told"),
    );
    out.push('\n');
    out
}

/// One of them after `retry` or `ack`.
pub(crate) fn delivery(d: &DeliveryView, view: &View) -> String {
    let state = view.paint(words::delivery_style(d.state), d.state.as_str());
    let mut out = format!("{} of {} is {state}\n", tail(d), short(&d.conversation_id));
    for why in why(d) {
        let _ = writeln!(out, "{}", view.paint(DIM, wrapped(&why, view.width, 2).trim_end()));
    }
    out
}

/// Why it is not told yet, in lines.
pub(super) fn why(d: &DeliveryView) -> Vec<String> {
    if d.state == DeliveryState::Acknowledged {
        return Vec::new();
    }
    let error = d.last_error.as_deref().map(|e| format!("The last attempt failed: {}", one_line(e)));
    d.waits_for.as_deref().map(one_line).into_iter().chain(error).collect()
}

/// The end of the message's id: what a person may type for a delivery.
fn tail(d: &DeliveryView) -> &str {
    let id = d.delivery_id.as_str();
    // Our ids are ASCII.
    id.get(id.len().saturating_sub(8)..).unwrap_or(id)
}

fn cells(d: &DeliveryView, view: &View) -> [String; 6] {
    let age = view.age(d.created_at);
    [
        tail(d).to_owned(),
        short(&d.conversation_id).to_owned(),
        one_line(&d.kind),
        d.state.as_str().to_owned(),
        d.attempts.to_string(),
        if d.overdue { format!("{age}!") } else { age },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn the_outbox_shows_what_waits_and_why() {
        let answer = DeliveryListAnswer { deliveries: samples::deliveries() };
        insta::assert_snapshot!(deliveries(&answer, &samples::view()));
    }

    #[test]
    fn one_delivery_and_an_empty_outbox_have_their_words() {
        let view = samples::view();
        let one = delivery(&samples::deliveries()[0], &view);
        let none = deliveries(&DeliveryListAnswer { deliveries: vec![] }, &view);
        insta::assert_snapshot!(format!("{one}{none}"));
    }
}
