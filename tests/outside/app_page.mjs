// Shows the live page in headless Chromium for eight seconds in a theme; prints what was seen, as JSON.
//
//     node app_page.mjs NODE_MODULES CHROMIUM SERVER_ADDRESS THEME SCREENSHOT PROFILE
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [modules, executablePath, address, theme, screenshot, profile] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const WATCHED_MS = 8000;
const ARGUMENTS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

let session = null, number = 0;
async function ask(method, params, isNotification = false) {
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  if (session) Object.assign(headers, { "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" });
  const id = isNotification ? {} : { id: ++number };
  const body = JSON.stringify({ jsonrpc: "2.0", ...id, method, params });
  const response = await fetch(address, { method: "POST", headers, body });
  session = response.headers.get("mcp-session-id") || session;
  if (isNotification) return null;
  const said = await response.json();
  if (said.error) throw new Error(said.error.message);
  return said.result;
}

await ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "host", version: "1" } });
await ask("notifications/initialized", {}, true);
const { tools } = await ask("tools/list", {});
const uri = tools.find((tool) => tool.name === "order_flow_chart")._meta.ui.resourceUri;
const [{ text: html, mimeType }] = (await ask("resources/read", { uri })).contents;

const context = await chromium.launchPersistentContext(profile, {
  executablePath, args: ARGUMENTS, colorScheme: theme, viewport: { width: 680, height: 520 },
});
const page = context.pages()[0] || (await context.newPage());
const wrong = [];
page.on("console", (message) => { if (["error", "warning"].includes(message.type())) wrong.push(message.text()); });
page.on("pageerror", (error) => wrong.push(String(error)));
await page.exposeFunction("callTool", (name, given) => ask("tools/call", { name, arguments: given }));
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
