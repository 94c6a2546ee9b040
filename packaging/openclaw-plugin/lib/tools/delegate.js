/** `agent_knock_knock_delegate`: a task for a coding agent. */

import { conversation } from "../brief.js";
import { handOver } from "../handover.js";
import { recipient } from "../origin.js";
import { flag, schema, text, whole } from "../parameters.js";
import { withoutCall } from "../requests.js";
import { workspaceFor } from "../workspace.js";

/** @type {import("../tools.js").Tool} */
export const delegate = {
  name: "agent_knock_knock_delegate",
  label: "AKK delegate",
  description:
    "Delegate a coding task to a local coding agent (Codex, Claude Code, Cursor, Gemini) that works in the background. " +
    "Use it when the user says AKK, akk or Agent Knock Knock with a new task, or asks to hand work to Codex, Claude, " +
    "Cursor or Gemini. It returns at once; the agent's report arrives later as a message in this session, so end your " +
    "turn after the call and never poll. For more work on a task that exists use agent_knock_knock_send.",
  parameters: schema(
    {
      request: text("The task, in full: what to do, where, and when it counts as done."),
      agent: text("The agent: codex, claude, cursor, gemini, or another of akk's configuration. Leave it out unless the user named one."),
      workspace: text("Absolute path of the directory to work in. Leave it out for this agent's own workspace."),
      model: text("The coding agent's model. Leave it out unless the user named one."),
      session: text("Name of an agent session to use again. Leave it out for a fresh one."),
      softLimit: whole("Rounds that need an answer until the conversation pauses; 50 by default.", 1, 100_000),
      hardLimit: whole("Rounds at which the conversation fails; 100 by default.", 1, 100_000),
      agentTimeoutMinutes: whole("Minutes of silence after which the agent counts as stalled; 60 by default.", 1, 1_000_000),
      idleTimeoutMinutes: whole("Minutes of idleness after which the conversation is closed; a week by default.", 1, 10_000_000),
      allProxy: text("Proxy address for the agent, without a password."),
      label: text("A short name for the user."),
      deliverProgress: flag("Report progress too, not only questions and results."),
    },
    ["request"],
  ),
  async run({ params, ctx, api, config, change }) {
    const origin = recipient(ctx, api);
    const said = withoutCall(params.request);
    const rest = {
      workspace: workspaceFor(params.workspace, ctx, api),
      model: params.model,
      session: params.session,
      soft_limit: params.softLimit,
      hard_limit: params.hardLimit,
      agent_timeout_minutes: params.agentTimeoutMinutes,
      idle_timeout_minutes: params.idleTimeoutMinutes,
      proxy: params.allProxy,
      label: params.label,
      deliver_progress: params.deliverProgress,
      ...origin,
    };
    // Who was named with the task meant more than who was filled in.
    const answer = await handOver({ ...said, agent: said.agent ?? params.agent }, rest, config.agent, change);
    const reports = origin.orchestrator !== undefined;
    return {
      ...conversation(answer.conversation),
      ...(answer.repeated && { repeated: "this call was made before; nothing was started again" }),
      next: next(answer.conversation, reports),
    };
  },
};

function next(conversation, reports) {
  if (conversation.status === "stalled") {
    return "The agent could not be started, for the reason in stalled_reason. Tell the user.";
  }
  if (!reports) {
    return "This session has no key, so no report can reach it. The user can watch with `akkctl wait`.";
  }
  return (
    "End your turn now: tell the user in one sentence that the agent works on it. Its question, result or failure " +
    "arrives by itself as a message in this session. Do not poll the status, files or processes meanwhile."
  );
}
