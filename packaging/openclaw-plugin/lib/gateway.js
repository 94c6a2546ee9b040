/**
 * What the plugin uses of the gateway it lives in: sessions as they are stored, their transcripts, runs.
 *
 * A text is told as a run of the gateway's `agent` method over loopback, with the session it expects and with the mark
 * that it is not the user's. ARCHITECTURE.md says what was tried against it.
 */

import { GatewayError, Loopback, loopbackOf } from "./loopback.js";

/** Who speaks, as the gateway writes it beside each text. */
export const SOURCE = "agent-knock-knock";
/** How long the gateway may take to accept a run, in ms: a cold or busy one takes its time. */
const ACCEPT_MS = 120_000;
/** How long a note for the next turn is kept, in ms: the turn begins seconds later, or not at all. */
const NOTE_MS = 3_600_000;
/**
 * How OpenClaw 2026.9 begins a text that is not the user's. Where a text has that already, wherever it stands, it takes
 * the rest of the line out: a report about OpenClaw would lose words.
 */
const ITS_MARK = "[Inter-session message]";
/** Why a run ended that a person stopped. */
const STOPPED = new Set(["rpc", "stop"]);

/**
 * A session as it stands.
 * @typedef {object} Session
 * @property {string} agentId
 * @property {string} key
 * @property {string} id
 * @property {string[]} family ids under which the same conversation was kept before (a policy rolled it over)
 * @property {boolean} archived
 * @property {boolean} outside whether it belongs to a chat channel that can be sent to
 * @property {boolean} working whether a run is under way in it, or was when its gateway died
 * @property {boolean} replying whether the answer of its last turn is still on its way to the chat
 * @property {string | undefined} run the run that is, or was last, under way
 * @property {boolean} locked whether a recovery that is over still keeps runs out
 * @property {string | undefined} claim the run under way, if the gateway would carry it on after its restart
 * @property {string | undefined} source the run that `claim` carries on, where it has another id
 * @property {boolean} drained whether that run was ended by an orderly stop
 */

/**
 * How a run ended.
 * @typedef {object} Ended
 * @property {boolean} ok
 * @property {boolean} aborted whether a person stopped it
 * @property {string} error
 */

export class Gateway {
  #api;
  #loopback;
  #transcripts;

  /**
   * @param {object} api the plugin's api
   * @param {{loopback?: Loopback, transcripts?: () => Promise<{readSessionTranscriptEvents: Function}>}} [parts]
   */
  constructor(api, { loopback, transcripts } = {}) {
    this.#api = api;
    this.#loopback =
      loopback ?? new Loopback(() => loopbackOf(this.#config(), process.env), { version: api.runtime?.version });
    // Loaded when it is used: processes of the command line register the plugin, too.
    this.#transcripts = transcripts ?? (() => import("openclaw/plugin-sdk/session-transcript-runtime"));
  }

  /**
   * @param {string} key a session key
   * @param {string} [agentId] OpenClaw's agent that holds it
   * @returns {Session | undefined} nothing where no session has that key
   */
  session(key, agentId = agentOf(key)) {
    const entry = this.#api.runtime.agent.session.getSessionEntry({ agentId, sessionKey: key });
    return entry?.sessionId ? sessionOf(agentId, key, entry) : undefined;
  }

  /** Every session of every agent. @returns {Session[]} */
  sessions() {
    return agentsOf(this.#config()).flatMap((agentId) =>
      this.#api.runtime.agent.session
        .listSessionEntries({ agentId })
        .filter(({ entry }) => entry?.sessionId)
        .map(({ sessionKey, entry }) => sessionOf(agentId, sessionKey, entry)),
    );
  }

  /**
   * A transcript's raw events, oldest first; empty where nothing is kept.
   * @param {{agentId: string, key: string}} session
   * @param {string} sessionId this or an earlier one of the session
   * @returns {Promise<unknown[]>}
   */
  async events({ agentId, key }, sessionId) {
    const { readSessionTranscriptEvents } = await this.#transcripts();
    return readSessionTranscriptEvents({ agentId, sessionKey: key, sessionId });
  }

  /**
   * Starts a run that says `text` to the session, and answers when the gateway has accepted it. A key that this
   * process knows already starts nothing: the gateway answers with the run it has (within five minutes).
   * @param {Session} session
   * @param {{key: string, text: string, signal?: AbortSignal}} what
   * @returns {Promise<string>} the run's id
   * @throws {GatewayError}
   */
  async run(session, { key, text, signal }) {
    const accepted = await this.#loopback.request(
      "agent",
      {
        sessionKey: session.key,
        expectedExistingSessionId: session.id,
        message: text.replaceAll(ITS_MARK, "[Inter-session\u200b message]"),
        deliver: session.outside,
        idempotencyKey: key,
        inputProvenance: { kind: "inter_session", sourceTool: SOURCE },
      },
      { timeoutMs: ACCEPT_MS, signal },
    );
    return typeof accepted?.runId === "string" && accepted.runId ? accepted.runId : key;
  }

  /**
   * Waits for the end of a run.
   * @param {string} runId
   * @param {number} ms at most
   * @param {AbortSignal} [signal]
   * @returns {Promise<Ended | undefined>} nothing when it did not end in time, or is not known (any more)
   * @throws {GatewayError}
   */
  async ended(runId, ms, signal) {
    const run = await this.#loopback.request("agent.wait", { runId, timeoutMs: ms }, { timeoutMs: ms + 15_000, signal });
    // `timeout` alone is the end of this wait; with a reason or a time it is the end of the run.
    const over = run?.status === "ok" || run?.status === "error" || run?.stopReason || run?.endedAt;
    if (!over) return undefined;
    const ok = run.status === "ok";
    const error = String(run.error ?? run.stopReason ?? "");
    return { ok, aborted: !ok && (error === "aborted" || STOPPED.has(run.stopReason)), error };
  }

  /**
   * Whether a run is under way or queued in the session, as the live gateway knows it.
   * @param {Session} session
   * @throws {GatewayError}
   */
  async active(session) {
    const listed = await this.#loopback.request(
      "sessions.list",
      { agentId: session.agentId, activeOnly: true, limit: 1000 },
      { timeoutMs: 30_000 },
    );
    return (listed?.sessions ?? []).some((row) => row.key === session.key);
  }

