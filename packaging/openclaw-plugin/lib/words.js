/** Answers of `/akk`: short plain text for a chat, without tables and without marks that a chat would show. */

/** Lines in a list. */
const LINES = 12;
/** Characters of a request in a line. */
const HEAD = 70;
/** Characters of a report: a chat's message holds 4,096. */
const REPORT = 1_500;

/** Said where the same command came twice: by a person, or by OpenClaw when it could not send the answer. */
const REPEATED = "(The same command came twice; it was done once.)";

/** What can be typed. */
export const HELP = [
  "akk hands coding tasks to local agents and tells you here what became of them.",
  "",
  "/akk <task>",
  "/akk codex|claude|cursor|gemini <task>",
  "/akk list [all] [agent]",
  "/akk status <id>",
  "/akk send <id> <message>",
  "/akk permit <id> [request] allow | always | deny",
  "/akk cancel <id>",
  "/akk recover <id>",
  "/akk close <id> [reason]",
  "/akk sessions [active | words]",
  "/akk takeover <session> [resume | attach | terminate [pid] | fork [summary]]",
  "",
  "An id may be its last few characters, @last, or left out while one conversation is open. Another agent of your configuration is named with a colon: /akk myagent: <task>",
].join("\n");

/** The last part of a conversation's id: enough to name it. */
export function shortId(id) {
  return id.slice(id.lastIndexOf("-") + 1);
}

/** A task was handed over. */
export function delegated(answer, reports) {
  const c = answer.conversation;
  const id = shortId(c.conversation_id);
  if (c.status === "stalled") {
    return `${c.agent} could not be started (${id}): ${stop(oneLine(c.stalled_reason ?? "no reason is known", 400))}\nTry again: /akk send ${id} <message> · /akk close ${id}`;
  }
  const told = reports
    ? "You hear here when it asks or is done."
    : "This chat has no session, so nothing can be told here: akkctl wait shows it.";
  const once = answer.repeated ? `\n${REPEATED}` : "";
  return `${c.agent} works on it in ${c.workspace} (${id}). ${told}\n/akk status ${id} · /akk cancel ${id}${once}`;
}

/** The conversations, those that wait for the person first. */
export function list(page, all) {
  const { conversations, total } = page;
  if (total === 0) return all ? "There are no conversations yet. Begin with /akk <task>" : "No conversation is open. Begin with /akk <task>";
  const shown = [...conversations].sort((a, b) => urgency(a) - urgency(b)).slice(0, LINES);
  const lines = shown.map((c) => {
    const waiting = c.overdue ? `, ${counted(c.overdue, "report")} not delivered` : "";
    return `${shortId(c.conversation_id)} ${c.agent}, ${status(c)}${waiting}: ${oneLine(c.label ?? c.user_request, HEAD)}`;
  });
  const left = total - shown.length;
  if (left > 0) lines.push(`and ${left} more: akkctl list${all ? " --all" : ""}`);
  const what = counted(total, all ? "conversation" : "open conversation");
  return `${what}:\n${lines.join("\n")}`;
}

/** One conversation, with what its agent said last. */
export function conversation(c, result, deliveries) {
  const id = shortId(c.conversation_id);
  const said = result?.message?.body ?? result?.text;
  const parked = deliveries?.find((d) => d.waits_for);
  const why = c.stalled_reason ?? c.recovery?.reason ?? c.model_selection?.reason ?? c.close_reason;
  const explains = ["stalled", "failed", "needs_recovery", "needs_model_selection", "closed", "cancelled"].includes(c.status);
  return [
    `${id} ${c.agent}, ${status(c)}`,
    `Task: ${oneLine(c.label ?? c.user_request, 200)}`,
    `In ${c.workspace}, round ${c.response_rounds_used} of ${c.soft_limit}`,
    explains && why && `Why: ${oneLine(plain(why), 400)}`,
    c.model_selection?.available?.length && `Models: ${c.model_selection.available.slice(0, 15).join(", ")}`,
    c.queued?.length && `${counted(c.queued.length, "message")} of yours waits for the end of its turn`,
    c.undelivered && `${counted(c.undelivered, "report")} not delivered yet${parked ? `: ${oneLine(plain(parked.waits_for), 300)}` : ""}`,
    ...(c.permission_requests ?? []).map((p) => asked(c, p)),
    said && `\n${c.agent} said: ${long(said, REPORT, `akkctl result ${id}`)}\n`,
    next(c, id),
  ]
    .filter(Boolean)
    .join("\n");
}

