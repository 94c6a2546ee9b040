//! An order for this room's tests.

use crate::config::AgentSpec;
use crate::executor::TurnOrder;
use akk_proto::conversation::{PermissionPolicy, Transport};
use akk_proto::{ConversationId, Timestamp, TurnId};
use std::collections::BTreeMap;
use std::time::Duration;

/// A first turn of an agent of this kind over acpx.
pub(super) fn order(kind: &str) -> TurnOrder {
    TurnOrder {
        conversation_id: ConversationId::new(Timestamp(0), 1),
        turn_id: TurnId::nth(1),
        agent: AgentSpec {
            kind: kind.into(),
            actor: kind.into(),
            aliases: vec![],
            transport: Transport::Acpx,
            command: vec![],
            acpx_agent: None,
            env_allow: vec![],
            env: BTreeMap::new(),
            proxy: None,
            model: None,
            permissions: PermissionPolicy::All,
            warm: Duration::from_mins(10),
        },
        workspace: "/a place".into(),
        session: "akk-test-1".into(),
        native_session: None,
        attachment: None,
        replaces: None,
        model: None,
        proxy: None,
        permissions: PermissionPolicy::All,
        agent_timeout: Duration::from_mins(1),
    }
}
