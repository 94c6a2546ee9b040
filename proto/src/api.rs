//! The methods of akkd: the one contract for server and clients.
//!
//! A parameter that an older akkd does not know is left out where it says nothing: until akkd is replaced, a newer client's
//! calls still fit.

use crate::conversation::{
    BudgetLevel, ConversationSummary, ConversationView, Need, PermissionPolicy, RecoveryPolicy, Status, TurnResult,
};
use crate::delivery::{DeliveryView, FailureReason, PluginView, Recipient, SinkKind};
use crate::event::EventRecord;
use crate::message::{Message, MessageType};
use crate::permission::Permit;
use crate::{ConversationId, DeliveryId, MessageId, RequestId, Timestamp, TurnId};
use serde::{Deserialize, Serialize};

/// Nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Empty {}

/// What akkd says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DaemonInfo {
    /// Version of the package.
    pub version: String,
    /// Version of this protocol.
    pub protocol: u32,
    /// The oldest version of it that is understood; `protocol` where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_protocol: Option<u32>,
    /// Its process id.
    pub pid: u32,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// Milliseconds it runs.
    pub uptime_ms: u64,
    /// The directory with its database, logs and launches.
    pub home: String,
    /// The control socket.
    pub socket: String,
    /// The configuration file, whether it exists or not.
    pub config: String,
    /// Conversations that are not terminal.
    pub open_conversations: u64,
    /// Conversations in all.
    pub conversations: u64,
    /// Turns that are open.
    pub open_turns: u64,
    /// Agent processes that akkd owns.
    pub agents: u64,
    /// Deliveries that wait.
    pub undelivered: u64,
    /// Those of them that wait for more than ten minutes.
    #[serde(default)]
    pub overdue: u64,
}

/// Parameters of `daemon.stop`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct StopParams {
    /// End running agents too. Otherwise running turns are left alone and the next akkd goes on with them.
    pub agents: bool,
}

/// Parameters of `conversation.delegate`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct DelegateParams {
    /// The client's own name for this call: a repeat is answered, not repeated.
    pub request_id: Option<RequestId>,
    /// What to do; not empty, 8 MiB at most. An alias and a colon in front select the agent.
    pub request: String,
    /// The agent kind or an alias.
    pub agent: Option<String>,
    /// Absolute path of an existing directory.
    pub workspace: String,
    /// An agent session name to use again.
    pub session: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// A proxy address without a password.
    pub proxy: Option<String>,
    /// Rounds, 1 or more.
    pub soft_limit: Option<u32>,
    /// Rounds, the soft limit or more.
    pub hard_limit: Option<u32>,
    /// Minutes of silence after which a turn counts as stalled; 1 or more.
    pub agent_timeout_minutes: Option<u32>,
    /// Minutes of idleness after which the conversation is closed; 1 or more.
    pub idle_timeout_minutes: Option<u32>,
    /// Where callbacks go: an OpenClaw session key such as `agent:main:main`.
    pub orchestrator: Option<String>,
    /// Where that session stands; OpenClaw's plugin fills it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Recipient>,
    /// How callbacks travel; by default `plugin` with an orchestrator, else `command` where one is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sink: Option<SinkKind>,
    /// A name for people, 200 characters at most.
    pub label: Option<String>,
    /// What happens when the agent session is lost.
    pub recovery_policy: Option<RecoveryPolicy>,
    /// What happens to permission requests.
    pub permissions: Option<PermissionPolicy>,
    /// Deliver `progress` too.
    pub deliver_progress: bool,
}

/// Answer of `conversation.delegate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DelegateAnswer {
    /// The conversation.
    pub conversation: ConversationView,
    /// Its first turn.
    pub turn_id: TurnId,
    /// Whether this answers a repeated call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// Parameters of `conversation.send`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SendParams {
    /// The client's own name for this call.
    pub request_id: Option<RequestId>,
    /// An id, a unique prefix or suffix of one, or `@last`.
    pub conversation_id: String,
    /// What to say; may be left out only with `model` in `needs_model_selection`.
    pub message: Option<String>,
    /// `answer`, `task`, `control` or `error`; by default what the status asks for.
    #[serde(rename = "type")]
    pub kind: Option<MessageType>,
    /// The model from now on.
    pub model: Option<String>,
    /// A new soft limit.
    pub soft_limit: Option<u32>,
    /// A new hard limit.
    pub hard_limit: Option<u32>,
    /// Cancel the open turn of a stalled conversation first.
    pub cancel_first: bool,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SendState {
    /// A turn was started with it.
    Sent,
    /// It waits behind the open turn.
    Queued,
}

