/**
 * The service: takes akkd's reports for the sessions of this gateway, for as long as the gateway runs.
 *
 * One subscription, made again for ever. akkd offers one report at a time for each session and remembers everything
 * that counts; what is kept here is only what this process began, and that outlives a reload of the plugin.
 */

import { readFileSync } from "node:fs";
import { Connection } from "./akkd.js";
import { Approvals } from "./approvals.js";
import { ask } from "./ask.js";
import { Cards, offered as requestIn } from "./cards.js";
import { Gateway, SOURCE } from "./gateway.js";
import { noteInterrupted } from "./interrupted.js";
import { backOff, pause } from "./pause.js";
import { Telling } from "./telling.js";

const STATE = Symbol.for("agent-knock-knock.deliveries");
/** Reconnecting to akkd: from 200 ms to 10 s. Looking costs one failed `connect`. */
const RECONNECT_MS = [200, 10_000];
/** How long akkd may take to write down what it is told, in ms. */
const REPORT_MS = 30_000;

/**
 * @param {object} options
 * @param {object} options.api the plugin's api
 * @param {string} options.socketPath akkd's control socket
 * @param {string} options.gateway the name of this installation of OpenClaw
 * @param {string} options.process the name of this process
 * @param {{info?: Function, warn?: Function}} [options.logger]
 * @param {Gateway} [options.through] what stands for the gateway in tests
 * @param {Approvals} [options.approvals] what stands for its approvals in tests
 * @returns {{start(): Promise<void>, stop(): Promise<void>}}
 */
export function deliveryService({ api, socketPath, gateway, process, logger, through, approvals }) {
  // Shared by every evaluation of this module in the process.
  const state = (globalThis[STATE] ??= { begun: new Map(), unseen: new Set(), looked: false });
  const way = through ?? new Gateway(api);
  // These outlive a reload, too: a card's answer is heard only where it was asked for.
  const cards = (state.cards ??= new Cards({
    approvals: approvals ?? new Approvals(api, way),
    akkd: (method, params) => ask(socketPath, method, params),
    logger,
  }));
  const stopped = new AbortController();
  const tellings = new Map();
  const who = { gateway, process, plugin_version: ownVersion(), openclaw_version: String(api.runtime?.version ?? "unknown") };
  let akkd;
  let serving;

  async function serve() {
    let failures = 0;
    let said;
    while (!stopped.signal.aborted) {
      akkd = new Connection(socketPath);
      try {
        await akkd.subscribe("delivery.subscribe", who, take);
        logger?.info?.(`${SOURCE}: connected to akkd at ${socketPath}`);
        failures = 0;
        said = undefined;
        void answeredElsewhere(akkd);
        await akkd.closed;
      } catch (error) {
        akkd.close();
        // Once for each reason: akkd may be away for days.
        if (error.kind !== said && !stopped.signal.aborted) logger?.warn?.(`${SOURCE}: ${error.message}. ${error.hint ?? ""}`.trim());
        said = error.kind;
      }
      await pause(backOff(failures++, ...RECONNECT_MS), stopped.signal).catch(() => {});
    }
  }

  function take(item) {
    if (item?.item === "offer") return void offered(item);
    if (item?.item === "withdrawn") {
      state.begun.delete(item.delivery_id);
      return tellings.get(item.delivery_id)?.given.abort(new Error("withdrawn"));
    }
    if (item?.item === "probe") return void probed(item.nonce);
    if (item?.item === "superseded") {
      logger?.info?.(`${SOURCE}: another connection of this gateway takes akkd's reports now`);
      stopped.abort();
      akkd.close();
    }
    // Items of a newer akkd are not for this plugin.
  }

  /** Cards follow what akkd says of their requests, and what it said while it was not heard. */
  async function answeredElsewhere(connection) {
    const hear = ({ item, event, ...settled }) => item === "event" && event === "permission_settled" && cards.settled(settled);
    try {
      await connection.subscribe("events.subscribe", { kinds: ["permission_settled"] }, hear);
      await cards.catchUp(gateway);
    } catch (error) {
      if (!stopped.signal.aborted) logger?.warn?.(`${SOURCE}: permission requests cannot be followed: ${error.message}`);
    }
  }

  /** Asks for a permission by card, unless a run may have told it already. */
  async function carded({ delivery_id: id, body, handed }) {
    if (!body.permission || !body.orchestrator || handed || state.begun.has(id)) return false;
    return cards.ask(requestIn(body));
  }

  async function offered(offer) {
    const { delivery_id: id } = offer;
    // After a reconnect akkd offers again what is being told: the same work goes on, reported under the new number.
    const running = tellings.get(id);
    if (running) {
      running.telling.offer = offer;
      const begun = state.begun.get(id);
      if (begun && !begun.over) await handed(offer, begun);
      return;
    }
    const given = new AbortController();
    const telling = new Telling(offer, {
      gateway: way,
      begun: state.begun,
      unseen: state.unseen,
      process,
      handed: (begun) => handed(telling.offer, begun),
      signal: AbortSignal.any([stopped.signal, given.signal]),
    });
    tellings.set(id, { telling, given });
    let outcome;
    try {
      outcome = (await carded(offer)) ? { ack: true } : await telling.tell();
    } catch (error) {
      if (!stopped.signal.aborted && !given.signal.aborted) outcome = { reason: "refused", error: String(error?.message ?? error) };
    }
    tellings.delete(id);
    // Given up: the next instance goes on with what was begun, or somebody settled it otherwise.
    if (!outcome) return;
    const { attempt } = telling.offer;
    if (outcome.ack) {
      if (await reported("delivery.ack", { delivery_id: id, attempt })) state.begun.delete(id);
      return;
    }
    logger?.warn?.(`${SOURCE}: ${id} is not told (${outcome.reason}): ${outcome.error}`);
    await reported("delivery.failed", { delivery_id: id, attempt, ...outcome });
  }

  function handed({ delivery_id, attempt }, begun) {
    return reported("delivery.handed", { delivery_id, attempt, run_id: begun.runId, session_id: begun.sessionId, process });
  }

  async function probed(nonce) {
    const { ready, detail } = await way.probe();
    await reported("delivery.probed", { nonce, gateway_ready: ready, detail });
  }

  /** Tells akkd. Where that fails, akkd offers again when it is back, and the transcript answers. */
  async function reported(method, params) {
    try {
      await akkd.call(method, params, { timeoutMs: REPORT_MS });
      return true;
    } catch (error) {
      logger?.warn?.(`${SOURCE}: ${method} did not reach akkd: ${error.message}`);
      return false;
    }
  }

  return {
    /** Ready when what a killed gateway had begun is noted: OpenClaw's own recovery waits for that. */
    async start() {
      if (!state.looked) {
        state.looked = true;
        await noteInterrupted(way, state.unseen, logger).catch((error) =>
          logger?.warn?.(`${SOURCE}: interrupted runs could not be looked for: ${error.message}`),
        );
      }
      serving = serve();
    },
    /** Ends the connection. Runs that were begun go on; the next instance, or the next process, follows them. */
    async stop() {
      stopped.abort(new Error("the plugin stops"));
      akkd?.close();
      await serving;
      way.close();
    },
  };
}

function ownVersion() {
  try {
    return JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version ?? "0";
  } catch {
    return "0";
  }
}