  /**
   * Puts a text before whatever the session's next turn says to the model. Kept by the gateway until then.
   * @param {Session} session
   * @param {string} key
   * @param {string} text
   */
  async note(session, key, text) {
    const taken = await this.#api.session.workflow.enqueueNextTurnInjection({
      sessionKey: session.key,
      agentId: session.agentId,
      text,
      idempotencyKey: `${key}:again`,
      placement: "prepend_context",
      ttlMs: NOTE_MS,
      metadata: { source: SOURCE },
    });
    if (taken?.enqueued === false) throw new Error("OpenClaw did not take the note");
  }

  /**
   * Takes away what a finished recovery left in a session, if it did. After a crash in the middle of sending an answer,
   * and a start that took longer than a minute, OpenClaw 2026.9.6 settles the answer but leaves the recovery's state
   * behind: from then on it refuses every `agent` run in that session, for good.
   * @param {Session} session
   * @returns {Promise<boolean>} whether something was taken away
   */
  async unlock({ agentId, key, id }) {
    let unlocked = false;
    await this.#api.runtime.agent.session.patchSessionEntry({
      agentId,
      sessionKey: key,
      preserveActivity: true,
      update: (entry) => {
        unlocked = entry.sessionId === id && isLeftOver(entry);
        return unlocked ? { mainRestartRecovery: undefined } : null;
      },
    });
    return unlocked;
  }

  /** Whether sessions can be reached, for `akkctl doctor`. @returns {Promise<{ready: boolean, detail: string}>} */
  async probe() {
    try {
      await this.#loopback.request("sessions.list", { limit: 1 }, { timeoutMs: 10_000 });
      return { ready: true, detail: `OpenClaw ${this.#api.runtime?.version ?? ""} takes messages for its sessions.` };
    } catch (error) {
      return { ready: false, detail: error.message };
    }
  }

  close() {
    this.#loopback.close();
  }

  #config() {
    return this.#api.runtime.config.current();
  }
}

export { GatewayError };

/** OpenClaw's agent in a session key such as `agent:main:main`. */
export function agentOf(key) {
  const [kind, agent] = key.split(":");
  return kind === "agent" && agent ? agent : "main";
}

function sessionOf(agentId, key, entry) {
  const { restartRecoveryDeliveryRunId: claim, restartRecoveryDeliverySourceRunId: source } = entry;
  const family = [entry.previousSessionId, ...(entry.usageFamilySessionIds ?? [])];
  return {
    agentId,
    key,
    id: entry.sessionId,
    family: family.filter((id) => typeof id === "string" && id !== entry.sessionId),
    archived: entry.archivedAt !== undefined && entry.archivedAt !== null,
    outside: entry.delivery ? entry.delivery.kind === "external" : Boolean(entry.deliveryContext?.to),
    working: entry.status === "running",
    replying: Boolean(entry.pendingFinalDelivery),
    run: [entry.lifecycleRunId, entry.activeWriterRunId].find((run) => typeof run === "string"),
    claim: typeof claim === "string" ? claim : undefined,
    locked: isLeftOver(entry),
    source: typeof source === "string" ? source : undefined,
    drained: (entry.restartRecoveryRuns ?? []).some((run) => run.runId === claim),
  };
}

/** Whether a recovery's state belongs to no recovery: none is due, none is reserved, none runs, none has failed. */
function isLeftOver({ mainRestartRecovery: state, abortedLastRun, restartRecoveryRuns }) {
  if (!state || abortedLastRun === true || restartRecoveryRuns !== undefined) return false;
  return !state.tombstone && !state.reservation && !state.foregroundClaims;
}

function agentsOf(config) {
  const { list, entries } = config?.agents ?? {};
  const named = [...(Array.isArray(list) ? list.map((agent) => agent?.id) : []), ...Object.keys(entries ?? {})];
  return [...new Set(["main", ...named.filter((id) => typeof id === "string" && id)])];
}
