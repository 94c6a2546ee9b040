//! The unit files of the user service, filled in.

use std::path::Path;

/// Units by file name: the service and its two sockets.
const TEMPLATES: [(&str, &str); 3] = [
    ("akkd.service", include_str!("../../../packaging/systemd/akkd.service")),
    ("akkd-control.socket", include_str!("../../../packaging/systemd/akkd-control.socket")),
    ("akkd-callback.socket", include_str!("../../../packaging/systemd/akkd-callback.socket")),
];

/// File name and content of each unit for the program `akkd`, whose agents are looked for in `path`, a value of `PATH`.
/// None where one of the two holds what no unit file can: a control character, or bytes that are no UTF-8.
pub(crate) fn rendered(akkd: &Path, path: &str) -> Option<Vec<(&'static str, String)>> {
    // `$` stands for itself in the path of the program, unlike in its arguments (tried with systemd 252).
    let program = quoted(akkd.to_str()?)?;
    let path = quoted(&format!("PATH={path}"))?;
    Some(
        TEMPLATES
            .iter()
            .map(|(name, template)| {
                let lines = template.lines().map(|line| match line {
                    "ExecStart=@AKKD@" => format!("ExecStart={program}\n"),
                    "Environment=@PATH@" => format!("Environment={path}\n"),
                    line => format!("{line}\n"),
                });
                (*name, lines.collect())
            })
            .collect(),
    )
}

/// `word` as one word of a unit file: `%` starts a specifier there (systemd.unit(5)), `\` an escape (systemd.syntax(7)).
fn quoted(word: &str) -> Option<String> {
    if word.chars().any(char::is_control) {
        return None;
    }
    Some(format!("\"{}\"", word.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_would_read_as_its_own_is_escaped() {
        let units = rendered(Path::new("/opt/a b/50%/$x/akkd"), r#"/usr/bin:/q"\"#).unwrap();
        let service = &units[0].1;
        assert!(service.contains("\nExecStart=\"/opt/a b/50%%/$x/akkd\"\n"), "{service}");
        assert!(service.contains("\nEnvironment=\"PATH=/usr/bin:/q\\\"\\\\\"\n"), "{service}");
        assert!(units.iter().all(|(_, text)| !text.contains("=@")));
    }

    #[test]
    fn what_no_unit_file_can_hold_is_refused() {
        assert!(rendered(Path::new("/a\nExecStartPre=/b"), "/usr/bin").is_none());
    }
}
