// What a person chose: theme, colours of the sides, span, single-letter keys. Kept in this browser.

const CHOICES = {
  theme: ["system", "light", "dark"],
  sides: ["blue-orange", "green-red", "red-green"],
  span: ["300", "900", "120"],
  keys: ["on", "off"],
};
const PREFIX = "orderflow.";

export function preference(name) {
  const kept = read(name);
  return CHOICES[name].includes(kept) ? kept : CHOICES[name][0];
}

export function choose(name, value) {
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // A browser that keeps nothing still shows it until the page is closed.
  }
  chosen[name] = value;
  dress();
}

const chosen = {};

function read(name) {
  if (name in chosen) return chosen[name];
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

export function chooseNext(name) {
  const all = CHOICES[name];
  const next = all[(all.indexOf(preference(name)) + 1) % all.length];
  choose(name, next);
  return next;
}

// The style sheet goes by these two attributes.
export function dress() {
  document.documentElement.dataset.theme = preference("theme");
  document.documentElement.dataset.sides = preference("sides");
}