/// Answer of `conversation.send` and `conversation.recover`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SendAnswer {
    /// The conversation after it.
    pub conversation: ConversationView,
    /// The message.
    pub message_id: MessageId,
    /// The turn that carries it; none while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<TurnId>,
    /// What became of it.
    pub state: SendState,
    /// How near the limit it is.
    pub budget_level: BudgetLevel,
    /// Whether the agent session was gone and akkd replayed its history into a fresh one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auto_recovered: bool,
    /// Whether this answers a repeated call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// Parameters of methods that need a conversation only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ConversationParams {
    /// The client's own name for this call, where it changes something.
    pub request_id: Option<RequestId>,
    /// An id, a unique prefix or suffix of one, or `@last`.
    pub conversation_id: String,
}

/// Answer of `conversation.cancel` and `conversation.close`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CancelAnswer {
    /// The conversation after it.
    pub conversation: ConversationView,
    /// There was no open turn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nothing_to_cancel: bool,
    /// Messages that waited and were dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<MessageId>,
}

/// Parameters of `conversation.close`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct CloseParams {
    /// The client's own name for this call.
    pub request_id: Option<RequestId>,
    /// An id, a unique prefix or suffix of one, or `@last`.
    pub conversation_id: String,
    /// Why; by default `closed by request`.
    pub reason: Option<String>,
}

/// Parameters of `conversation.permit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PermitParams {
    /// The client's own name for this call.
    #[serde(default)]
    pub request_id: Option<RequestId>,
    /// An id, a unique prefix or suffix of one, or `@last`.
    #[serde(default)]
    pub conversation_id: String,
    /// Which request; may be left out where only one waits.
    #[serde(default)]
    pub nonce: Option<String>,
    /// The answer.
    pub decision: Permit,
}

/// Answer of `conversation.permit`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PermitAnswer {
    /// The conversation after it.
    pub conversation: ConversationView,
    /// The request that was answered; none where a repeated call named none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The answer.
    pub decision: Permit,
    /// Whether this answers a repeated call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// Parameters of `conversation.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ListParams {
    /// Terminal ones too.
    pub all: bool,
    /// Only this agent kind or alias.
    pub agent: Option<String>,
    /// Only this status.
    pub status: Option<Status>,
    /// Only this workspace (absolute path).
    pub workspace: Option<String>,
    /// Rows in a page, 1 to 1,000; 100 by default.
    pub limit: Option<u32>,
    /// Where the former page ended.
    pub after: Option<String>,
}

/// Answer of `conversation.list`, newest activity first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListAnswer {
    /// The page.
    pub conversations: Vec<ConversationSummary>,
    /// How many fit in all.
    pub total: u64,
    /// What to give as `after` for the next page; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Answer of `conversation.get`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GetAnswer {
    /// The conversation.
    pub conversation: ConversationView,
    /// Its last ten events, oldest first.
    pub events: Vec<EventRecord>,
    /// What waits for the orchestrator, oldest first, 20 at most.
    pub deliveries: Vec<DeliveryView>,
}

/// Parameters of `conversation.transcript` and `conversation.trace`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct HistoryParams {
    /// An id, a unique prefix or suffix of one, or `@last`.
    pub conversation_id: String,
    /// Only events with a higher `seq`.
    pub after_seq: u64,
    /// Events in a page, 1 to 1,000; 1,000 by default. A page also ends at 8 MiB.
    pub limit: Option<u32>,
}

/// Answer of `conversation.transcript` and `conversation.trace`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HistoryAnswer {
    /// The conversation's full id.
    pub conversation_id: ConversationId,
    /// Oldest first.
    pub events: Vec<EventRecord>,
    /// What to give as `after_seq` for the next page; none at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_seq: Option<u64>,
    /// The newest cursor when this was read: where a subscription goes on.
    pub cursor: u64,
}

/// Parameters of `conversation.search`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SearchParams {
    /// Words; all must occur.
    pub text: String,
    /// Hits at most, 1 to 1,000; 50 by default.
    pub limit: Option<u32>,
}

/// One hit of a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SearchHit {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// Its status now.
    pub status: Status,
    /// The message.
    pub message_id: MessageId,
    /// When it was recorded.
    pub ts: Timestamp,
    /// Who said it.
    pub from: String,
    /// What it was for.
    #[serde(rename = "type")]
    pub kind: MessageType,
    /// The words around the hit, 200 characters at most.
    pub snippet: String,
}

