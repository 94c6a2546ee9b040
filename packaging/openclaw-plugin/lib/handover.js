/** A task goes to akkd, and to the right agent. */

/** A name in front of a request, as akkd reads it: one word and a colon, which is no address. */
const NAME = /^\s*([^\s:：]{1,64})[:：](?!\/\/)\s*(?=\S)/;

/**
 * Delegates a request: to the agent that was named with it, else to the plugin's default, else to akkd's.
 * @param {{request: string, agent?: string}} said
 * @param {object} rest the other parameters of akkd's `conversation.delegate`
 * @param {string | undefined} fallback the plugin's default agent
 * @param {(method: string, params: object) => Promise<any>} change
 * @returns {Promise<any>} akkd's answer
 */
export async function handOver({ request, agent }, rest, fallback, change) {
  const delegate = (who, what) => change("conversation.delegate", { ...rest, request: what, agent: who });
  // Without a default of our own akkd sees for itself whether the request names an agent.
  if (agent || !fallback) return delegate(agent, request);
  const named = NAME.exec(request);
  if (!named) return delegate(fallback, request);
  try {
    return await delegate(named[1], request.slice(named[0].length));
  } catch (error) {
    // Only akkd knows the names of its configuration; it says them where one is not among them.
    if (error?.kind !== "agent_unavailable" || !Array.isArray(error.details?.agents)) throw error;
    return delegate(fallback, request);
  }
}
