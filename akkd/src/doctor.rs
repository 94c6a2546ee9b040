//! Whether everything on the way of a report works, as far as akkd can see it.

use crate::clock::Clock;
use crate::delivery::{Deliveries, Probed};
use crate::store::Store;
use akk_proto::api::{Check, CheckLevel, DoctorAnswer};
use akk_proto::error::Failure;
use std::time::Duration;

/// How long OpenClaw's plugins are waited for.
const PROBE: Duration = Duration::from_secs(3);

/// Looks, in the order in which a report travels.
///
/// # Errors
/// When the store cannot be read.
pub async fn look(store: &Store, deliveries: &Deliveries, clock: &Clock) -> Result<DoctorAnswer, Failure> {
    let plugins = deliveries.plugins.connected();
    let mut checks = vec![outbox(store.counts().await?.undelivered, store.overdue(clock.wall()).await?)];
    checks.extend(deliveries.plugins.probe(PROBE).await.iter().map(plugin));
    Ok(DoctorAnswer { checks, plugins })
}

fn outbox(undelivered: u64, overdue: u64) -> Check {
    let (level, hint) = match overdue {
        0 => (CheckLevel::Ok, None),
        _ => (CheckLevel::Warn, Some("`akkctl deliveries` says what each of them waits for.".to_owned())),
    };
    let found = match (undelivered, overdue) {
        (0, _) => "Nothing waits.".to_owned(),
        (n, 0) => format!("{n} wait, none of them for more than ten minutes."),
        (n, overdue) => format!("{n} wait, {overdue} of them for more than ten minutes."),
    };
    Check { name: "outbox".to_owned(), level, found, hint }
}

fn plugin(probed: &Probed) -> Check {
    let hint = "Look into the log of OpenClaw's gateway.";
    let (level, found) = match &probed.answer {
        Some((true, detail)) => (CheckLevel::Ok, detail.clone()),
        Some((false, detail)) => (CheckLevel::Fail, detail.clone()),
        None => (CheckLevel::Fail, format!("It did not answer within {} s.", PROBE.as_secs())),
    };
    let hint = (level != CheckLevel::Ok).then(|| hint.to_owned());
    Check { name: format!("OpenClaw {}", probed.plugin.gateway), level, found, hint }
}
