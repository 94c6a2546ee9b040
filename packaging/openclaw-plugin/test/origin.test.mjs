import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test } from "node:test";
import { gatewayId, processId, recipient } from "../lib/origin.js";
import { socketPath } from "../lib/socket.js";
import { PlayedOpenclaw } from "./played-openclaw.mjs";

test("a_tool_and_a_command_in_the_same_topic_name_the_same_place", () => {
  const openclaw = new PlayedOpenclaw({});
  const sessionKey = "agent:ops:telegram:group:-100:topic:7";
  openclaw.sessions.set(sessionKey, { sessionId: "s-9" });
  const place = { channel: "telegram", to: "telegram:-100", accountId: "default" };
  const tool = recipient({ sessionKey, agentId: "ops", deliveryContext: { ...place, threadId: "7" } }, openclaw);
  const command = recipient({ sessionKey, ...place, messageThreadId: 7 }, openclaw);
  assert.deepEqual(tool, command);
  assert.deepEqual([tool.recipient.agent_id, tool.recipient.session_id, tool.recipient.thread_id], ["ops", "s-9", "7"]);
});

test("a_session_that_is_not_there_yet_has_no_id_whatever_the_context_makes_up", () => {
  const { orchestrator, recipient: place } = recipient({ sessionKey: "agent:main:telegram:group:-1", sessionId: "made-up", channel: "telegram" }, new PlayedOpenclaw({}));
  assert.equal(orchestrator, "agent:main:telegram:group:-1");
  assert.equal("session_id" in place, false);
});

test("sessions_that_cannot_be_looked_up_stop_nobody", () => {
  const openclaw = new PlayedOpenclaw({});
  openclaw.runtime.agent.session.getSessionEntry = () => {
    throw new Error("locked");
  };
  assert.equal(recipient({ sessionKey: "agent:main:main" }, openclaw).recipient.agent_id, "main");
});

test("without_a_session_key_nobody_is_told", () => {
  assert.deepEqual(recipient({ sessionKey: " ", channel: "telegram" }, new PlayedOpenclaw({})), {});
});

test("a_gateway_is_known_by_its_state_directory_whichever_way_leads_there", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "akk-"));
  try {
    const link = path.join(folder, "link");
    symlinkSync(folder, link);
    const id = gatewayId(new PlayedOpenclaw({}, folder));
    assert.equal(gatewayId(new PlayedOpenclaw({}, link)), id);
    assert.notEqual(gatewayId(new PlayedOpenclaw({}, path.join(folder, "other"))), id);
    const long = gatewayId(new PlayedOpenclaw({}, `/${"x/".repeat(400)}`));
    assert.ok(long.length <= 500);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a_process_keeps_its_name_when_the_plugin_is_evaluated_anew", async () => {
  const again = await import(`../lib/origin.js?again=${Date.now()}`);
  assert.equal(again.processId(), processId());
  assert.match(processId(), /^[0-9a-f-]{36}$/);
});

test("the_socket_is_where_akkctl_looks_for_it", () => {
  const linux = { home: "/home/u", platform: "linux", uid: 1000, runtime: "/nowhere" };
  const mac = { home: "/Users/u", platform: "darwin", uid: 501 };
  assert.equal(socketPath({ socketPath: "~/s.sock" }, { AKK_SOCKET: "/x" }, linux), "/home/u/s.sock");
  assert.equal(socketPath({}, { AKK_SOCKET: "/x/a.sock", AKK_HOME: "/h" }, linux), "/x/a.sock");
  assert.equal(socketPath(undefined, { AKK_HOME: "/h", XDG_RUNTIME_DIR: "/run/user/1000" }, linux), "/h/run/akkd.sock");
  assert.equal(socketPath(undefined, { XDG_RUNTIME_DIR: "/run/user/1000" }, linux), "/run/user/1000/akk/akkd.sock");
  assert.equal(socketPath(undefined, { XDG_STATE_HOME: "/st" }, linux), "/st/akk/run/akkd.sock");
  assert.equal(socketPath(undefined, { XDG_STATE_HOME: "relative" }, linux), "/home/u/.local/state/akk/run/akkd.sock");
  assert.equal(socketPath(undefined, {}, mac), "/Users/u/Library/Application Support/akk/run/akkd.sock");
  // The folder that systemd made, where no variable names it: if it is the user's own and nobody else's.
  const runtime = mkdtempSync(path.join(os.tmpdir(), "akk-runtime-"));
  const without = () => socketPath(undefined, {}, { ...linux, uid: process.getuid(), runtime });
  assert.equal(without(), path.join(runtime, "akk", "akkd.sock"));
  chmodSync(runtime, 0o750);
  assert.equal(without(), "/home/u/.local/state/akk/run/akkd.sock");
  rmSync(runtime, { recursive: true });
  // As akkctl says it for this home.
  assert.equal(socketPath(undefined, { AKK_HOME: `/tmp/${"x".repeat(100)}` }, { ...linux, uid: 0 }), "/tmp/akk-0-8f49f6bb22cafa96/akkd.sock");
});
