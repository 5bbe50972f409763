// What agents are saying, word by word, until the message stands in the log. Nothing of it is ever read as HTML.

import { seen } from "./columns.js";

const MOST = 20_000;

export class Words {
  /** @param {HTMLElement} place */
  constructor(place) {
    this.place = place;
    /** @type {Map<string, HTMLElement>} */
    this.speakers = new Map();
  }

  /** @param {{ agent: string, over?: boolean, begins?: boolean, pieces?: [string, string][] }[]} said */
  hear(said) {
    for (const one of said) {
      if (one.over || one.begins) this.over(one.agent);
      if (one.pieces) this.#add(one.agent, one.pieces);
    }
    this.place.hidden = !this.speakers.size;
  }

  /** The message of an agent is there, or never will be. @param {string} agent */
  over(agent) {
    this.speakers.get(agent)?.remove();
    this.speakers.delete(agent);
    this.place.hidden = !this.speakers.size;
  }

  /** @param {string} agent @param {[string, string][]} pieces */
  #add(agent, pieces) {
    const body = this.speakers.get(agent) ?? this.#begin(agent);
    for (const [kind, text] of pieces) {
      const end = /** @type {HTMLElement | null} */ (body.lastElementChild);
      const same = end?.dataset.kind === kind && kind !== "tool" ? end : body.appendChild(document.createElement("span"));
      same.dataset.kind = kind;
      // Of a message beyond all measure the end is enough; the whole comes when it is in the log.
      same.textContent = (same.textContent + seen(text)).slice(-MOST);
    }
  }

  /** @param {string} agent */
  #begin(agent) {
    const body = document.createElement("div"), who = document.createElement("bdi");
    body.className = "utterance";
    body.dir = "auto";
    who.className = "who";
    who.textContent = seen(agent);
    body.append(who);
    this.place.append(body);
    this.speakers.set(agent, body);
    return body;
  }
}
