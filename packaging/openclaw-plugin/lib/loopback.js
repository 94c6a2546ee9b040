/**
 * The gateway's own WebSocket, from inside its process.
 *
 * OpenClaw 2026.9 lets only its official plugins call gateway methods in process, and `api.runtime.subagent.run` can
 * neither name the session it expects nor say that a text is not the user's. A backend client on loopback can do both,
 * with the gateway's own secret, which is in the configuration that the plugin is given.
 */

/** Version of the gateway's protocol that is spoken (OpenClaw 2026.9). */
const PROTOCOL = 4;
const CONNECT_MS = 15_000;
/** The port when neither the environment nor the configuration names one (OpenClaw 2026.9). */
const DEFAULT_PORT = 18_789;

/** Why a request has no result. */
export class GatewayError extends Error {
  /**
   * @param {"refused" | "unreachable" | "unanswered"} kind `refused`: the gateway said no, nothing was begun;
   *   `unreachable`: the request was never sent; `unanswered`: it was sent, what became of it is not known
   * @param {string} message
   */
  constructor(kind, message) {
    super(message);
    this.name = "GatewayError";
    this.kind = kind;
  }
}

/**
 * Where the gateway listens and what it wants to hear, from its configuration and environment.
 * @param {object} config OpenClaw's configuration as it runs
 * @param {Record<string, string | undefined>} env
 * @returns {{url: string, auth: {token?: string, password?: string}}}
 */
export function loopbackOf(config, env) {
  const gateway = config?.gateway ?? {};
  const port = Number(env.OPENCLAW_GATEWAY_PORT?.trim()) || gateway.port || DEFAULT_PORT;
  const token = text(gateway.auth?.token) ?? text(env.OPENCLAW_GATEWAY_TOKEN);
  const password = text(gateway.auth?.password) ?? text(env.OPENCLAW_GATEWAY_PASSWORD);
  return {
    url: `${gateway.tls?.enabled ? "wss" : "ws"}://127.0.0.1:${port}`,
    auth: { ...(token && { token }), ...(password && { password }) },
  };
}

/** Requests to the gateway. Connects when one is made, and again after the connection broke. */
export class Loopback {
  #where;
  #WebSocket;
  #version;
  #scopes;
  #open;
  #closed = false;

  /**
   * @param {() => {url: string, auth: object}} where asked anew for each connection
   * @param {{version?: string, scopes?: string[], WebSocket?: typeof globalThis.WebSocket}} [options] `scopes`: what
   *   the requests need to be allowed
   */
  constructor(where, { version = "0", scopes = ["operator.read", "operator.write"], WebSocket = globalThis.WebSocket } = {}) {
    this.#where = where;
    this.#version = version;
    this.#scopes = scopes;
    this.#WebSocket = WebSocket;
  }

  /**
   * @param {string} method
   * @param {object} params
   * @param {{timeoutMs: number, signal?: AbortSignal}} options
   * @returns {Promise<any>} the payload of the first answer
   * @throws {GatewayError}
   */
  async request(method, params, { timeoutMs, signal }) {
    const socket = await this.#connected();
    signal?.throwIfAborted();
    return socket.request(method, params, timeoutMs, signal);
  }

  /** Ends the connection for good; requests that wait fail. */
  close() {
    this.#closed = true;
    this.release();
  }

  /** Ends the connection until the next request. */
  release() {
    const open = this.#open;
    this.#open = undefined;
    open?.then((socket) => socket.close(), () => {});
  }

  #connected() {
    if (this.#closed) return Promise.reject(new GatewayError("unreachable", "the plugin stops"));
    this.#open ??= this.#connect();
    return this.#open;
  }

  async #connect() {
    const forget = () => (this.#open = undefined);
    try {
      const { url, auth } = this.#where();
      const socket = new Socket(new this.#WebSocket(url), forget);
      await socket.hello({
        minProtocol: PROTOCOL,
        maxProtocol: PROTOCOL,
        client: { id: "gateway-client", version: this.#version, platform: process.platform, mode: "backend" },
        role: "operator",
        scopes: this.#scopes,
        caps: [],
        auth,
      });
      return socket;
    } catch (error) {
      forget();
      throw new GatewayError("unreachable", `OpenClaw's gateway cannot be reached: ${error.message}`);
    }
  }
}

/** One WebSocket connection. */
class Socket {
  #ws;
  #nextId = 1;
  #waiting = new Map();
  #challenge;
  #over;

  constructor(ws, onEnd) {
    this.#ws = ws;
    const challenged = new Promise((resolve, reject) => (this.#challenge = { resolve, reject }));
    this.#challenge.promise = challenged;
    challenged.catch(() => {});
    ws.onmessage = ({ data }) => this.#read(data);
    ws.onerror = () => this.#end("the connection failed", onEnd);
    ws.onclose = ({ code, reason }) => this.#end(`it closed the connection (${code}${reason ? `: ${reason}` : ""})`, onEnd);
  }

  async hello(params) {
    const timer = setTimeout(() => this.close(), CONNECT_MS);
    try {
      await this.#challenge.promise;
      await this.request("connect", params, CONNECT_MS);
    } catch (error) {
      this.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  request(method, params, timeoutMs, signal) {
    if (this.#over) return Promise.reject(new GatewayError("unreachable", this.#over));
    const id = String(this.#nextId++);
    return new Promise((resolve, reject) => {
      const done = (settle, value) => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#waiting.delete(id);
        settle(value);
      };
      const unanswered = (why) => done(reject, new GatewayError("unanswered", `${method}: ${why}`));
      const onAbort = () => done(reject, signal.reason);
      const timer = setTimeout(() => unanswered(`no answer within ${Math.round(timeoutMs / 1000)} s`), timeoutMs);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.set(id, {
        unanswered,
        answer: (frame) =>
          frame.ok
            ? done(resolve, frame.payload)
            : done(reject, new GatewayError("refused", frame.error?.message ?? `${method} was refused`)),
      });
      this.#ws.send(JSON.stringify({ type: "req", id, method, params }));
    });
  }

  close() {
    this.#ws.close();
    this.#end("the connection was closed", () => {});
  }

  #read(data) {
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (frame?.type === "event" && frame.event === "connect.challenge") this.#challenge.resolve();
    // `agent` answers twice under one id: when it accepts, and when the run has ended. The first counts.
    else if (frame?.type === "res") this.#waiting.get(frame.id)?.answer(frame);
  }

  #end(why, onEnd) {
    if (this.#over) return;
    this.#over = why;
    onEnd();
    this.#challenge.reject(new Error(why));
    for (const waiting of [...this.#waiting.values()]) waiting.unanswered(why);
  }
}

function text(value) {
  return typeof value === "string" && value ? value : undefined;
}
