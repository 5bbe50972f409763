// What is folded in the conversation: what ran within a call or a node, and the calls themselves.

const MOST_OPEN = 50;

export class Folding {
  /** @param {HTMLElement} talk @param {string} opened Which messages' calls are open, as an address has it. */
  constructor(talk, opened) {
    this.talk = talk;
    /** What was folded or unfolded by hand, by the event it began with. @type {Map<string, boolean>} */
    this.chosen = new Map();
    /** @type {Set<string>} */
    this.opened = new Set(opened.split(",").filter((one) => /^\d{1,15}$/.test(one)).slice(0, MOST_OPEN));
  }

  /** As an address has it. */
  get text() { return [...this.opened].slice(-MOST_OPEN).join(","); }

  /** Which calls are open that would not be. @param {HTMLDetailsElement} call */
  note(call) {
    const revision = call.closest(".item")?.id.slice(1);
    if (!revision || !call.matches(".call")) return false;
    const isOther = call.open !== call.classList.contains("failed");
    if (isOther === this.opened.has(revision)) return false;
    if (isOther) this.opened.add(revision); else this.opened.delete(revision);
    return true;
  }

  /** Open in what was just loaded what is open. */
  restore() {
    for (const revision of this.opened) {
      for (const call of document.getElementById(`r${revision}`)?.querySelectorAll("details.call:not(.failed)") ?? []) call.setAttribute("open", "");
    }
  }

  /** Fold or unfold what ran within something. @param {Element} button */
  toggle(button) {
    const began = button.closest(".item")?.id.slice(1) ?? "";
    this.chosen.set(began, button.getAttribute("aria-expanded") === "true");
  }

  /** What ran within is shown as its last message, unless somebody wants to see it or stands in it. @param {number} point @param {boolean} follows */
  apply(point, follows) {
    /** @type {Map<string, HTMLElement[]>} */
    const groups = new Map();
    for (const one of /** @type {NodeListOf<HTMLElement>} */ (this.talk.querySelectorAll(".item[data-within]"))) {
      const began = one.dataset.within ?? "", group = groups.get(began);
      if (group) group.push(one); else groups.set(began, [one]);
    }
    for (const [began, items] of groups) {
      const isFolded = this.chosen.get(began) ?? !isIn(items, point, follows);
      this.#label(began, isFolded, items.length);
      if (!isFolded) continue;
      const last = items.filter((one) => !one.hidden && one.classList.contains("assistant")).pop();
      for (const one of items) if (one !== last && !one.querySelector(".failed") && !one.classList.contains("failed")) one.hidden = true;
    }
  }

  /** @param {string} began @param {boolean} isFolded @param {number} count */
  #label(began, isFolded, count) {
    const button = document.querySelector(`#r${began} > .fold`);
    if (!button) return;
    button.textContent = isFolded ? `▸ ${count}` : "▾";
    button.setAttribute("aria-expanded", String(!isFolded));
    button.setAttribute("aria-label", `${isFolded ? "Unfold" : "Fold"} ${count} that ran within`);
  }
}

/** @param {HTMLElement[]} items @param {number} point @param {boolean} follows */
const isIn = (items, point, follows) => !follows && items.some((one) => Number(one.dataset.from) === point);
