// API keys: made with each scope, changed, rotated, revoked, found; and the secret nowhere but where it was shown.

import assert from "node:assert/strict";
import { api, described, flow, go, headed, isNowhere, KEY, press, secretOn, server, signUp, step, withScripts } from "./browser.mjs";

const LIST = "/settings/api-keys";

await flow(async (page) => {
  const leaving = [];
  page.on("dialog", (dialog) => {
    leaving.push(dialog.type());
    dialog.accept();
  });
  await signUp(page, withScripts ? "keys" : "keys-without-scripts");
  const dialog = page.getByRole("dialog");
  const main = page.getByRole("main");
  const row = (name) => page.getByRole("row").filter({ hasText: name });
  const opened = async (secret) => {
    const answer = await fetch(`${server}/v1/auth/key`, { headers: { "x-api-key": secret } });
    return answer.ok ? (await answer.json()).scopes : answer.status;
  };
  const scopeOf = (scope) => dialog.getByRole("radio", { name: scope, exact: true });
  const fill = async ({ name, scope, reach, namespaces = [], ends, date }) => {
    if (name !== undefined) await dialog.getByLabel("Name", { exact: true }).fill(name);
    // The label lies over the whole card.
    if (scope) await scopeOf(scope).check();
    if (reach) await dialog.getByRole("radio", { name: new RegExp(`^${reach}`) }).check();
    for (const namespace of namespaces) await dialog.getByRole("checkbox", { name: namespace }).check();
    if (ends) await dialog.getByLabel("Ends", { exact: true }).selectOption(ends);
    if (date) await dialog.getByLabel("The date").fill(date);
  };
  const create = async (draft) => {
    await page.goto(LIST);
    await press(page, "Create API key");
    await dialog.waitFor();
    await fill(draft);
    await press(page, "Create API key");
    await headed(page, "API key created");
    return secretOn(page);
  };
  const save = async () => {
    await press(page, "I have saved this key");
    await main.getByText("Identifier").waitFor();
  };
  const change = async (draft) => {
    await press(page, "Change");
    await dialog.waitFor();
    await fill(draft);
    await press(page, "Change key");
    await dialog.waitFor({ state: "detached" });
  };

  const one = await api(page, "POST", "/v1/kubernetes/namespaces", { name: "one" });
  const two = await api(page, "POST", "/v1/kubernetes/namespaces", { name: "two" });

  await step("An empty list says what a key is for, and holds the button", async () => {
    await page.goto(LIST);
    await main.getByText("You have none yet").waitFor();
  });

  await step("One key for each scope", async () => {
    const scopes = [
      [{ scope: "Inference" }, { inference: true }, "Inference"],
      [{ scope: "Kubernetes exec", reach: "Every namespace" }, { kubernetes_exec: { all_namespaces: true } }, "Kubernetes exec: every namespace"],
      [
        { scope: "Kubernetes exec", reach: "Only these", namespaces: ["one", "two"] },
        { kubernetes_exec: { namespace_ids: [one.id, two.id].sort() } },
        /Kubernetes exec: (one, two|two, one)/,
      ],
      [{ scope: "All" }, { all: true }, "All"],
    ];
    for (const [index, [draft, expected, words]] of scopes.entries()) {
      const name = `scope ${index}`;
      const secret = await create({ ...draft, name });
      assert.deepEqual(await opened(secret), expected);
      await save();
      await page.goto(LIST);
      await row(name).getByText(words).waitFor();
      await row(name).getByText("active").waitFor();
      await isNowhere(page, secret);
    }
    await page.getByText("4 keys").waitFor();
  });

  await step("What is wrong is said at its field, with all that was typed", async () => {
    await page.goto(LIST);
    await press(page, "Create API key");
    await dialog.waitFor();
    await fill({ name: "too late", scope: "Inference", ends: "A date", date: "2020-01-31" });
    await press(page, "Create API key");
    const ends = dialog.getByLabel("Ends", { exact: true });
    await dialog.getByText(/must be in the future/).waitFor();
    assert.match(await described(ends), /must be in the future/, "the sentence belongs to its field");
    assert.equal(await dialog.getByLabel("Name", { exact: true }).inputValue(), "too late");
    assert(await scopeOf("Inference").isChecked());
    assert.equal(await dialog.getByLabel("The date").inputValue(), "2020-01-31");
    await fill({ scope: "Kubernetes exec", reach: "Only these", ends: "90 days" });
    await press(page, "Create API key");
    await dialog.getByText("At least one namespace ID is required unless all_namespaces is true").waitFor();
    assert.equal(await dialog.getByLabel("Name", { exact: true }).inputValue(), "too late");
    const { items } = await api(page, "GET", "/v1/account/api-keys");
    assert.equal(items.length, 4, "nothing was made");
  });

  await step("A key is renamed, lives longer, opens more", async () => {
    const secret = await create({ name: "to change", scope: "Inference", ends: "30 days" });
    await save();
    await main.getByText(/in (29|30) d/).waitFor();
    await change({ name: "changed" });
    await headed(page, "changed");
    await main.getByText(/in (29|30) d/).waitFor();
    await change({ ends: "Never" });
    await main.getByText(/^never$/).nth(1).waitFor();
    await change({ scope: "All" });
    assert.deepEqual(await opened(secret), { all: true });
    await change({ ends: "A date", date: "2100-01-31" });
    await main.getByText("2100-02-01T00:00:00Z").waitFor();
  });

  await step("A key is rotated: at first both secrets work, then one", async () => {
    const first = await create({ name: "to rotate", scope: "All" });
    await save();
    const own = page.url();
    const rotate = async (grace) => {
      await page.goto(own);
      await press(page, "Rotate key");
      await dialog.waitFor();
      await dialog.getByLabel(/old secret works/i).selectOption(grace);
      await press(page, "Rotate key");
      await headed(page, "API key rotated");
      return secretOn(page);
    };
    const second = await rotate("1 hour");
    assert.notEqual(second, first);
    assert.deepEqual([await opened(first), await opened(second)], [{ all: true }, { all: true }]);
    await save();
    const third = await rotate("Not at all");
    assert.deepEqual([await opened(first), await opened(second), await opened(third)], [401, 401, { all: true }]);
    await save();
    for (const secret of [first, second, third]) await isNowhere(page, secret);

    await press(page, "Revoke key");
    await dialog.getByText(/fail from now on/).waitFor();
    await press(page, "Revoke key");
    await dialog.waitFor({ state: "detached" });
    await main.getByText("revoked", { exact: true }).first().waitFor();
    assert.equal(await opened(third), 401);
    assert.equal(await page.getByRole("button", { name: "Change" }).count(), 0, "what has ended is not changed");
  });

  await step("Make one like this", async () => {
    await page.goto(LIST);
    await page.getByRole("link", { name: "scope 2" }).click();
    await page.getByRole("link", { name: "Make one like this" }).click();
    await dialog.waitFor();
    for (const name of ["one", "two"]) assert(await dialog.getByRole("checkbox", { name }).isChecked());
    await fill({ name: "alike" });
    await press(page, "Create API key");
    await headed(page, "API key created");
    const expected = { kubernetes_exec: { namespace_ids: [one.id, two.id].sort() } };
    assert.deepEqual(await opened(await secretOn(page)), expected);
    await save();
  });

  await step("Search finds by name and by prefix", async () => {
    await page.goto(LIST);
    const search = page.getByRole("searchbox");
    await search.fill("alik");
    await search.press("Enter");
    await page.waitForURL(/q=alik/);
    await row("alike").waitFor();
    assert.equal(await page.getByRole("row").count(), 2);
    const prefix = (await row("alike").innerText()).match(/rgpu_\w{8}/)[0];
    await search.fill(prefix);
    await search.press("Enter");
    await page.waitForURL((url) => url.searchParams.get("q") === prefix);
    await row("alike").waitFor();
    await search.fill("nothing is called so");
    await search.press("Enter");
    await main.getByText(/No key/).waitFor();
  });

  await step("A file holds the key, and nothing else does", async () => {
    const secret = await create({ name: "in a file", scope: "Inference" });
    const downloads = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download as a file" }).click();
    const file = await (await downloads).createReadStream();
    assert.equal((await file.toArray()).join(""), `${secret}\n`);
    assert.match((await downloads).suggestedFilename(), /^remotegpu-in-a-file\.key$/);
    assert(!page.url().includes("rgpu_"));
    assert.equal(await secretOn(page), secret, "the page still shows it");
    assert(await page.getByRole("button", { name: "Download as a file" }).isEnabled(), "it can be had again");
    await save();
    await isNowhere(page, secret);
  });

  await step("A page that was left holds no secret: back, forward, reload", async () => {
    const secret = await create({ name: "left", scope: "Inference" });
    assert(!(await page.title()).match(KEY) && !page.url().match(KEY));
    // Reading it again is the same answer, and no second key.
    await page.reload();
    assert.equal(await secretOn(page), secret);
    leaving.length = 0;
    await page.getByRole("navigation").getByRole("link", { name: "Kubernetes" }).click();
    await headed(page, "Kubernetes");
    if (withScripts) assert.deepEqual(leaving, ["beforeunload"], "leaving without a copy asks once");
    await isNowhere(page, secret);
    // The browser asks before it sends a form again, and has kept nothing.
    for (const how of ["goBack", "goForward", "goBack"]) {
      await go(page, how);
      await isNowhere(page, secret);
    }
    await go(page, "reload");
    assert.equal(await secretOn(page), secret, "sent again, it is the same");
    await save();
    const { items } = await api(page, "GET", "/v1/account/api-keys");
    assert.equal(items.filter(({ name }) => name === "left").length, 1);
  });

  await step("What has been saved does not come back", async () => {
    const secret = await create({ name: "saved", scope: "Inference" });
    await save();
    for (const how of ["goBack", "reload", "goForward", "goBack"]) {
      await go(page, how);
      await isNowhere(page, secret);
    }
    await go(page, "reload");
    await page.getByText(/This key was shown at \d\d:\d\d.*; rotate it for another/).waitFor();
    const { items } = await api(page, "GET", "/v1/account/api-keys");
    assert.equal(items.filter(({ name }) => name === "saved").length, 1);
  });

  if (withScripts) {
    await step("A page that the browser keeps has no secret", async () => {
      const secret = await create({ name: "kept", scope: "Inference" });
      await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
      await isNowhere(page, secret);
    });

    await step("Copying says so after it was done, and else selects the text", async () => {
      const secret = await create({ name: "copied", scope: "Inference" });
      await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
      await main.getByRole("button", { name: /^Copy/ }).first().click();
      await page.getByRole("status").getByText("Copied").waitFor();
      assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
      leaving.length = 0;
      await page.goto(LIST);
      assert.deepEqual(leaving, [], "what was copied may be left");

      const other = await create({ name: "not copied", scope: "Inference" });
      await page.evaluate(() => { navigator.clipboard.writeText = () => Promise.reject(new Error("no")); });
      await main.getByRole("button", { name: /^Copy/ }).first().click();
      await page.getByRole("status").getByText(/press Ctrl\+C/i).waitFor();
      assert.equal(await page.evaluate(() => getSelection().toString().trim()), other);
    });
  }
});
