// What can be done on the page of a session, by buttons and by keys.

import { FLAG, KIND, seen } from "./columns.js";
import { SPEEDS } from "./playing.js";
import * as source from "./source.js";
import { AXES, address, base, columns, drawing, element, exclusive, finding, folding, go, isLoaded, jump, linked, loading, pins, place, playing, scale, show, standing, swap, talk, zoom } from "./timeline.js";

const WAIT = KIND.indexOf("wait");
const COPIED = 1500;
/** @type {any} */
const { viewer } = window;
const query = source.query();

/** Go somewhere; what plays goes on from there. @param {number} revision @param {{ push?: boolean, following?: boolean }} how */
function move(revision, how = {}) {
  const gone = go(revision, how);
  playing.moved();
  return gone;
}

/** @param {number} step @param {(revision: number) => boolean} wanted @param {boolean} around Whether behind the last comes the first. */
async function seek(step, wanted, around = false) {
  const { point, head } = standing();
  // Who is faster than the timeline waits for it.
  if (around || !columns.has(Math.max(1, Math.min(head, point + step)))) await loading;
  const found = columns.next(point, step, head, wanted) || (around ? columns.next(step > 0 ? 0 : head + 1, step, head, wanted) : 0);
  if (found) await move(found, { push: true });
}

const isError = (/** @type {number} */ one) => Boolean(columns.flags(one) & FLAG.error);
const isWait = (/** @type {number} */ one) => columns.kind(one) === WAIT;
const isMessage = (/** @type {number} */ one) => Boolean(columns.flags(one) & FLAG.message);

/** @param {number} step */
function turn(step) {
  const { point, head } = standing();
  return columns.next(point, step, head, (one) => Boolean(columns.flags(one) & FLAG.turnStart)) || (step < 0 ? 1 : head);
}

function pinned() {
  for (const name of /** @type {const} */ (["a", "b"])) {
    const place = document.getElementById(`pin-${name}`);
    if (place) place.textContent = pins[name] ? `r${pins[name].toLocaleString("en")}` : "–";
  }
}

/** @param {"a" | "b"} name */
function pin(name) {
  const { point } = standing();
  pins[name] = pins[name] === point ? 0 : point;
  pinned();
  drawing.soon(false);
  address(false);
  if (talk.dataset.view === "diff") compare();
}

/** @param {string} view */
function see(view) {
  talk.dataset.view = view;
  talk.hidden = view === "diff";
  element("diff").hidden = view !== "diff";
  for (const one of document.querySelectorAll("[data-view-of]")) one.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (one).dataset.viewOf === view));
  address(false);
  if (view === "diff") compare(); else place();
}

/** What differs between the pins, or between here and now. */
async function compare() {
  const { point, head } = standing();
  const [a, b] = pins.a && pins.b ? [pins.a, pins.b] : [pins.a || pins.b || point, head];
  const html = await source.difference(Math.min(a, b), Math.max(a, b)).catch(() => null);
  if (html === null) element("diff").textContent = "What differs cannot be told now."; else await swap(html, element("diff"), "innerHTML");
}

const choice = /** @type {HTMLSelectElement} */ (element("lane"));

/** Which lanes can be looked at alone. */
function lanes() {
  const names = columns.lanes.filter((name) => name !== "session");
  if (choice.length === names.length + 1) return;
  choice.replaceChildren(...["", ...names].map((name) => new Option(seen(name) || "all agents", name, false, name === drawing.lane)));
  choice.hidden = names.length < 2;
}

/** Look at one lane alone; at all of them for none. @param {string} name */
function lookAt(name) {
  drawing.lane = choice.value = name;
  drawing.soon();
  show();
  place();
  address(false);
}

/** @param {number} by */
function speed(by) {
  const at = SPEEDS.indexOf(playing.speed) + by;
  playing.speed = SPEEDS[by ? Math.max(0, Math.min(SPEEDS.length - 1, at)) : (at + 1) % SPEEDS.length];
  element("speed").textContent = `${playing.speed}×`;
  playing.moved();
}

/** @param {number} level */
function detail(level) {
  localStorage.setItem("detail", String(level));
  shownAt(level);
  place();
}

/** @param {number} level */
function shownAt(level) {
  talk.dataset.detail = element("density").textContent = String(level);
}

