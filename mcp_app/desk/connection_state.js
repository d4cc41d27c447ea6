// At the top of the page: whether the server answers, and apart from it how old the data is.

import { byId, mark, say } from "./dom.js";
import { age } from "./format.js";
import { secondsSince } from "./server_clock.js";

// Older than so many intervals the data is said to be old.
const FRESH_INTERVALS = 3;
let state = "waiting", lostAt = null;

// `now` is "connected", "lost" or "paused".
export function showConnection(now) {
  state = now;
  lostAt = state === "lost" ? lostAt ?? performance.now() : null;
  mark(byId("connection"), "data-state", state);
  renewConnection();
}

export function renewConnection() {
  if (state === "waiting") return;
  const seconds = lostAt === null ? 0 : (performance.now() - lostAt) / 1000;
  say(byId("connection-text"), state === "lost" ? `no connection for ${age(seconds)}, trying again` : state);
}

export function showFreshness(asOf, intervalSeconds) {
  const seconds = secondsSince(asOf);
  const isOld = seconds === null || seconds > FRESH_INTERVALS * intervalSeconds + 1;
  mark(byId("freshness"), "data-state", seconds === null ? "waiting" : isOld ? "old" : "fresh");
  say(byId("freshness"), seconds === null ? "no data yet" : `${isOld ? "OLD DATA: " : "data "}${age(seconds)} old`);
}
