import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";
import { registerTools, TOOLS } from "../lib/tools.js";
import { conversation, PlayedOpenclaw } from "./played-openclaw.mjs";
import { ScriptedAkkd } from "./scripted-akkd.mjs";

const manifest = JSON.parse(readFileSync(new URL("../openclaw.plugin.json", import.meta.url), "utf8"));
const DELEGATE = "agent_knock_knock_delegate";
const SEND = "agent_knock_knock_send";

let akkd, openclaw;
beforeEach(async () => {
  akkd = await new ScriptedAkkd().listen();
  openclaw = playing({});
});
afterEach(() => akkd.remove());

function playing(config) {
  const played = new PlayedOpenclaw({ socketPath: akkd.socketPath, ...config });
  played.sessions.set("agent:main:main", { sessionId: "s-1" });
  registerTools(played);
  return played;
}

function delegates() {
  akkd.answer("conversation.delegate", () => ({ conversation: conversation(), turn_id: "turn-1" }));
}

const asked = (method) => akkd.asked.filter((a) => a.method === method).map((a) => a.params);

test("every_tool_is_declared_in_the_manifest_and_no_other", () => {
  const names = TOOLS.map((tool) => tool.name);
  assert.deepEqual(manifest.contracts.tools, names);
  assert.deepEqual(Object.keys(manifest.toolMetadata), names);
  for (const tool of TOOLS) assert.equal(tool.parameters.additionalProperties, false, tool.name);
});

