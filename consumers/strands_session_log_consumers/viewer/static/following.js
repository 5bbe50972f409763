// The page of a session goes on: what happens is put where it belongs, and what is read stays where it is.

import { seen as named } from "./columns.js";
import { disconnect, on } from "./live.js";
import { arrived, columns, exclusive, go, grow, isLoaded, jump, loadBlock, numberOf, place, show, standing, stretches, swap, turns } from "./timeline.js";
import { Words } from "./words.js";

const NEAR = 80, RELOADED = 300, ANNOUNCED_EVERY = 5000, ANNOUNCED = 200, MOST_STRETCHES = 4;
const element = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const talk = element("talk"), below = element("below"), badge = element("badge");
const words = new Words(element("saying"));
/** @type {any} */
const { viewer } = window;

/**
 * @typedef {{ revision: number, stretch: number, html: string }} Item
 * @typedef {{ first: number, head: number, rows: any[], jumps: [number, number][], turns: { revision: number, html: string }[], items: Item[] }} Batch
 */

// New below

let seen = standing().head;
let pinned = true;
const isAtEnd = () => talk.scrollHeight - talk.scrollTop - talk.clientHeight < NEAR;
talk.addEventListener("scroll", () => {
  pinned = isAtEnd();
  if (pinned && standing().follows) { seen = standing().head; count(); }
}, { passive: true });

/** Say how much came that is not seen. */
function count() {
  const { head, follows, point } = standing();
  const unseen = head - (follows ? seen : Math.max(seen, point));
  below.hidden = unseen <= 0;
  below.textContent = `${unseen.toLocaleString("en")} new below ↓`;
}

function toEnd() {
  place();
  talk.scrollTop = talk.scrollHeight;
  pinned = true;
}

viewer.actions.below = () => {
  seen = standing().head;
  go(seen, { push: !standing().follows, following: true }).then(toEnd);
  below.hidden = true;
};

// What happens

/** @param {Batch} batch */
async function take({ first, head, rows, jumps, turns: begun, items }) {
  const known = rows.map((row, at) => columns.push(first + at, row));
  if (known.includes(false)) reload(first + known.lastIndexOf(false));
  columns.jump(jumps);
  const stays = pinned && standing().follows;
  const wasLoaded = isLoaded(Math.max(1, first - 1));
  grow(head);
  if (begun.length) await turns.add(begun);
  await change(items);
  // At an earlier point it is enough to know that there is more: it is loaded when somebody goes there.
  if (wasLoaded && standing().follows) await append(items.filter((item) => item.revision >= first), first, head);
  for (const item of items) if (item.revision >= first) heard(item);
  arrived();
  if (stays) {
    if (!wasLoaded) await jump(head);
    shorten();
    toEnd();
    seen = head;
  }
  count();
  document.dispatchEvent(new CustomEvent("viewer:grown", { detail: { head } }));
}

let reloading = 0;
/** A block of which something came before it was there. @param {number} revision */
function reload(revision) {
  clearTimeout(reloading);
  reloading = window.setTimeout(() => loadBlock(Math.floor((revision - 1) / columns.blockSize)), RELOADED);
}

/** What is there already, and is other now. @param {Item[]} items */
async function change(items) {
  for (const item of items) {
    const old = document.getElementById(`r${item.revision}`);
    if (!old || !talk.contains(old)) continue;
    const open = [...old.querySelectorAll("details[open][id]")].map((one) => one.id);
    await swap(item.html, old, "outerMorph");
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  }
}

/** @param {Item[]} items @param {number} first @param {number} head */
async function append(items, first, head) {
  /** @type {Map<number, string>} */
  const texts = new Map();
  for (const item of items) if (!document.getElementById(`r${item.revision}`)) texts.set(item.stretch, (texts.get(item.stretch) ?? "") + item.html);
  for (const [number, html] of texts) {
    await swap(html, document.getElementById(`stretch-${number}`) ?? newStretch(number), "beforeend");
  }
  for (const one of stretches()) {
    const end = Number(one.dataset.first) + Number(element("session").dataset.stretch) - 1;
    if (numberOf(Number(one.dataset.first)) >= numberOf(first)) one.dataset.last = String(Math.min(end, head));
  }
}

/** A stretch of which nothing happened yet. @param {number} number */
function newStretch(number) {
  const stretch = document.createElement("section"), size = Number(element("session").dataset.stretch);
  stretch.className = "stretch";
  stretch.setAttribute("role", "none");
  stretch.id = `stretch-${number}`;
  stretch.dataset.first = String(number * size + 1);
  element("saying").before(stretch);
  return stretch;
}

/** Far behind is what nobody looks at. */
function shorten() {
  const there = stretches();
  for (const one of there.slice(0, Math.max(0, there.length - MOST_STRETCHES))) one.remove();
}

// What is said

let announced = 0;
/** Once a message is there, its words are over. @param {Item} item */
function heard(item) {
  const there = document.getElementById(`r${item.revision}`);
  if (!there?.classList.contains("assistant")) return;
  const agent = there.dataset.agent ?? "";
  words.over(agent);
  if (Date.now() - announced < ANNOUNCED_EVERY) return;
  announced = Date.now();
  element("announced").textContent = `${named(agent)}: ${(there.querySelector(".prose")?.textContent ?? "").trim().slice(0, ANNOUNCED)}`;
}

on("items", (batch) => exclusive(() => take(batch)));
on("words", (said) => exclusive(async () => {
  words.hear(said);
  // What is being said is said now, and not at an earlier point.
  if (!standing().follows) element("saying").hidden = true;
  if (pinned && standing().follows) toEnd();
}));
on("session", ({ word, text }) => { badge.dataset.status = word; badge.textContent = text; });
on("anew", ({ head }) => exclusive(async () => {
  if (head < standing().head) { location.reload(); return; }
  grow(head);
  await jump(standing().point);
  show();
  count();
}));
on("behind", ({ events }) => {
  const bar = element("behind");
  bar.hidden = !events;
  bar.textContent = events ? `${events.toLocaleString("en")} ${events === 1 ? "event" : "events"} behind` : "";
});
on("gone", ({ text }) => {
  disconnect();
  const banner = document.createElement("p"), again = document.createElement("a");
  banner.className = "banner tampered";
  banner.setAttribute("role", "alert");
  again.href = location.pathname;
  again.textContent = "Load what there is now";
  banner.append(`${text}. What stands here is what was read before. `, again);
  element("session").prepend(banner);
});
