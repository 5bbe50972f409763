// Playing: the events of a session in the time they took, with long pauses shortened.

import { FLAG, lasted } from "./columns.js";

const PAUSE = 2000, FRAME = 16, LEAST = 50, SAID = 1200;
export const SPEEDS = [0.5, 1, 10, 100];

export class Playing {
  /**
   * @param {import("./columns.js").Columns} columns
   * @param {() => { head: number, point: number }} standing
   * @param {(revision: number) => unknown} go
   * @param {HTMLElement} skipped Where it is said which pause is passed over.
   */
  constructor(columns, standing, go, skipped) {
    this.columns = columns;
    this.standing = standing;
    this.go = go;
    this.skipped = skipped;
    this.speed = 1;
    this.stopsAtErrors = localStorage.getItem("stop-at-errors") === "yes";
    this.timer = 0;
    this.saying = 0;
  }

  get isOn() { return this.timer !== 0; }

  toggle() { if (this.isOn) this.stop(); else this.start(); }

  start() {
    const { point, head } = this.standing();
    if (point >= head) this.go(1);
    this.#button("⏸", "Pause");
    this.#step();
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.skipped.textContent = "";
    this.#button("▶", "Play");
  }

  /** Somebody went elsewhere meanwhile: it goes on from there. */
  moved() {
    if (!this.isOn) return;
    clearTimeout(this.timer);
    this.#step();
  }

  /** @param {string} sign @param {string} name */
  #button(sign, name) {
    const button = document.querySelector('[data-do="play"]');
    if (button) { button.textContent = sign; button.setAttribute("aria-label", name); }
  }

  #step() {
    const { point, head } = this.standing();
    if (point >= head) { this.stop(); return; }
    const { next, wait, longest } = this.#after(point, head);
    if (longest > PAUSE) this.#say(longest);
    this.timer = window.setTimeout(() => {
      this.go(next);
      if (this.stopsAtErrors && this.columns.flags(next) & FLAG.error) this.stop(); else this.#step();
    }, Math.max(FRAME, wait));
  }

  /** Above 20 steps a second frames are drawn, not each event. @param {number} point @param {number} head */
  #after(point, head) {
    let next = point, wait = 0, longest = 0;
    do {
      next++;
      const pause = Math.max(0, this.columns.ms(next) - this.columns.ms(next - 1) || 0);
      wait += Math.min(PAUSE, pause) / this.speed;
      longest = Math.max(longest, pause);
    } while (next < head && wait < LEAST && !(this.stopsAtErrors && this.columns.flags(next) & FLAG.error));
    return { next, wait, longest };
  }

  /** @param {number} ms */
  #say(ms) {
    clearTimeout(this.saying);
    this.skipped.textContent = `skipped ${lasted(ms)}`;
    this.saying = window.setTimeout(() => { this.skipped.textContent = ""; }, SAID);
  }
}
