//! temporary
use super::*;
use akk_proto::*;
#[derive(Clone)]
pub struct Executors(Context);
impl Executors {
    pub fn new(c: Context) -> Self { Self(c) }
    pub fn start_turn(&self, o: TurnOrder) { let r = self.0.reports.clone(); tokio::spawn(async move { let _ = r.report(o.conversation_id, akk_core::ExecutorReport::TurnEnded{turn_id:o.turn_id, ended: Box::new(akk_core::Ended::bare(akk_core::How::CannotStart{reason:"stub".into()}))}, None).await; }); }
    pub fn cancel_turn(&self, _c: ConversationId, _t: TurnId, _g: std::time::Duration) {}
    pub fn release(&self, _c: ConversationId, _r: String) {}
    pub async fn recover(&self, _t: Vec<RecoveredTurn>) {}
    pub async fn shutdown(&self, _e: bool) {}
    pub fn agents(&self) -> usize { 0 }
}
