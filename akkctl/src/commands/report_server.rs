//! `akkctl report-server`: the reporting tools that akkd offers to agents. An agent starts it, outside of the sandbox of
//! its commands; it never starts akkd.

use crate::cli::ReportServer;
use crate::error::{Result, exit};
use crate::report::{Door, Reporter, serve};

pub(super) fn run(args: ReportServer) -> Result<u8> {
    let ReportServer { conversation, socket, ticket_file, drop_dir, turn } = args;
    // The environment has no say: an agent may pass on that of another conversation.
    let door = Door { socket, folder: drop_dir };
    serve(Reporter { conversation_id: conversation, ticket_file, turn, door })?;
    Ok(exit::OK)
}