/** A message was sent, or a session recovered. */
export function sent(answer, here) {
  const c = answer.conversation;
  const id = shortId(c.conversation_id);
  const how = answer.state === "queued" ? `${c.agent} gets it when its turn ends (${id}).` : `${c.agent} has it (${id}).`;
  const recovered = answer.auto_recovered ? " Its session was gone; a fresh one got a replay of the history." : "";
  const once = answer.repeated ? `\n${REPEATED}` : "";
  return `${how}${recovered} ${whereTold(c, here)}${once}`;
}

/** A permission request was answered. */
export function permitted(answer) {
  const c = answer.conversation;
  const id = shortId(c.conversation_id);
  const said = { allow: "allowed", allow_always: "allowed from now on", deny: "refused" }[answer.decision];
  const which = answer.nonce ? `Request ${answer.nonce}` : "The request";
  const left = (c.permission_requests ?? []).map((p) => asked(c, p));
  const once = answer.repeated ? `\n${REPEATED}` : "";
  return [`${which} is ${said}; ${c.agent} is told (${id}).${once}`, ...left].join("\n");
}

/** A turn was stopped. */
export function cancelled(answer) {
  const c = answer.conversation;
  const id = shortId(c.conversation_id);
  if (answer.nothing_to_cancel) return `${c.agent} was not working (${id}). /akk close ${id} ends the conversation.`;
  return `${c.agent} was asked to stop (${id}); the conversation stays.${dropped(answer)}`;
}

/** A conversation was ended. */
export function closed(answer) {
  const c = answer.conversation;
  const id = shortId(c.conversation_id);
  if (c.status === "cancelling") return `${c.agent} is asked to stop, then the conversation is closed (${id}).${dropped(answer)}`;
  return `Closed (${id}).${dropped(answer)}`;
}

/** Native sessions. */
export function sessions(found, asked) {
  if (asked.scope === "capabilities") return found.providers.map(provider).join("\n");
  if (found.total === 0) {
    const of = asked.scope === "active" ? "No Codex session is run by a process now" : asked.text ? `No Codex session fits "${oneLine(asked.text, 60)}"` : "There are no Codex sessions yet";
    return `${of}.${incomplete(found)}`;
  }
  const shown = found.sessions.slice(0, LINES);
  const lines = shown.map((s) => {
    const live = s.holders?.length ? `, process ${s.holders[0].pid}${s.activity === "working" ? " works" : ""}` : "";
    const adopted = s.conversation_id ? `, already ${shortId(s.conversation_id)}` : "";
    return `${s.session_id}${live}${adopted}: ${oneLine(s.title ?? "without a title", HEAD)}`;
  });
  const left = found.total - shown.length;
  if (left > 0) lines.push(`and ${left} more: akkctl sessions`);
  return `${counted(found.total, "Codex session")}:\n${lines.join("\n")}\nTo go on with one: /akk takeover <session>${incomplete(found)}`;
}

/** What a takeover came to, and what can be typed next. */
export function takeover(answer) {
  const id = answer.session.session_id;
  const said = [stop(answer.explanation), answer.hint && stop(answer.hint)].filter(Boolean).join(" ");
  switch (answer.status) {
    case "attached":
    case "forked": {
      const short = shortId(answer.conversation.conversation_id);
      return `${said}\nIt is conversation ${short} now. Go on: /akk send ${short} <message>`;
    }
    case "requires_confirmation": {
      const { target, children = [], activity } = answer.plan;
      const more = children.length ? ` and ${counted(children.length, "process", "processes")} that it started` : "";
      const works = activity === "working" ? " A turn runs in it." : "";
      return `${said}\nNothing was done. It would end process ${target.pid} (${oneLine(target.command?.join(" ") ?? "", 120)})${more}.${works}\nIf that is what you want: /akk takeover ${id} terminate ${target.pid}`;
    }
    case "awaiting_openclaw_summary":
      return `Nothing was done. A fork begins with a summary that you confirm. Ask me in your own words to take over session ${id} with a fork, and I write one; or write it yourself: /akk takeover ${id} fork <summary>`;
    default: {
      const ways = (answer.strategies ?? []).map((s) => `${WAYS[s.strategy] ?? s.strategy}: ${stop(s.explanation)}`);
      const go = answer.status === "ready" ? [`To do it: /akk takeover ${id} ${WAYS[answer.strategy] ?? answer.strategy}`] : [];
      return ["Nothing was done.", said, ...ways, ...go].filter(Boolean).join("\n");
    }
  }
}

/** An error: what was wrong, and what to do. */
export function error({ message, hint }) {
  return plain([message, hint && typedHere(hint)].filter(Boolean).join(" "));
}

/** akkd's hints are for a shell: what a chat can do itself is named as it is typed there. */
function typedHere(hint) {
  const commands = /\bakkctl (list|status|send|permit|cancel|close|recover|sessions)\b( --all)?/g;
  return hint.replace(commands, (_, word, all) => `/akk ${word}${all ? " all" : ""}`);
}

