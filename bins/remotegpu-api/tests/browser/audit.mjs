// Who did what: filters that stand in the address, and a file of the same.

import assert from "node:assert/strict";
import { api, flow, headed, press, signUp, step, withScripts } from "./browser.mjs";

await flow(async (page) => {
  await signUp(page, withScripts ? "audit" : "audit-without-scripts");
  const made = await api(page, "POST", "/v1/kubernetes/namespaces", { name: "watched" });
  const keys = [];
  for (let index = 0; index < 60; index++) {
    keys.push(await api(page, "POST", "/v1/account/api-keys", { name: `=key ${index}`, scopes: { inference: true } }));
    await api(page, "POST", `/v1/account/api-keys/${keys[index].id}/revoke`);
  }
  const main = page.getByRole("main");
  const rows = () => page.getByRole("table").getByRole("row").count().then((count) => count - 1);
  const show = () => press(page, "Show events");

  if (withScripts) {
    await step("Whoever watches pages sees what they must not do", async () => {
      await page.evaluate(async (elsewhere) => {
        const script = document.createElement("script");
        script.textContent = "document.title = 'run'";
        document.body.append(script);
        await fetch(elsewhere).catch(() => {});
      }, "http://127.0.0.1:9/");
      assert.notEqual(await page.title(), "run");
      const seen = page.faults.splice(0).join("\n");
      assert.match(seen, /inline script[^]*Content Security Policy/);
      assert.match(seen, /http:\/\/127\.0\.0\.1:9\//);
    });
  }

  await step("The newest come first, the rest is a link away", async () => {
    await page.getByRole("navigation").getByRole("link", { name: "Audit" }).click();
    await headed(page, "Settings / Audit");
    const first = await page.getByRole("row").nth(1).innerText();
    assert.match(first, /api_key\.revoked/);
    assert.match(await page.getByRole("row").nth(2).innerText(), /=key 59/);
    const seen = await rows();
    await page.getByRole("link", { name: "Load more" }).click();
    await page.waitForURL(/cursor=/);
    assert(!(await main.innerText()).includes("=key 59"), "the second page goes on");
    assert(seen > 10);
  });

  await step("Filters stand in the address", async () => {
    await page.goto("/settings/audit");
    const actions = await page.getByLabel("Action").locator("option").allInnerTexts();
    const action = actions.find((word) => /namespace.*create/.test(word)) ?? assert.fail(actions.join());
    await page.getByLabel("Action").selectOption(action);
    await show();
    await page.waitForURL((url) => url.searchParams.get("action") === action);
    assert.equal(await rows(), 1);
    await page.reload();
    assert.equal(await page.getByLabel("Action").inputValue(), action);
    assert.equal(await rows(), 1);

    await page.goto("/settings/audit");
    await page.getByLabel("Subject").fill(keys[3].id);
    await show();
    await page.waitForURL((url) => url.searchParams.get("subject") === keys[3].id);
    assert.equal(await rows(), 2);
    await page.getByLabel("From").fill("2100-01-01");
    await show();
    await main.getByText(/Nothing of this kind/).waitFor();
    await page.goto(`/settings/audit?subject=${made.id}`);
    await page.getByLabel("Subject").and(page.locator(`[value="${made.id}"]`)).waitFor();
    await page.getByRole("row").filter({ hasText: "watched" }).first().waitFor();
  });

  await step("A filter that is wrong is told at its field", async () => {
    await page.goto("/settings/audit");
    await page.getByLabel("Actor").fill("somebody");
    await show();
    await main.getByText(/Actor must be an identifier/).waitFor();
    assert.equal(await page.getByLabel("Actor").inputValue(), "somebody");
  });

  await step("A file holds the same events, and no formula", async () => {
    await page.goto(`/settings/audit?subject=${keys[3].id}`);
    const downloads = page.waitForEvent("download");
    await page.getByRole("link", { name: "Download CSV" }).click();
    const file = (await (await (await downloads).createReadStream()).toArray()).join("");
    const lines = file.trimEnd().split("\r\n");
    assert.equal(lines.length, 3, file);
    assert.match(lines[0], /^"occurred_at","action"/);
    for (const line of lines.slice(1)) {
      assert(line.includes(keys[3].id), line);
      for (const cell of line.split('","')) assert(!/^"?[=+@-]/.test(cell), line);
    }
  });
});
