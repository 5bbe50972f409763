// The inbox as it changes: who begins to wait is added, who was answered says so, and what somebody fills in is left alone.

import { on } from "./live.js";

/** @typedef {{ heading: string, items: { id: string, version: string, html: string }[] }} Waiting */

/** @type {any} */
const { htmx, viewer } = window;
const list = /** @type {HTMLElement | null} */ (document.getElementById("asked"));
const PART = { "HX-Request": "true" };
let reading = false, stale = false;

/** @param {string} text @param {Element} target @param {string} swap */
async function put(text, target, swap) {
  await htmx.swap({ text, target, swap, sourceElement: target });
  viewer.filled?.(list);
}

/** Whether somebody is at it: has the focus there, is asked to confirm, or has typed something. @param {Element} item */
const isTouched = (item) => item.contains(document.activeElement) || Boolean(item.querySelector("input[name=confirmed], details.before[open], details.how[open]"))
  || [.../** @type {NodeListOf<HTMLTextAreaElement>} */ (item.querySelectorAll("textarea"))].some((one) => one.value !== one.defaultValue);

/** @param {Waiting} waiting */
async function show({ heading, items }) {
  if (!list) return;
  const title = document.getElementById("inbox-heading");
  if (title && title.textContent !== heading) title.textContent = heading;
  if (items.length) list.querySelector(".empty")?.remove();
  const isNewestFirst = new URLSearchParams(location.search).get("order") === "newest";
  for (const { id, version, html } of isNewestFirst ? [...items].reverse() : items) {
    const there = document.getElementById(id);
    if (!there) await put(html, list, isNewestFirst ? "afterbegin" : "beforeend");
    else if (there.dataset.version !== version && !isTouched(there)) await put(html, there, "outerHTML");
  }
  const waits = new Set(items.map(({ id }) => id));
  for (const item of /** @type {HTMLElement[]} */ ([...list.querySelectorAll("article.asked:not(.settled)")])) if (!waits.has(item.id)) await settle(item);
}

/** Somebody waits no more, or stands on another page of the list by now: say so. @param {HTMLElement} item */
async function settle(item) {
  const { session = "", interrupt = "" } = item.dataset;
  const answer = await fetch(`${list?.dataset.items}/item?${new URLSearchParams({ session, interrupt })}`, { headers: PART });
  const text = await answer.text();
  // A draft is of no use once there is an answer, and stays until then.
  if (answer.ok && item.isConnected && (!isTouched(item) || text.includes("settled"))) await put(text, item, "outerHTML");
}

async function read() {
  if (!list?.dataset.items) return;
  if (reading) { stale = true; return; }
  reading = true;
  do {
    stale = false;
    const answer = await fetch(`${list.dataset.items}${location.search}`, { headers: PART }).catch(() => null);
    if (answer?.ok) await show(await answer.json());
  } while (stale);
  reading = false;
}

on("waiting", read);
