// The list of tickers, most unusual first, as the server ranks them.

import { arrange, make, mark, say } from "./dom.js";
import { age, isKnown, number, signed, UNKNOWN } from "./format.js";
import { focusOn, makeStop, roving } from "./roving.js";
import { secondsSince } from "./server_clock.js";
import { drawSparkline } from "./sparkline.js";

const RANK_MS = 5000;
const FLAG_WORDS = { feed_down: "FEED DOWN" };
export const flagText = (flags) => (flags ?? []).map((flag) => FLAG_WORDS[flag] ?? flag.toUpperCase()).join(" ");

export class Board {
  #rows = new Map();
  #order = [];
  #sparks = { end: null, mids: new Map() };
  #wanted = "";
  #chosen = null;
  #rankedAt = 0;

  // `told` hears the name of the ticker that was chosen.
  constructor({ list, search, note }, told) {
    this.list = list;
    this.search = search;
    this.note = note;
    this.told = told;
    roving(list, () => this.#shown());
    list.addEventListener("click", (press) => this.#press(press));
    list.addEventListener("keydown", (press) => {
      if (press.key === "Enter" || press.key === " ") this.#press(press);
    });
    search.addEventListener("input", () => this.#filter());
    search.addEventListener("keydown", (press) => this.#searchKey(press));
  }

  get sparksEnd() { return this.#sparks.end; }
  focus() { this.#shown().find(({ tabIndex }) => tabIndex === 0)?.focus(); }

  get firstTicker() { return this.#order[0] ?? null; }

  take(board, sparks, sparkColour) {
    // A map, since a ticker may have the name of what every object has.
    if (sparks) this.#sparks = { end: sparks.end, mids: new Map(Object.entries(sparks.mids)) };
    const names = board.tickers.map(({ ticker }) => ticker);
    this.#forget(new Set(names));
    for (const seen of board.tickers) this.#update(seen);
    this.#order = this.#isHeld() || this.#isRankedLately() ? this.#keptOrder(names) : names;
    this.#filter();
    if (sparks) this.drawSparks(sparkColour);
  }

  drawSparks(colour) {
    for (const [ticker, row] of this.#rows) {
      if (!row.item.hidden) drawSparkline(row.spark, this.#sparks.mids.get(ticker) ?? [], colour);
    }
  }

  choose(ticker) {
    this.#chosen = ticker;
    for (const [name, { item }] of this.#rows) mark(item, "aria-selected", String(name === ticker));
    const chosen = this.#rows.get(ticker)?.item;
    if (chosen && !this.list.contains(document.activeElement)) makeStop(this.#shown(), chosen);
  }

  // The ticker so many rows farther down, for keys that work anywhere.
  neighbour(steps) {
    const shown = this.#shown();
    const at = shown.findIndex((item) => item.dataset.ticker === this.#chosen);
    const next = shown[Math.max(0, Math.min(shown.length - 1, at + steps))];
    next?.scrollIntoView({ block: "nearest" });
    return next?.dataset.ticker ?? null;
  }

  // Ages grow between replies, and when none comes.
  renewAges() {
    for (const row of this.#rows.values()) if (!row.item.hidden) say(row.age, ageText(row.seen));
  }

  // Whoever points at a row or moves among them by keys is not to lose it.
  #isHeld() {
    const isPointedAt = matchMedia("(hover: hover)").matches && this.list.matches(":hover");
    return this.#order.length > 0 && (isPointedAt || this.list.querySelector(":focus-visible") !== null);
  }

  // A list that moves each second can't be read: it is ranked anew every few seconds.
  #isRankedLately() {
    const isLate = performance.now() - this.#rankedAt >= RANK_MS;
    if (isLate) this.#rankedAt = performance.now();
    return this.#order.length > 0 && !isLate;
  }

  #keptOrder(names) {
    const left = new Set(names);
    const kept = this.#order.filter((name) => left.has(name));
    const known = new Set(kept);
    return [...kept, ...names.filter((name) => !known.has(name))];
  }

  #forget(names) {
    for (const [name, { item }] of this.#rows) {
      if (names.has(name)) continue;
      item.remove();
      this.#rows.delete(name);
    }
  }

  #update(seen) {
    const row = this.#rows.get(seen.ticker) ?? this.#make(seen.ticker);
    row.seen = seen;
    say(row.price, number(seen.mid));
    say(row.moved, movedText(seen.moved_bps));
    say(row.why, seen.why ?? "");
    say(row.flags, flagText(seen.flags));
    say(row.spread, isKnown(seen.spread_bps) ? `spread ${seen.spread_bps} bp` : "spread –");
    say(row.age, ageText(seen));
    mark(row.item, "title", [seen.why, seen.feed, factsText(seen)].filter(Boolean).join("\n"));
    mark(row.item, "data-odd", seen.flags?.length ? "" : null);
  }

  #make(ticker) {
    const row = { spark: make("canvas", { class: "spark", "aria-hidden": "true" }) };
    for (const name of ["price", "moved", "why", "flags", "spread", "age"]) row[name] = make("span", { class: name });
    const second = make("span", { class: "second" }, row.flags, row.spread, row.age);
    row.item = make(
      "li", { role: "option", tabIndex: -1, data: { ticker }, "aria-selected": String(ticker === this.#chosen) },
      make("span", { class: "name" }, ticker), row.price, row.spark, row.moved, second, row.why,
    );
    this.#rows.set(ticker, row);
    return row;
  }

  #shown() {
    return [...this.list.children].filter((item) => !item.hidden);
  }

  #filter() {
    this.#wanted = this.search.value.trim().toUpperCase();
    const before = this.#shown().length;
    arrange(this.list, this.#order.map((name) => this.#rows.get(name).item));
    for (const [name, { item }] of this.#rows) item.hidden = !name.toUpperCase().includes(this.#wanted);
    const shown = this.#shown();
    makeStop(shown, null);
    if (shown.length !== before) this.list.dispatchEvent(new Event("filtered"));
    const held = this.#isHeld() ? "; the order is held while you are here" : "";
    say(this.note, `${shown.length} of ${this.#order.length} tickers, most unusual first · moved, spread: last minute${held}`);
  }

  #searchKey(press) {
    const [first] = this.#shown();
    if (press.key === "ArrowDown" && first) focusOn(this.#shown(), first);
    else if (press.key === "Enter") this.#chooseSearched(first);
    else if (press.key === "Escape") this.#endSearch();
    else return;
    press.preventDefault();
    press.stopPropagation();
  }

  // A ticker that is not active may still be asked for: the server says what is known of it.
  #chooseSearched(first) {
    const exact = this.#shown().find(({ dataset }) => dataset.ticker.toUpperCase() === this.#wanted);
    const ticker = (exact ?? first)?.dataset.ticker ?? this.search.value.trim();
    if (!ticker) return;
    this.#endSearch();
    this.told(ticker);
  }

  #endSearch() {
    this.search.value = "";
    this.search.blur();
    this.#filter();
  }

  #press(press) {
    const item = press.composedPath().find((element) => element.dataset?.ticker);
    if (!item) return;
    press.preventDefault();
    this.told(item.dataset.ticker);
  }
}

// An arrow besides the sign: rising and falling differ without a colour.
function movedText(bps) {
  if (!isKnown(bps)) return UNKNOWN;
  if (bps === 0) return "= 0 bp";
  return `${bps > 0 ? "▲" : "▼"} ${signed(String(bps))} bp`;
}

function factsText({ quotes_per_second: quotes, evidence_class: evidence }) {
  return [isKnown(quotes) ? `${quotes} quotes/s` : null, `evidence ${evidence}`].filter(Boolean).join(", ");
}

// Of the newest quote; where the ticks stopped, of the numbers, which are older.
function ageText({ flags, as_of: asOf, newest_quote_at: quoteAt }) {
  const isStopped = flags?.includes("stale") && isKnown(asOf);
  return isStopped ? `as of ${age(secondsSince(asOf))} ago` : age(secondsSince(quoteAt));
}
