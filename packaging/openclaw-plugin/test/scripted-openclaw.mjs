/**
 * A scripted OpenClaw: sessions with transcripts, runs that a scripted model answers, and what the user saw of it.
 *
 * It keeps to what the real gateway (2026.9.6) was seen to do: the user message stands in the transcript before the
 * model is asked; a key is remembered in memory only; a key that the transcript holds makes a run fail in front of
 * the user; `/new` appends an event and keeps the session's id.
 */

import { GatewayError } from "../lib/loopback.js";

export class ScriptedOpenClaw {
  /** What the user saw, in order. */
  chat = [];
  /** What the model was asked, in order. */
  prompts = [];
  /** Every `agent` call. */
  calls = [];
  /** Notes for the next turn, by session key. */
  notes = new Map();
  /** Answers a prompt; may wait, may throw. */
  model = async (prompt) => `answer to ${prompt}`;
  /** What the gateway does with `agent` before anything else; throws, waits, or answers by itself. */
  before = async () => undefined;
  /** Whether notes are taken. */
  takesNotes = true;
  /** How many waits for a run's end it refuses, as it does while it stops. */
  failsToWait = 0;
  #entries = new Map();
  #transcripts = new Map();
  #runs = new Map();
  #life = 0;
  #sequence = 0;

  constructor() {
    this.session("agent:main:main");
  }

  /** Makes a session; `entry` says what is special about it. */
  session(key, entry = {}) {
    const id = `session-${++this.#sequence}`;
    this.#entries.set(key, { sessionId: id, status: "done", delivery: { kind: "external" }, ...entry });
    this.#transcripts.set(id, [{ type: "session", id }]);
    return this.#entries.get(key);
  }

  entry(key = "agent:main:main") {
    return this.#entries.get(key);
  }

  events(key = "agent:main:main") {
    return this.#transcripts.get(this.entry(key).sessionId);
  }

  forget(key) {
    const { sessionId } = this.entry(key);
    this.#entries.delete(key);
    this.#transcripts.delete(sessionId);
  }

  /** `/new`, or a policy's rollover: an event in the same transcript. */
  reset(reason, at = Date.now(), key = "agent:main:main") {
    this.events(key).push({ type: "reset", reason, timestamp: new Date(at).toISOString() });
  }

  /** SIGKILL: runs stop where they are, and all that was in memory is gone. */
  kill() {
    this.#life += 1;
    this.#runs.clear();
  }

  /** What the restarted gateway does by itself with what was interrupted. */
  async recover(key = "agent:main:main") {
    const entry = this.entry(key);
    if (entry.status !== "running") return;
    const note = this.notes.get(key);
    this.notes.delete(key);
    this.chat.push("I'm continuing your interrupted request now");
    await this.#run(entry, entry.restartRecoveryDeliveryRunId, [note, "[System] continue"].filter(Boolean).join("\n"), true);
  }

  /** The user's turn begins; its model ends with the first function, its answer is in the chat with the second. */
  userTurn(key = "agent:main:main") {
    const entry = this.entry(key);
    const end = Promise.withResolvers();
    this.#runs.set("user-run", end.promise);
    Object.assign(entry, { status: "running", active: true, lifecycleRunId: "user-run", restartRecoveryDeliveryRunId: "user-run" });
    return {
      isStopped: () => {
        Object.assign(entry, { status: "killed", active: false, restartRecoveryDeliveryRunId: undefined });
        end.resolve({ status: "error", error: "aborted", stopReason: "rpc" });
      },
      modelEnds: () => {
        Object.assign(entry, { status: "done", active: false, restartRecoveryDeliveryRunId: undefined, pendingFinalDelivery: { text: "for the user" } });
        end.resolve({ status: "ok" });
      },
      answerArrives: () => {
        this.chat.push("for the user");
        entry.pendingFinalDelivery = undefined;
      },
    };
  }

