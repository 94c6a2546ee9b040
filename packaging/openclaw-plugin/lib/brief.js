/** What akkd answers, made small: a model reads every word of it, and pays for it. */

/** Characters of one text in a result. */
const TEXT = 1_500;
/** Characters of the agent's latest report, which is what a status is asked for. */
const REPORT = 6_000;

/**
 * A text, cut where it is long, with a hint where the rest is.
 * @param {string | undefined} text
 * @param {number} [limit] characters
 * @param {string} [rest] where the rest is
 * @returns {string | undefined}
 */
export function cut(text, limit = TEXT, rest = "") {
  if (typeof text !== "string" || text.length <= limit) return text;
  // Not in the middle of a character.
  const end = /[\uD800-\uDBFF]/.test(text[limit - 1]) ? limit - 1 : limit;
  return `${text.slice(0, end)}… [cut: ${text.length - end} more characters${rest && `; ${rest}`}]`;
}

/**
 * A conversation.
 * @param {any} c akkd's view
 * @returns {object}
 */
export function conversation(c) {
  return known({
    conversation_id: c.conversation_id,
    status: c.status,
    needs: c.needs,
    meaning: meaning(c),
    agent: c.agent,
    model: c.executor_model,
    request: cut(c.user_request, 300),
    label: c.label,
    workspace: c.workspace,
    rounds: `${c.response_rounds_used} of ${c.soft_limit}`,
    budget: c.budget_level === "normal" ? undefined : c.budget_level,
    updated_at: c.updated_at,
    stalled_reason: cut(c.stalled_reason),
    close_reason: cut(c.close_reason, 300),
    recovery: c.status === "needs_recovery" ? cut(c.recovery?.reason) : undefined,
    model_selection: c.model_selection && {
      attempted: c.model_selection.attempted,
      available: c.model_selection.available?.slice(0, 30),
      reason: cut(c.model_selection.reason, 500),
    },
    waiting_messages: c.queued?.length || undefined,
    undelivered_reports: c.undelivered || undefined,
    overdue_reports: c.overdue || undefined,
    native_session: c.native_session_takeover?.session_id,
    forked_from: c.fork_context_takeover?.session_id,
  });
}

/**
 * A line of a list.
 * @param {any} c akkd's summary
 * @returns {object}
 */
export function summary(c) {
  return known({
    conversation_id: c.conversation_id,
    status: c.status,
    agent: c.agent,
    request: cut(c.label ?? c.user_request, 160),
    workspace: c.workspace,
    updated_at: c.updated_at,
    rounds: `${c.response_rounds_used} of ${c.soft_limit}`,
    undelivered_reports: c.undelivered || undefined,
    overdue_reports: c.overdue || undefined,
  });
}

/**
 * A permission request that waits for the user.
 * @param {any} p akkd's view
 * @returns {object}
 */
export function permission(p) {
  return known({
    nonce: p.nonce,
    title: p.title,
    text: cut(p.text),
    decisions: p.answers.map((choice) => choice.answer),
    refused_at: p.deadline,
  });
}

/** What the status asks of the orchestrator, where the word alone does not say it. */
function meaning(c) {
  if (c.needs === "permission") return "the agent waits for a permission; only the user can give it";
  switch (c.status) {
    case "created":
    case "running":
    case "waiting_for_agent":
      return "the agent works; its report comes by itself";
    case "waiting_for_openclaw":
      return "the agent waits for your answer";
    case "idle":
      if (!c.turn) return "ready; nothing was sent to the agent yet";
      if (c.turn.outcome === "cancelled") return "the turn was stopped; the conversation can be used again";
      return "the agent is done; the conversation can be used again";
    case "cancelling":
      return "the agent was asked to stop; wait until it has";
    case "stalled":
      return "the turn came to no result";
    case "needs_recovery":
      return "the agent's session is gone; the user chooses: recover or close";
    case "needs_model_selection":
      return "the agent refused the model; send with another one";
    default:
      return undefined;
  }
}

/**
 * What a turn came to.
 * @param {any} result akkd's result of a turn
 * @param {string} id the conversation's id
 * @returns {object | undefined}
 */
export function report(result, id) {
  const text = result.message?.body ?? result.text;
  if (!result.outcome && !text) return undefined;
  return known({
    type: result.message?.type,
    outcome: result.outcome ?? undefined,
    reason: cut(result.reason),
    text: cut(text, REPORT, `\`akkctl result ${id}\` shows it whole`),
    duration_seconds: Math.round(result.duration_ms / 1000),
  });
}

/**
 * The object without what is not known.
 * @template T
 * @param {T} object
 * @returns {Partial<T>}
 */
export function known(object) {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined && value !== null));
}
