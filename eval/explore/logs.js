// The list of logs with a search.

import { $, get, h, latest } from "./dom.js";
import { here, link } from "./place.js";

const last = latest();
let shown = [];

export async function showLogs(start = 0) {
  const found = await last(get("/api/logs", { search: $("#log-search").value, start }));
  if (!found) return shown;
  shown = start ? [...shown, ...found.logs] : found.logs;
  $("#log-count").textContent = found.count.toLocaleString("en");
  $("#log-list").replaceChildren(...shown.map(item));
  $("#more-logs").hidden = found.next === null;
  $("#more-logs").onclick = () => showLogs(found.next);
  markLog();
  return shown;
}

export function markLog() {
  const { log } = here();
  for (const entry of document.querySelectorAll("#log-list a")) {
    if (entry.dataset.log === log) entry.setAttribute("aria-current", "true");
    else entry.removeAttribute("aria-current");
  }
}

function item({ log, frames, tracks, questions }) {
  const count = (number, noun) => (number === null ? `no ${noun}` : `${number.toLocaleString("en")} ${noun}`);
  const facts = [count(frames, "frames"), tracks === null ? "no tracks" : null, count(questions, "questions")].filter((one) => one);
  return h("li", {}, h("a", { href: link({ view: "moment", log }), "data-log": log }, log, h("small", {}, facts.join(", "))));
}
