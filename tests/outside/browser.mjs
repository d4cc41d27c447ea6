// Headless Chromium for pages of the project: opened once, and watched for what goes wrong.
import { createRequire } from "node:module";

const ARGUMENTS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

export function openBrowser(modules, executablePath, profile, options) {
  const { chromium } = createRequire(`${modules}/`)("playwright-core");
  return chromium.launchPersistentContext(profile, { executablePath, args: ARGUMENTS, ...options });
}

// `wrong`: what the console says of errors; `asked`: each address that the page asked for.
export function watch(page) {
  const seen = { wrong: [], asked: [] };
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) seen.wrong.push(`${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => seen.wrong.push(String(error)));
  page.on("request", (request) => seen.asked.push(request.url()));
  return seen;
}
