import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { deliveryService } from "../lib/deliveries.js";
import { Gateway } from "../lib/gateway.js";
import { GatewayError } from "../lib/loopback.js";
import { ScriptedAkkd } from "./scripted-akkd.mjs";
import { ScriptedOpenClaw } from "./scripted-openclaw.mjs";

const ID = "akk:task-20260620T140525-0a1b2c3d:m1";
const DELEGATED = Date.UTC(2026, 5, 20, 14, 5, 25);
const TEXT = "[Agent Knock Knock] codex has finished.";

let akkd;
let openclaw;
let open;
let service;

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
function newProcess() {
  delete globalThis[Symbol.for("agent-knock-knock.deliveries")];
}

async function start(process = "process-1") {
  const subscriptions = open.length;
  service = deliveryService({
    api: openclaw.api,
    socketPath: akkd.socketPath,
    gateway: "openclaw:/test",
    process,
    through: new Gateway(openclaw.api, openclaw.parts),
  });
  await service.start();
  await until(() => open.length > subscriptions);
}

/** SIGKILL of the gateway, and its restart: first services, then its own recovery. */
async function killAndRestart(process = "process-2") {
  openclaw.kill();
  await service.stop();
  newProcess();
  await start(process);
  const recovered = openclaw.recover();
  return { recovered };
}

function offer(more = {}) {
  const { recipient, asked_at, orchestrator = "agent:main:main", ...rest } = more;
  const body = {
    key: ID, conversation_id: ID.split(":")[1], message_id: "m1", kind: "done", orchestrator, asked_at,
    recipient: recipient ?? { session_id: openclaw.entry(orchestrator)?.sessionId, agent_id: "main" },
  };
  open.at(-1).push({ item: "offer", delivery_id: ID, attempt: 1, look_first: false, by_person: false, body, text: TEXT, ...rest });
}

