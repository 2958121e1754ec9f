// The paper: strokes of mouse, pen or finger, drawn as they come, and handed on as a picture.

const SENT = 640; // pixels of the longer side of the picture that is sent: more is slower and no better
const MARGIN = 0.06; // of its longer side, white, since what touches the border is taken for a frame
const RESTING = 2000; // milliseconds after a pen in which what touches is the hand that holds it
const LIGHTEST = 0.35; // of the width, for a pen that hardly touches

export class Pad {
  #canvas;
  #context;
  #strokes = [];
  #past = [];
  #stroke = null;
  #pointer = null;
  #finger = false;
  #penned = -Infinity;
  #size = { width: 1, height: 1 }; // of the paper on the page
  #first = { width: 1, height: 1 }; // what it was when the drawing was begun: strokes are in its pixels
  #share = 1; // of the page's pixels to those
  #changed;
  penWidth = 13;
  enabled = true;

  /** changed({ fresh, moved }): after every change; fresh if something was taken away, moved if only the paper is new. */
  constructor(canvas, changed) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#changed = changed;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(name, (event) => this.#up(event));
    }
    new ResizeObserver(() => this.#fit()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#redraw());
  }

  get empty() {
    return !this.#strokes.length && !this.#stroke;
  }

  get drawing() {
    return this.#stroke !== null;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  /** The middle of the last stroke, in shares of the paper. */
  get lastPlace() {
    const points = (this.#stroke ?? this.#strokes.at(-1))?.points;
    if (!points) return null;
    const middle = (axis, side) => (Math.min(...axis) + Math.max(...axis)) / 2 / side;
    const { width, height } = this.#paper;
    return [middle(points.map((point) => point.x), width), middle(points.map((point) => point.y), height)];
  }

  undo() {
    if (!this.canUndo || this.drawing) return;
    this.#strokes = this.#past.pop();
    this.#redraw();
    this.#changed({ fresh: true });
  }

  clear() {
    if (this.empty) return;
    if (this.#strokes.length) this.#past.push(this.#strokes);
    this.#strokes = [];
    this.#stroke = null;
    this.#pointer = null;
    this.#redraw();
    this.#changed({ fresh: true });
  }

  /** The drawing as a PNG, black on white whatever the page looks like; `place` turns boxes into shares of the paper. */
  async picture() {
    const { width, height } = this.#paper;
    const scale = (SENT * (1 - 2 * MARGIN)) / Math.max(width, height);
    const margin = SENT * MARGIN;
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(width * scale + 2 * margin);
    canvas.height = Math.round(height * scale + 2 * margin);
    const context = canvas.getContext("2d");
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.setTransform(scale, 0, 0, scale, margin, margin);
    for (const stroke of this.#all()) drawStroke(context, stroke, "black");
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    const place = ([x, y, w, h]) => {
      const across = this.#paper.width * scale, down = this.#paper.height * scale; // as it is when this is asked
      return [(x - margin) / across, (y - margin) / down, w / across, h / down];
    };
    return { blob, place };
  }

  /** The size of the paper in the pixels of the strokes. */
  get #paper() {
    return { width: this.#size.width / this.#share, height: this.#size.height / this.#share };
  }

  #all() {
    return this.#stroke ? [...this.#strokes, this.#stroke] : this.#strokes;
  }

  #down(event) {
    if (!this.enabled || event.button !== 0) return;
    const [pen, finger] = ["pen", "touch"].map((kind) => kind === event.pointerType);
    if (this.#pointer !== null && !(pen && this.#finger)) return; // a pen takes over from the hand that rests
    if (finger && event.timeStamp - this.#penned < RESTING) return;
    if (pen) this.#penned = event.timeStamp;
    this.#finger = finger;
    event.preventDefault();
    if (this.#stroke) {
      this.#stroke = null;
      this.#redraw();
    }
    this.#pointer = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#stroke = { points: [this.#point(event)] };
    drawEnd(this.#context, this.#stroke.points[0], this.#colour());
    this.#changed({ fresh: false });
  }

  #move(event) {
    if (event.pointerId !== this.#pointer || !this.#stroke) return;
    if (event.pointerType === "pen") this.#penned = event.timeStamp;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) {
      const points = this.#stroke.points;
      const point = this.#point(each);
      if (Math.hypot(point.x - points.at(-1).x, point.y - points.at(-1).y) < 0.8) continue;
      points.push(point);
      drawSegment(this.#context, points, points.length - 1, this.#colour());
    }
    this.#changed({ fresh: false });
  }

  #up(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = null;
    if (!this.#stroke) return;
    this.#past.push(this.#strokes);
    this.#strokes = this.#all();
    this.#stroke = null;
    this.#redraw();
    this.#changed({ fresh: false });
  }

  #point(event) {
    const { left, top } = this.#canvas.getBoundingClientRect();
    // A mouse has no pressure and says 0.5; many fingers say 0 or 1.
    const pressure = event.pointerType === "pen" ? LIGHTEST + (1 - LIGHTEST) * 2 * event.pressure : 1;
    const width = this.penWidth * Math.min(pressure, 1.5);
    const share = this.#share;
    return { x: (event.clientX - left) / share, y: (event.clientY - top) / share, width: width / share };
  }

  #colour() {
    return getComputedStyle(this.#canvas).color;
  }

  /** Takes the size that the page gives the paper, and fits what is drawn into it. */
  #fit() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (!width || !height) return;
    this.#size = { width, height };
    const points = [...this.#past.flat(), ...this.#all()].flatMap((stroke) => stroke.points);
    if (!points.length) this.#first = { width, height };
    // What was drawn on a wider or higher paper than the first stays in view as well.
    const [right, bottom] = ["x", "y"].map((axis) => points.reduce((most, point) => Math.max(most, point[axis]), 0));
    this.#share = Math.min(
      width / Math.max(this.#first.width, right),
      height / Math.max(this.#first.height, bottom),
    );
    this.#canvas.width = Math.round(width * devicePixelRatio);
    this.#canvas.height = Math.round(height * devicePixelRatio);
    this.#redraw();
    this.#changed({ fresh: false, moved: true });
  }

  #redraw() {
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    const scale = devicePixelRatio * this.#share;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    const colour = this.#colour();
    for (const stroke of this.#all()) drawStroke(context, stroke, colour);
  }
}

function drawStroke(context, { points }, colour) {
  drawEnd(context, points[0], colour);
  for (let index = 1; index < points.length; index += 1) drawSegment(context, points, index, colour);
  if (points.length > 1) {
    const [before, last] = points.slice(-2);
    drawLine(context, middle(before, last), last, last, last.width, colour);
  }
}

/** From the middle before a point's forerunner to the middle before the point, bent at the forerunner. */
function drawSegment(context, points, index, colour) {
  const [point, corner] = [points[index], points[index - 1]];
  const start = index > 1 ? middle(points[index - 2], corner) : corner;
  drawLine(context, start, corner, middle(corner, point), (corner.width + point.width) / 2, colour);
}

function drawLine(context, start, corner, end, width, colour) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  context.moveTo(start.x, start.y);
  context.quadraticCurveTo(corner.x, corner.y, end.x, end.y);
  context.stroke();
}

function drawEnd(context, { x, y, width }, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.arc(x, y, width / 2, 0, 2 * Math.PI);
  context.fill();
}

function middle(a, b) {
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}
