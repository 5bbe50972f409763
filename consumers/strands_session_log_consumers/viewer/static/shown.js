// What of the conversation that is loaded is seen at a point. A step touches what it changes, and asks for no layout
// but that of the last item.

/**
 * @typedef {{ element: HTMLElement, since: number, until: number, isItem: boolean, agent: string, isAnswer: boolean, hasFailed: boolean,
 *   away: boolean, hidden: boolean, undone: boolean, here: boolean }} Part
 */

export class Shown {
  /** @param {HTMLElement} talk */
  constructor(talk) {
    this.talk = talk;
    /** @type {Part[]} */
    this.parts = [];
    /** What ran within something, by the event it began with. @type {Map<string, Part[]>} */
    this.groups = new Map();
  }

  /** Look anew at what is loaded: everything knows from which revision on it is there, and until which. */
  collect() {
    this.parts = [...this.talk.querySelectorAll("[data-from]")].map((one) => partOf(/** @type {HTMLElement} */ (one)));
    this.groups.clear();
    for (const part of this.parts) {
      const { within } = part.element.dataset;
      if (!part.isItem || !within) continue;
      const group = this.groups.get(within);
      if (group) group.push(part); else this.groups.set(within, [part]);
    }
  }

  /**
   * @param {number} point @param {[number, number][]} spans The revisions that count. @param {boolean} follows Whether it is shown as it goes on.
   * @param {{ isOfLane: (agent: string) => boolean, folding: import("./folding.js").Folding }} chosen What somebody wants to see of it.
   */
  at(point, spans, follows, { isOfLane, folding }) {
    for (const part of this.parts) part.away = part.since > point || part.until <= point || (part.isItem && !isOfLane(part.agent));
    folding.apply(this.groups, point, follows);
    for (const part of this.parts) {
      const { element, since, away } = part;
      if (away !== part.hidden) element.hidden = part.hidden = away;
      if (!part.isItem) continue;
      const undone = !spans.some(([first, last]) => since >= first && since <= last), here = !follows && since === point;
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

/** @param {HTMLElement} element @returns {Part} */
function partOf(element) {
  const { from, until, agent = "" } = element.dataset, { classList } = element, isItem = classList.contains("item");
  return {
    element, isItem, agent, since: Number(from), until: Number(until ?? Infinity),
    isAnswer: isItem && classList.contains("assistant"), hasFailed: isItem && (classList.contains("failed") || element.querySelector(".failed") !== null),
    away: Boolean(element.hidden), hidden: Boolean(element.hidden), undone: isItem && classList.contains("undone"), here: isItem && classList.contains("here"),
  };
}
