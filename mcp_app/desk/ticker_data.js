// What is known of the chosen ticker: replies of the server merged by time and id, and the chart's view of it.

import { decimalsOf, isKnown } from "./format.js";
import { bounds } from "./scale.js";

const KEPT_MS = 15 * 60 * 1000;
const SIDES = { buy: "buyer", sell: "seller" };
const PROFILE_ROWS = 40, MOST_PRINTS = 20_000;

export class TickerData {
  constructor(ticker) {
    this.ticker = ticker;
    this.rows = new Map();
    this.prints = [];
    this.events = new Map();
    this.order = [];
    this.levels = [];
    this.answer = null;
    this.asOf = null;
    this.completeFrom = null;
    this.stepMs = 1000;
  }

  take(part) {
    if (part.answer) this.answer = part.answer;
    if (part.levels) this.levels = part.levels;
    if (part.order) this.order = part.order;
    for (const event of part.events ?? []) this.events.set(event.id, event);
    if (part.rows) this.#takeRows(part.rows);
    if (part.prints) this.#takePrints(part.prints);
    if (part.as_of) this.asOf = part.as_of;
    this.#forget();
  }

  // The last seconds come again, since late records change them: a row replaces the one of its end.
  #takeRows({ first_end: firstEnd, step_seconds: stepSeconds, columns }) {
    this.stepMs = 1000 * stepSeconds;
    const names = Object.keys(columns);
    const count = Math.max(0, ...names.map((name) => columns[name].length));
    for (let place = 0; place < count; place++) {
      const at = firstEnd + place * this.stepMs;
      this.rows.set(at, { at, ...rowAt(columns, place) });
    }
  }

  // All prints of the seconds after `from` are in the reply.
  #takePrints({ from, complete_from: completeFrom, columns, rows }) {
    const place = Object.fromEntries(columns.map((name, at) => [name, at]));
    const fresh = rows.map((row) => ({
      at: row[place.end], price: row[place.price], size: row[place.size],
      side: SIDES[row[place.side]] ?? null, count: row[place.count],
    }));
    if (this.completeFrom === null || completeFrom > from) this.completeFrom = completeFrom;
    this.prints = [...this.prints.filter((print) => print.at <= from), ...fresh];
  }

  #forget() {
    if (!this.asOf) return;
    // A clock that was ahead and is right again takes back what lies after its time.
    const isKept = ({ at }) => at >= this.asOf - KEPT_MS && at <= this.asOf;
    for (const row of this.rows.values()) if (!isKept(row)) this.rows.delete(row.at);
    this.prints = this.prints.filter(isKept);
    this.#boundPrints();
    const oldest = this.asOf - KEPT_MS;
    for (const [id, event] of this.events) {
      const isOver = event.status !== "open" && (event.closed_at ?? event.noticed_at) < oldest;
      if (isOver && !this.order.includes(id)) this.events.delete(id);
    }
  }

  // Of a very busy ticker the oldest prints are forgotten, by whole seconds.
  #boundPrints() {
    if (this.prints.length <= MOST_PRINTS) return;
    this.completeFrom = this.prints.at(-MOST_PRINTS).at;
    this.prints = this.prints.filter(({ at }) => at > this.completeFrom);
  }

  // The listed events, in the order of the server: rarest first.
  listedEvents() {
    return this.order.map((id) => this.events.get(id)).filter(Boolean);
  }

  // What the chart draws of the last `spanSeconds`.
  model(spanSeconds, answers) {
    const to = this.asOf, from = to - spanSeconds * 1000;
    const rows = [...this.rows.values()].filter(({ at }) => at > from && at <= to).sort((a, b) => a.at - b.at);
    const trades = this.prints.filter(({ at }) => at > from && at <= to);
    const session = this.answer?.session ?? {};
    const quoted = rows.slice(-60).flatMap(({ bid, ask }) => [bid, ask]);
    const decimals = decimalsOf([...quoted, ...this.levels.map(({ price }) => price)]);
    return {
      from, to, stepMs: this.stepMs, rows, trades, decimals,
      levels: this.levels,
      vwap: { price: session.vwap, sd: session.vwap_sd },
      openingRange: { low: session.opening_range_low, high: session.opening_range_high },
      profile: profileOf(trades, rows, session),
      events: this.#shownEvents(from),
      answers: answers.filter(({ at, ticker }) => at > from && (!ticker || ticker === this.ticker)),
      printsFrom: this.completeFrom > from ? this.completeFrom : null,
    };
  }

  #shownEvents(from) {
    return [...this.events.values()]
      .filter((event) => event.status === "open" || (event.closed_at ?? event.noticed_at) > from)
      .map((event) => ({
        id: event.id, side: event.side, words: event.words, name: nameOf(event),
        openedAt: event.opened_at ?? event.noticed_at, noticedAt: event.noticed_at, closedAt: event.closed_at ?? null,
      }));
  }
}

function rowAt(columns, place) {
  const value = (name) => columns[name]?.[place] ?? null;
  return {
    bid: value("bid_price"), ask: value("ask_price"), mid: value("mid"),
    bidSize: value("bid_size"), askSize: value("ask_size"),
    ofi: value("ofi"), cvd: value("cvd"), vwap: value("session_vwap"),
  };
}

const nameOf = ({ type, side }) => `${type.replaceAll("_", " ")} ${side}`;

// The prints that are shown, summed in rows of equal height; POC and value area are the session's.
function profileOf(trades, rows, session) {
  const marks = { poc: session.poc, valueLow: session.value_area_low, valueHigh: session.value_area_high };
  if (!trades.length) return { rows: [], ...marks };
  const prices = trades.map(({ price }) => price);
  const { low, high } = bounds(prices);
  const height = rowHeight([...new Set(prices)].sort((a, b) => a - b), high - low);
  const summed = new Map();
  for (const { price, size, side } of trades) {
    const place = Math.floor((price - low) / height + 0.5);
    if (!summed.has(place)) {
      const middle = low + place * height;
      summed.set(place, { low: middle - height / 2, high: middle + height / 2, bought: 0, sold: 0, unsigned: 0 });
    }
    summed.get(place)[{ buyer: "bought", seller: "sold" }[side] ?? "unsigned"] += size;
  }
  return { rows: [...summed.values()], ...marks };
}

// The least distance of two prices, or a whole multiple of it, so that the rows are few enough.
function rowHeight(prices, span) {
  let least = Infinity;
  for (let place = 1; place < prices.length; place++) least = Math.min(least, prices[place] - prices[place - 1]);
  if (!isKnown(least) || !Number.isFinite(least)) return Math.max(span, prices[0] * 1e-5);
  return least * Math.max(1, Math.ceil(span / least / PROFILE_ROWS));
}
