//! What a summary for a fork can be made of, readable for a person and for an orchestrator.

use crate::output::View;
use crate::output::terminal::{ALERT, BOLD, DIM, WARN};
use crate::output::text::{counted, indented, one_line};
use akk_proto::session::{ContextCommand, ContextMessage, ForkContext};
use std::fmt::Write as _;

/// The context, and what to write from it.
pub(super) fn context(context: &ForkContext, view: &View) -> String {
    let mut out = format!("\n{}\n", view.paint(BOLD, "What a summary can be made of"));
    if context.truncated {
        out.push_str(&view.paint(WARN, "The session holds more than this.\n"));
    }
    if context.skipped_records > 0 {
        let told = format!("{} could not be read.\n", counted(context.skipped_records, "record"));
        out.push_str(&view.paint(WARN, &told));
    }
    if context.messages.is_empty() && context.commands.is_empty() {
        out.push_str("  Nothing was said or done in it.\n");
    }
    for message in &context.messages {
        out.push_str(&said(message, view));
    }
    if !context.commands.is_empty() {
        out.push_str(&view.paint(DIM, "commands\n"));
    }
    for command in &context.commands {
        out.push_str(&ran(command, view));
    }
    let _ = writeln!(out, "\n{}", view.paint(BOLD, "What to write from it"));
    out.push_str(&indented(&context.prompt, 2));
    out
}

fn said(message: &ContextMessage, view: &View) -> String {
    let at = message.ts.map(|ts| format!(" · {}", view.clock(ts))).unwrap_or_default();
    let cut = if message.truncated { " · shortened" } else { "" };
    let head = format!("{}{at}{cut}\n", one_line(&message.role));
    format!("{}{}", view.paint(DIM, &head), indented(&message.text, 4))
}

fn ran(command: &ContextCommand, view: &View) -> String {
    let (style, exit) = match command.exit_code {
        Some(0) => (DIM, "exit 0".to_owned()),
        Some(code) => (ALERT, format!("exit {code}")),
        None => (WARN, "exit code not known".to_owned()),
    };
    let cut = if command.truncated { ", shortened" } else { "" };
    let exit = view.paint(style, &format!("({exit}{cut})"));
    let mut out = format!("  $ {} {exit}\n", one_line(&command.command));
    if let Some(output) = command.output.as_deref().filter(|o| !o.trim().is_empty()) {
        out.push_str(&super::painted(&indented(output, 6), DIM, view));
    }
    out
}