/// Answer of `conversation.search`, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SearchAnswer {
    /// The hits.
    pub hits: Vec<SearchHit>,
}

/// Parameters of `conversation.wait`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct WaitParams {
    /// An id, a unique prefix or suffix of one, or `@last`; left out with `any`.
    pub conversation_id: Option<String>,
    /// Any conversation, for what changes after the call.
    pub any: bool,
    /// Milliseconds, 0 to 3,600,000; 60,000 by default. At its end the answer says `timed_out`.
    pub timeout_ms: Option<u64>,
}

/// Answer of `conversation.wait`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WaitAnswer {
    /// What the conversation needs; none when the time was over.
    pub need: Option<Need>,
    /// Whether the time was over.
    pub timed_out: bool,
    /// The conversation; none only for `any` and `timed_out`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<ConversationView>,
    /// The agent's latest report, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
}

/// Parameters of `conversation.result`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ResultParams {
    /// An id, a unique prefix or suffix of one, or `@last`.
    pub conversation_id: String,
    /// Which turn; the last one by default.
    pub turn_id: Option<TurnId>,
}

/// Answer of `conversation.result`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResultAnswer {
    /// The conversation's full id.
    pub conversation_id: ConversationId,
    /// Its status.
    pub status: Status,
    /// What the turn came to.
    pub result: TurnResult,
}

/// Answer of `conversation.delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeleteAnswer {
    /// What is gone, for good.
    pub conversation_id: ConversationId,
}

/// Parameters of `events.subscribe`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SubscribeParams {
    /// Only events with a higher cursor; from now on when left out.
    pub since: Option<u64>,
    /// Only this conversation.
    pub conversation_id: Option<String>,
    /// Only events with these names.
    pub kinds: Vec<String>,
}

/// What a subscription sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "item", rename_all = "snake_case")]
pub enum StreamItem {
    /// One event; cursors rise.
    Event(Box<EventRecord>),
    /// All events up to this cursor were sent; sent once, when the past has been told.
    Live {
        /// The newest cursor.
        cursor: u64,
    },
    /// Events between these cursors (both left out) are gone: their conversation was deleted.
    Gap {
        /// Where the subscription stood.
        from: u64,
        /// Where it goes on.
        to: u64,
    },
}

/// Parameters of `delivery.list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryListParams {
    /// Only this conversation.
    pub conversation_id: Option<String>,
    /// Acknowledged ones too.
    pub all: bool,
    /// Rows at most, 1 to 1,000; 100 by default.
    pub limit: Option<u32>,
}

/// Answer of `delivery.list`, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveryListAnswer {
    /// The rows.
    pub deliveries: Vec<DeliveryView>,
}

/// Parameters of `delivery.retry` and `delivery.ack`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveryParams {
    /// The row.
    pub delivery_id: DeliveryId,
    /// `ack`: the attempt that arrived, where a sink says so; left out where a person does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
}

/// Parameters of `delivery.subscribe`: OpenClaw's plugin says who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliverySubscribeParams {
    /// The installation of OpenClaw, by a name that stays; 500 characters at most.
    pub gateway: String,
    /// The gateway's process, by a name that no other process has.
    pub process: String,
    /// Version of the plugin.
    pub plugin_version: String,
    /// Version of OpenClaw.
    pub openclaw_version: String,
}

/// Parameters of `delivery.handed`: OpenClaw accepted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveryHandedParams {
    /// The row.
    pub delivery_id: DeliveryId,
    /// The attempt of the offer.
    pub attempt: u32,
    /// OpenClaw's name for the run.
    pub run_id: String,
    /// The session that got it.
    pub session_id: String,
    /// The gateway's process.
    pub process: String,
}

/// Parameters of `delivery.failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveryFailedParams {
    /// The row.
    pub delivery_id: DeliveryId,
    /// The attempt of the offer.
    pub attempt: u32,
    /// What it comes to.
    pub reason: FailureReason,
    /// Why, as a sentence; cut at 2,000 characters.
    pub error: String,
}

/// Parameters of `delivery.probed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeliveryProbedParams {
    /// As it was asked.
    pub nonce: String,
    /// Whether sessions can be reached.
    pub gateway_ready: bool,
    /// What was found, as a sentence; cut at 2,000 characters.
    pub detail: String,
}

/// How good a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckLevel {
    /// As it should be.
    Ok,
    /// Good to know.
    Note,
    /// Works, but something should be done.
    Warn,
    /// Does not work.
    Fail,
}

