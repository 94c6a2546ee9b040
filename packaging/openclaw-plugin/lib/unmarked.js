/**
 * Words of others, shown in a chat and not obeyed by OpenClaw.
 *
 * OpenClaw 2026.9 reads marks in what a chat is sent, also in the answer of a command: a line `MEDIA:<path or address>`
 * attaches that file, `[[reply_to:…]]` and `[[audio_as_voice]]` say how it is sent, `[[tts:…]]` what is spoken. An answer
 * of `/akk` holds words of agents, of repositories and of requests; none of them may attach a file of this computer.
 */

/** A blank without width: it is not seen, and takes a mark its meaning. */
const BLANK = "\u200b";
const MEDIA = /^(\s*media)(?=\s*:)/gim;
const TAG = /\[(?=\[\s*\/?\s*(?:audio_as_voice|reply_to|tts))/gi;

/**
 * The same text to a reader, without marks to OpenClaw.
 * @param {string} text
 * @returns {string}
 */
export function unmarked(text) {
  return text.replace(MEDIA, `$1${BLANK}`).replace(TAG, `[${BLANK}`);
}
