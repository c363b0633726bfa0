// The list of flipped questions: filters, pages and keys. Records are read from the parts of the page as they are needed.
"use strict";
(async () => {
  const ROWS_OF_PAGE = 25;
  const at = (id) => document.getElementById(id);
  const list = at("rows"), form = at("choices");
  if (!list) return;

  const make = (tag, name, ...content) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    node.append(...content);
    return node;
  };
  if (!Parts.supported) {
    list.append(make("li", "missing", "This browser cannot unpack the list: use one from 2023 or later."));
    return;
  }

  const index = await Parts.read("flip-index");
  const state = { page: 0, shown: [] };
  const number = (value) => value.toLocaleString("en");
  const pages = () => Math.max(1, Math.ceil(state.shown.length / ROWS_OF_PAGE));
  const numbers = () => state.shown.slice(state.page * ROWS_OF_PAGE, (state.page + 1) * ROWS_OF_PAGE);

  const addFilter = (filter) => {
    const counts = new Array(filter.values.length).fill(0);
    for (const code of filter.codes) counts[code] += 1;
    const select = make("select", "", new Option("All", ""));
    filter.values.forEach((title, code) => select.append(new Option(`${title} (${number(counts[code])})`, code)));
    select.id = `filter-${filter.name}`;
    select.addEventListener("change", apply);
    form.insertBefore(make("label", "", `${filter.title} `, select), form.lastElementChild);
  };

  const apply = () => {
    const wanted = index.filters
      .map((filter) => [filter.codes, at(`filter-${filter.name}`)?.value ?? ""])
      .filter(([, value]) => value !== "")
      .map(([codes, value]) => [codes, Number(value)]);
    state.shown = [];
    for (let row = 0; row < index.count; row += 1) {
      if (wanted.every(([codes, value]) => codes[row] === value)) state.shown.push(row);
    }
    turn(0);
  };

  const told = (title, text) => make("div", "", make("small", "", title), text || "(nothing)");

  const line = (record, run) => {
    const tone = record.flip === "lost" && record.dangerous ? "dangerous" : record.flip;
    const words = { dangerous: "Lost, dangerous", lost: "Lost", gained: "Gained" }[tone];
    const row = make(
      "li", tone,
      make("p", "outcome", make("strong", "", words), ` in ${run}`),
      make("p", "question", record.question),
      make("div", "pair", told("Truth", record.truth), told("Base", record.base_text), told("This run", record.other_text)),
      make("p", "facts", ...record.facts.map((fact) => make("span", "", fact))),
    );
    row.tabIndex = -1;
    return row;
  };

  /** Shows a page; `focus` is the place of the row that gets the focus, if any. */
  const turn = async (page, focus = null) => {
    state.page = Math.min(Math.max(page, 0), pages() - 1);
    const own = numbers();
    at("matches").textContent = `${number(state.shown.length)} of ${number(index.count)} flipped questions`;
    at("place").textContent = `page ${number(state.page + 1)} of ${number(pages())}`;
    at("previous").disabled = state.page === 0;
    at("next").disabled = state.page === pages() - 1;
    const records = await Parts.records("flips", own, index.rows_of_part);
    if (own.join() !== numbers().join()) return;
    const runs = index.filters.find((filter) => filter.name === "run");
    list.replaceChildren(...records.map((record, place) => line(record, runs.values[runs.codes[own[place]]])));
    if (focus !== null) list.children[Math.min(focus, list.children.length - 1)]?.focus();
  };

  const step = (by) => {
    const rows = [...list.children];
    const place = rows.findIndex((row) => row.contains(document.activeElement)) + by;
    if (place >= rows.length) turn(state.page + 1, 0);
    else rows[Math.max(place, 0)]?.focus();
  };

  document.addEventListener("keydown", (event) => {
    const inForm = event.target.closest?.("select, input");
    if (event.altKey || event.ctrlKey || event.metaKey || inForm) return;
    const action = {
      j: () => step(1),
      k: () => step(-1),
      ArrowRight: () => turn(state.page + 1, 0),
      ArrowLeft: () => turn(state.page - 1, 0),
    }[event.key];
    const scrolled = event.key.startsWith("Arrow") && !list.contains(document.activeElement);
    if (!action || scrolled) return;
    event.preventDefault();
    action();
  });

  at("previous").addEventListener("click", () => turn(state.page - 1));
  at("next").addEventListener("click", () => turn(state.page + 1));
  form.addEventListener("reset", () => setTimeout(apply));
  index.filters.filter((filter) => filter.values.length > 1).forEach(addFilter);
  form.hidden = false;
  at("pager").hidden = false;
  apply();
})();