/// One line of `daemon.doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// Where it stands among the others: a word of [`check`]; none from an akkd that did not group them yet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// What was looked at, in a few words.
    pub name: String,
    /// How good it is.
    pub level: CheckLevel,
    /// What was found, as a sentence.
    pub found: String,
    /// What to do; none where nothing is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Check {
    /// A line of one group, with what to do where that is said.
    pub fn new(group: &str, name: &str, level: CheckLevel, found: impl Into<String>, hint: Option<&str>) -> Self {
        Self {
            group: group.to_owned(),
            name: name.to_owned(),
            level,
            found: found.into(),
            hint: hint.map(str::to_owned),
        }
    }
}

/// Groups of checks, in their order, and names of checks that others look for.
pub mod check {
    /// akkctl and akkd: versions, sockets, service, clock.
    pub const AKKD: &str = "akkd";
    /// What akkd keeps: folders, disk, database, configuration.
    pub const HOME: &str = "home";
    /// The programs that agents are, and what they find around them.
    pub const AGENTS: &str = "agents";
    /// The way of a report, up to OpenClaw's sessions.
    pub const REPORTS: &str = "reports";
    /// What was left behind.
    pub const LEFT: &str = "left behind";
    /// All of them.
    pub const GROUPS: [&str; 5] = [AKKD, HOME, AGENTS, REPORTS, LEFT];
    /// Whether OpenClaw's plugins are connected, and reach their sessions. What is about OpenClaw itself stands before it.
    pub const CONNECTION: &str = "connection";
}

/// Answer of `daemon.doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DoctorAnswer {
    /// What akkd can see by itself, in the order in which a report travels.
    pub checks: Vec<Check>,
    /// Who takes deliveries now.
    pub plugins: Vec<PluginView>,
    /// What of akkd's environment agents depend on. Passwords are hidden; of a key only that it is set.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub environment: std::collections::BTreeMap<String, String>,
}

/// Answer of `delivery.retry`, `.ack`, `.handed` and `.failed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveryAnswer {
    /// The row after it.
    pub delivery: DeliveryView,
}

/// Parameters of `callback.report`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReportParams {
    /// The conversation, by its full id.
    pub conversation_id: ConversationId,
    /// The secret from the agent's environment.
    pub ticket: String,
    /// The turn that the agent works on; the open one by default.
    #[serde(default)]
    pub turn_id: Option<TurnId>,
    /// Made once by the reporting command, the same on each of its attempts.
    #[serde(default)]
    pub attempt_id: Option<RequestId>,
    /// What the agent wrote: JSON, or text with JSON in it. 256 KiB at most.
    pub message: String,
    /// `callback.await_answer` follows at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
}

/// Answer of `callback.report`: the message is durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReportAnswer {
    /// The message as it was recorded (for a duplicate: the first one).
    pub message_id: MessageId,
    /// Whether it had been recorded before.
    pub duplicate: bool,
    /// Whether its turn was over: recorded, status unchanged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// The conversation's status now.
    pub status: Status,
    /// How near the limit it is.
    pub budget_level: BudgetLevel,
}

/// Parameters of `callback.await_answer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AwaitParams {
    /// The conversation, by its full id.
    pub conversation_id: ConversationId,
    /// The secret of the agent's launch.
    pub ticket: String,
    /// The question, as `callback.report` named it.
    pub message_id: MessageId,
    /// Milliseconds to wait at most; cut at 50,000.
    pub wait_ms: u64,
}

/// Answer of `callback.await_answer`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AwaitAnswer {
    /// The message that goes to the agent next. It waits like any other until `callback.confirm_answer` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Message>,
    /// Nothing will come inside this turn any more: it was stopped, or went on another way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
    /// The conversation's status now.
    pub status: Status,
}

/// Parameters of `callback.confirm_answer`: the agent is being told, in the turn in which it asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfirmParams {
    /// The conversation, by its full id.
    pub conversation_id: ConversationId,
    /// The secret of the agent's launch.
    pub ticket: String,
    /// The question.
    pub message_id: MessageId,
    /// The message that answers it.
    pub answer_id: MessageId,
}

/// Answer of `callback.confirm_answer`: durable. Repeats are answered the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfirmAnswer {
    /// Whether it counts as sent. If not, it goes to the agent another way, and must not be told here.
    pub confirmed: bool,
    /// The conversation's status now.
    pub status: Status,
}

