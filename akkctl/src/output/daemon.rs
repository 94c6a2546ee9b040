//! `akkctl daemon status`.

use super::terminal::{BOLD, GOOD, WARN};
use super::text::{counted, one_line};
use super::when::span;
use super::{View, words};
use crate::service::state::State;
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

/// How akkd stands as an installed service, below what it says of itself.
pub(crate) fn service(state: &State, view: &View) -> String {
    let file = state.definition.as_deref().map(|f| view.path(&f.to_string_lossy())).unwrap_or_default();
    let how = match &state.manager {
        Err(why) => format!("its manager cannot be asked: {}", one_line(why)),
        Ok(managed) if managed.pid.is_none() => "but the akkd that runs is not the service's".to_owned(),
        Ok(managed) if managed.enabled => "starts with your login, or when it is needed".to_owned(),
        Ok(_) => "not enabled: it does not start with your login".to_owned(),
    };
    let mut out = format!("  {:<8}{file}, {how}\n", "service");
    let names: Vec<_> = state.environment.iter().map(|difference| difference.name).collect();
    if !names.is_empty() {
        let told = format!("{} of the service differs from this shell's", names.join(", "));
        let _ = writeln!(out, "  {}", view.paint(WARN, &told));
    }
    if !state.outdated.is_empty() {
        let cure = "`akkctl daemon install` would write the service anew, and start it again; running turns go on";
        let _ = writeln!(out, "  {}", view.paint(WARN, cure));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;
    use crate::service::environment::Difference;
    use crate::service::platform::Platform;
    use crate::service::state::Managed;

    #[test]
    fn a_service_says_how_it_is_started_and_what_is_old_in_it() {
        let managed = Managed { enabled: true, pid: Some(7), listening: true, ..Managed::default() };
        let state = State {
            platform: Platform::Systemd,
            definition: Some("/u/akkd.service".into()),
            own: true,
            outdated: Vec::new(),
            manager: Ok(managed.clone()),
            environment: Vec::new(),
        };
        let told = |state: &State| service(state, &samples::view());
        assert_eq!(told(&state), "  service /u/akkd.service, starts with your login, or when it is needed\n");
        let by_hand = State { manager: Ok(Managed { pid: None, ..managed }), ..state.clone() };
        assert!(told(&by_hand).contains("the akkd that runs is not the service's"));
        let path = Difference { name: "PATH", service: Some("/a".to_owned()), shell: Some("/b".to_owned()) };
        let old = State { outdated: vec!["/u/akkd.service".into()], environment: vec![path], ..state };
        let told = told(&old);
        assert!(told.contains("PATH of the service differs") && told.contains("akkctl daemon install"), "{told}");
    }

    #[test]
    fn akkd_says_where_it_lives_and_what_it_holds() {
        insta::assert_snapshot!(daemon(&samples::info(), &samples::view()));
    }
}
