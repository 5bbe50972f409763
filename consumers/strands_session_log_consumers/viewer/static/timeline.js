// The page of a session: a point of it is shown, moved, played, followed and compared.

import { Columns, FLAG, KIND, counting } from "./columns.js";
import { Drawing } from "./drawing.js";
import { Shown } from "./shown.js";
import * as source from "./source.js";
import { Turns } from "./turns.js";

const SETTLED = 80, SETTLED_LIVE = 400, SETTLED_LIVE_MOST = 3000, ADDRESS_EVERY = 350, PAUSE = 2000, MOST_STRETCHES = 4;
const SPEEDS = [0.5, 1, 10, 100];
const WAIT = KIND.indexOf("wait");

/** @type {any} */
const { viewer } = window;
const page = /** @type {HTMLElement} */ (document.getElementById("session"));
const talk = /** @type {HTMLElement} */ (document.getElementById("talk"));
const slider = /** @type {HTMLInputElement} */ (document.getElementById("slider"));
const canvas = /** @type {HTMLCanvasElement} */ (document.getElementById("timeline"));
const element = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const { base = "" } = page.dataset;
const stretchSize = Number(page.dataset.stretch), blockSize = Number(page.dataset.block);

const columns = new Columns(blockSize);
const drawing = new Drawing(canvas, element("lane-names"), columns);
const shown = new Shown(talk);
const turns = new Turns(element("turns"));
const query = source.query();
let head = Number(page.dataset.head);
let point = Number(page.dataset.at);
let follows = page.dataset.follows === "true";
let speed = 1;
let playing = 0;
let settled = 0;
let addressed = 0;
let link = page.dataset.link ?? "";
const pins = drawing.pins;
pins.a = Number(query.get("a")) || 0;
pins.b = Number(query.get("b")) || 0;

// What is shown at a point

function show() {
  shown.at(point, counting(point, columns.jumps), follows ? 0 : point);
  turns.show(point);
}

/** Where the point stands, in words. */
function tell() {
  slider.max = String(head);
  slider.value = String(point);
  const time = columns.ms(point);
  const clock = Number.isNaN(time) ? "" : ` · ${new Date(time).toLocaleTimeString(undefined, { hourCycle: "h23" })}`;
  element("where").textContent = `r${point.toLocaleString("en")} of ${head.toLocaleString("en")}${clock}`;
  const kind = KIND[columns.kind(point)], failed = columns.flags(point) & FLAG.error ? " failed" : "";
  slider.setAttribute("aria-valuetext", `event ${point.toLocaleString("en")} of ${head.toLocaleString("en")}, ${kind}${failed}${clock}`);
}

function place() {
  shown.last()?.scrollIntoView({ block: "end" });
}

/** Go to a revision. @param {number} revision @param {{ push?: boolean, following?: boolean }} how */
async function go(revision, { push = false, following = false } = {}) {
  point = Math.max(1, Math.min(head, revision));
  follows = following;
  drawing.point = point;
  if (follows) element("below").hidden = true;
  drawing.soon(false);
  tell();
  address(push);
  if (isLoaded(point)) {
    show();
    place();
    lookAhead();
  } else reach();
  clearTimeout(settled);
  settled = window.setTimeout(settle, SETTLED);
}

/** Once it rests: what has to be asked for. */
async function settle() {
  const here = point;
  await reach();
  if (turns.lacks(here)) await turns.load(here).then(show, (error) => { console.warn(String(error)); });
  const state = await source.state(here).catch(() => null);
  if (state !== null && here === point) await swap(state, element("point"), "innerHTML");
  talk.setAttribute("aria-busy", "false");
}

/** @param {boolean} push */
function address(push) {
  const asked = source.query();
  asked.delete("l");
  if (follows) asked.delete("at"); else asked.set("at", String(point));
  for (const [name, revision] of Object.entries(pins)) if (revision) asked.set(name, String(revision)); else asked.delete(name);
  const to = source.address(asked);
  clearTimeout(addressed);
  if (push) history.pushState({ point }, "", to);
  else addressed = window.setTimeout(() => history.replaceState({ point }, "", to), ADDRESS_EVERY);
  document.title = document.title.replace(/r[\d,]+/, `r${point.toLocaleString("en")}`);
}

// Stretches

const numberOf = (/** @type {number} */ revision) => Math.floor((revision - 1) / stretchSize);
const stretches = () => /** @type {HTMLElement[]} */ ([...talk.querySelectorAll(".stretch")]);
const isLoaded = (/** @type {number} */ revision) =>
  stretches().some((one) => Number(one.dataset.first) <= revision && revision <= Number(one.dataset.last));

