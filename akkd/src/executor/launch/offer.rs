//! The reporting tools that an agent is offered: an MCP server that it starts itself, outside of its commands' sandbox.
//!
//! Nothing secret stands in its command line, and its environment is not used: adapters put that into command lines of
//! their own. The ticket lies in the launch's folder.

use super::folder::LaunchFolder;
use crate::executor::TurnOrder;
use crate::executor::shared::Shared;
use akk_proto::LaunchId;
use akk_proto::conversation::Transport;
use akk_proto::drops::Place;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What the server is called where agents name their tools.
pub(in crate::executor) const SERVER: &str = "akk";

/// What a launch is offered to report with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::executor) struct Offer {
    /// The program.
    pub(in crate::executor) command: PathBuf,
    /// Its arguments.
    pub(in crate::executor) args: Vec<String>,
    /// Where reports are left when nobody answers on the socket.
    pub(in crate::executor) drop_dir: Option<PathBuf>,
}

impl Offer {
    /// What the launch of this id is offered.
    pub(in crate::executor) fn of(shared: &Shared, order: &TurnOrder, launch: &LaunchId) -> Self {
        let context = &shared.context;
        // A Codex that akkd starts itself has its sandbox opened for it; of others only this much is known.
        let (place, turn) = match order.agent.transport {
            Transport::Codex => (Place::Own, Some(&order.turn_id)),
            // Its agent ends with the turn too.
            Transport::Acpx => (Place::Temporary, Some(&order.turn_id)),
            Transport::Acp => (Place::Temporary, None),
        };
        let drop_dir = (context.drop_folder)(&order.conversation_id, place);
        let ticket = LaunchFolder::of(&shared.launches, launch).ticket();
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut args = vec![
            "report-server".to_owned(),
            format!("--conversation={}", order.conversation_id),
            format!("--socket={}", text(&context.callback_socket)),
            format!("--ticket-file={}", text(&ticket)),
        ];
        args.extend(drop_dir.iter().map(|dir| format!("--drop-dir={}", text(dir))));
        args.extend(turn.iter().map(|turn| format!("--turn={turn}")));
        Self { command: context.akkctl.clone(), args, drop_dir }
    }

    /// As options of `codex exec`. `opens`: the sandbox of its commands has folders that may be written to, and gets the
    /// drop folder too.
    pub(in crate::executor) fn for_codex(&self, opens: bool) -> Vec<String> {
        // Strings and lists of strings in JSON are such in TOML.
        let (command, args) = (json!(self.command.to_string_lossy()), json!(self.args));
        let mut options = vec![
            format!("--config=mcp_servers.{SERVER}.command={command}"),
            format!("--config=mcp_servers.{SERVER}.args={args}"),
        ];
        options.extend(self.drop_dir.iter().filter(|_| opens).map(|dir| format!("--add-dir={}", dir.display())));
        options
    }

    /// As the file that acpx takes with `--mcp-config`.
    pub(in crate::executor) fn for_acpx(&self) -> Vec<u8> {
        let server = json!({
            "name": SERVER, "type": "stdio", "command": self.command.to_string_lossy(), "args": self.args, "env": [],
        });
        json!({ "mcpServers": [server] }).to_string().into_bytes()
    }
}
