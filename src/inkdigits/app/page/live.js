// Reads while somebody draws: soon after a change, one request at a time, and never shows an answer to what is gone.

const WAIT = 150; // milliseconds from a change to the question: a reading takes some twenty

export class Live {
  #handlers;
  #timer = 0;
  #busy = false;
  #changed = false;
  #epoch = 0;
  #stop = new AbortController();

  /** ask(signal): a promise of an answer about what there is now; show(answer): what becomes of it;
   *  fail(error): after how many milliseconds to ask again, or nothing. */
  constructor({ ask, show, fail }) {
    this.#handlers = { ask, show, fail };
  }

  /** Something was added: ask about it soon. Answers under way are still worth showing. */
  change(wait = WAIT) {
    this.#changed = true;
    if (!this.#busy && !this.#timer) this.#timer = setTimeout(() => this.#ask(), wait);
  }

  /** Whether nothing is to be asked any more, apart from what is being shown. */
  get settled() {
    return !this.#changed;
  }

  /** What there was is gone: answers under way are dropped. */
  forget() {
    this.#epoch += 1;
    this.#stop.abort();
    this.#changed = false;
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  async #ask() {
    const { ask, show, fail } = this.#handlers;
    const epoch = this.#epoch;
    this.#timer = 0;
    this.#changed = false;
    this.#busy = true;
    this.#stop = new AbortController();
    let again = 0;
    try {
      const answer = await ask(this.#stop.signal);
      if (epoch === this.#epoch) show(answer);
    } catch (error) {
      if (epoch === this.#epoch) again = fail(error);
    } finally {
      this.#busy = false;
      if (again || this.#changed) this.change(again || 0);
    }
  }
}