  get api() {
    return {
      runtime: {
        version: "2026.9.6",
        config: { current: () => ({ agents: { list: [{ id: "main" }] } }) },
        agent: {
          session: {
            patchSessionEntry: async ({ sessionKey, update }) => {
              const entry = this.#entries.get(sessionKey);
              Object.assign(entry, update(structuredClone(entry)));
            },
            getSessionEntry: ({ sessionKey }) => this.#entries.get(sessionKey),
            listSessionEntries: () => [...this.#entries].map(([sessionKey, entry]) => ({ sessionKey, entry })),
          },
        },
      },
      session: {
        workflow: {
          enqueueNextTurnInjection: async ({ sessionKey, text }) => {
            if (!this.takesNotes) throw new Error("prompt injection is disabled");
            this.notes.set(sessionKey, text);
            return { enqueued: true };
          },
        },
      },
    };
  }

  get parts() {
    return {
      loopback: { request: (method, params, options) => this.#request(method, params, options), close() {} },
      transcripts: async () => ({
        readSessionTranscriptEvents: async ({ sessionId }) => structuredClone(this.#transcripts.get(sessionId) ?? []),
      }),
    };
  }

  async #request(method, params, { timeoutMs, signal }) {
    signal?.throwIfAborted();
    if (method === "agent") return this.#agent(params);
    if (method === "agent.wait" && this.failsToWait-- > 0) throw new GatewayError("refused", "the gateway stops");
    if (method === "agent.wait") return this.#wait(params.runId, timeoutMs, signal);
    if (method === "sessions.list") {
      return { sessions: [...this.#entries].filter(([, e]) => e.active).map(([key]) => ({ key })) };
    }
    throw new GatewayError("refused", `unknown method: ${method}`);
  }

  async #agent(params) {
    this.calls.push(params);
    const { idempotencyKey: key, sessionKey, expectedExistingSessionId, message, deliver } = params;
    const answered = await this.before(params);
    if (answered) return answered;
    if (this.#runs.has(key)) return { runId: key, status: "in_flight" };
    if (this.entry(sessionKey)?.mainRestartRecovery) {
      const error = `Session "${sessionKey}" changed while starting work. Retry. | SESSION_WORK_START_CHANGED`;
      this.#runs.set(key, Promise.resolve({ status: "error", error }));
      return { runId: key, status: "accepted" };
    }
    const entry = this.entry(sessionKey);
    if (entry?.sessionId !== expectedExistingSessionId) {
      throw new GatewayError("refused", `Session "${sessionKey}" changed before expected work could start.`);
    }
    void this.#run(entry, key, message, deliver, sessionKey);
    return { runId: key, status: "accepted" };
  }

  async #run(entry, key, prompt, deliver) {
    const life = this.#life;
    const events = this.#transcripts.get(entry.sessionId);
    const end = Promise.withResolvers();
    this.#runs.set(key, end.promise);
    const holds = events.some((event) => event.message?.idempotencyKey === `${key}:user`);
    const recovered = entry.status === "running";
    if (entry.pendingFinalDelivery) this.chat.push("⚠️ OpenClaw couldn't produce or deliver a reply");
    if (holds && !recovered) {
      this.chat.push("⚠️ Agent run failed");
      end.resolve({ status: "error", error: "Session transcript keyed user is outside the current turn" });
      return;
    }
    if (!holds) events.push({ type: "message", message: { role: "user", content: prompt, idempotencyKey: `${key}:user` } });
    Object.assign(entry, { status: "running", active: true, restartRecoveryDeliveryRunId: deliver ? key : undefined });
    this.prompts.push(prompt);
    const said = await this.model(prompt).then((text) => ({ text }), (error) => ({ error }));
    if (life !== this.#life) return;
    Object.assign(entry, { status: said.error ? "failed" : "done", active: false, restartRecoveryDeliveryRunId: undefined });
    const timestamp = new Date().toISOString();
    if (said.error) {
      if (!said.error.aborted) events.push({ type: "message", timestamp, message: { role: "assistant", stopReason: "error", errorMessage: said.error.message } });
      end.resolve({ status: "error", error: said.error.aborted ? "aborted" : said.error.message, stopReason: said.error.aborted ? "rpc" : undefined });
    } else {
      events.push({ type: "message", timestamp, message: { role: "assistant", stopReason: "stop", content: [{ type: "text", text: said.text }] } });
      if (deliver) this.chat.push(said.text);
      end.resolve({ status: "ok", stopReason: "stop" });
    }
  }

  async #wait(runId, timeoutMs, signal) {
    const run = this.#runs.get(runId) ?? new Promise(() => {});
    let timer;
    const late = new Promise((resolve, reject) => {
      timer = setTimeout(resolve, timeoutMs, { status: "timeout" });
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    try {
      return { runId, ...(await Promise.race([run, late])) };
    } finally {
      clearTimeout(timer);
    }
  }
}
