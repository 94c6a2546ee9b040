//! `conversation.permit`: a person answers a permission request of an agent.

use super::{Control, call};
use crate::platform::{ProcessIdentity, ProcessTable};
use crate::socket::peer::Peer;
use crate::store::LaunchRow;
use akk_core::decide::Input;
use akk_proto::api::{PermitAnswer, PermitParams};
use akk_proto::error::{ErrorKind, Failure};

impl Control {
    pub(super) async fn permit(&self, params: PermitParams, caller: Option<Peer>) -> Result<PermitAnswer, Failure> {
        let PermitParams { request_id, conversation_id, nonce, decision } = params;
        let id = self.resolve(&conversation_id).await?;
        if let Some(pid) = caller.and_then(|peer| peer.pid).and_then(|pid| u32::try_from(pid).ok()) {
            self.refuse_agents(pid).await?;
        }
        let input = Input::Permit { nonce: nonce.clone(), answer: decision };
        let answer = self.conversations.ask(&id, input, call(request_id, "conversation.permit")).await?;
        Ok(PermitAnswer {
            conversation: self.view(&answer.state).await?,
            nonce: answer.said.nonce.or(nonce),
            decision,
            repeated: answer.repeated,
        })
    }

    /// Refuses a caller that was started by an agent, whichever: who works for akkd does not decide what the work may do.
    ///
    /// A process in a pid namespace that akkd cannot see has no id here, and descends from no agent: namespaces nest.
    async fn refuse_agents(&self, pid: u32) -> Result<(), Failure> {
        let unknown = |why: String| {
            Failure::new(ErrorKind::ProtectedProcess, format!("who asks cannot be found out: {why}"), "Try again.")
        };
        let table = ProcessTable::now().await.map_err(|e| unknown(e.to_string()))?;
        let line = table.lineage(pid);
        if line.is_empty() {
            return Err(unknown(format!("the process {pid} is gone")));
        }
        let launches = self.store.live_launches().await?;
        let started_by_an_agent = line.iter().any(|p| table.launch_of(p.pid).is_some())
            || launches.iter().any(|launch| belongs_to(launch, &line, &table));
        if started_by_an_agent {
            return Err(Failure::new(
                ErrorKind::ProtectedProcess,
                format!("the process {pid} was started by an agent, and agents permit nothing"),
                "Answer it in a terminal of your own, or in OpenClaw.",
            ));
        }
        Ok(())
    }
}

/// Whether the process whose `line` this is descends from the launch, or lives in its group or session.
fn belongs_to(launch: &LaunchRow, line: &[ProcessIdentity], table: &ProcessTable) -> bool {
    let identity = launch.identity.clone().and_then(|i| serde_json::from_value::<ProcessIdentity>(i).ok());
    let Some(leader) = identity else { return false };
    let relatives = table.belonging_to(&leader, launch.launch_id.as_str());
    line.contains(&leader) || relatives.iter().any(|r| line.first() == Some(&r.process))
}
