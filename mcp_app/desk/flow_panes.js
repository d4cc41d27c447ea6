// The panes below the price: cumulative volume delta, order flow imbalance, sizes at the touch.

import { compact, isKnown, signed } from "./format.js";
import { endLabels, paneTitle } from "./axis.js";
import { faded } from "./palette.js";
import { bounds, linear, quantile } from "./scale.js";

const CUT_SHARE = 0.98;

function zeroLine({ context, palette }, area, at) {
  context.strokeStyle = palette.line;
  context.beginPath();
  context.moveTo(area.left, Math.round(at) + 0.5);
  context.lineTo(area.right, Math.round(at) + 0.5);
  context.stroke();
}

// One bar a second from zero; 1 px at least, so that it is seen.
function bar({ context, x, stepMs }, row, top, bottom) {
  const left = x(row.at - stepMs), width = Math.max(1, x(row.at) - left - 0.5);
  context.fillRect(left, Math.min(top, bottom), width, Math.max(1, Math.abs(bottom - top)));
}

export function drawDelta(frame, model, area) {
  const values = model.rows.map((row) => row.cvd);
  const found = bounds(values);
  const title = titled("CVD of the session", values.at(-1));
  if (!found) { paneTitle(frame, area, title); return; }
  const isFar = isFarFromZero(found);
  const low = isFar ? found.low : Math.min(0, found.low), high = isFar ? found.high : Math.max(0, found.high);
  const y = linear(low, high, area.bottom - 2, area.top + 14);
  if (isFar) drawLine(frame, model.rows, y); else drawArea(frame, model.rows, y, area);
  paneTitle(frame, area, isFar ? `${title}; zero lies outside` : title);
  endLabels(frame, area, high, low);
}

// Where zero is far, bars from it would all look the same: a line shows the change instead.
const isFarFromZero = ({ low, high }) => (
  low * high > 0 && Math.min(Math.abs(low), Math.abs(high)) > 2 * (high - low)
);

function drawArea(frame, rows, y, area) {
  const { context, palette, x } = frame;
  for (const row of rows) {
    if (!isKnown(row.cvd)) continue;
    context.fillStyle = faded(row.cvd < 0 ? palette.ask : palette.bid, 0.45);
    const left = x(row.at - frame.stepMs);
    context.fillRect(left, Math.min(y(0), y(row.cvd)), x(row.at) - left + 0.3, Math.abs(y(0) - y(row.cvd)));
  }
  zeroLine(frame, area, y(0));
}

function drawLine({ context, palette, x }, rows, y) {
  context.strokeStyle = (rows.at(-1)?.cvd ?? 0) < 0 ? palette.ask : palette.bid;
  context.beginPath();
  let isDown = false;
  for (const row of rows) {
    if (isKnown(row.cvd)) context[isDown ? "lineTo" : "moveTo"](x(row.at), y(row.cvd));
    isDown = isKnown(row.cvd);
  }
  context.stroke();
}

const titled = (name, value) => (isKnown(value) ? `${name} ${signed(compact(value))}` : `${name}: not known`);

// Cut at the 98 % quantile of its size: a cap marks each bar that goes on beyond.
export function drawImbalance(frame, model, area) {
  const { context, palette } = frame;
  const values = model.rows.map((row) => row.ofi);
  const cut = quantile(values.filter(isKnown).map(Math.abs), CUT_SHARE);
  paneTitle(frame, area, isKnown(cut)
    ? `OFI a second, cut at its p98, ${compact(cut)}`
    : "OFI a second: not known");
  if (!isKnown(cut)) return;
  const most = cut || 1;
  const y = linear(-most, most, area.bottom - 3, area.top + 15);
  for (const row of model.rows) {
    if (!isKnown(row.ofi) || row.ofi === 0) continue;
    const isCut = Math.abs(row.ofi) > most;
    const end = y(Math.sign(row.ofi) * Math.min(most, Math.abs(row.ofi)));
    context.fillStyle = row.ofi < 0 ? palette.ask : palette.bid;
    bar(frame, row, end, y(0));
    if (isCut) drawCap(frame, row, end, row.ofi);
  }
  zeroLine(frame, area, y(0));
  endLabels(frame, area, most, -most);
}

function drawCap({ context, palette, x, stepMs }, row, end, value) {
  context.fillStyle = palette.ink;
  const middle = (x(row.at - stepMs) + x(row.at)) / 2;
  context.fillRect(middle - 2, value > 0 ? end - 2 : end, 4, 2);
}

// Bid up, ask down: what is shown at the best prices, not the depth of the book.
export function drawSizes(frame, model, area) {
  const { context, palette } = frame;
  const sizes = model.rows.flatMap((row) => [row.bidSize, row.askSize]);
  const cut = quantile(sizes, CUT_SHARE);
  paneTitle(frame, area, "size at the best bid (up) and ask (down)");
  if (!isKnown(cut)) return;
  const most = cut || 1;
  const y = linear(-most, most, area.bottom - 3, area.top + 15);
  for (const row of model.rows) {
    for (const [value, colour, way] of [[row.bidSize, palette.bid, 1], [row.askSize, palette.ask, -1]]) {
      if (!isKnown(value) || value === 0) continue;
      const end = y(way * Math.min(value, most));
      context.fillStyle = faded(colour, 0.7);
      bar(frame, row, end, y(0));
      if (value > most) drawCap(frame, row, end, way);
    }
  }
  zeroLine(frame, area, y(0));
  endLabels(frame, area, most, most);
}
