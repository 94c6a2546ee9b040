/** What only the owner of an OpenClaw may do: a chat may have other people in it. */

/**
 * Refuses to end a process for somebody of whom OpenClaw says that it is not its owner (2026.9: `senderIsOwner`, from
 * `commands.ownerAllowFrom`). Where it says nothing, as on its own desk, the sender is whoever has the machine.
 * @param {{senderIsOwner?: boolean}} ctx the context of a tool or a command
 */
export function assertMayEndProcesses(ctx) {
  if (ctx.senderIsOwner !== false) return;
  throw Object.assign(new Error("only the owner of this OpenClaw may end a process, so nothing was done"), {
    kind: "not_allowed",
    hint: "Run `akkctl takeover` in a shell on the gateway's machine, or name the owner in OpenClaw's commands.ownerAllowFrom.",
  });
}
