// Before anything is drawn: light or dark, as it was chosen here.
(() => {
  const root = document.documentElement;
  const chosen = localStorage.getItem("theme");
  if (chosen) root.dataset.theme = chosen;
})();
