// Prices that were best again and again, nearest first; asks above bids, as in a ladder.

import { arrange, make, mark, say } from "./dom.js";
import { isKnown, signed, size, UNKNOWN } from "./format.js";

const rows = [];

export function showLevels(body, levels, decimals) {
  const asks = levels.filter(({ side }) => side === "ask"), bids = levels.filter(({ side }) => side === "bid");
  const shown = [...asks].reverse().concat(bids);
  while (rows.length < shown.length) rows.push(makeRow());
  shown.forEach((level, place) => fill(rows[place], level, decimals));
  arrange(body, shown.map((_, place) => rows[place].row));
}

function makeRow() {
  const cells = Array.from({ length: 5 }, () => make("td"));
  const head = make("th", { scope: "row" });
  return { row: make("tr", {}, head, ...cells), head, cells };
}

function fill({ row, head, cells }, level, decimals) {
  const distance = isKnown(level.distance_bps) ? signed(String(level.distance_bps)) : UNKNOWN;
  mark(row, "data-side", level.side);
  say(head, level.price.toFixed(decimals));
  const texts = [level.side, size(level.size), String(level.appearances), `${level.held}/${level.broke}`, distance];
  texts.forEach((text, place) => say(cells[place], text));
}
