#!/usr/bin/env node
// Verifies an evidence bundle of strands-session-log, offline, with Node 18 or newer or in a browser (verify.html).
//
//     node verify.mjs BUNDLE [--json] [--expect SESSION:REVISION:LINK]... [--key NAME+HASH+KEY]...
//
// Exit code 0: everything is as it was written; 1: something is not; 2: the file cannot be read as a bundle. Whoever is
// to be convinced takes this file from elsewhere than from the bundle that it is to verify. It says what verify.py says.

const FORMAT = "strands-session-log/bundle";
const VERSION = 1;
const MIB = 1024 * 1024;
const MOST_MEMBERS = 400_000;
const MOST_DIRECTORY = 64 * MIB;
const MOST_FILE = 64 * MIB;
const MOST_LINE = 128 * MIB;
const MOST_VALUES = 2_000_000;
const MOST_DEPTH = 8;
const MOST_PROBLEMS = 100;
const FARTHEST = 4096;
const PIECE = 8 * 1024;
const FULL = 0xffffffff;
const NO_ARCHIVE = "it is no ZIP file as a bundle is one, or not all of it";
const ALONE = "Nothing from outside was compared: give links that were noted (--expect), or who may have sealed (--key).";
const NO_MANIFEST = "manifest.json is not what a bundle has";
const VERIFIERS = ["README.txt", "verify.py", "verify.mjs", "verify.html"];
const FILES = ["events.jsonl", "session.json", "transcript.html"];
const SEALS = ["seal.tlog-proof", "seal.json"];
const FIELDS = ["id", "type", "agent", "event", "time", "v", "trace", "base", "retained", "salt", "link"];
const COVERED = ["type", "agent", "event", "time", "v", "trace", "retained"];
const MANIFEST = ["format", "version", "created_at", "created_by", "namespace", "filters", "sessions", "deleted"];
MANIFEST.push("since", "files");
const ABOUT = ["session_id", "root", "revision", "link", "created_at", "last_event_at", "lineage", "predecessor"];
ABOUT.push("tombstones", "withheld", "erased");
const TEXTS = ["path", "session_id", "root", "link"];
const NUMBERS = ["revision", "events", "withheld", "erased"];
const EVENT_ID = /^(0|[1-9][0-9]{0,14})-([1-9][0-9]{0,14})$/;
const TIME = /^([0-9T:-]{19})(?:\.([0-9]{1,6}))?(?:Z|\+00:00)$/;
const NUMBER = /^(?:0|[1-9][0-9]{0,14})$/;
const SIGNATURE = /^— ([^ +\n]+) ([A-Za-z0-9+/]+=*)$/;
const LAST_MS = 253_402_300_799_999;
// What is there of the content of an event; EXPLAINED: it was erased, and another event says so.
const CONTENT = 1;
const ERASED = 2;
const WITHHELD = 3;
const EXPLAINED = 4;

/** A file is no bundle, or damaged so that nothing can be said of its content. */
export class UnreadableBundle extends Error {
  constructor(code, problem) {
    super(problem);
    this.code = code;
    this.problem = problem;
  }
}

/** What is not as the format has it; who reads it says what that means. */
class Malformed extends Error {}

function need(holds, code = "archive", problem = NO_ARCHIVE) {
  if (!holds) throw new UnreadableBundle(code, problem);
}

function refuseUnless(holds) {
  if (!holds) throw new Malformed();
}

/** What something gives, or what stands for it where it is malformed. */
function orElse(found, other) {
  try {
    return found();
  } catch (error) {
    if (error instanceof Malformed) return other;
    throw error;
  }
}

// ---- Bytes and texts: each value has one spelling only that counts ----

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8 = (text) => encoder.encode(text);

function textOf(raw) {
  try {
    return decoder.decode(raw);
  } catch {
    throw new Malformed();
  }
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let place = 0;
  for (const part of parts) {
    whole.set(part, place);
    place += part.length;
  }
  return whole;
}

function isSame(one, other) {
  return one.length === other.length && one.every((byte, place) => byte === other[place]);
}

const hex = (raw) => Array.from(raw, (byte) => byte.toString(16).padStart(2, "0")).join("");

const STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const FOR_URLS = STANDARD.replace("+/", "-_");

function table(alphabet) {
  const values = new Int8Array(128).fill(-1);
  for (let value = 0; value < 64; value++) values[alphabet.charCodeAt(value)] = value;
  return values;
}

const STANDARD_VALUES = table(STANDARD);
const URL_VALUES = table(FOR_URLS);

/** The bytes of base64 without padding, if this is the one way to spell them. */
function decoded(text, values) {
  const rest = text.length % 4;
  refuseUnless(rest !== 1);
  const raw = new Uint8Array(Math.floor((text.length * 3) / 4));
  let held = 0;
  let bits = 0;
  let place = 0;
  for (let at = 0; at < text.length; at++) {
    const value = values[text.charCodeAt(at)] ?? -1;
    refuseUnless(value >= 0);
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      raw[place++] = held >> bits;
    }
  }
  refuseUnless((held & ((1 << bits) - 1)) === 0);
  return raw;
}

/** The bytes that base64url without padding spells as this very text, if they are so many; else null. */
function bytesOf(text, size) {
  const found = orElse(() => decoded(text, URL_VALUES), null);
  return found !== null && found.length === size ? found : null;
}

/** The bytes that base64 with padding spells as this very text. */
function paddedBytesOf(text) {
  refuseUnless(text.length % 4 === 0);
  const end = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  return decoded(text.slice(0, text.length - end), STANDARD_VALUES);
}

function urlText(raw) {
  let text = "";
  for (let place = 0; place < raw.length; place += 3) {
    const three = (raw[place] << 16) | ((raw[place + 1] ?? 0) << 8) | (raw[place + 2] ?? 0);
    for (let shift = 18; shift >= 0; shift -= 6) text += FOR_URLS[(three >> shift) & 63];
  }
  return text.slice(0, Math.ceil((raw.length * 4) / 3));
}

