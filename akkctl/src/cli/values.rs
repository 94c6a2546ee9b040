//! How the values of options are read.

use akk_proto::Timestamp;
use akk_proto::conversation::{PermissionPolicy, RecoveryPolicy, Status};
use akk_proto::delivery::SinkKind;
use akk_proto::message::MessageType;
use clap::builder::{PossibleValuesParser, TypedValueParser};

pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse::<jiff::Timestamp>().map(Timestamp::from).map_err(|e| e.to_string())
}

pub(super) fn policy() -> impl TypedValueParser<Value = PermissionPolicy> {
    use PermissionPolicy::{All, Ask, Deny, Reads};
    let policies = [Ask, Reads, All, Deny];
    one_of(policies.map(PermissionPolicy::as_str), move |t| policies.into_iter().find(|p| p.as_str() == t))
}

pub(super) fn recovery() -> impl TypedValueParser<Value = RecoveryPolicy> {
    one_of(["auto", "explicit"], |t| match t {
        "auto" => Some(RecoveryPolicy::Auto),
        "explicit" => Some(RecoveryPolicy::Explicit),
        _ => None,
    })
}

pub(super) fn sink() -> impl TypedValueParser<Value = SinkKind> {
    one_of(SinkKind::ALL.map(SinkKind::as_str), SinkKind::named)
}

pub(super) fn message_type() -> impl TypedValueParser<Value = MessageType> {
    one_of(MessageType::ALL.into_iter().filter(|t| t.goes_to_agent()).map(MessageType::as_str), MessageType::parse)
}

pub(super) fn status() -> impl TypedValueParser<Value = Status> {
    one_of(Status::ALL.map(Status::as_str), Status::parse)
}

/// A parser that knows every value, so that help and completions do too.
pub(super) fn one_of<T: Clone + Send + Sync + 'static>(
    words: impl IntoIterator<Item = &'static str>,
    parse: impl Fn(&str) -> Option<T> + Clone + Send + Sync + 'static,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words).try_map(move |t| parse(&t).ok_or("not one of the possible values"))
}
