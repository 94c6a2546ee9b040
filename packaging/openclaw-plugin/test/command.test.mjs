import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { registerCommand } from "../lib/command.js";
import { conversation, PlayedOpenclaw } from "./played-openclaw.mjs";
import { ScriptedAkkd } from "./scripted-akkd.mjs";

let akkd, openclaw;
beforeEach(async () => {
  akkd = await new ScriptedAkkd().listen();
  openclaw = playing({});
});
afterEach(() => akkd.remove());

function playing(config) {
  const played = new PlayedOpenclaw({ socketPath: akkd.socketPath, ...config });
  registerCommand(played);
  return played;
}

const asked = (method) => akkd.asked.filter((a) => a.method === method).map((a) => a.params);
const refused = (kind, message, hint) => () => {
  throw { code: -32000, message, data: { kind, hint } };
};
const ID = "task-20260620T140525-0a1b2c3d";

/** Keeps requests as akkd does: a repeat is answered, not repeated. */
function remembersDelegations() {
  const made = new Map();
  akkd.answer("conversation.delegate", ({ request_id, agent }) => {
    const former = made.get(request_id);
    if (former) return { conversation: former, turn_id: "turn-1", repeated: true };
    const c = conversation({ conversation_id: `task-20260620T140525-0000000${made.size + 1}`, agent: agent ?? "codex" });
    made.set(request_id, c);
    return { conversation: c, turn_id: "turn-1" };
  });
  return made;
}

test("a_task_goes_to_the_named_agent_with_the_chat_that_asked", async () => {
  remembersDelegations();
  const text = await openclaw.type("claude fix the tests", { messageThreadId: 7 });
  assert.equal(text, "claude works on it in /workspaces/main (00000001). You hear here when it asks or is done.\n/akk status 00000001 · /akk cancel 00000001");
  const [params] = asked("conversation.delegate");
  assert.deepEqual([params.request, params.agent, params.workspace, params.orchestrator], ["fix the tests", "claude", "/workspaces/main", "agent:main:main"]);
  assert.deepEqual([params.recipient.channel, params.recipient.to, params.recipient.thread_id], ["telegram", "telegram:42", "7"]);
});

test("a_chat_that_has_no_session_yet_gets_one_that_knows_the_way_back", async () => {
  remembersDelegations();
  const sessionKey = "agent:main:telegram:group:-100:topic:7";
  const chat = { sessionKey, sessionId: "made-up", to: "telegram:-100", messageThreadId: 7 };
  await openclaw.type("fix it here", chat);
  assert.deepEqual(openclaw.sessions.get(sessionKey).deliveryContext, { channel: "telegram", to: "telegram:-100", accountId: "default", threadId: 7 });
  assert.equal(asked("conversation.delegate")[0].recipient.session_id, "new in /sessions/main");
  openclaw.sessions.set(sessionKey, { sessionId: "s-9" });
  await openclaw.type("fix it there", chat);
  assert.equal(asked("conversation.delegate")[1].recipient.session_id, "s-9", "one that is there is left alone");
});

test("a_session_that_cannot_be_made_does_not_stop_the_task", async () => {
  const made = remembersDelegations();
  openclaw.runtime.channel.session.updateLastRoute = () => Promise.reject(new Error("locked"));
  await openclaw.type("fix it anyway", { sessionKey: "agent:main:telegram:group:-1" });
  assert.equal(made.size, 1);
});

test("a_task_longer_than_openclaws_arguments_arrives_whole", async () => {
  remembersDelegations();
  const task = `sort ${"x ".repeat(4_000)}end`;
  await openclaw.type(task);
  assert.equal(asked("conversation.delegate")[0].request, task);
});

test("a_command_that_is_handed_over_again_is_done_once", async () => {
  const made = remembersDelegations();
  await openclaw.type("fix it");
  openclaw.tell("message_sent", { content: "akk works", success: false });
  const again = await openclaw.type("fix it");
  assert.equal(made.size, 1);
  assert.match(again, /^codex works on it .*\(The same command came twice; it was done once\.\)$/s);
  await openclaw.type("fix it", { senderId: "43" });
  await openclaw.type("fix it", { sessionKey: "agent:main:other" });
  assert.equal(made.size, 3, "another person and another chat are other commands");
});

test("the_same_words_are_another_command_once_their_answer_was_sent", async () => {
  const made = remembersDelegations();
  for (let count = 1; count <= 3; count++) {
    const answer = await openclaw.type("do it once more");
    openclaw.tell("message_sent", { content: `[bot] ${answer}`, success: true });
    assert.equal(made.size, count);
  }
});

