// A moment of the chart, by pointer or by arrow keys, and what it says.

import { byId, say } from "./dom.js";
import { nearestRow, readoutAt, showReadout } from "./readout.js";

const FAR_STEP = 10;

export function followCursor(chart) {
  const canvas = byId("canvas");
  canvas.addEventListener("pointermove", ({ offsetX, offsetY }) => {
    pointAt(chart, chart.timeAt(offsetX));
    showTip(chart.hitAt(offsetX, offsetY), offsetX, offsetY);
  });
  canvas.addEventListener("pointerleave", () => {
    pointAt(chart, null);
    showTip(null);
  });
  byId("chart").addEventListener("keydown", (press) => step(chart, press));
}

function pointAt(chart, at) {
  const row = at === null || !chart.model ? null : nearestRow(chart.model.rows, at);
  chart.cursorAt = row?.at ?? null;
  chart.draw();
  showReadout(row ? readoutAt(chart.model, row.at) : "");
}

// The words of the event or answer under the pointer.
function showTip(hit, left, top) {
  const tip = byId("tip");
  tip.hidden = !hit;
  byId("canvas").style.cursor = hit ? "pointer" : "";
  if (!hit) return;
  say(tip, hit.event ? hit.event.words : `answer ${hit.answer.id}: ${hit.answer.title ?? ""}`);
  const room = byId("chart").clientWidth - tip.offsetWidth;
  tip.style.left = `${Math.max(0, Math.min(left + 8, room))}px`;
  tip.style.top = `${top + 14}px`;
}

function step(chart, press) {
  const place = placeAfter(chart, press);
  if (place === undefined) return;
  press.preventDefault();
  const rows = chart.model.rows;
  pointAt(chart, place === null ? null : rows[Math.max(0, Math.min(rows.length - 1, place))]?.at ?? null);
}

// Which row a key leads to: null for none, undefined for a key that means nothing here.
function placeAfter({ model, cursorAt }, { key, shiftKey }) {
  if (!model) return undefined;
  const { rows } = model;
  const from = cursorAt === null ? rows.length : rows.findIndex(({ at }) => at === cursorAt);
  const steps = shiftKey ? FAR_STEP : 1;
  return { ArrowLeft: from - steps, ArrowRight: from + steps, Home: 0, End: rows.length - 1, Escape: null }[key];
}
