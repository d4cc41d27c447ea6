// Opens the desk in headless Chromium and does what SCENARIO says; prints what was seen, as JSON.
//
//     node desk_page.mjs NODE_MODULES CHROMIUM ORIGIN SCENARIO FOLDER [TOKEN]
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { openBrowser, watch } from "./browser.mjs";
import { McpSession } from "./mcp_session.mjs";

const [modules, executablePath, origin, scenario, folder, token] = process.argv.slice(2);
const WIDE = { width: 1280, height: 800 }, PHONE = { width: 390, height: 844 };
const LIVE = { timeout: 60000 };

const say = (seen) => console.log(JSON.stringify(seen));
const context = await openBrowser(modules, executablePath, `${folder}/profile`, { viewport: WIDE, colorScheme: "light" });
const page = context.pages()[0] || (await context.newPage());
const seen = watch(page);

async function openDesk(ticker = "SPY") {
  await page.goto(`${origin}/desk#${ticker}`);
  await page.waitForSelector("#ticker[data-as-of]", LIVE);
  await page.waitForSelector("#tickers li", LIVE);
}

const textOf = (selector) => page.textContent(selector);
const focused = () => page.evaluate(() => document.activeElement?.closest("[id]")?.id ?? null);
const order = () => page.evaluate(() => [...document.querySelectorAll("#tickers li")].map(({ dataset }) => dataset.ticker));

// What the page shows at one moment: read in one go, so that all of it is of one reply.
const shown = () => page.evaluate(() => ({
  asOf: Number(document.getElementById("ticker").dataset.asOf),
  ticker: document.getElementById("name").textContent,
  bid: document.getElementById("bid").textContent,
  ask: document.getElementById("ask").textContent,
  headline: document.getElementById("headline").textContent,
  numbers: Object.fromEntries([...document.querySelectorAll("#numbers [data-name]")].map((fact) => (
    [fact.dataset.name, [...fact.querySelectorAll("dd span")].map((part) => part.textContent)]
  ))),
  events: [...document.querySelectorAll("#events .words")].map((words) => words.textContent),
}));

