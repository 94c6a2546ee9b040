/** A scripted akkd on a Unix socket: answers as it is told, remembers what it was asked, can vanish and come back. */

import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";

export class ScriptedAkkd {
  /** Everything asked so far: `{method, params}`. */
  asked = [];
  /** By method: `(params, connection) => result`; what it throws (`{code?, message, data?}`) is the error. */
  answers = new Map();
  #dir = mkdtempSync(path.join(os.tmpdir(), "akk-"));
  #server;
  #connections = new Set();
  #waiting = [];
  #subscriptions = 0;

  get socketPath() {
    return path.join(this.#dir, "akkd.sock");
  }

  /** Starts to listen; again after `vanish`. */
  async listen() {
    this.#server = net.createServer((socket) => this.#serve(socket));
    await new Promise((resolve) => this.#server.listen(this.socketPath, resolve));
    return this;
  }

  /** Every connection is cut; nothing listens any more. */
  async vanish() {
    for (const socket of this.#connections) socket.destroy();
    const server = this.#server;
    this.#server = undefined;
    if (server) await new Promise((resolve) => server.close(resolve));
  }

  /** The connections are cut; new ones are served. */
  cut() {
    for (const socket of this.#connections) socket.destroy();
  }

  async remove() {
    await this.vanish();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  answer(method, with_) {
    this.answers.set(method, with_);
    return this;
  }

  /** Takes subscriptions with `method`, sends `items` at once and further ones by the returned function. */
  subscriptions(method, notification, items = () => []) {
    const open = [];
    this.answer(method, (params, connection) => {
      const id = `s${++this.#subscriptions}`;
      const push = (item) =>
        connection.write(`${JSON.stringify({ jsonrpc: "2.0", method: notification, params: { subscription: id, result: item } })}\n`);
      open.push({ params, push, connection });
      connection.after = () => items(params).forEach(push);
      return id;
    });
    return open;
  }

  /** The first request that `fits`, asked already or yet to come. */
  until(fits) {
    const found = this.asked.find(fits);
    if (found) return Promise.resolve(found);
    return new Promise((resolve) => this.#waiting.push({ fits, resolve }));
  }

  #serve(socket) {
    this.#connections.add(socket);
    socket.on("close", () => this.#connections.delete(socket));
    socket.on("error", () => {});
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", async (chunk) => {
      text += chunk;
      for (let at; (at = text.indexOf("\n")) >= 0; ) {
        const line = text.slice(0, at);
        text = text.slice(at + 1);
        await this.#request(JSON.parse(line), socket);
      }
    });
  }

  async #request({ id, method, params }, socket) {
    const request = { method, params };
    this.asked.push(request);
    let reply;
    try {
      const answer = this.answers.get(method);
      if (!answer) throw { code: -32601, message: `no method ${method}`, data: { kind: "unknown_method", hint: "" } };
      reply = { result: await answer(params, socket) };
    } catch (error) {
      reply = { error: { code: error.code ?? -32603, message: error.message, data: error.data } };
    }
    if (reply.result !== undefined || reply.error) socket.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...reply })}\n`);
    socket.after?.();
    socket.after = undefined;
    for (const waiting of this.#waiting.filter((w) => w.fits(request))) {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      waiting.resolve(request);
    }
  }
}
