// A browser in front of the console, and what holds on every page that it sees.
//
// The address of the server, and the password of whoever signs in, come from the environment: every user
// of a machine can read the arguments of a process.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.env.REMOTEGPU_TEST_BROWSER}/`);
const { chromium } = require("playwright-core");

export const server = process.env.REMOTEGPU_TEST_URL;
export const password = process.env.REMOTEGPU_TEST_PASSWORD;
export const admin = "admin@localhost";
export const withScripts = process.argv[2] !== "without-scripts";

// A busy machine takes its time; nothing here waits for it to pass.
const PATIENCE = 30_000;

// What the browser itself writes about an answer that was a refusal.
const ITS_OWN_LINE = /^Failed to load resource: the server responded with a status of 4\d\d/;

let running;

/** The browser, which resolves no name and so reaches nothing but loopback. */
export async function browser() {
  running ??= await chromium.launch({
    executablePath: process.env.REMOTEGPU_CHROMIUM,
    args: ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-gpu"],
    chromiumSandbox: process.getuid() !== 0,
  });
  return running;
}

/**
 * A window of its own, with cookies of its own; whoever ends the flow asks `faults` what went wrong in it.
 * `at` is where the server is reached, if not directly.
 */
export async function person({ scripts = withScripts, at = server, faults = [], ...options } = {}) {
  const context = await (await browser()).newContext({
    baseURL: at,
    javaScriptEnabled: scripts,
    viewport: { width: 1280, height: 900 },
    locale: "en-GB",
    timezoneId: "UTC",
    ...options,
  });
  context.setDefaultTimeout(PATIENCE);
  const host = new URL(at).host;
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.host !== host) faults.push(`a request to ${request.url()}`);
  });
  context.on("console", (message) => {
    const text = message.text();
    const bad = ["error", "warning"].includes(message.type()) || /Content Security Policy/i.test(text);
    if (bad && !ITS_OWN_LINE.test(text)) faults.push(`${message.page()?.url()}: ${text}`);
  });
  context.on("weberror", (error) => faults.push(`${error.page()?.url()}: ${error.error().stack}`));
  const page = await context.newPage();
  page.faults = faults;
  return page;
}

export async function signIn(page, email = admin, secret = password) {
  await page.goto("/sign-in");
  await fillSignIn(page, email, secret);
  await page.waitForURL((url) => url.pathname !== "/sign-in");
}

export async function fillSignIn(page, email = admin, secret = password) {
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(secret);
  await press(page, "Sign in");
}

/** Whoever signs up has an account of their own, and is signed in. */
export async function signUp(page, name) {
  await page.goto("/sign-up");
  await page.getByLabel("E-mail").fill(`${name}@example.org`);
  await page.getByLabel("Password", { exact: true }).fill(`password of ${name}`);
  await page.getByLabel("Name of the account").fill(name);
  await press(page, "Sign up");
  await page.waitForURL("**/kubernetes");
}

/** Presses a button, of the dialog if one is open, and waits for the page that comes of it. */
export async function press(page, name) {
  const dialog = page.getByRole("dialog");
  const around = (await dialog.count()) ? dialog : page;
  await around.getByRole("button", { name, exact: true }).first().click();
  await page.waitForLoadState("load");
}

export const heading = (page) => page.getByRole("heading", { level: 1 });

/** Waits for a page with this heading. */
export const headed = (page, text) => page.getByRole("heading", { level: 1, name: text }).waitFor();

export const KEY = /rgpu_[0-9A-Za-z]{36}/;

/** The secret that the page shows. */
export async function secretOn(page) {
  const shown = await page.getByRole("main").innerText();
  const [secret] = shown.match(KEY) ?? assert.fail(`no key is shown:\n${shown}`);
  return secret;
}

/** Moves in the history, to the browser's own page perhaps, which takes a moment of its own. */
export async function go(page, how) {
  await page[how]().catch(() => {});
  for (let again = 0; again < 100; again++) {
    await page.waitForLoadState().catch(() => {});
    // Without scripts the browser's own page is empty.
    const isThere = await page.evaluate(() => document.body !== null && document.readyState === "complete").catch(() => false);
    if (isThere && (page.url().startsWith("chrome-error:") || (await page.locator("h1").count()))) return;
    await page.waitForTimeout(100);
  }
  assert.fail(`nothing is shown at ${page.url()}`);
}

/** Everything that the page holds, in fields too, and what the browser keeps for it. */
export async function everythingOn(page) {
  const markup = await page.content();
  const rest = await page.evaluate(() => {
    const fields = [...document.querySelectorAll("input, textarea, select")].map((field) => field.value);
    // The browser's own pages keep nothing, and let nobody ask.
    const isItsOwn = location.protocol === "chrome-error:";
    const kept = isItsOwn ? [] : [localStorage, sessionStorage, history.state].map((store) => JSON.stringify(store)).concat(document.cookie);
    return [...fields, ...kept, document.title, location.href].join("\n");
  });
  return `${markup}\n${rest}`;
}

export async function isNowhere(page, secret) {
  const held = await everythingOn(page);
  assert(!held.includes(secret), `the secret is still in ${page.url()}`);
}

const axe = () => readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** What axe finds wrong on the page, and what it leaves to people; the page's policy must let it in. */
export async function judged(page, rules) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe());
  return page.evaluate(async (only) => {
    const runOnly = only ?? ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const { violations, incomplete } = await window.axe.run(document, { runOnly, preload: false, iframes: false, resultTypes: ["violations", "incomplete"] });
    const told = (results) => results.map(({ id, help, nodes }) => ({ id, help, where: nodes.map((node) => node.target.join(" ")) }));
    return { violations: told(violations), open: told(incomplete) };
  }, rules);
}

/** By how many pixels the page is wider than the window. */
export const overhang = (page) => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);

let begun = Date.now();

/** One thing after the other, each said with how long it took. */
export async function step(what, act) {
  const at = Date.now();
  try {
    const result = await act();
    console.log(`${what} (${Date.now() - at} ms)`);
    return result;
  } catch (error) {
    console.log(`FAILED: ${what}`);
    throw error;
  }
}

/** Runs a flow in front of one window, and fails with what any page did wrong. */
export async function flow(act, options = {}) {
  const faults = [];
  try {
    await act(await person({ faults, ...options }));
    assert.deepEqual(faults, [], "what pages did wrong");
    console.log(`done in ${Date.now() - begun} ms`);
  } catch (error) {
    for (const shown of running?.contexts().flatMap((context) => context.pages()) ?? []) {
      const text = await shown.locator("body").innerText({ timeout: 2000 }).catch(() => "");
      console.log(`at ${shown.url()}:\n${text.replace(new RegExp(KEY, "g"), "rgpu_...").slice(0, 4000)}\n`);
    }
    for (const fault of faults) console.log(`fault: ${fault}`);
    console.log(error.stack);
    process.exitCode = 1;
  } finally {
    await running?.close();
  }
}

/** Asks the API as whoever is signed in on this page. */
export async function api(page, method, path, data) {
  const answer = await page.request.fetch(path, { method, data });
  assert(answer.ok(), `${method} ${path}: ${answer.status()} ${await answer.text()}`);
  return answer.status() === 204 ? undefined : answer.json();
}

/** What a screen reader reads after a field's name. */
export const described = (field) =>
  field.evaluate((element) =>
    (element.getAttribute("aria-describedby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join(" "));

export const isFocused = (field) => field.evaluate((element) => element === document.activeElement);
