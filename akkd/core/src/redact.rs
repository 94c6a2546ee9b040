//! Secrets are taken out wherever text leaves the store: logs, traces, notices, fork context.
//!
//! Recognised: values of keys such as authorization, api key, token, secret, password, proxy; `Bearer …`;
//! `--token …`; `sk-…`; GitHub and AWS key shapes; PEM private keys; `user:password` in addresses.

use regex_lite::{Captures, Regex};
use std::sync::LazyLock;

/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";

/// A pattern, and which of its groups are kept around the mark.
struct Rule {
    /// What stands in every text that the pattern fits, in small letters: one of these, whatever the case. Looking for
    /// it costs a hundredth of the pattern, and most texts hold no secret.
    signs: &'static [&'static str],
    pattern: Regex,
    before: usize,
    after: usize,
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    const KEYS: &[&str] = &["authorization", "key", "token", "secret", "passw", "passphrase", "proxy"];
    let key = r"(?:[A-Za-z0-9_.-]*(?:authorization|api[ _-]?key|access[_-]?key|private[_-]?key|token|secret|password|passwd|passphrase|[_-]proxy|proxy)(?:[_-]?(?:key|value))?)";
    // A value without its closing quote was cut: all of it counts.
    let quoted = r#"\\+"(?:[^"\\]|\\+[^"\\])*(?:\\+"|\z)|"(?:[^"\\]|\\.)*(?:"|\z)|'(?:[^'\\]|\\.)*'"#;
    let value = format!(
        r#"(?:{quoted}|(?:Bearer|Basic|Digest|Negotiate|ApiKey|token)\s+[^\s"',;]+|(?:\[redacted\]|[^\s"',;}}\]])+)"#
    );
    [
        (
            &["-----begin"][..],
            r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\z)"
                .to_owned(),
            0,
            0,
        ),
        // The end of a key whose beginning was cut off.
        (&["-----end"], r"[A-Za-z0-9+/=\s\\]+-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----".to_owned(), 0, 0),
        (&["@"], r#"([A-Za-z][A-Za-z0-9+.-]*:(?:\\?/){2})[^\s/@:]*:[^\s/"']*(@)"#.to_owned(), 1, 2),
        (KEYS, format!(r#"(?i)((?:\\*["'])?{key}(?:\\*["'])?\s*[:=]{{1,3}}>?\s*){value}()"#), 1, 2),
        (KEYS, format!(r"(?i)(--?{key}\s+){value}()"), 1, 2),
        (&["bearer"], r"(?i)(\bBearer\s+)[A-Za-z0-9._~+/=-]{4,}()".to_owned(), 1, 2),
        (&["sk-"], r"\bsk-[A-Za-z0-9_-]{8,}".to_owned(), 0, 0),
        (
            &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
            r"\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_[A-Za-z0-9_]{16,})".to_owned(),
            0,
            0,
        ),
        (&["akia", "asia"], r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b".to_owned(), 0, 0),
    ]
    .into_iter()
    // A pattern that does not compile would be a defect of this table; the tests below walk every row.
    .filter_map(|(signs, p, before, after)| Some(Rule { signs, pattern: Regex::new(&p).ok()?, before, after }))
    .collect()
});

/// Prose such as `token: the next word` is no secret: after a blank, a word of small letters alone. Passwords may be such
/// words, so only the keys whose values are made by machines count.
fn is_prose(before: &str, found: &str) -> bool {
    let value = &found[before.len()..];
    let key = before.trim_end_matches([':', ' ']).to_ascii_lowercase();
    before.ends_with(": ")
        && (key.ends_with("token") || key.ends_with("proxy"))
        && value.len() < 16
        && value.bytes().all(|b| b.is_ascii_lowercase())
}

/// `text` with every recognised secret replaced by [`REDACTED`].
pub fn redact(text: &str) -> String {
    // What a rule puts in has no sign of another one: looking once is enough.
    let mut may_fit = vec![false; RULES.len()];
    let bytes = text.as_bytes();
    let signs = &*SIGNS;
    for (at, byte) in bytes.iter().enumerate() {
        let Some(signs) = &signs[usize::from(*byte)] else { continue };
        for (rule, sign) in signs {
            if !may_fit[*rule] {
                may_fit[*rule] = bytes.get(at..at + sign.len()).is_some_and(|b| b.eq_ignore_ascii_case(sign));
            }
        }
    }
    if !may_fit.contains(&true) {
        return text.to_owned();
    }
    apply(text, |rule| may_fit[rule])
}

/// A rule, and one of its signs.
type Sign = (usize, &'static [u8]);

/// The signs, each with its rule, by their first byte in either case.
static SIGNS: LazyLock<Vec<Option<Vec<Sign>>>> = LazyLock::new(|| {
    let mut signs = vec![None; 256];
    for (at, rule) in RULES.iter().enumerate() {
        for sign in rule.signs.iter().map(|sign| sign.as_bytes()) {
            let first = [sign[0], sign[0].to_ascii_uppercase()];
            for byte in &first[..if first[0] == first[1] { 1 } else { 2 }] {
                signs[usize::from(*byte)].get_or_insert_with(Vec::new).push((at, sign));
            }
        }
    }
    signs
});

/// `text` after those rules that `may_fit`.
fn apply(text: &str, may_fit: impl Fn(usize) -> bool) -> String {
    let mut out = text.to_owned();
    for (_, rule) in RULES.iter().enumerate().filter(|(at, _)| may_fit(*at)) {
        if !rule.pattern.is_match(&out) {
            continue;
        }
        let group = |c: &Captures<'_>, g: usize| c.get(g).map_or_else(String::new, |m| m.as_str().to_owned());
        let kept = |c: &Captures<'_>, g: usize| if g == 0 { String::new() } else { group(c, g) };
        let replacement = |c: &Captures<'_>| {
            let (before, found) = (kept(c, rule.before), group(c, 0));
            if is_prose(&before, &found) { found } else { format!("{before}{REDACTED}{}", kept(c, rule.after)) }
        };
        out = rule.pattern.replace_all(&out, replacement).into_owned();
    }
    out
}

/// One line of `text`: redacted, white space folded, cut at `max_chars` with an ellipsis.
pub fn preview(text: &str, max_chars: usize) -> String {
    // A preview of a huge text must not cost a pass over all of it.
    let head: String = text.chars().take(max_chars.saturating_mul(4).max(256)).collect();
    let folded = redact(&head).split_whitespace().collect::<Vec<_>>().join(" ");
    cut(&folded, max_chars)
}

/// `text` cut at `max_chars`, the last of them an ellipsis where something was cut.
pub fn cut(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        None => text.to_owned(),
        Some(_) if max_chars == 0 => String::new(),
        Some(_) => text.chars().take(max_chars.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_of_the_table_compiles() {
        assert_eq!(RULES.len(), 9);
    }

    #[test]
    fn secrets_are_taken_out_and_the_rest_stays() {
        for (text, expected) in [
            ("Authorization: Bearer abc.def", "Authorization: [redacted]"),
            (r#"{"api_key":"k-123","x":1}"#, r#"{"api_key":[redacted],"x":1}"#),
            (r#"{\"token\":\"abc\"}"#, r#"{\"token\":[redacted]}"#),
            ("GITHUB_TOKEN=abc next", "GITHUB_TOKEN=[redacted] next"),
            ("run --token hunter2 now", "run --token [redacted] now"),
            ("curl -H 'x' Bearer abcdef12", "curl -H 'x' Bearer [redacted]"),
            ("key sk-abcdefgh12345678 end", "key [redacted] end"),
            ("ghp_0123456789abcdef0123 x", "[redacted] x"),
            ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
            ("https://me:pw@host/x", "https://[redacted]@host/x"),
            ("ALL_PROXY=socks5://a:b@h:1", "ALL_PROXY=[redacted]"),
            ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nrest", "[redacted]\nrest"),
            ("password: 'a b' c", "password: [redacted] c"),
            ("Authorization: Basic dXNlcjpwdw== x", "Authorization: [redacted] x"),
            ("Proxy-Authorization: Negotiate YIIabc", "Proxy-Authorization: [redacted]"),
            ("GET /x?password=hunter2 HTTP/1.1", "GET /x?password=[redacted] HTTP/1.1"),
            (r#"password := "hunter2""#, "password := [redacted]"),
            ("'password' => 'hunter2',", "'password' => [redacted],"),
            ("DJANGO_SECRET_KEY=abc def", "DJANGO_SECRET_KEY=[redacted] def"),
            ("API key: abc123", "API key: [redacted]"),
            ("token: abc123", "token: [redacted]"),
            ("password: hunter", "password: [redacted]"),
            (r#"{"password":"cut off here"#, r#"{"password":[redacted]"#),
            (r#"{\\\"token\\\":\\\"abc\\\",1}"#, r#"{\\\"token\\\":[redacted],1}"#),
            (r"https:\/\/me:pw@host\/x", r"https:\/\/[redacted]@host\/x"),
            ("https://me:p@ss@host/x", "https://[redacted]@host/x"),
            (r#""-----BEGIN PRIVATE KEY-----\nMIIE\nabc\n-----END PRIVATE KEY-----\n""#, r#""[redacted]\n""#),
            ("MIIEabc\nQkJCQg==\n-----END PRIVATE KEY-----\nrest", "[redacted]\nrest"),
        ] {
            assert_eq!(redact(text), expected, "{text}");
        }
    }

    #[test]
    fn no_rule_is_passed_over_for_want_of_its_sign() {
        let words = [
            "-----BEGIN RSA PRIVATE KEY-----",
            "-----END PRIVATE KEY BLOCK-----",
            "Ftp://me:pw@host",
            r"x:\/\/a:b@",
            "API_Key=",
            "PassWD:",
            "passphrase: x",
            "--SECRET abc1",
            "bEARER abcd",
            "sk-abcdefgh",
            "gho_0123456789abcdef",
            "github_pat_0123456789abcdef",
            "ASIA0123456789ABCDEF",
            "ALL_PROXY=http://x",
            "Authorization: Digest abc",
            "[redacted]",
        ];
        for one in words {
            for other in words {
                for text in [format!("{one}{other}"), format!("{one} {other}"), format!("{one}\n{other}")] {
                    assert_eq!(redact(&text), apply(&text, |_| true), "{text}");
                }
            }
        }
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        for text in [
            "total tokens used 512",
            "\"total_tokens\": 512",
            "the secretary said: hello",
            "see https://host/a:b",
            "sk-1",
            "unexpected token: the parser stopped",
            "no proxy: going on without one",
            "https://host:80/x and me@host",
            r#"{"url":"https://host:80","mail":"me@host"}"#,
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn a_preview_is_one_short_line() {
        assert_eq!(preview("a\n  b\tc", 80), "a b c");
        assert_eq!(preview(&"x".repeat(500), 10), format!("{}…", "x".repeat(9)));
        assert_eq!(cut("äöü", 3), "äöü");
    }

    #[test]
    fn a_long_body_is_cut_at_characters() {
        assert_eq!(cut("größer", 6), "größer");
        assert_eq!(cut("größer", 4), "grö…");
        assert_eq!(cut("größer", 1), "…");
        assert_eq!(cut("größer", 0), "");
    }
}
