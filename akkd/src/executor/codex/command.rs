//! The command lines of `codex exec`. The prompt never stands in one.
//!
//! Options come before `resume`, where every version takes them (0.169 refuses `--sandbox` and `--cd` behind it). Values
//! follow their option after `=`, what stands alone follows `--`: none can be taken for an option. `-` is the prompt
//! that its stdin holds.

use crate::executor::TurnOrder;
use crate::executor::launch::offer::Offer;
use crate::executor::model::Wanted;
use crate::sessions::Resume;
use uuid::Uuid;

/// The sandboxes that `--sandbox` takes.
const SANDBOXES: [&str; 3] = ["read-only", "workspace-write", "danger-full-access"];

/// Goes on with `session`: its own directory and sandbox, and its own model unless the order names one.
pub(super) fn resume(order: &TurnOrder, session: Uuid, own: &Resume, offer: &Offer) -> Vec<String> {
    let mut argv = exec(order);
    argv.extend(offer.for_codex(opens(own.sandbox.as_deref())));
    argv.extend(rights(own.sandbox.as_deref(), &own.overrides));
    argv.extend(own.cwd.to_str().map(|cwd| format!("--cd={cwd}")));
    match &order.model {
        Some(wanted) => argv.extend(model_options(wanted)),
        None => argv.extend(own.model.iter().map(|model| format!("--model={model}"))),
    }
    argv.extend(["resume", "--", &session.to_string(), "-"].map(str::to_owned));
    argv
}

/// Begins a session. What the order does not say, Codex' configuration does; one that replaces an attached session may
/// do what that one could, and thinks with its model.
pub(super) fn fresh(order: &TurnOrder, offer: &Offer) -> Vec<String> {
    let mut argv = exec(order);
    argv.extend(offer.for_codex(opens(order.replaces.as_ref().and_then(|a| a.sandbox.as_deref()))));
    argv.extend(order.replaces.iter().flat_map(|a| rights(a.sandbox.as_deref(), &a.overrides)));
    argv.extend(order.workspace.to_str().map(|cwd| format!("--cd={cwd}")));
    let model = order.model.as_ref().or(order.replaces.as_ref().and_then(|a| a.model.as_ref()));
    argv.extend(model.into_iter().flat_map(|wanted| model_options(wanted)));
    argv.extend(["--", "-"].map(str::to_owned));
    argv
}

/// Whether a sandbox has folders that may be written to; where nothing is known, Codex makes nothing of one more.
fn opens(sandbox: Option<&str>) -> bool {
    sandbox.is_none_or(|sandbox| sandbox == "workspace-write")
}

/// Without them Codex takes those of its configuration.
fn rights(sandbox: Option<&str>, overrides: &[String]) -> impl Iterator<Item = String> {
    let sandbox = sandbox.filter(|s| SANDBOXES.contains(s)).map(|s| format!("--sandbox={s}"));
    sandbox.into_iter().chain(overrides.iter().map(|o| format!("--config={o}")))
}

fn exec(order: &TurnOrder) -> Vec<String> {
    let command = &order.agent.command;
    let mut argv = if command.is_empty() { vec!["codex".to_owned()] } else { command.clone() };
    argv.extend(["exec", "--json", "--skip-git-repo-check"].map(str::to_owned));
    argv
}

