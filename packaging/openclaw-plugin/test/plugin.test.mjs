import assert from "node:assert/strict";
import { registerHooks } from "node:module";
import { after, before, test } from "node:test";
import { PlayedOpenclaw } from "./played-openclaw.mjs";
import { ScriptedAkkd } from "./scripted-akkd.mjs";

// OpenClaw brings its SDK along; all that the entry needs of it hands the definition on.
const sdk = "data:text/javascript,export const definePluginEntry = (entry) => entry;";
registerHooks?.({
  resolve: (specifier, context, next) =>
    specifier === "openclaw/plugin-sdk/plugin-entry" ? { url: sdk, shortCircuit: true } : next(specifier, context),
});

let akkd, subscribed;
before(async () => {
  akkd = await new ScriptedAkkd().listen();
  subscribed = akkd.subscriptions("delivery.subscribe", "delivery.item");
});
after(() => akkd.remove());

/** As OpenClaw does for each registration: evaluates the module anew and registers. */
async function registered() {
  const openclaw = new PlayedOpenclaw({ socketPath: akkd.socketPath });
  const { default: plugin } = await import(`../index.js?at=${Math.random()}`);
  plugin.register(openclaw);
  return openclaw;
}

test("a_registration_opens_nothing_however_often_it_is_made", async () => {
  for (let count = 0; count < 14; count++) {
    const openclaw = await registered();
    assert.equal(openclaw.tools.size, 10);
    assert.deepEqual([...openclaw.commands.keys()], ["akk"]);
    assert.equal(openclaw.services.length, 1);
  }
  assert.deepEqual(akkd.asked, []);
});

test("of_two_services_in_one_process_the_newer_one_takes_reports_and_the_older_one_cannot_stop_it", async () => {
  const [older, newer] = [await registered(), await registered()];
  await older.services[0].start({ logger: older.logger });
  await akkd.until(() => subscribed.length === 1);
  await newer.services[0].start({ logger: newer.logger });
  await akkd.until(() => subscribed.length === 2);
  const [first, second] = subscribed;
  await over(first.connection);
  assert.equal(first.params.process, second.params.process, "it is one process");
  assert.equal(first.params.gateway, second.params.gateway);
  await older.services[0].stop({ logger: older.logger });
  assert.equal(second.connection.destroyed, false);
  await newer.services[0].stop({ logger: newer.logger });
  await over(second.connection);
});

/** Settles when the plugin has ended the connection. */
function over(connection) {
  return connection.destroyed ? undefined : new Promise((resolve) => connection.once("close", resolve));
}
