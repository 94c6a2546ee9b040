//! The tables, as this version of akkd makes them.
//!
//! Ids are stored as they stand on the wire, times as milliseconds since the Unix epoch, states by their wire names,
//! everything with structure as JSON. Two things are kept apart from where one would look first:
//!
//! * The body of a message stands in `messages` only; its event holds the rest. So a request of 5 MB is stored once.
//!   `head` is its beginning, so that lists, replays and searches never read a long rest.
//! * The state of a conversation stands in `states`, so that the rows that a list reads stay short and dense.
//!
//! `events.cursor` is `AUTOINCREMENT`: never used twice, whatever is deleted. A rolled-back insert takes no number, so
//! every number that is missing was deleted, and `deleted_cursors` says so in runs.

/// The version of the schema that this akkd reads and writes: SQLite's `user_version`.
pub const SCHEMA_VERSION: u32 = 4;

/// Marks a database as akkd's: SQLite's `application_id`, "AKKD" in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x414b_4b44;

/// Bytes of a message's body that stand in `messages.head` and are searched. Everything that an agent may report
/// fits; only a longer request of the orchestrator has a rest.
pub(super) const HEAD_BYTES: usize = 256 << 10;

/// The whole schema, version 1. A new database gets it and then every step, like an old one.
pub(super) const SCHEMA: &str = "
CREATE TABLE conversations (
    ord           INTEGER PRIMARY KEY,
    id            TEXT    NOT NULL UNIQUE,
    seq           INTEGER NOT NULL,
    status        TEXT    NOT NULL,
    open          INTEGER NOT NULL,
    agent         TEXT    NOT NULL,
    workspace     TEXT    NOT NULL,
    label         TEXT,
    request       TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    rounds        INTEGER NOT NULL,
    soft_limit    INTEGER NOT NULL,
    hard_limit    INTEGER NOT NULL,
    idle_deadline INTEGER,
    open_turn     INTEGER NOT NULL,
    undelivered   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX conversations_by_activity ON conversations (updated_at, id);
CREATE INDEX conversations_open ON conversations (updated_at, id) WHERE open = 1;
CREATE INDEX conversations_by_kind ON conversations (open, status, agent, workspace);
CREATE INDEX conversations_idle ON conversations (idle_deadline, id) WHERE idle_deadline IS NOT NULL;
CREATE INDEX conversations_in_turn ON conversations (id) WHERE open_turn = 1;

CREATE TABLE states (
    ord   INTEGER PRIMARY KEY,
    state TEXT    NOT NULL
) STRICT;

CREATE TABLE events (
    cursor       INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation TEXT    NOT NULL,
    seq          INTEGER NOT NULL,
    ts           INTEGER NOT NULL,
    turn         INTEGER,
    name         TEXT    NOT NULL,
    body         TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_by_conversation ON events (conversation, seq, name, turn);

CREATE TABLE deleted_cursors (
    first INTEGER PRIMARY KEY,
    last  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX deleted_cursors_by_last ON deleted_cursors (last);

CREATE TABLE messages (
    cursor       INTEGER PRIMARY KEY,
    conversation TEXT    NOT NULL,
    id           TEXT    NOT NULL,
    told         INTEGER,
    round        INTEGER NOT NULL,
    head         TEXT    NOT NULL,
    rest         TEXT
) STRICT;
CREATE UNIQUE INDEX messages_by_id ON messages (conversation, id);
CREATE INDEX messages_told ON messages (conversation, told) WHERE told IS NOT NULL;
CREATE VIRTUAL TABLE messages_words USING fts5 (
    words, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TABLE requests (
    id           TEXT PRIMARY KEY,
    method       TEXT NOT NULL,
    conversation TEXT NOT NULL,
    message      TEXT,
    turn         TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_conversation ON requests (conversation);

CREATE TABLE launches (
    ord          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    conversation TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    facts        TEXT    NOT NULL,
    identity     TEXT,
    ticket_hash  TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    offset       INTEGER NOT NULL,
    reader       TEXT    NOT NULL
) STRICT;
CREATE INDEX launches_by_conversation ON launches (conversation);
CREATE INDEX launches_not_gone ON launches (ord) WHERE state <> 'gone';

CREATE TABLE tickets (
    conversation TEXT    NOT NULL,
    hash         TEXT    NOT NULL,
    revoked      INTEGER NOT NULL,
    PRIMARY KEY (conversation, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE prompts (
    conversation TEXT    NOT NULL,
    turn         INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,
    launch       TEXT    NOT NULL,
    fate         TEXT    NOT NULL,
    PRIMARY KEY (conversation, turn, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    ord             INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT    NOT NULL UNIQUE,
    conversation    TEXT    NOT NULL,
    sink            TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    state           TEXT    NOT NULL,
    attempts        INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    lease_until     INTEGER,
    last_error      TEXT,
    preview         TEXT    NOT NULL,
    body            TEXT    NOT NULL
) STRICT;
CREATE INDEX outbox_by_conversation ON outbox (conversation, ord);
CREATE INDEX outbox_undelivered ON outbox (conversation, ord, state) WHERE state <> 'acknowledged';

CREATE TRIGGER outbox_queued AFTER INSERT ON outbox WHEN NEW.state <> 'acknowledged' BEGIN
    UPDATE conversations SET undelivered = undelivered + 1 WHERE id = NEW.conversation;
END;
CREATE TRIGGER outbox_moved AFTER UPDATE OF state ON outbox
    WHEN (OLD.state = 'acknowledged') <> (NEW.state = 'acknowledged') BEGIN
    UPDATE conversations SET undelivered = undelivered + iif(NEW.state = 'acknowledged', -1, 1)
        WHERE id = NEW.conversation;
END;
CREATE TRIGGER outbox_removed AFTER DELETE ON outbox WHEN OLD.state <> 'acknowledged' BEGIN
    UPDATE conversations SET undelivered = undelivered - 1 WHERE id = OLD.conversation;
END;
";

/// Schema 2: plans to end a process that holds a native session.
pub(super) const PLANS: &str = "
CREATE TABLE plans (
    ord        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    agent      TEXT    NOT NULL,
    session    TEXT    NOT NULL,
    pid        INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    used_by    TEXT,
    plan       TEXT    NOT NULL,
    steps      TEXT    NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX plans_by_session ON plans (session, pid);
CREATE INDEX plans_by_expiry ON plans (expires_at);
CREATE INDEX plans_by_use ON plans (used_by) WHERE used_by IS NOT NULL;
";

/// Schema 3: what the outbox knows of OpenClaw. Rows from before belong to the `command` sink. The index `outbox_turns`
/// answers whose turn it is without a look at the rows, whose bodies can be long.
pub(super) const PLUGIN: &str = "
ALTER TABLE outbox ADD COLUMN orchestrator TEXT;
ALTER TABLE outbox ADD COLUMN gateway TEXT;
ALTER TABLE outbox ADD COLUMN handed TEXT;
ALTER TABLE outbox ADD COLUMN reason TEXT;
ALTER TABLE outbox ADD COLUMN by_person INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN overdue_told INTEGER NOT NULL DEFAULT 0;
UPDATE outbox SET orchestrator = body ->> '$.orchestrator' WHERE json_valid(body);
CREATE INDEX outbox_waiting ON outbox (created_at) WHERE state <> 'acknowledged';
CREATE INDEX outbox_turns ON outbox (conversation, ord, state, sink, attempts, next_attempt_at, lease_until, gateway,
    orchestrator, id) WHERE state <> 'acknowledged';
";

/// Schema 4: the audit. `result` is null while the call goes on. Rows outlive their conversation.
pub(super) const AUDIT: &str = "
CREATE TABLE audit (
    ord          INTEGER PRIMARY KEY,
    ts           INTEGER NOT NULL,
    via          TEXT    NOT NULL,
    method       TEXT    NOT NULL,
    conversation TEXT,
    request      TEXT,
    result       TEXT,
    pid          INTEGER,
    uid          INTEGER,
    executable   TEXT
) STRICT;
CREATE INDEX audit_by_conversation ON audit (conversation, ord) WHERE conversation IS NOT NULL;
";
