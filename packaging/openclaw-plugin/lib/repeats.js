/**
 * A command that is handled twice is done once.
 *
 * OpenClaw hands a chat's message to its command again when the answer could not be sent (2026.9: Telegram, after 1 s
 * up to every 3 min, for a day) and when the gateway died in between. What tells a message from the next one is its id,
 * which a command does not get; where the hook `message_received` told it before, it is taken. Otherwise (Telegram's
 * native commands) the same words of the same person in the same session count as the same command until the answer
 * was sent, which the hook `message_sent` tells, or {@link WINDOW_MS} went by without another attempt.
 */

import { createHash } from "node:crypto";

/** Longer than the longest pause between two attempts, in ms. */
export const WINDOW_MS = 5 * 60_000;
/** Commands and messages that are remembered at most. */
const REMEMBERED = 500;

const MEMORY = Symbol.for("agent-knock-knock.commands");

/**
 * The call that a command makes, now or again.
 * @param {{gateway: string, session: string, sender: string, words: string}} who
 * @param {number} [now] in ms
 * @returns {{requestId: string, answered: (text: string) => void}} by which akkd answers a repeat; and what is to be
 *   told what the person gets to read
 */
export function commandCall({ gateway, session, sender, words }, now = Date.now()) {
  const { commands, messages } = memory();
  const said = saidIn(session, words);
  const message = messages.get(said);
  if (message !== undefined) {
    messages.delete(said);
    return { requestId: requestId(gateway, said, message), answered: () => {} };
  }
  const key = `${said}\n${sender}`;
  const command = sameOrNext(commands.get(key), gateway, key, now);
  command.at = now;
  keep(commands, key, command);
  return {
    requestId: command.requestId,
    answered(text) {
      command.answer = text;
    },
  };
}

/** The command that is under way with these words, else another one. */
function sameOrNext(former, gateway, key, now) {
  if (former && !former.over && now - former.at <= WINDOW_MS) return former;
  // The first one's id follows from the words and the time, in steps, so that it is the same when the gateway died and
  // forgot; a further one in the same step gets the next number.
  const step = Math.floor(now / WINDOW_MS);
  const count = former?.step === step ? former.count + 1 : 0;
  return { step, count, requestId: requestId(gateway, key, step, count), over: false };
}

/**
 * Watches what tells one command from the next: answers that were sent, and messages that came in.
 * @param {object} api the plugin's api
 */
export function watchRepeats(api) {
  api.on("message_sent", (event) => {
    if (event.success === true) sent(event.content);
  });
  api.on("message_received", (event, ctx) => {
    received(event.sessionKey ?? ctx?.sessionKey, event.content, event.messageId ?? ctx?.messageId);
  });
}

/**
 * A text has reached its chat. Where it is the answer to a command, the next one with the same words is another one.
 * @param {unknown} text
 */
export function sent(text) {
  if (typeof text !== "string") return;
  for (const command of memory().commands.values()) {
    // The gateway may have put its prefix in front.
    if (command.answer && text.includes(command.answer)) command.over = true;
  }
}

/**
 * A message has come in; if it is a command, that is run after this.
 * @param {unknown} session
 * @param {unknown} text
 * @param {unknown} id the chat's id of the message
 */
export function received(session, text, id) {
  if (typeof session !== "string" || typeof text !== "string" || typeof id !== "string") return;
  if (/^\s*\/akk\b/i.test(text)) keep(memory().messages, saidIn(session, text), id);
}

function requestId(...facts) {
  return `openclaw:${createHash("sha256").update(JSON.stringify(facts)).digest("hex").slice(0, 40)}`;
}

function saidIn(session, words) {
  return `${session}\n${words.trim()}`;
}

function keep(map, key, value) {
  map.delete(key);
  map.set(key, value);
  if (map.size > REMEMBERED) map.delete(map.keys().next().value);
}

/** The same in every evaluation of the plugin in this process. */
function memory() {
  return (globalThis[MEMORY] ??= { commands: new Map(), messages: new Map() });
}
