/**
 * Permission requests of agents, asked by card: from akkd to the person and back, with no model in between.
 *
 * akkd's request is the truth. A card lives for ten minutes and in one process of the gateway; while its request waits,
 * it is followed by another one. An answer counts for the request that stood on its card, by the request's name.
 */

import { SOURCE } from "./gateway.js";
import { pause } from "./pause.js";

/** Until akkd is asked again that cannot be reached, in ms. */
const AGAIN_MS = 2_000;
/** Until the next card after one that nobody answered, in ms, by how many there were: a night is not full of them. */
const REST_MS = [0, 600_000, 1_800_000, 3_600_000];
/** Conversations that are looked through. */
const LISTED = 1_000;
/** What says nothing about what akkd would say. */
const UNHEARD = new Set(["broken", "not_running", "timeout", "aborted"]);
const SAID = { allowed: "allow", allowed_always: "allow_always", refused: "deny", cancelled: "deny" };

/** @typedef {import("./approvals.js").Request} Request */

export class Cards {
  #approvals;
  #akkd;
  #logger;
  #open = new Map();
  #stopped = new AbortController();

  /**
   * @param {object} parts
   * @param {import("./approvals.js").Approvals} parts.approvals
   * @param {(method: string, params: object) => Promise<any>} parts.akkd calls akkd
   * @param {{warn?: Function}} [parts.logger]
   */
  constructor({ approvals, akkd, logger }) {
    this.#approvals = approvals;
    this.#akkd = akkd;
    this.#logger = logger;
  }

  /**
   * Asks by card, where that is possible.
   * @param {Request} request
   * @returns {Promise<boolean>} whether a card asks for it now
   */
  async ask(request) {
    const name = nameOf(request.conversationId, request.nonce);
    const known = this.#open.get(name);
    if (known) return known.shown;
    const card = { request, id: undefined, by: undefined, settled: undefined };
    card.shown = this.#show(card);
    this.#open.set(name, card);
    const shown = await card.shown;
    if (!shown) this.#forget(name);
    else void this.#follow(card).finally(() => this.#forget(name));
    return shown;
  }

  /**
   * A request has its answer.
   * @param {{conversation_id: string, nonce: string, decision: string}} settled akkd's words
   */
  settled({ conversation_id, nonce, decision }) {
    const card = this.#open.get(nameOf(conversation_id, nonce));
    if (!card || card.by || card.settled) return;
    card.settled = SAID[decision] ?? "deny";
    if (card.id) void this.#withdraw(card);
  }

  /**
   * After a connection to akkd was made: what it did meanwhile, and what an earlier process had asked.
   * @param {string} gateway this installation of OpenClaw
   */
  async catchUp(gateway) {
    const { conversations } = await this.#akkd("conversation.list", { limit: LISTED });
    const waiting = new Set();
    for (const { conversation_id, needs } of conversations) {
      if (needs !== "permission") continue;
      const { conversation: c, deliveries } = await this.#akkd("conversation.get", { conversation_id });
      for (const asked of c.permission_requests ?? []) {
        waiting.add(nameOf(c.conversation_id, asked.nonce));
        // What was not told yet is offered.
        const queued = deliveries.some((d) => d.kind === "permission" && d.preview.startsWith(`Request ${asked.nonce}:`));
        if (!queued && c.orchestrator && c.recipient?.gateway === gateway) await this.ask(seen(c, asked));
      }
    }
    for (const [name, { request }] of this.#open) {
      if (waiting.has(name) || !(await this.#waits(request))) continue;
      waiting.add(name);
    }
    for (const [name, { request }] of this.#open) {
      const { conversationId: conversation_id, nonce } = request;
      if (!waiting.has(name)) this.settled({ conversation_id, nonce, decision: "cancelled" });
    }
  }

  close() {
    this.#stopped.abort(new Error("the plugin stops"));
    this.#approvals.close();
  }

  async #show(card) {
    try {
      if (!(await this.#approvals.covers(card.request))) return false;
      card.id = await this.#approvals.show(card.request);
    } catch (error) {
      card.id = undefined;
      this.#logger?.warn?.(`${SOURCE}: a permission cannot be asked for by card: ${error.message}`);
    }
    // Answered while the card was on its way.
    if (card.id && card.settled) await this.#withdraw(card);
    return card.id !== undefined;
  }

  /** From the first card to the answer, wherever that is given. */
  async #follow(card) {
    try {
      for (let unanswered = 0; ; unanswered += 1) {
        const said = card.id && (await this.#approvals.decision(card.id).catch(() => undefined));
        if (card.settled) return;
        if (said) return await this.#answered(card, said);
        card.id = undefined;
        await pause(Math.max(AGAIN_MS, REST_MS[Math.min(unanswered, REST_MS.length - 1)]), this.#stopped.signal);
        if (card.settled || !(await this.#waits(card.request))) return;
        await this.#show(card);
      }
    } catch (error) {
      if (!this.#stopped.signal.aborted) this.#logger?.warn?.(`${SOURCE}: a permission is not asked for any more: ${error.message}`);
    }
  }

  /** A person answered on the card: akkd is told, however long it is away. */
  async #answered(card, decision) {
    card.by = "card";
    const { conversationId: conversation_id, nonce } = card.request;
    const request_id = `openclaw:card:${conversation_id}:${nonce}`;
    try {
      await this.#surely("conversation.permit", { request_id, conversation_id, nonce, decision });
    } catch (error) {
      const late = `The answer on the card came too late, or could not be given (request ${nonce}): ${error.message}. Nothing was ${decision === "deny" ? "refused" : "allowed"} by it.`;
      this.#logger?.warn?.(`${SOURCE}: ${late}`);
      await this.#approvals.say(card.request, `${card.id}:late`, late).catch(() => {});
    }
  }

  async #withdraw(card) {
    const { decisions } = card.request;
    const decision = decisions.includes(card.settled) ? card.settled : "deny";
    // It may run out, or be answered, at the same moment.
    await this.#approvals.settle(card.id, decision).catch(() => {});
  }

  /** Whether akkd still wants an answer. */
  async #waits({ conversationId: conversation_id, nonce }) {
    try {
      const { conversation } = await this.#surely("conversation.get", { conversation_id });
      return (conversation.permission_requests ?? []).some((asked) => asked.nonce === nonce);
    } catch (error) {
      if (error?.kind === "not_found") return false;
      throw error;
    }
  }

  /** Calls akkd until it answers. */
  async #surely(method, params) {
    for (;;) {
      try {
        return await this.#akkd(method, params);
      } catch (error) {
        if (!UNHEARD.has(error?.kind)) throw error;
        await pause(AGAIN_MS, this.#stopped.signal);
      }
    }
  }

  #forget(name) {
    this.#open.delete(name);
    if (this.#open.size === 0) this.#approvals.rest();
  }
}

/**
 * The request in an offer of akkd's.
 * @param {{conversation_id: string, agent: string, orchestrator: string, recipient?: object, permission: any}} body
 * @returns {Request}
 */
export function offered({ conversation_id, agent, orchestrator, recipient, permission }) {
  const { nonce, title, text, truncated, decisions, deadline } = permission;
  return { conversationId: conversation_id, agent, orchestrator, recipient, nonce, title, text, truncated, decisions, deadline };
}

/** The same from a conversation as it is shown. */
function seen({ conversation_id, agent, orchestrator, recipient }, { answers, ...permission }) {
  return offered({ conversation_id, agent, orchestrator, recipient, permission: { ...permission, decisions: answers.map((a) => a.answer) } });
}

function nameOf(conversationId, nonce) {
  return `${conversationId} ${nonce}`;
}
