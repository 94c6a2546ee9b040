/** The session of a chat in which nothing but commands was said so far. */

import { agentOf } from "./origin.js";

/**
 * Makes sure that reports can reach the chat from which a command came.
 *
 * A native command of a chat is run without its session being made (OpenClaw 2026.9, Telegram: a new group or topic):
 * the key is right, but nothing is stored under it, so that later nobody knows to which chat it belongs. It is made
 * here as a channel makes it when a message comes in: with the way back to the chat.
 * @param {object} ctx the command's context
 * @param {object} api the plugin's api
 */
export async function ensureSession(ctx, api) {
  const { sessionKey, channel, to, accountId, messageThreadId: threadId } = ctx;
  if (!sessionKey || !channel || !to || channel === "webchat") return;
  const agentId = ctx.agentId ?? agentOf(sessionKey);
  try {
    const { session } = api.runtime.agent;
    if (session.getSessionEntry({ agentId, sessionKey })) return;
    const storePath = session.resolveStorePath(api.runtime.config.current()?.session?.store, { agentId });
    const deliveryContext = { channel, to, accountId, threadId };
    await api.runtime.channel.session.updateLastRoute({ storePath, sessionKey, deliveryContext });
  } catch (error) {
    // The task is worth more than this: it is delegated, and akkd keeps its report.
    api.logger.warn?.(`the session ${sessionKey} could not be made: ${error?.message ?? error}`);
  }
}
