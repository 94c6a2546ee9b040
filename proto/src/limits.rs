//! Bounds that both ends of a socket know. Past a bound the caller gets a clear error and nobody else notices.

/// Longest line that the control socket takes, in bytes. A 5 MB task fits with room for JSON escapes.
pub const MAX_REQUEST_BYTES: usize = 16 << 20;
/// Longest line that akkd sends, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 16 << 20;
/// Longest line that the callback socket takes, in bytes: one message and its envelope.
pub const MAX_CALLBACK_REQUEST_BYTES: usize = 1 << 20;
/// Longest text of one message that an agent reports, in bytes.
pub const MAX_CALLBACK_MESSAGE_BYTES: usize = 256 << 10;
/// Longest request or message from the orchestrator, in bytes.
pub const MAX_PROMPT_BYTES: usize = 8 << 20;
/// Longest summary that a fork of a native session takes, in bytes.
pub const MAX_FORK_SUMMARY_BYTES: usize = 64 << 10;
/// Longest final text that becomes a derived `done`, in bytes.
pub const MAX_DERIVED_TEXT_BYTES: usize = 64 << 10;
/// Permission requests of one turn that may wait for a person at once; more are declined.
pub const MAX_PERMISSION_REQUESTS: usize = 16;
/// Messages that may wait behind an open turn of one conversation.
pub const MAX_QUEUED_MESSAGES: usize = 100;
/// Undelivered rows of one conversation before the agent is told to stop (`progress` does not count).
pub const MAX_UNDELIVERED: u64 = 1000;
/// Longest time that can be given in minutes: ten years. Beyond it sums of times would come near their bounds.
pub const MAX_MINUTES: u32 = 10 * 366 * 24 * 60;
/// Longest label, in characters.
pub const MAX_LABEL_CHARS: usize = 200;
/// Longest model, session name, session key of an orchestrator, or proxy address, in characters.
pub const MAX_NAME_CHARS: usize = 500;
/// Longest words to search for, in characters.
pub const MAX_SEARCH_CHARS: usize = 1000;
/// Names of events in one subscription at most.
pub const MAX_KINDS: usize = 100;
/// Conversations, events or hits in one page at most.
pub const MAX_PAGE: u32 = 1000;
/// How long a question of an agent may wait for its answer inside the turn, in milliseconds. The tightest time limit of
/// a tool that is known is a minute (codex 0.169).
pub const MAX_ANSWER_WAIT_MS: u64 = 50_000;
/// Largest file that is taken in from a drop folder, in bytes.
pub const MAX_DROP_BYTES: usize = MAX_CALLBACK_REQUEST_BYTES;
/// Files that may wait in the drop folder of one conversation; those that were set aside count.
pub const MAX_DROPS: usize = 1000;
