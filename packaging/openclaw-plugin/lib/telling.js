/**
 * One delivery: told to its session once, whatever broke before.
 *
 * The order of questions is the rule. What this process began is followed, never repeated. Else the transcript says
 * whether an earlier attempt arrived. Only what certainly did not arrive, or arrived and will not be answered any more,
 * is told, under a key that no transcript holds: a repeated one makes OpenClaw show the user an error.
 */

import { arrival, lastReset } from "./arrival.js";
import { agentOf, GatewayError } from "./gateway.js";
import { pause } from "./pause.js";

/** How long one wait for a run's end lasts, in ms; then the session is looked at. */
const WAIT_MS = 60_000;
/** How long a run may be neither in the session nor at work before it counts as lost, in ms. */
const LOST_MS = 300_000;
/** How long an answer may be on its way to a chat, in ms; one that a crash left behind is settled after a minute. */
const REPLY_MS = 120_000;
/** How long a call without an answer is repeated under its key, in ms: less than OpenClaw's memory for keys. */
const REPEAT_MS = 240_000;
/** How long to leave a session alone whose model failed, in ms: by the number of failures so far. */
const REST_MS = [0, 60_000, 300_000, 900_000];

/**
 * What became of it.
 * @typedef {{ack: true} | {reason: "refused" | "recipient_gone" | "uncertain", error: string}} Outcome
 */

/**
 * What this process began.
 * @typedef {object} Begun
 * @property {string} key
 * @property {string} runId
 * @property {string} sessionId
 * @property {boolean} [over] whether it ended without telling it
 */

/** The key of an attempt: the gateway's idempotency key, and so the run's id. */
export function keyOf({ delivery_id, attempt }) {
  return attempt > 1 ? `${delivery_id}#${attempt}` : delivery_id;
}

export class Telling {
  #gateway;
  #begun;
  #unseen;
  #process;
  #handed;
  #signal;
  /** The run that a crash left behind, once that is clear: nobody waits for it again. */
  #abandoned = null;

  /**
   * @param {object} offer akkd's offer; a newer one for the same delivery may take its place, see `offer`
   * @param {object} parts
   * @param {import("./gateway.js").Gateway} parts.gateway
   * @param {Map<string, Begun>} parts.begun by delivery; outlives a reload of the plugin
   * @param {ReadonlySet<string>} parts.unseen keys that were answered without being read
   * @param {string} parts.process this process
   * @param {(begun: Begun) => Promise<void>} parts.handed tells akkd that OpenClaw accepted it
   * @param {AbortSignal} parts.signal
   */
  constructor(offer, { gateway, begun, unseen, process, handed, signal }) {
    /** The newest offer: its attempt number is the one that reports name. */
    this.offer = offer;
    this.#gateway = gateway;
    this.#begun = begun;
    this.#unseen = unseen;
    this.#process = process;
    this.#handed = handed;
    this.#signal = signal;
  }

  /** @returns {Promise<Outcome>} */
  async tell() {
    const { delivery_id: id, body, handed } = this.offer;
    if (!body.orchestrator) return gone("the conversation names no session of OpenClaw");
    const begun = this.#begun.get(id) ?? this.#ours(handed);
    // Asked for by a person, and not begun since: what came before does not matter. akkd forgets what was handed when a
    // person asks, so what it names was begun since, be it under a former number.
    const since = this.offer.look_first || handed || (begun && (!begun.over || begun.key === keyOf(this.offer)));
    if (!this.offer.by_person || since) {
      const settled = begun && !begun.over ? await this.#follow(begun) : await this.#look();
      if (settled) return settled;
    }
    return this.#send();
  }

  /** What akkd says was handed to this very process. */
  #ours(handed) {
    if (handed?.process !== this.#process) return undefined;
    return { key: handed.run_id, runId: handed.run_id, sessionId: handed.session_id };
  }

