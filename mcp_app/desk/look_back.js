// Looking back: which earlier quarter of an hour of the chosen ticker is shown instead of the live one.

import { clock, day } from "./format.js";
import { getJson } from "./polling.js";
import { TickerData } from "./ticker_data.js";

export const STEP_MS = 10 * 60 * 1000, DAY_MS = 24 * 3600 * 1000;
const MINUTE_MS = 60 * 1000;
// What ends so little before now is shown live.
const LEAST_AGE_MS = 2 * MINUTE_MS;
// A key that is held down asks for the moment at which it is let go.
const PATIENCE_MS = 150;

export class LookBack {
  #timer = 0;

  // `now` returns what time it is, `ticker` whose past is meant; `changed` is called when what is to be
  // shown is another one, or has come.
  constructor({ now, ticker, changed }) {
    this.now = now;
    this.ticker = ticker;
    this.changed = changed;
    this.#forget();
  }

  get isLooking() { return this.endMs !== null; }

  step(byMs) {
    const nowMs = this.now();
    if (nowMs === null || !this.ticker() || (byMs > 0 && !this.isLooking)) return;
    const endMs = (this.endMs ?? nowMs - (nowMs % MINUTE_MS)) + byMs;
    if (endMs > nowMs - LEAST_AGE_MS) this.leave(); else this.#look(endMs);
  }

  leave() {
    if (!this.isLooking) return;
    this.#forget();
    this.changed();
  }

  // The time that is shown, with its day, of a picture of so many seconds.
  describe(seconds) {
    const fromMs = this.endMs - 1000 * seconds;
    const endDay = day(fromMs) === day(this.endMs) ? "" : `${day(this.endMs)} `;
    return `${day(fromMs)} ${clock(fromMs, false)}–${endDay}${clock(this.endMs, false)} UTC`;
  }

  #look(endMs) {
    this.endMs = endMs;
    this.isAsking = true;
    this.error = null;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(endMs, this.ticker()), PATIENCE_MS);
    this.changed();
  }

  async #ask(endMs, ticker) {
    const query = new URLSearchParams({ ticker, end: endMs });
    const part = await getJson(`/desk/history?${query}`).catch(({ message }) => ({ error: message || "no answer" }));
    if (endMs !== this.endMs || ticker !== this.ticker()) return;
    this.isAsking = false;
    this.error = part.error ?? null;
    this.data = part.error ? null : pastData(part);
    this.changed();
  }

  #forget() {
    clearTimeout(this.#timer);
    this.endMs = null;
    this.data = null;
    this.error = null;
    this.isAsking = false;
  }
}

function pastData(part) {
  const data = new TickerData(part.ticker);
  // What is told of the session then, and what is not kept, goes beyond the answer.
  data.take({ ...part, answer: { ...part.answer, session: part.session, note: part.note } });
  // Where no print is kept, all of them are missing.
  data.completeFrom ??= data.asOf;
  return data;
}
