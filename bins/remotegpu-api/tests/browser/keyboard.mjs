// The keyboard alone: sign in, make a key, keep it, revoke it. No pointer is moved.

import assert from "node:assert/strict";
import { admin, flow, headed, password, secretOn, step, withScripts } from "./browser.mjs";

await flow(async (page) => {
  /** Goes there by Tab; whatever has the focus on the way shows that it has it. */
  const tabTo = async (target, key = "Tab") => {
    await target.waitFor({ state: "attached" });
    const passed = [];
    while (passed.length < 60) {
      await page.keyboard.press(key);
      const at = await page.evaluate(() => {
        const focused = document.activeElement;
        const style = getComputedStyle(focused);
        const box = focused.getBoundingClientRect();
        return {
          who: `${focused.tagName} ${focused.id} ${focused.textContent.trim().slice(0, 40)}`,
          isPage: focused === document.body || focused === document.documentElement,
          isSeen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1 && box.width > 0 && box.right > 0 && box.bottom > 0,
        };
      });
      passed.push(at.who);
      assert(at.isPage || at.isSeen, `nobody sees that the focus is at ${at.who} of ${page.url()}`);
      if (await target.evaluate((element) => element === document.activeElement)) return;
    }
    assert.fail(`Tab does not reach it: ${passed.join(", ")}`);
  };
  const type = (text) => page.keyboard.type(text);
  const enter = () => page.keyboard.press("Enter");
  const focused = (target) => target.evaluate((element) => element === document.activeElement);

  await step("Sign in", async () => {
    await page.goto("/sign-in");
    await headed(page, "Sign in");
    assert(await focused(page.getByLabel("E-mail")), "the first field has the focus");
    await type(admin);
    await tabTo(page.getByLabel("Password", { exact: true }));
    await type(password);
    await enter();
    await headed(page, "Kubernetes");
  });

  await step("The first stop leads past the rail", async () => {
    const skip = page.getByRole("link", { name: "Skip to content" });
    await tabTo(skip);
    await enter();
    await tabTo(page.getByRole("main").getByRole("button", { name: "Create namespace" }).first());
    assert(page.url().endsWith("#main"));
  });

  const dialog = page.getByRole("dialog");
  await step("Esc closes a dialog and loses nothing else", async () => {
    await enter();
    await dialog.waitFor();
    assert(await focused(page.getByLabel("Name", { exact: true })), "the first field has the focus");
    if (withScripts) await page.keyboard.press("Escape");
    else {
      await tabTo(page.getByRole("link", { name: "Cancel" }));
      await enter();
    }
    await dialog.waitFor({ state: "detached" });
    await headed(page, "Kubernetes");
  });

  await step("Create a key", async () => {
    await tabTo(page.getByRole("navigation").getByRole("link", { name: "API Keys" }));
    await enter();
    await headed(page, "Settings / API Keys");
    await tabTo(page.getByRole("button", { name: "Create API key" }).first());
    await enter();
    await dialog.waitFor();
    assert(await focused(page.getByLabel("Name", { exact: true })), "the first field has the focus");
    await type("by hand");
    await tabTo(dialog.getByRole("radio", { checked: true }).first());
    // The arrows choose among radio buttons.
    const all = dialog.getByRole("radio", { name: "All", exact: true });
    for (let pressed = 0; pressed < 8 && !(await all.isChecked()); pressed++) await page.keyboard.press("ArrowDown");
    assert(await all.isChecked(), "the arrows choose a scope");
    await tabTo(dialog.getByRole("button", { name: "Create API key" }));
    await enter();
    await headed(page, "API key created");
  });

  const secret = await secretOn(page);
  const works = async () => (await fetch(`${process.env.REMOTEGPU_TEST_URL}/v1/auth/key`, { headers: { "x-api-key": secret } })).status;
  assert.equal(await works(), 200);

  await step("Keep it, and revoke it", async () => {
    await tabTo(page.getByRole("button", { name: "I have saved this key" }));
    await enter();
    await headed(page, "by hand");
    await tabTo(page.getByRole("button", { name: "Revoke key" }));
    await enter();
    await dialog.waitFor();
    const revoke = dialog.getByRole("button", { name: "Revoke key" });
    assert(!(await focused(revoke)), "what ends something is not what Enter does at once");
    await tabTo(revoke);
    await enter();
    await dialog.waitFor({ state: "detached" });
    await page.getByText("revoked", { exact: true }).first().waitFor();
    assert.equal(await works(), 401);
  });

  await step("Sign out", async () => {
    await tabTo(page.getByRole("button", { name: "Sign out" }), "Shift+Tab");
    await page.keyboard.press("Space");
    await headed(page, "Sign in");
  });
});
