// The timeline on its canvas: a bucket a pixel column and lane, so that 100,000 events draw as fast as 100.

import { FLAG, KIND, lasted, places, seen } from "./columns.js";

const LANES = 7;
const STRIP = 14;

/** @param {string} name */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const OF_KIND = ["user", "model", "tool", "wait", "state", "state", "state", "wait", "wait", "error", "state"];
/** Which of several kinds in one pixel is drawn: the worst. */
const WORST = [2, 3, 4, 5, 0, 0, 1, 6, 6, 7, 1];

export class Drawing {
  /** @param {HTMLCanvasElement} canvas @param {HTMLElement} names @param {import("./columns.js").Columns} columns */
  constructor(canvas, names, columns) {
    this.canvas = canvas;
    this.names = names;
    this.columns = columns;
    this.axis = /** @type {"gaps" | "time" | "events"} */ ("gaps");
    this.first = 1;
    this.last = 1;
    this.head = 1;
    this.point = 1;
    /** @type {{ a: number, b: number }} */
    this.pins = { a: 0, b: 0 };
    this.marks = /** @type {number[]} */ ([]);
    this.placed = places(columns, 1, 1, "events", 1);
    this.waiting = false;
    this.stale = true;
  }

  /** Draw before the next frame. @param {boolean} moved Whether events, axis or zoom changed, and not the playhead alone. */
  soon(moved = true) {
    this.stale ||= moved;
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  /** The lanes by their row: the session's own last, and of many the first few. */
  get rows() {
    const named = this.columns.lanes.filter((name) => name !== "session");
    return [...named.slice(0, LANES), ...(this.columns.lanes.includes("session") ? ["session"] : [])];
  }

  draw() {
    const { canvas, columns } = this;
    const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      this.stale = true;
    }
    if (this.stale) {
      this.placed = places(columns, this.first, this.last, this.axis, width);
      this.layer = this.#layer(width, height, ratio);
      this.#label(height);
      this.stale = false;
    }
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (this.layer) context.drawImage(this.layer, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#flag(context, this.pins.a, "A", width, height);
    this.#flag(context, this.pins.b, "B", width, height);
    const x = this.x(this.point, width);
    context.fillStyle = colour("focus");
    context.fillRect(Math.round(x) - 1, 0, 2, height);
  }

  /** @param {number} revision @param {number} width */
  x(revision, width) {
    const at = this.placed.at[revision - this.first];
    return (at ?? (revision < this.first ? 0 : 1)) * width;
  }

  /** The revision that stands nearest to a place. @param {number} x @param {number} width */
  revision(x, width) {
    const wanted = x / width, { at } = this.placed;
    let low = 0, high = at.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at[middle] < wanted) low = middle + 1; else high = middle;
    }
    if (low > 0 && wanted - at[low - 1] < at[low] - wanted) low--;
    return this.first + low;
  }

  /** @param {number} width @param {number} height @param {number} ratio */
  #layer(width, height, ratio) {
    const layer = document.createElement("canvas");
    layer.width = this.canvas.width;
    layer.height = this.canvas.height;
    const context = /** @type {CanvasRenderingContext2D} */ (layer.getContext("2d"));
    context.scale(ratio, ratio);
    const rows = this.rows, tall = (height - STRIP) / Math.max(1, rows.length);
    const colours = OF_KIND.map(colour), error = colour("error"), hairline = colour("hairline");
    context.fillStyle = hairline;
    for (let row = 1; row <= rows.length; row++) context.fillRect(0, Math.round(row * tall) - 0.5, width, 0.5);
    const single = width / (this.last - this.first + 1) >= 4;
    const buckets = new Map();
    for (let revision = this.first; revision <= this.last; revision++) {
      if (!this.columns.has(revision)) continue;
      const kind = this.columns.kind(revision), flags = this.columns.flags(revision);
      const row = rows.indexOf(this.columns.lanes[this.columns.lane(revision)]);
      if (row < 0) continue;
      const x = this.x(revision, width), key = row * 65536 + Math.round(x);
      if (single) this.#shape(context, kind, flags, revision, x, row * tall, tall, colours, error, width);
      else {
        const found = buckets.get(key) ?? { x: Math.round(x), row, kind, count: 0, flags: 0 };
        found.count++;
        found.flags |= flags;
        if (WORST[kind] > WORST[found.kind]) found.kind = kind;
        buckets.set(key, found);
      }
    }
    for (const { x, row, kind, count, flags } of buckets.values()) {
      const high = Math.min(tall - 4, 4 + 3 * Math.log2(count + 1));
      context.fillStyle = flags & FLAG.error ? error : colours[kind];
      context.fillRect(x, (row + 1) * tall - 2 - high, 1, high);
      if (flags & FLAG.error) context.fillRect(x - 0.5, row * tall + 1, 2, 4);
    }
    this.#gaps(context, width, height);
    return layer;
  }

  /**
   * @param {CanvasRenderingContext2D} context @param {number} kind @param {number} flags @param {number} revision
   * @param {number} x @param {number} top @param {number} tall @param {string[]} colours @param {string} error @param {number} width
   */
  #shape(context, kind, flags, revision, x, top, tall, colours, error, width) {
    const middle = top + tall / 2, duration = this.columns.duration(revision);
    const long = duration ? Math.max(3, Math.min(x - this.#before(revision, duration, width), width)) : 0;
    context.fillStyle = context.strokeStyle = flags & FLAG.error ? error : colours[kind];
    switch (KIND[kind]) {
      case "user": context.beginPath(); context.arc(x, middle, 3.5, 0, 7); context.fill(); break;
      case "model":
        if (flags & FLAG.message) { context.fillRect(x - 3, middle - 4, 6, 8); break; }
        context.fillRect(x - long, middle - 2, long || 4, 4); break;
      case "tool":
        context.fillRect(x - long, middle - 1.5, long, 3);
        context.beginPath(); context.moveTo(x, middle - 5); context.lineTo(x + 4, middle); context.lineTo(x, middle + 5); context.lineTo(x - 4, middle); context.fill(); break;
      case "wait": context.fillRect(x - 3, middle - 5, 2, 10); context.fillRect(x + 1, middle - 5, 2, 10); break;
      case "turn": context.globalAlpha = 0.5; context.fillRect(x, top + 2, 1, tall - 4); context.globalAlpha = 1; break;
      case "rewind": case "fork": context.fillRect(x - 1, top, 2, tall); break;
      default: context.beginPath(); context.moveTo(x, middle - 3); context.lineTo(x + 3, middle); context.lineTo(x, middle + 3); context.lineTo(x - 3, middle); context.closePath(); context.stroke();
    }
    if (flags & FLAG.error) { context.fillStyle = error; context.fillRect(x - 1, top + 1, 2, 5); }
  }

  /** Where something began that ended with an event. @param {number} revision @param {number} duration @param {number} width */
  #before(revision, duration, width) {
    const began = this.columns.ms(revision) - duration;
    let at = revision;
    while (at > this.first && this.columns.ms(at - 1) >= began) at--;
    return this.x(at, width);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} width @param {number} height */
  #gaps(context, width, height) {
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    for (const { revision, ms } of this.placed.gaps) {
      const x = (this.x(revision, width) + this.x(revision - 1, width)) / 2;
      context.strokeStyle = colour("edge");
      context.setLineDash([2, 2]);
      context.beginPath(); context.moveTo(x, 0); context.lineTo(x, height - STRIP); context.stroke();
      context.setLineDash([]);
      context.fillStyle = colour("muted");
      context.fillText(lasted(ms), x, height - 3);
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {number} revision @param {string} name @param {number} width @param {number} height */
  #flag(context, revision, name, width, height) {
    if (!revision) return;
    const x = this.x(revision, width);
    context.fillStyle = colour("tool");
    context.fillRect(x - 0.5, 0, 1, height);
    context.font = "600 11px system-ui, sans-serif";
    context.textAlign = "start";
    context.fillText(name, x + 3, 10);
  }

  /** @param {number} height */
  #label(height) {
    const rows = this.rows, tall = (height - STRIP) / Math.max(1, rows.length);
    this.names.replaceChildren(...rows.map((name, row) => {
      const label = document.createElement("span");
      label.textContent = seen(name);
      label.style.top = `${row * tall + 1}px`;
      return label;
    }));
  }
}
