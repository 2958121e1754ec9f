// The page as a whole: what is on the paper, what was read of it, and what people do with that.

import { Answer } from "./answer.js";
import { base64, Server, Trouble } from "./api.js";
import { drawBoxes, fitted, nearest } from "./boxes.js";
import { Corrections } from "./corrections.js";
import { listenForPictures, showPicture } from "./intake.js";
import { Live } from "./live.js";
import { Pad } from "./pad.js";
import { CORRECTIONS_OFF, FAILED, keptAs, sentence, signName, TOKEN_NEEDED, tooLarge } from "./words.js";

const MOST_KEPT = 2e6; // bytes of a picture that is kept with a correction; without a larger one the glyph is kept
const SPOKEN_AFTER = 700; // milliseconds without change: a screen reader is told what holds, not what passes

const element = (id) => document.getElementById(id);
const state = {
  about: null,
  file: null, // the picture, where one is read in place of the drawing
  shown: false, // whether this browser can show it
  reading: null,
  place: null, // turns a box of the reading into shares of what is shown
  pages: 1, // of the file, the first of which is shown
  picture: null, // the blob that was read
  chosen: 0,
  pinned: false, // whether a person chose
  corrected: new Map(), // by the index of the sign: { id, label }
  trouble: null, // what is shown as having gone wrong
  saving: Promise.resolve(),
};

const server = new Server(askToken);
const pad = new Pad(element("pad"), padChanged);
const answer = new Answer({ choose, correct });
const corrections = new Corrections(server, { fail: notice, removed: forgetCorrection });
const live = new Live({ ask, show, fail });

function padChanged({ fresh, moved }) {
  if (moved) return showBoxes();
  if (!state.trouble?.again) notice(null);
  showTools();
  state.pinned = false;
  if (fresh) live.forget();
  if (pad.empty) return clearAnswer();
  element("frame").toggleAttribute("data-drawing", pad.drawing);
  readSoon();
}

function readSoon(wait) {
  element("answer").setAttribute("aria-busy", "true");
  live.change(wait);
}

function clear() {
  notice(null);
  if (state.file) dropPicture();
  else pad.clear();
}

/** Puts the drawing back where a picture was. */
function dropPicture() {
  live.forget();
  state.file = null;
  element("photo").hidden = element("unshown").hidden = true;
  pad.enabled = true;
  showTools();
  clearAnswer();
  if (!pad.empty) readSoon(0);
}

async function takePicture(file) {
  notice(null);
  const most = state.about?.limits?.body_bytes;
  if (most && file.size > most) return notice(new Error(tooLarge(file.size, most)));
  live.forget();
  clearAnswer();
  pad.enabled = false;
  state.file = file;
  state.shown = false;
  state.pinned = false;
  element("photo").hidden = true;
  element("unshown").hidden = true;
  showTools();
  readSoon(0);
  const shown = await showPicture(element("photo"), file);
  if (state.file !== file) return;
  state.shown = shown;
  element("photo").hidden = !shown;
  element("unshown").hidden = shown;
  showBoxes();
}

function showTools() {
  const frame = element("frame");
  frame.toggleAttribute("data-empty", pad.empty && !state.file);
  frame.toggleAttribute("data-picture", Boolean(state.file));
  element("undo").disabled = !pad.canUndo || Boolean(state.file);
  element("clear").disabled = pad.empty && !state.file;
  element("width").disabled = Boolean(state.file);
}

async function ask(signal) {
  const options = { one: element("one").checked, guess: element("guess").checked };
  const { file } = state;
  const { blob, place } = file ? { blob: file, place: null } : await pad.picture();
  const { readings } = await server.read(blob, options, signal);
  return { reading: readings[0], pages: readings.length, blob, place, guess: options.guess };
}

function show({ reading, pages, blob, place, guess }) {
  if (state.trouble?.again) notice(null); // it answers again; other messages stay until something else is done
  element("answer").setAttribute("aria-busy", String(!live.settled));
  Object.assign(state, { reading, pages, picture: blob, place, guess, corrected: new Map() });
  if (!state.pinned) state.chosen = usualChoice(reading.digits, place);
  state.chosen = Math.min(state.chosen, Math.max(0, reading.digits.length - 1));
  showAnswer();
  speak();
}

/** The digit written last, or on a picture the first that is in doubt. */
function usualChoice(signs, place) {
  if (place) return pad.lastPlace && signs.length ? nearest(signs, place, pad.lastPlace) : 0;
  return Math.max(0, signs.findIndex((sign) => sign.digit === null));
}

function showAnswer() {
  const { reading, chosen, corrected } = state;
  answer.show(reading, { chosen, corrected, said: inWords(), drawing: !state.file && pad.drawing });
  showBoxes();
  showHint();
}

function inWords() {
  const { reading, pages, guess } = state;
  return sentence(reading, { pages, guess, drawn: !state.file });
}

function showBoxes() {
  const layer = element("boxes");
  const frame = element("frame");
  const room = { width: frame.clientWidth, height: frame.clientHeight };
  const photo = element("photo");
  const natural = { width: photo.naturalWidth, height: photo.naturalHeight };
  if (!state.reading || (state.file && !state.shown)) return layer.replaceChildren();
  const onPhoto = ([x, y, width, height]) =>
    [x / natural.width, y / natural.height, width / natural.width, height / natural.height];
  const put = (sign, index) => state.corrected.get(index)?.label ?? sign.digit ?? "?";
  drawBoxes(layer, state.reading.digits, {
    tags: state.reading.digits.map(put),
    place: state.place ?? onPhoto,
    area: state.file ? fitted(natural, room) : { left: 0, top: 0, ...room },
    chosen: state.chosen,
    choose: state.file ? choose : null,
  });
}

