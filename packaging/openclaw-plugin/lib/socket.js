/** Where akkd listens: found as akkctl finds it. */

import fs from "node:fs";
import os from "node:os";
import path from "node:path";

/** Longest path of a Unix socket that works everywhere, in bytes (macOS). */
const MAX_SOCKET_PATH = 103;

/**
 * akkd's control socket: the plugin's configuration, else the environment, else the platform's directories.
 * @param {{socketPath?: string} | undefined} config the plugin's configuration
 * @param {NodeJS.ProcessEnv} [env]
 * @param {{home?: string, platform?: string, uid?: number, runtime?: string}} [machine] what else it follows from
 * @returns {string} an absolute path
 */
export function socketPath(config, env = process.env, machine = {}) {
  const { home = os.homedir(), platform = process.platform, uid = process.getuid?.() ?? 0 } = machine;
  const { runtime = `/run/user/${uid}` } = machine;
  const configured = config?.socketPath?.trim();
  if (configured) return path.resolve(configured.replace(/^~(?=\/|$)/, home));
  if (env.AKK_SOCKET) return path.resolve(env.AKK_SOCKET);
  return path.join(short(runDirectory(env, { home, platform, uid, runtime }), uid), "akkd.sock");
}

function runDirectory(env, { home, platform, uid, runtime }) {
  if (env.AKK_HOME) return path.join(path.resolve(env.AKK_HOME), "run");
  // macOS has neither a directory for sockets nor one for state; relative values do not count (XDG).
  if (platform === "darwin") return path.join(home, "Library", "Application Support", "akk", "run");
  if (absolute(env.XDG_RUNTIME_DIR)) return path.join(env.XDG_RUNTIME_DIR, "akk");
  // What systemd made for the user counts also where a gateway's environment does not name it, as with cron or su.
  if (platform === "linux" && ownAlone(runtime, uid)) return path.join(runtime, "akk");
  const state = absolute(env.XDG_STATE_HOME) ? env.XDG_STATE_HOME : path.join(home, ".local", "state");
  return path.join(state, "akk", "run");
}

function ownAlone(folder, uid) {
  const stat = fs.lstatSync(folder, { throwIfNoEntry: false });
  return stat !== undefined && stat.isDirectory() && stat.uid === uid && (stat.mode & 0o077) === 0;
}

function absolute(value) {
  return typeof value === "string" && path.isAbsolute(value);
}

/** The directory, or akkd's short one under /tmp when a socket in it would have too long a name. */
function short(run, uid) {
  const bytes = Buffer.from(run);
  if (bytes.length + "/callback.sock".length <= MAX_SOCKET_PATH) return run;
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return `/tmp/akk-${uid}-${hash.toString(16).padStart(16, "0")}`;
}
