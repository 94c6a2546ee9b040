//! The desk: what sinks and people say of a delivery is written down here, in the outbox first and then in the history.

use super::plugins::Plugins;
use super::runner::back_off;
use super::waits;
use crate::clock::Clock;
use crate::conversation::Conversations;
use crate::store::{DeliveryRow, Store};
use akk_core::decide::Input;
use akk_core::redact;
use akk_proto::api::{DeliveryFailedParams, DeliveryHandedParams};
use akk_proto::delivery::{DeliveryState, DeliveryView, FailureReason, Handed, ParkReason};
use akk_proto::error::{ErrorKind, Failure};
use akk_proto::{ConversationId, DeliveryId};

/// Characters of a sink's sentence that are kept.
const ERROR_CHARS: usize = 2000;

/// The outbox, as sinks and people speak to it. Cheap to clone.
#[derive(Clone)]
pub struct Deliveries {
    /// The rows.
    pub store: Store,
    /// For the history.
    pub conversations: Conversations,
    /// Who takes deliveries.
    pub plugins: Plugins,
    /// For due times.
    pub clock: Clock,
}

impl Deliveries {
    /// One row, with why it is not told yet.
    ///
    /// # Errors
    /// `not_found`, `storage`.
    pub async fn one(&self, id: &DeliveryId) -> Result<DeliveryView, Failure> {
        Ok(self.explained(self.row(id).await?))
    }

    /// Rows, oldest first, of one conversation or of all; acknowledged ones only with `all`.
    ///
    /// # Errors
    /// `storage`.
    pub async fn list(
        &self,
        conversation: Option<&ConversationId>,
        all: bool,
        limit: u32,
    ) -> Result<Vec<DeliveryView>, Failure> {
        let rows = self.store.outbox_list(conversation, all, limit, self.clock.wall()).await?;
        Ok(rows.into_iter().map(|row| self.explained(row)).collect())
    }

    /// OpenClaw accepted an attempt. One that is not under way is left as it is.
    ///
    /// # Errors
    /// `not_found`, `storage`.
    pub async fn handed(&self, said: DeliveryHandedParams) -> Result<DeliveryView, Failure> {
        let DeliveryHandedParams { delivery_id: id, attempt, run_id, session_id, process } = said;
        let row = self.row(&id).await?;
        let foreign = row.gateway.as_ref().is_some_and(|gateway| self.plugins.is_of_another(&process, gateway));
        let known = row.view.handed.as_ref().is_some_and(|h| {
            (h.attempt, &h.run_id, &h.session_id, &h.process) == (attempt, &run_id, &session_id, &process)
        });
        if foreign || known {
            return Ok(self.explained(row));
        }
        let handed = Handed { attempt, run_id, session_id, process, at: self.clock.wall() };
        if self.store.outbox_handed(&id, &handed).await? {
            self.plugins.handed(&id, attempt);
        }
        self.one(&id).await
    }

    /// The orchestrator has it: by what its sink says of an attempt, or by what a person says, without one. It counts
    /// always.
    ///
    /// # Errors
    /// `not_found`, `storage`.
    pub async fn told(&self, id: &DeliveryId, attempt: Option<u32>) -> Result<DeliveryView, Failure> {
        let row = self.row(id).await?;
        if self.store.outbox_told(id).await? {
            self.plugins.settled(id, attempt);
            let delivery_id = id.clone();
            let input = match attempt {
                Some(attempt) => Input::DeliveryAttempt { delivery_id, attempt, error: None },
                None => Input::DeliveryAccepted { delivery_id },
            };
            self.note(&row.view.conversation_id, input).await;
        }
        self.one(id).await
    }

    /// An attempt did not end well. One that is not under way is left as it is.
    ///
    /// # Errors
    /// `not_found`, `storage`.
    pub async fn failed(&self, said: DeliveryFailedParams) -> Result<DeliveryView, Failure> {
        let DeliveryFailedParams { delivery_id: id, attempt, reason, error } = said;
        let row = self.row(&id).await?;
        let error = redact::preview(&error, ERROR_CHARS);
        let park = match reason {
            FailureReason::Refused => None,
            FailureReason::RecipientGone => Some(ParkReason::RecipientGone),
            FailureReason::Uncertain => Some(ParkReason::Uncertain),
        };
        let changed = match park {
            None => {
                let pause = back_off(attempt, rand::random::<f64>());
                let next = self.clock.wall().plus_millis(pause.as_millis() as i64);
                self.store.outbox_refused(&id, attempt, &error, next).await?
            }
            Some(reason) => self.store.outbox_park(&id, attempt, reason, &error).await?,
        };
        if changed {
            self.plugins.settled(&id, Some(attempt));
            let delivery_id = id.clone();
            let input = match park {
                Some(reason) => Some(Input::DeliveryParked { delivery_id, reason, detail: error }),
                // The history names the 1st, 2nd, 4th, 8th … failure, not each of a thousand equal ones.
                None if attempt.is_power_of_two() => {
                    Some(Input::DeliveryAttempt { delivery_id, attempt, error: Some(error) })
                }
                None => None,
            };
            if let Some(input) = input {
                self.note(&row.view.conversation_id, input).await;
            }
        }
        self.one(&id).await
    }

    /// A person asks for another attempt now.
    ///
    /// # Errors
    /// `wrong_status` when it was told or an attempt is under way; `not_found`, `storage`.
    pub async fn retry(&self, id: &DeliveryId) -> Result<DeliveryView, Failure> {
        if !self.store.outbox_retry(id, self.clock.wall()).await? {
            let row = self.row(id).await?;
            return Err(match row.view.state {
                DeliveryState::Acknowledged => Failure::new(
                    ErrorKind::WrongStatus,
                    "the orchestrator has this report",
                    "Nothing is to be done; `akkctl deliveries --all` shows it.",
                ),
                state => Failure::new(
                    ErrorKind::WrongStatus,
                    format!("an attempt is under way: the report is {state}", state = state.as_str()),
                    format!("Wait for its end, or say with `akkctl deliveries ack {id}` that it need not be told."),
                ),
            });
        }
        self.one(id).await
    }

    async fn row(&self, id: &DeliveryId) -> Result<DeliveryRow, Failure> {
        Ok(self.store.delivery(id, self.clock.wall()).await?)
    }

    fn explained(&self, row: DeliveryRow) -> DeliveryView {
        let waits_for = waits::sentence(&row, &self.plugins, self.clock.wall());
        DeliveryView { waits_for, ..row.view }
    }

    /// For the history. The outbox is the truth: a fault here takes nothing back.
    async fn note(&self, conversation: &ConversationId, input: Input) {
        if let Err(error) = self.conversations.ask(conversation, input, None).await {
            tracing::warn!(%conversation, %error, "what became of a delivery is missing in the history");
        }
    }
}
