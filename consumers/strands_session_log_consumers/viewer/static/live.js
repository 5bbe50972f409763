// What changes while a page is open: one stream of server-sent events, and what is said where it breaks off.

const SILENCE = 25_000, AGAIN = 1000, AGAIN_MOST = 15_000, BREAK = 2500, HIDDEN = 20_000, AGES = 10_000;

/** @type {Record<string, ((data: any) => void)[]>} */
const takers = {};
/** @type {EventSource | null} */
let source = null;
let pause = AGAIN;
let last = "", asked = "", heard = Date.now(), opened = 0, again = 0, hiding = 0;
/** @type {{ away: string | null, answered?: string, refusal?: string }} */
let server = { away: null };

/** Have something done with what comes. @param {string} event @param {(data: any) => void} take */
export function on(event, take) {
  (takers[event] ??= []).push(take);
  source?.addEventListener(event, (message) => taken(event, /** @type {MessageEvent} */ (message)));
}

/** @param {string} event @param {MessageEvent} message */
function taken(event, message) {
  heard = Date.now();
  if (message.lastEventId) last = message.lastEventId;
  const data = message.data ? JSON.parse(message.data) : null;
  for (const take of takers[event] ?? []) take(data);
}

/** What this page is to be told of: what it says itself, and what its address asks for. */
function wanted() {
  const given = new URLSearchParams(/** @type {HTMLElement | null} */ (document.querySelector("main [data-live]"))?.dataset.live ?? "");
  if (given.has("list")) for (const [name, value] of new URLSearchParams(location.search)) if (name !== "before") given.set(name, value);
  if (last) given.set("after", last);
  return given;
}

/** Listen, from where it was left. */
export function connect() {
  source?.close();
  clearTimeout(again);
  asked = location.search;
  const stream = source = new EventSource(`${document.body.dataset.live}?${wanted()}`);
  stream.addEventListener("open", () => { opened = heard = Date.now(); pause = AGAIN; tell(); });
  stream.addEventListener("error", () => {
    if (stream !== source) return;
    opened = 0;
    // A browser comes back by itself after a connection was lost, but not after a refusal.
    if (stream.readyState === EventSource.CLOSED) {
      again = window.setTimeout(connect, pause);
      pause = Math.min(AGAIN_MOST, pause * 2);
    }
    window.setTimeout(tell, BREAK);
  });
  for (const event of Object.keys(takers)) stream.addEventListener(event, (message) => taken(event, message));
}

/** Listen no more. */
export function disconnect() {
  clearTimeout(again);
  source?.close();
  source = null;
}

const clock = (/** @type {string | number} */ time) => new Date(time).toLocaleTimeString(undefined, { hourCycle: "h23" });

/** Say what is the matter, if anything is. */
function tell() {
  const banner = /** @type {HTMLElement} */ (document.getElementById("away"));
  const text = trouble();
  document.body.dataset.server = text ? "away" : "here";
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = !text;
}

function trouble() {
  if (source && !opened && Date.now() - heard > BREAK) return `The viewer does not answer since ${clock(heard)}, trying again; this is what was read by then.`;
  if (!server.away) return "";
  if (server.refusal) return `The server refuses: ${server.refusal}`;
  return `The server is away since ${clock(server.away)}, trying again; this is what was read at ${clock(server.answered ?? server.away)}.`;
}

/** How long ago, in one part. @param {number} ms */
function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  return seconds < 3600 ? `${Math.floor(seconds / 60)} m` : seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

setInterval(() => {
  for (const time of /** @type {NodeListOf<HTMLTimeElement>} */ (document.querySelectorAll("time[data-age]"))) {
    const text = age(Date.now() - Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
  if (source && opened && Date.now() - heard > SILENCE) { opened = 0; connect(); }
  tell();
}, AGES);

on("ping", () => {});
on("server", (data) => { server = data; tell(); });
on("waiting", ({ count }) => {
  const badge = document.getElementById("waiting");
  if (badge) badge.textContent = count ? count.toLocaleString("en") : "";
  document.dispatchEvent(new CustomEvent("viewer:waiting", { detail: { count } }));
});

// A browser has six connections for all pages of a server: one that nobody sees needs none, and catches up.
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = window.setTimeout(disconnect, HIDDEN);
  else if (!source) connect();
});
addEventListener("pagehide", disconnect);
addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
document.addEventListener("htmx:after:swap", () => {
  if (location.search !== asked && /** @type {HTMLElement | null} */ (document.querySelector("main [data-live^=list]"))) { last = ""; connect(); }
});
// After the modules that take something.
setTimeout(connect);
