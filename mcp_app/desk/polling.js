// Ask the server each second, as long as somebody looks; say how the connection is.

const TIMEOUT_MS = 8000, FIRST_RETRY_MS = 1000, LONGEST_RETRY_MS = 5000, USUAL_MS = 1000;

class LoggedOut extends Error {
  constructor() { super("not logged in any more"); }
}

export async function getJson(address) {
  const response = await fetch(address, { signal: AbortSignal.timeout(TIMEOUT_MS), cache: "no-store" });
  if (response.status === 401) throw new LoggedOut();
  const body = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw new Error(body.error ?? `the server answered ${response.status}`);
  return body;
}

// Calls `ask` again and again. `ask` returns after how many ms to ask next; `told` hears each change
// of the connection: "connected", "lost" with why, "paused".
export class Poller {
  #timer = 0;
  #round = 0;
  #retryMs = FIRST_RETRY_MS;

  constructor(ask, told) {
    this.ask = ask;
    this.told = told;
    this.isPaused = false;
    document.addEventListener("visibilitychange", () => this.again());
    window.addEventListener("online", () => this.again());
  }

  pause(isPaused) {
    this.isPaused = isPaused;
    this.again();
  }

  // Ask at once; a question that is under way is not waited for.
  again() {
    clearTimeout(this.#timer);
    this.#round += 1;
    if (this.isPaused) this.told("paused");
    else if (!document.hidden) this.#go(this.#round);
  }

  async #go(round) {
    let waitMs;
    try {
      waitMs = (await this.ask()) ?? USUAL_MS;
      if (round !== this.#round) return;
      this.#retryMs = FIRST_RETRY_MS;
      this.told("connected");
    } catch (fault) {
      if (round !== this.#round) return;
      if (fault instanceof LoggedOut) return location.assign("/desk/login");
      this.told("lost", fault.message);
      waitMs = this.#retryMs;
      this.#retryMs = Math.min(LONGEST_RETRY_MS, 2 * this.#retryMs);
    }
    this.#timer = setTimeout(() => this.#go(round), waitMs);
  }
}
