//! What an agent leaves for akkd in the drop folder of its conversation, when it cannot reach the callback socket.
//!
//! One file for each: written under a name that begins with a dot, made durable, then renamed. Names sort in the order
//! in which they were left.

use crate::api::{ConfirmParams, ReportParams};
use crate::paths::private_name;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What stands behind the name of a whole drop. Other files in the folder are not looked at.
pub const SUFFIX: &str = ".json";
/// What akkd puts behind the name of a file that it set aside.
pub const REFUSED: &str = ".refused";

/// Where the drop folder of a conversation lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Below akkd's own folder, on a disk. For agents whose sandbox was opened for it, or that have none.
    Own,
    /// Below the system's folder for temporary files, which usual sandboxes let agents write to.
    Temporary,
}

/// The content of a drop: the parameters of a call of the callback socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "drop", rename_all = "snake_case")]
pub enum Drop {
    /// `callback.report`.
    Report(ReportParams),
    /// `callback.confirm_answer`.
    ConfirmAnswer(ConfirmParams),
}

impl Drop {
    /// The conversation that it names.
    pub fn conversation_id(&self) -> &crate::ConversationId {
        match self {
            Self::Report(report) => &report.conversation_id,
            Self::ConfirmAnswer(confirm) => &confirm.conversation_id,
        }
    }
}

/// The name of a drop's file. `id` is of version 7: it rises with time.
pub fn file_name(id: uuid::Uuid) -> String {
    format!("{id}{SUFFIX}")
}

/// The folder with a folder for each conversation below `state`, akkd's own folder.
pub fn own_root(state: &Path) -> PathBuf {
    state.join("drops")
}

/// Whether this is the folder of a conversation in [`own_root`], of whatever akkd.
pub fn is_own_folder(folder: &Path) -> bool {
    let name = |path: Option<&Path>| path.and_then(Path::file_name).and_then(|n| n.to_str().map(str::to_owned));
    name(folder.parent()).as_deref() == Some("drops")
        && name(Some(folder)).is_some_and(|name| crate::ConversationId::parse(name).is_ok())
}

/// The folder that holds a folder for each conversation, where a sandbox does not let agents write below akkd's own:
/// `temporary` is `$TMPDIR`, or `/tmp`. Another akkd of the same user, with another `state`, has another one: to it these
/// conversations would be deleted ones.
pub fn temporary_root(temporary: &Path, uid: u32, state: &Path) -> PathBuf {
    temporary.join(private_name(uid, state)).join("drops")
}
