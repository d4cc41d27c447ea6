// The desk: asks the server each second and shows what it says. What is unusual is ranked there, never here.

import { Board } from "./board.js";
import { Chart } from "./chart.js";
import { followCursor } from "./chart_cursor.js";
import { renewConnection, showConnection, showFreshness } from "./connection_state.js";
import { byId, mark, say } from "./dom.js";
import { EventsList } from "./events_list.js";
import { listenToKeys, listKeys } from "./keys.js";
import { showLevels } from "./levels_table.js";
import { DAY_MS, LookBack, STEP_MS } from "./look_back.js";
import { AnswersPanel, closeOnOutsidePress, openPanel, renewHealth, showEvidence, togglePanel } from "./panels.js";
import { getJson, Poller } from "./polling.js";
import { choose, chooseNext, dress, preference } from "./preferences.js";
import { describeChart, readoutAt, showReadout, showTable } from "./readout.js";
import { heard, serverNow } from "./server_clock.js";
import { clearHead, showAges, showHead } from "./ticker_head.js";
import { TickerData } from "./ticker_data.js";

const HEALTH_MS = 5000, TWIN_MS = 5000;
const PAST_SPAN = "900";
const page = { data: null, intervalSeconds: 1, boardAsOf: null, twinAt: -Infinity, liveSpan: null };

dress();
const answers = new AnswersPanel();
const chart = new Chart(byId("canvas"), openHit);
const board = new Board({ list: byId("tickers"), search: byId("search"), note: byId("board-note") }, chooseTicker);
const events = new EventsList(byId("events"), { pressed: showEvidence, pointed: pointAtEvent });
const poller = new Poller(askNow, hearConnection);
const past = new LookBack({ now: serverNow, ticker: () => page.data?.ticker, changed: showPast });

// --- asking ---

async function askNow() {
  const asked = page.data;
  const reply = await getJson(`/desk/now?${queryOf(asked)}`);
  heard(reply.now);
  page.intervalSeconds = reply.interval_seconds ?? page.intervalSeconds;
  takeBoard(reply);
  // Another ticker may have been chosen meanwhile.
  if (reply.ticker && asked === page.data) takeTicker(reply.ticker);
  if (!page.data && board.firstTicker) chooseTicker(board.firstTicker, false);
  answers.renew(reply.newest_answer_at).then((isNew) => isNew && drawChart());
  showFreshness(page.boardAsOf, page.intervalSeconds);
  return reply.poll_after_ms;
}

// Why nothing comes is said until something comes again: Redis may be away while the server answers.
function hearConnection(state, why) {
  showConnection(state);
  if (state === "lost") showBanner(why);
}

function queryOf(data) {
  const query = new URLSearchParams();
  if (data && !past.isLooking) query.set("ticker", data.ticker);
  if (data?.asOf && !past.isLooking) query.set("since", data.asOf);
  if (board.sparksEnd) query.set("sparks", board.sparksEnd);
  return query;
}

function takeBoard({ board: part, sparks }) {
  if (!part) return;
  page.boardAsOf = part.as_of ?? null;
  showBanner(part.error ?? part.cause ?? null);
  board.take(part, sparks, chart.palette.ink);
}

function takeTicker(part) {
  const { data } = page;
  if (part.error) {
    if (!past.isLooking) showError(part.error);
    return;
  }
  data.ticker = part.ticker;
  data.take(part);
  board.choose(data.ticker);
  if (!past.isLooking) showTicker(data);
}

function showError(text) {
  say(byId("headline"), "");
  say(byId("note"), text);
}

// The live ticker, or the earlier one that somebody looks at.
const shownData = () => (past.isLooking ? past.data : page.data);

function showTicker(data) {
  say(byId("name"), data.ticker);
  const model = data.asOf ? data.model(Number(preference("span")), answers.answers) : null;
  if (data.answer) showHead(data.answer, model?.decimals ?? 0);
  mark(byId("ticker"), "data-as-of", data.asOf);
  events.show(data.listedEvents());
  if (model) {
    const none = past.isLooking ? "Levels of earlier moments are not kept." : "No price was the best of its side often enough yet.";
    showLevels(byId("levels-rows"), data.levels, model.decimals, none);
    showChart(model);
    renewTwin(model);
  }
}

