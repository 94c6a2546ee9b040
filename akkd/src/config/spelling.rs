//! From what somebody wrote to what they may have meant.

/// The candidate that `written` is most likely a misspelling of, if one is near enough.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written: String = written.chars().take(64).flat_map(char::to_lowercase).collect();
    let allowed = (written.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(&written, &c.to_lowercase()), c))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

/// A hint that names the likely candidate and then all of them.
pub fn suggest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    let all = candidates.clone().into_iter().collect::<Vec<_>>().join(", ");
    match nearest(written, candidates) {
        Some(one) => format!("Did you mean `{one}`? Known are: {all}."),
        None => format!("Known are: {all}."),
    }
}

/// What serde says about input that does not fit, as a sentence and a hint.
///
/// serde puts the known names into one sentence with the unknown one (``unknown field `x`, expected one of `a`,
/// `b` ``); apart they make an error that can be read, and a suggestion.
pub fn explain(message: &str) -> (String, String) {
    let message = without_position(message);
    if let Some(field) = message.strip_prefix("missing field ") {
        return (format!("{field} is missing"), format!("Give {field}."));
    }
    let Some((what, expected)) = message.split_once(", expected ") else {
        let what = message.replace(", there are no fields", "");
        return (what, "See the documentation of this call or file for what may stand here.".to_owned());
    };
    // The names of our types say nothing to who wrote the input.
    let expected = if expected.starts_with("struct ") { "an object with named members" } else { expected };
    let expected = match expected {
        "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "a sequence" => "a list, such as `[\"one\", \"two\"]`",
        other => other,
    };
    // What the grammar wants next is no name that could be meant.
    if expected.starts_with('`') && !expected.contains(char::is_alphanumeric) {
        return (message.to_owned(), "See whether a bracket or a quotation mark is missing.".to_owned());
    }
    if expected.starts_with("a list") {
        return (format!("{what}, expected a list"), format!("Give {expected}."));
    }
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let written = what.split('`').nth(1);
    match (written, known.is_empty()) {
        (Some(written), false) => (what.to_owned(), suggest(written, known.iter().copied())),
        (None, false) => (what.to_owned(), format!("Known are: {}.", known.join(", "))),
        (_, true) => (format!("{what}, expected {expected}"), format!("Give {expected} here.")),
    }
}

/// serde_json ends its messages with the place in a text that the sender never saw in this form.
fn without_position(message: &str) -> &str {
    message.rfind(" at line ").map_or(message, |at| &message[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_different_word_is_not() {
        let words = ["workspace", "request", "model"];
        assert_eq!(nearest("wrkspace", words), Some("workspace"));
        assert_eq!(nearest("Modle", words), Some("model"));
        assert_eq!(nearest("banana", words), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), words), None);
    }

    #[test]
    fn what_serde_says_becomes_a_sentence_and_a_hint() {
        let (what, hint) =
            explain("unknown field `wrkspace`, expected one of `request`, `workspace` at line 1 column 9");
        assert_eq!(what, "unknown field `wrkspace`");
        assert_eq!(hint, "Did you mean `workspace`? Known are: request, workspace.");
        let (what, hint) = explain("invalid type: string \"x\", expected u32");
        assert_eq!(what, "invalid type: string \"x\", expected a whole number, 0 or more");
        assert_eq!(hint, "Give a whole number, 0 or more here.");
        let (what, hint) = explain("invalid type: string \"x\", expected a sequence");
        assert_eq!(what, "invalid type: string \"x\", expected a list");
        assert_eq!(hint, "Give a list, such as `[\"one\", \"two\"]`.");
        let (what, hint) = explain("unclosed table, expected `]`");
        assert_eq!(what, "unclosed table, expected `]`");
        assert_eq!(hint, "See whether a bracket or a quotation mark is missing.");
        let (what, hint) = explain("missing field `path` at line 1 column 2");
        assert_eq!((what.as_str(), hint.as_str()), ("`path` is missing", "Give `path`."));
        let (what, _) = explain("invalid type: integer `5`, expected struct SendParams");
        assert_eq!(what, "invalid type: integer `5`, expected an object with named members");
        let (what, _) = explain("unknown field `x`, there are no fields at line 1 column 5");
        assert_eq!(what, "unknown field `x`");
    }
}