function clearAnswer() {
  Object.assign(state, { reading: null, place: null, picture: null, chosen: 0, pinned: false, corrected: new Map() });
  element("answer").setAttribute("aria-busy", "false");
  element("frame").removeAttribute("data-drawing");
  element("boxes").replaceChildren();
  answer.clear();
  showHint();
  speak();
}

function choose(index) {
  state.chosen = index;
  state.pinned = true;
  showAnswer();
  const signs = state.reading.digits;
  say(signName(signs[index], index + 1, signs.length));
}

function showHint() {
  const sign = state.reading?.digits[state.chosen];
  const done = state.corrected.get(state.chosen);
  const on = state.about?.corrections;
  answer.allowCorrections(Boolean(on && sign));
  const hint = done ? keptAs(done.label) : "Read wrong? Tap the right digit, or type it.";
  element("correct-hint").textContent = on && sign ? hint : "";
  element("take-back").hidden = !done;
}

function correct(label) {
  const { reading, chosen, corrected, picture } = state;
  const sign = reading?.digits[chosen];
  if (!sign) return;
  if (!state.about?.corrections) {
    element("correct-hint").textContent = CORRECTIONS_OFF;
    return say(CORRECTIONS_OFF);
  }
  // One after another, so that two quick taps on one digit leave one correction.
  state.saving = state.saving.then(async () => {
    const before = corrected.get(chosen);
    if (before?.label === label) return;
    const kept = picture.size <= MOST_KEPT ? await base64(picture) : null;
    const { id } = await server.correct({ glyph: sign.glyph, label, answer: sign.digit, picture: kept });
    if (before) await server.remove(before.id);
    corrected.set(chosen, { id, label });
    if (state.reading === reading) showAnswer();
    say(keptAs(label));
    await corrections.refresh();
  }).catch(notice);
}

async function takeBack() {
  const kept = state.corrected.get(state.chosen);
  if (!kept) return;
  try {
    await server.remove(kept.id);
    forgetCorrection(kept.id);
    await corrections.refresh();
    say("Taken back.");
  } catch (error) {
    notice(error);
  }
}

function forgetCorrection(id) {
  for (const [index, each] of state.corrected) if (each.id === id) state.corrected.delete(index);
  if (state.reading) showAnswer();
}

let speaking = 0;

/** Tells screen readers what was read, once it has settled. */
function speak() {
  clearTimeout(speaking);
  const { reading } = state;
  if (!reading) return say("");
  speaking = setTimeout(() => {
    const text = reading.text ? `Read: ${reading.text.replaceAll("\n", ", ")}. ` : "";
    say(text + inWords());
  }, SPOKEN_AFTER);
}

function say(text) {
  element("live").textContent = text;
}

/** Shows what went wrong in one sentence; null takes it away. */
function notice(error) {
  state.trouble = error;
  const text = error ? error.message || FAILED : "";
  const place = element("notice-text");
  if (place.textContent !== text) place.textContent = text;
  element("notice").hidden = !text;
}

function fail(error) {
  notice(error);
  if (error.again) return error.again;
  element("answer").setAttribute("aria-busy", "false");
  if (state.file) dropPicture();
  return null;
}

function askToken(why) {
  const dialog = element("token");
  const value = element("token-value");
  if (why) element("token-why").textContent = why;
  value.value = "";
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve, reject) => {
    element("token-form").onsubmit = (event) => {
      event.preventDefault();
      resolve(value.value.trim());
      dialog.close();
    };
    dialog.onclose = () => reject(new Trouble(TOKEN_NEEDED)); // nothing where a token was given before
  });
}

function onKey(event) {
  const { key, target } = event;
  if (element("token").open || event.altKey) return;
  if (event.ctrlKey || event.metaKey) {
    if (key.toLowerCase() !== "z" || event.shiftKey) return;
    event.preventDefault();
    if (!state.file) pad.undo();
  } else if (/^[0-9]$/.test(key)) {
    correct(Number(key));
  } else if (key === "Delete" && target.classList.contains("remove")) {
    target.click();
  } else if (key === "Escape" || key === "Delete" || key === "Backspace") {
    clear();
  } else if ((key === "ArrowLeft" || key === "ArrowRight") && target.type !== "range") {
    const count = state.reading?.digits.length ?? 0;
    if (count > 1) choose((state.chosen + (key === "ArrowLeft" ? count - 1 : 1)) % count);
  }
}

async function start() {
  try {
    state.about = await server.about();
  } catch (error) {
    notice(error);
    if (error.again) setTimeout(start, error.again);
    return;
  }
  notice(null);
  const { model, corrections: on, token } = state.about;
  element("model").textContent = [model.name, model.version].filter(Boolean).join(" ");
  element("keeps").hidden = !on;
  showHint();
  try {
    if (token) await server.needToken();
    if (on) await corrections.refresh();
  } catch (error) {
    notice(error);
  }
}

for (const id of ["one", "guess"]) {
  element(id).addEventListener("change", () => {
    live.forget();
    if (state.file || !pad.empty) readSoon(0);
  });
}
element("undo").addEventListener("click", () => pad.undo());
element("clear").addEventListener("click", clear);
element("take-back").addEventListener("click", takeBack);
element("notice-close").addEventListener("click", () => notice(null));
element("width").addEventListener("input", (event) => (pad.penWidth = Number(event.target.value)));
pad.penWidth = Number(element("width").value);
addEventListener("keydown", onKey);
addEventListener("resize", () => state.file && showBoxes());
listenForPictures({
  inputs: [element("file"), element("camera")],
  take: takePicture,
  over: (there) => element("frame").toggleAttribute("data-over", there),
});
element("corrections-title").tabIndex = -1;
showTools();
start();