function openHit({ event, answer }) {
  if (event) showEvidence(event.id); else answers.open(answer.id);
}

// --- choosing ---

function chooseTicker(ticker, isPressed = true) {
  page.data = new TickerData(ticker);
  past.leave();
  chart.cursorAt = null;
  forgetTicker();
  say(byId("name"), ticker);
  board.choose(ticker);
  history.replaceState(null, "", `#${encodeURIComponent(ticker)}`);
  if (isPressed) showView("ticker");
  poller.again();
}

// Nothing of the ticker before is to stand under the name of the new one.
function forgetTicker() {
  clearHead();
  mark(byId("ticker"), "data-as-of", null);
  chart.show(null);
  showReadout("");
  say(byId("twin"), "");
  byId("table-rows").replaceChildren();
  page.twinAt = -Infinity;
  events.show([]);
  byId("no-events").hidden = true;
  showLevels(byId("levels-rows"), [], 0);
}

function showView(name) {
  const main = document.querySelector("main");
  main.dataset.view = name;
  main.scrollTop = 0;
  for (const button of document.querySelectorAll("#views button")) {
    mark(button, "aria-current", String(button.dataset.view === name));
  }
  board.drawSparks(chart.palette.ink);
}

function chooseNeighbour(steps) {
  const ticker = board.neighbour(steps);
  if (ticker && ticker !== page.data?.ticker) chooseTicker(ticker);
}

// --- showing ---

function drawChart() {
  const data = shownData();
  if (data?.asOf) showChart(data.model(Number(preference("span")), answers.answers));
}

function showChart(model) {
  chart.show(model);
  if (chart.cursorAt !== null) showReadout(readoutAt(model, chart.cursorAt));
}

function renewTwin(model) {
  if (performance.now() - page.twinAt < TWIN_MS) return;
  page.twinAt = performance.now();
  say(byId("twin"), describeChart(shownData().ticker, model));
  if (byId("table").open) showTable(model);
}

function showPast() {
  byId("past").hidden = !past.isLooking;
  mark(byId("ticker"), "data-past", past.isLooking);
  for (const button of document.querySelectorAll("[data-past]")) button.hidden = !past.isLooking;
  // A step is shorter than what is shown, so that none is passed by.
  if (past.isLooking && page.liveSpan === null) page.liveSpan = takeSpan(PAST_SPAN);
  if (!past.isLooking && page.liveSpan !== null) { takeSpan(page.liveSpan); page.liveSpan = null; }
  sayPast();
  page.twinAt = -Infinity;
  if (past.isAsking) return;
  const data = shownData();
  if (data?.asOf) showTicker(data); else forgetTicker();
  if (past.error) showError(past.error);
  if (!past.isLooking) poller.again();
}

// Returns the span that was shown before.
function takeSpan(span) {
  const before = preference("span");
  choose("span", span);
  showSpan();
  return before;
}

function sayPast() {
  if (!past.isLooking) { say(byId("past-text"), ""); return; }
  const verb = past.isAsking ? "Asking for" : past.error ? "Nothing to show of" : "Looking at";
  say(byId("past-text"), `${verb} ${past.describe(Number(preference("span")))}. Live: press n.`);
}

function pointAtEvent(id) {
  if (chart.chosenEvent === id) return;
  chart.chosenEvent = id;
  chart.draw();
}

function showBanner(text) {
  byId("banner").hidden = !text;
  say(byId("banner"), text ?? "");
}

function renewAges() {
  if (document.hidden) return;
  showFreshness(page.boardAsOf, page.intervalSeconds);
  renewConnection();
  if (serverNow() === null) return;
  showAges(shownData()?.answer);
  board.renewAges();
  events.renewAges();
}

