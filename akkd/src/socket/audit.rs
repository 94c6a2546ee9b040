//! A row of the audit for every call that is to change something, also for those that are refused.

use super::peer::Peer;
use crate::clock::Clock;
use crate::store::{AuditPlace, Store};
use akk_proto::audit::{AuditPeer, AuditRow, AuditWay, OK, UNANSWERED, UNFINISHED};
use akk_proto::error::ErrorKind;
use akk_proto::{ConversationId, DeliveryId, RequestId};
use jsonrpsee::core::server::MethodResponse;
use jsonrpsee::types::Params;
use serde::Deserialize;
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Where calls of one socket are noted.
#[derive(Clone)]
pub struct Audit {
    /// What keeps the rows.
    pub store: Store,
    /// Says when.
    pub clock: Clock,
    /// Which socket it is.
    pub via: AuditWay,
}

/// The same for one connection.
pub(super) struct Witness {
    audit: Audit,
    peer: AuditPeer,
}

/// One call that goes on. Dropped before its end it says that nobody waited for the answer.
pub(super) struct Witnessed {
    store: Store,
    place: AuditPlace,
    row: AuditRow,
    about: About,
}

/// The conversation that a call turned out to be about.
type About = Arc<Mutex<Option<ConversationId>>>;

tokio::task_local! {
    static CALL: About;
}

/// Says which conversation the call at hand is about, where its parameters do not name it in full.
pub(super) fn concerns(id: &ConversationId) {
    // Outside of a call that is noted there is nobody to tell.
    let _ = CALL.try_with(|about| *about.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.clone()));
}

/// What a method of akkd's does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is noted.
    Changes,
    /// It is noted where it asks for a conversation, and else only looks.
    MayChange,
    /// It is not noted.
    Looks,
}

fn kind(method: &str) -> Kind {
    match method {
        "daemon.stop"
        | "conversation.delegate"
        | "conversation.send"
        | "conversation.recover"
        | "conversation.cancel"
        | "conversation.permit"
        | "conversation.close"
        | "conversation.delete"
        | "conversation.import"
        | "delivery.retry"
        | "delivery.ack"
        | "delivery.handed"
        | "delivery.failed"
        | "callback.report"
        | "callback.confirm_answer" => Kind::Changes,
        "sessions.takeover" => Kind::MayChange,
        _ => Kind::Looks,
    }
}

/// Whether calls of this method may be noted.
#[cfg(test)]
pub(super) fn is_noted(method: &str) -> bool {
    kind(method) != Kind::Looks
}

impl Witness {
    pub(super) fn of(audit: &Audit, peer: Peer, executable: Option<PathBuf>) -> Self {
        let executable = executable.map(|path| path.to_string_lossy().into_owned());
        let pid = peer.pid.and_then(|pid| u32::try_from(pid).ok());
        Self { audit: audit.clone(), peer: AuditPeer { pid, uid: peer.uid, executable } }
    }

    /// Notes that a call begins. None where the call changes nothing.
    pub(super) async fn begin(&self, method: &str, params: &Params<'_>) -> Option<Witnessed> {
        let kind = kind(method);
        if kind == Kind::Looks {
            return None;
        }
        let named = Named::in_params(params);
        if kind == Kind::MayChange && named.as_ref().is_some_and(|n| !n.create_conversation) {
            return None;
        }
        let Audit { store, clock, via } = &self.audit;
        let named = named.unwrap_or_default();
        let about = named.conversation();
        let row = AuditRow {
            at: clock.wall(),
            via: *via,
            method: method.to_owned(),
            conversation_id: about.clone(),
            request_id: named.request(),
            result: UNFINISHED.to_owned(),
            peer: Some(self.peer.clone()),
        };
        let place = store.audit_begin(row.clone()).await;
        Some(Witnessed { store: store.clone(), place, row, about: Arc::new(Mutex::new(about)) })
    }
}

impl Witnessed {
    /// Does `work`, the call itself.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        CALL.scope(self.about.clone(), work).await
    }

    /// Notes how the call ended.
    pub(super) fn end(mut self, answer: &MethodResponse) {
        self.row.result = if answer.is_error() { error_kind(answer.as_json().get()) } else { OK.to_owned() };
    }
}

impl Drop for Witnessed {
    fn drop(&mut self) {
        let mut row = self.row.clone();
        if row.result == UNFINISHED {
            UNANSWERED.clone_into(&mut row.result);
        }
        row.conversation_id = self.about.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.store.audit_end(&self.place, row);
    }
}

/// The kind of the error in an answer.
fn error_kind(json: &str) -> String {
    #[derive(Deserialize)]
    struct Answer {
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        kind: ErrorKind,
    }
    serde_json::from_str::<Answer>(json).map_or(ErrorKind::Internal, |answer| answer.error.data.kind).word()
}

/// What of a call's parameters is noted: names, checked, and nothing that anybody wrote.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    conversation_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    delivery_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    attempt_id: Option<Cow<'a, str>>,
    create_conversation: bool,
}

impl<'a> Named<'a> {
    /// None where the parameters are not what such a call has.
    fn in_params(params: &'a Params<'_>) -> Option<Self> {
        let (named,) = serde_json::from_str::<(Self,)>(params.as_str()?).ok()?;
        Some(named)
    }

    fn conversation(&self) -> Option<ConversationId> {
        let of_delivery = || DeliveryId::parse(self.delivery_id.as_deref()?).ok()?.conversation();
        self.conversation_id.as_deref().and_then(|id| ConversationId::parse(id).ok()).or_else(of_delivery)
    }

    fn request(&self) -> Option<RequestId> {
        let id = self.request_id.as_deref().or(self.attempt_id.as_deref())?;
        RequestId::parse(id).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_taken_from_what_was_asked_and_only_when_they_are_names() {
        let id = "task-20260620T120525-0a1b2c3d";
        let named = |json: &str| {
            let params = Params::new(Some(json)).into_owned();
            let named = Named::in_params(&params)?;
            Some((named.conversation().map(|id| id.to_string()), named.request().map(|id| id.to_string())))
        };
        let full = format!(r#"[{{"conversation_id":"{id}","request_id":"call-1","message":"a secret"}}]"#);
        assert_eq!(named(&full), Some((Some(id.into()), Some("call-1".into()))));
        let delivery = format!(r#"[{{"delivery_id":"akk:{id}:msg-0198c0de-0000-7000-8000-000000000001"}}]"#);
        assert_eq!(named(&delivery), Some((Some(id.into()), None)));
        let odd = r#"[{"conversation_id":"../../etc","request_id":"a b\u001b[2J"}]"#;
        assert_eq!(named(odd), Some((None, None)));
        assert_eq!(named(r#"[{"conversation_id":7}]"#), None);
        assert_eq!(error_kind(r#"{"error":{"data":{"kind":"wrong_status"}}}"#), "wrong_status");
    }
}
