// The whole way: a one-time password, a namespace, a key, a kubeconfig, and the real kubectl.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { admin, fillSignIn, flow, headed, heading, isNowhere, password, press, secretOn, step } from "./browser.mjs";

const OWN = "a password of one's own";

await flow(async (page) => {
  const home = mkdtempSync(join(tmpdir(), "remotegpu-home-"));
  try {
    await journey(page, home);
  } finally {
    rmSync(home, { recursive: true });
  }
});

async function journey(page, home) {
  await step("The first page asks who one is", async () => {
    await page.goto("/");
    await headed(page, "Sign in");
    await fillSignIn(page);
  });

  await step("A one-time password opens nothing but its own change", async () => {
    await headed(page, "Choose a password");
    await page.goto("/settings/api-keys");
    await headed(page, "Choose a password");
    await page.getByLabel("One-time password").fill(password);
    await page.getByLabel("New password").fill(OWN);
    await press(page, "Change password");
  });

  await step("Who has nothing yet is shown the way", async () => {
    await headed(page, "Kubernetes");
    await page.getByText("kubectl get pods").or(page.getByText("get pods")).first().waitFor();
    await page.getByRole("navigation").getByRole("link", { name: "API Keys" }).waitFor({ state: "attached" });
  });

  const namespace = await step("A namespace is made", async () => {
    await press(page, "Create namespace");
    await page.getByLabel("Name", { exact: true }).fill("team-ml");
    await press(page, "Create namespace");
    await headed(page, "team-ml");
    await page.getByText("active", { exact: true }).first().waitFor();
    return page.url();
  });

  const secret = await step("A key for this namespace is made, and shown", async () => {
    await page.getByRole("link", { name: "API Keys" }).first().click();
    await headed(page, "Settings / API Keys");
    await press(page, "Create API key");
    const dialog = page.getByRole("dialog", { name: "Create API key" });
    await dialog.getByLabel("Name", { exact: true }).fill("laptop");
    await dialog.getByRole("radio", { name: "Kubernetes exec", exact: true }).check();
    await dialog.getByRole("radio", { name: "Only these" }).check();
    await dialog.getByRole("checkbox", { name: "team-ml" }).check();
    await press(page, "Create API key");
    await headed(page, "API key created");
    return secretOn(page);
  });
  // What the page says to paste.
  const exported = (await page.getByText(/^export REMOTEGPU_API_KEY=/).innerText()).trim();
  const tried = (await page.getByText(/^curl .*auth\/key$/).innerText()).trim();

  await step("What has been saved is not shown again", async () => {
    await press(page, "I have saved this key");
    await headed(page, "laptop");
    await isNowhere(page, secret);
    assert.match(await page.getByRole("main").innerText(), /Kubernetes exec: team-ml/);
  });

  const lines = await step("The kubeconfig is downloaded, and holds no secret", async () => {
    await page.goto(namespace);
    const downloads = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download kubeconfig" }).or(page.getByRole("link", { name: "Download kubeconfig" })).click();
    const download = await downloads;
    assert.equal(download.suggestedFilename(), "kubeconfig-team-ml.yaml");
    mkdirSync(join(home, "Downloads"));
    const file = join(home, "Downloads", download.suggestedFilename());
    await download.saveAs(file);
    assert(!readFileSync(file, "utf8").includes("rgpu_"));
    return (await page.getByText(/KUBECONFIG=.*Downloads/).first().innerText()).split("\n");
  });

  const sh = (script) => {
    const { PATH } = process.env;
    const io = { input: script, encoding: "utf8", env: { PATH, HOME: home }, cwd: home, stdio: ["pipe", "pipe", "pipe"] };
    return execFileSync("sh", ["-eu"], io);
  };
  await step("The page's own lines work in a shell", async () => {
    assert(JSON.parse(sh(`${exported}\n${tried}\n`)).name === "laptop");
    // kubectl says that there are no pods on its other output.
    assert.match(sh(`${exported}\n(${lines.join("\n")}) 2>&1\n`), /No resources found/);
  });

  await step("kubectl has reached the namespace, and the key is revoked", async () => {
    await page.getByRole("link", { name: "API Keys" }).first().click();
    await page.getByRole("link", { name: "laptop" }).click();
    await headed(page, "laptop");
    await press(page, "Revoke key");
    await page.getByRole("dialog").getByText(/cannot be undone/i).waitFor();
    await press(page, "Revoke key");
    await page.getByText("revoked", { exact: true }).first().waitFor();
    const refused = () => sh(`${exported}\n${lines.join("\n")}\n`);
    assert.throws(refused, /Invalid API key|provide credentials/);
  });

  await step("The own password opens everything the next time", async () => {
    await press(page, "Sign out");
    await headed(page, "Sign in");
    await fillSignIn(page, admin, OWN);
    await headed(page, "Kubernetes");
    assert.equal(await heading(page).innerText(), "Kubernetes");
  });
}
