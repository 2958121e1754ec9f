// What is said to people: one plain sentence for each state.

const NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

const PERCENT = "\u00a0%"; // not parted from its number by the end of a line

export const OFFLINE = "The reader does not answer. Is “inkdigits serve” still running? The page goes on trying.";
export const BUSY = "The reader is busy. The page tries again in a moment.";
export const FAILED = "The reader could not answer, and did not say why.";
export const TOKEN_NEEDED = "This reader answers only with its token. Draw again to be asked for it.";
export const CORRECTIONS_OFF = "Corrections are off: start “inkdigits serve” with --corrections FILE to keep them.";

export function percent(share) {
  if (share >= 0.9995) return `> 99.9${PERCENT}`;
  if (share < 0.0005) return `< 0.1${PERCENT}`;
  return `${(100 * share).toFixed(share >= 0.995 || share < 0.1 ? 1 : 0)}${PERCENT}`;
}

export function sizeInWords(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

export function tooLarge(found, most) {
  return `This picture has ${sizeInWords(found)}; the reader takes at most ${sizeInWords(most)}.`;
}

/** The digits in descending order of their probability. */
export function ranked(probabilities) {
  return probabilities.map((_, digit) => digit).sort((a, b) => probabilities[b] - probabilities[a]);
}

/** What a reading says beside its text. `drawn` tells a drawing from a picture, `pages` how many the file has. */
export function sentence(reading, { drawn, guess, pages }) {
  const said = [reading.refused ? refusal(reading, drawn) : confidence(reading, guess)];
  if (pages > 1) said.push(`Page 1 of ${pages} is shown.`);
  if (reading.note && reading.reason !== "unreadable file") said.push(`This is the ${reading.note}.`);
  return said.join(" ");
}

function refusal(reading, drawn) {
  const several = reading.digits.length > 1;
  switch (reading.reason) {
    case "blank":
      return drawn ? "There is too little ink here to read. Draw it larger." : "No writing was found on this picture.";
    case "not a digit":
      if (several) return "A sign here does not look like a digit: the one marked “?”.";
      return "This does not look like a digit.";
    case "unsure":
      return unsure(reading, several);
    case "several digits":
      return "There is more than one digit here. Turn “One digit” off to read them all.";
    case "turned":
      return "The page seems to be turned. Turn it upright and try again.";
    case "unreadable file":
      if (reading.note) return `This file could not be read: ${reading.note}.`;
      return "There is no readable picture in this file.";
    default:
      return `The reader would rather not say: ${reading.reason}.`;
  }
}

function unsure(reading, several) {
  const doubtful = reading.digits.find((sign) => sign.digit === null) ?? reading.digits[0];
  if (!doubtful) return "This is a digit, but it is not clear which.";
  const [first, second] = ranked(doubtful.probabilities);
  const it = several ? "One of these" : "This";
  return `${it} could be ${a(first)} or ${a(second)}. Write it more clearly, or take the best guess.`;
}

function confidence(reading, guess) {
  const signs = reading.digits.filter((sign) => sign.digit !== null);
  if (!signs.length) return "There are marks here, but no digit.";
  const least = signs.reduce((a, b) => (b.confidence < a.confidence ? b : a));
  const sure = `${percent(least.confidence)} sure`;
  if (guess && least.confidence < 0.9) {
    return `A guess: only ${sure}${signs.length > 1 ? ` of the ${least.digit}` : ""}.`;
  }
  const others = signs.length < reading.digits.length ? " The sign marked “?” is no digit." : "";
  if (signs.length === 1) return `${sure}.${others}`.replace(/^>/, "More than");
  const many = NUMBERS[signs.length] ?? signs.length;
  return `At least ${percent(least.confidence).replace("> ", "")} sure of each of the ${many} digits.${others}`;
}

/** What one sign is called aloud. */
export function signName(sign, number, count) {
  const what = sign.digit === null ? "not surely a digit" : `${sign.digit}, ${percent(sign.confidence)} sure`;
  return count > 1 ? `Digit ${number} of ${count}: ${what}` : what;
}

function a(digit) {
  return digit === 8 ? "an 8" : `a ${digit}`;
}

export function keptAs(label) {
  return `Kept as ${a(label)}.`;
}

/** What became of a sign that a person put right. */
export function putRight(sign, label) {
  if (sign.digit === label) return `Confirmed as ${a(label)}.`;
  return `${sign.digit === null ? "Refused" : `Read as ${a(sign.digit)}`}; put right as ${a(label)}.`;
}

export function correctionName({ label, answer }) {
  return `${a(label)} that was ${answer === null ? "refused" : `read as ${a(answer)}`}`;
}