/** Lets what is ready happen; with mocked timers, lets time pass, too. */
async function until(condition) {
  const began = performance.now();
  while (!condition()) {
    assert.ok(performance.now() - began < 20_000, `did not come: ${condition}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
async function minutes(count) {
  for (let i = 0; i < count * 60; i += 1) {
    mock.timers.tick(1000);
    for (let j = 0; j < 3; j += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}
const asked = (method) => akkd.asked.filter((request) => request.method === method).map(({ params }) => params);
const settled = () => akkd.asked.filter(({ method }) => method === "delivery.ack" || method === "delivery.failed").map(({ params }) => params);
const answers = () => openclaw.chat.filter((line) => line.startsWith("answer"));

test("a_report_is_told_once_and_acknowledged_when_its_run_has_ended", async () => {
  await start();
  offer();
  await until(() => settled().length);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
  const [call] = openclaw.calls;
  assert.equal(call.expectedExistingSessionId, openclaw.entry().sessionId);
  assert.deepEqual([call.deliver, call.idempotencyKey, call.inputProvenance.kind], [true, ID, "inter_session"]);
  assert.deepEqual(asked("delivery.handed"), [
    { delivery_id: ID, attempt: 1, run_id: ID, session_id: openclaw.entry().sessionId, process: "process-1" },
  ]);
  assert.deepEqual(asked("delivery.ack"), [{ delivery_id: ID, attempt: 1 }]);
});

test("the_subscription_says_who_takes_the_reports", async () => {
  await start();
  const { gateway, process, plugin_version, openclaw_version } = open[0].params;
  assert.deepEqual([gateway, process, openclaw_version], ["openclaw:/test", "process-1", "2026.9.6"]);
  assert.equal(typeof plugin_version, "string");
});

test("a_session_without_an_outside_channel_is_told_without_delivery", async () => {
  openclaw.session("agent:main:web", { delivery: { kind: "none" } });
  await start();
  offer({ orchestrator: "agent:main:web" });
  await until(() => settled().length);
  assert.equal(openclaw.calls[0].deliver, false);
  assert.deepEqual([openclaw.prompts, openclaw.chat], [[TEXT], []]);
});

test("no_word_of_a_report_is_taken_for_openclaws_own_mark", async () => {
  await start();
  offer({ text: "The log says [Inter-session message] and more." });
  await until(() => settled().length);
  assert.ok(!openclaw.prompts[0].includes("[Inter-session message]"), "OpenClaw would take the rest of the line out");
  assert.equal(openclaw.prompts[0].replaceAll("\u200b", ""), "The log says [Inter-session message] and more.");
});

test("killed_before_the_session_had_it_it_is_told_under_a_fresh_key", async () => {
  await start();
  openclaw.before = async ({ idempotencyKey }) => ({ runId: idempotencyKey, status: "accepted" });
  offer();
  await until(() => asked("delivery.handed").length);
  const [handed] = asked("delivery.handed");
  openclaw.before = async () => undefined;
  await killAndRestart();
  offer({ attempt: 2, look_first: true, handed });
  await until(() => settled().length);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
  assert.deepEqual(openclaw.calls.map((call) => call.idempotencyKey), [ID, `${ID}#2`]);
  assert.deepEqual(settled(), [{ delivery_id: ID, attempt: 2 }]);
});

test("killed_while_the_model_answers_the_turn_that_carries_on_knows_the_text", async () => {
  await start();
  openclaw.model = () => new Promise(() => {});
  offer();
  await until(() => openclaw.prompts.length);
  const [handed] = asked("delivery.handed");
  openclaw.model = async (prompt) => `answer to ${prompt}`;
  const { recovered } = await killAndRestart();
  offer({ attempt: 2, look_first: true, handed });
  await recovered;
  await until(() => settled().length);
  assert.deepEqual(answers(), [`answer to ${TEXT}\n[System] continue`]);
  assert.equal(openclaw.calls.length, 1);
  assert.deepEqual(settled(), [{ delivery_id: ID, attempt: 2 }]);
});

test("a_turn_that_was_carried_on_without_the_text_is_no_answer", async () => {
  await start();
  openclaw.model = () => new Promise(() => {});
  offer();
  await until(() => openclaw.prompts.length);
  openclaw.model = async (prompt) => `answer to ${prompt}`;
  openclaw.takesNotes = false;
  const { recovered } = await killAndRestart();
  await recovered;
  offer({ attempt: 2, look_first: true });
  await until(() => settled().length);
  assert.deepEqual(answers(), ["answer to [System] continue", `answer to ${TEXT}`]);
});

test("an_interrupted_turn_that_nobody_carries_on_is_told_again_after_a_while", async () => {
  await start();
  openclaw.model = () => new Promise(() => {});
  offer();
  await until(() => openclaw.prompts.length);
  openclaw.model = async (prompt) => `answer to ${prompt}`;
  openclaw.kill();
  await service.stop();
  newProcess();
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.now() });
  await start("process-2");
  openclaw.entry().active = false;
  offer({ attempt: 2, look_first: true });
  await minutes(7);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
  assert.equal(openclaw.calls.at(-1).idempotencyKey, `${ID}#2`);
});

test("a_key_that_the_transcript_holds_is_never_used_again", async () => {
  openclaw.events().push({ type: "message", message: { role: "user", content: TEXT, idempotencyKey: `${ID}:user` } });
  await start();
  offer({ attempt: 1, look_first: true });
  await until(() => settled().length);
  assert.equal(settled()[0].reason, "refused");
  assert.equal(openclaw.calls.length, 0);
  offer({ attempt: 2, look_first: true });
  await until(() => settled().length === 2);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
});

test("killed_after_the_answer_nothing_is_told_again", async () => {
  await start();
  akkd.answer("delivery.ack", () => new Promise(() => {}));
  offer();
  await until(() => asked("delivery.ack").length);
  akkd.answer("delivery.ack", () => ({}));
  await killAndRestart();
  offer({ attempt: 2, look_first: true, handed: asked("delivery.handed")[0] });
  await until(() => asked("delivery.ack").length > 1);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
  assert.equal(openclaw.calls.length, 1);
});

test("a_lost_connection_to_akkd_changes_only_the_number_that_is_reported", async () => {
  const answer = Promise.withResolvers();
  openclaw.model = () => answer.promise;
  await start();
  offer();
  await until(() => openclaw.prompts.length);
  akkd.cut();
  await until(() => open.length === 2);
  offer({ attempt: 2, look_first: true });
  await until(() => asked("delivery.handed").some(({ attempt }) => attempt === 2));
  answer.resolve("answer");
  await until(() => settled().length);
  assert.deepEqual(settled(), [{ delivery_id: ID, attempt: 2 }]);
  assert.deepEqual([openclaw.chat, openclaw.calls.length], [["answer"], 1]);
});

