// The drawing area: strokes by mouse, touch, pen or keyboard.

import { EXAMPLES } from "./examples.js";

const WIDTH = 22; // px of a stroke, as thick as MNIST's if the digit fills the area
const STEP = 10; // px that an arrow key moves the pen
const PAUSE = 12; // ms between two points of an example
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Pen {
  #canvas;
  #mark;
  #changed;
  #strokes = [];
  #position = [140, 140];
  #down = false; // whether the keyboard's pen is down
  #pointer = null;
  #example = 0;

  // changed(finished) is called after every change; finished: no stroke is in progress.
  constructor(canvas, mark, changed) {
    this.#canvas = canvas;
    this.#mark = mark;
    this.#changed = changed;
    canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => this.#end(event));
    }
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => this.#showMark(canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => this.#lift());
    this.#paint();
  }

  get empty() {
    return this.#strokes.length === 0;
  }

  undo() {
    this.#stop();
    this.#strokes.pop();
    this.#redraw(true);
  }

  clear() {
    this.#stop();
    this.#strokes = [];
    this.#redraw(true);
  }

  // Draws a digit point by point.
  async draw(digit) {
    this.#stop();
    this.#strokes = [];
    const run = ++this.#example;
    const scale = this.#canvas.width / 100;
    const noAnimation = matchMedia("(prefers-reduced-motion: reduce)").matches;
    for (const points of EXAMPLES[digit]) {
      const stroke = [];
      this.#strokes.push(stroke);
      for (const point of pointsAlong(points, 2)) {
        stroke.push(point.map((value) => value * scale));
        if (noAnimation) continue;
        this.#redraw(false);
        await new Promise((done) => setTimeout(done, PAUSE));
        if (run !== this.#example) return;
      }
    }
    this.#redraw(true);
  }

  // Returns the drawing as a PNG.
  blob() {
    return new Promise((done) => this.#canvas.toBlob(done, "image/png"));
  }

  #stop() {
    this.#example++;
    this.#down = false;
    this.#pointer = null;
    this.#mark.classList.remove("down");
  }

  #at(event) {
    const box = this.#canvas.getBoundingClientRect();
    const scale = this.#canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  #begin(event) {
    if (event.button !== 0 || this.#pointer !== null) return;
    this.#stop();
    this.#showMark(false);
    this.#pointer = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#strokes.push([this.#at(event)]);
    this.#redraw(false);
  }

  #move(event) {
    if (event.pointerId !== this.#pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) {
      this.#strokes.at(-1).push(this.#at(each));
    }
    this.#redraw(false);
  }

  #end(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = null;
    this.#redraw(true);
  }

  #key(event) {
    if (event.altKey || (event.ctrlKey || event.metaKey) !== (event.key === "z")) return;
    const move = MOVES[event.key];
    if (move) {
      this.#position = this.#position.map((value, axis) =>
        Math.min(this.#canvas.width - STEP, Math.max(STEP, value + move[axis] * STEP)));
      if (this.#down) {
        this.#strokes.at(-1).push([...this.#position]);
        this.#redraw(false);
      }
      this.#showMark(true);
    } else if (event.key === " " || event.key === "Enter") {
      if (this.#down) {
        this.#lift();
      } else {
        this.#stop();
        this.#down = true;
        this.#mark.classList.add("down");
        this.#strokes.push([[...this.#position]]);
        this.#redraw(false);
      }
      this.#showMark(true);
    } else if (event.key === "Backspace" || event.key === "z") {
      this.undo();
    } else if (event.key === "Delete") {
      this.clear();
    } else {
      return;
    }
    event.preventDefault();
  }

  #lift() {
    const wasDown = this.#down;
    this.#down = false;
    this.#mark.classList.remove("down");
    this.#mark.hidden = true;
    if (wasDown) this.#redraw(true);
  }

  #showMark(shown) {
    this.#mark.hidden = !shown;
    const [x, y] = this.#position.map((value) => (value / this.#canvas.width) * 100);
    this.#mark.style.left = `${x}%`;
    this.#mark.style.top = `${y}%`;
  }

  #redraw(finished) {
    this.#paint();
    this.#changed(finished);
  }

  #paint() {
    const context = this.#canvas.getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    context.strokeStyle = "#fff";
    context.lineWidth = WIDTH;
    context.lineCap = context.lineJoin = "round";
    for (const [first, ...rest] of this.#strokes) {
      context.beginPath();
      context.moveTo(...first);
      context.lineTo(...first);
      for (const point of rest) context.lineTo(...point);
      context.stroke();
    }
  }
}

// Yields points along a line at a distance of `step`.
function* pointsAlong(points, step) {
  yield points[0];
  for (let i = 1; i < points.length; i++) {
    const [[x0, y0], [x1, y1]] = [points[i - 1], points[i]];
    const parts = Math.max(1, Math.round(Math.hypot(x1 - x0, y1 - y0) / step));
    for (let part = 1; part <= parts; part++) {
      yield [x0 + ((x1 - x0) * part) / parts, y0 + ((y1 - y0) * part) / parts];
    }
  }
}