#[cfg(any(feature = "server", feature = "client"))]
mod rpc {
    #![allow(unused_imports, reason = "which names the macro uses depends on the half that is asked for")]
    use super::{
        AwaitAnswer, AwaitParams, CancelAnswer, CloseParams, ConfirmAnswer, ConfirmParams, ConversationParams,
        DaemonInfo, DelegateAnswer, DelegateParams, DeleteAnswer, DeliveryAnswer, DeliveryFailedParams,
        DeliveryHandedParams, DeliveryListAnswer, DeliveryListParams, DeliveryParams, DeliveryProbedParams,
        DeliverySubscribeParams, DoctorAnswer, Empty, GetAnswer, HistoryAnswer, HistoryParams, ListAnswer, ListParams,
        PermitAnswer, PermitParams, ReportAnswer, ReportParams, ResultAnswer, ResultParams, SearchAnswer, SearchParams,
        SendAnswer, SendParams, StopParams, StreamItem, SubscribeParams, WaitAnswer, WaitParams,
    };
    use crate::audit::{AuditAnswer, AuditParams};
    use crate::delivery::DeliveryItem;
    use crate::import::{ImportAnswer, ImportParams};
    use crate::session::{DiscoverAnswer, DiscoverParams, SessionItem, TakeoverAnswer, TakeoverParams, WatchParams};
    use jsonrpsee::core::{RpcResult, SubscriptionResult};
    use jsonrpsee::proc_macros::rpc;

    /// What the control socket serves.
    #[cfg_attr(all(feature = "server", feature = "client"), rpc(server, client))]
    #[cfg_attr(all(feature = "server", not(feature = "client")), rpc(server))]
    #[cfg_attr(all(feature = "client", not(feature = "server")), rpc(client))]
    pub trait Control {
        /// Version, process, counts.
        #[method(name = "daemon.info")]
        async fn daemon_info(&self, params: Empty) -> RpcResult<DaemonInfo>;
        /// Looks whether everything on the way of a report works.
        #[method(name = "daemon.doctor")]
        async fn daemon_doctor(&self, params: Empty) -> RpcResult<DoctorAnswer>;
        /// Stops akkd.
        #[method(name = "daemon.stop")]
        async fn daemon_stop(&self, params: StopParams) -> RpcResult<Empty>;
        /// Who asked for which change, and what came of it.
        #[method(name = "daemon.audit")]
        async fn daemon_audit(&self, params: AuditParams) -> RpcResult<AuditAnswer>;
        /// Starts a conversation and its first turn.
        #[method(name = "conversation.delegate")]
        async fn delegate(&self, params: DelegateParams) -> RpcResult<DelegateAnswer>;
        /// A message to an open conversation.
        #[method(name = "conversation.send")]
        async fn send(&self, params: SendParams) -> RpcResult<SendAnswer>;
        /// A fresh agent session with a replay of the history.
        #[method(name = "conversation.recover")]
        async fn recover(&self, params: ConversationParams) -> RpcResult<SendAnswer>;
        /// Stops the open turn.
        #[method(name = "conversation.cancel")]
        async fn cancel(&self, params: ConversationParams) -> RpcResult<CancelAnswer>;
        /// Answers a permission request of the agent.
        #[method(name = "conversation.permit", with_extensions)]
        async fn permit(&self, params: PermitParams) -> RpcResult<PermitAnswer>;
        /// Ends the conversation.
        #[method(name = "conversation.close")]
        async fn close(&self, params: CloseParams) -> RpcResult<CancelAnswer>;
        /// Open conversations, newest activity first.
        #[method(name = "conversation.list")]
        async fn list(&self, params: ListParams) -> RpcResult<ListAnswer>;
        /// One conversation with its latest events.
        #[method(name = "conversation.get")]
        async fn get(&self, params: ConversationParams) -> RpcResult<GetAnswer>;
        /// What a turn came to.
        #[method(name = "conversation.result")]
        async fn result(&self, params: ResultParams) -> RpcResult<ResultAnswer>;
        /// The whole history.
        #[method(name = "conversation.transcript")]
        async fn transcript(&self, params: HistoryParams) -> RpcResult<HistoryAnswer>;
        /// What the agent did.
        #[method(name = "conversation.trace")]
        async fn trace(&self, params: HistoryParams) -> RpcResult<HistoryAnswer>;
        /// Full-text search over requests and messages.
        #[method(name = "conversation.search")]
        async fn search(&self, params: SearchParams) -> RpcResult<SearchAnswer>;
        /// Waits until a conversation needs someone.
        #[method(name = "conversation.wait")]
        async fn wait(&self, params: WaitParams) -> RpcResult<WaitAnswer>;
        /// Deletes a terminal conversation for good.
        #[method(name = "conversation.delete")]
        async fn delete(&self, params: ConversationParams) -> RpcResult<DeleteAnswer>;
        /// Takes over a conversation of the predecessor, with its history.
        #[method(name = "conversation.import")]
        async fn import(&self, params: ImportParams) -> RpcResult<ImportAnswer>;
        /// The outbox.
        #[method(name = "delivery.list")]
        async fn delivery_list(&self, params: DeliveryListParams) -> RpcResult<DeliveryListAnswer>;
        /// Tries a delivery again now.
        #[method(name = "delivery.retry")]
        async fn delivery_retry(&self, params: DeliveryParams) -> RpcResult<DeliveryAnswer>;
        /// Marks a delivery as told.
        #[method(name = "delivery.ack")]
        async fn delivery_ack(&self, params: DeliveryParams) -> RpcResult<DeliveryAnswer>;
        /// OpenClaw accepted a delivery.
        #[method(name = "delivery.handed")]
        async fn delivery_handed(&self, params: DeliveryHandedParams) -> RpcResult<DeliveryAnswer>;
        /// An attempt did not end well.
        #[method(name = "delivery.failed")]
        async fn delivery_failed(&self, params: DeliveryFailedParams) -> RpcResult<DeliveryAnswer>;
        /// The answer to a probe.
        #[method(name = "delivery.probed")]
        async fn delivery_probed(&self, params: DeliveryProbedParams) -> RpcResult<Empty>;
        /// Takes deliveries, one at a time for each session, for as long as the subscription lasts.
        #[subscription(name = "delivery.subscribe" => "delivery.item", unsubscribe = "delivery.unsubscribe", item = DeliveryItem)]
        async fn deliveries(&self, params: DeliverySubscribeParams) -> SubscriptionResult;
        /// Native sessions: what there is, which process runs which, what works here.
        #[method(name = "sessions.discover")]
        async fn discover(&self, params: DiscoverParams) -> RpcResult<DiscoverAnswer>;
        /// Makes a native session a conversation, or says what stands against it.
        #[method(name = "sessions.takeover", with_extensions)]
        async fn takeover(&self, params: TakeoverParams) -> RpcResult<TakeoverAnswer>;
        /// What happens to native sessions, as it happens.
        #[subscription(name = "sessions.watch" => "sessions.item", unsubscribe = "sessions.unwatch", item = SessionItem)]
        async fn watch_sessions(&self, params: WatchParams) -> SubscriptionResult;
        /// Events as they happen, resumable.
        #[subscription(name = "events.subscribe" => "events.item", unsubscribe = "events.unsubscribe", item = StreamItem)]
        async fn events(&self, params: SubscribeParams) -> SubscriptionResult;
    }

