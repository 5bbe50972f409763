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

  /**
   * What ran within is shown as its last message, unless somebody wants to see it or stands in it.
   * @param {Map<string, import("./shown.js").Part[]>} groups @param {number} point @param {boolean} follows
   */
  apply(groups, point, follows) {
    for (const [began, parts] of groups) {
      const isFolded = this.chosen.get(began) ?? (follows || !parts.some((one) => one.since === point));
      this.#label(began, isFolded, parts.length);
      if (!isFolded) continue;
      const last = parts.filter((one) => !one.away && one.isAnswer).pop();
      for (const one of parts) if (one !== last && !one.hasFailed) one.away = true;
    }
  }

  /** @param {string} began @param {boolean} isFolded @param {number} count */
  #label(began, isFolded, count) {
    const button = document.querySelector(`#r${began} > .fold`);
    const text = isFolded ? `▸ ${count}` : "▾";
    if (!button || (button.textContent === text && button.getAttribute("aria-expanded") === String(!isFolded))) return;
    button.textContent = text;
    button.setAttribute("aria-expanded", String(!isFolded));
    button.setAttribute("aria-label", `${isFolded ? "Unfold" : "Fold"} ${count} that ran within`);
  }
}