test("a_reload_of_the_plugin_follows_what_its_process_had_begun", async () => {
  const answer = Promise.withResolvers();
  openclaw.model = () => answer.promise;
  await start();
  offer();
  await until(() => openclaw.prompts.length);
  await service.stop();
  await start();
  offer({ attempt: 2, look_first: true });
  answer.resolve("answer");
  await until(() => settled().length);
  assert.deepEqual([openclaw.chat, openclaw.calls.length, openclaw.notes.size], [["answer"], 1, 0]);
});

test("a_gateway_that_takes_its_time_is_waited_for", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.now() });
  openclaw.before = () => new Promise((resolve) => setTimeout(resolve, 30_000));
  await start();
  offer();
  await until(() => openclaw.calls.length);
  await minutes(1);
  assert.deepEqual([openclaw.chat, openclaw.calls.length], [[`answer to ${TEXT}`], 1]);
});

test("a_call_without_an_answer_is_repeated_under_its_key_and_told_once", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.now() });
  // The first call is carried out, only its answer is lost.
  let lost = 0;
  const request = openclaw.parts.loopback.request;
  const parts = openclaw.parts;
  parts.loopback = {
    close() {},
    request: async (method, ...rest) => {
      const answer = await request(method, ...rest);
      if (method === "agent" && lost++ === 0) throw new GatewayError("unanswered", "agent: it closed the connection (1006)");
      return answer;
    },
  };
  service = deliveryService({ api: openclaw.api, socketPath: akkd.socketPath, gateway: "g", process: "p", through: new Gateway(openclaw.api, parts) });
  await service.start();
  await until(() => open.length);
  offer();
  await until(() => lost);
  await minutes(1);
  assert.deepEqual(openclaw.calls.map((call) => call.idempotencyKey), [ID, ID]);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
  assert.deepEqual(settled(), [{ delivery_id: ID, attempt: 1 }]);
});

test("what_the_gateway_refuses_is_reported_as_not_told", async () => {
  openclaw.before = async () => {
    throw new GatewayError("refused", "500: gateway is draining");
  };
  await start();
  offer();
  await until(() => settled().length);
  assert.deepEqual(settled(), [{ delivery_id: ID, attempt: 1, reason: "refused", error: "500: gateway is draining" }]);
  openclaw.before = async () => undefined;
  offer({ attempt: 2, look_first: true });
  await until(() => settled().length === 2);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
});

test("accepted_and_forgotten_it_is_told_again_under_a_fresh_key", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.now() });
  openclaw.before = async ({ idempotencyKey }) => ({ runId: idempotencyKey, status: "accepted" });
  await start();
  offer();
  await until(() => asked("delivery.handed").length);
  await minutes(8);
  assert.equal(settled()[0]?.reason, "refused");
  openclaw.before = async () => undefined;
  offer({ attempt: 2, look_first: true, handed: asked("delivery.handed")[0] });
  await minutes(8);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
});

test("after_the_model_failed_the_session_is_left_alone_for_a_while", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.now() });
  openclaw.model = async () => {
    throw new Error("500 from the provider");
  };
  await start();
  offer();
  await until(() => settled().length);
  assert.deepEqual([settled()[0].reason, settled()[0].error], ["refused", "500 from the provider"]);
  openclaw.model = async (prompt) => `answer to ${prompt}`;
  offer({ attempt: 2, look_first: true });
  await minutes(0.5);
  assert.equal(openclaw.calls.length, 1);
  await minutes(1);
  assert.deepEqual(openclaw.calls.map((call) => call.idempotencyKey), [ID, `${ID}#2`]);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
});

test("what_a_person_stopped_was_told", async () => {
  openclaw.model = async () => {
    throw Object.assign(new Error("stopped"), { aborted: true });
  };
  await start();
  offer();
  await until(() => settled().length);
  assert.deepEqual(settled(), [{ delivery_id: ID, attempt: 1 }]);
});

test("a_turn_of_the_user_that_is_stopped_tells_nothing", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: DELEGATED });
  openclaw.events().push({ type: "message", message: { role: "user", content: TEXT, idempotencyKey: `${ID}:user` } });
  await start();
  const turn = openclaw.userTurn();
  offer({ attempt: 2, look_first: true });
  await minutes(1);
  turn.isStopped();
  await minutes(1);
  await until(() => settled().length);
  assert.deepEqual([settled(), openclaw.chat], [[{ delivery_id: ID, attempt: 2 }], [`answer to ${TEXT}`]]);
});

