/** What a request says beside the task itself, and how a call is told from its repeat. */

import { createHash } from "node:crypto";

/** What people call the agents that akkd brings along. Others are named with a colon, which akkd reads itself. */
const AGENTS = new Map([
  ["codex", "codex"],
  ["claude", "claude"],
  ["claude-code", "claude"],
  ["claudecode", "claude"],
  ["cursor", "cursor"],
  ["gemini", "gemini"],
]);

/** The word for akk in front of a request. A chat may name the bot (`/akk@my_bot`); the colon may be full-width. */
const CALL = /^\s*(?:\/akk(?:@\w+)?|akk)(?:\s*[:：]\s*|\s+|$)/i;
/** A first word, and what stands between it and the rest; `codex://…` is an address. */
const FIRST = /^([a-z][a-z-]*)(\s*[:：](?!\/\/)\s*|\s+)(?=\S)/i;

/**
 * The agent that a word names, if it is one that people name without a colon.
 * @param {string} word
 * @returns {string | undefined}
 */
export function agentNamed(word) {
  return AGENTS.get(word.toLowerCase());
}

/**
 * A request as a person said it, without the call to akk: `/akk codex fix it`, `akk: fix it`, `AKK Claude: review` and
 * `claude: review` become the task and, where one is named, the agent. Without such a call a first word without a
 * colon is part of the task: `codex fails to start` is about Codex.
 * @param {string} said
 * @returns {{request: string, agent?: string}}
 */
export function withoutCall(said) {
  const call = CALL.exec(said);
  const rest = (call ? said.slice(call[0].length) : said).trim();
  const first = FIRST.exec(rest);
  const agent = first && (call || first[2].trim()) ? agentNamed(first[1]) : undefined;
  return agent ? { request: rest.slice(first[0].length).trim(), agent } : { request: rest };
}

/**
 * The name of a tool call, by which akkd answers a repeat instead of doing it again: the same for a retry of the same
 * call, another for another call, session, gateway or other parameters (some models number their calls from 1 in each
 * answer).
 * @param {{gateway: string, session: string, call: string, method: string, params: object}} facts
 * @returns {string} a request id as akkd takes it
 */
export function requestId({ gateway, session, call, method, params }) {
  const facts = JSON.stringify([gateway, session, call, method, sorted(params)]);
  return `openclaw:${createHash("sha256").update(facts).digest("hex").slice(0, 40)}`;
}

/** The same object with its names in order: how a model ordered them means nothing. */
function sorted(params) {
  return Object.fromEntries(Object.entries(params).sort(([a], [b]) => (a < b ? -1 : 1)));
}
