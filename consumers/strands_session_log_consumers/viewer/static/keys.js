// What every page does: keys, themes, times as this browser has them, and what the server is doing.
(() => {
  "use strict";
  /** @type {Record<string, (event?: Event) => void>} */
  const actions = {
    theme() {
      const dark = matchMedia("(prefers-color-scheme: dark)").matches;
      const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
      const next = now === "dark" ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      localStorage.setItem("theme", next);
      document.dispatchEvent(new CustomEvent("viewer:theme"));
    },
    help() {
      /** @type {HTMLDialogElement} */ (document.getElementById("help")).showModal();
    },
    find() {
      /** @type {HTMLInputElement | null} */ (document.querySelector('input[type="search"]'))?.focus();
    },
    "go-sessions"() { location.href = /** @type {HTMLAnchorElement} */ (document.querySelector(".brand")).href; },
    "go-inbox"() { location.href = /** @type {HTMLAnchorElement} */ (document.querySelectorAll(".bar nav a")[1]).href; },
    "row-next"() { row(1); },
    "row-back"() { row(-1); },
    open() { /** @type {HTMLAnchorElement | null} */ (document.querySelector("tr.current .id a"))?.click(); },
  };
  /** @type {Record<string, string>} */
  const keys = { t: "theme", "?": "help", "/": "find", j: "row-next", k: "row-back", Enter: "open" };

  /** @param {number} step */
  function row(step) {
    const rows = [...document.querySelectorAll("#rows > tr:not(.more)")];
    const at = rows.findIndex((one) => one.classList.contains("current"));
    rows[at]?.classList.remove("current");
    const next = rows[Math.max(0, Math.min(rows.length - 1, at + step))];
    next?.classList.add("current");
    next?.scrollIntoView({ block: "nearest" });
  }

  const viewer = { actions, keys };
  Object.assign(window, { viewer });

  let before = "";
  document.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    if (target.closest("input:not([type=range]), textarea, select") || target.isContentEditable) return;
    if (event.key.length === 1 && event.key !== " " && localStorage.getItem("keys") === "off") return;
    if (event.key === " " && target.closest("button, a, summary")) return;
    if (event.key === "Enter" && target.closest("button, a, summary")) return;
    const name = (event.shiftKey && event.key.length > 1 ? "Shift " : "") + event.key;
    const wanted = before === "g" && name === "s" ? "go-sessions" : before === "g" && name === "i" ? "go-inbox" : keys[name];
    before = name;
    if (!wanted || !actions[wanted]) return;
    event.preventDefault();
    actions[wanted](event);
  });
  document.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("[data-do]");
    const action = button && actions[/** @type {HTMLElement} */ (button).dataset.do ?? ""];
    if (!action) return;
    event.preventDefault();
    action(event);
  });

  const single = /** @type {HTMLInputElement | null} */ (document.getElementById("single-keys"));
  if (single) {
    single.checked = localStorage.getItem("keys") !== "off";
    single.addEventListener("change", () => localStorage.setItem("keys", single.checked ? "on" : "off"));
  }

  // The server says UTC; who looks wants the time of the clock on the wall.
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  /** @param {ParentNode} root */
  function localTimes(root) {
    for (const time of root.querySelectorAll("time[data-time]")) {
      time.textContent = clock.format(new Date(/** @type {HTMLTimeElement} */ (time).dateTime));
      time.removeAttribute("data-time");
    }
  }
  localTimes(document);
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node instanceof Element) localTimes(node.parentElement ?? document);
  }).observe(document.body, { childList: true, subtree: true });
})();
