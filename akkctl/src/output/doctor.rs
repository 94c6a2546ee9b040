//! `akkctl doctor` and `akkctl openclaw status`: a line for each check, grouped, and what to do where something is wrong.

use super::View;
use super::terminal::{ALERT, BOLD, DIM, GOOD, WARN};
use super::text::{counted, one_line, padded, width, wrapped};
use akk_proto::api::{Check, CheckLevel, DoctorAnswer};
use std::fmt::Write as _;

/// Columns of the longest word for a level.
const LEVEL: usize = 7;
/// Columns of a name at most; a longer one moves its own line.
const NAME: usize = 16;

/// The checks, in their order, then how many of them need something and what to do first.
pub(crate) fn doctor(answer: &DoctorAnswer, view: &View) -> String {
    let names = answer.checks.iter().map(|c| width(&one_line(&c.name))).filter(|w| *w <= NAME).max();
    let mut out = String::new();
    let mut group = "";
    for check in &answer.checks {
        if check.group != group {
            group = &check.group;
            let gap = if out.is_empty() { "" } else { "\n" };
            let _ = writeln!(out, "{gap}{}", view.paint(BOLD, &one_line(group)));
        }
        out.push_str(&line(check, names.unwrap_or_default(), view));
    }
    if answer.checks.iter().any(|c| !c.group.is_empty()) {
        out.push('\n');
    }
    out.push_str(&summary(&answer.checks, view));
    out
}

fn summary(checks: &[Check], view: &View) -> String {
    let of = |level| checks.iter().filter(move |c| c.level == level);
    let (problems, warnings) = (of(CheckLevel::Fail).count() as u64, of(CheckLevel::Warn).count() as u64);
    let (style, text) = match (problems, warnings) {
        (0, 0) if of(CheckLevel::Ok).count() == 0 => return "Nothing is set up here yet.\n".to_owned(),
        (0, 0) => return view.paint(GOOD, "Everything that was looked at works.\n"),
        (0, n) => (WARN, format!("It works, with {}.", counted(n, "warning"))),
        (n, 0) => (ALERT, format!("{}.", counted(n, "problem"))),
        (n, m) => (ALERT, format!("{}, {}.", counted(n, "problem"), counted(m, "warning"))),
    };
    let mut out = view.paint(style, &format!("{text}\n"));
    let worst = of(CheckLevel::Fail).chain(of(CheckLevel::Warn)).find_map(|c| c.hint.as_deref().map(|h| (c, h)));
    if let Some((check, hint)) = worst {
        out.push_str(&wrapped(&format!("First, {}: {hint}", check.name), view.width, 0));
    }
    out
}

fn line(check: &Check, names: usize, view: &View) -> String {
    let (word, style) = match check.level {
        CheckLevel::Ok => ("ok", GOOD),
        CheckLevel::Note => ("note", DIM),
        CheckLevel::Warn => ("warning", WARN),
        CheckLevel::Fail => ("PROBLEM", ALERT),
    };
    let name = padded(&one_line(&check.name), names);
    let margin = LEVEL + 2 + names + 2;
    // What was found may be longer than the line: it goes on below itself.
    let text = wrapped(&check.found, view.width, margin);
    let first = text.get(margin..).unwrap_or_default();
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
    use akk_proto::api::check::{AGENTS, AKKD, HOME, REPORTS};

    fn shown(checks: &[Check]) -> String {
        let answer = DoctorAnswer { checks: checks.to_vec(), plugins: vec![], environment: [].into() };
        doctor(&answer, &samples::view())
    }

    #[test]
    fn each_check_has_its_line_and_its_cure() {
        let ok = Check::new(AKKD, "akkctl", CheckLevel::Ok, "version 0.1.0, /usr/bin/akkctl", None);
        let plain = Check { group: String::new(), ..ok.clone() };
        let note = Check::new(
            REPORTS,
            "plugin",
            CheckLevel::Note,
            "OpenClaw was not given it",
            Some("Run `akkctl openclaw install`."),
        );
        let warn = Check::new(
            REPORTS,
            "deliveries",
            CheckLevel::Warn,
            "2 reports wait, one of them for more than ten minutes, because OpenClaw's plugin is not connected",
            Some("`akkctl deliveries` says what each of them waits for."),
        );
        let fail = Check::new(
            HOME,
            "home",
            CheckLevel::Fail,
            "~/.local/state/akk cannot be \u{1b}[31mwritten",
            Some("Free some room."),
        );
        let agent = Check::new(AGENTS, "an agent with a very long name", CheckLevel::Ok, "runs", None);
        let all = [ok.clone(), fail, agent, note.clone(), warn.clone()];
        insta::assert_snapshot!(
            [shown(&all), shown(&[ok.clone(), warn]), shown(&[ok]), shown(&[plain]), shown(&[note])].join("\n---\n")
        );
    }

    #[test]
    fn every_line_fits_into_eighty_columns() {
        let long = "a folder that is open to others ".repeat(9);
        let check = Check::new(HOME, "permissions", CheckLevel::Fail, long.clone(), Some(&long));
        let answer = DoctorAnswer { checks: vec![check], plugins: vec![], environment: [].into() };
        let mut view = samples::view();
        view.width = Some(80);
        for line in doctor(&answer, &view).lines() {
            assert!(width(line) <= 80, "{line}");
        }
    }
}
