import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { GatewayError } from "../lib/loopback.js";
import {
  DELEGATED, ID, TEXT, akkd, answers, asked, begin, killAndRestart, minutes, newProcess, offer, open, openclaw, service, settled, start, until,
} from "./played-deliveries.mjs";

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
  await begin("process-1", parts);
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
  await begin();
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
