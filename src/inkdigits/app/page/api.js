// The HTTP interface as functions. Whatever goes wrong becomes a Trouble with one sentence to show.

import { BUSY, FAILED, OFFLINE } from "./words.js";

const KEPT = "inkdigits token";
const SOON = 10; // seconds after which it is asked again without being told to

/** `again`: after how many milliseconds it is worth trying again; null if it is not. */
export class Trouble extends Error {
  constructor(sentence, { status = 0, again = null } = {}) {
    super(sentence);
    this.status = status;
    this.again = again;
  }
}

export class Server {
  #askToken;
  #asking = null;

  /** askToken(why): a promise of the token, from a person. */
  constructor(askToken) {
    this.#askToken = askToken;
  }

  about() {
    return this.#call("v1/about");
  }

  /** Asks for the token unless this tab has it. */
  async needToken() {
    if (!sessionStorage.getItem(KEPT)) await this.#newToken();
  }

  /** A picture's readings, each sign with what the model saw. */
  read(blob, { one, guess }, signal) {
    const query = new URLSearchParams({ glyphs: "true", one: String(one), best_guess: String(guess) });
    // What a file is called by its name is no reason to refuse it: the reader looks at what is in it.
    const type = /^image\/|^application\/pdf$/.test(blob.type) ? blob.type : "application/octet-stream";
    const headers = { "Content-Type": type };
    return this.#call(`v1/read?${query}`, { method: "POST", body: blob, headers, signal });
  }

  correct(correction) {
    const headers = { "Content-Type": "application/json" };
    return this.#call("v1/corrections", { method: "POST", body: JSON.stringify(correction), headers });
  }

  /** The latest corrections, or the latest before the one with that id. */
  corrections(limit, before) {
    return this.#call(`v1/corrections?limit=${limit}${before ? `&before=${before}` : ""}`);
  }

  remove(id) {
    return this.#call(`v1/corrections/${id}`, { method: "DELETE" });
  }

  async #call(path, options = {}) {
    const token = sessionStorage.getItem(KEPT);
    const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    let response;
    try {
      response = await fetch(path, { ...options, headers, cache: "no-store" });
    } catch {
      throw new Trouble(OFFLINE, { again: 2000 });
    }
    if (response.status === 401) {
      if (sessionStorage.getItem(KEPT) === token) await this.#newToken(token && "That token was not accepted.");
      return this.#call(path, options);
    }
    if (!response.ok) throw await troubleOf(response);
    return response.status === 204 ? null : response.json();
  }

  /** Several calls that lack a token ask for it once. */
  async #newToken(why) {
    this.#asking ??= this.#askToken(why).finally(() => (this.#asking = null));
    sessionStorage.setItem(KEPT, await this.#asking);
  }
}

async function troubleOf(response) {
  const problem = await response.json().catch(() => ({}));
  const { status } = response;
  if (status === 429 || status === 503) {
    const seconds = Number(response.headers.get("Retry-After")) || 1;
    // What took too long would take as long again: it is for the person to try it with less.
    if (seconds <= SOON) return new Trouble(BUSY, { status, again: 1000 * seconds });
  }
  return new Trouble(problem.detail || problem.title || FAILED, { status });
}

/** A blob's bytes in base64. */
export function base64(blob) {
  return new Promise((resolve, reject) => {
    const file = new FileReader();
    file.onload = () => resolve(file.result.slice(file.result.indexOf(",") + 1));
    file.onerror = () => reject(file.error);
    file.readAsDataURL(blob);
  });
}
