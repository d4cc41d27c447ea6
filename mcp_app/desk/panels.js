// What opens over the page: an event's evidence, what the agent was told, health, keys.

import { arrange, byId, make, say } from "./dom.js";
import { age, clock, isKnown, megabytes, UNKNOWN } from "./format.js";
import { getJson } from "./polling.js";
import { heard, secondsSince, serverNow } from "./server_clock.js";

const KEPT_MS = 3_600_000, MOST_ANSWERS = 100;

export function openPanel(id) {
  const panel = byId(id);
  if (!panel.open) panel.showModal();
  return panel;
}

export function togglePanel(id) {
  const panel = byId(id);
  if (panel.open) panel.close(); else openPanel(id);
  return panel.open;
}

export const isPanelOpen = () => document.querySelector("dialog[open]") !== null;

// A press beside a panel closes it.
export function closeOnOutsidePress() {
  for (const panel of document.querySelectorAll("dialog")) {
    panel.addEventListener("click", ({ target: pressed }) => pressed === panel && panel.close());
    panel.querySelector("[data-close]").addEventListener("click", () => panel.close());
  }
}

export async function showEvidence(id) {
  const panel = openPanel("evidence");
  say(byId("evidence-title"), id);
  say(byId("evidence-text"), "asking …");
  byId("evidence-facts").replaceChildren();
  panel.dataset.shown = id;
  try {
    const found = await getJson(`/desk/event/${encodeURIComponent(id)}`);
    if (panel.dataset.shown === id) fillEvidence(found);
  } catch (fault) {
    if (panel.dataset.shown === id) say(byId("evidence-text"), fault.message);
  }
}

function fillEvidence(found) {
  say(byId("evidence-title"), found.event.words);
  const rows = Object.entries(found.evidence ?? {}).map(([name, value]) => [name.replaceAll("_", " "), String(value)]);
  const known = [["id", found.event.id], ["statistic", found.event.statistic], ["threshold", found.event.threshold]]
    .filter(([, value]) => value !== undefined && value !== null);
  byId("evidence-facts").replaceChildren(...[...known, ...rows].map(([name, value]) => (
    make("div", {}, make("dt", {}, name), make("dd", {}, String(value)))
  )));
  say(byId("evidence-text"), found.text ?? "");
}

// The new answers before those known, without those that are no longer kept.
export function merged(fresh, known, keptFrom) {
  const ids = new Set(fresh.map(({ id }) => id));
  const kept = known.filter(({ id, at }) => !ids.has(id) && at >= keptFrom);
  return [...fresh, ...kept].slice(0, MOST_ANSWERS);
}

// Answers by time, newest first; a press shows the text as it was sent.
export class AnswersPanel {
  answers = [];
  #newestAt = null;

  // Returns whether there are new ones.
  async renew(newestAt) {
    if (newestAt === undefined || newestAt === null || newestAt === this.#newestAt) return false;
    this.#newestAt = newestAt;
    try {
      // Asked from 1 ms before the newest one on: times are rounded.
      const since = this.answers.length ? `?since=${this.answers[0].at - 1}` : "";
      const { now, answers } = await getJson(`/desk/answers${since}`);
      this.answers = merged(answers, this.answers, now - KEPT_MS);
      this.#list();
      return true;
    } catch {
      // Asked again with the next reply; the connection says what is wrong.
      this.#newestAt = null;
      return false;
    }
  }

  async open(id) {
    const panel = openPanel("answers");
    this.#list();
    const wanted = id ?? panel.dataset.shown ?? this.answers[0]?.id;
    if (wanted) await this.#show(wanted, panel);
  }

  #list() {
    say(byId("answers-note"), this.answers.length
      ? "What agents were told in the last hour, newest first."
      : "Nothing was asked in the last hour. Answers of the MCP tools appear here.");
    arrange(byId("answers-list"), this.answers.map((answer) => this.#item(answer)));
    const shown = byId("answers").dataset.shown;
    for (const button of byId("answers-list").querySelectorAll("button")) {
      button.setAttribute("aria-current", String(button.dataset.answer === shown));
    }
  }

  #item({ id, at, ticker, title }) {
    const known = [...byId("answers-list").children].find((item) => item.dataset.id === id);
    if (known) return known;
    const button = make(
      "button", { type: "button", data: { answer: id }, on: { click: () => this.open(id) } },
      make("span", { class: "when" }, [clock(at), id, ticker].filter(Boolean).join(" · ")),
      make("span", { class: "words" }, title ?? ""),
    );
    return make("li", { data: { id } }, button);
  }

  async #show(id, panel) {
    panel.dataset.shown = id;
    this.#list();
    say(byId("answer-text"), "asking …");
    try {
      const { at, text } = await getJson(`/desk/answers/${encodeURIComponent(id)}`);
      if (panel.dataset.shown !== id) return;
      say(byId("answer-title"), `${id}, told at ${clock(at)} UTC, ${age(secondsSince(at))} ago`);
      say(byId("answer-text"), text);
    } catch (fault) {
      if (panel.dataset.shown !== id) return;
      say(byId("answer-title"), id);
      say(byId("answer-text"), fault.message);
    }
  }
}

