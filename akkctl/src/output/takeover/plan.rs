//! What would be ended, and how the session goes on afterwards.

use crate::output::View;
use crate::output::native::{command, confidence_style, evidence, field, started, styled_field};
use crate::output::terminal::{ALERT, BOLD};
use crate::output::text::{cut, one_line};
use akk_proto::session::{
    Confidence, ResumeView, SessionActivity, TakeoverAnswer, TakeoverParams, TakeoverStatus, TargetView,
    TerminationPlan,
};
use std::fmt::Write as _;
use std::path::Path;

/// Columns of a process that is ended with the one of the plan: sandboxes have command lines of many lines.
const CHILD: usize = 120;

/// The plan that a plain yes can confirm: one that needs no further option.
pub(crate) fn plan_to_confirm<'a>(answer: &'a TakeoverAnswer, asked: &TakeoverParams) -> Option<&'a TerminationPlan> {
    let needs_a_yes = answer.status == TakeoverStatus::RequiresConfirmation;
    answer.plan.as_ref().filter(|plan| needs_a_yes && missing_options(plan, asked).is_empty())
}

/// Options that the plan takes and that were not given, in words of a command line.
pub(super) fn missing_options(plan: &TerminationPlan, asked: &TakeoverParams) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if plan.activity != SessionActivity::Idle && !asked.even_if_working {
        missing.push("--even-if-working");
    }
    if plan.confidence != Confidence::Exact && !asked.allow_cwd_only {
        missing.push("--allow-cwd-only");
    }
    missing
}

/// `process 4242 and the 2 that belong to it`.
pub(super) fn who_ends(plan: &TerminationPlan) -> String {
    match plan.children.len() as u64 {
        0 => format!("process {}", plan.target.pid),
        1 => format!("process {} and the one that belongs to it", plan.target.pid),
        n => format!("process {} and the {n} that belong to it", plan.target.pid),
    }
}

/// The plan; `used`: it was tried.
pub(super) fn plan(plan: &TerminationPlan, used: bool, view: &View) -> String {
    let heading = if used { "What was to be ended" } else { "What would be ended" };
    let mut out = format!("\n{}\n", view.paint(BOLD, heading));
    let named = TargetView { executable: None, ..plan.target.clone() };
    let mut target = format!("{} {}", plan.kind.as_str(), process(&named, view));
    if let Some(cwd) = &plan.cwd {
        let _ = write!(target, ", in {}", view.path(cwd));
    }
    out.push_str(&field("process", &target, view));
    if let Some(file) = &plan.target.executable {
        out.push_str(&field("program", &view.path(file), view));
    }
    let known = format!("{} ({})", evidence(plan.evidence), plan.confidence.as_str());
    out.push_str(&styled_field("known by", &known, confidence_style(plan.confidence), view));
    let mut name = "with it";
    for child in &plan.children {
        out.push_str(&field(name, &cut(&process(child, view), CHILD), view));
        name = "";
    }
    if plan.children.is_empty() {
        out.push_str(&field(name, "nothing else", view));
    }
    out.push_str(&match plan.activity {
        SessionActivity::Working => styled_field("turn", "one RUNS: what it is doing is lost", ALERT, view),
        SessionActivity::Idle => field("turn", "none runs", view),
        SessionActivity::Unknown => styled_field("turn", "it cannot be told whether one runs", ALERT, view),
    });
    let good = if used { "used up".to_owned() } else { format!("good for one use {}", until(plan, view)) };
    out.push_str(&field("plan", &format!("{}, {good}", one_line(&plan.plan_id)), view));
    out
}

fn until(plan: &TerminationPlan, view: &View) -> String {
    match plan.expires_at.millis_since(view.now) {
        ..=0 => "and expired".to_owned(),
        _ => format!("until {}", view.clock(plan.expires_at)),
    }
}

/// `4242, started 2h ago: codex --no-daemon`.
fn process(target: &TargetView, view: &View) -> String {
    let since = started(target.started_at, view);
    let words = if target.command.is_empty() {
        one_line(target.executable.as_deref().unwrap_or("its command line is not known"))
    } else {
        command(&target.command)
    };
    let executable = match (&target.executable, target.command.first()) {
        // A process may give itself any name.
        (Some(file), Some(named)) if Path::new(file).file_name() != Path::new(named).file_name() => {
            format!(" ({})", view.path(file))
        }
        _ => String::new(),
    };
    format!("{}{since}: {words}{executable}", target.pid)
}

/// How later messages reach the session.
pub(super) fn resume(resume: &ResumeView, view: &View) -> String {
    let mut out = format!("\n{}\n", view.paint(BOLD, "How later messages reach it"));
    let way = match resume.way.as_str() {
        "exec_resume" => "the agent is started for each message, and resumes the session",
        "app_server" => "through the daemon that runs the session",
        other => other,
    };
    out.push_str(&field("way", way, view));
    out.push_str(&field("cwd", &view.path(&resume.cwd), view));
    out.push_str(&field("model", resume.model.as_deref().unwrap_or("the one of the agent's configuration"), view));
    out.push_str(&match resume.sandbox.as_deref() {
        Some(all @ "danger-full-access") => styled_field("sandbox", &format!("{all}: no sandbox at all"), ALERT, view),
        Some(sandbox) => field("sandbox", sandbox, view),
        None => field("sandbox", "not known", view),
    });
    out
}
