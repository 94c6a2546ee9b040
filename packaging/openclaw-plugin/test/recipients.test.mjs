import assert from "node:assert/strict";
import { test } from "node:test";
import { DELEGATED, ID, TEXT, asked, killAndRestart, offer, openclaw, settled, start, until } from "./played-deliveries.mjs";

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
