import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import net from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { AkkdError, call, Connection } from "../lib/akkd.js";
import { ScriptedAkkd } from "./scripted-akkd.mjs";

let akkd;
beforeEach(async () => (akkd = await new ScriptedAkkd().listen()));
afterEach(() => akkd.remove());

const fails = (kind) => (error) => error instanceof AkkdError && error.kind === kind;

test("a_call_sends_its_parameters_as_they_are_and_gets_the_result", async () => {
  akkd.answer("conversation.list", ({ all }) => ({ conversations: [], all }));
  assert.deepEqual(await call(akkd.socketPath, "conversation.list", { all: true }), { conversations: [], all: true });
});

test("what_akkd_refuses_keeps_its_kind_its_hint_and_its_facts", async () => {
  akkd.answer("conversation.send", () => {
    throw { code: -32003, message: "it is closed", data: { kind: "wrong_status", hint: "Delegate again.", details: { status: "closed" } } };
  });
  await assert.rejects(call(akkd.socketPath, "conversation.send", {}), (error) => {
    assert.ok(fails("wrong_status")(error));
    assert.deepEqual([error.message, error.hint, error.details], ["it is closed", "Delegate again.", { status: "closed" }]);
    return true;
  });
});

test("no_akkd_is_said_as_such", async () => {
  await akkd.vanish();
  await assert.rejects(call(akkd.socketPath, "daemon.info", {}), fails("not_running"));
  writeFileSync(akkd.socketPath, "");
  await assert.rejects(call(akkd.socketPath, "daemon.info", {}), (error) => ["not_running", "broken"].includes(error.kind));
});

test("an_answer_that_does_not_come_is_waited_for_only_so_long", async () => {
  akkd.answer("daemon.info", () => new Promise(() => {}));
  await assert.rejects(call(akkd.socketPath, "daemon.info", {}, { timeoutMs: 20 }), fails("timeout"));
  const giveUp = new AbortController();
  const given = assert.rejects(call(akkd.socketPath, "daemon.info", {}, { signal: giveUp.signal }), fails("aborted"));
  giveUp.abort();
  await given;
});

test("a_connection_that_breaks_fails_the_calls_that_wait", async () => {
  akkd.answer("daemon.info", (_, connection) => void connection.destroy());
  const connection = new Connection(akkd.socketPath);
  await assert.rejects(connection.call("daemon.info", {}), fails("broken"));
  assert.equal((await connection.closed).kind, "broken");
  await assert.rejects(connection.call("daemon.info", {}), fails("broken"));
});

test("items_come_in_order_beside_calls", async () => {
  const items = [];
  akkd.answer("daemon.info", () => ({ version: "1" }));
  const open = akkd.subscriptions("delivery.subscribe", "delivery.item", () => [1, 2]);
  const connection = new Connection(akkd.socketPath);
  await connection.subscribe("delivery.subscribe", {}, (item) => items.push(item));
  open[0].push(3);
  assert.deepEqual(await connection.call("daemon.info", {}), { version: "1" });
  assert.deepEqual(items, [1, 2, 3]);
  connection.close();
});

test("an_item_that_overtakes_the_answer_is_not_lost", async () => {
  const server = net.createServer((socket) =>
    socket.once("data", () =>
      socket.write(
        `{"jsonrpc":"2.0","method":"delivery.item","params":{"subscription":7,"result":"first"}}\n` +
          `{"jsonrpc":"2.0","id":1,"result":7}\n` +
          `{"jsonrpc":"2.0","method":"delivery.item","params":{"subscription":7,"result":"second"}}\n`,
      ),
    ),
  );
  await akkd.vanish();
  await new Promise((resolve) => server.listen(akkd.socketPath, resolve));
  const connection = new Connection(akkd.socketPath);
  const second = Promise.withResolvers();
  const items = [];
  await connection.subscribe("delivery.subscribe", {}, (item) => {
    items.push(item);
    if (item === "second") second.resolve();
  });
  await second.promise;
  assert.deepEqual(items, ["first", "second"]);
  connection.close();
  server.close();
});

test("a_line_without_end_or_without_sense_ends_the_connection", async () => {
  for (const [sent, kind] of [[Buffer.alloc((16 << 20) + 1, 97), "too_large"], ["no json\n", "broken"], ["null\n", "broken"]]) {
    akkd.answer("daemon.info", (_, connection) => void connection.write(sent));
    await assert.rejects(call(akkd.socketPath, "daemon.info", {}), fails(kind));
  }
});

test("text_that_is_split_anywhere_is_put_together", async () => {
  akkd.answer("daemon.info", (_, connection) => {
    const line = Buffer.from(`{"jsonrpc":"2.0","id":1,"result":"häß€𝄞"}\n`);
    connection.setNoDelay(true);
    for (const byte of line) connection.write(Buffer.from([byte]));
  });
  assert.equal(await call(akkd.socketPath, "daemon.info", {}), "häß€𝄞");
});
