//! The commands that are one call and one view.

use super::Context;
use super::input::Source;
use crate::akkd::new_request_id;
use crate::cli::{Close, Delete, List, OneConversation, PermitArgs, ResultOf, Search, Send, StatusOf};
use crate::client::Answer;
use crate::error::{Error, Result, exit};
use crate::output;
use akk_proto::api::{
    CancelAnswer, CloseParams, ConversationParams, DeleteAnswer, GetAnswer, HistoryAnswer, HistoryParams, ListAnswer,
    ListParams, PermitAnswer, PermitParams, ResultAnswer, ResultParams, SearchAnswer, SearchParams, SendAnswer,
    SendParams,
};
use akk_proto::limits::MAX_PROMPT_BYTES;
use akk_proto::permission::Permit;
use std::path::Path;

pub(super) fn send(args: Send, context: &Context<'_>) -> Result<u8> {
    let source = match (&args.text, &args.message, &args.message_file) {
        (Some(text), ..) | (None, Some(text), _) => Some(Source::of_argument(text.clone())),
        (None, None, Some(file)) => Some(Source::File(file)),
        // The message whose model was refused is there already.
        (None, None, None) if args.model.is_some() => None,
        (None, None, None) => {
            return Err(Error::usage(
                "there is nothing to send: the only word is taken as the conversation's ID",
                "type `akkctl send ID TEXT`, or `akkctl send --message TEXT` for the only open conversation",
            ));
        }
    };
    let message = source.map(|s| s.read("the message", MAX_PROMPT_BYTES)).transpose()?;
    let params = SendParams {
        request_id: new_request_id(),
        conversation_id: args.which.wanted(),
        message,
        kind: args.kind,
        model: args.model,
        soft_limit: args.soft_limit,
        hard_limit: args.hard_limit,
        cancel_first: args.cancel_first,
    };
    show_sent(&context.akkd().call("conversation.send", &params)?, context)
}

/// As for `delegate`: a script must not take a message that reached nobody for one that is worked on.
fn show_sent(answer: &Answer, context: &Context<'_>) -> Result<u8> {
    context.show::<SendAnswer>(answer, output::sent)?;
    Ok(if output::not_delivered(&answer.read::<SendAnswer>()?) { exit::FAILED } else { exit::OK })
}

pub(super) fn permit(args: &PermitArgs, context: &Context<'_>) -> Result<u8> {
    let answer = context.akkd().call("conversation.permit", &answer_to_permission(args)?)?;
    context.show::<PermitAnswer>(&answer, output::permitted)?;
    Ok(exit::OK)
}

/// `[ID [REQUEST]] ANSWER`.
fn answer_to_permission(args: &PermitArgs) -> Result<PermitParams> {
    let words: Vec<&str> = args.words.iter().map(String::as_str).collect();
    let (id, nonce, answer) = match (words.as_slice(), args.conversation.as_deref()) {
        ([answer], id) => (id.unwrap_or_default(), None, *answer),
        ([nonce, answer], Some(id)) => (id, Some(*nonce), *answer),
        ([id, answer], None) => (*id, None, *answer),
        ([id, nonce, answer], None) => (*id, Some(*nonce), *answer),
        _ => return Err(Error::usage("there are too many words", "type `akkctl permit ID REQUEST allow`")),
    };
    let said = answer.replace('-', "_");
    let Some(decision) = Permit::ALL.into_iter().find(|permit| permit.as_str() == said) else {
        let hint = "end the command with allow, allow_always or deny";
        return Err(Error::usage(format!("`{answer}` is no answer to a permission request"), hint));
    };
    Ok(PermitParams {
        request_id: new_request_id(),
        conversation_id: id.to_owned(),
        nonce: nonce.map(str::to_owned),
        decision,
    })
}

pub(super) fn recover(args: &OneConversation, context: &Context<'_>) -> Result<u8> {
    show_sent(&context.akkd().call("conversation.recover", &changing(args.which.wanted()))?, context)
}

pub(super) fn cancel(args: &OneConversation, context: &Context<'_>) -> Result<u8> {
    let answer = context.akkd().call("conversation.cancel", &changing(args.which.wanted()))?;
    context.show::<CancelAnswer>(&answer, |a, v| output::cancelled(a, false, v))?;
    Ok(exit::OK)
}

pub(super) fn close(args: Close, context: &Context<'_>) -> Result<u8> {
    let params =
        CloseParams { request_id: new_request_id(), conversation_id: args.which.wanted(), reason: args.reason };
    let answer = context.akkd().call("conversation.close", &params)?;
    context.show::<CancelAnswer>(&answer, |a, v| output::cancelled(a, true, v))?;
    Ok(exit::OK)
}