const { swap } = source;

let reaching = false;
/** Load what the point stands in, at once; while that comes, whoever moves on waits for the last place alone. */
async function reach() {
  if (reaching) return;
  reaching = true;
  for (let asked = 0; !isLoaded(point) && asked !== point;) {
    const there = asked = point;
    await exclusive(() => jump(there));
  }
  reaching = false;
}

/** Load what a revision stands in, in place of what is there. @param {number} revision */
async function jump(revision) {
  talk.setAttribute("aria-busy", "true");
  const number = numberOf(revision), text = await source.stretch(number);
  if (numberOf(point) !== number) return;
  for (const one of stretches()) one.remove();
  await swap(text, element("saying"), "beforebegin");
  arrived();
  place();
  lookAhead();
}

/** What stands beside the point is there before somebody steps into it. */
function lookAhead() {
  const there = stretches(), here = numberOf(point);
  const lacking = [here + 1, here - 1].find((one) => one >= 0 && one <= numberOf(head) && !there.some((known) => known.id === `stretch-${one}`));
  if (lacking === undefined || extending || !isLoaded(point)) return;
  extending = true;
  exclusive(() => add(lacking)).finally(() => { extending = false; });
}

function arrived() {
  page.dataset.loaded = stretches().map((one) => one.id).join(" ");
  talk.querySelectorAll(".item").forEach((one, at) => one.setAttribute("aria-posinset", String(at + 1)));
  shown.collect();
  show();
}

/** @type {Promise<void>} */
let before = Promise.resolve();
/**
 * What changes which stretches there are, one after the other: nothing is there twice.
 * @param {() => Promise<void>} change
 */
const exclusive = (change) => before = before.then(change).catch((error) => { console.warn(String(error)); });

let extending = false;
function extend() {
  if (extending || !isNearEdge()) return;
  extending = true;
  exclusive(() => isNearEdge() ? extended() : Promise.resolve()).finally(() => { extending = false; });
}

function isNearEdge() {
  const there = stretches();
  if (!there.length) return false;
  const first = numberOf(Number(there[0].dataset.first)), last = numberOf(Number(there[there.length - 1].dataset.first));
  const isDown = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 600;
  return (talk.scrollTop < 600 && first > 0) || (isDown && last < numberOf(point));
}

async function extended() {
  const there = stretches();
  const first = numberOf(Number(there[0].dataset.first)), last = numberOf(Number(there[there.length - 1].dataset.first));
  await add(talk.scrollTop < 600 && first > 0 ? first - 1 : last + 1);
}

/** Put a stretch before those that are there, or behind. @param {number} number */
async function add(number) {
  const text = await source.stretch(number), there = stretches();
  const first = numberOf(Number(there[0].dataset.first)), last = numberOf(Number(there[there.length - 1].dataset.first));
  const up = number === first - 1;
  if (!up && number !== last + 1) return;
  const below = talk.scrollHeight - talk.scrollTop;
  await swap(text, up ? there[0] : element("saying"), "beforebegin");
  if (there.length >= MOST_STRETCHES) there[up ? there.length - 1 : 0].remove();
  arrived();
  if (up) talk.scrollTop = talk.scrollHeight - below;
}

// The timeline

/** @type {Promise<void>} */
let loading = Promise.resolve();
async function load() {
  for (let number = Math.floor((head - 1) / blockSize); number >= 0; number--) await loadBlock(number);
  await turns.load(point);
  show();
  document.dispatchEvent(new CustomEvent("viewer:indexed"));
}

/** @param {number} number */
async function loadBlock(number) {
  const block = await source.block(number);
  if (!block) return;
  columns.add(number, block);
  zoom(drawing.first, drawing.head === drawing.last || drawing.last === 1 ? head : drawing.last);
  tell();
  show();
}

/** @param {number} first @param {number} last */
function zoom(first, last) {
  drawing.head = head;
  drawing.first = Math.max(1, Math.round(first));
  drawing.last = Math.min(head, Math.max(drawing.first + 1, Math.round(last)));
  drawing.soon();
}

/** @param {number} factor @param {number} around */
function scale(factor, around = point) {
  const span = Math.max(10, (drawing.last - drawing.first) * factor), share = (around - drawing.first) / (drawing.last - drawing.first || 1);
  zoom(around - span * share, around + span * (1 - share));
}

