// The page of a session: a point of it is shown, and moved to. What can be done there is in commands.js.

import { Columns, FLAG, KIND, counting } from "./columns.js";
import { Drawing } from "./drawing.js";
import { Finding } from "./finding.js";
import { Folding } from "./folding.js";
import { Playing } from "./playing.js";
import { Shown } from "./shown.js";
import * as source from "./source.js";
import { Turns } from "./turns.js";

const SETTLED = 80, SETTLED_LIVE = 400, SETTLED_LIVE_MOST = 3000, ADDRESS_EVERY = 350, MOST_STRETCHES = 4;
const AXES = /** @type {const} */ (["gaps", "time", "events"]);
const VIEWS = ["talk", "events", "diff"];

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
let settled = 0;
let addressed = 0;
/** Of the event that is shown, once that is known: its revision, and the beginning of its link. */
const linked = { revision: point, link: page.dataset.link ?? "" };
const pins = drawing.pins;
pins.a = Number(query.get("a")) || 0;
pins.b = Number(query.get("b")) || 0;
drawing.axis = AXES.find((one) => one === query.get("axis")) ?? "gaps";
drawing.lane = query.get("agent") ?? "";
talk.dataset.view = VIEWS.find((one) => one === query.get("view")) ?? "talk";
const finding = new Finding(talk, () => toldOfFound());
const folding = new Folding(talk, query.get("open") ?? "");
const playing = new Playing(columns, () => ({ head, point }), (revision) => go(revision), element("skipped"));
/** Which part of the timeline an address asks for. */
let wanted = /^(\d{1,15})-(\d{1,15})$/.exec(query.get("z") ?? "");

// What is shown at a point

function show() {
  shown.at(point, counting(point, columns.jumps), follows, { isOfLane, folding });
  turns.show(point);
}

/** Whether something is of the lane that is looked at, or of a node in it. @param {string} agent */
const isOfLane = (agent) => !drawing.lane || !agent || agent === drawing.lane || agent.startsWith(`${drawing.lane}:`);

/** Where the point stands, in words. */
function tell() {
  slider.max = String(head);
  slider.value = String(point);
  const time = columns.ms(point);
  const clock = Number.isNaN(time) ? "" : ` · ${new Date(time).toLocaleTimeString(undefined, { hourCycle: "h23" })}`;
  element("where").textContent = `r${point.toLocaleString("en")} of ${head.toLocaleString("en")}${clock}`;
  element("turn-number").textContent = turns.words(point);
  element("found").textContent = finding.words(point);
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
  if (state !== null && here === point) {
    await swap(state, element("point"), "innerHTML");
    const known = /** @type {HTMLElement | null} */ (element("point").querySelector("[data-link]"));
    Object.assign(linked, { revision: here, link: known?.dataset.link ?? "" });
  }
  finding.mark();
  talk.setAttribute("aria-busy", "false");
}

/** @param {boolean} push */
function address(push) {
  const asked = source.query();
  asked.delete("l");
  if (follows) asked.delete("at"); else asked.set("at", String(point));
  for (const [name, revision] of Object.entries(pins)) if (revision) asked.set(name, String(revision)); else asked.delete(name);
  const axis = drawing.axis === "gaps" ? "" : drawing.axis, part = drawing.isZoomed ? `${drawing.first}-${drawing.last}` : wanted?.[0];
  const view = talk.dataset.view === "talk" ? "" : talk.dataset.view;
  const others = { axis, z: part, agent: drawing.lane, view, find: finding.text, open: folding.text };
  for (const [name, value] of Object.entries(others)) if (value) asked.set(name, value); else asked.delete(name);
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
  folding.restore();
  show();
  finding.mark();
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

async function load() {
  for (let number = Math.floor((head - 1) / blockSize); number >= 0; number--) await loadBlock(number);
  wanted = null;
  await turns.load(point);
  show();
  tell();
  document.dispatchEvent(new CustomEvent("viewer:indexed"));
}

/** @param {number} number */
async function loadBlock(number) {
  const block = await source.block(number);
  if (!block) return;
  columns.add(number, block);
  const isWhole = drawing.head === drawing.last || drawing.last === 1;
  if (wanted) zoom(Number(wanted[1]), Number(wanted[2])); else zoom(drawing.first, isWhole ? head : drawing.last);
  tell();
  show();
}

/** @param {number} first @param {number} last */
function zoom(first, last) {
  drawing.head = head;
  drawing.first = Math.max(1, Math.min(head - 1, Math.round(first)));
  drawing.last = Math.min(head, Math.max(drawing.first + 1, Math.round(last)));
  drawing.soon();
}

/** @param {number} factor @param {number} around */
function scale(factor, around = point) {
  const span = Math.min(head, Math.max(10, (drawing.last - drawing.first) * factor)), share = (around - drawing.first) / (drawing.last - drawing.first || 1);
  const first = Math.max(1, Math.min(around - span * Math.max(0, Math.min(1, share)), head - span));
  zoom(first, first + span);
  address(false);
}

/** What is dragged: the point, or which part is shown. */
let dragging = "";
canvas.addEventListener("pointerdown", (event) => {
  dragging = event.offsetY < drawing.top ? "part" : "point";
  canvas.setPointerCapture(event.pointerId);
  at(event);
});
canvas.addEventListener("pointermove", (event) => { if (dragging) at(event); });
canvas.addEventListener("pointerup", (event) => { at(event, true); dragging = ""; });
canvas.addEventListener("wheel", (event) => {
  if (event.ctrlKey) { event.preventDefault(); scale(event.deltaY > 0 ? 1.25 : 0.8, drawing.revision(event.offsetX, canvas.clientWidth)); }
  else if (event.shiftKey) { const by = (drawing.last - drawing.first) * Math.sign(event.deltaY || event.deltaX) * 0.1; zoom(drawing.first + by, drawing.last + by); }
}, { passive: false });

/** @param {PointerEvent} event */
function at(event, push = false) {
  if (dragging === "part") {
    const half = (drawing.last - drawing.first) / 2, middle = drawing.revisionInWhole(event.offsetX, canvas.clientWidth);
    const first = Math.max(1, Math.min(head - 2 * half, middle - half));
    zoom(first, first + 2 * half);
    address(false);
    return;
  }
  go(drawing.revision(event.offsetX, canvas.clientWidth), { push });
  playing.moved();
}

slider.addEventListener("input", () => { go(Number(slider.value)); playing.moved(); });
slider.addEventListener("keydown", (event) => { if (event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End") event.preventDefault(); });
talk.addEventListener("scroll", () => extend(), { passive: true });
addEventListener("resize", () => drawing.soon());
document.addEventListener("viewer:theme", () => drawing.soon());
addEventListener("popstate", () => {
  const asked = source.query();
  go(Number(asked.get("at")) || head, { following: !asked.get("at") });
});

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

talk.addEventListener("toggle", (event) => {
  if (folding.note(/** @type {HTMLDetailsElement} */ (event.target))) address(false);
}, true);

function toldOfFound() {
  drawing.marks = finding.hits;
  drawing.soon(false);
  element("found").textContent = finding.words(point);
}

element("axis").textContent = drawing.axis;
drawing.point = point;
shown.collect();
folding.restore();
show();
place();
tell();
const loading = load();
loading.catch((error) => { console.warn(String(error)); });
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
  if (grown > 0) finding.grow();
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

export { AXES, address, arrived, base, columns, drawing, element, exclusive, finding, folding, go, grow, isLoaded, jump, linked, loadBlock, loading, numberOf, pins, place, playing, scale, settle, show, standing, stretches, swap, talk, turns, zoom };
