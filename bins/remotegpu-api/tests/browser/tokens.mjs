// Access tokens, in the reference's own words: created, shown once with their kubeconfig, viewed, deleted.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { api, flow, go, headed, isNowhere, press, signUp, step, withScripts } from "./browser.mjs";

const LIST = "/settings/access-tokens";
const TOKEN = /rgat_[0-9A-Za-z]{36}/;

await flow(async (page) => {
  const home = mkdtempSync(join(tmpdir(), "remotegpu-home-"));
  page.on("dialog", (dialog) => dialog.accept());
  try {
    await journey(page, home);
  } finally {
    rmSync(home, { recursive: true });
  }
});

async function journey(page, home) {
  await signUp(page, withScripts ? "tokens" : "tokens-without-scripts");
  const dialog = page.getByRole("dialog");
  const main = page.getByRole("main");

  await step("From the dashboard, Create Token", async () => {
    await page.goto("/kubernetes");
    await page.getByRole("navigation").getByRole("link", { name: "Access Tokens" }).click();
    await headed(page, "Settings / Access Tokens");
    await press(page, "Create Token");
    await page.getByRole("dialog", { name: "Create Token" }).waitFor();
  });

  await step("At least one cluster is required", async () => {
    await dialog.getByLabel("Name", { exact: true }).fill("my laptop");
    const cluster = dialog.getByRole("group", { name: "Kubeconfig Cluster" }).getByRole("checkbox");
    assert(await cluster.isChecked(), "the only one is chosen");
    await cluster.uncheck();
    await press(page, "Create");
    await dialog.getByText("At least one cluster must be chosen").waitFor();
    assert.equal(await dialog.getByLabel("Name", { exact: true }).inputValue(), "my laptop");
  });

  const token = await step("Name, Expiration, Kubeconfig Cluster, Create", async () => {
    await dialog.getByLabel("Expiration", { exact: true }).selectOption("7 days");
    await dialog.getByRole("group", { name: "Kubeconfig Cluster" }).getByRole("checkbox").check();
    await press(page, "Create");
    await headed(page, "Access token created");
    const [secret] = (await main.innerText()).match(TOKEN) ?? assert.fail("no token is shown");
    return secret;
  });

  const [item] = (await api(page, "GET", "/v1/account/access-tokens")).items;

  const file = await step("Download Kubeconfig", async () => {
    const downloads = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download Kubeconfig", exact: true }).click();
    const download = await downloads;
    assert.equal(download.suggestedFilename(), `CWKubeconfig_${item.id}-my-laptop`);
    assert.match(download.suggestedFilename(), /^CWKubeconfig_cwtoken-[a-z0-9]{10}-[A-Za-z0-9._-]+$/);
    const path = join(home, download.suggestedFilename());
    await download.saveAs(path);
    chmodSync(path, 0o600);
    assert(readFileSync(path, "utf8").includes(`token: ${token}\n`));
    return path;
  });

  await step("kubectl config view shows the documented shape", async () => {
    const kubectl = (...args) => execFileSync("kubectl", ["--kubeconfig", file, ...args], { encoding: "utf8", env: { PATH: process.env.PATH, HOME: home } });
    const view = kubectl("config", "view");
    assert.match(view, /^current-context: __CW_KATALOG_CLUSTER__$/m);
    assert.match(view, /^- name: token$/m);
    assert.equal(kubectl("config", "get-contexts", "-o", "name").trim(), "__CW_KATALOG_CLUSTER__");
  });

  await step("It is never shown again", async () => {
    await press(page, "I have saved this token");
    await headed(page, "my laptop");
    await isNowhere(page, token);
    await page.goto(LIST);
    await page.getByRole("row").filter({ hasText: "my laptop" }).getByText("active").waitFor();
    await isNowhere(page, token);
    // The browser asks before it sends a form again, and has kept nothing.
    for (let pages = 0; pages < 2; pages++) {
      await go(page, "goBack");
      await isNowhere(page, token);
    }
  });

  await step("View, and delete", async () => {
    await page.goto(LIST);
    await page.getByRole("link", { name: "my laptop" }).click();
    await main.getByText(item.id).first().waitFor();
    await press(page, "Delete token");
    await dialog.getByText("This cannot be undone").waitFor();
    await press(page, "Delete token");
    await page.getByText("There is none yet").waitFor();
    assert.equal((await api(page, "GET", "/v1/account/access-tokens")).items.length, 0);
  });
}
