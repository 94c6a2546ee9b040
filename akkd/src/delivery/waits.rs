//! Why a delivery is not told yet, as a sentence for people.

use super::plugins::{Away, Plugins};
use crate::store::DeliveryRow;
use akk_proto::Timestamp;
use akk_proto::delivery::{DeliveryState, SinkKind};

/// Why `row` waits; none when it was told, or is about to be.
pub(super) fn sentence(row: &DeliveryRow, plugins: &Plugins, now: Timestamp) -> Option<String> {
    let view = &row.view;
    let over_plugin = view.sink == SinkKind::Plugin;
    let away = || plugins.away(row.gateway.as_deref()).filter(|_| over_plugin).map(|away| absent(away, row, now));
    match view.state {
        DeliveryState::Acknowledged => None,
        DeliveryState::Parked => Some(
            "It waits for a person: the session that asked was reset or is gone. \
             `akkctl deliveries retry` tells it to the session that has its key today."
                .to_owned(),
        ),
        DeliveryState::Uncertain => Some(
            "It waits for a person: whether it arrived cannot be known. \
             Look into the chat; then `akkctl deliveries ack`, or `retry` to tell it once more."
                .to_owned(),
        ),
        DeliveryState::Leased | DeliveryState::Handed if !over_plugin => Some("Its command runs.".to_owned()),
        DeliveryState::Leased => Some(away().map_or_else(
            || "OpenClaw's plugin has it and did not say yet what became of it.".to_owned(),
            |away| format!("{away} It had this report then, and looks whether it arrived when it is back."),
        )),
        DeliveryState::Handed => Some(away().map_or_else(
            || "OpenClaw accepted it, and the run that tells it has not ended.".to_owned(),
            |away| format!("{away} OpenClaw had accepted this report, and its plugin looks what became of it then."),
        )),
        DeliveryState::Pending if row.behind => {
            Some("An earlier report of this conversation is told first.".to_owned())
        }
        DeliveryState::Pending => away()
            .or_else(|| {
                let left = view.next_attempt_at.map_or(0, |at| at.millis_since(now));
                (left > 0).then(|| format!("The next attempt is in {}.", span(left)))
            })
            .or_else(|| {
                let lane = view.orchestrator.as_deref().unwrap_or(view.conversation_id.as_str());
                (over_plugin && plugins.is_busy(row.gateway.as_deref(), lane))
                    .then(|| "Another report is being told to the same session.".to_owned())
            }),
    }
}

fn absent(away: Away, row: &DeliveryRow, now: Timestamp) -> String {
    let which = row.gateway.as_ref().map_or_else(String::new, |g| format!(" (installation {g})"));
    match away {
        Away::Left { since } => {
            format!("OpenClaw's plugin{which} has not been connected for {}.", span(now.millis_since(since)))
        }
        Away::NeverThere { since } => format!(
            "OpenClaw's plugin{which} is not connected, and was not since akkd started {} ago.",
            span(now.millis_since(since))
        ),
    }
}

/// A time in the largest unit that fits.
fn span(millis: i64) -> String {
    let seconds = millis.max(0) / 1000;
    let (n, unit) = match seconds {
        0..60 => (seconds.max(1), "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    if n == 1 { format!("1 {unit}") } else { format!("{n} {unit}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_its_largest_unit() {
        let spans: Vec<String> =
            [-5, 400, 1000, 59_999, 60_000, 7_200_000, 200_000_000].iter().map(|m| span(*m)).collect();
        assert_eq!(spans, ["1 second", "1 second", "1 second", "59 seconds", "1 minute", "2 hours", "2 days"]);
    }
}
