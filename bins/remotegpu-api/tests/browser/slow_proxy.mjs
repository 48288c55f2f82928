// A bad way to the server: each chunk takes its time in both directions, some take much longer, and some
// answers are cut after the server has taken the request.

import { connect, createServer } from "node:net";

const DELAY = 200;
const HELD = { of: 100, for: 1000 };
const CUT = 20;
// There are few forms beside pages and assets; without this most runs would lose the answer to none.
const CUT_OF_FORMS = 3;

/** Numbers that look random and are the same for the same seed (mulberry32). */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export function slowProxy(target, seed) {
  const random = numbers(seed);
  const { hostname, port } = new URL(target);
  const proxy = { cuts: 0, formsCut: 0, forms: 0 };
  const listener = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    const sockets = [client, upstream];
    for (const socket of sockets) {
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => sockets.forEach((other) => setTimeout(() => other.destroy(), 3 * DELAY)));
    }
    // What the next answer is to: nothing is asked before something was sent.
    let asked;
    const pass = (from, to, passed) => {
      let last = Promise.resolve();
      from.on("data", (sent) => {
        const chunk = passed(sent);
        if (!chunk) return;
        const due = Date.now() + DELAY + (random() * HELD.of < 1 ? HELD.for : 0);
        last = last.then(() => new Promise((resolve) => { setTimeout(resolve, due - Date.now()); })).then(() => to.write(chunk));
      });
      from.on("end", () => { last = last.then(() => to.end()); });
    };
    pass(client, upstream, (chunk) => {
      const text = chunk.toString("latin1");
      const [, method] = text.match(/^([A-Z]+) \//) ?? [];
      if (!method) return chunk;
      asked = method === "POST" ? "form" : "page";
      // The server answers for its own address.
      const own = `127.0.0.1:${listener.address().port}`;
      return Buffer.from(text.replaceAll(own, `${hostname}:${port}`), "latin1");
    });
    pass(upstream, client, (chunk) => {
      const of = asked;
      asked = undefined;
      if (!of) return chunk;
      const isForm = of === "form";
      if (isForm) proxy.forms += 1;
      if (random() * (isForm ? CUT_OF_FORMS : CUT) >= 1) return chunk;
      proxy.cuts += 1;
      if (isForm) proxy.formsCut += 1;
      sockets.forEach((socket) => socket.destroy());
      return undefined;
    });
  });
  return new Promise((resolve) => {
    listener.listen(0, "127.0.0.1", () => {
      proxy.url = `http://127.0.0.1:${listener.address().port}`;
      proxy.stop = () => listener.close();
      resolve(proxy);
    });
  });
}
