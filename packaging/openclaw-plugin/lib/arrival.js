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
  const found = { known: false, key: undefined, attempts: 0, answered: false, error: undefined, failedAt: 0, resetSince: false };
  let inTurn = false;
  let openTool = false;
  for (const event of events.map(record)) {
    if (event.type === "session") found.known = true;
    if (event.type === "reset" && BY_THE_USER.has(event.reason)) {
      found.resetSince = found.key !== undefined;
      inTurn = false;
    }
    const message = event.type === "message" ? (event.message ?? {}) : {};
    if (message.role === "user") {
      const key = keyOf(message.idempotencyKey, deliveryId);
      if (key !== undefined) {
        Object.assign(found, { key, attempts: found.attempts + 1, error: undefined, failedAt: 0, resetSince: false });
        inTurn = true;
      } else if (!openTool) inTurn = false; // between a tool and its result OpenClaw may slip the user's next words in
    }
    // A mirror is what a channel was sent, not what the model said.
    if (message.role === "assistant" && !message.openclawDeliveryMirror) {
      openTool = message.stopReason === "toolUse";
      if (!inTurn) continue;
      if (!NO_ANSWER.has(message.stopReason)) found.answered ||= !unseen.has(found.key);
      else if (!openTool) {
        found.error = message.errorMessage || message.stopReason;
        found.failedAt = Date.parse(event.timestamp) || Number(message.timestamp) || 0;
      }
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
    .filter((event) => event.type === "reset" && BY_THE_USER.has(event.reason))
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

/** Some readers wrap an event into `{event}`. */
function record(entry) {
  return entry?.event ?? entry ?? {};
}
