// Sheets: what is told or asked in a dialog, and in a page of its own without scripts. And the check that the header tells of.

const AGAIN = 50, AFTER_FAILURE = 3000, BETWEEN = 1000, PATIENCE = 5000, REPORTED = 400;

/** @type {any} */
const { viewer, htmx } = window;
const PART = { "HX-Request": "true" };
const dialog = document.createElement("dialog");
dialog.id = "sheet-dialog";
dialog.tabIndex = -1;
dialog.setAttribute("aria-labelledby", "sheet-title");
document.body.append(dialog);

/** @param {string} text @param {Element} target @param {string} swap */
async function put(text, target, swap) {
  const into = target.parentElement ?? document.body;
  await htmx.swap({ text, target, swap, sourceElement: target });
  const root = dialog.open || dialog === target ? dialog : into;
  remembered(root);
  waiting(root);
  // What had the focus may be gone with what was there.
  if (document.activeElement === document.body && root === dialog) dialog.focus();
}

/** @param {string} url */
async function load(url) {
  const answer = await fetch(url, { headers: PART });
  await put(await answer.text(), dialog, "innerHTML");
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

/** What is told anew after a while. @param {Element} root */
function waiting(root) {
  for (const one of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-again]"))) {
    const url = one.dataset.url ?? "", target = one.closest(".sheet");
    delete one.dataset.again;
    setTimeout(async () => {
      if (!one.isConnected || !target) return;
      if (dialog.contains(one) && !dialog.open) return;
      const answer = await fetch(url, { headers: PART }).catch(() => null);
      if (answer?.ok && one.isConnected) await put(await answer.text(), target, "outerHTML");
      else if (one.isConnected) { one.dataset.again = ""; setTimeout(() => waiting(root), AFTER_FAILURE); }
    }, REPORTED);
  }
}

/** Who somebody is stays the same from form to form. @param {Element} root */
function remembered(root) {
  for (const one of /** @type {NodeListOf<HTMLInputElement>} */ (root.querySelectorAll("input[data-person]"))) {
    if (!one.value) one.value = localStorage.getItem("person") ?? "";
  }
}

document.addEventListener("click", (event) => {
  const link = /** @type {HTMLElement} */ (event.target).closest("a[data-dialog], a[data-back], [data-copy]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (link instanceof HTMLAnchorElement && link.hasAttribute("data-dialog")) {
    event.preventDefault();
    const url = new URL(link.href);
    const slider = /** @type {HTMLInputElement | null} */ (document.getElementById("slider"));
    if (link.hasAttribute("data-here") && slider) url.searchParams.set("at", slider.value);
    link.closest("details.menu")?.removeAttribute("open");
    load(url.href).catch(() => { location.href = url.href; });
  } else if (link.hasAttribute("data-copy")) {
    navigator.clipboard?.writeText(link.textContent ?? "").then(() => link.classList.add("good"));
  } else {
    event.preventDefault();
    const item = link.closest(".asked");
    const data = new URLSearchParams();
    for (const name of ["session", "interrupt"]) data.set(name, /** @type {HTMLInputElement} */ (item?.querySelector(`input[name=${name}]`)).value);
    const url = new URL(/** @type {HTMLAnchorElement} */ (link).href);
    fetch(`${url.pathname.replace(/\/inbox$/, "/f/inbox/item")}?${data}`, { headers: PART }).then(async (answer) => item && put(await answer.text(), item, "outerHTML"));
  }
});

document.addEventListener("submit", async (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target), submitter = /** @type {HTMLElement | null} */ (event.submitter);
  const person = /** @type {HTMLInputElement | null} */ (form.querySelector("input[data-person]"));
  if (person?.value) localStorage.setItem("person", person.value);
  const target = form.dataset.into ? form.closest(form.dataset.into) : dialog.contains(form) ? form.closest(".sheet") : null;
  if (!target || form.method === "dialog") return;
  event.preventDefault();
  const data = new URLSearchParams(/** @type {any} */ (new FormData(form, submitter)));
  submitter?.setAttribute("disabled", "");
  const isGet = form.method === "get";
  const answer = await fetch(isGet ? `${form.action}?${data}` : form.action, isGet ? { headers: PART } : { method: "POST", headers: PART, body: data });
  await put(await answer.text(), target, "outerHTML");
});

// The dialog goes with a click beside it, as with Esc.
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("close", () => dialog.replaceChildren());

// How far the events are checked

const verified = document.getElementById("verified"), page = document.getElementById("session");
let checking = false, checkedHead = "", soon = 0;

async function check() {
  if (!verified || !page || checking || document.hidden) return;
  checking = true;
  const slider = /** @type {HTMLInputElement} */ (document.getElementById("slider"));
  let again = 0;
  try {
    checkedHead = slider.max;
    const answer = await fetch(`${page.dataset.fragments}/verify`, { headers: PART });
    if (!answer.ok) throw new Error(`${answer.status}`);
    await htmx.swap({ text: await answer.text(), target: verified, swap: "innerHTML", sourceElement: verified });
    again = verified.querySelector("[data-going]") ? AGAIN : slider.max !== checkedHead ? BETWEEN : 0;
  } catch {
    again = AFTER_FAILURE;
  }
  checking = false;
  clearTimeout(soon);
  if (again) soon = window.setTimeout(check, again);
}

if (verified && page) {
  const slider = /** @type {HTMLInputElement} */ (document.getElementById("slider"));
  new MutationObserver(() => {
    if (slider.max === checkedHead || checking) return;
    clearTimeout(soon);
    soon = window.setTimeout(check, BETWEEN);
  }).observe(slider, { attributes: true, attributeFilter: ["max"] });
  document.addEventListener("visibilitychange", check);
  // The timeline first: both read the whole session, and people wait for that one.
  document.addEventListener("viewer:indexed", check, { once: true });
  soon = window.setTimeout(check, PATIENCE);
}

Object.assign(viewer.actions, {
  verify: () => { const link = verified?.querySelector("a"); if (link) load(link.href); },
  "close-sheet": () => { if (dialog.open) dialog.close(); else history.back(); },
});
viewer.filled = (/** @type {HTMLElement} */ root) => { remembered(root); waiting(root); };
viewer.filled(document.body);