test("where_a_message_has_an_id_that_tells_one_command_from_the_next", async () => {
  const made = remembersDelegations();
  const handed = (messageId) => {
    openclaw.tell("message_received", { content: "/akk with an id", messageId }, { sessionKey: "agent:main:main" });
    return openclaw.type("with an id");
  };
  await handed("m1");
  await handed("m1");
  assert.equal(made.size, 1);
  await handed("m2");
  assert.equal(made.size, 2);
});

test("a_list_names_who_waits_for_the_person_first", async () => {
  akkd.answer("conversation.list", () => ({
    conversations: [
      conversation({ status: "idle", conversation_id: "task-20260620T140525-00000001" }),
      conversation({ conversation_id: "task-20260620T140525-00000002", user_request: "a\nlong ".padEnd(200, "x") }),
      conversation({ status: "waiting_for_openclaw", conversation_id: "task-20260620T140525-00000003", overdue: 2 }),
    ].map(({ executor, ...line }) => line),
    total: 20,
  }));
  const lines = (await openclaw.type("list")).split("\n");
  assert.equal(lines[0], "20 open conversations:");
  assert.equal(lines[1], "00000003 codex, waits for an answer, 2 reports not delivered: fix the tests");
  assert.ok(lines[2].startsWith("00000002 codex, works: a long xxx") && lines[2].length < 110, lines[2]);
  assert.equal(lines[3], "00000001 codex, idle: fix the tests");
  assert.equal(lines[4], "and 17 more: akkctl list");
});

test("a_status_says_what_the_agent_said_and_what_can_be_typed", async () => {
  akkd.answer("conversation.get", () => ({
    conversation: conversation({ status: "waiting_for_openclaw", turn: { turn_id: "turn-1" }, undelivered: 1 }),
    events: [],
    deliveries: [{ kind: "question", state: "pending", waits_for: "OpenClaw's plugin is not connected." }],
  }));
  akkd.answer("conversation.result", () => ({ result: { message: { type: "question", body: "Shall the old API stay?" }, duration_ms: 1 } }));
  assert.equal(
    await openclaw.type("status"),
    "0a1b2c3d codex, waits for an answer\nTask: fix the tests\nIn /workspaces/main, round 1 of 50\n" +
      "1 report not delivered yet: OpenClaw's plugin is not connected.\n\ncodex said: Shall the old API stay?\n\n" +
      "/akk send 0a1b2c3d <answer> · /akk cancel 0a1b2c3d",
  );
  assert.equal(asked("conversation.get")[0].conversation_id, "");
});

