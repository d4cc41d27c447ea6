// What the chart shows at one moment, in words, and the chart as text for those who don't see it.

import { byId, make, say } from "./dom.js";
import { clock, compact, isKnown, signed, size, UNKNOWN } from "./format.js";

export function readoutAt(model, at) {
  const row = nearestRow(model.rows, at);
  if (!row) return "nothing known of then";
  const trades = model.trades.filter((trade) => trade.at === row.at);
  const sum = (side) => trades.filter((trade) => trade.side === side).reduce((all, trade) => all + trade.size, 0);
  const parts = [
    `${clock(row.at)} UTC`,
    `bid ${price(row.bid, model)} × ${size(row.bidSize)}`,
    `ask ${price(row.ask, model)} × ${size(row.askSize)}`,
    `OFI ${isKnown(row.ofi) ? signed(size(row.ofi)) : UNKNOWN}`,
    `CVD ${isKnown(row.cvd) ? signed(compact(row.cvd)) : UNKNOWN}`,
  ];
  if (trades.length) parts.push(`▲ bought ${size(sum("buyer"))}, ▼ sold ${size(sum("seller"))}`);
  for (const event of model.events) {
    if (event.noticedAt === row.at) parts.push(event.words);
  }
  return parts.join(" · ");
}

const price = (value, { decimals }) => (isKnown(value) ? value.toFixed(decimals) : UNKNOWN);

export function nearestRow(rows, at) {
  let nearest = null;
  for (const row of rows) if (!nearest || Math.abs(row.at - at) < Math.abs(nearest.at - at)) nearest = row;
  return nearest;
}

// One sentence that says what the picture shows.
export function describeChart(ticker, model) {
  const mids = model.rows.map(({ mid }) => mid).filter(isKnown);
  const last = model.rows.at(-1);
  if (!mids.length || !last) return `${ticker}: no quotes in the span that is shown.`;
  const minutes = Math.round((model.to - model.from) / 60000);
  const low = Math.min(...mids).toFixed(model.decimals), high = Math.max(...mids).toFixed(model.decimals);
  return [
    `${ticker}, ${minutes} minutes up to ${clock(model.to)} UTC: the mid went from ${mids[0].toFixed(model.decimals)}`,
    `to ${mids.at(-1).toFixed(model.decimals)}, between ${low} and ${high}; ${model.trades.length} prices with prints;`,
    `${model.events.length} events; session CVD ${isKnown(last.cvd) ? signed(compact(last.cvd)) : "not known"}.`,
  ].join(" ");
}

const TABLE_STEPS = 15;

// The chart as a table: about fifteen moments, newest first.
export function showTable(model) {
  const { rows } = model;
  const step = Math.max(1, Math.floor(rows.length / TABLE_STEPS));
  const shown = rows.filter((_, place) => (rows.length - 1 - place) % step === 0).reverse();
  byId("table-rows").replaceChildren(...shown.map((row) => make(
    "tr", {}, make("th", { scope: "row" }, clock(row.at)),
    ...[row.bid, row.ask].map((value) => make("td", {}, price(value, model))),
    ...[row.bidSize, row.askSize, row.ofi, row.cvd].map((value) => make("td", {}, size(value))),
  )));
}

export function showReadout(text) { say(byId("readout"), text); }