/** A permission request that waits, and what can be typed about it. */
function asked(c, p) {
  const id = shortId(c.conversation_id);
  const typed = { allow: "allow", allow_always: "always", deny: "deny" };
  const ways = p.answers.map(({ answer }) => `/akk permit ${id} ${p.nonce} ${typed[answer]}`);
  const until = p.deadline ? ` (refused at ${p.deadline} if nobody answers)` : "";
  return `It asks for a permission${until}: ${oneLine(p.title, 200)}\n${long(plain(p.text), REPORT, `akkctl status ${id}`)}\n${ways.join(" · ")}`;
}

/** Several conversations are open and none was named. */
export function which(page) {
  return `Which one? Put its id behind the word. ${list(page, false)}`;
}

const WAYS = { safe_resume: "resume", attach: "attach", terminate_then_resume: "terminate", fork: "fork" };

/** A status in a few words. */
function status(c) {
  if (c.needs === "permission") return "waits for a permission";
  switch (c.status) {
    case "created":
    case "running":
    case "waiting_for_agent":
      return "works";
    case "waiting_for_openclaw":
      return "waits for an answer";
    case "idle":
      return idle(c);
    case "cancelling":
      return "is asked to stop";
    case "needs_recovery":
      return "its session is lost";
    case "needs_model_selection":
      return "refused the model";
    default:
      return c.status;
  }
}

/** How an idle conversation came to rest; a line of a list does not tell it. */
function idle(c) {
  if (!("turn" in c) && !("executor" in c)) return "idle";
  if (!c.turn) return "ready, nothing was sent yet";
  return c.turn.outcome === "cancelled" ? "stopped, can be used again" : "done, can be used again";
}

/** Who needs a person comes first, who is through comes last. */
function urgency(c) {
  if (c.needs === "permission") return 0;
  switch (c.status) {
    case "waiting_for_openclaw":
    case "needs_recovery":
    case "needs_model_selection":
    case "stalled":
    case "failed":
      return 0;
    case "idle":
      return 2;
    case "cancelled":
    case "closed":
      return 3;
    default:
      return 1;
  }
}

function next(c, id) {
  switch (c.status) {
    case "waiting_for_openclaw":
      return `/akk send ${id} <answer> · /akk cancel ${id}`;
    case "idle":
    case "failed":
      return `/akk send ${id} <message> · /akk close ${id}`;
    case "stalled":
      return `/akk send ${id} <message> · /akk recover ${id} · /akk close ${id}`;
    case "needs_recovery":
      return `/akk recover ${id} · /akk close ${id}`;
    case "needs_model_selection":
      return `/akk send ${id} model=<model> · /akk close ${id}`;
    case "cancelled":
    case "closed":
      return undefined;
    default:
      return `/akk send ${id} <message> · /akk cancel ${id}`;
  }
}

function whereTold(c, here) {
  if (!c.orchestrator) return "It was begun in a shell, so its report is not told here: akkctl wait shows it.";
  return c.orchestrator === here ? "You hear here when it asks or is done." : "Its report goes to the chat that began it.";
}

function dropped(answer) {
  const count = answer.dropped?.length ?? 0;
  return count ? ` ${counted(count, "message")} that waited ${count === 1 ? "was" : "were"} dropped.` : "";
}

function provider(p) {
  const can = p.abilities.filter((a) => a.works).map((a) => a.name);
  const not = p.abilities.filter((a) => !a.works).map((a) => `${a.name}: ${stop(a.reason ?? "not here")}`);
  return [`${p.agent}: ${counted(p.sessions, "session")} in ${p.homes.join(", ")}`, `Works: ${can.join(", ") || "nothing"}`, ...not].join("\n");
}

function incomplete(found) {
  return found.incomplete?.length ? `\nNot everything could be read: ${stop(found.incomplete[0])}` : "";
}

function counted(n, one, many = `${one}s`) {
  return `${n} ${n === 1 ? one : many}`;
}

function oneLine(text, limit) {
  const line = String(text).replace(/\s+/g, " ").trim();
  return line.length > limit ? `${line.slice(0, limit).trimEnd()}…` : line;
}

function long(text, limit, rest) {
  const trimmed = text.trim();
  return trimmed.length > limit ? `${trimmed.slice(0, limit).trimEnd()}… (cut; all of it: ${rest})` : trimmed;
}

/** akkd's words without the marks around commands, which a chat may show. */
function plain(text) {
  return text.replaceAll("`", "\"");
}

function stop(text) {
  const trimmed = plain(text.trim());
  return /[.!?…]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}
