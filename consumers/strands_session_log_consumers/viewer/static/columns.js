// What the server tells of each event, in columns, and where each stands on the axis. Pure: no page, no network.

export const KIND = ["user", "model", "tool", "wait", "state", "turn", "node", "rewind", "fork", "gap", "custom"];
export const FLAG = { error: 1, erased: 2, turnStart: 4, turnEnd: 8, message: 16, answer: 32 };
const GAP_PIXELS = 24;
const LEAST_GAP_MS = 30_000;
const SAMPLES = 2048;

/**
 * A block as the server sends it.
 * @param {ArrayBuffer} buffer
 */
export function decoded(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  const n = head.count;
  let at = 4 + size;
  /** @template T @param {new (buffer: ArrayBuffer, at: number, n: number) => T} Kind @param {number} bytes */
  const column = (Kind, bytes) => {
    const found = new Kind(buffer, at, n);
    at += bytes * n;
    return found;
  };
  return {
    names: /** @type {string[]} */ (head.lanes),
    first: /** @type {number} */ (head.first),
    count: /** @type {number} */ (n),
    start: /** @type {number} */ (head.start),
    jumps: /** @type {[number, number][]} */ (head.jumps),
    offsets: column(Uint32Array, 4),
    durations: column(Uint32Array, 4),
    lanes: column(Uint16Array, 2),
    kinds: column(Uint8Array, 1),
    flags: column(Uint8Array, 1),
  };
}

const COLUMNS = /** @type {const} */ (["offsets", "durations", "lanes", "kinds", "flags"]);
const ROOM = 64;

/** A block without events. @returns {ReturnType<typeof decoded>} */
function empty() {
  return {
    names: [], first: 1, count: 0, start: 0, jumps: [],
    offsets: new Uint32Array(ROOM), durations: new Uint32Array(ROOM), lanes: new Uint16Array(ROOM),
    kinds: new Uint8Array(ROOM), flags: new Uint8Array(ROOM),
  };
}

/** @template {Uint32Array | Uint16Array | Uint8Array} Column @param {Column} column @returns {Column} */
function longer(column) {
  const Kind = /** @type {new (n: number) => Column} */ (column.constructor);
  const found = new Kind(Math.max(ROOM, column.length * 2));
  found.set(column);
  return found;
}

/** The events of a session by revision, as far as they were loaded. */
export class Columns {
  /** @param {number} blockSize */
  constructor(blockSize) {
    this.blockSize = blockSize;
    /** @type {Map<number, ReturnType<typeof decoded>>} */
    this.blocks = new Map();
    /** @type {string[]} */
    this.lanes = [];
  }

  /** @param {number} number @param {ArrayBuffer} buffer */
  add(number, buffer) {
    const block = decoded(buffer);
    for (const name of block.names) if (!this.lanes.includes(name)) this.lanes.push(name);
    this.blocks.set(number, block);
  }

  /**
   * One more event, as it happens: milliseconds, duration, lane, kind and flags.
   * @param {number} revision @param {[number, number, string, number, number]} row
   * @returns {boolean} Whether it is known now; else what is before it is not.
   */
  push(revision, [ms, duration, lane, kind, flags]) {
    const number = Math.floor((revision - 1) / this.blockSize), first = number * this.blockSize + 1;
    const block = this.blocks.get(number) ?? { ...empty(), first, start: ms };
    // What is not known before it is to be loaded; what is known already is not another.
    if (revision - first !== block.count) return revision - first < block.count;
    if (!block.names.includes(lane)) block.names.push(lane);
    if (!this.lanes.includes(lane)) this.lanes.push(lane);
    const at = block.count;
    if (at === block.kinds.length) for (const name of COLUMNS) Object.assign(block, { [name]: longer(block[name]) });
    block.offsets[at] = Math.max(0, ms - block.start);
    block.durations[at] = duration;
    block.lanes[at] = block.names.indexOf(lane);
    block.kinds[at] = kind;
    block.flags[at] = flags;
    block.count++;
    this.blocks.set(number, block);
    return true;
  }

  /** @param {[number, number][]} jumps Where the session was rewound just now. */
  jump(jumps) {
    for (const [at, to] of jumps) {
      const block = this.blocks.get(Math.floor((at - 1) / this.blockSize));
      if (block && !block.jumps.some(([known]) => known === at)) block.jumps.push([at, to]);
    }
  }

