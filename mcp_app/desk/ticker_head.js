// Above the chart: quote, spread, what is wrong, and the numbers beside their ranks.

import { arrange, byId, make, mark, say } from "./dom.js";
import { age, clock, isKnown, number, size, UNKNOWN } from "./format.js";
import { flagText } from "./board.js";
import { secondsSince } from "./server_clock.js";

// Names, units: what the answer has, in the order of a trader's look.
const NUMBERS = [
  ["spread_bps", "mean spread", "bp"], ["queue_imbalance", "queue imbalance", ""], ["ofi", "OFI", ""],
  ["signed_volume", "net volume", ""], ["trade_imbalance", "trade imbalance", ""],
  ["trade_count", "prints", ""], ["vwap", "VWAP 5 min", ""], ["effective_spread_bps", "effective spread", "bp"],
  ["realized_volatility_bps", "volatility", "bp"], ["quotes_per_second", "quotes/s", ""],
  ["size_turnover", "turnover/s", ""], ["avg_bid_size", "mean bid size", ""], ["avg_ask_size", "mean ask size", ""],
];
// As the answer's headline: at most a tenth of the past was farther on its side.
const FAR_SHARE = 0.1;
const FLAGS = ["ahead", "stale", "quiet", "warming"];
const CLASSES = { A: "A: aggressors given", B: "B: aggressors inferred", C: "C: quotes only" };

export function showHead(answer, decimals) {
  const { metrics } = answer;
  say(byId("bid"), `${number(metrics.bid_price, decimals)} × ${size(metrics.bid_size)}`);
  say(byId("ask"), `${number(metrics.ask_price, decimals)} × ${size(metrics.ask_size)}`);
  say(byId("headline"), answer.headline);
  say(byId("flags"), flagText(FLAGS.filter((flag) => answer[flag])));
  say(byId("note"), answer.note ?? "");
  say(byId("session-line"), sessionText(answer.session));
  say(byId("feed-line"), feedText(answer));
  showNumbers(answer);
}

export function clearHead() {
  for (const id of ["bid", "ask", "ages"]) say(byId(id), UNKNOWN);
  for (const id of ["flags", "note", "session-line", "feed-line"]) say(byId(id), "");
  say(byId("headline"), "asking …");
  byId("numbers").replaceChildren();
}

export function showAges(answer) {
  if (!answer) return;
  const asOf = age(secondsSince(answer.as_of)), quote = age(secondsSince(answer.newest_quote_at));
  say(byId("ages"), `as of ${clock(answer.as_of)} UTC, ${asOf} ago · quote ${quote} ago`);
}

// What a number is of: now, or the earlier moment that somebody looks back at.
export const spreadLabel = ({ as_of: asOf, asked_at: askedAt }) => (askedAt ? `spread at ${clock(asOf)}` : "spread now");
export const windowLabel = ({ as_of: asOf, asked_at: askedAt }) => (askedAt ? `up to ${clock(asOf)}, over` : "over the last");

function showNumbers(answer) {
  const { metrics, ranks, standing, session, history_seconds: seconds } = answer;
  const shown = NUMBERS.filter(([name]) => isKnown(metrics[name]) || typeof metrics[name] === "string");
  const known = shown.map(([name, label, unit]) => fact(name, label, metrics[name], unit, ranks?.[name]));
  if (known.length && isKnown(seconds)) known.unshift(fact("window", windowLabel(answer), seconds / 60, "min"));
  const now = standing?.spread_bps;
  if (isKnown(now)) known.unshift(fact("spread_now", spreadLabel(answer), now, "bp"));
  const spread = isKnown(session?.vwap_sd) ? `± ${session.vwap_sd}` : "";
  if (isKnown(session?.vwap)) known.push(fact("session_vwap", "session VWAP", session.vwap, spread));
  arrange(byId("numbers"), known);
}

// One element a fact, used again, so that nothing is built anew each second.
const facts = new Map();

function fact(name, label, value, unit, rank) {
  if (!facts.has(name)) {
    const parts = { label: make("dt"), value: make("span"), rank: make("span", { class: "rank" }) };
    const said = make("dd", {}, parts.value, " ", parts.rank);
    parts.item = make("div", { class: "fact", data: { name } }, parts.label, said);
    facts.set(name, parts);
  }
  const parts = facts.get(name);
  say(parts.label, label);
  say(parts.value, unit ? `${value} ${unit}` : String(value));
  const isFar = isKnown(rank) && Math.min(rank, 1 - rank) <= FAR_SHARE;
  const arrow = isFar ? (rank > 0.5 ? "↑ " : "↓ ") : "";
  say(parts.rank, isKnown(rank) ? arrow + rankText(rank) : "");
  mark(parts.item, "data-far", isFar ? "" : null);
  return parts.item;
}

// As answers say it: never 0 or all of the past.
function rankText(rank) {
  const percent = Math.min(99, Math.max(1, Math.round(100 * rank)));
  return `p${String(percent).padStart(2, "0")}`;
}

function sessionText(session) {
  if (!session) return "session: not known";
  const minutes = isKnown(session.closes_in_minutes) ? `closes in ${session.closes_in_minutes} min`
    : isKnown(session.opens_in_minutes) ? `opens in ${session.opens_in_minutes} min` : null;
  const prices = [
    ["high", session.high], ["low", session.low], ["volume", session.volume],
  ].filter(([, value]) => isKnown(value)).map(([name, value]) => `${name} ${name === "volume" ? size(value) : value}`);
  const since = isKnown(session.seen_since) ? `seen only since ${clock(session.seen_since, false)} UTC` : null;
  const isOver = ["post", "closed"].includes(session.phase);
  const unseen = isOver && !isKnown(session.volume) ? "nothing was seen of its regular hours" : null;
  const parts = [`session: ${session.calendar} ${session.phase}`, session.local_time, minutes, since, unseen, ...prices];
  return parts.filter(Boolean).join(" · ");
}

function feedText({ feed, evidence_class: evidence, quality, rejected, asked_at: askedAt }) {
  const odd = Object.entries(quality?.counts ?? {}).map(([name, count]) => `${name.replaceAll("_", " ")} ${count}`);
  const parts = [
    // Of an earlier moment it is not kept what the feed said.
    askedAt ? null : `feed: ${feed ? feedWords(feed) : "says nothing of itself"}`, `evidence ${CLASSES[evidence] ?? evidence}`,
    odd.length ? `odd records: ${odd.join(", ")}` : "nothing odd", rejected ? "records are rejected" : null,
  ];
  return parts.filter(Boolean).join(" · ");
}

function feedWords(feed) {
  const delay = feed.delay_seconds === 0 ? "no delay" : `delay ${feed.delay_seconds} s`;
  const words = new Set([feed.source, feed.scope, isKnown(feed.delay_seconds) ? delay : null]);
  return [...words, feed.down ? "NO SIGN OF LIFE" : null].filter(Boolean).join(", ");
}
