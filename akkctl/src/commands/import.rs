//! `akkctl import`: the conversations of the predecessor, one call each.
//!
//! Its files are read and left as they are. What is there from an earlier import is left as it is too, so that it can be
//! repeated. What cannot be read or taken is said and skipped; what akkd cannot do for any of them ends the command.

use super::Context;
use crate::akkd::Akkd;
use crate::cli::Import;
use crate::error::{Error, Result, exit};
use crate::output::{self, ImportOutcome, ImportReport, ImportedItem, print};
use crate::predecessor::{Found, Store};
use akk_proto::error::ErrorKind;
use akk_proto::import::{ImportAnswer, ImportParams};
use std::path::PathBuf;

/// Where the predecessor kept its things, below the home directory.
const FOLDER: &str = ".agent-knock-knock";

pub(super) fn run(args: Import, context: &Context<'_>) -> Result<u8> {
    let report = bring_all(args, context)?;
    if context.json {
        let json = serde_json::to_string(&report).map_err(|e| Error::Output(e.into()))?;
        print(&format!("{json}\n"))?;
    } else {
        print(&output::imported(&report, &context.view))?;
    }
    Ok(exit_code(&report))
}

/// 0 where nothing was skipped.
fn exit_code(report: &ImportReport) -> u8 {
    let skipped = report.conversations.iter().any(|c| c.outcome == ImportOutcome::Skipped);
    if skipped { exit::FAILED } else { exit::OK }
}

fn bring_all(args: Import, context: &Context<'_>) -> Result<ImportReport> {
    let store = Store::open(&args.folder.map_or_else(default_folder, Ok)?)?;
    let mut akkd = context.akkd();
    let mut conversations = Vec::new();
    for name in store.names()? {
        if let Some(found) = store.read(&name) {
            conversations.push(bring(found, &mut akkd)?);
        }
    }
    let folder = store.folder().to_string_lossy().into_owned();
    Ok(ImportReport { folder, conversations })
}

fn default_folder() -> Result<PathBuf> {
    let Some(base) = directories::BaseDirs::new() else {
        return Err(Error::usage("your home directory is unknown", "name the folder of the predecessor's store"));
    };
    Ok(base.home_dir().join(FOLDER))
}

fn bring(found: Found, akkd: &mut Akkd<'_>) -> Result<ImportedItem> {
    let Found { name, conversation, notes } = found;
    let skipped = |reason: String, notes| ImportedItem {
        name: name.clone(),
        outcome: ImportOutcome::Skipped,
        former_status: None,
        status: None,
        reason: Some(reason),
        notes,
    };
    let params: ImportParams = match conversation {
        Ok(params) => params,
        Err(reason) => return Ok(skipped(reason, notes)),
    };
    match akkd.call("conversation.import", &params) {
        Ok(answer) => {
            let answer: ImportAnswer = answer.read()?;
            let outcome = if answer.already { ImportOutcome::Already } else { ImportOutcome::Imported };
            let (former_status, status) = (Some(params.status), Some(answer.status));
            Ok(ImportedItem { name, outcome, former_status, status, reason: None, notes })
        }
        Err(Error::Refused(failure)) if concerns_one(failure.kind) => Ok(skipped(failure.message, notes)),
        Err(Error::TooLarge { what, limit }) => {
            Ok(skipped(format!("{what} with its history is longer than {} MiB", limit >> 20), notes))
        }
        Err(e) => Err(e),
    }
}

/// Whether akkd has something against one conversation, and may take the next.
fn concerns_one(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::InvalidMessage
            | ErrorKind::InvalidRoute
            | ErrorKind::InvalidParams
            | ErrorKind::WrongStatus
            | ErrorKind::AgentUnavailable
            | ErrorKind::TooLarge
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::home;
    use crate::fake::{Fake, Play, refusal};
    use crate::output::samples;
    use serde_json::{Value, json};

    const IDS: [&str; 3] =
        ["task-20260620T140525-0a1b2c3d", "task-20260620T140526-0a1b2c3d", "task-20260620T140527-0a1b2c3d"];

    fn old(folder: &std::path::Path) {
        for id in IDS {
            let at = folder.join("conversations").join(id);
            std::fs::create_dir_all(&at).unwrap();
            let state = json!({
                "conversation_id": id, "user_request": "paint", "workspace": "/w", "status": "running",
                "soft_limit": 50, "hard_limit": 100, "created_at": "2026-06-20T12:05:25.000Z",
                "updated_at": "2026-06-20T12:15:25.000Z"
            });
            std::fs::write(at.join("state.json"), state.to_string()).unwrap();
            std::fs::write(at.join("events.ndjson"), "").unwrap();
        }
    }

    fn answer(id: &str, already: bool) -> Play {
        Play::Answer(json!({"conversation_id": id, "already": already, "status": "stalled"}))
    }

    fn import(plays: Vec<Play>) -> (Result<u8>, Vec<Value>) {
        let (folder, at) = home();
        old(folder.path());
        let fake = Fake::play(&at.paths.control_socket, vec![plays]);
        let context = Context { surroundings: &at, json: true, view: samples::view() };
        let report = bring_all(Import { folder: Some(folder.path().to_owned()) }, &context);
        (report.map(|r| exit_code(&r)), fake.requests())
    }

    #[test]
    fn every_conversation_is_handed_over_and_one_that_is_refused_stops_no_other() {
        let plays =
            vec![answer(IDS[0], false), refusal("agent_unavailable", "no agent", "configure"), answer(IDS[2], true)];
        let (code, requests) = import(plays);
        assert_eq!(code.unwrap(), exit::FAILED, "one was skipped");
        let told: Vec<_> = requests.iter().map(|r| r["params"]["conversation_id"].as_str().unwrap()).collect();
        assert_eq!(told, IDS);
        assert_eq!(requests[0]["params"]["status"], "running");
        let (code, _) = import(IDS.map(|id| answer(id, true)).to_vec());
        assert_eq!(code.unwrap(), exit::OK, "a repeat has nothing to do");
    }

    #[test]
    fn what_akkd_cannot_do_for_any_of_them_ends_the_command() {
        let (code, requests) = import(vec![refusal("storage", "the disk is full", "make room")]);
        assert!(matches!(code, Err(Error::Refused(f)) if f.kind == ErrorKind::Storage));
        assert_eq!(requests.len(), 1);
    }
}
