// What axe finds on every page, light and dark, wide and narrow: nothing. And nothing scrolls sideways.

import assert from "node:assert/strict";
import { admin, flow, judged, overhang, password, step } from "./browser.mjs";
import { everyView } from "./views.mjs";

await flow(async (page) => {
  const found = [];
  const open = new Map();
  // axe comes as a script of its own, which the pages' policy refuses.
  const way = { colorScheme: "light", viewport: { width: 1280, height: 800 }, bypassCSP: true };
  const look = async (seen, { name, state }) => {
    const judge = async (colours, width) => {
      await seen.setViewportSize({ ...way.viewport, width });
      await seen.emulateMedia({ colorScheme: colours });
      // In the dark the same markup has other colours.
      const { violations, open: left } = await judged(seen, colours === "dark" ? ["color-contrast"] : undefined);
      const where = `${name} (${state}, ${colours}, ${width})`;
      for (const { id, help, where: nodes } of violations) found.push(`${where}: ${id}, ${help}: ${nodes.join("; ")}`);
      for (const { id, help, where: nodes } of left) open.set(`${id}, ${help}: ${nodes.join("; ")}`, where);
    };
    await judge("light", 1280);
    await judge("dark", 1280);
    await judge("dark", 360);
    await judge("light", 360);
    for (const width of [360, 320]) {
      await seen.setViewportSize({ ...way.viewport, width });
      const over = await overhang(seen);
      if (over > 0) found.push(`${name} (${state}): at ${width} px it is ${over} px too wide`);
    }
    await seen.setViewportSize(way.viewport);
    await seen.emulateMedia({ colorScheme: "light" });
  };
  await step("Every page", () => everyView({ ways: [way], rows: 3, email: admin, password, faults: page.faults, look }));
  for (const [what, where] of open) console.log(`left open: ${what} [${where}]`);
  assert.deepEqual(found, []);
});