pub(super) fn delete(args: &Delete, context: &Context<'_>) -> Result<u8> {
    let wanted = args.wanted();
    if wanted.is_empty() {
        // Elsewhere an empty id means the only open conversation; deleting names its victim.
        return Err(Error::usage("no conversation is named", "type `akkctl delete ID`"));
    }
    let answer = context.akkd().call("conversation.delete", &changing(wanted))?;
    context.show::<DeleteAnswer>(&answer, |a, _| output::deleted(a))?;
    Ok(exit::OK)
}

pub(super) fn list(args: List, context: &Context<'_>) -> Result<u8> {
    let params = ListParams {
        // Asking for a terminal status means asking for terminal conversations.
        all: args.all || args.status.is_some_and(akk_proto::conversation::Status::is_terminal),
        agent: args.agent,
        status: args.status,
        workspace: args.workspace.as_deref().map(absolute).transpose()?,
        limit: args.limit,
        after: args.after,
    };
    let answer = context.akkd().call("conversation.list", &params)?;
    context.show::<ListAnswer>(&answer, |a, v| output::list(a, &params, v))?;
    Ok(exit::OK)
}

pub(super) fn status(args: &StatusOf, context: &Context<'_>) -> Result<u8> {
    let mut akkd = context.akkd();
    let asked = ConversationParams { request_id: None, conversation_id: args.which.wanted() };
    let answer = akkd.call("conversation.get", &asked)?;
    context.show::<GetAnswer>(&answer, output::card)?;
    if !args.trace {
        return Ok(exit::OK);
    }
    // By its full id: what is the only open one, or the last one, may change between two calls.
    let conversation_id = answer.read::<GetAnswer>()?.conversation.conversation_id.to_string();
    let mut params = HistoryParams { conversation_id, after_seq: 0, limit: None };
    loop {
        let answer = akkd.call("conversation.trace", &params)?;
        context.show::<HistoryAnswer>(&answer, |a, v| output::trace(&a.events, v))?;
        match answer.read::<HistoryAnswer>()?.next_seq {
            Some(next) => params.after_seq = next,
            None => return Ok(exit::OK),
        }
    }
}

pub(super) fn result(args: ResultOf, context: &Context<'_>) -> Result<u8> {
    let params = ResultParams { conversation_id: args.which.wanted(), turn_id: args.turn };
    let answer = context.akkd().call("conversation.result", &params)?;
    context.show::<ResultAnswer>(&answer, output::result)?;
    Ok(exit::OK)
}

pub(super) fn search(args: &Search, context: &Context<'_>) -> Result<u8> {
    let params = SearchParams { text: args.words.join(" "), limit: args.limit };
    let answer = context.akkd().call("conversation.search", &params)?;
    context.show::<SearchAnswer>(&answer, output::search)?;
    Ok(exit::OK)
}

/// A path as akkd takes it: absolute, since akkd has another working directory.
pub(super) fn absolute(path: &Path) -> Result<String> {
    let path = std::path::absolute(path).map_err(|e| Error::file("find", path, e))?;
    path.into_os_string()
        .into_string()
        .map_err(|path| Error::usage(format!("{} is not UTF-8", path.display()), "choose a path that is UTF-8"))
}

fn changing(conversation_id: String) -> ConversationParams {
    ConversationParams { request_id: new_request_id(), conversation_id }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_a_permission_names_as_much_as_is_needed() {
        let read = |words: &[&str], conversation: Option<&str>| {
            let words = words.iter().map(|w| (*w).to_owned()).collect();
            answer_to_permission(&PermitArgs { words, conversation: conversation.map(str::to_owned) })
                .map(|p| (p.conversation_id, p.nonce, p.decision))
        };
        let said = |id: &str, nonce: Option<&str>, decision| (id.to_owned(), nonce.map(str::to_owned), decision);
        assert_eq!(read(&["allow"], None).unwrap(), said("", None, Permit::Allow));
        assert_eq!(read(&["0a1b2c3d", "deny"], None).unwrap(), said("0a1b2c3d", None, Permit::Deny));
        assert_eq!(
            read(&["@last", "4e5f", "allow-always"], None).unwrap(),
            said("@last", Some("4e5f"), Permit::AllowAlways)
        );
        assert_eq!(read(&["4e5f", "allow_always"], Some("x")).unwrap(), said("x", Some("4e5f"), Permit::AllowAlways));
        for (words, conversation) in
            [(&["0a1b2c3d"][..], None), (&["allow", "0a1b2c3d"], None), (&["a", "b", "deny"], Some("x"))]
        {
            assert!(read(words, conversation).is_err(), "{words:?}");
        }
    }
}
