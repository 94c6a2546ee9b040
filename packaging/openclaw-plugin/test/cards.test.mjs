import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { Approvals, CARD_MS } from "../lib/approvals.js";
import { Cards } from "../lib/cards.js";
import { Gateway, GatewayError } from "../lib/gateway.js";
import { ScriptedOpenClaw } from "./scripted-openclaw.mjs";

const KEY = "agent:main:telegram:group:-1001";
const TASK = "task-20260620T140525-0a1b2c3d";
const RECIPIENT = { gateway: "openclaw:/test", agent_id: "main", channel: "telegram", to: "telegram:-1001", account_id: "default" };
const REQUEST = {
  conversationId: TASK, nonce: "7ddbf1a4", agent: "codex", orchestrator: KEY, recipient: RECIPIENT,
  title: "Run make", text: "Run make\ninput: {}", decisions: ["allow", "allow_always", "deny"],
};

/** OpenClaw's approvals, scripted: cards in order, and a person who answers them. */
class ScriptedApprovals {
  cards = [];
  said = [];
  route = "forwarder";
  configured = { enabled: true, mode: "session" };
  rests = 0;
  /** Takes part before a card is shown. */
  before = async () => {};
  #waiting = new Map();

  async request(method, params) {
    if (method === "plugin.approval.request") return this.#shown(params);
    if (method === "plugin.approval.waitDecision") return this.#waiting.get(params.id).promise;
    if (method === "plugin.approval.resolve") return this.#resolved(params);
    if (method === "send") return void this.said.push(params);
    throw new GatewayError("refused", `unknown method: ${method}`);
  }

  async #shown(params) {
    await this.before();
    const id = `plugin:${this.cards.length + 1}`;
    if (this.route === "none") return { id, decision: null };
    this.#waiting.set(id, Promise.withResolvers());
    this.cards.push({ id, ...params });
    return { status: "accepted", id, deliveryRoute: this.route };
  }

  #resolved({ id, decision }) {
    const card = this.cards.find((c) => c.id === id);
    if (card.decision !== undefined) throw new GatewayError("refused", "approval already resolved");
    this.answers(card, decision);
  }

  /** A person answers; `null` when the card runs out. */
  answers(card, decision) {
    card.decision = decision;
    this.#waiting.get(card.id).resolve({ id: card.id, decision });
  }

  /** The connection breaks while an answer is awaited. */
  breaks(card) {
    card.decision = null;
    this.#waiting.get(card.id).reject(new GatewayError("unanswered", "the connection was closed"));
  }

  release() {
    this.rests += 1;
  }

  close() {}
}

/** akkd's side: one request that waits, until it is permitted. */
class ScriptedPermissions {
  waiting = new Set([REQUEST.nonce]);
  permitted = [];
  deliveries = [];
  recipient = RECIPIENT;
  /** How many calls find nobody. */
  away = 0;

  call = async (method, params) => {
    if (this.away-- > 0) throw Object.assign(new Error("akkd does not run"), { kind: "not_running" });
    if (method === "conversation.list") return { conversations: [{ conversation_id: TASK, needs: this.waiting.size ? "permission" : null }] };
    if (method === "conversation.get") return { conversation: this.#conversation(), deliveries: this.deliveries };
    assert.equal(method, "conversation.permit");
    if (!this.waiting.delete(params.nonce)) throw Object.assign(new Error("no permission request waits"), { kind: "conflict" });
    this.permitted.push(params);
  };

  #conversation() {
    const answers = REQUEST.decisions.map((answer) => ({ answer, name: answer }));
    const asked = { nonce: REQUEST.nonce, title: REQUEST.title, text: REQUEST.text, answers };
    return { conversation_id: TASK, agent: "codex", orchestrator: KEY, recipient: this.recipient, permission_requests: this.waiting.size ? [asked] : [] };
  }
}

let openclaw;
let gateway;
let approvals;
let akkd;
let cards;

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout"] });
  openclaw = new ScriptedOpenClaw();
  openclaw.session(KEY);
  gateway = new ScriptedApprovals();
  akkd = new ScriptedPermissions();
  const { api } = openclaw;
  api.runtime.config.current = () => ({ approvals: { plugin: gateway.configured } });
  const filters = async () => ({ matchesApprovalRequestFilters: ({ request, sessionFilter }) => sessionFilter.some((f) => request.sessionKey.includes(f)) });
  approvals = new Approvals(api, new Gateway(api, openclaw.parts), { loopback: gateway, filters });
  cards = new Cards({ approvals, akkd: akkd.call });
});
afterEach(() => {
  cards.close();
  mock.timers.reset();
});

