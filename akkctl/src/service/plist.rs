//! The property list of launchd's agent, filled in.

use super::platform::LABEL;
use std::collections::BTreeMap;
use std::path::Path;

const TEMPLATE: &str = include_str!("../../../packaging/launchd/akkd.plist");
/// Where the variables go.
const VARIABLES: &str = "    <key>PATH</key>\n    <string>@PATH@</string>\n";

/// The agent for the program `akkd`, which gets these variables. None where one of them holds what XML cannot: a control
/// character, or bytes that are no UTF-8.
pub(super) fn rendered(akkd: &Path, environment: &[(&'static str, String)]) -> Option<String> {
    let program = escaped(akkd.to_str()?)?;
    let mut variables = String::new();
    for (name, value) in environment {
        variables.push_str(&format!("    <key>{name}</key>\n    <string>{}</string>\n", escaped(value)?));
    }
    // The paths last: what stands in them is not looked at again.
    let text = TEMPLATE.replace("@LABEL@", LABEL);
    let (before, after) = text.split_once(VARIABLES)?;
    let before = before.replace("@AKKD@", &program);
    Some(format!("{before}{variables}{after}"))
}

/// The variables that an agent of ours sets.
pub(super) fn environment_of(plist: &str) -> BTreeMap<String, String> {
    let after = plist.split_once("<key>EnvironmentVariables</key>").map_or("", |(_, rest)| rest);
    let inside = after.split_once("</dict>").map_or("", |(inside, _)| inside);
    let mut found = BTreeMap::new();
    let mut name = None;
    for line in inside.lines().map(str::trim) {
        let between = |tag: &str| line.strip_prefix(&format!("<{tag}>"))?.strip_suffix(&format!("</{tag}>"));
        if let Some(key) = between("key") {
            name = Some(key.to_owned());
        } else if let (Some(value), Some(name)) = (between("string"), name.take()) {
            found.insert(name, unescaped(value));
        }
    }
    found
}

/// `text` as content of an element of XML 1.0.
fn escaped(text: &str) -> Option<String> {
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}')) {
        return None;
    }
    Some(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_would_read_as_its_own_is_escaped() {
        let environment = [("PATH", "/a&b:/<c>:/@AKKD@".to_owned()), ("no_proxy", "&lt;".to_owned())];
        let text = rendered(Path::new("/Users/a & b/</string>/akkd"), &environment).unwrap();
        assert!(text.contains("<string>/Users/a &amp; b/&lt;/string&gt;/akkd</string>"), "{text}");
        assert!(text.contains("<key>PATH</key>\n    <string>/a&amp;b:/&lt;c&gt;:/@AKKD@</string>\n"), "{text}");
        assert!(text.contains(&format!("<string>{LABEL}</string>")) && !text.contains("@LABEL@"), "{text}");
        let read: Vec<_> = environment_of(&text).into_iter().collect();
        let written: Vec<_> = environment.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        assert_eq!(read, written, "what was written is read back");
    }

    #[test]
    fn what_xml_cannot_hold_is_refused() {
        assert!(rendered(Path::new("/a\u{1}"), &[]).is_none());
        assert!(rendered(Path::new("/a"), &[("PATH", "/\u{ffff}".to_owned())]).is_none());
    }
}