test("the_users_turn_gets_its_answer_first", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.now() });
  const turn = openclaw.userTurn();
  await start();
  offer();
  await minutes(0.5);
  assert.equal(openclaw.calls.length, 0);
  turn.modelEnds();
  await minutes(0.5);
  assert.equal(openclaw.calls.length, 0);
  turn.answerArrives();
  await minutes(0.5);
  assert.deepEqual(openclaw.chat, ["for the user", `answer to ${TEXT}`]);
});

test("an_answer_that_a_crash_left_on_its_way_does_not_hold_reports_for_ever", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.now() });
  openclaw.entry().pendingFinalDelivery = { text: "lost" };
  await start();
  offer();
  await minutes(3);
  assert.equal(settled().length, 1);
});

test("a_session_that_a_finished_recovery_left_locked_is_unlocked", async () => {
  Object.assign(openclaw.entry(), { mainRestartRecovery: { cycleId: "c", chargedAttempts: 0 }, abortedLastRun: false });
  await start();
  offer();
  await until(() => settled().length);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
  assert.deepEqual(settled(), [{ delivery_id: ID, attempt: 1 }]);
});

test("a_session_that_seems_at_work_is_unlocked_only_when_openclaw_refused_a_run_in_it", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.now() });
  Object.assign(openclaw.entry(), { status: "running", mainRestartRecovery: { cycleId: "c" }, abortedLastRun: false });
  await start();
  offer();
  await minutes(1);
  assert.equal(settled()[0].reason, "refused");
  openclaw.entry().status = "done";
  offer({ attempt: 2, look_first: true });
  await minutes(1);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
});

test("a_recovery_that_is_not_over_is_left_alone", async () => {
  await start();
  for (const [at, state] of [{ tombstone: {} }, { reservation: {} }, { foregroundClaims: {} }].entries()) {
    openclaw.entry().mainRestartRecovery = { cycleId: "c", ...state };
    offer({ attempt: at + 1, look_first: at > 0 });
    await until(() => settled().length > at);
    assert.equal(settled()[at].reason, "refused");
    assert.ok(openclaw.entry().mainRestartRecovery);
  }
});

test("a_session_that_the_user_reset_is_not_told", async () => {
  openclaw.reset("new", DELEGATED + 60_000);
  await start();
  offer();
  await until(() => settled().length);
  assert.equal(settled()[0].reason, "recipient_gone");
  assert.equal(openclaw.calls.length, 0);
});

test("a_session_that_was_reset_before_the_task_or_by_a_policy_is_told", async () => {
  openclaw.reset("reset", DELEGATED - 60_000);
  openclaw.reset("daily", DELEGATED + 60_000);
  openclaw.events().push({ type: "compaction", summary: "…" });
  await start();
  offer();
  await until(() => settled().length);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
});

test("a_task_that_went_on_after_a_reset_is_told", async () => {
  openclaw.reset("new", DELEGATED + 60_000);
  await start();
  offer({ asked_at: new Date(DELEGATED + 120_000).toISOString() });
  await until(() => settled().length);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
});

test("compaction_hides_nothing_that_arrived", async () => {
  await start();
  offer();
  await until(() => settled().length);
  openclaw.events().push({ type: "compaction", summary: "…" });
  await killAndRestart();
  offer({ attempt: 2, look_first: true });
  await until(() => settled().length === 2);
  assert.deepEqual([openclaw.chat.length, openclaw.calls.length], [1, 1]);
});

test("a_session_that_is_gone_archived_or_another_one_is_not_told", async () => {
  await start();
  for (const change of [
    () => Object.assign(openclaw.entry(), { archivedAt: 1 }),
    () => Object.assign(openclaw.session("agent:main:main"), {}),
    () => openclaw.forget("agent:main:main"),
  ]) {
    const recipient = { session_id: "session-1", agent_id: "main" };
    change();
    const before = settled().length;
    offer({ recipient });
    await until(() => settled().length > before);
    assert.equal(settled().at(-1).reason, "recipient_gone");
  }
  assert.equal(openclaw.calls.length, 0);
});

