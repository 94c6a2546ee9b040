//! Errors of the wire: ours, JSON-RPC's, and jsonrpsee's put into our form.

use crate::config::spelling;
use akk_core::redact::cut;
use akk_proto::error::{ErrorData, ErrorKind, Failure};
use jsonrpsee::core::server::MethodResponse;
use jsonrpsee::types::error::{
    ErrorCode, INVALID_PARAMS_CODE, OVERSIZED_RESPONSE_CODE, PARSE_ERROR_CODE, TOO_BIG_BATCH_RESPONSE_CODE,
};
use jsonrpsee::types::{ErrorObject, ErrorObjectOwned, Id};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Longest piece of what a peer wrote that comes back in an error, in characters.
const MAX_ECHO_CHARS: usize = 300;

/// The answer `failure` to the call `id`.
pub(super) fn answer(id: Id<'_>, failure: Failure) -> MethodResponse {
    MethodResponse::error(id, ErrorObjectOwned::from(failure))
}

/// The answer to what is not JSON.
pub(super) fn not_json(what: &str) -> MethodResponse {
    let data = ErrorData {
        kind: ErrorKind::InvalidRequest,
        hint: "Send one JSON-RPC 2.0 message a line, in UTF-8, without newlines inside.".to_owned(),
        details: serde_json::Map::new(),
    };
    let message = format!("the line is not JSON: {}", cut(what, MAX_ECHO_CHARS));
    MethodResponse::error(Id::Null, ErrorObject::owned(PARSE_ERROR_CODE, message, Some(data)))
}

pub(super) fn invalid_request(what: impl Into<String>) -> Failure {
    let hint = r#"A request looks like {"jsonrpc":"2.0","id":1,"method":"daemon.info","params":{}}."#;
    Failure::new(ErrorKind::InvalidRequest, what, hint)
}

pub(super) fn unknown_method<'a>(method: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    let hint = spelling::suggest(method, known.iter().copied());
    Failure::new(ErrorKind::UnknownMethod, format!("there is no method `{}` on this socket", cut(method, 100)), hint)
}

pub(super) fn invalid_params(method: &str, what: &str, hint: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::InvalidParams, format!("{method}: {}", cut(what, MAX_ECHO_CHARS)), hint)
}

pub(super) fn line_too_long(max: usize) -> Failure {
    let message = format!("the line is longer than {max} bytes");
    Failure::new(ErrorKind::TooLarge, message, "Send less in one message.").with("limit", max)
}

pub(super) fn line_unfinished(seconds: u64) -> Failure {
    let message = format!("the line did not end within {seconds} s");
    Failure::new(ErrorKind::InvalidRequest, message, "End each message with a newline.")
}

pub(super) fn answer_too_long(method: &str, max: usize) -> Failure {
    let message = format!("{method}: the answer is longer than {max} bytes");
    Failure::new(ErrorKind::TooLarge, message, "Ask for less: a smaller page, or fewer calls in one batch.")
        .with("limit", max)
}

pub(super) fn too_many_connections(max: usize) -> Failure {
    let message = format!("akkd has {max} connections here already");
    Failure::new(ErrorKind::TooLarge, message, "Close some clients, or try again later.").with("limit", max)
}

pub(super) fn too_many_subscriptions(max: usize) -> Failure {
    let message = format!("this connection has {max} subscriptions already");
    Failure::new(ErrorKind::TooLarge, message, "End one of them, or open another connection.").with("limit", max)
}

pub(super) fn too_large_batch(max: usize) -> Failure {
    let message = format!("the batch has more than {max} entries");
    Failure::new(ErrorKind::TooLarge, message, "Send several batches.").with("limit", max)
}

pub(super) fn stopping() -> Failure {
    Failure::new(ErrorKind::Stopping, "akkd is stopping", "Start it again and repeat the call; what it took is kept.")
}

pub(super) fn defect(method: &str) -> Failure {
    let message = format!("{method} failed inside akkd");
    Failure::new(ErrorKind::Internal, message, "Look into akkd's log (`akkctl daemon logs`), and please report it.")
}

