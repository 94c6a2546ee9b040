//! `akkctl search`: where the words stand.

use super::terminal::{BOLD, DIM};
use super::text::{indented, one_line, short};
use super::{View, words};
use akk_proto::api::SearchAnswer;
use std::fmt::Write as _;

/// The hits, newest first.
pub(crate) fn search(answer: &SearchAnswer, view: &View) -> String {
    if answer.hits.is_empty() {
        return "Nothing found.\n".to_owned();
    }
    let mut out = String::new();
    for hit in &answer.hits {
        let facts =
            format!("{} {} · {} · {}", one_line(&hit.from), hit.kind, view.ago(hit.ts), words::status(hit.status));
        let _ = writeln!(out, "{}  {}", view.paint(BOLD, short(&hit.conversation_id)), view.paint(DIM, &facts));
        out.push_str(&indented(&one_line(&hit.snippet), 2));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn hits_name_their_conversation_and_message() {
        let none = search(&SearchAnswer { hits: vec![] }, &samples::view());
        insta::assert_snapshot!(format!("{}{none}", search(&samples::search(), &samples::view())));
    }
}
