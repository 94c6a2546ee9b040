/** Calls to akkd as tools and commands make them: each on a connection of its own, repeated once where that is safe. */

import { setTimeout as wait } from "node:timers/promises";
import { call } from "./akkd.js";

/** How long a tool or a command waits; starting an agent is the slowest part of a call. */
const PATIENCE_MS = 100_000;

/** Pauses before the next attempts of a call whose connection broke, in ms: akkd may be starting anew. */
const PAUSES_MS = [100, 500, 1_500];

/**
 * Calls akkd. A call whose connection broke while its answer was awaited is made again: it reads only, or carries a
 * request id, by which akkd answers a repeat instead of doing it again.
 * @param {string} socketPath
 * @param {string} method
 * @param {object} params
 * @param {{signal?: AbortSignal, timeoutMs?: number}} [options]
 * @returns {Promise<any>} akkd's answer
 * @throws {AkkdError}
 */
export async function ask(socketPath, method, params, options = {}) {
  const once = () => call(socketPath, method, params, { timeoutMs: PATIENCE_MS, ...options });
  let broken;
  for (const pause of [...PAUSES_MS, undefined]) {
    try {
      return await once();
    } catch (error) {
      if (error?.kind === "broken") broken = error;
      // An akkd that does not run has done nothing, unless the connection to it broke before.
      else if (error?.kind !== "not_running" || !broken) throw error;
    }
    if (pause !== undefined) await wait(pause, undefined, { signal: options.signal });
  }
  throw broken;
}

/**
 * An error as a sentence and what to do, for a model or a person.
 * @param {unknown} error
 * @returns {{kind: string, message: string, hint: string}}
 */
export function explained(error) {
  const kind = typeof error?.kind === "string" ? error.kind : error?.name === "AbortError" ? "aborted" : "internal";
  const message = sentence(error instanceof Error ? error.message : String(error));
  if (kind === "not_running") {
    return {
      kind,
      message: "akkd is not running, so nothing was done.",
      hint: "Start it in a shell on the gateway's machine with `akkctl daemon start`, then try again. `akkctl doctor` finds out why it does not run.",
    };
  }
  if (kind === "timeout" || kind === "broken") {
    return {
      kind,
      message: "akkd did not answer; whether it was done is not known.",
      hint: "Look at the list before you try again. `akkctl doctor` finds out what is wrong.",
    };
  }
  return { kind, message, hint: sentence(error?.hint ?? "") };
}

/** A capital letter in front, a full stop behind: akkd writes its messages without. */
function sentence(text) {
  const trimmed = text.trim();
  if (!trimmed) return "";
  const stopped = /[.!?…`]$/.test(trimmed) ? trimmed : `${trimmed}.`;
  // Names such as task-… and akkd keep their spelling.
  return /^(akk|task-|[a-z_]+:|[a-z_]+\.)/.test(stopped) ? stopped : stopped[0].toUpperCase() + stopped.slice(1);
}