// The line in the head of the page, and the panel behind it.
export async function renewHealth() {
  try {
    showHealth(await getJson("/desk/health"));
  } catch (fault) {
    // What was well before is not known to be so now.
    showTroubles([`Health is not known: ${fault.message}`]);
    say(byId("health-line"), "health: not known");
    byId("health-facts").replaceChildren();
  }
}

function showHealth(health) {
  if (serverNow() === null) heard(health.now);
  const troubles = health.troubles ?? [];
  say(byId("health-line"), [
    troubles.length ? `⚠ ${troubles.length} ${troubles.length === 1 ? "trouble" : "troubles"}` : "✓ well",
    `${health.active ?? UNKNOWN} active`, `tick ${agoThen(health, health.tick_at)}`,
    isKnown(health.lag_p95_seconds) ? `lag p95 ≤ ${health.lag_p95_seconds} s` : null,
    health.ticks_failed ? `${health.ticks_failed} failed` : null,
  ].filter(Boolean).join(" · "));
  showTroubles(troubles);
  byId("health-facts").replaceChildren(...healthFacts(health).map(([name, value]) => (
    make("div", {}, make("dt", {}, name), make("dd", {}, value))
  )));
}

function showTroubles(troubles) {
  byId("health-button").toggleAttribute("data-odd", troubles.length > 0);
  const said = troubles.length ? troubles : ["Nothing is wrong."];
  byId("troubles").replaceChildren(...said.map((text) => make("li", {}, text)));
}

// The server asks how all is every few seconds: ages are as of then.
const agoThen = ({ now }, at) => (isKnown(at) ? `${age((now - at) / 1000)} ago` : UNKNOWN);

function healthFacts(health) {
  const memory = health.redis_memory_bytes;
  const feeds = Object.entries(health.feeds ?? {}).map(([words, count]) => `${words}: ${count}`);
  return [
    ["Redis", `${health.redis ?? UNKNOWN}${isKnown(memory) ? `, ${megabytes(memory)} in use` : ""}`],
    ["workers", `${health.workers ?? UNKNOWN} did work in the last 10 s`],
    ["fan-out", agoThen(health, health.fanout_at)],
    ["newest tick", agoThen(health, health.tick_at)],
    ["lag of ticks", `half ≤ ${health.lag_p50_seconds ?? UNKNOWN} s, p95 ≤ ${health.lag_p95_seconds ?? UNKNOWN} s`],
    ["ticks", ["done", "skipped", "failed"].map((what) => `${health[`ticks_${what}`] ?? UNKNOWN} ${what}`).join(", ")],
    ["tickers", `${health.active ?? UNKNOWN} active, ${health.stale ?? UNKNOWN} stale`],
    ["feeds", feeds.join("; ") || UNKNOWN],
    ["feeds down", health.feeds_down?.length ? health.feeds_down.join(", ") : "none"],
  ];
}
