// The chart of the chosen ticker: one canvas with panes over one time axis.

import { timeAxis } from "./axis.js";
import { drawEvents, ROW_PIXELS, ROWS } from "./event_lane.js";
import { drawDelta, drawImbalance, drawSizes } from "./flow_panes.js";
import { readPalette } from "./palette.js";
import { drawPrices, priceScale } from "./price_pane.js";
import { drawProfile } from "./profile_pane.js";
import { linear } from "./scale.js";

const AXIS_PIXELS = 62, TIME_PIXELS = 30, GAP = 6;
const PROFILE_SHARE = 0.15, MOST_PROFILE = 150, NARROW_PIXELS = 560, NARROW_PROFILE = 56;
const FLOW_SHARE = 0.125, HIT_PIXELS = 14;

export class Chart {
  // `told` hears what was pressed on: an event, an answer.
  constructor(canvas, told) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.told = told;
    this.model = null;
    this.cursorAt = null;
    this.chosenEvent = null;
    this.hits = [];
    this.palette = readPalette();
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("click", (press) => this.#press(press));
  }

  show(model) {
    this.model = model;
    this.draw();
  }

  recolour() {
    this.palette = readPalette();
    this.draw();
  }

  draw() {
    const { context, model } = this;
    const { width, height } = this.#fit();
    context.clearRect(0, 0, width, height);
    this.hits = [];
    if (!model || !width || !height) return;
    const layout = layoutOf(width, height);
    const frame = this.#frame(model, layout);
    const { lane, prices, profile, delta, imbalance, sizes, time } = layout;
    const y = priceScale(model, prices);
    this.hits = drawEvents(frame, model.events, lane, prices);
    if (y) {
      drawPrices(frame, model, prices, y);
      drawProfile(frame, model, profile, y);
    }
    drawDelta(frame, model, delta);
    drawImbalance(frame, model, imbalance);
    drawSizes(frame, model, sizes);
    timeAxis(frame, time);
    this.hits.push(...drawAnswers(frame, model.answers, time));
    this.#drawCursor(frame, layout);
    this.frame = frame;
  }

  // The moment under a pixel, and back; null outside of the time axis.
  timeAt(pixel) {
    const x = this.frame?.x;
    if (!x || pixel < x.from || pixel > x.to) return null;
    return x.low + ((pixel - x.from) / (x.to - x.from)) * (x.high - x.low);
  }

  hitAt(left, top) {
    const isInside = (hit) => left >= hit.left && left <= hit.right && top >= hit.top && top <= hit.bottom;
    return this.hits.findLast(isInside) ?? null;
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = window.devicePixelRatio || 1;
    const wide = Math.round(width * ratio), tall = Math.round(height * ratio);
    if (this.canvas.width !== wide || this.canvas.height !== tall) {
      this.canvas.width = wide;
      this.canvas.height = tall;
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return { width, height };
  }

  #frame(model, { prices }) {
    const { context, palette, chosenEvent } = this;
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const x = linear(model.from, model.to, prices.left, prices.right);
    // `names`, `above`, `below`: where names of lines already stand.
    return { context, palette, x, stepMs: model.stepMs, chosenEvent, names: [], above: 0, below: 0 };
  }

  #drawCursor({ context, palette, x }, { prices, time }) {
    if (this.cursorAt === null || this.cursorAt < x.low || this.cursorAt > x.high) return;
    const at = Math.round(x(this.cursorAt)) + 0.5;
    context.strokeStyle = palette.faint;
    context.beginPath();
    context.moveTo(at, prices.top);
    context.lineTo(at, time.top);
    context.stroke();
  }

  #press({ offsetX, offsetY }) {
    const hit = this.hitAt(offsetX, offsetY);
    if (hit) this.told(hit);
  }
}

// From the top: events, prices with the profile beside them, CVD, OFI, sizes, time with answers.
function layoutOf(width, height) {
  const isNarrow = width < NARROW_PIXELS;
  const profileWidth = isNarrow ? NARROW_PROFILE : Math.min(MOST_PROFILE, width * PROFILE_SHARE);
  const right = width - AXIS_PIXELS - profileWidth;
  const pane = (top, bottom) => ({ left: 0, right, top, bottom });
  const lane = pane(0, ROWS * ROW_PIXELS);
  const time = pane(height - TIME_PIXELS, height);
  const tall = Math.max(50, (height - TIME_PIXELS - lane.bottom) * FLOW_SHARE);
  const sizes = pane(time.top - tall, time.top - GAP);
  const imbalance = pane(sizes.top - tall, sizes.top - GAP);
  const delta = pane(imbalance.top - tall, imbalance.top - GAP);
  const prices = pane(lane.bottom + 2, delta.top - GAP);
  const profile = { left: right + AXIS_PIXELS, right: width, top: prices.top, bottom: prices.bottom };
  return { lane, prices, profile, delta, imbalance, sizes, time };
}

// What the agent was told, below the time axis: a mark a moment, with the number of answers.
function drawAnswers({ context, palette, x }, answers, area) {
  const at = area.bottom - 8;
  const hits = [];
  for (const answer of answers) {
    const left = x(answer.at);
    if (left < area.left || left > area.right) continue;
    context.fillStyle = palette.answer;
    context.beginPath();
    context.roundRect(left - 5, at - 5, 10, 8, 2);
    context.moveTo(left - 2, at + 3);
    context.lineTo(left, at + 6);
    context.lineTo(left + 2, at + 3);
    context.fill();
    const { top, bottom } = area;
    hits.push({ answer, left: left - HIT_PIXELS / 2, right: left + HIT_PIXELS / 2, top, bottom });
  }
  return hits;
}
