import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayError, Loopback, loopbackOf } from "../lib/loopback.js";

/** A gateway's end of a WebSocket, scripted: `answer` gets each request and says what comes back. */
function gateway(answer, { challenges = true } = {}) {
  const made = [];
  class ScriptedWebSocket {
    constructor(url) {
      this.url = url;
      this.sent = [];
      made.push(this);
      if (challenges) setImmediate(() => this.push({ type: "event", event: "connect.challenge", payload: { nonce: "n" } }));
    }
    send(text) {
      const request = JSON.parse(text);
      this.sent.push(request);
      const reply = request.method === "connect" ? { payload: { type: "hello-ok" } } : answer(request, this);
      for (const frame of [reply].flat().filter(Boolean)) setImmediate(() => this.push({ type: "res", id: request.id, ok: !frame.error, ...frame }));
    }
    push(frame) {
      this.onmessage({ data: typeof frame === "string" ? frame : JSON.stringify(frame) });
    }
    close(code = 1000, reason = "") {
      setImmediate(() => this.onclose({ code, reason }));
    }
  }
  return { made, WebSocket: ScriptedWebSocket };
}
const where = () => ({ url: "ws://127.0.0.1:1", auth: { token: "secret" } });
const fails = (kind) => (error) => error instanceof GatewayError && error.kind === kind;

test("the_plugin_connects_as_a_backend_with_the_gateways_own_secret", async () => {
  const { made, WebSocket } = gateway(() => ({ payload: { runId: "r" } }));
  const loopback = new Loopback(where, { version: "1", WebSocket });
  assert.deepEqual(await loopback.request("agent", { message: "hi" }, { timeoutMs: 1000 }), { runId: "r" });
  const [{ params }] = made[0].sent;
  assert.deepEqual([params.client.mode, params.auth, params.scopes], ["backend", { token: "secret" }, ["operator.read", "operator.write"]]);
  await loopback.request("agent.wait", {}, { timeoutMs: 1000 });
  assert.equal(made.length, 1);
  loopback.close();
  await assert.rejects(loopback.request("agent", {}, { timeoutMs: 1000 }), fails("unreachable"));
});

test("the_first_of_two_answers_counts_and_noise_is_passed_over", async () => {
  const { WebSocket } = gateway((_, socket) => {
    socket.push("no json");
    socket.push({ type: "event", event: "tick" });
    socket.push({ type: "res", id: "none", ok: true });
    return [{ payload: { status: "accepted" } }, { payload: { status: "ok" } }];
  });
  const loopback = new Loopback(where, { WebSocket });
  assert.deepEqual(await loopback.request("agent", {}, { timeoutMs: 1000 }), { status: "accepted" });
  loopback.close();
});

test("a_refusal_a_silence_and_a_broken_connection_are_told_apart", async () => {
  const { made, WebSocket } = gateway(({ method }, socket) => {
    if (method === "refused") return { error: { code: "UNAVAILABLE", message: "gateway is draining" } };
    if (method === "broken") socket.close(1006);
    return [];
  });
  const loopback = new Loopback(where, { WebSocket });
  await assert.rejects(loopback.request("refused", {}, { timeoutMs: 1000 }), (e) => fails("refused")(e) && e.message === "gateway is draining");
  await assert.rejects(loopback.request("silent", {}, { timeoutMs: 10 }), fails("unanswered"));
  await assert.rejects(loopback.request("broken", {}, { timeoutMs: 1000 }), fails("unanswered"));
  await assert.rejects(loopback.request("refused", {}, { timeoutMs: 1000 }), fails("refused"));
  assert.equal(made.length, 2, "it connects again after the connection broke");
  loopback.close();
});

test("a_gateway_that_does_not_let_the_plugin_in_was_sent_nothing", async () => {
  class Refusing {
    constructor() {
      setImmediate(() => this.onclose({ code: 1008, reason: "unauthorized" }));
    }
    close() {}
  }
  const loopback = new Loopback(where, { WebSocket: Refusing });
  await assert.rejects(loopback.request("agent", {}, { timeoutMs: 1000 }), (e) => fails("unreachable")(e) && /unauthorized/.test(e.message));
});

test("a_request_that_is_given_up_ends_with_the_reason", async () => {
  const { WebSocket } = gateway(() => []);
  const loopback = new Loopback(where, { WebSocket });
  const stop = new AbortController();
  const asked = loopback.request("agent.wait", {}, { timeoutMs: 60_000, signal: stop.signal });
  setImmediate(() => setImmediate(() => setImmediate(() => stop.abort(new Error("the plugin stops")))));
  await assert.rejects(asked, /the plugin stops/);
  loopback.close();
});

test("where_the_gateway_listens_comes_from_its_environment_and_configuration", () => {
  const config = { gateway: { port: 18999, auth: { token: "t" } } };
  assert.deepEqual(loopbackOf(config, {}), { url: "ws://127.0.0.1:18999", auth: { token: "t" } });
  assert.deepEqual(loopbackOf(config, { OPENCLAW_GATEWAY_PORT: "7" }).url, "ws://127.0.0.1:7");
  assert.deepEqual(loopbackOf({}, { OPENCLAW_GATEWAY_PASSWORD: "p" }), { url: "ws://127.0.0.1:18789", auth: { password: "p" } });
  // A reference to a secret is not the secret.
  assert.deepEqual(loopbackOf({ gateway: { auth: { token: { source: "env", id: "X" } }, tls: { enabled: true } } }, {}), { url: "wss://127.0.0.1:18789", auth: {} });
});
