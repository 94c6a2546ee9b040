//! The unit files of systemd's user service, filled in.

use std::collections::BTreeMap;
use std::path::Path;

/// Units by file name: the service and its two sockets.
const TEMPLATES: [(&str, &str); 3] = [
    ("akkd.service", include_str!("../../../packaging/systemd/akkd.service")),
    ("akkd-control.socket", include_str!("../../../packaging/systemd/akkd-control.socket")),
    ("akkd-callback.socket", include_str!("../../../packaging/systemd/akkd-callback.socket")),
];

/// File name and content of each unit for the program `akkd`, which gets these variables. None where one of them holds
/// what no unit file can: a control character, or bytes that are no UTF-8.
pub(super) fn rendered(akkd: &Path, environment: &[(&'static str, String)]) -> Option<Vec<(String, String)>> {
    // `$` stands for itself in the path of the program, unlike in its arguments (tried with systemd 252).
    let program = quoted(akkd.to_str()?)?;
    let mut variables = String::new();
    for (name, value) in environment {
        variables.push_str(&format!("Environment={}\n", quoted(&format!("{name}={value}"))?));
    }
    let fill = |template: &str| {
        let lines = template.lines().map(|line| match line {
            "ExecStart=@AKKD@" => format!("ExecStart={program}\n"),
            "Environment=@PATH@" => variables.clone(),
            line => format!("{line}\n"),
        });
        lines.collect()
    };
    Some(TEMPLATES.iter().map(|(name, template)| ((*name).to_owned(), fill(template))).collect())
}

/// The variables that a unit sets, as far as they stand one to a line, as ours do.
pub(super) fn environment_of(unit: &str) -> BTreeMap<String, String> {
    let words = unit.lines().filter_map(|line| line.strip_prefix("Environment="));
    let pairs = words.filter_map(|word| {
        let word = unquoted(word.trim());
        word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    });
    pairs.collect()
}

/// `word` as one word of a unit file: `%` starts a specifier there (systemd.unit(5)), `\` an escape (systemd.syntax(7)).
fn quoted(word: &str) -> Option<String> {
    if word.chars().any(char::is_control) {
        return None;
    }
    Some(format!("\"{}\"", word.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%")))
}

/// What [`quoted`] was made of; what is not quoted stands for itself.
fn unquoted(word: &str) -> String {
    let inner = word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(word);
    let mut out = String::new();
    let mut chars = inner.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            '%' => {
                chars.next_if_eq(&'%');
                out.push('%');
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_would_read_as_its_own_is_escaped() {
        let environment = [("PATH", r#"/usr/bin:/q"\"#.to_owned()), ("http_proxy", "http://h/%41".to_owned())];
        let units = rendered(Path::new("/opt/a b/50%/$x/akkd"), &environment).unwrap();
        let service = &units[0].1;
        assert!(service.contains("\nExecStart=\"/opt/a b/50%%/$x/akkd\"\n"), "{service}");
        assert!(service.contains("\nEnvironment=\"PATH=/usr/bin:/q\\\"\\\\\"\n"), "{service}");
        assert!(units.iter().all(|(_, text)| !text.contains("=@")));
        let read: Vec<_> = environment_of(service).into_iter().collect();
        let written: Vec<_> = environment.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
        assert_eq!(read, written, "what was written is read back");
    }

    #[test]
    fn what_no_unit_file_can_hold_is_refused() {
        assert!(rendered(Path::new("/a\nExecStartPre=/b"), &[]).is_none());
        assert!(rendered(Path::new("/a"), &[("PATH", "/a\nExecStartPre=/b".to_owned())]).is_none());
    }
}
