// What the keys do anywhere on the page. Single letters can be switched off (WCAG 2.1.4).

import { byId, make } from "./dom.js";
import { isPanelOpen } from "./panels.js";
import { preference } from "./preferences.js";

// `actions` maps a key to what it is for and what to do.
export function listenToKeys(actions) {
  document.addEventListener("keydown", (press) => {
    // On many keyboards brackets are typed with AltGr, which counts as Ctrl and Alt.
    const isChord = (press.ctrlKey || press.altKey) && !press.getModifierState("AltGraph");
    if (isChord || press.metaKey || press.defaultPrevented) return;
    const isTyping = press.target.matches?.("input:not([type=checkbox]), textarea, select");
    if (isTyping || (preference("keys") === "off" && press.key.length === 1)) return;
    const action = actions[press.key];
    if (!action || (isPanelOpen() && !action.inPanels)) return;
    press.preventDefault();
    action.run();
  });
}

export function listKeys(actions) {
  const rows = Object.entries(actions).map(([key, { says }]) => (
    make("div", {}, make("dt", {}, make("kbd", {}, key)), make("dd", {}, says))
  ));
  byId("keys-list").prepend(...rows);
}
