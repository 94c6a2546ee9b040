/** The command `/akk`: what a person types in a chat, done, and answered in plain words. */

import { ask, explained } from "./ask.js";
import { parsed } from "./command-line.js";
import { handOver } from "./handover.js";
import { gatewayId, recipient } from "./origin.js";
import { assertMayEndProcesses } from "./owner.js";
import { commandCall, watchRepeats } from "./repeats.js";
import { ensureSession } from "./session.js";
import { socketPath } from "./socket.js";
import { unmarked } from "./unmarked.js";
import * as words from "./words.js";
import { workspaceFor } from "./workspace.js";

/** Conversations that are looked at for a list. */
const LISTED = 50;

/**
 * Registers the command.
 * @param {object} api the plugin's api
 */
export function registerCommand(api) {
  watchRepeats(api);
  api.registerCommand({
    name: "akk",
    description: "Hand coding tasks to local agents: /akk <task>, list, status, send, permit, cancel, close, help",
    acceptsArgs: true,
    requireAuth: true,
    handler: async (ctx) => ({ text: await answered(ctx, api) }),
  });
}

/**
 * What a command comes to, in words.
 * @param {object} ctx OpenClaw's context of the command
 * @param {object} api the plugin's api
 * @returns {Promise<string>}
 */
export async function answered(ctx, api) {
  const command = parsed(typed(ctx));
  const call = commandCall({
    gateway: gatewayId(api),
    session: ctx.sessionKey ?? `${ctx.channel ?? ""} ${ctx.from ?? ""}`,
    sender: ctx.senderId ?? "",
    words: ctx.commandBody ?? ctx.args ?? "",
  });
  const text = unmarked(await carriedOut(command, { ctx, api, ...calls(api, call.requestId) }));
  call.answered(text);
  return text;
}

async function carriedOut(command, means) {
  try {
    return await DO[command.verb](command, means);
  } catch (error) {
    const unnamed = error?.kind === "ambiguous_id" && command.id === "";
    if (!unnamed) return words.error(explained(error));
    return carriedOut({ verb: "which" }, means);
  }
}

/**
 * What stands behind `/akk`. OpenClaw cuts the arguments at 4,096 characters without a word (2026.9); the whole command
 * is not cut.
 */
function typed(ctx) {
  const whole = /^\s*\/akk(?:@\w+)?(?:\s+|$)/i.exec(ctx.commandBody ?? "");
  return whole ? ctx.commandBody.slice(whole[0].length) : (ctx.args ?? "");
}

function calls(api, request_id) {
  const socket = socketPath(api.pluginConfig);
  return {
    read: (method, params = {}) => ask(socket, method, params),
    change: (method, params) => ask(socket, method, { request_id, ...params }),
  };
}

const DO = {
  help: () => words.HELP,

  wrong: ({ wrong }) => wrong,

  async delegate({ request, agent }, { ctx, api, change }) {
    await ensureSession(ctx, api);
    const origin = recipient(ctx, api);
    const rest = { workspace: workspaceFor(undefined, ctx, api), ...origin };
    const answer = await handOver({ request, agent }, rest, api.pluginConfig?.agent, change);
    return words.delegated(answer, origin.orchestrator !== undefined);
  },

  async list({ all, agent }, { read }) {
    return words.list(await read("conversation.list", { all, agent, limit: LISTED }), all);
  },

  async which(_command, { read }) {
    return words.which(await read("conversation.list", { limit: LISTED }));
  },

  async status({ id }, { read }) {
    const found = await read("conversation.get", { conversation_id: id });
    const c = found.conversation;
    const last = c.turn && (await read("conversation.result", { conversation_id: c.conversation_id }));
    return words.conversation(c, last?.result, found.deliveries);
  },

  async send({ id, message, model, doubt }, { ctx, read, change }) {
    const target = doubt ? await settled(doubt, message, read) : { id, message };
    const sent = await change("conversation.send", { conversation_id: target.id, message: target.message, model });
    return words.sent(sent, ctx.sessionKey);
  },

  async permit({ id, nonce, decision }, { change }) {
    return words.permitted(await change("conversation.permit", { conversation_id: id, nonce, decision }));
  },

  async cancel({ id }, { change }) {
    return words.cancelled(await change("conversation.cancel", { conversation_id: id }));
  },

  async recover({ id }, { ctx, change }) {
    return words.sent(await change("conversation.recover", { conversation_id: id }), ctx.sessionKey);
  },

  async close({ id, reason }, { change }) {
    return words.closed(await change("conversation.close", { conversation_id: id, reason }));
  },

  async sessions(asked, { read }) {
    const { scope, text } = asked;
    return words.sessions(await read("sessions.discover", { scope, text, agent: "codex", limit: LISTED }), asked);
  },

  async takeover({ session, strategy, pid, summary }, { ctx, api, change }) {
    await ensureSession(ctx, api);
    // What a person typed is what the person agreed to; a process is ended by its number only.
    if (pid !== undefined) assertMayEndProcesses(ctx);
    const agreed = strategy === "safe_resume" || strategy === "attach" || pid !== undefined || summary !== undefined;
    const answer = await change("sessions.takeover", {
      agent: "codex",
      session_id: session,
      strategy,
      create_conversation: agreed,
      confirm_terminate: pid !== undefined,
      expected_pid: pid,
      fork_summary: summary,
      ...recipient(ctx, api),
    });
    return words.takeover(answer);
  },
};

/** The first word of a message is an id if a conversation has it; else it is the message's. */
async function settled(word, message, read) {
  try {
    const { conversation } = await read("conversation.get", { conversation_id: word });
    return { id: conversation.conversation_id, message: message.slice(word.length).trim() };
  } catch (error) {
    if (error?.kind !== "not_found") throw error;
    return { id: "", message };
  }
}
