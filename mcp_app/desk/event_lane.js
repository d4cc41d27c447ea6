// Events above the prices: where there is room with a name, else as a mark in the last row; a shade
// while they lasted.

import { axisText } from "./axis.js";
import { faded } from "./palette.js";

export const ROW_PIXELS = 13, ROWS = 4;
const MARK = 4;

// Full for the bid, hollow for the ask, a diamond for events of no side: colour is not needed.
function drawMark({ context, palette }, side, x, y) {
  context.strokeStyle = context.fillStyle = colourOf(palette, side);
  context.beginPath();
  if (side === "bid" || side === "ask") context.rect(x - MARK + 0.5, y - MARK + 0.5, 2 * MARK - 1, 2 * MARK - 1);
  else diamond(context, x, y);
  if (side !== "ask") context.fill();
  context.stroke();
}

function diamond(context, x, y) {
  context.moveTo(x, y - MARK - 1);
  context.lineTo(x + MARK, y);
  context.lineTo(x, y + MARK + 1);
  context.lineTo(x - MARK, y);
  context.closePath();
}

function colourOf(palette, side) {
  return { bid: palette.bid, ask: palette.ask }[side] ?? palette.event;
}

// Return where each event can be hit, the newest last.
export function drawEvents(frame, events, lane, prices) {
  const rows = Array.from({ length: ROWS - 1 }, () => lane.left);
  const hits = [];
  for (const event of [...events].sort((a, b) => a.noticedAt - b.noticedAt)) {
    if (event.noticedAt < frame.x.low) continue;
    drawSpan(frame, event, prices);
    hits.push(placeEvent(frame, event, lane, rows));
  }
  return hits;
}

function drawSpan({ context, palette, x, chosenEvent }, event, prices) {
  const left = Math.max(prices.left, x(event.openedAt));
  const right = Math.min(prices.right, x(event.closedAt ?? x.high));
  context.fillStyle = faded(colourOf(palette, event.side), event.id === chosenEvent ? 0.25 : 0.06);
  context.fillRect(left, prices.top, Math.max(1, right - left), prices.bottom - prices.top);
}

// The first row with room for the name; without any, a mark alone in the last row.
function placeEvent(frame, event, lane, rows) {
  const { context, palette, x } = frame;
  const at = x(event.noticedAt);
  const width = context.measureText(event.name).width + 12;
  const left = Math.min(at - MARK, lane.right - width);
  const free = rows.findIndex((taken) => taken <= left);
  const isNamed = free >= 0, row = isNamed ? free : ROWS - 1;
  const start = isNamed ? left : at - MARK;
  const middle = lane.top + row * ROW_PIXELS + ROW_PIXELS / 2;
  if (event.id === frame.chosenEvent) {
    context.fillStyle = palette.shade;
    context.fillRect(start - 2, middle - ROW_PIXELS / 2, isNamed ? width : 2 * MARK + 4, ROW_PIXELS);
  }
  drawMark(frame, event.side, start + MARK, middle);
  if (isNamed) {
    axisText(frame, event.name, start + 2 * MARK + 3, middle, "left", colourOf(palette, event.side));
    rows[row] = left + width + 4;
  }
  return {
    event, left: start - 2, right: start + (isNamed ? width : 2 * MARK + 2),
    top: middle - ROW_PIXELS / 2, bottom: middle + ROW_PIXELS / 2,
  };
}
