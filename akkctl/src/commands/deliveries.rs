//! `akkctl deliveries`: what waits for the orchestrator, and a person's hand on it.

use super::Context;
use crate::akkd::Akkd;
use crate::cli::{Deliveries, DeliveryCommand};
use crate::error::{Error, Result, exit};
use crate::output;
use akk_proto::DeliveryId;
use akk_proto::api::{DeliveryAnswer, DeliveryListAnswer, DeliveryListParams, DeliveryParams};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::limits::MAX_PAGE;

pub(super) fn run(args: Deliveries, context: &Context<'_>) -> Result<u8> {
    let mut akkd = context.akkd();
    let (method, id) = match args.command {
        None => {
            let params = DeliveryListParams { conversation_id: args.conversation, all: args.all, limit: args.limit };
            let answer = akkd.call("delivery.list", &params)?;
            context.show::<DeliveryListAnswer>(&answer, output::deliveries)?;
            return Ok(exit::OK);
        }
        Some(DeliveryCommand::Retry { id }) => ("delivery.retry", id),
        Some(DeliveryCommand::Ack { id }) => ("delivery.ack", id),
    };
    let delivery_id = resolve(&id, &mut akkd)?;
    // Without a request id: a second retry or a second mark changes nothing that the first one did not.
    let answer = akkd.call(method, &DeliveryParams { delivery_id, attempt: None })?;
    context.show::<DeliveryAnswer>(&answer, |a, v| output::delivery(&a.delivery, v))?;
    Ok(exit::OK)
}

/// The delivery with this id, or the only waiting one whose id ends so.
fn resolve(wanted: &str, akkd: &mut Akkd<'_>) -> Result<DeliveryId> {
    if let Ok(id) = DeliveryId::parse(wanted) {
        return Ok(id);
    }
    let all = DeliveryListParams { conversation_id: None, all: false, limit: Some(MAX_PAGE) };
    let waiting: DeliveryListAnswer = akkd.call("delivery.list", &all)?.read()?;
    let ids = waiting.deliveries.into_iter().map(|d| d.delivery_id);
    matching(wanted, ids).map_err(|f| Error::Refused(Box::new(f)))
}

fn matching(wanted: &str, ids: impl Iterator<Item = DeliveryId>) -> Result<DeliveryId, Failure> {
    let fits: Vec<DeliveryId> = ids.filter(|id| !wanted.is_empty() && id.as_str().ends_with(wanted)).collect();
    match fits.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::new(
            ErrorKind::NotFound,
            format!("no waiting delivery has an id that ends with {wanted:?}"),
            "see `akkctl deliveries`",
        )),
        several => {
            let ids: Vec<String> = several.iter().map(ToString::to_string).collect();
            let message = format!("{wanted:?} fits {} deliveries", several.len());
            Err(Failure::new(ErrorKind::AmbiguousId, message, "give more of the id").with("candidates", ids))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn a_delivery_is_named_by_the_end_of_its_id() {
        let ids = || samples::deliveries().into_iter().map(|d| d.delivery_id);
        assert_eq!(matching("00000001", ids()).unwrap(), ids().next().unwrap());
        assert_eq!(matching("x", ids()).unwrap_err().kind, ErrorKind::NotFound);
        assert_eq!(matching("", ids()).unwrap_err().kind, ErrorKind::NotFound);
        let again = ids().chain(ids());
        let ambiguous = matching("00000001", again).unwrap_err();
        assert_eq!(ambiguous.kind, ErrorKind::AmbiguousId);
        assert_eq!(ambiguous.details["candidates"].as_array().unwrap().len(), 2);
    }
}
