// Every page of the console in each of its states, for who judges pages and for who takes pictures of them.

import { api, person, press, signUp } from "./browser.mjs";

/** Goes there and sends what the browser would not send by itself. */
const refused = async (page, button, around = page.getByRole("main")) => {
  const send = around.getByRole("button", { name: button, exact: true });
  await send.evaluate((element) => { element.form.noValidate = true; });
  const answered = page.waitForResponse((answer) => answer.request().method() === "POST");
  await send.click();
  await answered;
  await page.waitForLoadState();
};

/** The account of the operator, with something in every list, and this many keys that have ended. */
export async function filled(page, rows) {
  const namespaces = [];
  for (const name of ["team-ml", "research", "staging", "a-name-that-is-as-long-as-people-make-them-in-earnest"]) {
    namespaces.push(await api(page, "POST", "/v1/kubernetes/namespaces", { name }));
  }
  const [one, two] = namespaces;
  const exec = (...ids) => ({ kubernetes_exec: { namespace_ids: ids.map(({ id }) => id) } });
  const soon = new Date(Date.now() + 3 * 86_400_000).toISOString();
  const later = new Date(Date.now() + 80 * 86_400_000).toISOString();
  const make = (name, scopes, expires_at = later) => api(page, "POST", "/v1/account/api-keys", { name, scopes, expires_at });
  const revoke = ({ id }) => api(page, "POST", `/v1/account/api-keys/${id}/revoke`);
  for (let index = 0; index < rows; index++) {
    if (index === Math.max(rows - 14, 0)) {
      await make("<b>\"hostile\" & 'markup'</b>", { inference: true });
      await make("a name of sixty-four characters, which is as long as one can be.", exec(one, two));
    }
    await revoke(await make(`nightly build ${index}`, { inference: true }));
  }
  await revoke(await make("laptop of somebody who left", { all: true }, null));
  await make("batch-jobs", { kubernetes_exec: { all_namespaces: true } }, null);
  await make("ci", exec(two), soon);
  const used = await make("laptop", exec(one));
  await page.request.get("/v1/auth/key", { headers: { "x-api-key": used.key } });
  return { one, used };
}

/**
 * What there is to see: who looks (`nobody`, `newcomer` with nothing, the `operator` with everything, `first`
 * with a password that was handed out), and how one comes there.
 */
