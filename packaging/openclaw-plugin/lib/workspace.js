/** The directory in which an agent works. */

import os from "node:os";
import path from "node:path";
import { agentOf } from "./origin.js";

/**
 * The named directory, else the one of the plugin's configuration, else that of the OpenClaw agent that asks.
 * @param {string | undefined} named by the model or the person; a relative one lies in OpenClaw's workspace
 * @param {object} ctx the tool's or the command's context
 * @param {object} api the plugin's api
 * @returns {string} absolute; akkd checks that it exists
 */
export function workspaceFor(named, ctx, api) {
  const wanted = named ?? api.pluginConfig?.workspace;
  if (wanted && path.isAbsolute(expanded(wanted))) return path.normalize(expanded(wanted));
  const own = ownWorkspace(ctx, api);
  return wanted ? path.resolve(own, wanted) : own;
}

function ownWorkspace(ctx, api) {
  if (ctx.workspaceDir) return path.resolve(ctx.workspaceDir);
  const config = ctx.runtimeConfig ?? ctx.config ?? api.runtime.config.current();
  return path.resolve(api.runtime.agent.resolveAgentWorkspaceDir(config, ctx.agentId ?? agentOf(ctx.sessionKey ?? "") ?? "main"));
}

function expanded(directory) {
  return directory.replace(/^~(?=\/|$)/, os.homedir());
}
