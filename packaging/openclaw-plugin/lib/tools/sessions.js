/** The tools for native sessions, which akkd did not start: discover and takeover. */

import path from "node:path";
import { conversation, cut, known } from "../brief.js";
import { recipient } from "../origin.js";
import { assertMayEndProcesses } from "../owner.js";
import { flag, oneOf, schema, text, whole } from "../parameters.js";

/** Sessions in an answer: more is no overview. */
const LISTED = 20;
/** Sessions in a page when one home is picked out of it; akkd gives no more. */
const PAGE = 1_000;

/** @type {import("../tools.js").Tool} */
const discover = {
  name: "agent_knock_knock_agent_discover",
  label: "AKK sessions",
  description:
    "Look at native Codex sessions on this machine that were started outside AKK, such as in the user's terminal: all " +
    "of them (sessions), those that a process runs now (active), or what can be done with them here (capabilities). " +
    "It reads only. For AKK's own conversations use agent_knock_knock_list.",
  parameters: schema(
    {
      agent: oneOf("The agent whose sessions are meant.", ["codex"]),
      scope: oneOf("What to look at.", ["capabilities", "sessions", "active"]),
      codexHome: text("Only sessions of this Codex home, an absolute path. Leave it out for every home that akkd knows."),
    },
    ["agent", "scope"],
  ),
  async run({ params, ask }) {
    const { agent, scope, codexHome } = params;
    const found = await ask("sessions.discover", { agent, scope, limit: codexHome ? PAGE : LISTED });
    const home = codexHome && path.resolve(codexHome);
    const sessions = home ? found.sessions.filter((s) => s.home === home) : found.sessions;
    const total = home ? sessions.length : found.total;
    const shown = sessions.slice(0, LISTED);
    return known({
      providers: found.providers?.length ? found.providers : undefined,
      sessions: scope === "capabilities" ? undefined : shown.map(session),
      total: scope === "capabilities" ? undefined : total,
      more: total > shown.length ? `${total - shown.length} older ones are left out; \`akkctl sessions\` shows them` : undefined,
      could_not_read: found.incomplete?.length ? found.incomplete.slice(0, 5) : undefined,
    });
  },
};

/** @type {import("../tools.js").Tool} */
const takeover = {
  name: "agent_knock_knock_agent_takeover",
  label: "AKK takeover",
  description:
    "Make a native Codex session an AKK conversation. Without createConversation nothing is changed: the answer is a " +
    "plan to show to the user. safe_resume goes on with a session that no process runs; attach joins one that lives in " +
    "Codex's daemon; terminate_then_resume ends the process that runs it; fork starts a new session with a summary and " +
    "leaves the original alone. Never set createConversation, confirmTerminate or allowCwdOnly on your own account: " +
    "first show the plan, with the process id where one would be ended, and go on only when the user has agreed to " +
    "exactly that. forkSummary must be the summary that the user confirmed.",
  parameters: schema(
    {
      agent: oneOf("The agent whose session it is.", ["codex"]),
      sessionId: text("The session's id, or the last characters of it (4 or more) if they fit one only."),
      strategy: oneOf("How. Left out, the answer explains what is possible and recommends one.", [
        "safe_resume",
        "attach",
        "terminate_then_resume",
        "fork",
      ]),
      createConversation: flag("Do it. Only after the user agreed to the plan."),
      confirmTerminate: flag("terminate_then_resume: the user agreed that the process of the plan is ended. Needs expectedPid."),
      expectedPid: whole("terminate_then_resume: the process id that the user agreed to.", 1, 2_147_483_647),
      allowCwdOnly: flag(
        "terminate_then_resume: the process is known by its directory only, which may be the wrong one. Only when the user was told so and agreed.",
      ),
      forkSummary: text("fork: the summary that the user confirmed."),
      request: text("What the conversation is for, for people: recorded, not sent."),
      maxMessages: whole("fork: messages in the context, 12 by default.", 1, 50),
      maxCommands: whole("fork: commands in the context, 8 by default.", 0, 50),
      maxTextLength: whole("fork: characters of each, 1200 by default.", 100, 10_000),
    },
    ["agent", "sessionId"],
  ),
  async run({ params, ctx, api, change }) {
    if (params.confirmTerminate) assertMayEndProcesses(ctx);
    const answer = await change("sessions.takeover", {
      agent: params.agent,
      session_id: params.sessionId,
      strategy: params.strategy,
      create_conversation: params.createConversation,
      confirm_terminate: params.confirmTerminate,
      expected_pid: params.expectedPid,
      allow_cwd_only: params.allowCwdOnly,
      fork_summary: params.forkSummary,
      request: params.request,
      max_messages: params.maxMessages,
      max_commands: params.maxCommands,
      max_text_length: params.maxTextLength,
      ...recipient(ctx, api),
    });
    return known({
      status: answer.status,
      strategy: answer.strategy,
      side_effects_executed: answer.side_effects_executed,
      reason: answer.reason,
      explanation: answer.explanation,
      hint: answer.hint,
      session: session(answer.session),
      strategies: answer.strategies?.length ? answer.strategies : undefined,
      could_not_read: answer.incomplete?.length ? answer.incomplete : undefined,
      resume: answer.resume,
      plan: answer.plan && plan(answer.plan),
      steps: answer.steps?.length ? answer.steps.map((s) => `${s.step}: ${s.detail}`) : undefined,
      context: answer.context,
      conversation: answer.conversation && conversation(answer.conversation),
      repeated: answer.repeated ? "this call was made before; nothing was done again" : undefined,
      next: next(answer),
    });
  },
};

