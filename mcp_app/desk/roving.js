// A list that is one stop of the Tab key: arrow keys, Home and End move inside of it.

// `items` returns the list's elements as they stand; `moved` hears which one has the focus now.
export function roving(list, items, moved = () => {}) {
  list.addEventListener("keydown", (press) => {
    if (press.ctrlKey || press.altKey || press.metaKey) return;
    const all = items();
    const at = all.indexOf(document.activeElement);
    const next = nextPlace(press.key, at, all.length);
    if (next === null || at < 0) return;
    press.preventDefault();
    focusOn(all, all[next]);
    moved(all[next]);
  });
  list.addEventListener("focusin", ({ target: item }) => {
    if (items().includes(item)) makeStop(items(), item);
  });
}

function nextPlace(key, at, count) {
  const places = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: count - 1, PageDown: at + 10, PageUp: at - 10 };
  return key in places ? Math.max(0, Math.min(count - 1, places[key])) : null;
}

export function focusOn(all, item) {
  makeStop(all, item);
  item.focus();
}

// Exactly one element can be reached by Tab, the first where none was chosen.
export function makeStop(all, chosen) {
  const stop = all.includes(chosen) ? chosen : all.find((item) => item.tabIndex === 0) ?? all[0];
  for (const item of all) if (item.tabIndex !== (item === stop ? 0 : -1)) item.tabIndex = item === stop ? 0 : -1;
}
