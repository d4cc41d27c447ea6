// Prices that were best again and again, the highest first, as in a ladder.

import { arrange, byId, make, mark, say } from "./dom.js";
import { isKnown, signed, size, UNKNOWN } from "./format.js";

const SIGNS = { bid: "■", ask: "□" };
const rows = [];

// `none` says why there are none.
export function showLevels(body, levels, decimals, none = "") {
  const shown = [...levels].sort((a, b) => b.price - a.price);
  while (rows.length < shown.length) rows.push(makeRow());
  shown.forEach((level, place) => fill(rows[place], level, decimals));
  byId("no-levels").hidden = shown.length > 0 || !none;
  say(byId("no-levels"), none);
  arrange(body, shown.map((_, place) => rows[place].row));
}

function makeRow() {
  const cells = Array.from({ length: 4 }, () => make("td"));
  const head = make("th", { scope: "row" });
  return { row: make("tr", {}, head, ...cells), head, cells };
}

function fill({ row, head, cells }, level, decimals) {
  const distance = isKnown(level.distance_bps) ? signed(String(level.distance_bps)) : UNKNOWN;
  mark(row, "data-side", level.side);
  say(head, `${level.price.toFixed(decimals)} ${SIGNS[level.side]}`);
  mark(head, "aria-label", `${level.price.toFixed(decimals)} ${level.side}`);
  const texts = [size(level.size), String(level.appearances), `${level.held}/${level.broke}`, distance];
  texts.forEach((text, place) => say(cells[place], text));
}
