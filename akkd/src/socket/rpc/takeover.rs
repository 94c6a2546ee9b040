//! `sessions.takeover`.

use super::Control;
use crate::socket::audit::concerns;
use crate::socket::peer::Peer;
use akk_proto::error::Failure;
use akk_proto::session::{TakeoverAnswer, TakeoverParams};

impl Control {
    pub(super) async fn take_over(
        &self,
        params: TakeoverParams,
        caller: Option<Peer>,
    ) -> Result<TakeoverAnswer, Failure> {
        let caller = caller.and_then(|peer| peer.pid).and_then(|pid| u32::try_from(pid).ok());
        let config = self.config.fresh()?;
        let answer = self.takeovers.takeover(params, &config, caller).await?;
        if let Some(conversation) = &answer.conversation {
            concerns(&conversation.conversation_id);
        }
        Ok(answer)
    }
}