test("a_task_is_delegated_with_the_session_that_asks_and_the_model_is_told_to_end_its_turn", async () => {
  delegates();
  const answer = await openclaw.call(DELEGATE, { request: "fix the tests", agent: "codex", softLimit: 10 }, {
    deliveryContext: { channel: "telegram", to: "telegram:-100:topic:7", accountId: "default", threadId: 7 },
  });
  assert.match(answer.next, /End your turn/);
  assert.equal(answer.conversation_id, "task-20260620T140525-0a1b2c3d");
  const [{ request_id, ...params }] = asked("conversation.delegate");
  assert.match(request_id, /^[A-Za-z0-9._:-]{1,128}$/);
  const { gateway, ...recipient } = params.recipient;
  assert.match(gateway, /^openclaw:\//);
  assert.deepEqual({ ...params, recipient }, {
    request: "fix the tests",
    agent: "codex",
    workspace: "/workspaces/main",
    soft_limit: 10,
    orchestrator: "agent:main:main",
    recipient: {
      session_id: "s-1",
      agent_id: "main",
      channel: "telegram",
      to: "telegram:-100:topic:7",
      account_id: "default",
      thread_id: "7",
    },
  });
});

test("a_model_cannot_say_where_reports_go", async () => {
  for (const name of ["openclawSession", "orchestrator", "recipient", "sink", "__proto__x"]) {
    const { error } = await openclaw.call(DELEGATE, { request: "x", [name]: "agent:main:other" });
    assert.equal(error.kind, "invalid_params");
    assert.ok(error.message.includes(`"${name}"`), error.message);
    assert.match(error.hint, /The parameters are: request, agent/);
  }
  assert.deepEqual(akkd.asked, []);
});

test("a_request_that_still_calls_akk_is_understood", async () => {
  delegates();
  const said = [
    ["/akk codex fix it", "codex", "fix it"],
    ["akk: fix it", undefined, "fix it"],
    ["AKK Claude： review", "claude", "review"],
    ["/akk@my_bot cursor do this", "cursor", "do this"],
    ["claude-code: review", "claude", "review"],
    ["codex fails to start", undefined, "codex fails to start"],
    ["codex://thread is broken", undefined, "codex://thread is broken"],
    ["akkd does not start", undefined, "akkd does not start"],
  ];
  for (const [request] of said) await openclaw.call(DELEGATE, { request });
  assert.deepEqual(
    asked("conversation.delegate").map((p) => [p.agent, p.request]),
    said.map(([, agent, request]) => [agent, request]),
  );
});

test("the_plugins_default_agent_yields_to_a_name_in_the_request_that_only_akkd_knows", async () => {
  openclaw = playing({ agent: "claude" });
  akkd.answer("conversation.delegate", ({ agent }) => {
    if (agent === "claude" || agent === "mybot") return { conversation: conversation({ agent }), turn_id: "turn-1" };
    throw { code: -32009, message: `there is no agent \`${agent}\``, data: { kind: "agent_unavailable", hint: "", details: { agents: ["claude", "mybot"] } } };
  });
  for (const request of ["fix it", "mybot: fix it", "Note: fix it"]) await openclaw.call(DELEGATE, { request });
  assert.deepEqual(asked("conversation.delegate").map((p) => [p.agent, p.request]), [
    ["claude", "fix it"],
    ["mybot", "fix it"],
    ["Note", "fix it"],
    ["claude", "Note: fix it"],
  ]);
});

test("a_workspace_is_the_named_one_else_the_configured_one_else_the_agents_own", async () => {
  delegates();
  await openclaw.call(DELEGATE, { request: "x", workspace: "/srv/app" });
  await openclaw.call(DELEGATE, { request: "x", workspace: "app" }, { workspaceDir: "/home/u/ws" });
  await openclaw.call(DELEGATE, { request: "x" }, { workspaceDir: "/home/u/ws" });
  await openclaw.call(DELEGATE, { request: "x" }, { agentId: "ops" });
  openclaw = playing({ workspace: "/srv/default" });
  await openclaw.call(DELEGATE, { request: "x" }, { workspaceDir: "/home/u/ws" });
  assert.deepEqual(asked("conversation.delegate").map((p) => p.workspace), [
    "/srv/app",
    "/home/u/ws/app",
    "/home/u/ws",
    "/workspaces/ops",
    "/srv/default",
  ]);
});

test("the_same_call_has_the_same_request_id_and_every_other_call_another", async () => {
  delegates();
  akkd.answer("conversation.send", () => ({ conversation: conversation(), message_id: "msg-1", state: "sent", budget_level: "normal" }));
  await openclaw.call(DELEGATE, { request: "a", agent: "codex" });
  await openclaw.call(DELEGATE, { agent: "codex", request: "a" });
  await openclaw.call(DELEGATE, { request: "b", agent: "codex" });
  await openclaw.call(DELEGATE, { request: "a", agent: "codex" }, {}, "call-2");
  await openclaw.call(DELEGATE, { request: "a", agent: "codex" }, { sessionKey: "agent:main:other" });
  await openclaw.call(DELEGATE, { request: "a", agent: "codex" }, { sessionId: "s-2" });
  await openclaw.call(SEND, { conversation_id: "@last", message: "a" });
  const [first, again, ...others] = akkd.asked.map((a) => a.params.request_id);
  assert.equal(first, again);
  assert.equal(new Set([first, ...others]).size, 6);
});

test("a_call_outlives_an_akkd_that_goes_down_in_it", async () => {
  akkd.answer("conversation.delegate", (_, connection) => void connection.destroy());
  const call = openclaw.call(DELEGATE, { request: "x" });
  await akkd.until((a) => a.method === "conversation.delegate");
  delegates();
  assert.equal((await call).status, "waiting_for_agent");
  const ids = asked("conversation.delegate").map((p) => p.request_id);
  assert.ok(ids.length > 1);
  assert.equal(new Set(ids).size, 1, "akkd can tell the repeat");
});

test("an_akkd_that_never_ran_did_nothing_and_one_that_vanished_may_have", async () => {
  akkd.answer("conversation.delegate", (_, connection) => void connection.destroy());
  const call = openclaw.call(DELEGATE, { request: "x" });
  await akkd.until((a) => a.method === "conversation.delegate");
  await akkd.vanish();
  const lost = await call;
  assert.equal(lost.error.kind, "broken");
  assert.match(lost.error.message, /not known/);
  const absent = await openclaw.call(DELEGATE, { request: "x" });
  assert.equal(absent.error.kind, "not_running");
  assert.match(absent.error.message, /nothing was done/);
  assert.match(absent.error.hint, /akkctl daemon start/);
});

test("what_akkd_refuses_reaches_the_model_with_its_hint", async () => {
  akkd.answer("conversation.send", () => {
    throw { code: -32002, message: "task-1 is closed", data: { kind: "wrong_status", hint: "Delegate anew." } };
  });
  const { error } = await openclaw.call(SEND, { conversation_id: "1", message: "x" });
  assert.deepEqual(error, { kind: "wrong_status", message: "task-1 is closed.", hint: "Delegate anew." });
});

test("parameters_that_do_not_fit_are_refused_in_words_and_what_models_write_for_nothing_is_taken_as_nothing", async () => {
  delegates();
  const wrong = [
    [{}, /"request" is missing/],
    [{ request: "  " }, /"request" cannot be/],
    [{ request: "x", softLimit: 0 }, /"softLimit" cannot be 0/],
    [{ request: "x", softLimit: 1.5 }, /"softLimit" cannot be 1.5/],
    [{ request: ["x"] }, /"request" cannot be/],
    [{ request: "x", deliverProgress: "perhaps" }, /"deliverProgress" cannot be/],
    [[], /not an object/],
  ];
  for (const [params, message] of wrong) assert.match((await openclaw.call(DELEGATE, params)).error.message, message);
  assert.match((await openclaw.call("agent_knock_knock_list", { status: "open" })).error.hint, /one of created, running/);
  assert.deepEqual(akkd.asked, []);
  await openclaw.call(DELEGATE, { request: "x", agent: "", model: null, softLimit: "7", deliverProgress: "true" });
  const [params] = asked("conversation.delegate");
  assert.deepEqual([params.agent, params.model, params.soft_limit, params.deliver_progress], [undefined, undefined, 7, true]);
});

test("an_agent_that_could_not_be_started_is_not_told_as_one_that_works", async () => {
  akkd.answer("conversation.delegate", () => ({ conversation: conversation({ status: "stalled", stalled_reason: "codex is not installed" }), turn_id: "t" }));
  const answer = await openclaw.call(DELEGATE, { request: "x" });
  assert.equal(answer.stalled_reason, "codex is not installed");
  assert.doesNotMatch(answer.next, /works/);
});

test("a_list_is_short_and_says_what_it_leaves_out", async () => {
  akkd.answer("conversation.list", ({ limit }) => ({
    conversations: Array.from({ length: limit }, () => conversation({ user_request: "x".repeat(200) })),
    total: 45,
  }));
  const answer = await openclaw.call("agent_knock_knock_list", { all: true });
  assert.equal(answer.conversations.length, 20);
  assert.match(answer.more, /^25 older/);
  assert.ok(JSON.stringify(answer).length < 12_000);
  assert.deepEqual(asked("conversation.list"), [{ all: true, limit: 20 }]);
});

test("a_status_holds_the_latest_report_cut_and_what_waits_to_be_told", async () => {
  const id = "task-20260620T140525-0a1b2c3d";
  akkd.answer("conversation.get", () => ({
    conversation: conversation({ status: "idle", undelivered: 1, turn: { turn_id: "turn-1" } }),
    events: [{ seq: 300 }],
    deliveries: [{ kind: "done", state: "pending", waits_for: "OpenClaw's plugin is not connected.", preview: "…" }],
  }));
  akkd.answer("conversation.result", () => ({
    result: { turn_id: "turn-1", outcome: "completed", message: { type: "done", body: "é".repeat(9_000) }, duration_ms: 2_400 },
  }));
  akkd.answer("conversation.trace", ({ after_seq }) => ({
    events: [
      { event: "agent_activity", activity: "tool", id: "1", title: "make test", status: "pending", seq: after_seq + 1, turn_id: "turn-1" },
      { event: "agent_activity", activity: "tool", id: "1", title: "make test", status: "completed", preview: "ok\n2", seq: after_seq + 2, turn_id: "turn-1" },
      { event: "turn_ended", outcome: "completed", seq: after_seq + 3 },
    ],
  }));
  const answer = await openclaw.call("agent_knock_knock_status", { conversation_id: "0a1b", trace: true });
  assert.equal(answer.latest_report.type, "done");
  assert.match(answer.latest_report.text, new RegExp(`cut: 3000 more characters; \`akkctl result ${id}\``));
  assert.equal(answer.undelivered[0].waits_for, "OpenClaw's plugin is not connected.");
  assert.deepEqual(answer.trace, ["completed: make test · ok 2", "turn ended: completed"]);
  assert.deepEqual(asked("conversation.trace"), [{ conversation_id: id, after_seq: 100 }]);
});

test("an_answer_of_the_user_goes_to_the_request_that_was_answered", async () => {
  const permit = "agent_knock_knock_permit";
  const request = { nonce: "4e5f6a7b", title: "rm x", text: "rm x", answers: [{ answer: "allow" }, { answer: "deny" }] };
  akkd.answer("conversation.permit", ({ nonce, decision }) => ({ conversation: conversation({ permission_requests: [request] }), nonce, decision }));
  const answer = await openclaw.call(permit, { conversation_id: "2c3d", nonce: "0a0a0a0a", decision: "deny" });
  const [{ request_id, ...params }] = asked("conversation.permit");
  assert.deepEqual(params, { conversation_id: "2c3d", nonce: "0a0a0a0a", decision: "deny" });
  assert.equal(answer.answered, "0a0a0a0a: deny");
  assert.deepEqual(answer.permission_requests, [{ nonce: "4e5f6a7b", title: "rm x", text: "rm x", decisions: ["allow", "deny"] }]);
  for (const wrong of [{ nonce: "0a0a0a0a" }, { nonce: "0a0a0a0a", decision: "yes" }, { decision: "allow" }]) {
    assert.equal((await openclaw.call(permit, { conversation_id: "2c3d", ...wrong })).error.kind, "invalid_params");
  }
  assert.equal(asked("conversation.permit").length, 1);
  assert.match(TOOLS.find((tool) => tool.name === permit).description, /never on your own account/);
});

test("a_message_may_be_left_out_where_a_model_is_chosen", async () => {
  akkd.answer("conversation.send", () => ({ conversation: conversation(), message_id: "m", state: "queued", budget_level: "warning", repeated: true }));
  const answer = await openclaw.call(SEND, { conversation_id: "@last", model: "gpt-5", cancelFirst: true });
  const [{ request_id, ...params }] = asked("conversation.send");
  assert.ok(request_id);
  assert.deepEqual(params, { conversation_id: "@last", model: "gpt-5", cancel_first: true });
  assert.match(answer.message, /^queued/);
  assert.equal(answer.budget, "warning");
  assert.match(answer.repeated, /nothing was done again/);
});

const session = { session_id: "0199-aa", title: "tests", cwd: "/src", holders: [{ pid: 77, kind: "tui", evidence: "lock", confidence: "exact" }], activity: "idle", capability: "full", archived: false };

test("sessions_can_be_picked_out_of_one_codex_home", async () => {
  akkd.answer("sessions.discover", () => ({ sessions: [{ ...session, home: "/a" }, { ...session, home: "/b", session_id: "0199-bb" }], total: 2 }));
  const answer = await openclaw.call("agent_knock_knock_agent_discover", { agent: "codex", scope: "sessions", codexHome: "/b/" });
  assert.deepEqual(answer.sessions.map((s) => s.session_id), ["0199-bb"]);
  assert.equal(answer.total, 1);
  assert.equal(answer.sessions[0].process.pid, 77);
});

test("a_takeover_is_a_plan_until_the_user_agreed_and_the_model_is_told_to_ask", async () => {
  akkd.answer("sessions.takeover", ({ create_conversation }) => ({
    status: create_conversation ? "attached" : "requires_confirmation",
    strategy: "terminate_then_resume",
    side_effects_executed: Boolean(create_conversation),
    explanation: "A terminal runs it.",
    session,
    plan: { plan_id: "p", target: { pid: 77, command: ["codex"] }, children: [], kind: "tui", evidence: "lock", confidence: "exact", activity: "idle", expires_at: "…" },
    conversation: create_conversation ? conversation({ status: "idle" }) : undefined,
  }));
  const name = "agent_knock_knock_agent_takeover";
  const plan = await openclaw.call(name, { agent: "codex", sessionId: "0199-aa", strategy: "terminate_then_resume" });
  assert.equal(plan.side_effects_executed, false);
  assert.match(plan.next, /Only if the user agrees.*expectedPid 77/s);
  await openclaw.call(name, { agent: "codex", sessionId: "0199-aa", strategy: "terminate_then_resume", createConversation: true, confirmTerminate: true, expectedPid: 77 });
  const [first, second] = asked("sessions.takeover");
  assert.deepEqual([first.create_conversation, first.confirm_terminate, first.expected_pid], [undefined, undefined, undefined]);
  assert.deepEqual([second.create_conversation, second.confirm_terminate, second.expected_pid], [true, true, 77]);
  assert.equal(second.orchestrator, "agent:main:main");
  assert.notEqual(first.request_id, second.request_id);
  const confirmed = { agent: "codex", sessionId: "0199-aa", strategy: "terminate_then_resume", createConversation: true, confirmTerminate: true, expectedPid: 77 };
  const refused = await openclaw.call(name, confirmed, { senderIsOwner: false }, "call-2");
  assert.equal(refused.error.kind, "not_allowed");
  assert.equal(asked("sessions.takeover").length, 2);
  const description = TOOLS.find((tool) => tool.name === name).description;
  assert.match(description, /only when the user has agreed/);
});
