// Volume by price at the right of the prices, on the same scale: bought left, sold right of it.

import { isKnown } from "./format.js";
import { onPaper, paneTitle } from "./axis.js";
import { faded } from "./palette.js";

export function drawProfile(frame, { profile, printsFrom, to }, area, y) {
  const { context, palette } = frame;
  paneTitle(frame, area, area.right - area.left < 90 ? "volume" : "volume by price");
  // Bounds without bars are those of a session whose prints are not kept.
  if (printsFrom === to) onPaper(frame, "prints are not kept", area.left + 3, area.top + 20, palette.faint);
  const most = Math.max(...profile.rows.map(volumeOf));
  const width = (volume) => (volume / most) * (area.right - area.left - 4);
  context.save();
  context.beginPath();
  context.rect(area.left, area.top, area.right - area.left, area.bottom - area.top);
  context.clip();
  drawValueArea(frame, profile, area, y);
  for (const row of profile.rows) {
    const top = y(row.high), height = Math.max(1, y(row.low) - top - 1);
    let left = area.left;
    for (const [volume, colour] of [
      [row.bought, palette.bid], [row.sold, palette.ask], [row.unsigned, palette.neutral],
    ]) {
      context.fillStyle = faded(colour, 0.8);
      context.fillRect(left, top, width(volume), height);
      left += width(volume);
    }
  }
  context.restore();
  drawPoc(frame, profile, area, y);
}

const volumeOf = (row) => row.bought + row.sold + row.unsigned;

// The prices that hold 70 % of the session's volume.
function drawValueArea({ context, palette }, { valueLow, valueHigh }, area, y) {
  if (!isKnown(valueLow) || !isKnown(valueHigh)) return;
  context.fillStyle = palette.shade;
  context.fillRect(area.left, y(valueHigh), area.right - area.left, Math.max(1, y(valueLow) - y(valueHigh)));
}

function drawPoc(frame, { poc, rows }, area, y) {
  const { context, palette } = frame;
  if (!isKnown(poc) || y(poc) < area.top || y(poc) > area.bottom) return;
  const row = rows.find(({ low, high }) => low <= poc && poc <= high);
  context.strokeStyle = palette.ink;
  if (row) {
    const top = y(row.high), height = Math.max(2, y(row.low) - top - 1);
    context.strokeRect(area.left + 0.5, Math.round(top) + 0.5, area.right - area.left - 5, Math.round(height));
  }
  onPaper(frame, `POC ${poc}`, area.right - 6, (row ? y(row.high) : y(poc)) - 7, palette.ink, "right");
}
