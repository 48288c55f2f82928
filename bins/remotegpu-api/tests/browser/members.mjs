// Members: invited, accepted in another browser, demoted, removed.

import assert from "node:assert/strict";
import { api, flow, headed, person, press, signUp, step, withScripts } from "./browser.mjs";

await flow(async (page) => {
  const who = withScripts ? "members" : "members-without-scripts";
  const guest = `guest-of-${who}@example.org`;
  await signUp(page, who);
  const { faults } = page;
  const other = await person({ faults });
  let link;

  await step("An admin invites somebody, and copies the link", async () => {
    await page.getByRole("link", { name: "Members" }).click();
    await headed(page, "Settings / Members");
    await press(page, "Invite somebody");
    await page.getByRole("dialog").getByLabel("E-mail").fill(guest);
    await page.getByRole("radio", { name: "Write" }).check();
    await press(page, "Create invitation");
    await headed(page, "Invitation created");
    link = await page.locator("#secret").textContent();
    assert.match(link, /\/invitations\/rgin_[\w-]{43}$/);
    const left = new Promise((resolve) => { page.once("dialog", (asked) => resolve(asked.accept())); });
    await page.getByRole("link", { name: "Back to the members" }).click();
    // Leaving with the link uncopied asks once.
    if (withScripts) await left;
    await page.getByRole("row").filter({ hasText: guest }).waitFor();
    assert(!(await page.content()).includes(link));
  });

  await step("They accept in another browser, with a password of their own", async () => {
    await other.goto(link);
    await headed(other, "You are invited");
    await other.goto(link);
    await other.getByLabel("Password", { exact: true }).fill("a password of their own");
    await press(other, `Join ${who}`);
    await headed(other, "Kubernetes");
    await other.getByText("You are a member of this account now").waitFor();
    const session = await api(other, "GET", "/v1/auth/session");
    assert.equal(session.role, "write");
    await api(other, "POST", "/v1/account/api-keys", { name: "theirs", scopes: { all: true } });
    const again = await person({ faults });
    await again.goto(link);
    await again.getByText(/was accepted, taken back, or has expired/).waitFor();
    await again.context().close();
  });

  await step("They are demoted, and what ends is named", async () => {
    await page.goto("/settings/members");
    await page.getByRole("link", { name: guest }).click();
    await headed(page, guest);
    await press(page, "Change role");
    await page.getByRole("dialog").getByText("API key theirs").waitFor();
    await page.getByRole("radio", { name: "Read" }).check();
    await press(page, "Change role");
    await page.getByText("The role was changed").waitFor();
    const { items } = await api(other, "GET", "/v1/account/api-keys");
    assert.deepEqual(items.map(({ status }) => status), ["revoked"]);
    await other.goto("/settings/api-keys");
    assert.equal(await other.getByRole("button", { name: "Create API key" }).count(), 0);
  });

  await step("They are removed, and out of it", async () => {
    await press(page, "Remove member");
    await page.getByRole("dialog").getByText(/is out of this account at once/).waitFor();
    await press(page, "Remove member");
    await headed(page, "Settings / Members");
    await page.getByText("The member was removed").waitFor();
    assert.equal(await page.getByRole("row").filter({ hasText: guest }).count(), 0);
    await other.goto("/settings/members");
    await headed(other, "Sign in");
  });
  await other.context().close();
});