function session(s) {
  const holder = s.holders?.[0];
  return known({
    session_id: s.session_id,
    title: cut(s.title, 120),
    cwd: s.cwd,
    updated_at: s.updated_at,
    model: s.model,
    activity: s.holders?.length ? s.activity : undefined,
    process: holder && known({ pid: holder.pid, kind: holder.kind, evidence: holder.evidence, confidence: holder.confidence }),
    further_processes: s.holders?.length > 1 ? s.holders.length - 1 : undefined,
    archived: s.archived || undefined,
    readable_only: s.capability === "full" ? undefined : (s.capability_reason ?? "only what is listed is known"),
    conversation_id: s.conversation_id,
  });
}

function plan(p) {
  return known({
    target_pid: p.target.pid,
    command: cut(p.target.command?.join(" "), 300),
    started_at: p.target.started_at,
    kind: p.kind,
    cwd: p.cwd,
    evidence: p.evidence,
    confidence: p.confidence,
    activity: p.activity,
    children: p.children?.length ? p.children.slice(0, 10).map((c) => `${c.pid} ${cut(c.command?.join(" ") ?? "", 100)}`) : undefined,
    expires_at: p.expires_at,
  });
}

/** What the model is to do with the answer; nothing that it may decide alone. */
function next(answer) {
  const again = `agent_knock_knock_agent_takeover with sessionId ${answer.session.session_id}`;
  switch (answer.status) {
    case "ready":
      return `Nothing was done. Ask the user whether AKK shall go on with this session. If so: ${again}, strategy ${answer.strategy}, createConversation true.`;
    case "requires_confirmation":
      return (
        `Nothing was done. Tell the user which process would be ended (pid ${answer.plan?.target.pid}) and what runs in it, and ask. ` +
        `Only if the user agrees: ${again}, strategy terminate_then_resume, createConversation true, confirmTerminate true, expectedPid ${answer.plan?.target.pid}.`
      );
    case "awaiting_openclaw_summary":
      return (
        "Nothing was done. Write the summary that context.prompt asks for from this context alone, show it to the user and ask for changes or a yes. " +
        `Then: ${again}, strategy fork, createConversation true, forkSummary with the confirmed text.`
      );
    case "attached":
    case "forked":
      return "The conversation is there and idle. Work goes to it with agent_knock_knock_send.";
    default:
      return "Tell the user why it is not possible now, and what is.";
  }
}

/** Looking before taking. */
export const sessionTools = [discover, takeover];