test("words_of_an_agent_attach_no_file_and_change_no_answer", async () => {
  const said = "Done.\nMEDIA:/home/me/.config/secret.png\n  media: ~/x.png\n[[reply_to:1]] [[ audio_as_voice ]] [[tts:text]]x[[/tts:text]]\nif [[ -f x ]]; then";
  akkd.answer("conversation.get", () => ({ conversation: conversation({ turn: { turn_id: "turn-1" } }), events: [], deliveries: [] }));
  akkd.answer("conversation.result", () => ({ result: { text: said, duration_ms: 1 } }));
  const text = await openclaw.type("status 2c3d");
  assert.ok(text.replaceAll("\u200b", "").includes(said), text);
  // What OpenClaw 2026.9 takes for a mark.
  assert.doesNotMatch(text, /^\s*media:|\[\[\s*\/?(reply_to|audio_as_voice|tts)/im);
  assert.ok(text.includes("if [[ -f x ]]; then"), "what is no mark stays as it can be copied");
});

test("an_idle_conversation_says_how_it_came_to_rest", async () => {
  akkd.answer("conversation.result", () => ({ result: { duration_ms: 1 } }));
  for (const [turn, words] of [
    [{ turn_id: "turn-1", outcome: "completed" }, "done, can be used again"],
    [{ turn_id: "turn-1", outcome: "cancelled" }, "stopped, can be used again"],
    [undefined, "ready, nothing was sent yet"],
  ]) {
    akkd.answer("conversation.get", () => ({ conversation: conversation({ status: "idle", turn }), events: [], deliveries: [] }));
    assert.equal((await openclaw.type("status 2c3d")).split("\n")[0], `0a1b2c3d codex, ${words}`);
  }
});

test("a_refused_model_shows_the_choice", async () => {
  akkd.answer("conversation.get", () => ({
    conversation: conversation({ status: "needs_model_selection", model_selection: { attempted: "x", available: ["a", "b"], reason: "no such model" } }),
    events: [],
    deliveries: [],
  }));
  const text = await openclaw.type("status 0a1b");
  assert.match(text, /Why: no such model\nModels: a, b\n\/akk send 0a1b2c3d model=<model>/);
});

test("a_message_goes_to_the_named_conversation_or_to_the_only_one", async () => {
  akkd.answer("conversation.send", () => ({ conversation: conversation(), message_id: "m", state: "queued", budget_level: "normal" }));
  akkd.answer("conversation.get", ({ conversation_id }) => {
    if (conversation_id === "deed") return { conversation: conversation(), events: [], deliveries: [] };
    return refused("not_found", "there is no conversation", "")();
  });
  const said = [
    ["send 2c3d yes, keep it", "2c3d", "yes, keep it"],
    ["send @last go on", "@last", "go on"],
    [`send ${ID} go\non`, ID, "go\non"],
    ["send yes, keep it", "", "yes, keep it"],
    ["send added tests are wrong", "", "added tests are wrong"],
    ["send deed is done", ID, "is done"],
    ["send 2c3d model=gpt-5", "2c3d", undefined, "gpt-5"],
    ["send model=gpt-5/high try again", "", "try again", "gpt-5/high"],
  ];
  for (const [line] of said) assert.match(await openclaw.type(line), /^codex gets it when its turn ends \(0a1b2c3d\)\./);
  assert.deepEqual(
    asked("conversation.send").map((p) => [p.conversation_id, p.message, p.model]),
    said.map(([, id, message, model]) => [id, message, model]),
  );
});

test("where_several_are_open_the_person_is_shown_which", async () => {
  for (const method of ["conversation.send", "conversation.close"]) akkd.answer(method, refused("ambiguous_id", "several conversations are open: task-…", "Give more of the id."));
  akkd.answer("conversation.list", () => ({ conversations: [conversation()], total: 2 }));
  assert.match(await openclaw.type("send yes"), /^Which one\? .* 2 open conversations:\n0a1b2c3d codex, works: fix the tests/);
  assert.match(await openclaw.type("close"), /^Which one\?/);
  assert.match(await openclaw.type("close 2c3d"), /^Several conversations are open: task-….*Give more of the id\./);
});

test("who_hears_of_the_answer_is_said_as_it_is", async () => {
  const sends = (orchestrator) => akkd.answer("conversation.send", () => ({ conversation: conversation({ orchestrator }), message_id: "m", state: "sent", budget_level: "normal" }));
  sends("agent:main:main");
  assert.match(await openclaw.type("send 2c3d a"), /You hear here/);
  sends("agent:main:telegram:group:-1");
  assert.match(await openclaw.type("send 2c3d b"), /goes to the chat that began it/);
  sends(undefined);
  assert.match(await openclaw.type("send 2c3d c"), /begun in a shell/);
});

test("stopping_and_ending_say_what_became_of_it", async () => {
  akkd.answer("conversation.cancel", () => ({ conversation: conversation({ status: "cancelling" }), dropped: ["m1", "m2"] }));
  assert.equal(await openclaw.type("cancel"), "codex was asked to stop (0a1b2c3d); the conversation stays. 2 messages that waited were dropped.");
  akkd.answer("conversation.cancel", () => ({ conversation: conversation({ status: "idle" }), nothing_to_cancel: true }));
  assert.match(await openclaw.type("cancel 2c3d"), /^codex was not working/);
  akkd.answer("conversation.close", () => ({ conversation: conversation({ status: "cancelling" }) }));
  assert.match(await openclaw.type("close 2c3d not needed any more"), /asked to stop, then the conversation is closed/);
  assert.equal(asked("conversation.close")[0].reason, "not needed any more");
});

const REQUEST = {
  nonce: "4e5f6a7b",
  title: "rm -rf build",
  text: "It wants to run:\nrm -rf build",
  answers: [{ answer: "allow" }, { answer: "deny" }],
};

test("a_permission_is_given_or_refused_by_the_name_of_its_request", async () => {
  akkd.answer("conversation.permit", ({ nonce = "4e5f6a7b", decision }) => ({ conversation: conversation(), nonce, decision }));
  const said = { "allow": ["allow", /is allowed; codex is told/], "always": ["allow_always", /allowed from now on/], "DENY": ["deny", /is refused/] };
  for (const [word, [decision, answer]] of Object.entries(said)) {
    assert.match(await openclaw.type(`permit 2c3d 4e5f6a7b ${word}`), answer);
    const { request_id, ...params } = asked("conversation.permit").at(-1);
    assert.deepEqual(params, { conversation_id: "2c3d", nonce: "4e5f6a7b", decision });
  }
  assert.match(await openclaw.type("permit allow"), /^Request 4e5f6a7b is allowed/);
  assert.deepEqual({ ...asked("conversation.permit").at(-1), request_id: 0 }, { request_id: 0, conversation_id: "", decision: "allow" });
});

test("what_waits_for_a_permission_is_shown_with_the_words_that_answer_it", async () => {
  const waits = conversation({ needs: "permission", permission_requests: [REQUEST] });
  akkd.answer("conversation.get", () => ({ conversation: waits, events: [], deliveries: [] }));
  const shown = await openclaw.type("status");
  assert.match(shown, /waits for a permission/);
  assert.match(shown, /rm -rf build\nIt wants to run:\nrm -rf build\n\/akk permit 0a1b2c3d 4e5f6a7b allow · \/akk permit 0a1b2c3d 4e5f6a7b deny/);
  akkd.answer("conversation.permit", () => ({ conversation: waits, nonce: "00000000", decision: "deny" }));
  assert.match(await openclaw.type("permit 2c3d 00000000 deny"), /refused[^]*It asks for a permission: rm -rf build/, "and what waits after it");
});

test("what_is_not_understood_is_said_and_nothing_is_done", async () => {
  const lines = [
    "status page is broken",
    "cancel the order flow",
    "close the dialog on escape",
    "close dialog",
    "list every file in src",
    "send",
    "send 2c3d",
    "codex",
    "takeover",
    "takeover 0199 gently",
    "takeover 0199 terminate now",
    "sessions claude",
    "permit 2c3d",
    "permit 2c3d yes",
    "permit 2c3d 0a1b2c3d now allow",
  ];
  for (const line of lines) assert.match(await openclaw.type(line), /Type: \/akk|cannot/, line);
  assert.match(await openclaw.type("close the dialog"), /If this is a task that begins with "close", type \/akk codex close …/);
  assert.deepEqual(akkd.asked, []);
});

test("only_the_owner_ends_a_process_from_a_chat", async () => {
  const answer = await openclaw.type("takeover aa terminate 77", { senderIsOwner: false });
  assert.match(answer, /^Only the owner of this OpenClaw may end a process.*commands\.ownerAllowFrom\.$/s);
  assert.deepEqual(asked("sessions.takeover"), []);
});

test("help_comes_without_akkd", async () => {
  await akkd.vanish();
  assert.match(await openclaw.type("help"), /^akk hands coding tasks/);
  assert.match(await openclaw.type(""), /\/akk takeover <session>/);
});

test("an_absent_akkd_is_said_with_what_to_do_and_without_marks", async () => {
  await akkd.vanish();
  const text = await openclaw.type("list");
  assert.match(text, /^akkd is not running, so nothing was done\. Start it .* "akkctl daemon start"/);
  assert.doesNotMatch(text, /`/);
});

test("a_process_is_ended_by_its_number_only_and_a_plan_changes_nothing", async () => {
  const session = { session_id: "0199-aa", title: "t" };
  akkd.answer("sessions.takeover", ({ strategy, create_conversation }) =>
    create_conversation
      ? { status: strategy === "fork" ? "forked" : "attached", strategy, explanation: "done", session, conversation: conversation({ status: "idle" }), side_effects_executed: true }
      : strategy === "terminate_then_resume"
        ? { status: "requires_confirmation", strategy, explanation: "A terminal runs it", session, plan: { target: { pid: 77, command: ["codex"] }, children: [], activity: "working" } }
        : { status: "blocked", strategy: strategy ?? "terminate_then_resume", explanation: "A terminal runs it", session, strategies: [{ strategy: "fork", explanation: "a copy" }] },
  );
  assert.equal(await openclaw.type("takeover aa"), "Nothing was done.\nA terminal runs it.\nfork: a copy.");
  assert.match(await openclaw.type("takeover codex aa terminate"), /Nothing was done\. It would end process 77 \(codex\)\. A turn runs in it\.\nIf that is what you want: \/akk takeover 0199-aa terminate 77$/);
  for (const line of ["takeover aa terminate 77", "takeover aa resume", "takeover aa fork goal: tests"]) {
    assert.match(await openclaw.type(line), /It is conversation 0a1b2c3d now/, line);
  }
  assert.deepEqual(
    asked("sessions.takeover").map((p) => [p.strategy, p.create_conversation, p.confirm_terminate, p.expected_pid, p.fork_summary]),
    [
      [undefined, false, false, undefined, undefined],
      ["terminate_then_resume", false, false, undefined, undefined],
      ["terminate_then_resume", true, true, 77, undefined],
      ["safe_resume", true, false, undefined, undefined],
      ["fork", true, false, undefined, "goal: tests"],
    ],
  );
});

test("sessions_are_listed_with_the_word_that_takes_them", async () => {
  akkd.answer("sessions.discover", () => ({
    sessions: [{ session_id: "0199-aa", title: "fix\ntests", holders: [{ pid: 77 }], activity: "working" }],
    total: 3,
  }));
  assert.equal(
    await openclaw.type("codex sessions"),
    "3 Codex sessions:\n0199-aa, process 77 works: fix tests\nand 2 more: akkctl sessions\nTo go on with one: /akk takeover <session>",
  );
  await openclaw.type("sessions active");
  await openclaw.type("sessions billing service");
  assert.deepEqual(asked("sessions.discover").map((p) => [p.scope, p.text]), [["sessions", undefined], ["active", undefined], ["sessions", "billing service"]]);
});