let dragging = false;
canvas.addEventListener("pointerdown", (event) => { dragging = true; canvas.setPointerCapture(event.pointerId); at(event); });
canvas.addEventListener("pointermove", (event) => { if (dragging) at(event); });
canvas.addEventListener("pointerup", (event) => { dragging = false; at(event, true); });
canvas.addEventListener("wheel", (event) => {
  if (event.ctrlKey) { event.preventDefault(); scale(event.deltaY > 0 ? 1.25 : 0.8, drawing.revision(event.offsetX, canvas.clientWidth)); }
  else if (event.shiftKey) { const by = (drawing.last - drawing.first) * Math.sign(event.deltaY || event.deltaX) * 0.1; zoom(drawing.first + by, drawing.last + by); }
}, { passive: false });

/** @param {PointerEvent} event */
function at(event, push = false) {
  stop();
  go(drawing.revision(event.offsetX, canvas.clientWidth), { push });
}

slider.addEventListener("input", () => { stop(); go(Number(slider.value)); });
slider.addEventListener("keydown", (event) => { if (event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End") event.preventDefault(); });
talk.addEventListener("scroll", () => extend(), { passive: true });
addEventListener("resize", () => drawing.soon());
document.addEventListener("viewer:theme", () => drawing.soon());
addEventListener("popstate", () => {
  const asked = source.query();
  go(Number(asked.get("at")) || head, { following: !asked.get("at") });
});

// Playing

function stop() {
  clearTimeout(playing);
  playing = 0;
  const button = document.querySelector('[data-do="play"]');
  if (button) { button.textContent = "▶"; button.setAttribute("aria-label", "Play"); }
}

function play() {
  if (point >= head) go(1);
  const button = document.querySelector('[data-do="play"]');
  if (button) { button.textContent = "⏸"; button.setAttribute("aria-label", "Pause"); }
  step();
}

function step() {
  if (point >= head) { stop(); return; }
  // Above 20 steps a second frames are drawn, not each event.
  let next = point, wait = 0;
  do {
    next++;
    wait += Math.min(PAUSE, Math.max(0, columns.ms(next) - columns.ms(next - 1) || 0)) / speed;
  } while (next < head && wait < 50);
  playing = window.setTimeout(() => { go(next); step(); }, Math.max(16, wait));
}

// What can be done

/** @param {number} step */
const turn = (step) => columns.next(point, step, head, (one) => Boolean(columns.flags(one) & FLAG.turnStart)) || (step < 0 ? 1 : head);

/** @param {"a" | "b"} name */
function pin(name) {
  pins[name] = pins[name] === point ? 0 : point;
  element(`pin-${name}`).textContent = pins[name] ? `r${pins[name].toLocaleString("en")}` : "–";
  drawing.soon(false);
  address(false);
}

Object.assign(viewer.actions, {
  back: () => { stop(); go(point - 1); },
  forward: () => { stop(); go(point + 1, { following: follows && point === head }); },
  "turn-back": () => { stop(); go(turn(-1), { push: true }); },
  "turn-forward": () => { stop(); go(turn(1), { push: true }); },
  first: () => { stop(); go(1, { push: true }); },
  now: () => { stop(); go(head, { push: true, following: true }); },
  play: () => { if (playing) stop(); else play(); },
  speed: () => { speed = SPEEDS[(SPEEDS.indexOf(speed) + 1) % SPEEDS.length]; element("speed").textContent = `${speed}×`; },
  faster: () => { speed = SPEEDS[Math.min(SPEEDS.length - 1, SPEEDS.indexOf(speed) + 1)]; element("speed").textContent = `${speed}×`; },
  slower: () => { speed = SPEEDS[Math.max(0, SPEEDS.indexOf(speed) - 1)]; element("speed").textContent = `${speed}×`; },
  axis: () => {
    const axes = /** @type {const} */ (["gaps", "time", "events"]);
    drawing.axis = axes[(axes.indexOf(drawing.axis) + 1) % 3];
    element("axis").textContent = drawing.axis;
    drawing.soon();
  },
  "zoom-in": () => scale(0.5), "zoom-out": () => scale(2), "zoom-all": () => zoom(1, head),
  "next-error": () => seek(1, (one) => Boolean(columns.flags(one) & FLAG.error)),
  "last-error": () => seek(-1, (one) => Boolean(columns.flags(one) & FLAG.error)),
  "next-wait": () => seek(1, (one) => columns.kind(one) === WAIT),
  "last-wait": () => seek(-1, (one) => columns.kind(one) === WAIT),
  "message-next": () => seek(1, (one) => Boolean(columns.flags(one) & FLAG.message)),
  "message-back": () => seek(-1, (one) => Boolean(columns.flags(one) & FLAG.message)),
  "pin-a": () => pin("a"), "pin-b": () => pin("b"),
  diff: () => {
    // What the point before it was would come in its place.
    clearTimeout(settled);
    const [a, b] = pins.a && pins.b ? [pins.a, pins.b] : [pins.a || point, head];
    source.difference(a, b).then((html) => swap(html, element("point"), "innerHTML"), (error) => { console.warn(String(error)); });
    if (matchMedia("(max-width: 900px)").matches) document.body.dataset.pane = "point";
  },
  "close-diff": () => { delete document.body.dataset.pane; settle(); },
  density: () => detail((Number(talk.dataset.detail ?? 2) % 3) + 1),
  raw: () => { location.href = `${base}/e/${point}`; },
  copy: async () => {
    const asked = new URLSearchParams(location.search);
    asked.set("at", String(point));
    if (String(point) === page.dataset.at && link) asked.set("l", link);
    await navigator.clipboard?.writeText(`${location.origin}${base}?${asked}`);
  },
  open: () => { const item = talk.querySelector(".item.here details, .item:not([hidden]):last-of-type details"); item?.toggleAttribute("open"); },
  escape: () => { stop(); if (document.body.dataset.pane) delete document.body.dataset.pane; else go(head, { following: true }); },
});
Object.assign(viewer.keys, {
  ArrowLeft: "back", ArrowRight: "forward", "Shift ArrowLeft": "turn-back", "Shift ArrowRight": "turn-forward",
  Home: "first", End: "now", " ": "play", ">": "faster", "<": "slower", e: "next-error", E: "last-error", w: "next-wait", W: "last-wait",
  j: "message-next", k: "message-back", a: "pin-a", b: "pin-b", d: "diff", x: "axis", "+": "zoom-in", "-": "zoom-out", 0: "zoom-all",
  v: "verify", r: "raw", y: "copy", ".": "density", Enter: "open", Escape: "escape",
});

/** @param {number} step @param {(revision: number) => boolean} wanted */
async function seek(step, wanted) {
  // Who is faster than the timeline waits for it.
  if (!columns.has(Math.max(1, Math.min(head, point + step)))) await loading;
  const found = columns.next(point, step, head, wanted);
  if (found) { stop(); go(found, { push: true }); }
}

/** @param {number} level */
function detail(level) {
  talk.dataset.detail = String(level);
  element("density").textContent = String(level);
  localStorage.setItem("detail", String(level));
}

element("turns").addEventListener("click", (event) => {
  const turnLink = /** @type {HTMLElement} */ (event.target).closest("[data-turn]");
  if (!turnLink) return;
  event.preventDefault();
  go(Number(/** @type {HTMLElement} */ (turnLink).dataset.turn), { push: true });
});
talk.addEventListener("click", (event) => {
  const rev = /** @type {HTMLElement} */ (event.target).closest("a.rev");
  if (!rev) return;
  event.preventDefault();
  const item = rev.closest(".item");
  go(Number(/** @type {HTMLElement} */ (item).dataset.from), { push: true });
});

detail(Number(localStorage.getItem("detail")) || 2);
drawing.point = point;
shown.collect();
show();
place();
tell();
loading = load();
loading.catch((error) => { console.warn(String(error)); });
for (const name of source.lacking) delete viewer.actions[name];
if (source.opening) go(source.opening);

/** How far the session goes, for the module that lets it go on. @param {number} to */
function grow(to) {
  const whole = drawing.first === 1 && drawing.last >= head, atEnd = drawing.last >= head;
  const span = drawing.last - drawing.first, grown = to - head;
  head = to;
  if (follows) drawing.point = point = head;
  if (whole || atEnd) zoom(whole ? 1 : head - span, head); else drawing.soon();
  tell();
  if (grown > 0 && follows) settleLater();
}

let settleBy = 0;
/** While events come one after the other, the state is asked for now and then, not for each. */
function settleLater() {
  const now = performance.now();
  if (!settleBy || settleBy < now) settleBy = now + SETTLED_LIVE_MOST;
  clearTimeout(settled);
  settled = window.setTimeout(() => { settleBy = 0; settle(); }, Math.min(SETTLED_LIVE, settleBy - now));
}

const standing = () => ({ head, point, follows });

export { arrived, columns, drawing, exclusive, go, grow, isLoaded, jump, loadBlock, numberOf, place, show, standing, stretches, swap, turns };
