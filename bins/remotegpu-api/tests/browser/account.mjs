// Oneself: password, sessions, signing out; and the way back to where one was.

import assert from "node:assert/strict";
import { api, described, fillSignIn, flow, headed, isFocused, person, press, signUp, step, withScripts } from "./browser.mjs";

await flow(async (page) => {
  const who = withScripts ? "account" : "account-without-scripts";
  const email = `${who}@example.org`;
  let secret = `password of ${who}`;
  await signUp(page, who);
  const { faults } = page;
  const elsewhere = async () => {
    const other = await person({ faults });
    await other.goto("/sign-in");
    await fillSignIn(other, email, secret);
    await headed(other, "Kubernetes");
    return other;
  };
  const main = page.getByRole("main");
  const rows = () => page.getByRole("table").getByRole("row").count().then((count) => count - 1);
  /** Ends the session that this page has, as somebody else would. */
  const end = async (ended) => {
    const other = await elsewhere();
    await other.goto("/settings/account");
    await press(other, "End all other sessions");
    await other.waitForURL("**/settings/account");
    assert.equal((await ended.request.get("/v1/auth/session")).status(), 401);
    return other;
  };

  await step("A password that is wrong is told at its field", async () => {
    await page.goto("/settings/account");
    const [current, fresh] = [page.getByLabel("Current password"), page.getByLabel("New password")];
    await current.fill(secret);
    await fresh.fill("short");
    await press(page, "Change password");
    await page.locator("[aria-invalid=true]").waitFor();
    assert.match(await described(fresh), /12 to 128/);
    assert(await isFocused(fresh));
    assert.equal(await current.inputValue(), "", "passwords do not come back");
    await current.fill("not this one at all");
    await fresh.fill("a password that is long");
    await press(page, "Change password");
    await main.getByText(/not your current password/).waitFor();
  });

  await step("A new password ends the other sessions", async () => {
    const other = await elsewhere();
    await page.goto("/settings/account");
    assert.equal(await rows(), 2);
    await page.getByLabel("Current password").fill(secret);
    secret = `new ${secret}`;
    await page.getByLabel("New password").fill(secret);
    await press(page, "Change password");
    await page.waitForURL("**/settings/account");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    await other.goto("/settings/account");
    await headed(other, "Sign in");
    await fillSignIn(other, email, secret);
    await headed(other, "Account");
    await other.context().close();
  });

  await step("Sessions are listed, this one is marked, and each other can be ended", async () => {
    const third = await elsewhere();
    await page.goto("/settings/account");
    assert.equal(await rows(), 3);
    assert.equal(await page.getByRole("row").filter({ hasText: "this one" }).count(), 1);
    await page.getByRole("row").filter({ hasText: "Chrome on Linux" }).first().waitFor();
    await page.getByRole("button", { name: "End session" }).first().click();
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 2);
    await press(page, "End all other sessions");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    await third.goto("/kubernetes");
    await headed(third, "Sign in");
    await third.context().close();
  });

  await step("Signing in leads back, with the whole address", async () => {
    const other = await person({ faults });
    await other.goto("/settings/api-keys?q=some+thing");
    await headed(other, "Sign in");
    await fillSignIn(other, email, "not this one at all");
    await other.getByText("Wrong e-mail or password").waitFor();
    assert.equal(await other.getByLabel("E-mail").inputValue(), email);
    await other.getByLabel("Password", { exact: true }).fill(secret);
    await press(other, "Sign in");
    await headed(other, "Settings / API Keys");
    assert.equal(new URL(other.url()).search, "?q=some+thing");
    await other.goto("/sign-in?next=https://example.org/");
    assert.equal(new URL(other.url()).pathname, "/kubernetes");
    await other.context().close();
  });

  await step("What was typed when the session ended comes back, and is not done", async () => {
    await page.goto("/kubernetes?create=1");
    await page.getByLabel("Name", { exact: true }).fill("typed");
    const other = await end(page);
    await press(page, "Create namespace");
    await headed(page, "Sign in");
    await page.getByText(/session has ended/).waitFor();
    await fillSignIn(page, email, secret);
    const dialog = page.getByRole("dialog");
    await dialog.waitFor();
    assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "typed");
    assert.deepEqual((await api(page, "GET", "/v1/kubernetes/namespaces")).items, []);
    await press(page, "Create namespace");
    await headed(page, "typed");
    await other.context().close();
  });

  await step("The same with everything that a key's form holds", async () => {
    await page.goto("/settings/api-keys?create=1");
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name", { exact: true }).fill("typed & <b>\"kept\"</b>");
    await dialog.getByRole("radio", { name: "Only these" }).check();
    await dialog.getByRole("checkbox", { name: "typed" }).check();
    await dialog.getByLabel("Ends", { exact: true }).selectOption("1 year");
    const other = await end(page);
    await press(page, "Create API key");
    await headed(page, "Sign in");
    // A password that is wrong at first loses nothing.
    await fillSignIn(page, email, "not this one at all");
    await page.getByText("Wrong e-mail or password").waitFor();
    await page.getByLabel("Password", { exact: true }).fill(secret);
    await press(page, "Sign in");
    await dialog.waitFor();
    assert.equal(await dialog.getByLabel("Name", { exact: true }).inputValue(), "typed & <b>\"kept\"</b>");
    assert(await dialog.getByRole("radio", { name: "Only these" }).isChecked());
    assert(await dialog.getByRole("checkbox", { name: "typed" }).isChecked());
    assert.equal(await dialog.getByLabel("Ends", { exact: true }).inputValue(), "365");
    assert.deepEqual((await api(page, "GET", "/v1/account/api-keys")).items, []);
    await other.context().close();
  });

  await step("Nobody else gets what was typed", async () => {
    await page.goto("/kubernetes?create=1");
    await page.getByLabel("Name", { exact: true }).fill("not-for-others");
    const other = await end(page);
    const stranger = await person({ faults });
    await signUp(stranger, `${who}-stranger`);
    await press(page, "Create namespace");
    await headed(page, "Sign in");
    await fillSignIn(page, `${who}-stranger@example.org`, `password of ${who}-stranger`);
    await headed(page, "Kubernetes");
    assert(!(await page.content()).includes("not-for-others"));
    assert(!page.url().includes("not-for-others"));
    await stranger.context().close();
    await other.context().close();
  });

  await step("Back after signing out shows nothing", async () => {
    await page.goto("/settings/account");
    await main.getByText("Chrome on Linux").first().waitFor();
    await press(page, "Sign out");
    await headed(page, "Sign in");
    await page.goBack().catch(() => {});
    await headed(page, "Sign in");
    assert(!(await page.content()).includes("Chrome on Linux"));
    assert.deepEqual((await page.context().cookies()).filter(({ name }) => name.includes("session")), []);
  });
});
