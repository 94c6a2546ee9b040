/**
 * OpenClaw's approvals: a card in a chat, with buttons where the chat has them, that whoever OpenClaw lets approve
 * answers (`approvals.plugin`, `commands.ownerAllowFrom`).
 *
 * OpenClaw 2026.9 shows the state of an approval to nobody but the connection that asked for it. So this has a
 * connection of its own; it is closed while nothing is asked, because OpenClaw counts whoever may see approvals as
 * somebody who could answer those of others.
 */

import { agentOf } from "./gateway.js";
import { GatewayError, Loopback, loopbackOf } from "./loopback.js";

/** How long a card is good, in ms: OpenClaw's longest (2026.9). */
export const CARD_MS = 600_000;
/** Longest texts on a card, in characters: OpenClaw takes 80 and 512, counted after it has made them harmless. */
const TITLE = 72;
const DESCRIPTION = 440;
const CALL_MS = 30_000;
/** Routes by which somebody sees the card; with the others it waits, and nobody knows of it. */
const SHOWN = new Set(["forwarder", "approval-client"]);
const TO_OPENCLAW = { allow: "allow-once", allow_always: "allow-always", deny: "deny" };
const TO_AKKD = { "allow-once": "allow", "allow-always": "allow_always", deny: "deny" };

/**
 * What is asked for.
 * @typedef {object} Request
 * @property {string} conversationId
 * @property {string} nonce names the request
 * @property {string} agent
 * @property {string} title
 * @property {string} text what the agent says of it
 * @property {boolean} [truncated] whether there was more of it
 * @property {("allow" | "allow_always" | "deny")[]} decisions
 * @property {string} [deadline] when akkd refuses it by itself
 * @property {string} orchestrator the session that gave the task
 * @property {Record<string, string>} [recipient] where that session stood
 */

export class Approvals {
  #api;
  #gateway;
  #loopback;
  #filters;

  /**
   * @param {object} api the plugin's api
   * @param {import("./gateway.js").Gateway} gateway
   * @param {{loopback?: Loopback, filters?: () => Promise<{matchesApprovalRequestFilters: Function}>}} [parts]
   */
  constructor(api, gateway, { loopback, filters } = {}) {
    this.#api = api;
    this.#gateway = gateway;
    const where = () => loopbackOf(api.runtime.config.current(), process.env);
    this.#loopback =
      loopback ?? new Loopback(where, { version: api.runtime?.version, scopes: ["operator.approvals", "operator.write"] });
    this.#filters = filters ?? (() => import("openclaw/plugin-sdk/approval-client-runtime"));
  }

  /**
   * Whether OpenClaw is set up to ask for approvals in the chat of the session that gave the task.
   * @param {Request} request
   * @returns {Promise<boolean>}
   */
  async covers({ orchestrator, recipient }) {
    const { enabled, mode, agentFilter, sessionFilter } = this.#api.runtime.config.current()?.approvals?.plugin ?? {};
    if (enabled !== true || mode === "targets") return false;
    const agentId = recipient?.agent_id ?? agentOf(orchestrator);
    const session = this.#gateway.session(orchestrator, agentId);
    if (!session?.outside || session.archived) return false;
    if (!agentFilter?.length && !sessionFilter?.length) return true;
    const { matchesApprovalRequestFilters } = await this.#filters();
    return matchesApprovalRequestFilters({ request: { agentId, sessionKey: orchestrator }, agentFilter, sessionFilter });
  }

  /**
   * Shows a card.
   * @param {Request} request
   * @returns {Promise<string | undefined>} the approval's id; nothing where it would be shown to nobody
   * @throws {GatewayError}
   */
  async show(request) {
    const { orchestrator, recipient, decisions, deadline } = request;
    const left = deadline ? Date.parse(deadline) - Date.now() : CARD_MS;
    const accepted = await this.#ask("plugin.approval.request", {
      pluginId: "agent-knock-knock",
      title: head(`${request.agent}: ${request.title}`, TITLE),
      description: described(request),
      severity: "warning",
      agentId: recipient?.agent_id ?? agentOf(orchestrator),
      sessionKey: orchestrator,
      allowedDecisions: decisions.map((decision) => TO_OPENCLAW[decision]),
      timeoutMs: Math.max(1_000, Math.min(CARD_MS, left)),
      twoPhase: true,
      ...chat(recipient),
    });
    // Without a route the first answer is the last: nobody decided.
    if (accepted?.status !== "accepted") return undefined;
    if (SHOWN.has(accepted.deliveryRoute)) return accepted.id;
    await this.settle(accepted.id, "deny");
    return undefined;
  }

  /**
   * Waits for what a person says.
   * @param {string} id the approval's
   * @returns {Promise<"allow" | "allow_always" | "deny" | undefined>} nothing when the card ran out
   * @throws {GatewayError} also when the connection broke: what is said on that card nobody hears any more
   */
  async decision(id) {
    const said = await this.#ask("plugin.approval.waitDecision", { id }, CARD_MS + CALL_MS);
    return TO_AKKD[said?.decision];
  }

  /**
   * Closes a card whose request was answered elsewhere.
   * @param {string} id
   * @param {"allow" | "allow_always" | "deny"} decision
   */
  async settle(id, decision) {
    await this.#ask("plugin.approval.resolve", { id, decision: TO_OPENCLAW[decision] });
  }

  /**
   * Says something in the chat, without a model.
   * @param {Request} request
   * @param {string} key for a repeat
   * @param {string} message
   */
  async say({ recipient }, key, message) {
    if (!recipient?.channel || !recipient.to) return;
    const { channel, to, account_id: accountId, thread_id: threadId, agent_id: agentId } = recipient;
    await this.#ask("send", { channel, to, accountId, threadId, agentId, message, idempotencyKey: key });
  }

  /** Nothing is asked at present. */
  rest() {
    this.#loopback.release();
  }

  close() {
    this.#loopback.close();
  }

  #ask(method, params, timeoutMs = CALL_MS) {
    return this.#loopback.request(method, params, { timeoutMs });
  }
}

export { GatewayError };

/** The chat, in OpenClaw's words; left out where it is not known: then the session's own is taken. */
function chat(recipient) {
  if (!recipient?.channel || !recipient.to) return {};
  return {
    turnSourceChannel: recipient.channel,
    turnSourceTo: recipient.to,
    turnSourceAccountId: recipient.account_id,
    turnSourceThreadId: recipient.thread_id,
  };
}

function described({ conversationId, nonce, agent, text, truncated }) {
  const short = conversationId.slice(conversationId.lastIndexOf("-") + 1);
  const typed = `Request ${nonce} of ${agent}. Also: /akk permit ${short} ${nonce} allow|deny. All of it: /akk status ${short}`;
  const room = DESCRIPTION - typed.length - 2;
  const shown = head(text, room);
  const cut = truncated && shown.length < room - 2 ? " …" : "";
  return `${shown}${cut}\n\n${typed}`;
}

/** The head of a text in one line, without what could hide a part of it. */
function head(text, limit) {
  const line = text.replace(/\s+/g, " ").replace(/\p{C}/gu, "").trim();
  const all = [...line];
  return all.length > limit ? `${all.slice(0, limit - 1).join("")}…` : line || "(nothing)";
}
