/**
 * akkd's control socket: JSON-RPC 2.0, one message a line, over a Unix socket.
 *
 * `call` is for tools and commands: one short connection, one call. `Connection` is for the service: calls beside a
 * subscription, for as long as both sides live. Neither repeats anything; who calls decides what may be said twice.
 */

import { lstatSync } from "node:fs";
import net from "node:net";

/** Longest line either side may send, in bytes (akkd's limit for requests and answers). */
export const MAX_LINE = 16 << 20;
/** How long a call may take when nothing else is said, in ms: starting an agent is the slowest part of one. */
export const PATIENCE = 120_000;

/** What a call came to instead of a result. */
export class AkkdError extends Error {
  /**
   * @param {string} kind akkd's word for it (`not_found`, `wrong_status`, …), or ours: `not_running`, `peer_refused`,
   *   `timeout`, `aborted`, `broken` (the connection ended: whether the call was carried out is not known), `too_large`
   * @param {string} message one sentence
   * @param {string} [hint] what to do next
   * @param {Record<string, unknown>} [details] further facts, by kind
   */
  constructor(kind, message, hint = "", details = {}) {
    super(message);
    this.name = "AkkdError";
    this.kind = kind;
    this.hint = hint;
    this.details = details;
  }
}

/**
 * Makes one call over a connection of its own.
 * @param {string} socketPath where akkd listens
 * @param {string} method
 * @param {object} params
 * @param {{signal?: AbortSignal, timeoutMs?: number}} [options] `timeoutMs` covers connecting, too
 * @returns {Promise<any>} the result
 * @throws {AkkdError}
 */
export async function call(socketPath, method, params, { signal, timeoutMs = PATIENCE } = {}) {
  const connection = new Connection(socketPath);
  try {
    return await connection.call(method, params, { signal, timeoutMs });
  } finally {
    connection.close();
  }
}

/** One connection to akkd. It connects at once; what is called before it stands is sent when it does. */
export class Connection {
  #socket;
  #chunks = [];
  #length = 0;
  #nextId = 1;
  #calls = new Map();
  #subscriptions = new Map();
  #early = new Map();
  #end;
  #ended;

  /** @param {string} socketPath where akkd listens */
  constructor(socketPath) {
    /** Settles, without ever failing, when the connection is over: the reason, an `AkkdError`. */
    this.closed = new Promise((resolve) => (this.#ended = resolve));
    const foreign = foreignOwner(socketPath);
    if (foreign !== undefined) {
      this.#over(
        new AkkdError("peer_refused", `the socket ${socketPath} belongs to another user (uid ${foreign})`,
          "Set socketPath of the plugin to the socket of your own akkd."),
      );
      return;
    }
    this.#socket = net.createConnection(socketPath);
    this.#socket.on("data", (chunk) => this.#read(chunk));
    this.#socket.on("error", (error) => this.#over(unreachable(error, socketPath)));
    this.#socket.on("close", () =>
      this.#over(new AkkdError("broken", "akkd closed the connection", "Look into `akkctl daemon logs`.")),
    );
  }

  /**
   * Calls and waits for the answer.
   * @param {string} method
   * @param {object} params
   * @param {{signal?: AbortSignal, timeoutMs?: number}} [options]
   * @returns {Promise<any>} the result
   * @throws {AkkdError}
   */
  call(method, params, options = {}) {
    return this.#ask(method, params, options, (result) => result);
  }

