// The events of the chosen ticker, rarest first, in the words of an answer.

import { arrange, byId, make, mark, say } from "./dom.js";
import { age, isKnown } from "./format.js";
import { makeStop, roving } from "./roving.js";
import { secondsSince } from "./server_clock.js";

// The same marks as in the chart: full for the bid, hollow for the ask, a diamond for neither.
const MARKS = { bid: "■", ask: "□" };

export class EventsList {
  #items = new Map();
  #order = [];

  // `pressed` hears an event whose evidence is asked for, `pointed` one to be shown in the chart.
  constructor(list, { pressed, pointed }) {
    this.list = list;
    this.pointed = pointed;
    roving(list, () => this.#buttons());
    list.addEventListener("click", (press) => this.#tell(press, pressed));
    for (const kind of ["pointerover", "focusin"]) list.addEventListener(kind, (at) => this.#tell(at, pointed));
    for (const kind of ["pointerleave", "focusout"]) list.addEventListener(kind, () => pointed(null));
  }

  show(events) {
    const ids = events.map(({ id }) => id);
    for (const id of this.#items.keys()) if (!ids.includes(id)) this.#items.delete(id);
    for (const event of events) this.#update(event);
    this.#order = this.#isHeld() ? held(this.#order, ids) : ids;
    arrange(this.list, this.#order.map((id) => this.#items.get(id).item));
    makeStop(this.#buttons(), document.activeElement);
    byId("no-events").hidden = events.length > 0;
    say(byId("events-order"), orderText(events));
  }

  renewAges() {
    for (const { event, when } of this.#items.values()) say(when, whenText(event));
  }

  focus() { this.#buttons().find(({ tabIndex }) => tabIndex === 0)?.focus(); }

  // Nothing moves under the pointer or the focus.
  #isHeld() {
    const isPointedAt = matchMedia("(hover: hover)").matches && this.list.matches(":hover");
    return this.#order.length > 0 && (isPointedAt || this.list.querySelector(":focus-visible") !== null);
  }

  #update(event) {
    const known = this.#items.get(event.id) ?? this.#make(event);
    known.event = event;
    say(known.words, event.words);
    say(known.when, whenText(event));
    mark(known.item, "data-open", event.status === "open" ? "" : null);
  }

  #make({ id, side }) {
    const words = make("span", { class: "words" }), when = make("span", { class: "when" });
    const sign = make("span", { class: "sign", "aria-hidden": "true" }, MARKS[side] ?? "◆");
    const button = make("button", { type: "button", tabIndex: -1, data: { event: id } }, sign, words, when);
    const known = { item: make("li", { data: { side } }, button), button, words, when };
    this.#items.set(id, known);
    return known;
  }

  #buttons() { return [...this.list.querySelectorAll("button")]; }

  #tell({ target: inside }, told) {
    const id = inside.closest?.("button")?.dataset.event;
    if (id) told(id);
  }
}

// In an answer's words; of a young ticker no event is ranked yet.
export function orderText(events) {
  const ranked = events.filter(({ return_minutes: minutes }) => isKnown(minutes)).length;
  if (ranked === events.length) return "rarest first";
  return ranked ? "rarest first, then unranked" : "too few before to rank: greatest of each type first";
}

function held(order, ids) {
  const kept = order.filter((id) => ids.includes(id));
  return [...kept, ...ids.filter((id) => !kept.includes(id))];
}

function whenText(event) {
  const noticed = `noticed ${age(secondsSince(event.noticed_at))} ago`;
  const lastedMs = event.closed_at - (event.opened_at ?? event.noticed_at);
  const state = event.status === "open" ? "open" : `lasted ${age(lastedMs / 1000)}`;
  const strength = isKnown(event.strength) ? `strength ${event.strength}` : null;
  const evidence = event.evidence_class ? `class ${event.evidence_class}` : null;
  return [noticed, state, strength, evidence].filter(Boolean).join(" · ");
}
