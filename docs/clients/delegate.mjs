#!/usr/bin/env node
// Hands a task to an agent, waits, prints what came of it: delegate.mjs SOCKET DIRECTORY AGENT TASK
import { randomUUID } from "node:crypto";
import { createConnection } from "node:net";
import { createInterface } from "node:readline";

const [path, directory, agent, task] = process.argv.slice(2);
const fail = (...words) => { console.error(words.join("\n")); process.exit(1); };
const akkd = createConnection(path).on("error", (error) => fail(error.message));
const lines = createInterface({ input: akkd })[Symbol.asyncIterator]();

/** One call at a time, so the next line is its answer. */
async function call(method, params = {}) {
  akkd.write(`${JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })}\n`);
  const { error, result } = JSON.parse((await lines.next()).value ?? fail("akkd is gone"));
  return error ? fail(error.message, `hint: ${error.data?.hint ?? ""}`) : result;
}

if ((await call("daemon.info")).protocol !== 1) fail("this akkd speaks another protocol");
// A request_id of our own would let us repeat the call after a broken connection: it is carried out once.
const delegation = { request_id: randomUUID(), request: task, workspace: directory, agent };
const { conversation_id } = (await call("conversation.delegate", delegation)).conversation;
let need = null;
// One wait lasts an hour at most.
while (need === null) ({ need } = await call("conversation.wait", { conversation_id, timeout_ms: 3_600_000 }));
const { message, text } = (await call("conversation.result", { conversation_id })).result;
console.log(`${conversation_id}: ${need}\n${message?.body ?? text ?? ""}`);
akkd.end();
