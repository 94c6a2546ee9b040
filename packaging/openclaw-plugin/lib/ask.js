/** Calls to akkd as tools and commands make them: each on a connection of its own, repeated once where that is safe. */

import { call } from "./akkd.js";

/** How long a tool or a command waits; starting an agent is the slowest part of a call. */
const PATIENCE_MS = 100_000;

/** What says that the connection broke while an answer was awaited; akkd may have been restarted. */
const BROKEN = new Set(["not_running", "disconnected"]);

/**
 * Calls akkd. A call whose connection broke is made once more: it reads only, or carries a request id, by which akkd
 * answers a repeat.
 * @param {string} socketPath
 * @param {string} method
 * @param {object} params
 * @param {{signal?: AbortSignal, timeoutMs?: number}} [options]
 * @returns {Promise<any>} akkd's answer
 * @throws akkd's error: `kind`, `message`, `hint`
 */
export async function ask(socketPath, method, params, options = {}) {
  const once = () => call(socketPath, method, params, { timeoutMs: PATIENCE_MS, ...options });
  try {
    return await once();
  } catch (error) {
    // `not_running` before anything was sent is an answer; repeated at once it would only be the same.
    if (!BROKEN.has(error?.kind) || error.kind === "not_running" || options.signal?.aborted) throw error;
    return once();
  }
}

/**
 * An error as a sentence and what to do, for a model or a person.
 * @param {unknown} error
 * @returns {{kind: string, message: string, hint: string}}
 */
export function explained(error) {
  const kind = typeof error?.kind === "string" ? error.kind : "internal";
  const message = sentence(error instanceof Error ? error.message : String(error));
  if (kind === "not_running") {
    return {
      kind,
      message: "akkd is not running, so nothing was done.",
      hint: "Start it in a shell on the gateway's machine with `akkctl daemon start`, then try again. `akkctl doctor` finds out why it does not run.",
    };
  }
  if (kind === "timeout") {
    return {
      kind,
      message: "akkd did not answer in time; what was asked for may still happen.",
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
