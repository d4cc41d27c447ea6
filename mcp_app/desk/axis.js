// What stands beside the panes: prices at the right, names of lines, the time below.

import { clock, compact } from "./format.js";
import { roundSteps } from "./scale.js";

const STEP_PIXELS = 45, LINE_PIXELS = 12;

export function axisText({ context, palette }, text, x, y, align = "left", colour = palette.faint) {
  context.fillStyle = colour;
  context.textAlign = align;
  context.textBaseline = "middle";
  context.fillText(text, x, y);
}

export function priceAxis(frame, area, y, decimals) {
  const { context, palette } = frame;
  for (const price of roundSteps(y.low, y.high, (area.bottom - area.top) / STEP_PIXELS)) {
    const at = Math.round(y(price)) + 0.5;
    context.strokeStyle = palette.line;
    context.beginPath();
    context.moveTo(area.left, at);
    context.lineTo(area.right, at);
    context.stroke();
    axisText(frame, price.toFixed(decimals), area.right + 4, at);
  }
}

// The newest mid on the axis; a mid between two prices has a decimal more.
export function priceTag({ context, palette }, area, y, mid, decimals) {
  const at = Math.max(area.top + 7, Math.min(area.bottom - 7, y(mid)));
  const short = mid.toFixed(decimals);
  const text = Number(short) === Number(mid.toFixed(decimals + 1)) ? short : mid.toFixed(decimals + 1);
  context.fillStyle = palette.ink;
  context.fillRect(area.right + 1, at - 7, context.measureText(text).width + 7, 14);
  axisText({ context, palette }, text, area.right + 4, at + 0.5, "left", palette.paper);
}

// A dashed line with its name; where it lies outside of what is shown, its name and price at the edge.
export function referenceLine(frame, area, y, name, price, colour, dashes, decimals) {
  const { context } = frame;
  const at = y(price);
  if (at < area.top || at > area.bottom) {
    edgeLabel(frame, area, at < area.top, `${name} ${price.toFixed(decimals)}`, colour);
    return;
  }
  context.strokeStyle = colour;
  context.setLineDash(dashes);
  context.beginPath();
  context.moveTo(area.left, Math.round(at) + 0.5);
  context.lineTo(area.right, Math.round(at) + 0.5);
  context.stroke();
  context.setLineDash([]);
  lineLabel(frame, area, name, at, colour);
}

// Names of lines stand at the left, within the pane.
function lineLabel(frame, area, name, at, colour) {
  nameAt(frame, area, name, Math.max(at - 6, area.top + 7), colour);
}

function edgeLabel(frame, area, isAbove, text, colour) {
  const place = isAbove ? frame.above++ : frame.below++;
  const at = isAbove ? area.top + 7 + place * LINE_PIXELS : area.bottom - 7 - place * LINE_PIXELS;
  nameAt(frame, area, `${isAbove ? "↑" : "↓"} ${text}`, at, colour);
}

// A name that would cover another moves to the right of it.
function nameAt(frame, area, text, at, colour) {
  const width = frame.context.measureText(text).width;
  let left = area.left + 3;
  for (const taken of [...frame.names].sort((a, b) => a.right - b.right)) {
    if (Math.abs(taken.at - at) < LINE_PIXELS && left < taken.right) left = taken.right + 6;
  }
  frame.names.push({ at, right: left + width });
  onPaper(frame, text, left, at, colour);
}

// Text that stays readable on lines.
export function onPaper(frame, text, x, y, colour, align = "left") {
  const { context, palette } = frame;
  context.strokeStyle = palette.paper;
  context.lineWidth = 3;
  context.textAlign = align;
  context.textBaseline = "middle";
  context.strokeText(text, x, y);
  context.lineWidth = 1;
  axisText(frame, text, x, y, align, colour);
}

export function paneTitle(frame, area, text) {
  onPaper(frame, text, area.left + 3, area.top + 6, frame.palette.faint);
}

// The greatest and the least value of a pane, at the right.
export function endLabels(frame, area, high, low) {
  if (high) axisText(frame, compact(high), area.right + 4, area.top + 6);
  if (low) axisText(frame, compact(low), area.right + 4, area.bottom - 6);
}

const TIME_STEPS_SECONDS = [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600];
const TIME_LABEL_PIXELS = 75;

export function timeAxis(frame, area) {
  const { x } = frame;
  const shownSeconds = (x.high - x.low) / 1000;
  const wanted = shownSeconds / Math.max(1, (area.right - area.left) / TIME_LABEL_PIXELS);
  const step = 1000 * (TIME_STEPS_SECONDS.find((seconds) => seconds >= wanted) ?? 86400);
  for (let at = Math.ceil(x.low / step) * step; at <= x.high; at += step) {
    const left = x(at);
    if (left < area.left + 20 || left > area.right - 20) continue;
    axisText(frame, clock(at, step < 60000), left, area.top + 8, "center");
  }
}
