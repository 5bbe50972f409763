// In a browser: the page begins the run of its thread, and comes back to it when it is loaded anew.
import { persist, talk } from "./agent.mjs";

window.heard = 0;
window.talk = talk;
window.follow = async (urls, thread) => {
  const isBegun = localStorage.getItem(thread) === "begun";
  localStorage.setItem(thread, "begun");
  window.ended = await persist(urls, thread, isBegun, () => void (window.heard += 1));
};
