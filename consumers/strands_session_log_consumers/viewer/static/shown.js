// What of the conversation that is loaded is seen at a point. A step touches what it changes, and asks for no layout
// but that of the last item.

/** @typedef {{ element: HTMLElement, since: number, until: number, isItem: boolean, hidden: boolean, undone: boolean, here: boolean }} Part */

export class Shown {
  /** @param {HTMLElement} talk */
  constructor(talk) {
    this.talk = talk;
    /** @type {Part[]} */
    this.parts = [];
  }

  /** Look anew at what is loaded: everything knows from which revision on it is there, and until which. */
  collect() {
    this.parts = [...this.talk.querySelectorAll("[data-from]")].map((one) => {
      const element = /** @type {HTMLElement} */ (one), { from, until } = element.dataset;
      const isItem = element.classList.contains("item");
      return {
        element, isItem, since: Number(from), until: Number(until ?? Infinity), hidden: element.hidden,
        undone: isItem && element.classList.contains("undone"), here: isItem && element.classList.contains("here"),
      };
    });
  }

  /** @param {number} point @param {[number, number][]} spans The revisions that count. @param {number} marked Which is told apart; 0 for none. */
  at(point, spans, marked) {
    for (const part of this.parts) {
      const { element, since, until } = part;
      const hidden = since > point || until <= point;
      if (hidden !== part.hidden) element.hidden = part.hidden = hidden;
      if (!part.isItem) continue;
      const undone = !spans.some(([first, last]) => since >= first && since <= last), here = since === marked;
      if (undone !== part.undone) element.classList.toggle("undone", part.undone = undone);
      if (here !== part.here) element.classList.toggle("here", part.here = here);
    }
  }

  /** The last item that is seen. @returns {HTMLElement | null} */
  last() {
    for (let at = this.parts.length - 1; at >= 0; at--) {
      const { element, isItem, hidden } = this.parts[at];
      if (isItem && !hidden && element.getClientRects().length) return element;
    }
    return null;
  }
}
