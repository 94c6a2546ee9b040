/** Waiting that can be given up. */

/**
 * @param {number} ms
 * @param {AbortSignal} [signal] ends the wait at once
 * @returns {Promise<void>} fails with the signal's reason when it was given up
 */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/**
 * Grows from `first` to `most`, doubling, with a quarter of jitter either way.
 * @param {number} attempt from 0
 * @param {number} first in ms
 * @param {number} most in ms
 */
export function backOff(attempt, first, most) {
  const plain = Math.min(most, first * 2 ** Math.min(attempt, 30));
  return plain * (0.75 + Math.random() / 2);
}
