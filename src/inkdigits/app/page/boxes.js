// Boxes over what was read, each with its answer on a tag.

/** The largest area of a shape (width : height) inside another, in pixels: left, top, width, height. */
export function fitted(shape, room) {
  const share = Math.min(room.width / shape.width, room.height / shape.height);
  const [width, height] = [shape.width * share, shape.height * share];
  return { left: (room.width - width) / 2, top: (room.height - height) / 2, width, height };
}

/**
 * Draws a box for each sign, with its tag. `place` turns a box of the reading into shares of the area; `area` is where
 * that lies, in pixels; `choose(index)` is called where boxes can be tapped, else null.
 */
export function drawBoxes(layer, signs, { tags, place, area, chosen, choose }) {
  for (const side of ["left", "top", "width", "height"]) layer.style[side] = `${area[side]}px`;
  layer.replaceChildren(...signs.map((sign, index) => {
    const [x, y, width, height] = place(sign.box);
    const box = document.createElement("div");
    box.className = "box";
    box.classList.toggle("refused", sign.digit === null);
    box.classList.toggle("chosen", index === chosen && signs.length > 1);
    box.classList.toggle("low", y * area.height < 26);
    box.style.left = `${100 * x}%`;
    box.style.top = `${100 * y}%`;
    box.style.width = `${100 * width}%`;
    box.style.height = `${100 * height}%`;
    const tag = document.createElement("b");
    tag.textContent = tags[index];
    box.append(tag);
    if (choose) box.addEventListener("click", () => choose(index));
    return box;
  }));
}

/** The sign whose box lies nearest to a place, both in shares of the area. */
export function nearest(signs, place, [x, y]) {
  const away = ({ box }) => {
    const [left, top, width, height] = place(box);
    return Math.hypot(left + width / 2 - x, top + height / 2 - y);
  };
  return signs.reduce((best, sign, index) => (away(sign) < away(signs[best]) ? index : best), 0);
}