/// `--model`, and the reasoning effort where the name holds one.
fn model_options(wanted: &str) -> Vec<String> {
    let wanted = Wanted::parse(wanted);
    let mut options = vec![format!("--model={}", wanted.model)];
    // A word of letters and digits, as its parser promises: it cannot leave the quotes.
    options.extend(wanted.effort.map(|effort| format!("--config=model_reasoning_effort=\"{effort}\"")));
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::testing::House;
    use akk_proto::session::SessionActivity;

    const SESSION: Uuid = Uuid::from_u128(0x01a2_0994_ea4f_7991_a14c_336a_3884_bcb1);

    fn own(model: Option<&str>, sandbox: Option<&str>) -> Resume {
        Resume {
            home: "/home/me/.codex".into(),
            cwd: "/a place".into(),
            model: model.map(str::to_owned),
            sandbox: sandbox.map(str::to_owned),
            overrides: Vec::new(),
            activity: SessionActivity::Idle,
        }
    }

    fn offer() -> Offer {
        let (command, args) = ("/opt/akk/akkctl".into(), vec!["report-server".into(), "--socket=/a \"b\"".into()]);
        Offer { command, args, drop_dir: Some("/s/drops/task".into()) }
    }

    fn order(model: Option<&str>) -> TurnOrder {
        let mut order = House::new().order(1, None, "the prompt");
        (order.agent.command, order.model) = (vec![], model.map(str::to_owned));
        order.workspace = "/other place".into();
        order
    }

    #[test]
    fn a_session_is_resumed_as_it_was() {
        let line = resume(&order(None), SESSION, &own(Some("gpt-x/high"), Some("workspace-write")), &offer());
        assert_eq!(
            line,
            [
                "codex",
                "exec",
                "--json",
                "--skip-git-repo-check",
                "--config=mcp_servers.akk.command=\"/opt/akk/akkctl\"",
                "--config=mcp_servers.akk.args=[\"report-server\",\"--socket=/a \\\"b\\\"\"]",
                "--add-dir=/s/drops/task",
                "--sandbox=workspace-write",
                "--cd=/a place",
                "--model=gpt-x/high",
                "resume",
                "--",
                "01a20994-ea4f-7991-a14c-336a3884bcb1",
                "-"
            ]
        );
    }

    #[test]
    fn the_model_that_was_asked_for_goes_first_and_its_effort_is_an_option_of_its_own() {
        let line = resume(&order(Some("gpt-y/high")), SESSION, &own(Some("gpt-x"), None), &offer()).join(" ");
        assert!(line.contains(" --model=gpt-y --config=model_reasoning_effort=\"high\" resume "), "{line}");
        assert!(!line.contains("gpt-x"));
        let line = resume(&order(None), SESSION, &own(None, None), &offer()).join(" ");
        assert!(!line.contains("--model"), "{line}");
    }

    #[test]
    fn nothing_that_is_foreign_can_be_taken_for_an_option() {
        let mut order = order(Some("--last"));
        order.agent.command = vec!["npx".into(), "codex".into()];
        let mut own = own(None, Some("--dangerously-bypass-approvals-and-sandbox"));
        own.cwd = "-C".into();
        let line = resume(&order, SESSION, &own, &offer());
        assert_eq!(line[..3], ["npx", "codex", "exec"]);
        let ours = |word: &&String| !word.starts_with("--config=mcp_servers.akk.");
        let options = line[3..].iter().filter(ours).filter(|w| w.starts_with('-'));
        let options: Vec<&str> = options.map(String::as_str).collect();
        assert_eq!(options, ["--json", "--skip-git-repo-check", "--cd=-C", "--model=--last", "--", "-"]);
    }

    #[test]
    fn what_a_session_may_do_is_set_against_the_configuration() {
        let mut own = own(None, Some("workspace-write"));
        own.overrides = vec!["sandbox_workspace_write.network_access=false".into()];
        let line = resume(&order(None), SESSION, &own, &offer()).join(" ");
        let rights = " --sandbox=workspace-write --config=sandbox_workspace_write.network_access=false ";
        assert!(line.contains(rights) && line.find(rights) < line.find(" resume "), "{line}");
        // A permission profile is no sandbox: one beside it would take its place.
        (own.sandbox, own.overrides) = (Some("profile mine".into()), vec!["default_permissions=\"mine\"".into()]);
        let line = resume(&order(None), SESSION, &own, &offer()).join(" ");
        assert!(line.contains(" --config=default_permissions=\"mine\" ") && !line.contains("--sandbox"), "{line}");
    }

    #[test]
    fn a_session_is_begun_where_the_conversation_works() {
        let line = fresh(&order(Some("gpt-x")), &offer());
        assert_eq!(line[..4], ["codex", "exec", "--json", "--skip-git-repo-check"]);
        assert_eq!(line[4..7], offer().for_codex(true));
        assert_eq!(line[7..], ["--cd=/other place", "--model=gpt-x", "--", "-"]);
    }

    #[test]
    fn a_session_that_replaces_an_attached_one_may_do_no_more() {
        let mut order = order(None);
        let attachment = serde_json::json!({
            "agent": "codex", "session_id": SESSION, "home": "/h", "cwd": "/c", "strategy": "safe_resume",
            "evidence": [], "model": "its own", "sandbox": "read-only", "overrides": ["a=1"], "attached_at": akk_proto::Timestamp(0),
        });
        order.replaces = serde_json::from_value(attachment).unwrap();
        let line = fresh(&order, &offer());
        // Its sandbox has nothing that could be opened.
        assert_eq!(line[4..6], offer().for_codex(false));
        assert_eq!(line[6..8], ["--sandbox=read-only", "--config=a=1"]);
        assert!(line.contains(&"--model=its own".to_owned()), "{line:?}");
    }
}