const shown = () => /** @type {HTMLElement[]} */ ([...talk.querySelectorAll(".item:not([hidden])")]).filter((one) => one.getClientRects().length);

/** What is read: the item that stands at the point, or the last one before it. */
function current() {
  const items = shown(), { point } = standing();
  return items.find((one) => Number(one.dataset.from) === point)
    // The end of a call is told in the call.
    ?? items.find((one) => one.querySelector(`.call [data-from="${point}"]`))
    ?? items.filter((one) => Number(one.dataset.from) <= point).pop();
}

/** Open all calls of something, or fold them. @param {Element[]} items */
function unfold(items) {
  const folded = items.flatMap((one) => [...one.querySelectorAll("details")]);
  const isOpen = folded.some((one) => !one.open);
  for (const one of folded) one.open = isOpen;
  return folded[0];
}

/** The items of the turn that the point is in. */
function ofTurn() {
  const { point } = standing(), isStart = (/** @type {number} */ one) => Boolean(columns.flags(one) & FLAG.turnStart);
  const first = isStart(point) ? point : columns.next(point, -1, point, isStart), next = columns.next(point, 1, standing().head, isStart) || Infinity;
  return shown().filter((one) => Number(one.dataset.from) >= first && Number(one.dataset.from) < next);
}

/** Put something on the clipboard, and say so on a button. @param {string} text @param {string} name */
async function copy(text, name) {
  await navigator.clipboard?.writeText(text);
  const button = document.querySelector(`[data-do="${name}"]`);
  const before = button?.textContent ?? "";
  if (!button || before === "copied") return;
  button.textContent = "copied";
  setTimeout(() => { button.textContent = before; }, COPIED);
}

/** A message as it was written, beside how it is shown. @param {HTMLElement} button */
async function toggleSource(button) {
  const item = /** @type {HTMLElement} */ (button.closest(".item"));
  const there = item.querySelector(":scope > .written");
  button.setAttribute("aria-pressed", String(!there));
  if (there) { there.remove(); return; }
  const written = document.createElement("pre");
  written.className = "written";
  written.dir = "auto";
  written.tabIndex = 0;
  written.textContent = await source.written(Number(button.dataset.revision));
  item.append(written);
}

