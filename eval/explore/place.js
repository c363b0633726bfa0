// What is looked at, as it stands in the address after "#": a view and its parameters. Whoever opens the address sees the same.

const VIEWS = ["moment", "questions", "metrics"];

export function here() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { view: VIEWS.includes(path) ? path : "moment", ...Object.fromEntries(new URLSearchParams(query ?? "")) };
}

export function link({ view, ...parameters }) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  return `#/${view}${query ? `?${query}` : ""}`;
}

// Change some parameters. Small steps, such as frames, take the place of the last in the history of the browser.
export function go(changes, step = false) {
  const target = link({ ...here(), ...changes });
  if (target === location.hash) return;
  history[step ? "replaceState" : "pushState"](null, "", target);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