  #session() {
    const { orchestrator, recipient } = this.offer.body;
    return this.#gateway.session(orchestrator, recipient?.agent_id ?? agentOf(orchestrator));
  }

  /** What the transcript under `sessionId` says about `key` and later attempts. */
  async #arrival(sessionId, key) {
    const { orchestrator, recipient } = this.offer.body;
    const place = { agentId: recipient?.agent_id ?? agentOf(orchestrator), key: orchestrator };
    return arrival(await this.#gateway.events(place, sessionId), key, this.#unseen);
  }

  /** A run of this process: waits until it has ended, however long that takes. */
  async #follow(begun) {
    let quietSince = Date.now();
    for (;;) {
      const ended = await this.#patiently(() => this.#gateway.ended(begun.runId, WAIT_MS, this.#signal));
      const found = await this.#arrival(begun.sessionId, begun.key);
      if (found.answered) return ack;
      if (ended) return this.#afterEnd(ended, found);
      const session = this.#session();
      const active = session && (await this.#patiently(() => this.#gateway.active(session)));
      if (active) quietSince = Date.now();
      else if (Date.now() - quietSince > LOST_MS) {
        return this.#notTold(`the run ${begun.runId} was accepted and is known no more`);
      }
    }
  }

  async #afterEnd(ended, found) {
    if (!found.attempts) {
      const session = this.#session();
      const locked = session?.locked && /changed while starting work/.test(ended.error);
      if (locked && !(await this.#patiently(() => this.#gateway.active(session)))) await this.#gateway.unlock(session);
      return this.#notTold(`the run ended before the session had the text: ${ended.error || "no reason given"}`);
    }
    // What a person stopped stays in the session: it was told.
    if (ended.ok || ended.aborted) return ack;
    return this.#notTold(ended.error || found.error || "the run failed");
  }

  /** Remembered as over: akkd may still say that it was handed to this process. */
  #notTold(error) {
    const { delivery_id: id } = this.offer;
    this.#begun.set(id, { ...this.#begun.get(id), over: true });
    return refused(error);
  }

  /** What earlier gateway processes began: nothing when it is to be told (again). */
  async #look() {
    const { delivery_id: id, body, handed } = this.offer;
    let idleSince = Date.now();
    for (;;) {
      const session = this.#session();
      const ids = new Set([session?.id, handed?.session_id, body.recipient?.session_id, ...(session?.family ?? [])]);
      ids.delete(undefined);
      const all = [];
      for (const sessionId of ids) all.push({ sessionId, found: await this.#arrival(sessionId, id) });
      if (all.some(({ found }) => found.answered)) return ack;
      const arrived = all.find(({ found }) => found.attempts);
      if (!arrived) {
        // Absence proves something only where there is a transcript to be absent from.
        if (!all.some(({ sessionId, found }) => sessionId === handed?.session_id && !found.known)) return undefined;
        return uncertain(`OpenClaw accepted it for the session ${handed.session_id}, whose transcript is gone`);
      }
      const { found } = arrived;
      if (found.resetSince && !this.offer.by_person) return gone("the user reset the session after it had arrived");
      if (!session?.working || session.id !== arrived.sessionId) return this.#unanswered(all);
      // OpenClaw carries on by itself what its restart interrupted, under the run's own name.
      const run = session.claim ?? found.key;
      const ended = await this.#patiently(() => this.#gateway.ended(run, WAIT_MS / 2, this.#signal));
      // A person stopped the run that tells it; the user's own turn may be stopped without anything being told.
      if (ended?.aborted && (found.keys.has(run) || found.keys.has(session.source))) return ack;
      if (ended || (await this.#patiently(() => this.#gateway.active(session)))) idleSince = Date.now();
      else if (Date.now() - idleSince > LOST_MS) {
        this.#abandoned = session.run;
        return this.#unanswered(all);
      }
      if (ended) await pause(1_000, this.#signal); // its end is written a moment later
    }
  }

  /** It arrived, and nobody answers it any more: it is told again, but never under a key that a transcript holds. */
  async #unanswered(all) {
    const { found } = all.find((one) => one.found.attempts);
    if (all.some((one) => one.found.keys.has(keyOf(this.offer)))) {
      return this.#notTold(found.error ?? "the run that told it was cut off before its answer");
    }
    await this.#rest(found);
    return undefined;
  }

  /** Leaves a session alone for a while whose model failed. */
  async #rest({ attempts, failedAt }) {
    const rest = REST_MS[Math.min(attempts, REST_MS.length - 1)];
    const wait = failedAt + rest - Date.now();
    if (failedAt && wait > 0) await pause(Math.min(wait, rest), this.#signal);
  }

  /** Tells it, and waits for the end. */
  async #send() {
    const { delivery_id: id } = this.offer;
    const key = keyOf(this.offer);
    for (let changes = 0; ; changes += 1) {
      await this.#quiet();
      const session = this.#session();
      const obstacle = await this.#obstacle(session);
      if (obstacle) return obstacle;
      if (session.locked && !session.working) await this.#gateway.unlock(session);
      const begun = { key, runId: key, sessionId: session.id };
      this.#begun.set(id, begun);
      try {
        begun.runId = await this.#accepted(session, key);
      } catch (error) {
        if (!(error instanceof GatewayError) || error.kind === "unanswered") throw error;
        this.#begun.delete(id);
        // Reset or rolled over between the look and the call: the session is judged anew.
        if (/changed before/.test(error.message) && changes < 3) continue;
        return refused(error.message);
      }
      await this.#handed(begun);
      return this.#follow(begun);
    }
  }

  /**
   * Waits until nobody is at work in the session. A run that begins while the answer of the turn before it is on its
   * way to the chat makes OpenClaw 2026.9.6 forget that answer, and show the user an error in its place.
   */
  async #quiet() {
    let stillSince = Date.now();
    let replyingSince = Date.now();
    for (;;) {
      const session = this.#session();
      if (session?.working && session.run !== this.#abandoned) {
        replyingSince = Date.now();
        const ended = session.run && (await this.#patiently(() => this.#gateway.ended(session.run, WAIT_MS / 2, this.#signal)));
        if (ended || (await this.#patiently(() => this.#gateway.active(session)))) stillSince = Date.now();
        // What a recovery left behind keeps the status from ever changing, too.
        else if (session.locked || Date.now() - stillSince > LOST_MS) this.#abandoned = session.run;
      } else if (!session || !(await this.#patiently(() => this.#gateway.active(session)))) {
        // Looked at again: the run counts as active until its answer is noted, while its status ends a moment before.
        if (!this.#session()?.replying || Date.now() - replyingSince > REPLY_MS) return;
      }
      await pause(250, this.#signal);
    }
  }

  /** Calls until there is an answer: within one process OpenClaw begins a key only once. */
  async #accepted(session, key) {
    const until = Date.now() + REPEAT_MS;
    for (let sent = false; ; ) {
      try {
        return await this.#gateway.run(session, { key, text: this.offer.text, signal: this.#signal });
      } catch (error) {
        sent ||= error.kind === "unanswered";
        const repeat = error instanceof GatewayError && sent && error.kind !== "refused" && Date.now() < until;
        // Whether the first call began it is not known: the run is followed like one that was accepted.
        if (!repeat && sent) return key;
        if (!repeat) throw error;
        await pause(1_000, this.#signal);
      }
    }
  }

  /** Why the session may not be told. */
  async #obstacle(session) {
    const { orchestrator, recipient, conversation_id, asked_at } = this.offer.body;
    if (!session) return gone(`OpenClaw has no session ${orchestrator} any more`);
    if (session.archived) return gone(`the session ${orchestrator} is archived`);
    if (this.offer.by_person) return undefined;
    const asked = recipient?.session_id;
    if (asked && asked !== session.id && !session.family.includes(asked)) {
      return gone(`the session ${orchestrator} is another one now`);
    }
    const since = Date.parse(asked_at) || createdAt(conversation_id);
    for (const sessionId of new Set([session.id, ...(asked ? [asked] : [])])) {
      if (lastReset(await this.#gateway.events(session, sessionId)) > since) {
        return gone("the user reset the session, and has said nothing to the agent since");
      }
    }
    return undefined;
  }

  /** Asks the gateway again while it cannot be reached: this process lives, so the gateway comes back. */
  async #patiently(ask) {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof GatewayError) || error.kind === "refused") throw error;
        await pause(2_000, this.#signal);
      }
    }
  }
}

const ack = Object.freeze({ ack: true });
const refused = (error) => ({ reason: "refused", error });
const gone = (error) => ({ reason: "recipient_gone", error });
const uncertain = (error) => ({ reason: "uncertain", error });

/** When a conversation was created, ms since the epoch: its id says so to the second (`task-20260620T140525-0a1b2c3d`). */
function createdAt(conversationId) {
  const at = /^task-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)-/.exec(conversationId);
  if (!at) return 0;
  const [year, month, day, hour, minute, second] = at.slice(1).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, second + 1);
}
