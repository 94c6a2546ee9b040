/**
 * Who asks, and where that session stands: from what OpenClaw knows, never from what a model says.
 */

import { createHash, randomUUID } from "node:crypto";
import { realpathSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** Longest name that akkd takes for a gateway or a session key, in characters. */
const MAX_NAME = 500;

const PROCESS = Symbol.for("agent-knock-knock.process");

/**
 * Where reports about a task go.
 * @typedef {object} Origin
 * @property {string} [orchestrator] the OpenClaw session key
 * @property {Record<string, string>} [recipient] where that session stood, in akkd's words
 */

/**
 * The session behind a tool's or a command's context.
 *
 * A tool knows its chat as `deliveryContext`, a command as `channel`, `to`, `accountId` and `messageThreadId`; both
 * know `sessionKey` (OpenClaw 2026.9). Without a session key there is nobody to report to.
 * @param {object} ctx the tool's or the command's context
 * @param {object} api the plugin's api
 * @returns {Origin}
 */
export function recipient(ctx, api) {
  const sessionKey = text(ctx.sessionKey);
  if (!sessionKey) return {};
  const agent = text(ctx.agentId) ?? agentOf(sessionKey);
  const chat = ctx.deliveryContext ?? {
    channel: ctx.channel,
    to: ctx.to,
    accountId: ctx.accountId,
    threadId: ctx.messageThreadId,
  };
  return {
    orchestrator: sessionKey,
    recipient: known({
      gateway: gatewayId(api),
      session_id: sessionOf(sessionKey, agent, api),
      agent_id: agent,
      channel: text(chat.channel),
      to: text(chat.to),
      account_id: text(chat.accountId),
      thread_id: text(chat.threadId),
    }),
  };
}

/**
 * The name of this installation of OpenClaw: its state directory. It stays over restarts and reloads, differs for two
 * installations on one machine, and a person who reads it in `akkctl doctor` knows which one is meant.
 * @param {object} api the plugin's api
 * @returns {string} 1 to 500 characters
 */
export function gatewayId(api) {
  const named = api?.runtime?.state?.resolveStateDir?.(process.env) ?? process.env.OPENCLAW_STATE_DIR;
  const directory = path.resolve(named || path.join(os.homedir(), ".openclaw"));
  let real = directory;
  try {
    real = realpathSync(directory);
  } catch {
    // Not there yet: its name will do.
  }
  const id = `openclaw:${real}`;
  return id.length <= MAX_NAME ? id : `openclaw:${createHash("sha256").update(real).digest("hex")}`;
}

/**
 * The name of this process: made once, however often the plugin is evaluated anew.
 * @returns {string} a UUID
 */
export function processId() {
  return (globalThis[PROCESS] ??= randomUUID());
}

/**
 * The session behind the key now. Not the one of the context: to a command in a chat that has none yet, OpenClaw gives
 * an id that it made up (2026.9, Telegram), and a report to that one could never arrive.
 */
function sessionOf(sessionKey, agentId, api) {
  let entry;
  try {
    entry = api.runtime.agent.session.getSessionEntry({ agentId, sessionKey });
  } catch (error) {
    api.logger?.warn?.(`the session ${sessionKey} cannot be looked up: ${error?.message ?? error}`);
  }
  return text(entry?.sessionId);
}

/** OpenClaw's agent that a session key such as `agent:main:main` belongs to. */
export function agentOf(sessionKey) {
  const [kind, agent] = sessionKey.split(":");
  return kind === "agent" ? text(agent) : undefined;
}

/** A value as text: Telegram's topics are numbers. Nothing for what says nothing. */
function text(value) {
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  if (typeof value !== "string") return undefined;
  return value.trim() || undefined;
}

/** The object without what is not known. */
function known(object) {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
