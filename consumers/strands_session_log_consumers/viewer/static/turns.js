// The list of turns: those around the point, as a long session has ten thousand.

import * as source from "./source.js";

const MOST = 150;

export class Turns {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    /** @type {HTMLElement[]} */
    this.rows = [];
    /** @type {HTMLElement | null} */
    this.current = null;
  }

  get #list() { return /** @type {HTMLElement | null} */ (this.place.querySelector(".turn-list")); }

  /** Whether those around a point are others. @param {number} point */
  lacks(point) {
    const list = this.#list;
    if (!list) return true;
    return point < Number(list.dataset.since) || point >= Number(list.dataset.until || Infinity);
  }

  /** @param {number} point */
  async load(point) {
    await source.swap(await source.turns(point), this.place, "innerHTML");
    this.collect();
  }

  collect() {
    this.rows = /** @type {HTMLElement[]} */ ([...this.place.querySelectorAll("li")]);
    this.current = null;
  }

  /** @param {number} point */
  show(point) {
    /** @type {HTMLElement | null} */
    let current = null;
    for (const row of this.rows) {
      const later = Number(row.dataset.from) > point;
      if (later !== row.classList.contains("later")) row.classList.toggle("later", later);
      if (!later) current = row;
    }
    if (current === this.current) return;
    this.current?.firstElementChild?.removeAttribute("aria-current");
    current?.firstElementChild?.setAttribute("aria-current", "true");
    current?.scrollIntoView({ block: "nearest" });
    this.current = current;
  }

  /** Which turn a point stands in; nothing where that is not among those that are loaded. @param {number} point */
  words(point) {
    if (this.lacks(point)) return "";
    const before = this.rows.filter((row) => Number(row.dataset.from) <= point).length;
    return before ? `turn ${(Number(this.#list?.dataset.number) + before - 1).toLocaleString("en")}` : "";
  }

  /** Those that begin while the page is open. @param {{ revision: number, html: string }[]} turns */
  async add(turns) {
    const list = this.#list;
    // Loaded after the page, it will have them; and at an earlier part, they are not of it.
    if (!list || list.dataset.until) return;
    for (const { revision, html } of turns) {
      const known = list.querySelector(`li[data-from="${revision}"]`);
      if (known) await source.swap(html, known, "outerMorph"); else await source.swap(html, list, "beforeend");
    }
    this.#shorten(list);
    list.querySelectorAll("li .number").forEach((number, at) => { number.textContent = (Number(list.dataset.number) + at).toLocaleString("en"); });
    this.place.querySelector(".no-turn")?.remove();
    this.collect();
  }

  /** @param {HTMLElement} list */
  #shorten(list) {
    while (list.children.length > MOST) {
      list.firstElementChild?.remove();
      list.dataset.number = String(Number(list.dataset.number) + 1);
      list.dataset.since = /** @type {HTMLElement} */ (list.firstElementChild).dataset.from;
    }
  }
}