  /**
   * Subscribes. Items come in order, none is lost between the answer and the first call of `onItem`.
   * @param {string} method
   * @param {object} params
   * @param {(item: any) => void} onItem
   * @param {{signal?: AbortSignal, timeoutMs?: number}} [options] for the answer, not for the items
   * @returns {Promise<void>} when akkd has accepted it
   * @throws {AkkdError}
   */
  subscribe(method, params, onItem, options = {}) {
    return this.#ask(method, params, options, (id) => {
      this.#subscriptions.set(id, onItem);
      const early = this.#early.get(id) ?? [];
      this.#early.delete(id);
      for (const item of early) onItem(item);
    });
  }

  /** Ends the connection; calls that wait fail with `aborted`. */
  close() {
    this.#over(new AkkdError("aborted", "the connection was closed by the plugin"));
  }

  #ask(method, params, { signal, timeoutMs = PATIENCE }, take) {
    if (this.#end) return Promise.reject(this.#end);
    if (signal?.aborted) return Promise.reject(aborted(method));
    const id = this.#nextId++;
    const line = `${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`;
    if (Buffer.byteLength(line) > MAX_LINE) {
      return Promise.reject(new AkkdError("too_large", `${method}: the request is larger than 16 MiB`));
    }
    return new Promise((resolve, reject) => {
      const done = (settle, value) => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#calls.delete(id);
        settle(value);
      };
      const onAbort = () => done(reject, aborted(method));
      const timer = setTimeout(() => {
        const seconds = Math.round(timeoutMs / 1000);
        done(reject, new AkkdError("timeout", `akkd did not answer ${method} within ${seconds} s`,
          "It may still be carried out: look with `akkctl list`."));
      }, timeoutMs);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#calls.set(id, {
        answer: (result) => done(resolve, take(result)),
        fail: (error) => done(reject, error),
      });
      this.#socket.write(line);
    });
  }

  #read(chunk) {
    let rest = chunk;
    for (;;) {
      const newline = rest.indexOf(10);
      const part = newline < 0 ? rest : rest.subarray(0, newline);
      this.#length += part.length;
      if (this.#length > MAX_LINE) {
        this.#over(new AkkdError("too_large", "akkd sent a line of more than 16 MiB"));
        return;
      }
      this.#chunks.push(part);
      if (newline < 0) return;
      const line = Buffer.concat(this.#chunks).toString("utf8");
      this.#chunks = [];
      this.#length = 0;
      rest = rest.subarray(newline + 1);
      if (line.trim() && !this.#take(line)) return;
    }
  }

  /** Handles one line; false when the connection is over. */
  #take(line) {
    let message;
    try {
      message = JSON.parse(line);
    } catch {
      message = undefined;
    }
    if (message === null || typeof message !== "object") {
      this.#over(new AkkdError("broken", "akkd sent a line that is not JSON", "Is akkd as new as the plugin?"));
      return false;
    }
    if (message.method !== undefined) return this.#notified(message.params);
    const waiting = this.#calls.get(message.id);
    if (message.error) {
      const error = refused(message.error);
      if (waiting) waiting.fail(error);
      // An error without an id is about the connection: akkd could not read what it belongs to.
      else if (message.id === null || message.id === undefined) {
        this.#over(error);
        return false;
      }
    } else waiting?.answer(message.result);
    return true;
  }

  #notified(params) {
    const id = params?.subscription;
    if (id === undefined) return true;
    if (!("result" in params)) {
      this.#over(new AkkdError("broken", "akkd ended the subscription"));
      return false;
    }
    const onItem = this.#subscriptions.get(id);
    if (onItem) onItem(params.result);
    // Sent right behind the answer that names the subscription, in the same chunk: kept until that was taken.
    else if (this.#calls.size > 0) this.#early.set(id, [...(this.#early.get(id) ?? []), params.result]);
    return true;
  }

  #over(reason) {
    if (this.#end) return;
    this.#end = reason;
    this.#socket?.destroy();
    for (const waiting of [...this.#calls.values()]) waiting.fail(reason);
    this.#subscriptions.clear();
    this.#early.clear();
    this.#ended(reason);
  }
}

/** The owner of the socket, when that is not us: whoever may answer there gets what sessions say. */
function foreignOwner(socketPath) {
  const own = process.getuid?.();
  if (own === undefined) return undefined;
  try {
    const { uid } = lstatSync(socketPath);
    return uid === own ? undefined : uid;
  } catch {
    return undefined; // connecting says what is wrong with it
  }
}

function unreachable(error, socketPath) {
  if (error.code === "ENOENT" || error.code === "ECONNREFUSED") {
    return new AkkdError("not_running", `akkd does not run (nothing listens on ${socketPath})`,
      "Start it with `akkctl daemon start`.");
  }
  return new AkkdError("broken", `the connection to akkd failed: ${error.message}`, "Look into `akkctl daemon logs`.");
}

function refused(error) {
  const { kind = "internal", hint = "Look into `akkctl daemon logs`.", ...details } = error.data ?? {};
  return new AkkdError(kind, error.message ?? "akkd refused", hint, details.details ?? details);
}

function aborted(method) {
  return new AkkdError("aborted", `${method} was given up`);
}