/** What somebody else wrote, for a message: a text, or any other JSON value. */
function quoted(value) {
  if (value !== null && typeof value === "object") return "(not one value)";
  if (typeof value === "string") {
    const characters = Array.from(value.slice(0, 200));
    if (characters.length > 80) value = characters.slice(0, 80).join("") + "…";
  }
  return JSON.stringify(value);
}

/** Whether a text is a time in UTC, and so many milliseconds since the epoch. */
function isInstant(text, ms) {
  const found = typeof text === "string" ? TIME.exec(text) : null;
  if (found === null || ms > LAST_MS) return false;
  return `${found[1]}.${(found[2] ?? "").padEnd(6, "0")}` === `${new Date(ms).toISOString().slice(0, 23)}000`;
}

const ROUND = new Int32Array(64);
const INITIAL = new Int32Array(8);
for (let found = 0, number = 2; found < 64; number++) {
  let isPrime = true;
  for (let by = 2; by * by <= number; by++) isPrime &&= number % by !== 0;
  if (!isPrime) continue;
  if (found < 8) INITIAL[found] = ((Math.sqrt(number) % 1) * 2 ** 32) | 0;
  ROUND[found++] = ((Math.cbrt(number) % 1) * 2 ** 32) | 0;
}

/** SHA-256 (FIPS 180-4) of what comes piece by piece, which WebCrypto cannot do. */
export class Sha256 {
  #state = INITIAL.slice();
  #block = new Uint8Array(64);
  #held = 0;
  #length = 0;
  #words = new Int32Array(64);

