/** What an agent did lately, in short lines. */

import { cut } from "./brief.js";

/** Events to look back: most lines of a turn are tool calls, and two events make one of them. */
const LOOK_BACK = 200;
/** Lines in a trace. */
const LINES = 25;

/**
 * The newest lines of a conversation's trace, oldest first.
 * @param {string} id the conversation's id
 * @param {any[]} events its last events, of which the newest tells how far the history goes
 * @param {(method: string, params: object) => Promise<any>} ask
 * @returns {Promise<string[]>}
 */
export async function traced(id, events, ask) {
  const newest = events?.at(-1)?.seq ?? 0;
  const history = await ask("conversation.trace", { conversation_id: id, after_seq: Math.max(0, newest - LOOK_BACK) });
  const lines = new Map();
  for (const event of history.events) {
    const line = lineOf(event);
    if (!line) continue;
    // A tool call is told once, as it stands now, where it began.
    lines.set(event.activity === "tool" ? `tool ${event.turn_id} ${event.id}` : event.seq, line);
  }
  return [...lines.values()].slice(-LINES).map((line) => cut(line, 300));
}

function lineOf(event) {
  switch (event.event) {
    case "agent_activity":
      return activity(event);
    case "turn_started":
      return "turn started";
    case "turn_ended":
      return joined(`turn ended: ${event.outcome}`, event.reason, event.trace);
    case "executor_exit":
      return joined("the agent's process ended", event.reason);
    case "executor_readopted":
      return "the agent was found again after a restart of akkd";
    case "conversation_stalled":
      return joined("stalled", event.reason);
    case "recovery_started":
      return joined("recovery started", event.reason);
    default:
      return undefined;
  }
}

function activity(event) {
  switch (event.activity) {
    case "tool":
      return joined(`${event.status}: ${event.title}`, event.preview);
    case "plan":
      return `plan: ${event.entries.join("; ")}`;
    case "permission":
      return `permission ${event.decision}: ${event.title}`;
    case "notice":
      return `notice: ${event.text}`;
    default:
      return undefined;
  }
}

function joined(...parts) {
  return parts.filter(Boolean).join(" · ").replace(/\s+/g, " ");
}
