/** As much of OpenClaw as tools and commands see: an api that remembers what was registered, and sessions. */

import os from "node:os";

export class PlayedOpenclaw {
  tools = new Map();
  commands = new Map();
  services = [];
  hooks = new Map();
  /** By session key: what is stored of it. */
  sessions = new Map();
  logger = { info() {}, warn() {} };

  /**
   * @param {object} pluginConfig the plugin's configuration
   * @param {string} [stateDir]
   */
  constructor(pluginConfig, stateDir = os.tmpdir()) {
    this.pluginConfig = pluginConfig;
    this.runtime = {
      state: { resolveStateDir: () => stateDir },
      config: { current: () => ({}) },
      agent: {
        resolveAgentWorkspaceDir: (_config, agentId) => `/workspaces/${agentId}`,
        session: {
          getSessionEntry: ({ sessionKey }) => this.sessions.get(sessionKey),
          resolveStorePath: (_store, { agentId }) => `/sessions/${agentId}`,
        },
      },
      channel: {
        session: {
          updateLastRoute: async ({ sessionKey, storePath, deliveryContext }) =>
            void this.sessions.set(sessionKey, { sessionId: `new in ${storePath}`, deliveryContext }),
        },
      },
    };
  }

  registerTool(factory, { name }) {
    this.tools.set(name, factory);
  }

  registerCommand(command) {
    this.commands.set(command.name, command);
  }

  registerService(service) {
    this.services.push(service);
  }

  on(hook, handler) {
    this.hooks.set(hook, [...(this.hooks.get(hook) ?? []), handler]);
  }

  /** What a hook's watchers are told. */
  tell(hook, event, ctx = {}) {
    for (const handler of this.hooks.get(hook) ?? []) handler(event, ctx);
  }

  /** A model calls a tool; what it gets to read. */
  async call(name, params, ctx = {}, callId = "call-1") {
    const result = await this.tools.get(name)({ sessionKey: "agent:main:main", sessionId: "s-1", agentId: "main", ...ctx }).execute(callId, params);
    const [{ type, text }] = result.content;
    if (type !== "text" || JSON.stringify(result.details) !== text) throw new Error("text and details differ");
    return result.details;
  }

  /** A person types a command in a private Telegram chat; what the chat shows. */
  async type(line, ctx = {}) {
    const { text } = await this.commands.get("akk").handler({
      sessionKey: "agent:main:main",
      sessionId: "s-1",
      agentId: "main",
      channel: "telegram",
      from: "telegram:42",
      to: "telegram:42",
      accountId: "default",
      senderId: "42",
      commandBody: `/akk ${line}`,
      args: line.slice(0, 4096),
      ...ctx,
    });
    return text;
  }
}

/** A conversation as akkd shows it. */
export function conversation(more = {}) {
  return {
    conversation_id: "task-20260620T140525-0a1b2c3d",
    user_request: "fix the tests",
    workspace: "/workspaces/main",
    agent: "codex",
    executor: { kind: "codex", actor: "codex", session: "akk-codex-1", transport: "acp" },
    status: "waiting_for_agent",
    response_rounds_used: 1,
    soft_limit: 50,
    hard_limit: 100,
    budget_level: "normal",
    orchestrator: "agent:main:main",
    created_at: "2026-06-20T14:05:25.758Z",
    updated_at: "2026-06-20T14:05:26.000Z",
    undelivered: 0,
    recovery_policy: "auto",
    permissions: "all",
    ...more,
  };
}
