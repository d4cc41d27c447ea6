// Price over time: bid and ask as a band, the mid, trades as bubbles, and what belongs to the session.

import { clock, isKnown } from "./format.js";
import { onPaper, priceAxis, priceTag, referenceLine } from "./axis.js";
import { faded } from "./palette.js";
import { bounds, linear, quantile, robustBounds } from "./scale.js";

const LARGEST_BUBBLE = 10, SMALLEST_BUBBLE = 1.5, ARROW_FROM = 4;
// A line that is little outside of the prices is still shown; one that is far is named at the edge.
const MARGIN = 0.08;
const LEVELS_A_SIDE = 5;

export function priceScale(model, area) {
  const quoted = model.rows.flatMap((row) => [row.bid, row.ask]);
  const found = robustBounds(quoted) ?? bounds(model.trades.map((trade) => trade.price));
  if (!found) return null;
  const tick = found.high * 1e-5;
  const room = Math.max((found.high - found.low) * MARGIN, tick);
  return linear(found.low - room, found.high + room, area.bottom, area.top);
}

export function drawPrices(frame, model, area, y) {
  const { context, palette } = frame;
  context.save();
  context.beginPath();
  context.rect(area.left, area.top, area.right - area.left, area.bottom - area.top);
  context.clip();
  drawSessionBands(frame, model, area, y);
  drawLevels(frame, model, area, y);
  drawBand(frame, model.rows, y);
  drawBubbles(frame, model.trades, y);
  drawSteps(frame, model.rows, "bid", y, palette.bid, 1);
  drawSteps(frame, model.rows, "ask", y, palette.ask, 1);
  drawSteps(frame, model.rows, "mid", y, palette.ink, 1.2);
  drawSteps(frame, model.rows, "vwap", y, palette.vwap, 1.5);
  context.restore();
  priceAxis(frame, area, y, model.decimals);
  drawReferences(frame, model, area, y);
  const mid = model.rows.at(-1)?.mid;
  if (isKnown(mid)) priceTag(frame, area, y, mid, model.decimals);
  if (model.printsFrom) sayMissingPrints(frame, model, area);
}

// Of a very busy ticker the oldest prints are not read.
function sayMissingPrints(frame, { printsFrom, to }, area) {
  const text = printsFrom === to ? "prints are not kept of then" : `prints before ${clock(printsFrom)} are not shown`;
  onPaper(frame, text, area.right - 4, area.top + 8, frame.palette.faint, "right");
}

// One standard deviation around the session's VWAP, and the opening range, behind all else.
function drawSessionBands({ context, palette }, { vwap }, area, y) {
  if (!isKnown(vwap?.price) || !isKnown(vwap.sd)) return;
  const top = y(vwap.price + vwap.sd), bottom = y(vwap.price - vwap.sd);
  context.fillStyle = faded(palette.vwap, 0.07);
  context.fillRect(area.left, top, area.right - area.left, bottom - top);
}

function drawLevels({ context, palette }, { levels }, area, y) {
  for (const level of nearest(levels, LEVELS_A_SIDE)) {
    context.strokeStyle = faded(level.side === "bid" ? palette.bid : palette.ask, 0.75);
    context.setLineDash(level.side === "bid" ? [1, 3] : [1, 3, 5, 3]);
    horizontal(context, area, y(level.price));
  }
  context.setLineDash([]);
}

// The server tells them nearest first.
function nearest(levels, most) {
  const ofSide = (side) => levels.filter((level) => level.side === side).slice(0, most);
  return [...ofSide("bid"), ...ofSide("ask")];
}

function horizontal(context, area, at) {
  context.beginPath();
  context.moveTo(area.left, Math.round(at) + 0.5);
  context.lineTo(area.right, Math.round(at) + 0.5);
  context.stroke();
}

function drawBand({ context, palette, x, stepMs }, rows, y) {
  context.fillStyle = palette.band;
  rows.forEach((row, place) => {
    if (!isKnown(row.bid) || !isKnown(row.ask)) return;
    const left = x(row.at), right = x(endOf(rows, place, stepMs));
    const top = y(Math.max(row.bid, row.ask)), bottom = y(Math.min(row.bid, row.ask));
    context.fillRect(left, top, right - left, bottom - top);
  });
}

// What stands at the end of a second stands until the next row; a hole in the rows stays one.
function endOf(rows, place, stepMs) {
  const next = rows[place + 1]?.at ?? Infinity;
  return Math.min(next, rows[place].at + stepMs);
}

function drawSteps({ context, x, stepMs }, rows, name, y, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.beginPath();
  let isDown = false;
  rows.forEach((row, place) => {
    const value = row[name];
    if (!isKnown(value)) { isDown = false; return; }
    const left = x(row.at), right = x(endOf(rows, place, stepMs)), at = y(value);
    if (isDown) context.lineTo(left, at); else context.moveTo(left, at);
    context.lineTo(right, at);
    isDown = right === x(rows[place + 1]?.at);
  });
  context.stroke();
  context.lineWidth = 1;
}

// The largest first, so that small ones stay visible.
function drawBubbles(frame, trades, y) {
  const usual = quantile(trades.map((trade) => trade.size), 0.99);
  for (const trade of [...trades].sort((a, b) => b.size - a.size)) {
    const radius = LARGEST_BUBBLE * Math.sqrt(Math.min(1, trade.size / usual));
    drawBubble(frame, trade, frame.x(trade.at), y(trade.price), Math.max(SMALLEST_BUBBLE, radius));
  }
}

// Blue or orange, and besides the colour an arrow: up for a buying aggressor, down for a selling one.
function drawBubble({ context, palette }, { side }, x, y, radius) {
  const colour = { buyer: palette.bid, seller: palette.ask }[side] ?? palette.neutral;
  context.fillStyle = faded(colour, 0.45);
  context.strokeStyle = colour;
  context.beginPath();
  if (side && radius < ARROW_FROM) arrow(context, side, x, y, radius + 1);
  else context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
  if (!side || radius < ARROW_FROM) return;
  context.fillStyle = palette.ink;
  context.beginPath();
  arrow(context, side, x, y, radius * 0.5);
  context.fill();
}

export function arrow(context, side, x, y, radius) {
  const up = side === "buyer" ? -1 : 1;
  context.moveTo(x, y + up * radius);
  context.lineTo(x - radius, y - up * radius * 0.7);
  context.lineTo(x + radius, y - up * radius * 0.7);
  context.closePath();
}

function drawReferences(frame, { vwap, openingRange, decimals }, area, y) {
  const { palette } = frame;
  const lines = [
    ["VWAP", vwap?.price, palette.vwap, [1, 6]],
    ["+1σ", isKnown(vwap?.sd) ? vwap.price + vwap.sd : null, palette.vwap, [2, 4]],
    ["−1σ", isKnown(vwap?.sd) ? vwap.price - vwap.sd : null, palette.vwap, [2, 4]],
    ["OR high", openingRange?.high, palette.faint, [8, 2, 2, 2]],
    ["OR low", openingRange?.low, palette.faint, [8, 2, 2, 2]],
  ];
  for (const [name, price, colour, dashes] of lines) {
    if (isKnown(price)) referenceLine(frame, area, y, name, price, colour, dashes, decimals);
  }
}