/** Lets what is ready happen. */
async function settle() {
  for (let i = 0; i < 30; i += 1) await new Promise((resolve) => setImmediate(resolve));
}
async function passes(ms) {
  for (let left = ms; left > 0; left -= 1_000) {
    mock.timers.tick(Math.min(left, 1_000));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await settle();
}
const settledElsewhere = (decision) => cards.settled({ conversation_id: TASK, nonce: REQUEST.nonce, decision });

test("a_card_is_shown_in_the_chat_of_the_task_and_its_answer_goes_to_akkd", async () => {
  assert.equal(await cards.ask(REQUEST), true);
  const [card] = gateway.cards;
  assert.deepEqual([card.sessionKey, card.turnSourceTo, card.turnSourceAccountId, card.allowedDecisions], [KEY, "telegram:-1001", "default", ["allow-once", "allow-always", "deny"]]);
  assert.match(card.title, /codex: Run make/);
  assert.match(card.description, /\/akk permit 0a1b2c3d 7ddbf1a4 allow\|deny/);
  gateway.answers(card, "allow-always");
  await settle();
  assert.deepEqual(akkd.permitted, [{ request_id: `openclaw:card:${TASK}:7ddbf1a4`, conversation_id: TASK, nonce: "7ddbf1a4", decision: "allow_always" }]);
  assert.equal(gateway.rests, 1, "the connection is given up while nothing is asked");
});

test("what_an_agent_says_fits_on_a_card_and_hides_nothing", async () => {
  await cards.ask({ ...REQUEST, title: `a\u202e${"b".repeat(200)}`, text: "c\n".repeat(2_000) });
  const [{ title, description }] = gateway.cards;
  assert.ok([...title].length <= 80 && [...description].length <= 512);
  assert.ok(!title.includes("\u202e"));
  assert.match(description, /\/akk status 0a1b2c3d$/, "how to see all of it stays");
});

test("one_request_has_one_card_however_often_it_is_offered", async () => {
  assert.deepEqual(await Promise.all([cards.ask(REQUEST), cards.ask(REQUEST)]), [true, true]);
  assert.equal(await cards.ask(REQUEST), true);
  assert.equal(gateway.cards.length, 1);
});

test("a_card_is_withdrawn_when_its_request_was_answered_elsewhere", async () => {
  await cards.ask(REQUEST);
  settledElsewhere("allowed");
  await settle();
  assert.equal(gateway.cards[0].decision, "allow-once");
  assert.deepEqual(akkd.permitted, [], "what was answered is not answered again");
});

test("a_card_whose_request_is_answered_while_it_is_on_its_way_is_withdrawn_as_soon_as_it_is_there", async () => {
  const on = Promise.withResolvers();
  gateway.before = () => on.promise;
  const asked = cards.ask(REQUEST);
  await settle();
  settledElsewhere("refused");
  on.resolve();
  await asked;
  await settle();
  assert.equal(gateway.cards[0].decision, "deny");
  assert.deepEqual(akkd.permitted, []);
});

test("a_card_that_ran_out_is_followed_by_another_one_while_the_request_waits", async () => {
  await cards.ask(REQUEST);
  assert.equal(gateway.cards[0].timeoutMs, CARD_MS);
  gateway.answers(gateway.cards[0], null);
  await settle();
  await passes(2_000);
  assert.equal(gateway.cards.length, 2);
  gateway.answers(gateway.cards[1], null);
  await settle();
  await passes(599_000);
  assert.equal(gateway.cards.length, 2, "a night is not full of them");
  await passes(1_000);
  assert.equal(gateway.cards.length, 3);
  gateway.answers(gateway.cards[2], "deny");
  await settle();
  assert.deepEqual(akkd.permitted.map((p) => p.decision), ["deny"]);
});

test("after_a_card_that_ran_out_nothing_is_asked_for_a_request_that_waits_no_more", async () => {
  await cards.ask(REQUEST);
  akkd.waiting.clear();
  gateway.answers(gateway.cards[0], null);
  await settle();
  await passes(700_000);
  assert.equal(gateway.cards.length, 1);
  assert.equal(gateway.rests, 1);
});

test("a_card_that_cannot_be_shown_again_is_not_shown_once_the_request_was_answered", async () => {
  await cards.ask(REQUEST);
  gateway.configured = { enabled: false };
  gateway.answers(gateway.cards[0], null);
  await settle();
  await passes(2_000);
  akkd.waiting.clear();
  settledElsewhere("allowed");
  gateway.configured = { enabled: true };
  await passes(600_000);
  assert.equal(gateway.cards.length, 1);
  assert.equal(gateway.rests, 1);
});

test("a_card_whose_connection_broke_is_asked_again", async () => {
  await cards.ask(REQUEST);
  gateway.breaks(gateway.cards[0]);
  await settle();
  await passes(2_000);
  assert.equal(gateway.cards.length, 2);
});

test("without_approvals_for_this_chat_the_usual_report_tells_it", async () => {
  const request = { ...REQUEST };
  for (const configured of [undefined, { enabled: false }, { enabled: true, mode: "targets" }, { enabled: true, sessionFilter: [":topic:"] }]) {
    gateway.configured = configured;
    assert.equal(await cards.ask(request), false, JSON.stringify(configured));
  }
  gateway.configured = { enabled: true, sessionFilter: [":group:"] };
  assert.equal(await cards.ask({ ...request, orchestrator: "agent:main:none" }), false, "a session that is gone");
  assert.equal(gateway.cards.length, 0);
  assert.equal(await cards.ask(request), true);
});

test("a_card_that_nobody_would_see_is_none", async () => {
  gateway.route = "turn-source";
  assert.equal(await cards.ask(REQUEST), false);
  assert.equal(gateway.cards[0].decision, "deny", "it does not wait there unseen");
  gateway.route = "none";
  assert.equal(await cards.ask(REQUEST), false);
  gateway.before = async () => {
    throw new GatewayError("unreachable", "no gateway");
  };
  assert.equal(await cards.ask(REQUEST), false);
  assert.deepEqual(akkd.permitted, []);
});

test("who_answers_a_card_too_late_is_told_so_in_the_chat", async () => {
  await cards.ask(REQUEST);
  akkd.waiting.clear();
  gateway.answers(gateway.cards[0], "allow-once");
  await settle();
  assert.equal(gateway.said.length, 1);
  const [{ channel, to, message }] = gateway.said;
  assert.deepEqual([channel, to], ["telegram", "telegram:-1001"]);
  assert.match(message, /too late.*7ddbf1a4.*Nothing was allowed/s);
});

test("a_card_answered_while_akkd_is_away_is_passed_on_when_it_is_back", async () => {
  await cards.ask(REQUEST);
  akkd.away = 3;
  gateway.answers(gateway.cards[0], "allow-once");
  await settle();
  assert.deepEqual(akkd.permitted, []);
  await passes(6_000);
  assert.deepEqual(akkd.permitted.map((p) => p.decision), ["allow"]);
  assert.deepEqual(gateway.said, []);
});

test("after_a_reconnect_what_was_settled_meanwhile_goes_and_what_waits_stays", async () => {
  await cards.ask(REQUEST);
  await cards.catchUp("openclaw:/test");
  assert.deepEqual(gateway.cards.map((c) => c.decision), [undefined]);
  akkd.waiting.clear();
  await cards.catchUp("openclaw:/test");
  await settle();
  assert.deepEqual(gateway.cards.map((c) => c.decision), ["deny"]);
  assert.deepEqual(akkd.permitted, []);
});

test("a_new_process_asks_again_for_what_the_one_before_had_asked", async () => {
  akkd.deliveries = [{ kind: "permission", preview: "Request 7ddbf1a4: Run make" }];
  await cards.catchUp("openclaw:/test");
  assert.equal(gateway.cards.length, 0, "what is not told yet is offered");
  akkd.deliveries = [];
  await cards.catchUp("openclaw:/other");
  assert.equal(gateway.cards.length, 0, "another installation's");
  await cards.catchUp("openclaw:/test");
  assert.equal(gateway.cards.length, 1);
  gateway.answers(gateway.cards[0], "deny");
  await settle();
  assert.deepEqual(akkd.permitted.map((p) => p.decision), ["deny"]);
});