function redress() {
  dress();
  byId("theme-button").title = `Theme: ${preference("theme")}`;
  byId("sides-button").title = `Bid and ask: ${preference("sides")}`;
  chart.recolour();
  board.drawSparks(chart.palette.ink);
}

// --- keys and buttons ---

const actions = {
  "/": { says: "find a ticker; Enter takes the first one", run: () => { showView("board"); byId("search").focus(); } },
  j: { says: "next ticker", run: () => chooseNeighbour(1) },
  k: { says: "ticker before", run: () => chooseNeighbour(-1) },
  g: { says: "to the list of tickers; arrow keys, Enter", run: () => { showView("board"); board.focus(); } },
  e: { says: "to the events; arrow keys, Enter: evidence", run: () => { showView("side"); events.focus(); } },
  x: { says: "to the chart; arrow keys: moment, Esc: none", run: () => { showView("ticker"); byId("chart").focus(); } },
  s: { says: "span of the chart: 2, 5, 15 minutes", run: () => { chooseNext("span"); showSpan(); } },
  "[": { says: "ten minutes back, in what is kept", run: () => past.step(-STEP_MS) },
  "]": { says: "ten minutes on, up to now", run: () => past.step(STEP_MS) },
  "{": { says: "a day back", run: () => past.step(-DAY_MS) },
  "}": { says: "a day on", run: () => past.step(DAY_MS) },
  n: { says: "now: back to what is live", run: () => past.leave() },
  a: { says: "what the agent was told", run: () => togglePanel("answers") && answers.open(), inPanels: true },
  h: { says: "health", run: () => togglePanel("health"), inPanels: true },
  p: { says: "pause, go on", run: togglePause },
  t: { says: "theme: as the system, light, dark", run: () => { chooseNext("theme"); redress(); }, inPanels: true },
  c: {
    says: "colours of bid and ask: blue and orange, green and red, red and green",
    run: () => { chooseNext("sides"); redress(); }, inPanels: true,
  },
  "?": { says: "keys and marks", run: () => togglePanel("keys"), inPanels: true },
};

function togglePause() {
  poller.pause(!poller.isPaused);
  mark(byId("pause-button"), "aria-pressed", String(poller.isPaused));
}

function showSpan() {
  for (const button of document.querySelectorAll("#spans button")) {
    mark(button, "aria-pressed", String(button.dataset.span === preference("span")));
  }
  sayPast();
  drawChart();
}

async function askHealth() {
  const isLookedAt = !document.hidden && !poller.isPaused;
  if (isLookedAt) await renewHealth();
  setTimeout(askHealth, HEALTH_MS);
}

function wire() {
  for (const button of document.querySelectorAll("[data-key]")) {
    button.addEventListener("click", () => actions[button.dataset.key].run());
  }
  byId("health-button").addEventListener("click", () => openPanel("health"));
  for (const button of document.querySelectorAll("#views button")) {
    button.addEventListener("click", () => showView(button.dataset.view));
  }
  for (const button of document.querySelectorAll("#spans button")) {
    button.addEventListener("click", () => { choose("span", button.dataset.span); showSpan(); });
  }
  followCursor(chart);
  byId("tickers").addEventListener("filtered", () => board.drawSparks(chart.palette.ink));
  byId("table").addEventListener("toggle", () => chart.model && showTable(chart.model));
  byId("keys-on").checked = preference("keys") === "on";
  byId("keys-on").addEventListener("change", ({ target: box }) => choose("keys", box.checked ? "on" : "off"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redress);
  window.addEventListener("hashchange", () => tickerInAddress() && chooseTicker(tickerInAddress()));
  closeOnOutsidePress();
  listKeys(actions);
  listenToKeys(actions);
}

function tickerInAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)).slice(0, 32) || null;
  } catch {
    return null;
  }
}

wire();
redress();
showView("board");
showSpan();
setInterval(renewAges, 1000);
const wanted = tickerInAddress();
if (wanted) chooseTicker(wanted, false); else poller.again();
askHealth();