Object.assign(viewer.actions, {
  back: () => move(standing().point - 1),
  forward: () => move(standing().point + 1, { following: standing().follows && standing().point === standing().head }),
  "turn-back": () => move(turn(-1), { push: true }),
  "turn-forward": () => move(turn(1), { push: true }),
  first: () => move(1, { push: true }),
  now: () => { playing.stop(); go(standing().head, { push: true, following: true }); },
  play: () => playing.toggle(),
  speed: () => speed(0), faster: () => speed(1), slower: () => speed(-1),
  "stop-at-errors": () => {
    playing.stopsAtErrors = !playing.stopsAtErrors;
    localStorage.setItem("stop-at-errors", playing.stopsAtErrors ? "yes" : "no");
    told();
  },
  axis: () => {
    drawing.axis = AXES[(AXES.indexOf(drawing.axis) + 1) % AXES.length];
    element("axis").textContent = drawing.axis;
    drawing.soon();
    address(false);
  },
  "zoom-in": () => scale(0.5), "zoom-out": () => scale(2), "zoom-all": () => { zoom(1, standing().head); address(false); },
  "next-error": () => seek(1, isError, true), "last-error": () => seek(-1, isError, true),
  "next-wait": () => seek(1, isWait, true), "last-wait": () => seek(-1, isWait, true),
  "message-next": () => seek(1, isMessage), "message-back": () => seek(-1, isMessage),
  find: () => { document.body.dataset.finding = ""; element("find-text").focus(); },
  "hit-next": () => goToHit(1), "hit-back": () => goToHit(-1),
  lane: () => {
    const names = ["", ...columns.lanes.filter((name) => name !== "session")];
    lookAt(names[(names.indexOf(drawing.lane) + 1) % names.length]);
  },
  "pin-a": () => pin("a"), "pin-b": () => pin("b"),
  "view-talk": () => see("talk"), "view-events": () => see("events"), "view-diff": () => see("diff"),
  diff: () => see(talk.dataset.view === "diff" ? "talk" : "diff"),
  "close-diff": () => see("talk"),
  pane: () => { if (document.body.dataset.pane) delete document.body.dataset.pane; else document.body.dataset.pane = "point"; },
  density: () => detail((Number(talk.dataset.detail ?? 2) % 3) + 1),
  raw: () => { location.href = `${base}/e/${standing().point}`; },
  copy: () => {
    const asked = new URLSearchParams(location.search), { point } = standing();
    asked.set("at", String(point));
    if (linked.link && linked.revision === point) asked.set("l", linked.link); else asked.delete("l");
    return copy(`${location.origin}${base}?${asked}`, "copy");
  },
  "copy-message": async () => {
    const said = shown().filter((one) => one.classList.contains("said") && Number(one.dataset.from) <= standing().point).pop();
    if (said) await copy(await source.written(Number(said.dataset.from)), "copy-message");
  },
  source: (/** @type {Event} */ event) => toggleSource(/** @type {HTMLElement} */ (/** @type {HTMLElement} */ (event.target).closest("[data-do]"))),
  fold: (/** @type {Event} */ event) => { folding.toggle(/** @type {HTMLElement} */ (event.target)); show(); },
  open: () => { const item = current(); if (item) unfold([item])?.scrollIntoView({ block: "nearest" }); },
  "open-turn": () => { unfold(ofTurn()); },
  escape: () => {
    playing.stop();
    if (document.body.dataset.pane) delete document.body.dataset.pane;
    else if (talk.dataset.view !== "talk") see("talk");
    else if (finding.text) forget();
    else go(standing().head, { following: true });
  },
});
Object.assign(viewer.keys, {
  ArrowLeft: "back", ArrowRight: "forward", "Shift ArrowLeft": "turn-back", "Shift ArrowRight": "turn-forward",
  Home: "first", End: "now", " ": "play", ">": "faster", "<": "slower", e: "next-error", E: "last-error", w: "next-wait", W: "last-wait",
  n: "hit-next", N: "hit-back", j: "message-next", k: "message-back", a: "pin-a", b: "pin-b", d: "diff", x: "axis",
  "+": "zoom-in", "-": "zoom-out", 0: "zoom-all", 1: "view-talk", 2: "view-events", 3: "view-diff", l: "lane",
  v: "verify", r: "raw", y: "copy", c: "copy-message", ".": "density", Enter: "open", o: "open-turn", Escape: "escape",
});
for (const name of source.lacking) delete viewer.actions[name];

// Finding

const text = /** @type {HTMLInputElement} */ (element("find-text"));

/** @param {string} wanted */
async function find(wanted) {
  const looked = finding.look(wanted);
  address(false);
  finding.mark();
  await looked;
}

/** Go to a hit, and show it. @param {number} step @param {number} from */
async function goToHit(step, from = standing().point) {
  const hit = finding.next(from, step);
  if (!hit) return;
  if (talk.dataset.view === "diff") see("talk");
  await move(hit, { push: true });
  if (!isLoaded(hit)) await exclusive(() => jump(hit));
  finding.mark();
  if (finding.reveal(hit)) return;
  // It stands in what is not shown at this detail.
  shownAt(3);
  finding.reveal(hit);
}

function forget() {
  text.value = "";
  delete document.body.dataset.finding;
  find("");
}

/** @type {HTMLFormElement} */ (element("find")).addEventListener("submit", async (event) => {
  event.preventDefault();
  talk.focus();
  if (text.value === finding.text) { await goToHit(1); return; }
  // From where one stands, forward; and behind the last the first.
  await find(text.value);
  await goToHit(1, standing().follows ? 0 : standing().point - 1);
});
text.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  forget();
  talk.focus();
});
text.addEventListener("search", () => { if (!text.value) find(""); });
choice.addEventListener("change", () => lookAt(choice.value));

function told() {
  document.querySelector('[data-do="stop-at-errors"]')?.setAttribute("aria-pressed", String(playing.stopsAtErrors));
}

detail(Number(localStorage.getItem("detail")) || 2);
told();
pinned();
loading.then(lanes, () => {});
document.addEventListener("viewer:grown", lanes);
if (talk.dataset.view !== "talk") see(talk.dataset.view ?? "talk");
const sought = query.get("find");
if (sought) {
  document.body.dataset.finding = "";
  text.value = sought;
  find(sought);
}
