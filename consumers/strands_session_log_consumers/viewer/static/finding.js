// Finding text in a session: which events hold it, as far as one has looked, and where it stands on the page.

import * as source from "./source.js";

const MARKED = 500;
const NAME = "found";

export class Finding {
  /** @param {HTMLElement} talk @param {() => void} told Called whenever more is known. */
  constructor(talk, told) {
    this.talk = talk;
    this.told = told;
    this.text = "";
    /** @type {number[]} */
    this.hits = [];
    this.seen = 0;
    this.head = 0;
    this.turn = 0;
  }

  get isDone() { return this.seen >= this.head; }

  /** Look for a text in all of the session; for nothing, to forget what was found. @param {string} text */
  async look(text) {
    const turn = ++this.turn;
    Object.assign(this, { text, hits: [], seen: 0, head: 1 });
    this.told();
    if (text) await this.#goOn(turn);
  }

  /** There are more events. */
  async grow() {
    if (this.text && this.isDone) await this.#goOn(this.turn);
  }

  /** @param {number} turn */
  async #goOn(turn) {
    do {
      const found = await source.find(this.text, this.seen);
      if (turn !== this.turn) return;
      this.hits.push(...found.hits);
      this.seen = found.seen;
      this.head = found.head;
      this.told();
    } while (!this.isDone);
  }

  /** The hit behind a revision, or before it; behind the last comes the first. @param {number} from @param {number} step */
  next(from, step) {
    const ordered = step > 0 ? this.hits : [...this.hits].reverse();
    return ordered.find((one) => (one - from) * step > 0) ?? ordered[0] ?? 0;
  }

  /** How it stands, in words. @param {number} point */
  words(point) {
    if (!this.text) return "";
    const at = this.hits.indexOf(point) + 1, count = this.hits.length.toLocaleString("en");
    const found = at ? `${at.toLocaleString("en")} of ${count}` : count === "0" && this.isDone ? "not found" : `${count} found`;
    return this.isDone ? found : `${found}, seen ${Math.floor(100 * this.seen / this.head)}%`;
  }

  /** Mark it on the page, which changes nothing in it. */
  mark() {
    // A browser that cannot do so shows the messages all the same.
    if (!("highlights" in CSS)) return;
    if (!this.text) { CSS.highlights.delete(NAME); return; }
    CSS.highlights.set(NAME, new Highlight(...this.#ranges(this.talk)));
  }

  /** Bring a hit to where it is seen, whatever it is folded into. @param {number} revision @returns {boolean} */
  reveal(revision) {
    for (const place of this.talk.querySelectorAll(`[data-from="${revision}"]`)) {
      const [range] = this.#ranges(place);
      const element = range?.startContainer.parentElement;
      if (!element || element.closest("[hidden]")) continue;
      for (let folded = element.closest("details"); folded; folded = folded.parentElement?.closest("details") ?? null) folded.open = true;
      if (!element.getClientRects().length) continue;
      element.scrollIntoView({ block: "center" });
      return true;
    }
    return false;
  }

  /** @param {Element} place @returns {Range[]} */
  #ranges(place) {
    const text = this.text.toLowerCase(), ranges = /** @type {Range[]} */ ([]);
    const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
    while (walker.nextNode() && ranges.length < MARKED) {
      const node = /** @type {Text} */ (walker.currentNode), lower = node.data.toLowerCase();
      // Of some letters the small form is longer: then it cannot be said where it stands.
      if (lower.length !== node.data.length) continue;
      for (let at = lower.indexOf(text); at >= 0; at = lower.indexOf(text, at + text.length)) {
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, at + text.length);
        ranges.push(range);
      }
    }
    return ranges;
  }
}
