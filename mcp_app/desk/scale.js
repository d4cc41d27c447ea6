// Arithmetic of drawing: from values to pixels.

import { isKnown } from "./format.js";

// A function that maps [low, high] onto [from, to]; it knows its bounds.
export function linear(low, high, from, to) {
  const span = high - low || 1;
  const scale = (value) => from + ((value - low) / span) * (to - from);
  return Object.assign(scale, { low, high, from, to });
}

// The value below which a share of the values lies; undefined without values.
export function quantile(values, share) {
  const known = values.filter(isKnown).sort((a, b) => a - b);
  return known[Math.min(known.length - 1, Math.floor(share * known.length))];
}

// Round values between low and high, about `count` of them.
export function roundSteps(low, high, count) {
  const span = high - low;
  if (!(span > 0) || count < 1) return [];
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => span / size <= count) ?? span;
  const first = Math.ceil(low / step - 1e-9);
  const found = [];
  for (let n = first; n * step <= high + 1e-9 * span; n++) found.push(n * step);
  return found;
}

export function bounds(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (!isKnown(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? { low, high } : null;
}

const WITHIN = 0.005, STRETCH = 1.5;

// Bounds that one outlier can't stretch: beyond 1.5 times the span of the middle 99 %, what is
// farther is cut at the edge.
export function robustBounds(values) {
  const all = bounds(values);
  if (!all) return null;
  const low = quantile(values, WITHIN), high = quantile(values, 1 - WITHIN);
  const room = (high - low) * (STRETCH - 1) / 2;
  if (!(room > 0)) return all;
  return { low: Math.max(all.low, low - room), high: Math.min(all.high, high + room) };
}