/// What to answer to a call of `method` in place of `json`, where that is an error in jsonrpsee's form: the same with
/// a kind, a hint and a sentence. None for results and for errors that are ours.
pub(super) fn in_our_form(method: &str, json: &RawValue, max_response: usize) -> Option<MethodResponse> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        id: Id<'a>,
        #[serde(borrow)]
        error: Option<ErrorObject<'a>>,
    }
    let Ok(Answer { id, error: Some(error) }) = serde_json::from_str::<Answer<'_>>(json.get()) else { return None };
    if error.data().is_some_and(|data| serde_json::from_str::<ErrorData>(data.get()).is_ok()) {
        return None;
    }
    // jsonrpsee leaves the cause as a string in `data`.
    let cause = error.data().and_then(|d| serde_json::from_str::<String>(d.get()).ok());
    let failure = match (error.code(), cause) {
        (INVALID_PARAMS_CODE, cause) => {
            let (what, hint) = spelling::explain(cause.as_deref().unwrap_or(error.message()));
            invalid_params(method, &what, cut(&hint, 2000))
        }
        (OVERSIZED_RESPONSE_CODE | TOO_BIG_BATCH_RESPONSE_CODE, _) => answer_too_long(method, max_response),
        (code, _) if code == ErrorCode::InternalError.code() => defect(method),
        (_, cause) => Failure::new(
            ErrorKind::Internal,
            format!("{method}: {}", cut(cause.as_deref().unwrap_or(error.message()), MAX_ECHO_CHARS)),
            "Look into akkd's log (`akkctl daemon logs`).",
        ),
    };
    Some(answer(id, failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dress(error: ErrorObjectOwned) -> serde_json::Value {
        let json = MethodResponse::error(Id::Str("x".into()), error).into_json();
        serde_json::from_str(in_our_form("conversation.send", &json, 99).unwrap().as_ref()).unwrap()
    }

    #[test]
    fn what_jsonrpsee_says_of_parameters_names_the_field_and_suggests() {
        let cause = "unknown field `mesage`, expected one of `conversation_id`, `message` at line 1 column 11";
        let v = dress(ErrorObject::owned(INVALID_PARAMS_CODE, "Invalid params", Some(cause)));
        assert_eq!(v["id"], "x");
        assert_eq!(v["error"]["code"], INVALID_PARAMS_CODE);
        assert_eq!(v["error"]["message"], "conversation.send: unknown field `mesage`");
        assert_eq!(v["error"]["data"]["kind"], "invalid_params");
        assert!(v["error"]["data"]["hint"].as_str().unwrap().starts_with("Did you mean `message`?"));
    }

    #[test]
    fn our_own_errors_stay_as_they_are() {
        let ours = ErrorObjectOwned::from(Failure::new(ErrorKind::NotFound, "no such", "Look."));
        let json = MethodResponse::error(Id::Number(1), ours).into_json();
        assert!(in_our_form("m", &json, 99).is_none());
        let result = RawValue::from_string(r#"{"jsonrpc":"2.0","id":1,"result":{"error":1}}"#.into()).unwrap();
        assert!(in_our_form("m", &result, 99).is_none());
    }

    #[test]
    fn an_answer_that_is_too_long_and_a_defect_have_kinds_of_their_own() {
        let v = dress(ErrorObject::owned(OVERSIZED_RESPONSE_CODE, "Response is too big", Some("Exceeded")));
        assert_eq!(
            (&v["error"]["data"]["kind"], &v["error"]["data"]["details"]["limit"]),
            (&"too_large".into(), &99.into())
        );
        let v = dress(ErrorCode::InternalError.into());
        assert_eq!(v["error"]["data"]["kind"], "internal");
    }

    #[test]
    fn an_error_does_not_echo_what_it_was_sent_in_full() {
        let cause = format!("unknown field `{}`, expected `a` or `b`", "x".repeat(1 << 20));
        let v = dress(ErrorObject::owned(INVALID_PARAMS_CODE, "Invalid params", Some(cause)));
        assert!(v.to_string().len() < 1000);
    }
}
