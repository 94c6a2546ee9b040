/** The tools that a model sees: how one is registered and called. What each does stands in `tools/`. */

import { ask, explained } from "./ask.js";
import { gatewayId } from "./origin.js";
import { checked } from "./parameters.js";
import { requestId } from "./requests.js";
import { socketPath } from "./socket.js";
import { conversationTools } from "./tools/conversations.js";
import { delegate } from "./tools/delegate.js";
import { sessionTools } from "./tools/sessions.js";

/**
 * One tool.
 * @typedef {object} Tool
 * @property {string} name
 * @property {string} label for people
 * @property {string} description for the model
 * @property {object} parameters JSON Schema
 * @property {(call: Call) => Promise<object>} run what it answers
 */

/**
 * One call of a tool.
 * @typedef {object} Call
 * @property {Record<string, any>} params checked
 * @property {object} ctx OpenClaw's context of the tool
 * @property {object} api the plugin's api
 * @property {Record<string, any>} config the plugin's configuration
 * @property {(method: string, params?: object) => Promise<any>} ask calls akkd; it only reads
 * @property {(method: string, params?: object) => Promise<any>} change calls akkd, which answers a repeat of the call
 *   instead of doing it again
 */

/** Every tool. @type {Tool[]} */
export const TOOLS = [delegate, ...conversationTools, ...sessionTools];

/**
 * Registers every tool.
 * @param {object} api the plugin's api
 */
export function registerTools(api) {
  for (const tool of TOOLS) {
    api.registerTool((ctx) => bound(tool, ctx, api), { name: tool.name });
  }
}

/**
 * The tool in one session.
 * @param {Tool} tool
 * @param {object} ctx OpenClaw's context
 * @param {object} api the plugin's api
 */
function bound(tool, ctx, api) {
  const { name, label, description, parameters } = tool;
  return {
    name,
    label,
    description,
    parameters,
    async execute(callId, written, signal) {
      try {
        return answer(await tool.run(callOf(tool, ctx, api, callId, written, signal)));
      } catch (error) {
        return refusal(error);
      }
    },
  };
}

function callOf(tool, ctx, api, callId, written, signal) {
  const params = checked(tool.parameters, written);
  const config = api.pluginConfig ?? {};
  const socket = socketPath(config);
  return {
    params,
    ctx,
    api,
    config,
    ask: (method, sent = {}) => ask(socket, method, sent, { signal }),
    change: (method, sent = {}) => {
      const request_id = requestId({
        gateway: gatewayId(api),
        session: `${ctx.sessionKey ?? ""}#${ctx.sessionId ?? ""}`,
        call: String(callId),
        method,
        params,
      });
      // Not given up when the model's turn is: what akkd has begun cannot be taken back by not listening.
      return ask(socket, method, { request_id, ...sent });
    },
  };
}

function answer(details) {
  return { content: [{ type: "text", text: JSON.stringify(details) }], details };
}

/** An error is an answer too, so that its kind and its hint reach the model. */
function refusal(error) {
  return answer({ error: explained(error) });
}
