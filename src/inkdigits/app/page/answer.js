// The answer: what was read, how sure it is, what the model saw, and ten bars for the chosen digit.

import { percent, putRight, ranked, signName } from "./words.js";

const DIGITS = [...Array(10).keys()];
const LONG = 4, LONGER = 9; // signs of a line: so much is set in large type, and so much in middling

const element = (id) => document.getElementById(id);

export class Answer {
  #bars;
  #choose;

  /** choose(index) is called when a digit is tapped, correct(label) when the right answer is. */
  constructor({ choose, correct }) {
    this.#choose = choose;
    this.#bars = DIGITS.map((digit) => barOf(digit, correct));
    element("bars").append(...this.#bars.map(({ item }) => item));
    this.clear();
  }

  /** Turns the ten buttons under the bars on or off. */
  allowCorrections(allowed) {
    for (const { button } of this.#bars) button.disabled = !allowed;
  }

  clear() {
    element("answer").dataset.state = "empty";
    element("text").replaceChildren();
    element("sentence").textContent = "";
    this.#showChosen(null);
  }

  /** A reading, the sign that is chosen, what signs were corrected to by their index, and the sentence to say. */
  show(reading, { chosen, corrected, said, drawing }) {
    const box = element("answer");
    box.dataset.state = reading.refused ? "refused" : "read";
    box.toggleAttribute("data-drawing", drawing);
    box.toggleAttribute("data-blank", !reading.digits.length);
    const longest = Math.max(...reading.text.split("\n").map((line) => line.length));
    const small = reading.text.includes("\n") || longest > LONGER;
    element("text").dataset.size = small ? "small" : longest > LONG ? "middling" : "large";
    this.#showText(reading, chosen, corrected);
    const put = corrected.get(chosen);
    element("sentence").textContent = put ? putRight(reading.digits[chosen], put.label) : said;
    this.#showChosen(reading.digits[chosen] ?? null, corrected.get(chosen)?.label);
  }

  /** The text as it was written, each sign a button if there are several. */
  #showText({ text, digits }, chosen, corrected) {
    const box = element("text");
    const focused = [...box.querySelectorAll("button")].indexOf(document.activeElement);
    let index = -1;
    box.replaceChildren(...[...text].map((letter) => {
      if (letter === "\n") return document.createElement("br");
      if (letter === " ") return document.createTextNode(" ");
      index += 1;
      return this.#letter(letter, index, digits, { chosen, corrected: corrected.get(index)?.label });
    }));
    box.querySelectorAll("button")[focused]?.focus();
  }

  #letter(letter, index, signs, { chosen, corrected }) {
    const button = document.createElement(signs.length > 1 ? "button" : "span");
    button.textContent = corrected ?? letter;
    button.classList.toggle("doubt", letter === "?" && corrected === undefined);
    button.classList.toggle("corrected", corrected !== undefined);
    if (signs.length < 2) return button;
    button.type = "button";
    button.setAttribute("aria-pressed", String(index === chosen));
    button.setAttribute("aria-label", signName(signs[index], index + 1, signs.length));
    button.addEventListener("click", () => this.#choose(index));
    return button;
  }

  #showChosen(sign, corrected) {
    const glyph = element("glyph");
    glyph.hidden = !sign?.glyph;
    if (sign?.glyph) glyph.src = `data:image/png;base64,${sign.glyph}`;
    glyph.alt = sign ? `What the model saw of it, read as ${sign.digit ?? "no sure digit"}` : "";
    const [likeliest] = sign ? ranked(sign.probabilities) : [null];
    for (const [digit, { item, share, fill, button }] of this.#bars.entries()) {
      const probability = sign?.probabilities[digit] ?? 0;
      item.classList.toggle("likeliest", digit === likeliest);
      item.classList.toggle("doubted", digit === likeliest && sign.digit === null);
      item.classList.toggle("corrected", digit === corrected);
      share.textContent = sign && probability >= 0.01 ? percent(probability).replace(/[^\d.]/g, "") : "";
      fill.style.height = `${100 * probability}%`;
      const chance = sign ? `, ${percent(probability)}` : "";
      button.setAttribute("aria-label", button.disabled ? `${digit}${chance}` : `It was a ${digit}${chance}`);
      button.setAttribute("aria-pressed", String(digit === corrected));
    }
  }
}

export function glyphOf(png, side, alt = "") {
  const image = document.createElement("img");
  image.src = `data:image/png;base64,${png}`;
  image.width = image.height = side;
  image.alt = alt;
  image.className = "seen";
  return image;
}

function barOf(digit, correct) {
  const item = document.createElement("li");
  const share = document.createElement("span");
  share.className = "share";
  const track = document.createElement("span");
  track.className = "track";
  const fill = document.createElement("i");
  track.append(fill);
  const button = document.createElement("button");
  button.type = "button";
  button.disabled = true;
  button.textContent = digit;
  button.addEventListener("click", () => correct(digit));
  item.append(share, track, button);
  return { item, share, fill, button };
}
