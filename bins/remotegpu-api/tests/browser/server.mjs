// A server of one's own, for who takes screenshots or tries a flow by hand; tests start theirs.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A port that nobody listens on. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const listener = createServer();
    listener.on("error", reject);
    listener.listen(0, "127.0.0.1", () => {
      const { port } = listener.address();
      listener.close(() => resolve(port));
    });
  });
}

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/** Starts a program as a server with a development cluster, and waits until it is ready. */
export async function start(program, password, settings = [], environment = {}) {
  const folder = mkdtempSync(join(tmpdir(), "remotegpu-server-"));
  const file = join(folder, "admin-password");
  writeFileSync(file, password, { mode: 0o600 });
  const [port, internal, cluster] = [await freePort(), await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const own = [
    `--listen=127.0.0.1:${port}`,
    `--internal-listen=127.0.0.1:${internal}`,
    `--dev-cluster-listen=127.0.0.1:${cluster}`,
    `--data-dir=${join(folder, "data")}`,
    "--sign-up=open",
    "--key-change-rate=1000000",
  ];
  const given = password ? [`--initial-admin-password-file=${file}`] : [];
  let said = "";
  let child;
  const server = {
    url,
    said: () => said,
    async run(more = {}) {
      child = spawn(program, [...own, ...given, ...settings], {
        env: { PATH: process.env.PATH, ...environment, ...more },
        stdio: ["ignore", "ignore", "pipe"],
      });
      process.once("exit", () => child.kill());
      child.stderr.on("data", (text) => { said += text; });
      const ended = new Promise((resolve) => { child.on("exit", resolve); });
      server.end = async () => { child.kill(); await ended; };
      for (;;) {
        const answer = await fetch(`${url}/readyz`).catch(() => undefined);
        if (answer?.ok) return;
        if (child.exitCode !== null) throw new Error(`the server ended:\n${said}`);
        await new Promise((resolve) => { setTimeout(resolve, 50); });
      }
    },
    async stop() {
      await server.end();
      rmSync(folder, { recursive: true });
    },
  };
  await server.run();
  return server;
}
