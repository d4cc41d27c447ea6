// The colours of the canvas are those of the style sheet, asked again whenever theme or sides change.

const NAMES = [
  "ink", "faint", "line", "paper", "bid", "ask", "band", "vwap", "neutral", "event", "answer", "shade",
];

export function readPalette() {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const palette = {};
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    palette[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return palette;
}

// The same colour with another opacity; computed colours are `rgb(r, g, b)` or `rgba(r, g, b, a)`.
export function faded(colour, opacity) {
  const [red, green, blue] = colour.match(/[\d.]+/g);
  return `rgba(${red}, ${green}, ${blue}, ${opacity})`;
}
