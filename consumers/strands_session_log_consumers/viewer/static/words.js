// What agents are saying, word by word, until the message stands in the log. Nothing of it is ever read as HTML.

const MOST = 20_000;
// Characters that turn the direction of what follows, or are not seen: shown as such, as in everything else.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;
const NAMES = /** @type {Record<string, string>} */ ({ "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO", "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\u200b": "ZWSP", "\ufeff": "BOM" });
const seen = (/** @type {string} */ text) => text.replace(UNSEEN, (one) => `‹${NAMES[one] ?? `U+${(one.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`}›`);

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
