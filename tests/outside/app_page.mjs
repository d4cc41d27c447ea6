// Shows the live page in headless Chromium for eight seconds in a theme; prints what was seen, as JSON.
//
//     node app_page.mjs NODE_MODULES CHROMIUM SERVER_ADDRESS THEME SCREENSHOT PROFILE
import { readFileSync } from "node:fs";
import { openBrowser, watch } from "./browser.mjs";
import { McpSession } from "./mcp_session.mjs";

const [modules, executablePath, address, theme, screenshot, profile] = process.argv.slice(2);
const WATCHED_MS = 8000;

const session = await McpSession.open(address);
const { tools } = await session.ask("tools/list", {});
const uri = tools.find((tool) => tool.name === "order_flow_chart")._meta.ui.resourceUri;
const [{ text: html, mimeType }] = (await session.ask("resources/read", { uri })).contents;

const context = await openBrowser(modules, executablePath, profile, {
  colorScheme: theme, viewport: { width: 680, height: 520 },
});
const page = context.pages()[0] || (await context.newPage());
const { wrong } = watch(page);
await page.exposeFunction("callTool", (name, given) => session.ask("tools/call", { name, arguments: given }));
await page.setContent(readFileSync(new URL("app_host.html", import.meta.url), "utf8"));
await page.evaluate(([source, wanted]) => show(source, wanted), [html, theme]);
const frame = await (await page.$("iframe")).contentFrame();
await page.waitForFunction(() => seen.updates.length > 0, null, { timeout: 15000 });
const before = await page.evaluate(() => seen.updates.length);
const lines = new Set();
for (let at = 0; at < WATCHED_MS; at += 250) {
  lines.add(await frame.evaluate(() => document.getElementById("plot").innerHTML));
  await page.waitForTimeout(250);
}
await page.screenshot({ path: screenshot });
const drawn = await frame.evaluate(() => ({
  said: document.body.innerText,
  shapes: document.querySelectorAll("#plot path").length,
  bars: document.querySelectorAll("#plot rect").length,
  ink: getComputedStyle(document.body).color,
  background: getComputedStyle(document.body).backgroundColor,
  scrolls: document.documentElement.scrollHeight > window.innerHeight,
}));
await page.evaluate(() => tearDown());
await page.waitForFunction(() => seen.tornDown, null, { timeout: 5000 });
const seen = await page.evaluate(() => seen);
await context.close();
const updates = new Set(seen.updates.slice(before)).size;
console.log(JSON.stringify({ ...seen, ...drawn, mimeType, wrong, updates, pictures: lines.size }));