export function views({ one, used }) {
  const at = (address) => (page) => page.goto(address);
  const after = (address, act) => async (page) => {
    await page.goto(address);
    await act(page, page.getByRole("dialog"));
  };
  const namespace = `/kubernetes/${one.id}`;
  const key = `/settings/api-keys/${used.id}`;
  const nobody = [
    ["sign-in", "empty", at("/sign-in")],
    ["sign-in", "error", after("/sign-in", async (page) => {
      await page.getByLabel("E-mail").fill("nobody@example.org");
      await page.getByLabel("Password", { exact: true }).fill("not a password of anybody");
      await refused(page, "Sign in");
    })],
    ["sign-up", "empty", at("/sign-up")],
    ["sign-up", "error", after("/sign-up", (page) => refused(page, "Sign up"))],
  ];
  const newcomer = [
    ["kubernetes", "empty", at("/kubernetes")],
    ["kubernetes-create", "empty", at("/kubernetes?create=1")],
    ["api-keys", "empty", at("/settings/api-keys")],
    ["api-keys-create", "empty", at("/settings/api-keys?create=1")],
    ["access-tokens", "empty", at("/settings/access-tokens")],
    ["access-tokens-create", "empty", at("/settings/access-tokens?create=1")],
    ["members", "empty", at("/settings/members")],
    ["audit", "empty", at("/settings/audit?action=api_key.revoked")],
    ["account", "empty", at("/settings/account")],
  ];
  const operator = [
    ["kubernetes", "full", at("/kubernetes")],
    ["kubernetes-create", "full", at("/kubernetes?create=1&name=team-vision")],
    ["kubernetes-create", "error", after("/kubernetes?create=1&name=Team%20ML", (page, dialog) => refused(page, "Create namespace", dialog))],
    ["namespace", "full", at(namespace)],
    ["namespace-rename", "full", at(`${namespace}?rename=1`)],
    ["namespace-rename", "error", after(`${namespace}?rename=1&name=Team%20ML`, (page, dialog) => refused(page, "Rename namespace", dialog))],
    ["namespace-delete", "full", at(`${namespace}?delete=1`)],
    ["namespace-delete", "error", after(`${namespace}?delete=1&name=other`, (page, dialog) => refused(page, "Delete namespace", dialog))],
    ["api-keys", "full", at("/settings/api-keys")],
    ["api-keys", "error", at("/settings/api-keys?q=nothing+is+called+so")],
    ["api-keys-create", "full", at("/settings/api-keys?create=1")],
    ["api-keys-create", "error", after("/settings/api-keys?create=1", (page, dialog) => refused(page, "Create API key", dialog))],
    ["api-keys-shown", "full", after("/settings/api-keys?create=1&name=workstation", async (page) => {
      await press(page, "Create API key");
      await page.getByRole("heading", { name: "API key created" }).waitFor();
    })],
    ["api-key", "full", at(key)],
    ["api-key-change", "full", at(`${key}?change=1`)],
    ["api-key-rotate", "full", at(`${key}?rotate=1`)],
    ["api-key-revoke", "full", at(`${key}?revoke=1`)],
    ["access-tokens-create", "error", after("/settings/access-tokens?create=1", (page, dialog) => refused(page, "Create", dialog))],
    ["access-tokens-shown", "full", after("/settings/access-tokens?create=1&name=workstation", async (page) => {
      await press(page, "Create");
      await page.getByRole("heading", { name: "Access token created" }).waitFor();
    })],
    ["access-tokens", "full", at("/settings/access-tokens")],
    ["access-token", "full", async (page) => {
      await page.goto("/settings/access-tokens");
      await page.getByRole("link", { name: "workstation" }).first().click();
      await page.getByRole("heading", { name: "workstation" }).waitFor();
    }],
    ["members", "full", at("/settings/members")],
    ["members-invite", "full", at("/settings/members?invite=1")],
    ["members-invite", "error", after("/settings/members?invite=1&email=admin%40localhost", (page, dialog) => refused(page, "Create invitation", dialog))],
    ["audit", "full", at("/settings/audit")],
    ["audit", "error", at("/settings/audit?actor=somebody&since=2026-01-01")],
    ["account", "full", at("/settings/account")],
    ["account", "error", after("/settings/account", (page) => refused(page, "Change password"))],
    ["not-found", "error", at("/kubernetes/00000000-0000-4000-8000-000000000000")],
    ["nowhere", "error", at("/nothing/is/here")],
    // In builds for who works on it alone; in others it is nowhere.
    ["parts", "full", at("/console-parts")],
  ];
  const first = [
    ["first-password", "empty", at("/first-password")],
    ["first-password", "error", after("/first-password", (page) => refused(page, "Change password"))],
  ];
  const named = (who, all) => all.map(([name, state, visit]) => ({ who, name, state, visit }));
  return [...named("first", first), ...named("nobody", nobody), ...named("newcomer", newcomer), ...named("operator", operator)];
}

const OWN = "a password of one's own";

/**
 * Shows every view to `look` in each of these ways, with a window for each of them and each who looks.
 * The password of the test was handed out once.
 */
export async function everyView({ ways, rows, email, password, faults, look }) {
  const options = { scripts: true, faults };
  const nothing = { one: { id: "" }, used: { id: "" } };
  const enter = async (page, secret) => {
    await page.goto("/sign-in");
    await page.getByLabel("E-mail").fill(email);
    await page.getByLabel("Password", { exact: true }).fill(secret);
    await press(page, "Sign in");
    await page.waitForURL((url) => url.pathname !== "/sign-in");
  };
  const states = {};
  const operator = await person(options);
  await enter(operator, password);
  states.first = await operator.context().storageState();
  const show = async (all) => {
    for (const way of ways) {
      const pages = {};
      for (const { who, name, state, visit } of all) {
        pages[who] ??= await person({ ...options, ...way, storageState: states[who] });
        await visit(pages[who]);
        await look(pages[who], { name, state, ...way });
      }
      for (const page of Object.values(pages)) await page.context().close({ runBeforeUnload: false });
    }
  };
  const of = (seen, ...whose) => views(seen).filter(({ who }) => whose.includes(who));
  await show(of(nothing, "first"));
  await operator.goto("/first-password");
  await operator.getByLabel("One-time password").fill(password);
  await operator.getByLabel("New password").fill(OWN);
  await press(operator, "Change password");
  await operator.waitForURL("**/kubernetes");
  const newcomer = await person(options);
  await signUp(newcomer, "newcomer");
  states.newcomer = await newcomer.context().storageState();
  const seen = await filled(operator, rows);
  await enter(await person(options), OWN);
  states.operator = await operator.context().storageState();
  await show(of(seen, "nobody", "newcomer", "operator"));
}
