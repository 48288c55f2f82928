// Behind a slow proxy that loses answers, nothing is made twice, and every button shows that it was pressed.

import assert from "node:assert/strict";
import { api, flow, person, secretOn, server, signUp, step, withScripts } from "./browser.mjs";
import { slowProxy } from "./slow_proxy.mjs";

const ROUNDS = 3;
const seed = Number(process.env.REMOTEGPU_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
console.log(`REMOTEGPU_TEST_SEED=${seed}`);

await flow(async (direct) => {
  const name = withScripts ? "slow" : "slow-without-scripts";
  await signUp(direct, name);
  const proxy = await slowProxy(server, seed);
  // The proxy loses answers; the browser says so, and of that alone.
  const faults = [];
  const page = await person({ at: proxy.url, faults });
  await page.context().addCookies((await direct.context().cookies()).map((cookie) => ({ ...cookie })));

  const isLost = () => page.url().startsWith("chrome-error:") || page.evaluate(() => !document.querySelector("main"));
  /** What somebody does who sees the browser's own page: they load it again, the form with it. */
  const until = async (act) => {
    await act().catch((error) => { if (!/net::|interrupted/.test(error.message)) throw error; });
    for (let again = 0; again < 20; again++) {
      await page.waitForLoadState().catch(() => {});
      if (!(await isLost())) return;
      await page.reload().catch(() => {});
    }
    assert.fail("the proxy is worse than it should be");
  };
  const visit = (address) => until(() => page.goto(address));
  /** Presses the button of the dialog, impatiently, and waits for what comes of it. */
  const send = async (label) => {
    const button = page.getByRole("dialog").getByRole("button", { name: label, exact: true });
    const shown = withScripts && page.waitForFunction(() => document.querySelector("dialog button[aria-busy=true]:disabled"), undefined, { polling: 20 });
    const before = await page.evaluate(() => performance.timeOrigin);
    await button.dblclick({ noWaitAfter: true });
    if (shown) await shown;
    await until(() => page.waitForFunction((old) => performance.timeOrigin !== old, before));
  };

  const secrets = [];
  await step("Namespaces and keys, each once", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await visit("/kubernetes?create=1");
      await page.getByLabel("Name", { exact: true }).fill(`namespace-${round}`);
      await send("Create namespace");
      await page.getByRole("heading", { level: 1, name: `namespace-${round}` }).waitFor();

      await visit(`/settings/api-keys?create=1&name=key-${round}`);
      await page.getByRole("radio", { name: "Inference", exact: true }).check();
      await send("Create API key");
      await page.getByRole("heading", { level: 1, name: "API key created" }).waitFor();
      secrets.push(await secretOn(page));
    }
  });

  await step("A key is rotated once", async () => {
    const { items } = await api(direct, "GET", "/v1/account/api-keys");
    await visit(`/settings/api-keys/${items[0].id}?rotate=1`);
    await page.getByLabel(/old secret works/i).selectOption("1 hour");
    await send("Rotate key");
    await page.getByRole("heading", { level: 1, name: "API key rotated" }).waitFor();
    secrets.push(await secretOn(page));
  });

  await step("What was shown works, and there is nothing else", async () => {
    const of = async (path) => (await api(direct, "GET", path)).items.map((one) => one.name).sort();
    const numbered = (what) => Array.from({ length: ROUNDS }, (_, index) => `${what}-${index}`);
    assert.deepEqual(await of("/v1/kubernetes/namespaces"), numbered("namespace"));
    assert.deepEqual(await of("/v1/account/api-keys"), numbered("key"));
    for (const secret of secrets) {
      const answer = await fetch(`${server}/v1/auth/key`, { headers: { "x-api-key": secret } });
      assert.equal(answer.status, 200);
    }
  });
  console.log(JSON.stringify(proxy));
  await page.context().close();
  proxy.stop();
  assert.deepEqual(faults.filter((fault) => !/net::ERR_/.test(fault)), []);
});
