// How numbers, ages and times are written. What is not known is said as a dash, never as 0.

export const UNKNOWN = "–";
const MOST_DECIMALS = 20;
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SMALL = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const isKnown = (value) => typeof value === "number" && Number.isFinite(value);

// A size: whole with commas, small ones to three digits, as answers write them.
export function size(value) {
  if (!isKnown(value)) return UNKNOWN;
  return Math.abs(value) < 100 ? SMALL.format(value) : WHOLE.format(value);
}

export const compact = (value) => (isKnown(value) ? COMPACT.format(value) : UNKNOWN);

export const megabytes = (bytes) => `${WHOLE.format(bytes / 1e6)} MB`;

export function number(value, digits) {
  if (!isKnown(value)) return UNKNOWN;
  return digits === undefined ? String(value) : value.toFixed(digits);
}

// A minus that is as wide as the plus, and a plus where it tells something.
export function signed(text) {
  return text.startsWith("-") ? `−${text.slice(1)}` : `+${text}`;
}

// How many decimals the prices of a ticker need: those of their shortest form, in which they came.
export function decimalsOf(prices) {
  let most = 0;
  for (const price of prices) {
    if (!isKnown(price)) continue;
    const [digits, power = "0"] = String(price).split("e");
    const [, decimals = ""] = digits.split(".");
    most = Math.max(most, decimals.length - Number(power));
  }
  return Math.min(most, MOST_DECIMALS);
}

export function age(seconds) {
  if (!isKnown(seconds)) return UNKNOWN;
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

// Such as "Mon, 30 Nov 2026".
export const day = (ms) => new Date(ms).toUTCString().slice(0, 16);

// UTC, as the answers have it.
export function clock(ms, withSeconds = true) {
  return isKnown(ms) ? new Date(ms).toISOString().slice(11, withSeconds ? 19 : 16) : UNKNOWN;
}
