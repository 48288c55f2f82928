// `./x screenshots`: pictures of every page, each empty, full and in error, light and dark, wide and narrow.
//
//     node screenshots.mjs PROGRAM FOLDER_FOR_ALL FOLDER_FOR_CHOSEN

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { start } from "./server.mjs";
import { small } from "./small_png.mjs";

const [program, all, chosen] = process.argv.slice(2);
const server = await start(program, "");
process.env.REMOTEGPU_TEST_URL = server.url;
const [, once] = server.said().match(/^ {4}(\S+)$/m);
const { admin, browser } = await import("./browser.mjs");
const { everyView } = await import("./views.mjs");

// Those that docs/console.md shows, and as what.
const CHOSEN = {
  "sign-in-empty-light-1280": "sign-in",
  "kubernetes-empty-light-1280": "start",
  "kubernetes-create-error-light-1280": "name-refused",
  "namespace-full-light-1280": "namespace",
  "api-keys-full-dark-1280": "keys",
  "api-keys-create-full-light-1280": "create-key",
  "api-keys-shown-full-light-1280": "key-shown",
  "audit-full-light-1280": "audit",
  "account-full-dark-1280": "account",
  "api-keys-full-light-360": "keys-narrow",
};

const faults = [];
const still = { caret: "hide", animations: "disabled" };
let count = 0;
try {
  rmSync(all, { recursive: true, force: true });
  mkdirSync(all, { recursive: true });
  mkdirSync(chosen, { recursive: true });
  const ways = ["light", "dark"].flatMap((colorScheme) =>
    [[1280, 800], [360, 740]].map(([width, height]) => ({ colorScheme, viewport: { width, height }, reducedMotion: "reduce" })));
  const look = async (page, { name, state, colorScheme, viewport: { width } }) => {
    const called = `${name}-${state}-${colorScheme}-${width}`;
    await page.screenshot({ path: join(all, `${called}.png`), fullPage: !(await page.getByRole("dialog").count()), ...still });
    count += 1;
    if (!(called in CHOSEN)) return;
    const path = join(chosen, `console-${CHOSEN[called]}.png`);
    const picture = small(await page.screenshot(still));
    writeFileSync(path, picture);
    console.log(`${path}: ${picture.length} bytes`);
  };
  await everyView({ ways, rows: 50, email: admin, password: once, faults, look });
  console.log(`${count} pictures in ${all}`);
  for (const fault of faults) console.log(`fault: ${fault}`);
} finally {
  await (await browser()).close();
  await server.stop();
}
