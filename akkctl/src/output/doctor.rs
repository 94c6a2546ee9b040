//! `akkctl doctor` and `akkctl openclaw status`: a line for each check, and what to do where something is wrong.

use super::View;
use super::terminal::{ALERT, DIM, GOOD, WARN};
use super::text::{counted, one_line, padded, width, wrapped};
use akk_proto::api::{Check, CheckLevel, DoctorAnswer};

/// Columns of the longest word for a level.
const LEVEL: usize = 4;

/// The checks, in their order.
pub(crate) fn doctor(answer: &DoctorAnswer, view: &View) -> String {
    let names = answer.checks.iter().map(|c| width(&one_line(&c.name))).max().unwrap_or_default();
    let mut out: String = answer.checks.iter().map(|c| line(c, names, view)).collect();
    let count = |level| answer.checks.iter().filter(|c| c.level == level).count() as u64;
    let (fails, warnings) = (count(CheckLevel::Fail), count(CheckLevel::Warn));
    out.push_str(&match (fails, warnings) {
        (0, 0) => view.paint(GOOD, "Everything that was looked at works.\n"),
        (0, n) => view.paint(WARN, &format!("It works; {} to look at.\n", counted(n, "thing"))),
        (n, _) => view.paint(
            ALERT,
            &format!("{} not work.\n", if n == 1 { "1 thing does".to_owned() } else { format!("{n} things do") }),
        ),
    });
    out
}

fn line(check: &Check, names: usize, view: &View) -> String {
    let (word, style) = match check.level {
        CheckLevel::Ok => ("ok", GOOD),
        CheckLevel::Note => ("note", DIM),
        CheckLevel::Warn => ("warn", WARN),
        CheckLevel::Fail => ("FAIL", ALERT),
    };
    let margin = LEVEL + 2 + names + 2;
    // What was found may be longer than the line: it goes on below itself.
    let text = wrapped(&check.found, view.width, margin);
    let first = text.get(margin..).unwrap_or_default();
    let name = padded(&one_line(&check.name), names);
    let mut out = format!("{}  {name}  {first}", view.paint(style, &padded(word, LEVEL)));
    if !out.ends_with('\n') {
        out.push('\n');
    }
    if let Some(hint) = &check.hint {
        out.push_str(&view.paint(style, &wrapped(&format!("→ {hint}"), view.width, margin)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    fn check(name: &str, level: CheckLevel, found: &str, hint: Option<&str>) -> Check {
        Check { name: name.to_owned(), level, found: found.to_owned(), hint: hint.map(str::to_owned) }
    }

    fn shown(checks: &[Check]) -> String {
        doctor(&DoctorAnswer { checks: checks.to_vec(), plugins: vec![] }, &samples::view())
    }

    #[test]
    fn each_check_has_its_line_and_its_cure() {
        let ok = check("akkctl", CheckLevel::Ok, "version 0.1.0, /usr/bin/akkctl", None);
        let note =
            check("plugin", CheckLevel::Note, "OpenClaw was not given it", Some("Run `akkctl openclaw install`."));
        let warn = check(
            "deliveries",
            CheckLevel::Warn,
            "2 reports wait, one of them for more than ten minutes, because OpenClaw's plugin is not connected",
            Some("`akkctl deliveries` says what each of them waits for."),
        );
        let fail =
            check("home", CheckLevel::Fail, "~/.local/state/akk cannot be \u{1b}[31mwritten", Some("Free some room."));
        let all = [ok.clone(), note, warn.clone(), fail];
        insta::assert_snapshot!([shown(&all), shown(&[ok.clone(), warn]), shown(&[ok])].join("\n"));
    }
}
