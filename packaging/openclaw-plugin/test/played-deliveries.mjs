/** The plugin's delivery service between a scripted akkd and a scripted OpenClaw, anew for every test. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock } from "node:test";
import { deliveryService } from "../lib/deliveries.js";
import { Gateway } from "../lib/gateway.js";
import { ScriptedAkkd } from "./scripted-akkd.mjs";
import { ScriptedOpenClaw } from "./scripted-openclaw.mjs";

export const ID = "akk:task-20260620T140525-0a1b2c3d:m1";
export const DELEGATED = Date.UTC(2026, 5, 20, 14, 5, 25);
export const TEXT = "[Agent Knock Knock] codex has finished.";

export let akkd;
export let openclaw;
export let open;
export let service;

beforeEach(async () => {
  akkd = await new ScriptedAkkd().listen();
  for (const method of ["delivery.handed", "delivery.ack", "delivery.failed", "delivery.probed"]) akkd.answer(method, () => ({}));
  open = akkd.subscriptions("delivery.subscribe", "delivery.item");
  openclaw = new ScriptedOpenClaw();
});
afterEach(async () => {
  mock.timers.reset();
  await service?.stop();
  service = undefined;
  newProcess();
  await akkd.remove();
});

/** The gateway's process begins, or begins anew: nothing is left in memory. */
export function newProcess() {
  delete globalThis[Symbol.for("agent-knock-knock.deliveries")];
}

/** Starts it, whether or not akkd is there. */
export async function begin(process = "process-1", parts = openclaw.parts) {
  service = deliveryService({
    api: openclaw.api,
    socketPath: akkd.socketPath,
    gateway: "openclaw:/test",
    process,
    through: new Gateway(openclaw.api, parts),
  });
  await service.start();
}

/** Starts it, and waits until it takes deliveries. */
export async function start(process) {
  const subscriptions = open.length;
  await begin(process);
  await until(() => open.length > subscriptions);
}

/** SIGKILL of the gateway, and its restart: first services, then its own recovery. */
export async function killAndRestart(process = "process-2") {
  openclaw.kill();
  await service.stop();
  newProcess();
  await start(process);
  const recovered = openclaw.recover();
  return { recovered };
}

export function offer(more = {}) {
  const { recipient, asked_at, orchestrator = "agent:main:main", ...rest } = more;
  const body = {
    key: ID, conversation_id: ID.split(":")[1], message_id: "m1", kind: "done", orchestrator, asked_at,
    recipient: recipient ?? { session_id: openclaw.entry(orchestrator)?.sessionId, agent_id: "main" },
  };
  open.at(-1).push({ item: "offer", delivery_id: ID, attempt: 1, look_first: false, by_person: false, body, text: TEXT, ...rest });
}

/** Lets what is ready happen; with mocked timers, lets time pass, too. */
export async function until(condition) {
  const began = performance.now();
  while (!condition()) {
    assert.ok(performance.now() - began < 20_000, `did not come: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
export async function minutes(count) {
  for (let i = 0; i < count * 60; i += 1) {
    mock.timers.tick(1000);
    for (let j = 0; j < 3; j += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}
export const asked = (method) => akkd.asked.filter((request) => request.method === method).map(({ params }) => params);
export const settled = () => akkd.asked.filter(({ method }) => method === "delivery.ack" || method === "delivery.failed").map(({ params }) => params);
export const answers = () => openclaw.chat.filter((line) => line.startsWith("answer"));
