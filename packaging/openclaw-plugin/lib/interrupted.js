/**
 * What a killed gateway had begun to tell.
 *
 * OpenClaw 2026.9 carries an interrupted run on by itself, but under the run's own id, takes the last user message for
 * its own and asks the model only to "continue": the text that was to be told is left out, and the user gets an answer
 * that does not know the news. A note for the session's next turn puts the text back. Services are started before that
 * recovery begins, and it waits for them: so this comes in time.
 */

import { messageOf } from "./arrival.js";
import { SOURCE } from "./gateway.js";

/** Keys as akkd makes them, with or without the number of an attempt. */
const KEY = /^akk:[^#]+(#\d+)?$/;

/**
 * Notes the text of every interrupted run of ours for the turn that carries it on.
 * @param {import("./gateway.js").Gateway} gateway
 * @param {Set<string>} unseen gets the keys for which that failed: an answer to those does not know the text
 * @param {{info?: Function, warn?: Function}} [logger]
 */
export async function noteInterrupted(gateway, unseen, logger) {
  for (const session of gateway.sessions()) {
    const { claim } = session;
    // After an orderly stop the run is carried on under another id, and OpenClaw adds the text itself.
    if (!session.working || session.drained || !claim || !KEY.test(claim)) continue;
    try {
      const message = messageOf(await gateway.events(session, session.id), claim);
      if (!message || message.answered) continue;
      await gateway.note(session, claim, message.text);
      logger?.info?.(`${SOURCE}: ${claim} was interrupted in ${session.key}; its text goes into the turn that carries it on`);
    } catch (error) {
      unseen.add(claim);
      logger?.warn?.(`${SOURCE}: ${claim} was interrupted in ${session.key} and is told again: ${error.message}`);
    }
  }
}