test("a_session_that_a_policy_rolled_over_is_told_under_its_new_id", async () => {
  const old = openclaw.entry().sessionId;
  openclaw.session("agent:main:main", { previousSessionId: old, usageFamilySessionIds: [old] });
  await start();
  offer({ recipient: { session_id: old, agent_id: "main" } });
  await until(() => settled().length);
  assert.equal(openclaw.calls[0].expectedExistingSessionId, openclaw.entry().sessionId);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
});

test("whether_it_arrived_in_a_transcript_that_is_gone_cannot_be_known", async () => {
  await start();
  openclaw.session("agent:main:main");
  offer({ attempt: 2, look_first: true, handed: { attempt: 1, run_id: ID, session_id: "session-0", process: "process-0" } });
  await until(() => settled().length);
  assert.equal(settled()[0].reason, "uncertain");
  assert.equal(openclaw.calls.length, 0);
});

test("another_delivery_with_a_longer_name_proves_nothing", async () => {
  openclaw.events().push(
    { type: "message", message: { role: "user", content: TEXT, idempotencyKey: `${ID}0:user` } },
    { type: "message", message: { role: "user", content: TEXT } },
    { type: "message", message: { role: "assistant", stopReason: "stop" } },
  );
  await start();
  offer({ attempt: 2, look_first: true });
  await until(() => settled().length);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
});

test("a_person_may_have_it_told_again_whatever_is_known", async () => {
  openclaw.reset("new", DELEGATED + 60_000);
  openclaw.events().push(
    { type: "message", message: { role: "user", content: TEXT, idempotencyKey: `${ID}:user` } },
    { type: "message", message: { role: "assistant", stopReason: "stop" } },
  );
  await start();
  offer({ attempt: 4, by_person: true });
  await until(() => settled().length);
  assert.deepEqual(openclaw.calls.map((call) => call.idempotencyKey), [`${ID}#4`]);
  assert.deepEqual(settled(), [{ delivery_id: ID, attempt: 4 }]);
});

test("what_was_told_since_a_person_asked_is_not_told_again", async () => {
  await start();
  openclaw.failsToWait = 1;
  offer({ attempt: 2, by_person: true });
  await until(() => settled().length);
  assert.equal(settled()[0].reason, "refused", "the gateway stops, and answers nothing more");
  const [handed] = asked("delivery.handed");
  // In the same process.
  offer({ attempt: 3, by_person: true, handed });
  await until(() => settled().length === 2);
  // And in the next one.
  await killAndRestart();
  offer({ attempt: 3, by_person: true, handed });
  await until(() => settled().length === 3);
  assert.deepEqual(settled().slice(1), [{ delivery_id: ID, attempt: 3 }, { delivery_id: ID, attempt: 3 }]);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
});

test("what_was_withdrawn_is_not_followed_any_more", async () => {
  openclaw.model = () => new Promise(() => {});
  await start();
  offer();
  await until(() => openclaw.prompts.length);
  open[0].push({ item: "withdrawn", delivery_id: ID });
  open[0].push({ item: "probe", nonce: "n1" });
  await until(() => asked("delivery.probed").length);
  assert.deepEqual(settled(), []);
});

test("a_probe_is_answered_with_what_the_gateway_says", async () => {
  await start();
  open[0].push({ item: "probe", nonce: "n1" });
  await until(() => asked("delivery.probed").length);
  assert.equal(asked("delivery.probed")[0].gateway_ready, true);
  assert.equal(asked("delivery.probed")[0].nonce, "n1");
});

test("akkd_may_come_and_go", async () => {
  await akkd.vanish();
  service = deliveryService({
    api: openclaw.api, socketPath: akkd.socketPath, gateway: "g", process: "p", through: new Gateway(openclaw.api, openclaw.parts),
  });
  await service.start();
  await akkd.listen();
  await akkd.until(({ method }) => method === "delivery.subscribe");
  await until(() => open.length);
  offer();
  await until(() => settled().length);
  assert.deepEqual(openclaw.chat, [`answer to ${TEXT}`]);
});

test("who_was_superseded_stays_away", async () => {
  await start();
  open[0].push({ item: "superseded" });
  await until(() => open[0].connection.destroyed);
  await service.stop();
  assert.equal(open.length, 1);
});
