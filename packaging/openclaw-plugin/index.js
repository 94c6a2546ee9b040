/**
 * Agent Knock Knock in OpenClaw: tools and a command that talk to akkd, and a service that takes its reports.
 *
 * OpenClaw evaluates this module anew and calls `register` up to 14 times in one process, also in processes of its
 * command line. So nothing is opened here: tools and commands make short calls, and the service opens its connection
 * when the gateway starts it.
 */

import { definePluginEntry } from "openclaw/plugin-sdk/plugin-entry";
import { registerCommand } from "./lib/command.js";
import { registerService } from "./lib/service.js";
import { registerTools } from "./lib/tools.js";

export default definePluginEntry({
  id: "agent-knock-knock",
  name: "Agent Knock Knock",
  description: "Delegates coding tasks to local agents through akkd and reports back what became of them.",
  register(api) {
    registerTools(api);
    registerCommand(api);
    registerService(api);
  },
});
