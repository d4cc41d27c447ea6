// The server's clock: the browser's may be wrong, so that ages go by the last reply's `now`.

let serverMs = null, heardAt = 0;

export function heard(nowMs) {
  serverMs = nowMs;
  heardAt = performance.now();
}

export function serverNow() {
  return serverMs === null ? null : serverMs + performance.now() - heardAt;
}

export function secondsSince(ms) {
  const now = serverNow();
  return now === null || ms === null || ms === undefined ? null : Math.max(0, (now - ms) / 1000);
}