    /// What the callback socket serves.
    #[cfg_attr(all(feature = "server", feature = "client"), rpc(server, client))]
    #[cfg_attr(all(feature = "server", not(feature = "client")), rpc(server))]
    #[cfg_attr(all(feature = "client", not(feature = "server")), rpc(client))]
    pub trait Callback {
        /// A report of an agent. Answered when the message is durable.
        #[method(name = "callback.report")]
        async fn report(&self, params: ReportParams) -> RpcResult<ReportAnswer>;
        /// Waits for what the orchestrator says to a question, so that it can be told inside the turn that asked.
        #[method(name = "callback.await_answer")]
        async fn await_answer(&self, params: AwaitParams) -> RpcResult<AwaitAnswer>;
        /// The agent is being told that message: it counts as sent. Answered when that is durable.
        #[method(name = "callback.confirm_answer")]
        async fn confirm_answer(&self, params: ConfirmParams) -> RpcResult<ConfirmAnswer>;
    }
}
#[cfg(any(feature = "server", feature = "client"))]
pub use rpc::*;

#[cfg(test)]
mod tests {
    use super::DelegateParams;
    use crate::session::TakeoverParams;

    #[test]
    fn a_call_that_asks_for_nothing_new_fits_an_older_akkd() {
        let calls = [serde_json::to_value(DelegateParams::default()), serde_json::to_value(TakeoverParams::default())];
        for call in calls {
            let call = call.unwrap();
            assert!(call.get("recipient").is_none() && call.get("sink").is_none(), "{call}");
        }
    }
}
