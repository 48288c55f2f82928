// Namespaces: made, renamed, deleted by typing the name; and what is wrong with a name stands at its field.

import assert from "node:assert/strict";
import { api, described, flow, headed, isFocused, press, signUp, step, withScripts } from "./browser.mjs";

await flow(async (page) => {
  await signUp(page, withScripts ? "namespaces" : "namespaces-without-scripts");
  const dialog = page.getByRole("dialog");
  const main = page.getByRole("main");
  const name = page.getByLabel("Name", { exact: true });
  const listed = async () => (await api(page, "GET", "/v1/kubernetes/namespaces")).items.map((namespace) => namespace.name);
  const open = async () => {
    await page.goto("/kubernetes");
    await press(page, "Create namespace");
    await dialog.waitFor();
  };

  await step("A name that the browser can judge is not sent", async () => {
    await open();
    assert(await isFocused(name));
    for (const wrong of ["", "Team ML", "-team", "team_ml"]) {
      await name.fill(wrong);
      await dialog.getByRole("button", { name: "Create namespace" }).click();
      assert(await name.evaluate((field) => !field.validity.valid), `"${wrong}" is wrong while it is typed`);
      assert(await isFocused(name));
    }
    assert.deepEqual(await listed(), []);
  });

  await step("What the server refuses stands at the field, with what was typed and the focus", async () => {
    for (const wrong of ["Team ML", "-team", "x".repeat(200)]) {
      await open();
      // As a browser sends it that does not judge.
      await name.evaluate((field) => { field.form.noValidate = true; field.removeAttribute("maxlength"); });
      await name.fill(wrong);
      await press(page, "Create namespace");
      await page.locator("[aria-invalid=true]").waitFor();
      assert.match(await described(name), /^.*Name must/, "the sentence belongs to its field");
      assert.equal(await name.inputValue(), wrong);
      assert(await isFocused(name), "the focus is where something is wrong");
    }
    assert.deepEqual(await listed(), []);
  });

  await step("A namespace is made and says what it is", async () => {
    await open();
    await name.fill("first");
    await press(page, "Create namespace");
    await headed(page, "first");
    await main.getByText("active", { exact: true }).first().waitFor();
    const { items: [made] } = await api(page, "GET", "/v1/kubernetes/namespaces");
    for (const told of [made.kubernetes_namespace, made.cluster, made.id]) await main.getByText(told, { exact: true }).first().waitFor();
    assert(page.url().endsWith(`/kubernetes/${made.id}`));
  });

  await step("A name that is taken is told as that", async () => {
    await open();
    await name.fill("first");
    await press(page, "Create namespace");
    await dialog.getByText(/already|exists|in use|taken/i).first().waitFor();
    assert.equal(await name.inputValue(), "first");
    assert.deepEqual(await listed(), ["first"]);
    await dialog.getByRole("link", { name: "Cancel" }).click();
    await dialog.waitFor({ state: "detached" });
  });

  await step("It is renamed; the cluster's name stays", async () => {
    await page.getByRole("link", { name: "first" }).click();
    await headed(page, "first");
    const { items: [{ kubernetes_namespace: inside }] } = await api(page, "GET", "/v1/kubernetes/namespaces");
    await press(page, "Rename");
    await dialog.waitFor();
    assert.equal(await name.inputValue(), "first");
    await name.fill("second");
    await press(page, "Rename namespace");
    await headed(page, "second");
    await main.getByText(inside, { exact: true }).first().waitFor();
    assert.deepEqual(await listed(), ["second"]);
    await page.reload();
    await headed(page, "second");
  });

  await step("It is deleted by who types its name, and by nobody else", async () => {
    await press(page, "Delete namespace");
    await dialog.getByText(/cannot be undone/i).waitFor();
    const typed = dialog.getByLabel(/Type second/);
    assert(await isFocused(typed));
    await typed.fill("first");
    await press(page, "Delete namespace");
    await page.locator("[aria-invalid=true]").waitFor();
    assert.equal(await typed.inputValue(), "first");
    assert(await isFocused(typed));
    assert.deepEqual(await listed(), ["second"]);
    const own = new URL(page.url()).pathname.replace(/\/delete$/, "");
    await typed.fill("second");
    await press(page, "Delete namespace");
    await headed(page, "Kubernetes");
    await gone(page, own);
    assert.deepEqual(await listed(), []);
  });

  if (withScripts) {
    await step("A page follows what others do", async () => {
      const made = await api(page, "POST", "/v1/kubernetes/namespaces", { name: "followed" });
      await page.goto("/kubernetes");
      await page.getByRole("link", { name: "followed" }).waitFor();
      await page.mouse.move(2, 2);
      await api(page, "PATCH", `/v1/kubernetes/namespaces/${made.id}`, { name: "renamed" });
      // As if the tab came to the front.
      await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
      await page.getByRole("link", { name: "renamed" }).waitFor();
      await page.getByRole("link", { name: "renamed" }).click();
      await headed(page, "renamed");
      await api(page, "DELETE", `/v1/kubernetes/namespaces/${made.id}`);
      await page.mouse.move(2, 2);
      await gone(page, new URL(page.url()).pathname, () => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange"))));
    });
  }
});

/** Waits until the page is one of nothing; until then it says `deleting`. */
async function gone(page, address, look = () => page.goto(address)) {
  for (;;) {
    // The page may be on its way to another by itself.
    await look().catch(() => {});
    const text = await page.getByRole("main").innerText().catch(() => "");
    if (/There is nothing here/.test(text)) return;
    await page.waitForTimeout(100);
  }
}
