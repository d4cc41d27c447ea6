// A session of the protocol over HTTP, for scripts that ask the server what a page shows.

export class McpSession {
  #number = 0;
  #id = null;

  constructor(address, token) {
    this.address = address;
    this.token = token;
  }

  static async open(address, token = null) {
    const session = new McpSession(address, token);
    const clientInfo = { name: "host", version: "1" };
    await session.ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
    await session.#post({ method: "notifications/initialized", params: {} });
    return session;
  }

  async ask(method, params) {
    const response = await this.#post({ id: ++this.#number, method, params });
    const said = await response.json();
    if (said.error) throw new Error(said.error.message);
    return said.result;
  }

  async #post(message) {
    const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
    if (this.token) headers.authorization = `Bearer ${this.token}`;
    if (this.#id) Object.assign(headers, { "mcp-session-id": this.#id, "mcp-protocol-version": "2025-11-25" });
    const body = JSON.stringify({ jsonrpc: "2.0", ...message });
    const response = await fetch(this.address, { method: "POST", headers, body });
    this.#id = response.headers.get("mcp-session-id") || this.#id;
    return response;
  }
}
