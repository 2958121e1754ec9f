// The corrections that are kept: listed newest first, each to be deleted.

import { glyphOf } from "./answer.js";
import { correctionName } from "./words.js";

const MOST = 500; // corrections asked for at once
const STEP = 24; // corrections shown at first, and more each time

const element = (id) => document.getElementById(id);

export class Corrections {
  #server;
  #fail;
  #removed;
  #limit = STEP;

  /** fail(error) is called where the server refuses, removed(id) when one is gone. */
  constructor(server, { fail, removed }) {
    this.#server = server;
    this.#fail = fail;
    this.#removed = removed;
    element("more").addEventListener("click", () => {
      this.#limit += STEP;
      this.refresh();
    });
  }

  async refresh() {
    try {
      const { corrections, count } = await this.#latest();
      element("corrections").hidden = false;
      element("none").hidden = count > 0;
      element("count").textContent = count || "";
      element("more").hidden = corrections.length >= count;
      element("kept").replaceChildren(...corrections.map((each) => this.#item(each)));
    } catch (error) {
      this.#fail(error);
    }
  }

  async #latest() {
    const corrections = [];
    let count = 0;
    do {
      const wanted = Math.min(MOST, this.#limit - corrections.length);
      const page = await this.#server.corrections(wanted, corrections.at(-1)?.id);
      corrections.push(...page.corrections);
      count = page.count;
      if (page.corrections.length < wanted) break;
    } while (corrections.length < this.#limit);
    return { corrections, count };
  }

  #item(correction) {
    const { id, created, label, answer, glyph } = correction;
    const item = document.createElement("li");
    const name = correctionName(correction);
    const said = document.createElement("p");
    const right = document.createElement("b");
    right.textContent = label;
    const wrong = document.createElement("span");
    wrong.className = "quiet";
    wrong.textContent = answer === label ? "confirmed" : `read ${answer ?? "?"}`;
    said.append(right, wrong);
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "remove";
    remove.textContent = "×";
    remove.setAttribute("aria-label", `Delete the correction: ${name}`);
    remove.title = "Delete";
    remove.addEventListener("click", () => this.#remove(id, item));
    const date = new Date(created);
    if (!Number.isNaN(date.valueOf())) item.title = date.toLocaleString();
    item.append(glyphOf(glyph, 56, name), said, remove);
    return item;
  }

  async #remove(id, item) {
    const place = [...item.parentNode.children].indexOf(item);
    try {
      await this.#server.remove(id);
      this.#removed(id);
      await this.refresh();
      const rest = element("kept").children;
      (rest[Math.min(place, rest.length - 1)]?.querySelector("button") ?? element("corrections-title")).focus();
    } catch (error) {
      this.#fail(error);
    }
  }
}
