// The mid of the last minutes as a small line.

import { isKnown } from "./format.js";
import { bounds, linear } from "./scale.js";

export function drawSparkline(canvas, mids, colour) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const context = canvas.getContext("2d");
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  context.scale(ratio, ratio);
  const found = bounds(mids);
  if (!found || !width) return;
  const x = linear(0, Math.max(1, mids.length - 1), 1, width - 1);
  const y = found.low < found.high ? linear(found.low, found.high, height - 2, 2) : () => height / 2;
  context.strokeStyle = colour;
  context.lineWidth = 1.2;
  context.beginPath();
  let isDown = false;
  mids.forEach((mid, place) => {
    if (isKnown(mid)) context[isDown ? "lineTo" : "moveTo"](x(place), y(mid));
    isDown = isKnown(mid);
  });
  context.stroke();
}
