/**
 * What a session's transcript says about one delivery.
 *
 * OpenClaw 2026.9 writes the text of a run as a user message with the idempotency key `<key>:user` before it asks the
 * model, and keeps every event of a session: compaction and resets only append. So the presence of the message proves
 * that the session has the text, and its absence from a transcript that can be read proves that it has not.
 */

/** Reset events of the user; others (`daily`, `idle`, `cron-stale`) come from a policy and keep the conversation. */
const BY_THE_USER = new Set(["new", "reset"]);
/** How an assistant's message ends that is not the last of its turn, or not an answer. */
const NO_ANSWER = new Set(["toolUse", "error", "aborted"]);

/**
 * @typedef {object} Arrival
 * @property {boolean} known whether the transcript could be read from its beginning
 * @property {string} [key] the key of the newest attempt that arrived
 * @property {Set<string>} keys those of all attempts that arrived
 * @property {number} attempts how many attempts arrived
 * @property {boolean} answered whether the model answered one of them
 * @property {string} [error] how the newest one failed, if it did
 * @property {number} failedAt when it failed, ms since the epoch; 0 when it did not
 * @property {boolean} resetSince whether the user reset the session after the newest one
 */

/**
 * @param {unknown[]} events a session's raw events, oldest first
 * @param {string} deliveryId
 * @param {ReadonlySet<string>} [unseen] keys whose answer was given without the text (see `interrupted.js`)
 * @returns {Arrival}
 */
export function arrival(events, deliveryId, unseen = new Set()) {
  const found = { known: false, key: undefined, keys: new Set(), attempts: 0, answered: false, error: undefined, failedAt: 0, resetSince: false };
  const path = new Path(events.map(record));
  for (const event of path.events) {
    if (event.type === "session") found.known = true;
    if (isReset(event)) found.resetSince = found.key !== undefined;
    const message = messageIn(event);
    const key = message.role === "user" ? keyOf(message.idempotencyKey, deliveryId) : undefined;
    if (key !== undefined) {
      found.keys.add(key);
      Object.assign(found, { key, attempts: found.attempts + 1, error: undefined, failedAt: 0, resetSince: false });
    }
    // A mirror is what a channel was sent, not what the model said.
    if (found.key === undefined || message.role !== "assistant" || message.openclawDeliveryMirror) continue;
    const answers = keyOf(path.askedBy(event)?.idempotencyKey, deliveryId);
    if (answers === undefined) continue;
    if (!NO_ANSWER.has(message.stopReason)) found.answered ||= !unseen.has(answers);
    else if (message.stopReason !== "toolUse" && isOf(message.__openclaw?.runId, deliveryId)) {
      found.error = message.errorMessage || message.stopReason;
      found.failedAt = Date.parse(event.timestamp) || Number(message.timestamp) || 0;
    }
  }
  return found;
}

/**
 * When the user last reset the session, ms since the epoch; 0 when never.
 * @param {unknown[]} events
 */
export function lastReset(events) {
  return events
    .map(record)
    .filter(isReset)
    .reduce((latest, event) => Math.max(latest, Date.parse(event.timestamp) || 0), 0);
}

/**
 * The text of the message with this key, and whether the model has answered it.
 * @param {unknown[]} events
 * @param {string} key
 * @returns {{text: string, answered: boolean} | undefined}
 */
export function messageOf(events, key) {
  const at = events.map(record).findLast((event) => event.message?.idempotencyKey === `${key}:user`);
  if (!at) return undefined;
  const { content } = at.message;
  const text = typeof content === "string" ? content : (content ?? []).map((part) => part?.text ?? "").join("");
  return { text, answered: arrival(events, key).answered };
}

/** The attempt's key, when a message is one of this delivery: `<id>:user`, `<id>#2:user`, … */
function keyOf(idempotencyKey, deliveryId) {
  if (typeof idempotencyKey !== "string" || !idempotencyKey.startsWith(deliveryId)) return undefined;
  const rest = /^((?:#\d+)?):user$/.exec(idempotencyKey.slice(deliveryId.length));
  return rest ? deliveryId + rest[1] : undefined;
}

/** Whether a run is one of this delivery. Where nothing says which run it was, it is. */
function isOf(runId, deliveryId) {
  return runId === undefined || keyOf(`${runId}:user`, deliveryId) !== undefined;
}

function isReset(event) {
  return event.type === "reset" && BY_THE_USER.has(event.reason);
}

function messageIn(event) {
  return (event?.type === "message" && event.message) || {};
}

/**
 * Who asked what. Events name their parent, and that counts: when the user writes while a run begins, OpenClaw moves
 * branches around, and the message before an answer in time need not be the one that it answers.
 */
class Path {
  #byId = new Map();
  #before = new Map();

  constructor(events) {
    this.events = events;
    events.forEach((event, at) => {
      if (event.id !== undefined) this.#byId.set(event.id, event);
      this.#before.set(event, events[at - 1]);
    });
  }

  /** The user message that an assistant's message is about; nothing beyond a reset. */
  askedBy(event) {
    const seen = new Set();
    for (let at = this.#parent(event); at && !seen.has(at); at = this.#parent(at)) {
      seen.add(at);
      if (isReset(at)) return undefined;
      // Between a tool and its result OpenClaw slips in what the user writes meanwhile: the turn goes on.
      if (messageIn(at).role === "user" && !this.#slippedIn(at)) return messageIn(at);
    }
    return undefined;
  }

  #slippedIn(event) {
    const { role, stopReason } = messageIn(this.#parent(event));
    return role === "toolResult" || (role === "assistant" && stopReason === "toolUse");
  }

  #parent(event) {
    return event.parentId === undefined ? this.#before.get(event) : this.#byId.get(event.parentId);
  }
}

/** Some readers wrap an event into `{event}`. */
function record(entry) {
  return entry?.event ?? entry ?? {};
}
