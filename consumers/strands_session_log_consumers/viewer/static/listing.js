// The list of sessions as it changes: rows that are there change in place, new ones come on top.

import { on } from "./live.js";

/** @type {any} */
const { viewer, htmx } = window;
/** @type {Map<string, string>} */
const newer = new Map();

/** @param {string} html @param {Element} target @param {string} swap */
const put = (html, target, swap) => htmx.swap({ text: html, target, swap, sourceElement: target });

/** Whether something on top would move what somebody is about to click. */
const isRead = () => scrollY > 0 || Boolean(document.querySelector("#rows tr.current, #rows tr:hover, #rows :focus"));

async function add() {
  const rows = document.getElementById("rows");
  if (!rows) { location.reload(); return; }
  for (const html of newer.values()) await put(html, rows, "afterbegin");
  newer.clear();
  tell();
}

function tell() {
  const button = /** @type {HTMLButtonElement | null} */ (document.getElementById("newer"));
  if (!button) return;
  button.hidden = !newer.size;
  button.textContent = `${newer.size} new session${newer.size === 1 ? "" : "s"} ↑`;
}

on("rows", async (/** @type {{ id: string, shown: boolean, html: string }[]} */ rows) => {
  for (const { id, shown, html } of rows) {
    const row = document.getElementById(id);
    const isCurrent = row?.classList.contains("current");
    if (row) await put(html, row, "outerMorph");
    else if (shown) { newer.delete(id); newer.set(id, html); }
    if (isCurrent) document.getElementById(id)?.classList.add("current");
  }
  // What a filter shows may be nothing again: who filters decides when the page is loaded anew.
  const isFiltered = !document.getElementById("rows") && location.search !== "";
  if (newer.size && !isRead() && !isFiltered) await add(); else tell();
});

// Enter in the filter opens what it leaves, if that is one, or the one that is called so.
document.addEventListener("keydown", (event) => {
  const field = /** @type {HTMLInputElement} */ (event.target);
  if (event.key !== "Enter" || !field.matches('.filter input[name="q"]')) return;
  const wanted = field.value.trim();
  const links = /** @type {HTMLAnchorElement[]} */ ([...document.querySelectorAll("#rows .id a")]);
  const isFiltered = new URLSearchParams(location.search).get("q") === wanted;
  const only = links.find((one) => one.textContent?.trim() === wanted) ?? (isFiltered && links.length === 1 ? links[0] : null);
  if (!wanted || !only) return;
  event.preventDefault();
  only.click();
});

viewer.actions.newer = () => { scrollTo(0, 0); add(); };
