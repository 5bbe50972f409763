// Where a page that was kept as a file has its data from: what stands in it. It asks nobody for anything.

/** @type {any} */
const { trustedTypes } = window;
/** What is put into the page was escaped and cleaned when it was made, like all else in it. */
const policy = trustedTypes?.createPolicy("session-log", { createHTML: (/** @type {string} */ text) => text })
  ?? { createHTML: (/** @type {string} */ text) => text };
const read = (/** @type {string} */ name) => JSON.parse(document.getElementById(`kept-${name}`)?.textContent ?? "null");

/** @type {{ parts: string[], points: [number, number[]][] } | null} */
let states = null;

/** What cannot be done without a server. @type {string[]} */
export const lacking = ["pin-a", "pin-b", "diff", "close-diff", "copy", "raw", "verify", "source", "copy-message", "view-diff", "go-sessions", "go-inbox"];
export const query = () => new URLSearchParams(location.hash.slice(1));
export const address = (/** @type {URLSearchParams} */ query) => `#${query}`;
/** Which revision to go to at once; 0 for the last. */
export const opening = Number(query().get("at")) || 0;
export const stretch = async (/** @type {number} */ number) => /** @type {string} */ (read(`stretch-${number}`));
export const difference = async () => "";
export const written = async () => "";

/** @param {string} text @param {number} after @returns {Promise<{ hits: number[], seen: number, head: number }>} */
export async function find(text, after) {
  const wanted = text.toLowerCase(), head = Number(document.getElementById("session")?.dataset.head);
  const hits = /** @type {Set<number>} */ (new Set());
  for (let number = 0; read(`stretch-${number}`) !== null; number++) {
    const template = document.createElement("template");
    template.innerHTML = policy.createHTML(read(`stretch-${number}`));
    for (const item of template.content.querySelectorAll(".item")) {
      if (item.textContent?.toLowerCase().includes(wanted)) hits.add(Number(item.id.slice(1)));
    }
  }
  return { hits: [...hits].filter((one) => one > after).sort((a, b) => a - b), seen: head, head };
}

/** The part of the list of turns that a revision stands in. @param {number} revision */
export async function turns(revision) {
  const { since, lists } = /** @type {{ since: number[], lists: string[] }} */ (read("turns"));
  return lists[Math.max(0, since.filter((first) => first <= revision).length - 1)];
}

/** @param {number} revision */
export async function state(revision) {
  states ??= /** @type {NonNullable<typeof states>} */ (read("states"));
  const { parts, points } = states;
  let low = 0, high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= revision) low = middle + 1; else high = middle;
  }
  const found = low ? points[low - 1][1].map((part) => parts[part]) : [];
  return `<div class="tabs"><b>r${revision.toLocaleString("en")}</b></div>${found.join("")}`;
}

/** @returns {Promise<ArrayBuffer | null>} */
export async function block() {
  return Uint8Array.from(atob(read("timeline")), (one) => one.charCodeAt(0)).buffer;
}

/** @param {string} html @param {Element} target @param {string} how */
export async function swap(html, target, how) {
  const template = document.createElement("template");
  template.innerHTML = policy.createHTML(html);
  if (how === "innerHTML") target.replaceChildren(template.content); else target.before(template.content);
}