  /** @param {number} revision */
  #at(revision) {
    const block = this.blocks.get(Math.floor((revision - 1) / this.blockSize));
    const at = block ? revision - block.first : -1;
    return block && at >= 0 && at < block.count ? { block, at } : null;
  }

  /** @param {number} revision */
  has(revision) { return this.#at(revision) !== null; }

  /** @param {number} revision Milliseconds since the epoch; NaN where it is not known. */
  ms(revision) { const one = this.#at(revision); return one ? one.block.start + one.block.offsets[one.at] : NaN; }

  /** @param {number} revision */
  kind(revision) { const one = this.#at(revision); return one ? one.block.kinds[one.at] : 4; }

  /** @param {number} revision */
  flags(revision) { const one = this.#at(revision); return one ? one.block.flags[one.at] : 0; }

  /** @param {number} revision Milliseconds. */
  duration(revision) { const one = this.#at(revision); return one ? one.block.durations[one.at] : 0; }

  /** @param {number} revision */
  lane(revision) { const one = this.#at(revision); return one ? this.lanes.indexOf(one.block.names[one.block.lanes[one.at]]) : 0; }

  /**
   * Milliseconds since the epoch of revisions that follow each other; NaN where it is not known.
   * @param {number} first @param {number} last
   */
  times(first, last) {
    const found = new Float64Array(last - first + 1).fill(NaN);
    for (const { block, from, until } of this.within(first, last)) {
      const { offsets, start } = block;
      for (let at = from, to = block.first + from - first; at < until; at++, to++) found[to] = start + offsets[at];
    }
    return found;
  }

  /**
   * What there is between two revisions, block by block: from which of its events on, and before which.
   * @param {number} first @param {number} last
   */
  *within(first, last) {
    for (let number = Math.floor((first - 1) / this.blockSize); number * this.blockSize < last; number++) {
      const block = this.blocks.get(number);
      if (block) yield { block, from: Math.max(0, first - block.first), until: Math.min(block.count, last - block.first + 1) };
    }
  }

  /** Where the session was rewound: from which revision on, and to which. */
  get jumps() { return [...this.blocks.values()].flatMap((block) => block.jumps).sort((a, b) => a[0] - b[0]); }

  /**
   * The next revision, in a direction, of which something is so; 0 if there is none.
   * @param {number} from @param {number} step @param {number} head @param {(revision: number) => boolean} wanted
   */
  next(from, step, head, wanted) {
    for (let at = from + step; at >= 1 && at <= head; at += step) if (this.has(at) && wanted(at)) return at;
    return 0;
  }
}

/**
 * The stretches of revisions that count at a point: what was undone by rewinding does not.
 * @param {number} point @param {[number, number][]} jumps
 * @returns {[number, number][]} Pairs of a first and a last revision.
 */
export function counting(point, jumps) {
  const jump = jumps.filter(([at]) => at <= point).pop();
  if (!jump) return [[1, point]];
  return [...counting(jump[1], jumps.filter(([at]) => at < jump[0])), [jump[0], point]];
}

/**
 * Where each revision stands between 0 and 1, from a first to a last one.
 * @param {Columns} columns @param {number} first @param {number} last @param {"gaps" | "time" | "events"} axis @param {number} width
 * @returns {{ at: Float64Array, gaps: { revision: number, ms: number }[] }}
 */
export function places(columns, first, last, axis, width) {
  const n = last - first + 1;
  const at = new Float64Array(n);
  /** @type {{ revision: number, ms: number }[]} */
  const gaps = [];
  if (axis === "events" || n < 2 || !columns.has(first) || !columns.has(last)) {
    for (let i = 0; i < n; i++) at[i] = (i + 0.5) / n;
    return { at, gaps };
  }
  const steps = new Float64Array(n), times = columns.times(first, last);
  for (let i = 1; i < n; i++) steps[i] = Math.max(0, times[i] - times[i - 1]) || 0;
  if (axis === "gaps") shortened(steps, first, width, gaps);
  let sum = 0;
  for (let i = 0; i < n; i++) at[i] = sum += steps[i];
  const margin = sum * 0.01 || 1;
  for (let i = 0; i < n; i++) at[i] = (at[i] + margin) / (sum + 2 * margin);
  return { at, gaps };
}

/** Of a long row the median of every so manieth is near enough, and sorts in no time. @param {Float64Array} steps */
function aboutMedian(steps) {
  const stride = Math.ceil(steps.length / SAMPLES), sample = new Float64Array(Math.ceil(steps.length / stride));
  for (let i = 0; i < sample.length; i++) sample[i] = steps[i * stride];
  return sample.sort()[sample.length >> 1];
}

/**
 * Long pauses take no more room than it takes to see them; and what follows within a moment can be told apart.
 * @param {Float64Array} steps @param {number} first @param {number} width @param {{ revision: number, ms: number }[]} gaps
 */
function shortened(steps, first, width, gaps) {
  const median = aboutMedian(steps);
  const long = Math.max(LEAST_GAP_MS, 20 * median);
  let rest = 0;
  for (let i = 1; i < steps.length; i++) if (steps[i] <= long) rest += steps[i];
  const room = Math.max(rest, 1) / Math.max(width - GAP_PIXELS * 4, 100);
  const least = rest / (steps.length * 4);
  for (let i = 1; i < steps.length; i++) {
    if (steps[i] > long) {
      gaps.push({ revision: first + i, ms: steps[i] });
      steps[i] = GAP_PIXELS * room;
    } else {
      steps[i] = Math.max(steps[i], least);
    }
  }
}

// Characters that turn the direction of what follows, or are not seen: shown as such, as in everything else.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;
const NAMES = /** @type {Record<string, string>} */ ({ "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO", "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\u200b": "ZWSP", "\ufeff": "BOM" });
/** Text with a name in place of each of them. @param {string} text */
export const seen = (text) => text.replace(UNSEEN, (one) => `‹${NAMES[one] ?? `U+${(one.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`}›`);

/** @param {number} ms */
export function lasted(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000), hours = Math.floor(minutes / 60), days = Math.floor(hours / 24);
  if (days) return `${days} d ${hours % 24} h`;
  return hours ? `${hours} h ${minutes % 60} m` : `${minutes} m ${Math.round((ms % 60_000) / 1000)} s`;
}
