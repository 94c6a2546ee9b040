import assert from "node:assert/strict";
import { test } from "node:test";
import { arrival, lastReset, messageOf } from "../lib/arrival.js";

const ID = "akk:task-20260620T140525-0a1b2c3d:m1";
const user = (id, parentId, key, content = "text") => ({ type: "message", id, parentId, message: { role: "user", content, idempotencyKey: key && `${key}:user` } });
const assistant = (id, parentId, more = {}) => ({ type: "message", id, parentId, timestamp: "2026-06-20T15:00:00.000Z", message: { role: "assistant", stopReason: "stop", ...more } });
const header = { type: "session", id: "s" };

test("an_answer_belongs_to_the_message_that_it_descends_from_not_to_the_one_before_it", () => {
  const events = [header, user("u", null, "channel"), user("a", "x", ID), assistant("r", "u")];
  assert.equal(arrival(events, ID).answered, false);
  assert.equal(arrival([...events, assistant("r2", "a")], ID).answered, true);
});

test("an_error_of_another_run_behind_the_answer_is_not_ours", () => {
  const events = [
    header, user("a", null, ID), assistant("r", "a", { __openclaw: { runId: ID } }),
    assistant("e", "r", { stopReason: "error", errorMessage: "anchor", __openclaw: { runId: "the-users-run" } }),
  ];
  const found = arrival(events, ID);
  assert.deepEqual([found.answered, found.error, found.failedAt], [true, undefined, 0]);
});

test("a_turn_with_tools_is_answered_by_its_last_message_also_when_the_user_writes_meanwhile", () => {
  const begun = [header, user("a", null, ID), assistant("t", "a", { stopReason: "toolUse" })];
  assert.equal(arrival(begun, ID).answered, false);
  const result = { type: "message", id: "tr", parentId: "t", message: { role: "toolResult" } };
  const steered = [...begun, result, user("u", "tr", "channel"), assistant("r", "u")];
  assert.equal(arrival(steered, ID).answered, true);
});

test("what_a_channel_was_sent_is_no_answer", () => {
  const events = [header, user("a", null, ID), assistant("r", "a", { openclawDeliveryMirror: { kind: "channel-final" } })];
  assert.equal(arrival(events, ID).answered, false);
});

test("attempts_are_counted_and_the_last_error_is_the_newest_ones", () => {
  const events = [
    header, user("a", null, ID), assistant("e", "a", { stopReason: "error", errorMessage: "500" }),
    user("b", "e", `${ID}#2`), assistant("f", "b", { stopReason: "error", errorMessage: "429" }),
  ];
  const found = arrival(events, ID);
  assert.deepEqual([found.attempts, found.key, found.error, found.failedAt], [2, `${ID}#2`, "429", Date.UTC(2026, 5, 20, 15)]);
});

test("keys_that_only_begin_alike_are_others", () => {
  const events = [header, user("a", null, `${ID}0`), user("b", "a", `${ID}#x`), user("c", "b"), assistant("r", "c")];
  assert.equal(arrival(events, ID).attempts, 0);
});

test("the_users_reset_is_told_from_a_policys", () => {
  const reset = (reason, timestamp) => ({ type: "reset", reason, timestamp });
  const events = [header, reset("new", "2026-06-20T10:00:00Z"), user("a", null, ID), reset("daily", "2026-06-21T04:00:00Z")];
  assert.equal(lastReset(events), Date.UTC(2026, 5, 20, 10));
  assert.equal(arrival(events, ID).resetSince, false);
  assert.equal(arrival([...events, reset("reset", "2026-06-21T05:00:00Z")], ID).resetSince, true);
});

test("events_that_a_reader_wraps_and_texts_in_parts_are_understood", () => {
  const events = [{ event: header }, { event: user("a", null, ID, [{ type: "text", text: "one " }, { type: "text", text: "two" }]) }];
  assert.deepEqual(messageOf(events, ID), { text: "one two", answered: false });
  assert.equal(arrival(events, ID).known, true);
  assert.equal(messageOf([header], ID), undefined);
});

test("parents_that_go_in_a_circle_end_nowhere", () => {
  const events = [header, user("a", null, ID), { type: "custom", id: "x", parentId: "y" }, { type: "custom", id: "y", parentId: "x" }, assistant("r", "y")];
  assert.equal(arrival(events, ID).answered, false);
});