const scenarios = {
  // What is shown beside what an agent is told at the same as_of.
  async values() {
    await openDesk();
    const session = await McpSession.open(`${origin}/mcp`);
    const pages = new Map(), answers = new Map();
    const pairs = () => [...pages.keys()].filter((asOf) => answers.has(asOf));
    while (pairs().length < 4) {
      const { structuredContent: answer } = await session.ask("tools/call", {
        name: "analyze_order_flow_tool", arguments: { ticker: "SPY" },
      });
      answers.set(answer.as_of, answer);
      const now = await shown();
      pages.set(now.asOf, now);
      await page.waitForTimeout(300);
    }
    return { pairs: pairs().map((asOf) => ({ page: pages.get(asOf), answer: answers.get(asOf) })) };
  },

  // Every text of every reply carries markup: it has to be seen as text.
  async injected() {
    const hostile = '<img src="x" onerror="window.hacked=1"><script>window.hacked=1</script>';
    const keys = ["ticker", "status", "side", "id", "type", "order", "columns"];
    const tainted = (value, name) => {
      if (typeof value === "string") return keys.includes(name) ? value : value + hostile;
      if (Array.isArray(value)) return value.map((inner) => tainted(inner, name));
      if (value === null || typeof value !== "object") return value;
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, tainted(inner, key)]));
    };
    await page.route(/\/desk\/(now|health|answers|event\/)/, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, json: tainted(await response.json(), "") });
    });
    const session = await McpSession.open(`${origin}/mcp`);
    await session.ask("tools/call", { name: "analyze_order_flow_tool", arguments: { ticker: "SPY" } });
    await openDesk();
    await page.waitForFunction(() => document.querySelector("#troubles").children.length, null, LIVE);
    await page.click("#events button");
    await page.waitForFunction(() => document.getElementById("evidence-text").textContent.includes("<img"), null, LIVE);
    await page.keyboard.press("Escape");
    await page.waitForTimeout(1200);
    await page.keyboard.press("a");
    await page.waitForFunction(() => document.getElementById("answer-text").textContent.includes("<img"), null, LIVE);
    return {
      hacked: await page.evaluate(() => window.hacked ?? null),
      elements: await page.evaluate(() => document.querySelectorAll("img, body script").length),
      headline: await textOf("#headline"),
      why: await textOf("#tickers .why"),
    };
  },

  async keyboard() {
    const done = {};
    await openDesk();
    await page.keyboard.press("/");
    done.search = await focused();
    await page.keyboard.type("nvd");
    done.found = await page.locator("#tickers li:visible").count();
    await page.keyboard.press("Enter");
    await page.waitForSelector("#ticker[data-as-of]", LIVE);
    done.chosen = await textOf("#name");
    await page.keyboard.press("g");
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowDown");
    done.second = await page.evaluate(() => document.activeElement.dataset.ticker);
    done.secondInList = (await order())[1];
    await page.keyboard.press("Enter");
    done.byList = await textOf("#name");
    await page.keyboard.press("k");
    done.before = await textOf("#name");
    done.firstInList = (await order())[0];
    await page.waitForSelector("#events button", LIVE);
    done.shownEvents = await page.evaluate(() => [...document.querySelectorAll("#events button")].map(({ dataset }) => dataset.event));
    await page.keyboard.press("e");
    done.event = await page.evaluate(() => document.activeElement.dataset.event ?? null);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#evidence[open]", LIVE);
    await page.waitForFunction(() => document.getElementById("evidence-text").textContent !== "asking …", null, LIVE);
    done.evidence = await textOf("#evidence-text");
    await page.keyboard.press("Escape");
    done.evidenceClosed = await page.evaluate(() => !document.getElementById("evidence").open);
    done.back = await page.evaluate(() => document.activeElement.dataset.event ?? null);
    await page.keyboard.press("x");
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("Shift+ArrowLeft");
    done.readout = await textOf("#readout");
    await page.keyboard.press("s");
    done.span = await page.evaluate(() => document.querySelector("#spans [aria-pressed=true]").dataset.span);
    for (const [key, panel] of [["a", "answers"], ["h", "health"], ["?", "keys"]]) {
      await page.keyboard.press(key);
      done[panel] = await page.evaluate((id) => document.getElementById(id).open, panel);
      await page.keyboard.press("Escape");
    }
    await page.keyboard.press("t");
    await page.keyboard.press("c");
    done.dressed = await page.evaluate(() => ({ ...document.documentElement.dataset }));
    await page.keyboard.press("p");
    done.paused = await textOf("#connection-text");
    await page.keyboard.press("p");
    await page.waitForFunction(() => document.getElementById("connection").dataset.state === "connected", null, LIVE);
    await page.keyboard.press("?");
    await page.focus("#keys-on");
    await page.keyboard.press("Space");
    await page.keyboard.press("Escape");
    await page.keyboard.press("h");
    done.offStaysShut = await page.evaluate(() => !document.getElementById("health").open);
    return done;
  },

  // Looks back by keys and buttons: within what Redis has, a day before in the files, and further.
  async past() {
    const done = {};
    const past = () => page.evaluate(() => ({
      said: document.getElementById("past-text").textContent,
      isShown: !document.getElementById("past").hidden,
      asOf: Number(document.getElementById("ticker").dataset.asOf ?? NaN),
      board: document.getElementById("freshness").dataset.state,
      span: document.querySelector("#spans [aria-pressed=true]").dataset.span,
      session: document.getElementById("session-line").textContent,
      note: document.getElementById("note").textContent,
      events: document.querySelectorAll("#events li").length,
      twin: document.getElementById("twin").textContent,
    }));
    const told = () => page.waitForFunction(() => /^(Looking|Nothing)/.test(document.getElementById("past-text").textContent), null, LIVE);
    await openDesk();
    done.live = await past();
    await page.keyboard.press("[");
    await told();
    done.back = await past();
    await page.waitForTimeout(2500);
    done.later = await past();
    await page.screenshot({ path: `${folder}/past-minutes.png` });
    await page.keyboard.press("]");
    await page.waitForFunction(() => document.getElementById("past").hidden, null, LIVE);
    await page.waitForFunction((asOf) => Number(document.getElementById("ticker").dataset.asOf) > asOf, done.live.asOf, LIVE);
    done.on = await past();
    await page.click("#times [data-key='{']");
    await told();
    await page.waitForTimeout(1100);
    done.day = await past();
    await page.screenshot({ path: `${folder}/past-day.png` });
    await page.keyboard.press("x");
    await page.keyboard.press("ArrowLeft");
    done.readout = await textOf("#readout");
    await page.keyboard.press("Escape");
    await page.click("#events button");
    await page.waitForFunction(() => document.getElementById("evidence-text").textContent.includes("SPY"), null, LIVE);
    done.evidence = await textOf("#evidence-text");
    await page.keyboard.press("Escape");
    await page.setViewportSize(PHONE);
    await page.click("#views [data-view=ticker]");
    await page.screenshot({ path: `${folder}/past-phone.png` });
    done.tooWide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
    await page.setViewportSize(WIDE);
    await page.keyboard.press("{");
    await page.waitForFunction((text) => document.getElementById("past-text").textContent !== text, done.day.said, LIVE);
    await told();
    done.nothing = await past();
    await page.screenshot({ path: `${folder}/past-nothing.png` });
    await page.keyboard.press("n");
    await page.waitForSelector("#past", { state: "hidden" });
    await page.waitForSelector("#ticker[data-as-of]", LIVE);
    done.now = await past();
    return done;
  },

  // Tab reaches everything within few stops, and each stop can be seen.
  async tab() {
    await openDesk();
    const stops = [];
    for (let stop = 0; stop < 40; stop++) {
      await page.keyboard.press("Tab");
      const at = await page.evaluate(() => {
        const { activeElement: element } = document;
        if (element === document.body) return null;
        const style = getComputedStyle(element);
        return { name: element.id || element.dataset.ticker || element.dataset.event || element.textContent, outline: style.outlineStyle };
      });
      if (!at) break;
      stops.push(at);
    }
    return { stops };
  },

  // Both themes and a phone: pictures, colours, width, and what axe finds.
  async looks() {
    const axe = readFileSync(`${modules}/axe-core/axe.min.js`, "utf8");
    const looks = {};
    await openDesk();
    // Enough of the past for a picture that tells something.
    await page.waitForFunction(() => document.querySelectorAll("#events li").length > 2, null, LIVE);
    for (const [name, size, theme, view] of [
      ["light", WIDE, "light"], ["dark", WIDE, "dark"], ["tablet", { width: 900, height: 800 }, "light"],
      ["phone-tickers", PHONE, "light", "board"], ["phone", PHONE, "light", "ticker"], ["phone-events", PHONE, "dark", "side"],
    ]) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme: theme });
      if (view) await page.click(`#views [data-view=${view}]`);
      await page.waitForTimeout(1100);
      await page.screenshot({ path: `${folder}/${name}.png` });
      looks[name] = await look(axe);
    }
    await page.setViewportSize(WIDE);
    for (const [key, panel] of [["h", "health"], ["?", "keys"], ["a", "answers"]]) {
      await page.keyboard.press(key);
      await page.waitForTimeout(300);
      looks[panel] = await look(axe);
      await page.keyboard.press("Escape");
    }
    await page.keyboard.press("c");
    for (const theme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: theme });
      await page.waitForTimeout(300);
      looks[`green-red-${theme}`] = await look(axe);
    }
    return { looks };
  },

  // Nothing moves under the pointer, and nothing is asked for a tab that is hidden.
  async calm() {
    let turned = 0;
    await page.route(/\/desk\/now/, async (route) => {
      const response = await route.fetch();
      const json = await response.json();
      if (turned++ % 2) json.board.tickers.reverse();
      await route.fulfill({ response, json });
    });
    await openDesk();
    await page.hover("#tickers li");
    const held = await order();
    const under = [];
    for (let second = 0; second < 8; second++) {
      await page.waitForTimeout(1000);
      under.push(await order());
    }
    const note = await textOf("#board-note");
    await page.mouse.move(700, 300);
    const free = new Set();
    for (let second = 0; second < 14; second++) {
      await page.waitForTimeout(1000);
      free.add((await order()).join());
    }
    await hide(true);
    const before = seen.asked.length;
    await page.waitForTimeout(6000);
    const hidden = seen.asked.length - before;
    await hide(false);
    await page.waitForTimeout(2500);
    return { held, under, note, orders: free.size, hidden, after: seen.asked.length - before - hidden };
  },

  // Goes on until it is ended; a line for each state of the connection.
  async restart() {
    await openDesk();
    let last = null;
    for (;;) {
      const now = await page.evaluate(() => ({
        state: document.getElementById("connection").dataset.state,
        fresh: document.getElementById("freshness").dataset.state,
      }));
      const text = JSON.stringify(now);
      if (text !== last) console.log(JSON.stringify({ ...now, said: await textOf("#connection-text"), freshness: await textOf("#freshness") }));
      last = text;
      await page.waitForTimeout(100);
    }
  },

  async login() {
    const done = {};
    await page.goto(`${origin}/desk`);
    done.asked = new URL(page.url()).pathname;
    await page.fill("#token", "wrong");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.getElementById("message").textContent.trim());
    done.refused = await textOf("#message");
    seen.wrong.length = 0; // The refusal's 401 is told to the console by the browser itself.
    await page.fill("#token", token);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#tickers li", LIVE);
    done.shown = new URL(page.url()).pathname;
    done.cookiesForScripts = await page.evaluate(() => document.cookie);
    await context.clearCookies();
    await page.waitForURL(/\/desk\/login/, LIVE);
    done.afterLogout = new URL(page.url()).pathname;
    seen.wrong.length = 0;
    return done;
  },
};

async function hide(isHidden) {
  await page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, isHidden);
}

async function look(axe) {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { violations } = await window.axe.run();
    const canvas = document.getElementById("canvas");
    const copy = new OffscreenCanvas(Math.max(1, canvas.width), Math.max(1, canvas.height)).getContext("2d", { willReadFrequently: true });
    if (canvas.width) copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, copy.canvas.width, copy.canvas.height);
    return {
      violations: violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`.slice(0, 400)),
      tooWide: document.documentElement.scrollWidth > window.innerWidth,
      paper: getComputedStyle(document.body).backgroundColor,
      ink: getComputedStyle(document.body).color,
      colours: new Set(new Uint32Array(data.buffer)).size,
      twin: document.getElementById("twin").textContent,
    };
  });
}

const done = await scenarios[scenario]();
// A reply that is under way when the page goes is nobody's fault.
await page.unrouteAll({ behavior: "ignoreErrors" });
await context.close();
say({ ...done, wrong: seen.wrong, origins: [...new Set(seen.asked.map((url) => new URL(url).origin))] });
