/** What a person typed behind `/akk`, understood. Pure: it asks nobody. */

import { agentNamed } from "./requests.js";

/** How a person names a strategy; the wire names do too. */
const STRATEGIES = new Map([
  ["resume", "safe_resume"],
  ["safe_resume", "safe_resume"],
  ["attach", "attach"],
  ["terminate", "terminate_then_resume"],
  ["terminate_then_resume", "terminate_then_resume"],
  ["fork", "fork"],
]);

/** How a person answers a permission request; the wire names do too. */
const DECISIONS = new Map([
  ["allow", "allow"],
  ["always", "allow_always"],
  ["allow_always", "allow_always"],
  ["deny", "deny"],
]);

/**
 * What is to be done. `wrong` says in words why it is not understood.
 * @typedef {{verb: "help"}
 *   | {verb: "delegate", request: string, agent?: string}
 *   | {verb: "list", all: boolean, agent?: string}
 *   | {verb: "status" | "cancel" | "recover", id: string}
 *   | {verb: "send", id: string, message?: string, model?: string, doubt?: string}
 *   | {verb: "permit", id: string, nonce?: string, decision: "allow" | "allow_always" | "deny"}
 *   | {verb: "close", id: string, reason?: string}
 *   | {verb: "sessions", scope: "sessions" | "active" | "capabilities", text?: string}
 *   | {verb: "takeover", session: string, strategy?: string, pid?: number, summary?: string}
 *   | {verb: "wrong", wrong: string}} Command
 */

/**
 * Reads a command line.
 *
 * An id is the whole id of a conversation, a part that only an id has, `@last`, or nothing where akkd is to take the
 * only open one.
 * @param {string} typed
 * @returns {Command}
 */
export function parsed(typed) {
  const { word, rest } = split(typed.trim());
  switch (word.toLowerCase()) {
    case "":
    case "help":
    case "?":
      return rest ? task(typed) : { verb: "help" };
    case "list":
      return list(rest);
    case "status":
    case "cancel":
    case "recover":
      return oneId(word.toLowerCase(), rest);
    case "send":
      return send(rest);
    case "close":
      return close(rest);
    case "sessions":
      return sessions(rest);
    case "takeover":
      return takeover(rest);
    case "permit":
      return permit(rest);
    default:
      return task(typed);
  }
}

function task(typed) {
  const { word, rest } = split(typed.trim());
  const agent = agentNamed(word.replace(/[:：]$/, ""));
  if (!agent) return { verb: "delegate", request: typed.trim() };
  if (!rest) return wrong(`What is ${agent} to do? Type: /akk ${agent} <task>`);
  if (agent === "codex" && ["sessions", "active", "capabilities"].includes(rest.toLowerCase())) return sessions(rest);
  return { verb: "delegate", agent, request: rest };
}

function list(rest) {
  const words = rest.toLowerCase().split(/\s+/).filter(Boolean);
  const all = words.includes("all");
  const [agent, ...more] = words.filter((word) => word !== "all");
  if (more.length > 0) return notACommand("list", "[all] [agent]");
  return { verb: "list", all, agent: agent && (agentNamed(agent) ?? agent) };
}

function oneId(verb, rest) {
  if (/\s/.test(rest)) return notACommand(verb, "<id>");
  return { verb, id: rest };
}

function send(rest) {
  const { word, rest: after } = split(rest);
  const named = isId(word);
  const { model, message } = withModel(named ? after : rest);
  if (!message && !model) {
    return wrong(`What is the message? Type: /akk send ${named ? word : "<id>"} <message>`);
  }
  // A word such as "added" can be the end of an id as well as the beginning of a message: akkd knows.
  const doubt = !named && /^[a-f]{4,8}$/i.test(word) && after ? word : undefined;
  return { verb: "send", id: named ? word : "", message, model, doubt };
}

function withModel(text) {
  const { word, rest } = split(text);
  const model = /^model=(\S+)$/i.exec(word)?.[1];
  return model ? { model, message: rest || undefined } : { message: text || undefined };
}

function permit(rest) {
  const words = rest.split(/\s+/).filter(Boolean);
  const decision = DECISIONS.get(words.pop()?.toLowerCase());
  const [id = "", nonce, ...more] = words;
  if (!decision || more.length > 0) return notACommand("permit", "<id> [request] allow | always | deny");
  return { verb: "permit", id, nonce, decision };
}

function close(rest) {
  const { word, rest: reason } = split(rest);
  if (!word) return { verb: "close", id: "" };
  // Nothing is ended by a guess: a reason needs an id in front.
  if (!isId(word) && (reason || !/^[0-9a-f]+$/i.test(word))) return notACommand("close", "<id> [reason]");
  return { verb: "close", id: word, reason: reason || undefined };
}

function sessions(rest) {
  const { word, rest: after } = split(rest);
  const known = agentNamed(word);
  if (known === "codex") return sessions(after);
  if (known) return wrong(`Sessions of ${known} cannot be looked at yet, only those of codex.`);
  const scope = word.toLowerCase();
  if ((scope === "active" || scope === "capabilities") && !after) return { verb: "sessions", scope };
  if (scope === "sessions" && !after) return { verb: "sessions", scope };
  return { verb: "sessions", scope: "sessions", text: rest || undefined };
}

function takeover(rest) {
  const first = split(rest);
  if (agentNamed(first.word) === "codex") return takeover(first.rest);
  if (!first.word) return wrong("Which session? /akk sessions shows them. Type: /akk takeover <session>");
  const { word, rest: after } = split(first.rest);
  const strategy = STRATEGIES.get(word.toLowerCase());
  const usage = "Type: /akk takeover <session> [resume | attach | terminate [pid] | fork [summary]]";
  if (word && !strategy) return wrong(`"${cut(word)}" is no way to take over a session. ${usage}`);
  const command = { verb: "takeover", session: first.word, strategy };
  if (!after) return command;
  if (strategy === "fork") return { ...command, summary: after };
  if (strategy === "terminate_then_resume" && /^\d{1,10}$/.test(after)) return { ...command, pid: Number(after) };
  return wrong(`"${cut(after)}" is not understood. ${usage}`);
}

/** Whether a word can only be meant as an id: 4 or more hex digits with a figure among them, or 8. */
function isId(word) {
  if (word === "@last" || /^task-[0-9a-z-]+$/i.test(word)) return true;
  if (/^\d{8}T\d{6}(-[0-9a-f]{0,8})?$/i.test(word)) return true;
  return /^[0-9a-f]{4,8}$/i.test(word) && (/\d/.test(word) || word.length === 8);
}

function notACommand(verb, usage) {
  return wrong(`Type: /akk ${verb} ${usage}. If this is a task that begins with "${verb}", type /akk codex ${verb} …`);
}

function wrong(words) {
  return { verb: "wrong", wrong: words };
}

function split(text) {
  const at = text.search(/\s/);
  return at < 0 ? { word: text, rest: "" } : { word: text.slice(0, at), rest: text.slice(at).trim() };
}

function cut(text) {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