  update(raw) {
    this.#length += raw.length;
    let place = 0;
    if (this.#held > 0) {
      place = Math.min(64 - this.#held, raw.length);
      this.#block.set(raw.subarray(0, place), this.#held);
      this.#held += place;
      if (this.#held < 64) return this;
      this.#compress(this.#block, 0);
    }
    for (; place + 64 <= raw.length; place += 64) this.#compress(raw, place);
    this.#block.set(raw.subarray(place));
    this.#held = raw.length - place;
    return this;
  }

  digest() {
    const end = new Uint8Array(this.#held < 56 ? 64 - this.#held : 128 - this.#held);
    end[0] = 0x80;
    const view = new DataView(end.buffer);
    view.setUint32(end.length - 8, Math.floor(this.#length / 2 ** 29));
    view.setUint32(end.length - 4, (this.#length * 8) >>> 0);
    this.update(end);
    const found = new Uint8Array(32);
    this.#state.forEach((word, number) => new DataView(found.buffer).setUint32(number * 4, word));
    return found;
  }

  #compress(raw, place) {
    const words = this.#words;
    for (let i = 0; i < 16; i++, place += 4) {
      words[i] = (raw[place] << 24) | (raw[place + 1] << 16) | (raw[place + 2] << 8) | raw[place + 3];
    }
    for (let i = 16; i < 64; i++) {
      const x = words[i - 15];
      const y = words[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      words[i] = (words[i - 16] + s0 + words[i - 7] + s1) | 0;
    }
    const state = this.#state;
    let a = state[0];
    let b = state[1];
    let c = state[2];
    let d = state[3];
    let e = state[4];
    let f = state[5];
    let g = state[6];
    let h = state[7];
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const one = (h + s1 + ((e & f) ^ (~e & g)) + ROUND[i] + words[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const two = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      h = g;
      g = f;
      f = e;
      e = (d + one) | 0;
      d = c;
      c = b;
      b = a;
      a = (one + two) | 0;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
}

function sha256(...parts) {
  const digest = new Sha256();
  for (const part of parts) digest.update(part);
  return digest.digest();
}

const CRC = new Int32Array(256).map((_, number) => {
  for (let bit = 0; bit < 8; bit++) number = number & 1 ? (number >>> 1) ^ 0xedb88320 : number >>> 1;
  return number;
});

function crc32(raw, before) {
  let found = ~before;
  for (let place = 0; place < raw.length; place++) found = (found >>> 8) ^ CRC[(found ^ raw[place]) & 255];
  return ~found;
}

// ---- JSON whose members stand once, with whole numbers that every language can hold, and nothing deep in it ----

function jsonOf(raw) {
  let values = 0;
  for (const byte of raw) values += byte === 0x2c || byte === 0x5b || byte === 0x7b;
  refuseUnless(values <= MOST_VALUES);
  const text = textOf(raw);
  const at = { text, place: 0 };
  const found = value(at, MOST_DEPTH);
  blanks(at);
  refuseUnless(at.place === text.length);
  return found;
}

const BLANKS = /[ \t\n\r]*/y;
const WORD = /true|false|null|-?(?:0|[1-9][0-9]*)(?![0-9.eE])/y;
const WORDS = { true: true, false: false, null: null };

function blanks(at) {
  BLANKS.lastIndex = at.place;
  BLANKS.test(at.text);
  at.place = BLANKS.lastIndex;
}

function takes(at, character) {
  blanks(at);
  const is = at.text[at.place] === character;
  at.place += is;
  return is;
}

function value(at, depth) {
  blanks(at);
  const first = at.text[at.place];
  if (first === '"') return string(at);
  if (first === "{" || first === "[") {
    refuseUnless(depth > 0);
    at.place += 1;
    return first === "{" ? members(at, depth - 1) : items(at, depth - 1);
  }
  WORD.lastIndex = at.place;
  const word = WORD.exec(at.text)?.[0];
  refuseUnless(word !== undefined && word !== "-0");
  at.place += word.length;
  if (word in WORDS) return WORDS[word];
  refuseUnless(word.length <= 17 && Number.isSafeInteger(Number(word)));
  return Number(word);
}

function members(at, depth) {
  const found = Object.create(null);
  if (takes(at, "}")) return found;
  do {
    blanks(at);
    refuseUnless(at.text[at.place] === '"');
    const name = string(at);
    refuseUnless(!(name in found) && takes(at, ":"));
    found[name] = value(at, depth);
  } while (takes(at, ","));
  refuseUnless(takes(at, "}"));
  return found;
}

function items(at, depth) {
  const found = [];
  if (takes(at, "]")) return found;
  do found.push(value(at, depth));
  while (takes(at, ","));
  refuseUnless(takes(at, "]"));
  return found;
}

/** A text from its first quote on. */
function string(at) {
  let end = at.place;
  let isEscaped = true;
  while (isEscaped) {
    end = at.text.indexOf('"', end + 1);
    refuseUnless(end > 0);
    let before = end - 1;
    while (at.text[before] === "\\") before -= 1;
    isEscaped = (end - before) % 2 === 0;
  }
  let found;
  try {
    found = JSON.parse(at.text.slice(at.place, end + 1));
  } catch {
    throw new Malformed();
  }
  refuseUnless(!/[\ud800-\udfff]/u.test(found));
  at.place = end + 1;
  return found;
}

const isObject = (found) => found !== null && typeof found === "object" && !Array.isArray(found);
const isText = (found) => typeof found === "string";
const isNumber = (found) => typeof found === "number";

function hasOnly(found, names) {
  return isObject(found) && Object.keys(found).length === names.length && names.every((name) => name in found);
}

// ---- The ZIP file of a bundle, read so that it has one meaning ----

/** Numbers that stand one after another: `4` and `2` bytes, or `8`. */
function numbers(raw, ...sizes) {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  let place = 0;
  return sizes.map((size) => {
    place += size;
    if (size === 2) return view.getUint16(place - 2, true);
    if (size === 4) return view.getUint32(place - 4, true);
    // What is larger than any file here can be need not be exact.
    return view.getUint32(place - 8, true) + view.getUint32(place - 4, true) * 2 ** 32;
  });
}

/** The sizes beside a header that has no room for them; nothing else may stand there. */
function sizesIn(extra) {
  if (extra.length === 0) return [];
  need([12, 20, 28].includes(extra.length));
  const [kind, length, ...sizes] = numbers(extra, 2, 2, ...Array((extra.length - 4) / 8).fill(8));
  need(kind === 1 && length === extra.length - 4);
  return sizes;
}

/** A ZIP file of one member after another, with nothing before, between or behind them. */
class Archive {
  constructor(source) {
    this.source = source;
    this.size = source.size;
    this.members = new Map();
    this.names = [];
  }

  async open() {
    const [count, length, start] = await this.directory();
    const listed = await this.bytes(start, length);
    let at = 0;
    let place = 0;
    for (let number = 0; number < count; number++) {
      const [member, next] = await this.member(listed, at, place);
      this.names.push(member.name);
      this.members.set(member.name, member);
      at = next;
      place = member.end;
    }
    need(place === start && at === length);
    return this;
  }

  async directory() {
    let end = this.size - 22;
    const last = await this.bytes(end, 22);
    let [sign, disk, first, here, count, length, start, comment] = numbers(last, 4, 2, 2, 2, 2, 4, 4, 2);
    need(sign === 0x06054b50 && disk === 0 && first === 0 && here === count && comment === 0);
    if (end >= 76 && numbers(await this.bytes(end - 20, 4), 4)[0] === 0x07064b50) {
      const short = [count, length, start];
      end -= 76;
      const locator = numbers(await this.bytes(end + 56, 20), 4, 4, 8, 4);
      need(locator[1] === 0 && locator[2] === end && locator[3] === 1);
      let rest, made, takes;
      const large = numbers(await this.bytes(end, 56), 4, 8, 2, 2, 4, 4, 8, 8, 8, 8);
      [sign, rest, made, takes, disk, first, here, count, length, start] = large;
      need(sign === 0x06064b50 && rest === 44 && disk === 0 && first === 0 && here === count);
      const shortened = [Math.min(count, 0xffff), Math.min(length, FULL), Math.min(start, FULL)];
      need(short.every((number, place) => number === shortened[place]));
    }
    need(start + length === end && count <= MOST_MEMBERS && length <= MOST_DIRECTORY);
    return [count, length, start];
  }

  async member(listed, at, place) {
    need(at + 46 <= listed.length);
    const found = numbers(listed.subarray(at, at + 46), 4, 2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4);
    const [sign, , , flags, method, , , crc, short, shortSize, named, more, comment, disk, , mode, shortPlace] = found;
    need(sign === 0x02014b50 && (flags & ~0x808) === 0 && (method === 0 || method === 8) && !comment && !disk);
    need((mode >>> 28 === 0 || mode >>> 28 === 8) && (mode & 0x10) === 0);
    const next = at + 46 + named + more;
    need(next <= listed.length);
    const name = listed.subarray(at + 46, at + 46 + named);
    const wide = sizesIn(listed.subarray(at + 46 + named, next));
    const widened = (size) => (size === FULL && wide.length > 0 ? wide.shift() : size);
    const size = widened(shortSize);
    const packed = widened(short);
    need(widened(shortPlace) === place && wide.length === 0 && size <= Number.MAX_SAFE_INTEGER);
    const begin = await this.begin(place, name, flags, method, crc, packed, size);
    const behind = flags & 8 ? await this.lengthBehind(begin + packed, crc, packed, size) : 0;
    const shown = Array.from(name, (byte) => (byte < 128 ? String.fromCharCode(byte) : "\ufffd")).join("");
    return [{ name: shown, method, crc, packed, size, begin, end: begin + packed + behind }, next];
  }

  /** Where the content of a member begins, if what stands before it says what the list says. */
  async begin(place, name, flags, method, crc, packed, size) {
    const found = numbers(await this.bytes(place, 30), 4, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2);
    const raw = await this.bytes(place + 30, found[9] + found[10]);
    need(found[0] === 0x04034b50 && found[2] === flags && found[3] === method && isSame(raw.subarray(0, found[9]), name));
    const wide = sizesIn(raw.subarray(found[9]));
    const mayBeOpen = (flags & 8) !== 0;
    need((wide.length === 0 || wide.length === 2) && (found[6] === crc || (mayBeOpen && found[6] === 0)));
    for (const [one, known] of [[found[7], packed], [found[8], size], ...wide.map((one, i) => [one, i ? packed : size])]) {
      need(one === known || (mayBeOpen && one === 0) || (wide.length > 0 && one === FULL));
    }
    return place + 30 + raw.length;
  }

  /** How long that is which tells behind a member how long it was, where nobody knew before. */
  async lengthBehind(place, ...told) {
    for (const [length, ...sizes] of [[24, 4, 4, 8, 8], [16, 4, 4, 4, 4]]) {
      if (place + length > this.size) continue;
      const [sign, ...found] = numbers(await this.bytes(place, length), ...sizes);
      if (sign === 0x08074b50 && found.every((one, i) => one === told[i])) return length;
    }
    throw new UnreadableBundle("archive", NO_ARCHIVE);
  }

  async bytes(place, length) {
    need(place >= 0 && place <= this.size - length);
    const found = await this.source.read(place, length);
    need(found.length === length);
    return found;
  }

  /** What a member holds, unpacked, in pieces; damage is noticed at its end at the latest. */
  async *read(member) {
    const damage = ["damaged", `${member.name} is damaged: the file is not as it was written, or not all of it`];
    let size = 0;
    let crc = 0;
    for await (const piece of member.method ? unpacked(this.packed(member), member.packed, damage) : this.packed(member)) {
      size += piece.length;
      crc = crc32(piece, crc);
      need(size <= member.size, ...damage);
      yield piece;
    }
    need(size === member.size && crc >>> 0 === member.crc, ...damage);
  }

  async *packed(member) {
    const end = member.begin + member.packed;
    for (let place = member.begin; place < end; place += PIECE) yield await this.bytes(place, Math.min(PIECE, end - place));
  }

  async whole(name) {
    const pieces = [];
    for await (const piece of this.read(this.short(name))) pieces.push(piece);
    return joined(pieces);
  }

  short(name) {
    const member = this.members.get(name);
    need(member.size <= MOST_FILE, "archive", `${name} is longer than ${MOST_FILE / MIB} MiB`);
    return member;
  }
}

const isNode = typeof process !== "undefined" && process.versions?.node !== undefined;

async function* unpacked(pieces, length, damage) {
  try {
    yield* isNode ? inflatedByNode(pieces, length) : inflatedByBrowser(pieces);
  } catch (error) {
    throw error instanceof UnreadableBundle ? error : new UnreadableBundle(...damage);
  }
}

/** Node's own streams tell nothing of what follows the end of the packed data, but how much was used. */
async function* inflatedByNode(pieces, length) {
  const { createInflateRaw } = await import("node:zlib");
  const { Readable } = await import("node:stream");
  const from = Readable.from(pieces);
  const inflate = createInflateRaw();
  from.on("error", (error) => inflate.destroy(error));
  yield* from.pipe(inflate);
  refuseUnless(inflate.bytesWritten === length);
}

async function* inflatedByBrowser(pieces) {
  const source = new ReadableStream({
    async pull(controller) {
      const { value, done } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
  const reader = source.pipeThrough(new DecompressionStream("deflate-raw")).getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

/** The lines of a file, without their ends; what stands behind the last one, if anything does, comes last. */
async function* linesOf(pieces) {
  let held = [];
  let length = 0;
  const checkLength = (more) =>
    need(length + more <= MOST_LINE, "line", `a line of events is longer than ${MOST_LINE / MIB} MiB`);
  for await (const piece of pieces) {
    let begin = 0;
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, begin)) {
      checkLength(end - begin);
      const line = piece.subarray(begin, end);
      yield length > 0 ? joined([...held, line]) : line;
      held = [];
      length = 0;
      begin = end + 1;
    }
    checkLength(piece.length - begin);
    held.push(piece.slice(begin));
    length += piece.length - begin;
  }
  if (length > 0) yield joined(held);
}

// ---- Seals: C2SP tlog-proof, inclusion by RFC 6962, Ed25519 by RFC 8032 ----

/** Read a verifier key, `<name>+<hash>+<key>`, see c2sp.org/signed-note. */
function keyOf(text) {
  const problem = ["argument", `${quoted(text)} is no verifier key`];
  const [name, mark, ...rest] = text.split("+");
  const raw = rest.length > 0 ? orElse(() => paddedBytesOf(rest.join("+")), null) : null;
  need(raw !== null && name !== "" && raw.length === 33 && raw[0] === 1, ...problem);
  const found = sha256(utf8(name + "\n"), raw).subarray(0, 4);
  need(hex(found) === mark, ...problem);
  return { name, mark, public: raw.subarray(1) };
}

/** Check a proof that a record stands in a log: of what size, and which of the keys signed that. */
async function included(proof, record, keys) {
  const [told, checkpoint] = halves(textOf(proof), (text) => text.indexOf("\n\n"));
  const [first, ...lines] = told.split("\n");
  if (lines[0]?.startsWith("extra ")) lines.shift();
  const end = checkpoint.lastIndexOf("\n\n");
  const note = end < 0 ? "" : checkpoint.slice(0, end);
  const signatures = end < 0 ? checkpoint : checkpoint.slice(end + 2);
  const [, size = "", root = ""] = note.split("\n");
  const index = lines[0]?.startsWith("index ") ? lines[0].slice(6) : "";
  refuseUnless(first === "c2sp.org/tlog-proof@v1" && NUMBER.test(index) && NUMBER.test(size));
  refuseUnless(signatures.endsWith("\n"));
  const path = lines.slice(1).map(paddedBytesOf);
  const found = rootOf(sha256(Uint8Array.of(0), record), Number(index), Number(size), path);
  refuseUnless(isSame(found, paddedBytesOf(root)));
  return { size: Number(size), signedBy: await signer(utf8(note + "\n"), signatures.slice(0, -1).split("\n"), keys) };
}

function halves(text, found) {
  const place = found(text);
  return place < 0 ? [text, ""] : [text.slice(0, place), text.slice(place + 2)];
}

function rootOf(leaf, index, size, path) {
  refuseUnless(index < size);
  let last = size - 1;
  let found = leaf;
  for (const beside of path) {
    refuseUnless(last > 0 && beside.length === 32);
    if (index % 2 === 1 || index === last) {
      found = sha256(Uint8Array.of(1), beside, found);
      while (index % 2 === 0 && index > 0) {
        index /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      found = sha256(Uint8Array.of(1), found, beside);
    }
    index = Math.floor(index / 2);
    last = Math.floor(last / 2);
  }
  refuseUnless(last === 0 && index === 0);
  return found;
}

async function signer(note, lines, keys) {
  const signed = new Map();
  for (const line of lines) {
    const match = SIGNATURE.exec(line);
    refuseUnless(match !== null);
    const raw = paddedBytesOf(match[2]);
    const key = `${match[1]} ${hex(raw.subarray(0, 4))}`;
    if (!signed.has(key)) signed.set(key, raw.subarray(4));
  }
  for (const key of keys) {
    const signature = signed.get(`${key.name} ${key.mark}`);
    if (signature?.length === 64 && (await isSigned(key.public, note, signature))) return key.name;
  }
  return null;
}

async function isSigned(publicKey, message, signature) {
  try {
    const { subtle } = globalThis.crypto ?? (await import("node:crypto")).webcrypto;
    const key = await subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"]);
    return await subtle.verify({ name: "Ed25519" }, key, signature, message);
  } catch {
    const problem = "signatures (Ed25519) cannot be checked here: take a newer browser, Node 20, or verify.py";
    throw new UnreadableBundle("ed25519", problem);
  }
}

// ---- Sessions ----

/** An event as a line has it: its fields, the body as it stood in the entry, and what is there of its content. */
function eventOf(line) {
  const at = { text: textOf(line), place: 0 };
  const fields = {};
  for (const name of FIELDS) fields[name] = member(at, name);
  const isEncoded = at.text.startsWith(',"body_base64":', at.place);
  const told = member(at, isEncoded ? "body_base64" : "body");
  const body = isEncoded ? paddedBytesOf(told) : utf8(told);
  const rest = at.text.slice(at.place);
  const isWithheld = rest === ',"withheld":true}';
  const hasSalt = fields.salt !== "";
  refuseUnless((rest === "}" || isWithheld) && !((isEncoded || isWithheld) && hasSalt !== isEncoded));
  return { fields, body, state: isWithheld ? WITHHELD : hasSalt ? CONTENT : ERASED };
}

function member(at, name) {
  const begin = `${at.place ? "," : "{"}"${name}":`;
  refuseUnless(at.text.startsWith(`${begin}"`, at.place));
  at.place += begin.length;
  return string(at);
}

function length8(length) {
  const raw = new Uint8Array(8);
  new DataView(raw.buffer).setUint32(4, length);
  return raw;
}

const LENGTHS = Array.from({ length: 256 }, (_, length) => length8(length));

/** Walks the chain of a session; after a problem it goes on from what is there, so that one change is one problem. */
class SessionCheck {
  seal = null;
  sealed = null;
  gaveUp = false;
  #problems = [];
  #text = "";
  #id = "0-0";
  #base = "";
  #ms = 0;
  #revision = 0;
  #events = 0;
  #began = 0;
  #states = new Uint8Array(1024);
  #known = 1;
  #forks = [];
  #listed;
  #noted;
  #link;

  constructor(listed, noted) {
    this.#listed = listed;
    this.#noted = noted;
    this.#link = sha256(utf8(listed.root));
  }

  add(code, problem, revision = null) {
    if (this.#problems.length < MOST_PROBLEMS) {
      this.#problems.push({ revision, code, problem });
    } else if (!this.gaveUp) {
      this.gaveUp = true;
      const more = "there are more problems than these; the rest was not looked at";
      this.#problems.push({ revision: null, code: "more", problem: more });
    }
  }

  read(line) {
    const due = this.#revision + 1;
    this.#events += 1;
    const found = orElse(() => eventOf(line), null);
    const id = found && EVENT_ID.exec(found.fields.id);
    if (!id) {
      this.add("line", `line ${this.#events} of its events is none`, due);
      this.#revision = due;
      [this.#link, this.#text, this.#id] = [null, "", ""];
      return;
    }
    const { fields, body, state } = found;
    const [ms, revision] = [Number(id[1]), Number(id[2])];
    const name = `event ${id[0]} (${quoted(fields.type)})`;
    if (revision > due) this.add("missing", `event ${due} is missing before ${name}`, due);
    else if (revision < due) this.add("order", `${name} stands where event ${due} must stand`, due);
    else if (this.#link !== null) this.#checkLink(name, fields, body, ms);
    if (ms < this.#ms) this.add("time", `${name} has an earlier time than the one before it`, revision);
    const before = [this.#id, this.#text];
    this.#id = id[0];
    this.#base = fields.base;
    this.#ms = Math.max(ms, this.#ms);
    this.#revision = revision;
    this.#link = bytesOf(fields.link, 32);
    this.#text = fields.link;
    this.#began = this.#began || ms;
    this.#compare(name, fields);
    this.#note(revision, state);
    this.#tell(name, fields, ...before);
  }

  finish(about) {
    if (this.gaveUp) return;
    for (let revision = 0; revision < this.#known; revision++) {
      if (this.#states[revision] === ERASED) {
        this.add("unexplained", `the content of event ${revision} was erased, and no event says so`, revision);
      }
    }
    let said = orElse(() => jsonOf(about), null);
    if (!hasOnly(said, ABOUT)) {
      this.add("summary", "session.json is not what a bundle has");
      said = null;
    }
    this.#checkLineage(said ? said.lineage : null);
    this.#checkSummary("the manifest", this.#listed);
    this.#checkSummary("session.json", said ?? {});
    for (const [name, ms] of [["created_at", this.#began], ["last_event_at", this.#ms]]) {
      if (said && !isInstant(said[name], ms)) {
        this.add("summary", `session.json says ${name} ${quoted(said[name])}, its events have another time`);
      }
    }
    this.#checkLeft();
  }

  report() {
    const isSealed = !this.#problems.some(({ code }) => code === "seal" || code === "signature");
    const sealed = isSealed ? this.sealed : null;
    return { session_id: this.#listed.session_id, ...this.#found(), sealed, problems: this.#problems };
  }

  #found() {
    let withheld = 0;
    let erased = 0;
    for (let revision = 0; revision < this.#known; revision++) {
      withheld += this.#states[revision] === WITHHELD;
      erased += this.#states[revision] === ERASED || this.#states[revision] === EXPLAINED;
    }
    return { revision: this.#revision, link: this.#text, events: this.#events, withheld, erased };
  }

  #checkSummary(where, told) {
    const names = { session_id: this.#listed.session_id, root: this.#listed.root };
    for (const [name, found] of Object.entries({ ...names, ...this.#found() })) {
      if (name in told && told[name] !== found) {
        this.add("summary", `${where} says ${name} ${quoted(told[name])}, but it is ${quoted(found)}`);
      }
    }
  }

  #checkLink(name, fields, body, ms) {
    const revision = this.#revision + 1;
    const salt = fields.salt === "" ? null : bytesOf(fields.salt, 16);
    const commitment = fields.salt === "" ? bytesOf(textOf(body), 32) : salt && sha256(salt, body);
    if (!commitment) {
      this.add("salt", `${name} has no salt or commitment that is one`, revision);
      return;
    }
    const clear = COVERED.map((one) => utf8(fields[one]));
    const parts = [this.#link, utf8(fields.base), utf8(`${revision}`), ...clear, commitment];
    const link = sha256(...parts.flatMap((part) => [LENGTHS[part.length] ?? length8(part.length), part]));
    if (urlText(link) !== fields.link) {
      this.add("link", `${name} is not what was written: its link does not follow from it`, revision);
    } else if (fields.base !== this.#id && (fields.base !== this.#base || ms !== this.#ms)) {
      this.add("base", `${name} does not follow what it was written after: a time was changed`, revision);
    }
  }

  #compare(name, fields) {
    const noted = this.#noted.get(this.#revision);
    this.#noted.delete(this.#revision);
    if (noted !== undefined && !(noted.size === 1 && noted.has(fields.link))) {
      this.add("expected", `${name} has another link than was noted`, this.#revision);
    }
    if (this.seal?.revision === this.#revision && (this.seal.id !== fields.id || this.seal.link !== fields.link)) {
      this.add("seal", `${name} is another than was sealed`, this.#revision);
    }
  }

  #note(revision, state) {
    if (revision + 1 - this.#known > FARTHEST) return;
    if (revision >= this.#states.length) {
      const states = new Uint8Array(Math.max(revision + 1, this.#states.length * 2));
      states.set(this.#states);
      this.#states = states;
    }
    this.#known = Math.max(this.#known, revision + 1);
    this.#states[revision] = state;
  }

  #tell(name, fields, idBefore, linkBefore) {
    if (fields.type !== "payload.erased" && fields.type !== "session.forked") return;
    const found = orElse(() => jsonOf(utf8(fields.retained)), null);
    const told = isObject(found) ? found : {};
    if (fields.type === "payload.erased") {
      this.#checkErased(name, told.erased);
      return;
    }
    if (told.root !== this.#listed.root || told.at !== idBefore || told.link !== linkBefore) {
      this.add("lineage", `${name} says that it follows another event, or another session`, this.#revision);
    }
    const [parent, session] = [told.parent, told.session_id].map((one) => (isText(one) ? one : null));
    this.#forks.push({ parent, session_id: session, at: idBefore, link: linkBefore });
  }

  #checkErased(name, ids) {
    for (const one of Array.isArray(ids) ? ids : []) {
      const id = isText(one) ? EVENT_ID.exec(one) : null;
      const revision = id ? Number(id[2]) : this.#revision;
      const state = revision < Math.min(this.#revision, this.#known) ? this.#states[revision] : EXPLAINED;
      if (state === ERASED) {
        this.#states[revision] = EXPLAINED;
      } else if (state === CONTENT) {
        this.add("content", `event ${revision} has content, of which ${name} says that it was erased`, revision);
      } else if (state === WITHHELD) {
        this.add("content", `event ${revision} is withheld, but ${name} says that it was erased`, revision);
      }
    }
  }

  #checkLineage(said) {
    const forks = this.#forks;
    const last = forks[forks.length - 1];
    const name = last ? last.session_id : this.#listed.root;
    if (name !== this.#listed.session_id) this.add("lineage", `the events are those of session ${quoted(name)}`);
    const line = isObject(said) ? said.ancestors : null;
    let isSame = !last && said === null;
    if (last && Array.isArray(line)) {
      const ends = ["parent", "at", "link"].every((one) => (said[one] ?? null) === last[one]);
      isSame = ends && line.length > 0 && line[0] === this.#listed.root && line[line.length - 1] === last.parent;
      let place = 0;
      for (const fork of forks) {
        place = line.indexOf(fork.parent, place) + 1;
        if (place === 0) {
          isSame = false;
          break;
        }
      }
    }
    if (!isSame) this.add("lineage", "session.json says that it comes from elsewhere than its events say");
  }

  #checkLeft() {
    for (const revision of [...this.#noted.keys()].sort((one, other) => one - other)) {
      const problem = `a link was noted of event ${revision}, but the session ends with event ${this.#revision}`;
      this.add("expected", problem, revision);
    }
    if (this.seal && this.seal.revision > this.#revision) {
      const problem = `event ${this.seal.revision} was sealed, but the session ends with event ${this.#revision}`;
      this.add("seal", problem, this.seal.revision);
    }
  }
}

// ---- The bundle as a whole ----

/**
 * Verify a bundle.
 *
 * @param source `{size, read(place, length)}`, which gives a promise of so many bytes from somewhere in the file.
 * @param expect Links that were noted, `SESSION:REVISION:LINK`.
 * @param keys Verifier keys of who may have signed seals, `NAME+HASH+KEY`.
 * @param progress Told how many bytes of the file were read, of how many.
 */
export async function verify(source, expect = [], keys = [], progress = () => undefined) {
  const noted = notedOf(expect);
  const signers = keys.map(keyOf);
  return new BundleCheck(noted, signers, await new Archive(source).open(), progress).report();
}

class BundleCheck {
  constructor(noted, keys, archive, progress) {
    this.noted = noted;
    this.keys = keys;
    this.archive = archive;
    this.progress = progress;
    this.problems = [];
  }

  async report() {
    const paths = pathsOf(this.archive.names);
    this.manifest = manifestOf(await this.archive.whole("manifest.json"), this.archive.names, paths);
    for (const name of VERIFIERS) await this.skip(this.archive.short(name));
    const sessions = [];
    for (const listed of this.manifest.sessions) sessions.push(await this.session(listed));
    this.checkMissing();
    const ok = this.problems.length === 0 && sessions.every(({ problems }) => problems.length === 0);
    return { ok, sessions, problems: this.problems };
  }

  async session(listed) {
    const { path } = listed;
    const check = new SessionCheck(listed, this.noted.get(listed.session_id) ?? new Map());
    this.noted.delete(listed.session_id);
    const about = await this.archive.whole(`${path}/session.json`);
    await this.seal(path, listed, check);
    await this.events(`${path}/events.jsonl`, check);
    this.checkWhole(`${path}/session.json`, about);
    await this.skip(this.archive.members.get(`${path}/transcript.html`));
    check.finish(about);
    return check.report();
  }

  async events(name, check) {
    const pieces = this.checked(this.archive.members.get(name));
    // A generator that a loop leaves is closed; the rest of this one is still to be held against the manifest.
    const open = { [Symbol.asyncIterator]: () => ({ next: () => pieces.next() }) };
    for await (const line of linesOf(open)) {
      check.read(line);
      if (check.gaveUp) break;
    }
    for await (const _ of pieces);
  }

  async seal(path, listed, check) {
    if (!this.archive.members.has(`${path}/seal.json`)) {
      if (listed.sealed !== null) {
        check.add("seal", "the manifest says that it is sealed, but the bundle has no seal of it");
      }
      return;
    }
    const [proof, record] = [await this.archive.whole(`${path}/${SEALS[0]}`), await this.archive.whole(`${path}/${SEALS[1]}`)];
    this.checkWhole(`${path}/${SEALS[0]}`, proof);
    this.checkWhole(`${path}/${SEALS[1]}`, record);
    let told, found;
    try {
      told = recordOf(record);
      found = await included(proof, record[record.length - 1] === 10 ? record.subarray(0, -1) : record, this.keys);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      check.add("seal", "its seal proves nothing: what was sealed does not lead to the checkpoint");
      return;
    }
    if (told.session !== listed.session_id || found.size !== listed.sealed) {
      check.add("seal", "its seal is that of another session, or of another checkpoint than the manifest names");
    }
    if (this.keys.length > 0 && found.signedBy === null) {
      check.add("signature", "its seal is signed by none of the given keys", told.revision);
    }
    check.seal = told;
    check.sealed = { size: found.size, revision: told.revision, time: told.time, signed_by: found.signedBy };
  }

  checkMissing() {
    for (const name of this.noted.keys()) {
      this.problems.push({ code: "expected", problem: `session ${quoted(name)} is not in the bundle` });
    }
  }

  async skip(member) {
    for await (const _ of this.checked(member));
  }

  /** What a member holds, held against the manifest once all of it was read. */
  async *checked(member) {
    const digest = new Sha256();
    let size = 0;
    for await (const piece of this.archive.read(member)) {
      digest.update(piece);
      size += piece.length;
      yield piece;
    }
    this.progress(member.end, this.archive.size);
    this.checkFile(member.name, digest.digest(), size);
  }

  checkWhole(name, raw) {
    this.checkFile(name, sha256(raw), raw.length);
  }

  checkFile(name, digest, size) {
    const told = this.manifest.files[name];
    if (told.sha256 !== hex(digest) || told.bytes !== size) {
      this.problems.push({ code: "file", problem: `${name} is not the file that the manifest names` });
    }
  }
}

function notedOf(expect) {
  const found = new Map();
  for (const one of expect) {
    const parts = one.split(":");
    const link = parts.pop();
    const number = parts.pop() ?? "";
    const name = parts.join(":");
    const isOne = name !== "" && /^[1-9][0-9]{0,14}$/.test(number) && bytesOf(link, 32) !== null;
    need(isOne, "argument", `${quoted(one)} is not SESSION:REVISION:LINK`);
    const revisions = found.get(name) ?? new Map();
    revisions.set(Number(number), (revisions.get(Number(number)) ?? new Set()).add(link));
    found.set(name, revisions);
  }
  return found;
}

/** The folder of each session, if all files are there, in their order, and no others. */
function pathsOf(names) {
  const is = (name, other) => need(name === other, "layout", otherFiles(name));
  VERIFIERS.forEach((name, place) => is(names[place] ?? "", name));
  is(names[names.length - 1], "manifest.json");
  const paths = [];
  for (let place = VERIFIERS.length; place < names.length - 1; ) {
    const path = `sessions/${String(paths.length + 1).padStart(4, "0")}`;
    for (const name of [...FILES, ...(names[place + 3] === `${path}/${SEALS[0]}` ? SEALS : [])]) {
      is(names[place], `${path}/${name}`);
      place += 1;
    }
    paths.push(path);
  }
  return paths;
}

function otherFiles(name) {
  return `it has other files than a bundle has, or in another order: ${quoted(name)}`;
}

function manifestOf(raw, names, paths) {
  const found = orElse(() => jsonOf(raw), null);
  need(isObject(found) && found.format === FORMAT, "manifest", NO_MANIFEST);
  const { version } = found;
  const problem = `it is a bundle of version ${quoted(version ?? null)}; this verifier knows version ${VERSION}`;
  need(version === VERSION, "version", problem);
  const { sessions, files, deleted } = found;
  let isOne = hasOnly(found, MANIFEST) && Array.isArray(sessions) && isObject(files);
  isOne &&= (deleted === null || Array.isArray(deleted)) && sessions.length === paths.length;
  isOne &&= sessions.every((listed, place) => isListed(listed) && listed.path === paths[place]);
  isOne &&= new Set(sessions.map(({ session_id }) => session_id)).size === sessions.length;
  isOne &&= hasOnly(files, names.slice(0, -1)) && Object.values(files).every(isFile);
  need(isOne, "manifest", NO_MANIFEST);
  return found;
}

function isListed(listed) {
  if (!hasOnly(listed, [...TEXTS, ...NUMBERS, "sealed"])) return false;
  const isOne = TEXTS.every((name) => isText(listed[name])) && NUMBERS.every((name) => isNumber(listed[name]));
  return isOne && (listed.sealed === null || isNumber(listed.sealed));
}

function isFile(told) {
  return hasOnly(told, ["sha256", "bytes"]) && isText(told.sha256) && isNumber(told.bytes);
}

/** What was sealed of a session. */
function recordOf(raw) {
  const found = jsonOf(raw);
  refuseUnless(isObject(found) && ["session", "id", "link", "time"].every((name) => isText(found[name])));
  refuseUnless(isNumber(found.revision) && found.revision >= 1 && !("deleted" in found));
  return found;
}

// ---- What people and programs are told ----

/** Verify a file: an exit code, and the report; also of what cannot be read. */
export async function answer(open, expect = [], keys = [], progress = () => undefined) {
  let code, problem;
  try {
    const report = await verify(await open(), expect, keys, progress);
    return [report.ok ? 0 : 1, report];
  } catch (error) {
    if (error instanceof UnreadableBundle) ({ code, problem } = error);
    else if (error?.code && error?.syscall) [code, problem] = ["file", "it cannot be opened"];
    else throw error;
  }
  return [2, { ok: false, sessions: [], problems: [{ code, problem }] }];
}

/** A report for people; `isNoted`: links were expected, so that not all of it rests on the file itself. */
export function* sentences(report, isNoted = false) {
  for (const one of report.sessions) {
    const told = [`${one.events.toLocaleString("en")} event${one.events === 1 ? "" : "s"}`];
    for (const name of ["withheld", "erased"]) if (one[name]) told.push(`${one[name].toLocaleString("en")} ${name}`);
    told.push(sealing(one.sealed));
    yield `${visible(one.session_id)}: ${one.problems.length > 0 ? "NOT INTACT" : "intact"}: ${told.join(", ")}`;
    yield `  ends with ${one.revision}:${visible(one.link)}`;
    for (const { code, problem } of one.problems) yield `  ${visible(problem)} [${code}]`;
  }
  for (const { code, problem } of report.problems) yield `${visible(problem)} [${code}]`;
  const isSigned = report.sessions.some(({ sealed }) => sealed?.signed_by);
  if (report.ok && !isNoted && !isSigned) yield ALONE;
  const isRead = report.sessions.length > 0 || report.ok;
  yield report.ok ? "Everything is as it was written." : isRead ? "NOT INTACT." : "NOT READABLE.";
}

function sealing(sealed) {
  if (sealed === null) return "not sealed";
  const signed = sealed.signed_by
    ? `signed by ${visible(sealed.signed_by)}`
    : "whose signature was not checked: give --key";
  return `sealed up to event ${sealed.revision} at ${visible(sealed.time)} in a log of ${sealed.size.toLocaleString("en")}, ${signed}`;
}

function visible(text) {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (one) => `\\u{${one.codePointAt(0).toString(16)}}`);
}

/** A file of this machine, in Node. */
export async function sourceOf(path) {
  const { open } = await import("node:fs/promises");
  const file = await open(path);
  const { size } = await file.stat();
  const read = async (place, length) => {
    const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, place);
    return buffer.subarray(0, bytesRead);
  };
  return { size, read, close: () => file.close() };
}

async function main() {
  const { parseArgs } = await import("node:util");
  const many = { type: "string", multiple: true, default: [] };
  let given;
  try {
    const options = { json: { type: "boolean", default: false }, expect: many, key: many };
    given = parseArgs({ options, allowPositionals: true });
    if (given.positionals.length !== 1) throw new Error("takes one bundle");
  } catch (error) {
    const usage = "usage: verify.mjs BUNDLE [--json] [--expect SESSION:REVISION:LINK]... [--key NAME+HASH+KEY]...";
    process.stderr.write(`${usage}\nverify.mjs: ${error.message}\n`);
    return 2;
  }
  const { json, expect, key } = given.values;
  const [code, report] = await answer(() => sourceOf(given.positionals[0]), expect, key);
  process.stdout.write(`${json ? JSON.stringify(report) : [...sentences(report, expect.length > 0)].join("\n")}\n`);
  return code;
}

async function isProgram() {
  if (!isNode || !process.argv[1]) return false;
  const { realpathSync } = await import("node:fs");
  const { fileURLToPath } = await import("node:url");
  return realpathSync(process.argv[1]) === fileURLToPath(import.meta.url);
}

if (await isProgram()) process.exitCode = await main();
