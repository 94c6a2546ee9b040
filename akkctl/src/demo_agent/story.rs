//! The built-in story for a plain request: what a delegation looks like when all goes well.
//!
//! A task is looked at, half done, and leads to a question; the answer finishes it. With `--workshop` the work is
//! real: a greeting is written into the working directory, and read back to verify it.

use super::directive::Call;
use super::turn::Turn;
use super::wire::locked;
use serde_json::json;
use std::path::PathBuf;

const FILE: &str = "greeting.txt";
const FORMAL: &str = "Good day, and welcome.";
const FRIENDLY: &str = "Hi, good to see you!";

/// Tells the part of the story that the message asks for.
pub(super) fn tell(turn: &Turn) {
    if turn.prompt.kind.as_deref() == Some("answer") { finish(turn) } else { begin(turn) }
}

fn begin(turn: &Turn) {
    beat(turn, || turn.think("A small task. First a look at what is here, then the least that does it."));
    beat(turn, || {
        turn.plan(&[
            ("Look at the workspace", "in_progress"),
            ("Decide how the greeting should sound", "pending"),
            ("Write it and check it", "pending"),
        ]);
    });
    beat(turn, || turn.tool(&Call::new("read", "ls"), "completed", &listing(turn)));
    beat(turn, || report(turn, "progress", "One decision is open."));
    beat(turn, || turn.think("How it should sound is a product decision. That is not mine to make."));
    beat(turn, || {
        report(turn, "question", &format!("Formal (\"{FORMAL}\") or friendly (\"{FRIENDLY}\")?"));
    });
}

fn finish(turn: &Turn) {
    let answer = turn.prompt.body.to_lowercase();
    let formal = answer.contains("formal") && !answer.contains("informal");
    let greeting = if formal { FORMAL } else { FRIENDLY };
    beat(turn, || turn.think("That settles it."));
    beat(turn, || {
        turn.plan(&[
            ("Look at the workspace", "completed"),
            ("Decide how the greeting should sound", "completed"),
            ("Write it and check it", "in_progress"),
        ]);
    });
    let Some(file) = workshop(turn) else {
        let done = format!(
            "Changed: nothing; a real agent would now write \"{greeting}\"\n\
             Verified: the way there and back\nRemains: nothing"
        );
        return beat(turn, || report(turn, "done", &done));
    };
    let mut problem = None;
    beat(turn, || {
        let call = Call::new("edit", &format!("write {FILE}"));
        match std::fs::write(&file, format!("{greeting}\n")) {
            Ok(()) => turn.tool(&call, "completed", &format!("{} bytes written", greeting.len() + 1)),
            Err(e) => {
                turn.tool(&call, "failed", &e.to_string());
                problem = Some(format!("{FILE} cannot be written: {e}"));
            }
        }
    });
    beat(turn, || {
        let read = std::fs::read_to_string(&file).unwrap_or_default();
        let same = read.trim_end() == greeting;
        turn.tool(&Call::new("execute", &format!("cat {FILE}")), if same { "completed" } else { "failed" }, &read);
        if !same {
            problem.get_or_insert_with(|| format!("{FILE} does not hold what was written"));
        }
    });
    let (kind, end) = match problem {
        Some(problem) => ("error", problem),
        None => (
            "done",
            format!("Changed: {FILE} now says \"{greeting}\"\nVerified: read back, it is the same\nRemains: nothing"),
        ),
    };
    beat(turn, || report(turn, kind, &end));
}

/// One step, after a short pause; none once the turn is cancelled.
fn beat(turn: &Turn, step: impl FnOnce()) {
    turn.pause(turn.agent.0.options.pace);
    if !turn.is_cancelled() {
        step();
    }
}

/// Reports by callback; where there is no way back (the agent runs under another client), in plain text.
fn report(turn: &Turn, kind: &str, text: &str) {
    let reported =
        std::env::var_os("AKK_CONVERSATION").is_some() && turn.report(&json!({"type": kind, "body": text}).to_string());
    if !reported {
        turn.say(&format!("{text}\n"));
    }
}

fn workshop(turn: &Turn) -> Option<PathBuf> {
    turn.agent.0.options.workshop.then(|| locked(&turn.session.kept).cwd.join(FILE))
}

fn listing(turn: &Turn) -> String {
    let cwd = locked(&turn.session.kept).cwd.clone();
    let names = std::fs::read_dir(cwd).into_iter().flatten().flatten();
    let mut names: Vec<_> = names.map(|e| e.file_name().to_string_lossy().into_owned()).take(20).collect();
    names.sort();
    if names.is_empty() { "(empty)".to_owned() } else { names.join("\n") }
}
