//! `akkctl daemon status`.

use super::terminal::{BOLD, GOOD, WARN};
use super::text::{counted, one_line};
use super::when::span;
use super::{View, words};
use akk_proto::api::DaemonInfo;
use std::fmt::Write as _;

/// What akkd says of itself.
pub(crate) fn daemon(info: &DaemonInfo, view: &View) -> String {
    let uptime = span(i64::try_from(info.uptime_ms).unwrap_or(i64::MAX));
    let mut out = format!(
        "{} {} is {}: process {}, for {uptime}, protocol {}\n",
        view.paint(BOLD, "akkd"),
        one_line(&info.version),
        view.paint(GOOD, "running"),
        info.pid,
        info.protocol
    );
    for (name, value) in [("home", &info.home), ("socket", &info.socket), ("config", &info.config)] {
        let _ = writeln!(out, "  {name:<8}{}", one_line(value));
    }
    let _ = writeln!(
        out,
        "  {}, {} of them open; {}, {}",
        counted(info.conversations, "conversation"),
        info.open_conversations,
        counted(info.open_turns, "open turn"),
        counted(info.agents, "agent process").replace("processs", "processes"),
    );
    if info.undelivered > 0 {
        let told = format!("  {}: akkctl deliveries\n", words::undelivered(info.undelivered, info.overdue));
        out.push_str(&view.paint(WARN, &told));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn akkd_says_where_it_lives_and_what_it_holds() {
        insta::assert_snapshot!(daemon(&samples::info(), &samples::view()));
    }
}
