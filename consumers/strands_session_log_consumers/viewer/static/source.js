// Where the page of a session has its data from: the server. A page kept as a file has all of it in itself: single_page.js.

/** @type {any} */
const { htmx } = window;
const page = /** @type {HTMLElement} */ (document.getElementById("session"));
const { base = "", fragments = "" } = page.dataset;

/** @param {string} url */
async function asked(url) {
  const answer = await fetch(url, { headers: { "HX-Request": "true" } });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.text();
}

/** What cannot be done here. @type {string[]} */
export const lacking = [];
/** Which revision to go to at once; 0 as the page came as it was asked for. */
export const opening = 0;
export const query = () => new URLSearchParams(location.search);
export const address = (/** @type {URLSearchParams} */ query) => query.size ? `${base}?${query}` : base;
export const stretch = (/** @type {number} */ number) => asked(`${fragments}/stretch/${number}`);
export const state = (/** @type {number} */ revision) => asked(`${fragments}/point?at=${revision}`);
export const turns = (/** @type {number} */ revision) => asked(`${fragments}/turns?at=${revision}`);
export const difference = (/** @type {number} */ a, /** @type {number} */ b) => asked(`${fragments}/diff?a=${a}&b=${b}`);
/** What a message says, as it was written. */
export const written = (/** @type {number} */ revision) => asked(`${fragments}/source/${revision}`);
/** @param {string} text @param {number} after @returns {Promise<{ hits: number[], seen: number, head: number }>} */
export const find = async (text, after) => JSON.parse(await asked(`${fragments}/find?${new URLSearchParams({ q: text, after: String(after) })}`));

/** @param {number} number @returns {Promise<ArrayBuffer | null>} */
export async function block(number) {
  const answer = await fetch(`${base}/timeline/${number}`);
  return answer.ok ? answer.arrayBuffer() : null;
}

/** @param {string} html @param {Element} target @param {string} swap */
export const swap = (html, target, swap) => htmx.swap({ text: html, target, swap, sourceElement: target });
