// The timeline on its canvas: a bucket a pixel column and lane, so that 100,000 events draw as fast as 100.

import { FLAG, KIND, lasted, places, seen } from "./columns.js";

const LANES = 7;
const STRIP = 14, OVERVIEW = 20, GUTTER = 112, MARGIN = 8, NARROW = 600;

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
    /** Where something was found. */
    this.marks = /** @type {number[]} */ ([]);
    /** The one lane that is looked at; empty for all. */
    this.lane = "";
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

  /** Names stand left of what they name, where there is room. @param {number} width */
  gutter(width) { return width < NARROW ? MARGIN : GUTTER; }

  /** Whether a part is shown, and the whole above it. */
  get isZoomed() { return this.first > 1 || this.last < this.head; }

  get top() { return this.isZoomed ? OVERVIEW : 0; }

  draw() {
    const { canvas, columns } = this;
    const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      this.stale = true;
    }
    if (this.stale) {
      this.placed = places(columns, this.first, this.last, this.axis, width - this.gutter(width) - MARGIN);
      this.layer = this.#layer(width, height, ratio);
      this.#label(height);
      this.stale = false;
    }
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (this.layer) context.drawImage(this.layer, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.#marks(context, width, height);
    this.#flag(context, this.pins.a, "A", width, height);
    this.#flag(context, this.pins.b, "B", width, height);
    const x = this.x(this.point, width);
    context.fillStyle = colour("focus");
    context.fillRect(Math.round(x) - 1, this.top, 2, height - this.top);
    if (this.isZoomed) context.fillRect(Math.round(this.#whole(this.point, width)) - 1, 0, 2, OVERVIEW - 2);
  }

  /** @param {number} revision @param {number} width */
  x(revision, width) {
    const at = this.placed.at[revision - this.first], left = this.gutter(width);
    return left + (at ?? (revision < this.first ? 0 : 1)) * (width - left - MARGIN);
  }

  /** Where a revision stands in the strip above, which shows all of the session. @param {number} revision @param {number} width */
  #whole(revision, width) {
    const left = this.gutter(width);
    return left + ((revision - 0.5) / this.head) * (width - left - MARGIN);
  }

  /** The revision of the whole session that stands at a place of the strip above. @param {number} x @param {number} width */
  revisionInWhole(x, width) {
    const left = this.gutter(width);
    return Math.max(1, Math.min(this.head, Math.ceil(((x - left) / (width - left - MARGIN)) * this.head)));
  }

  /** The revision that stands nearest to a place. @param {number} x @param {number} width */
  revision(x, width) {
    const left = this.gutter(width), wanted = (x - left) / (width - left - MARGIN), { at } = this.placed;
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
    const rows = this.rows, tall = (height - STRIP - this.top) / Math.max(1, rows.length);
    const colours = OF_KIND.map(colour), error = colour("error"), hairline = colour("hairline");
    if (this.isZoomed) this.#overview(context, width, colours, error);
    context.translate(0, this.top);
    context.fillStyle = hairline;
    for (let row = 1; row <= rows.length; row++) context.fillRect(0, Math.round(row * tall) - 0.5, width, 0.5);
    const single = width / (this.last - this.first + 1) >= 4;
    if (single) this.#shapes(context, rows, tall, colours, error, width);
    else this.#heaps(context, rows, tall, colours, error, width);
    context.globalAlpha = 1;
    this.#gaps(context, width, height - this.top);
    return layer;
  }

  /** @param {CanvasRenderingContext2D} context @param {string[]} rows @param {number} tall @param {string[]} colours @param {string} error @param {number} width */
  #shapes(context, rows, tall, colours, error, width) {
    for (const { block, from, until } of this.columns.within(this.first, this.last)) {
      for (let at = from; at < until; at++) {
        const revision = block.first + at, row = rows.indexOf(block.names[block.lanes[at]]);
        if (row < 0) continue;
        context.globalAlpha = this.#alpha(rows[row]);
        this.#shape(context, block.kinds[at], block.flags[at], revision, this.x(revision, width), row * tall, tall, colours, error, width);
      }
    }
  }

  /**
   * What falls on one pixel of a lane, as one bar: of 100,000 events in a few milliseconds, so without an object each.
   * @param {CanvasRenderingContext2D} context @param {string[]} rows @param {number} tall @param {string[]} colours @param {string} error @param {number} width
   */
  #heaps(context, rows, tall, colours, error, width) {
    const wide = Math.round(width) + 1, counts = new Uint32Array(wide * rows.length);
    const kinds = new Uint8Array(counts.length), flags = new Uint8Array(counts.length), { at: placed } = this.placed;
    const left = this.gutter(width), room = width - left - MARGIN;
    for (const { block, from, until } of this.columns.within(this.first, this.last)) {
      const rowOf = block.names.map((name) => rows.indexOf(name)), skipped = block.first - this.first;
      for (let at = from; at < until; at++) {
        const row = rowOf[block.lanes[at]], kind = block.kinds[at];
        if (row < 0) continue;
        const heap = row * wide + Math.round(left + placed[at + skipped] * room);
        if (!counts[heap]++ || WORST[kind] > WORST[kinds[heap]]) kinds[heap] = kind;
        flags[heap] |= block.flags[at];
      }
    }
    for (let heap = 0; heap < counts.length; heap++) {
      if (!counts[heap]) continue;
      const row = Math.floor(heap / wide), x = heap % wide, isError = flags[heap] & FLAG.error;
      const high = Math.min(tall - 4, 4 + 3 * Math.log2(counts[heap] + 1));
      context.globalAlpha = this.#alpha(rows[row]);
      context.fillStyle = isError ? error : colours[kinds[heap]];
      context.fillRect(x, (row + 1) * tall - 2 - high, 1, high);
      if (isError) context.fillRect(x - 0.5, row * tall + 1, 2, 4);
    }
  }

  /** Lanes that are not looked at are pale. @param {string} lane */
  #alpha(lane) { return this.lane && lane !== this.lane ? 0.25 : 1; }

  /**
   * All of the session in a strip, and which part of it stands below.
   * @param {CanvasRenderingContext2D} context @param {number} width @param {string[]} colours @param {string} error
   */
  #overview(context, width, colours, error) {
    const first = this.#whole(this.first, width), last = this.#whole(this.last, width), high = OVERVIEW - 4;
    context.fillStyle = colour("selected");
    context.fillRect(first, 0, Math.max(2, last - first), OVERVIEW - 2);
    /** @type {Map<number, { kind: number, failed: boolean }>} */
    const buckets = new Map();
    for (let revision = 1; revision <= this.head; revision++) {
      if (!this.columns.has(revision)) continue;
      const x = Math.round(this.#whole(revision, width)), kind = this.columns.kind(revision), known = buckets.get(x);
      const failed = Boolean(this.columns.flags(revision) & FLAG.error) || Boolean(known?.failed);
      buckets.set(x, { kind: known && WORST[known.kind] >= WORST[kind] ? known.kind : kind, failed });
    }
    for (const [x, { kind, failed }] of buckets) {
      context.fillStyle = failed ? error : colours[kind];
      context.fillRect(x, high - (failed ? high : 8), 1, failed ? high : 8);
    }
    context.strokeStyle = colour("edge");
    context.strokeRect(Math.round(first) - 0.5, 0.5, Math.max(3, Math.round(last - first)), OVERVIEW - 3);
  }

  /** @param {CanvasRenderingContext2D} context @param {number} width @param {number} height */
  #marks(context, width, height) {
    context.fillStyle = colour("focus");
    let last = -2;
    for (const revision of this.marks) {
      if (revision < this.first || revision > this.last) continue;
      const x = Math.round(this.x(revision, width));
      if (x - last < 2) continue;
      last = x;
      context.beginPath(); context.moveTo(x - 3, height); context.lineTo(x, height - 6); context.lineTo(x + 3, height); context.fill();
    }
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
    context.fillRect(x - 0.5, this.top, 1, height - this.top);
    context.font = "600 11px system-ui, sans-serif";
    context.textAlign = "start";
    context.fillText(name, x + 3, this.top + 10);
  }

  /** @param {number} height */
  #label(height) {
    const rows = this.rows, tall = (height - STRIP - this.top) / Math.max(1, rows.length);
    const more = this.columns.lanes.length - rows.length;
    this.names.replaceChildren(...rows.map((name, row) => {
      const label = document.createElement("span");
      // A node stands under its graph or swarm.
      const inside = rows.filter((one) => name.startsWith(`${one}:`)).pop();
      label.textContent = (inside ? `└ ${seen(name.slice(inside.length + 1))}` : seen(name)) + (more && name === "session" ? ` +${more} more` : "");
      label.title = seen(name);
      label.toggleAttribute("data-current", name === this.lane);
      label.style.top = `${this.top + row * tall + Math.max(0, (tall - 14) / 2)}px`;
      return label;
    }));
  }
}
