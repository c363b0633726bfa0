// The list of all questions: filters, search, order, pages and keys. Rows are read from the parts of the page as they are needed.
"use strict";
(async () => {
  const ROWS_OF_PAGE = 25;
  const { make } = Detail;
  const at = (id) => document.getElementById(id);
  const list = at("rows"), form = at("choices"), detail = at("detail");
  if (!Parts.supported) {
    list.append(make("li", "missing", "This browser cannot unpack the list: use one from 2023 or later."));
    return;
  }

  const index = await Parts.read("question-index");
  const byName = Object.fromEntries(index.filters.map((filter) => [filter.name, filter]));
  const state = { page: 0, shown: [], found: null, search: 0, active: 0 };
  const number = (value) => value.toLocaleString("en");

  // Filters and order.

  const addFilter = (filter) => {
    const counts = new Array(filter.values.length).fill(0);
    for (const code of filter.codes) counts[code] += 1;
    const select = make("select", "", new Option("All", ""));
    filter.values.forEach((title, code) => select.append(new Option(`${title} (${number(counts[code])})`, code)));
    select.id = `filter-${filter.name}`;
    select.addEventListener("change", apply);
    form.insertBefore(make("label", "", `${filter.title} `, select), form.lastElementChild);
  };

  const compare = (name) => (a, b) => byName[name].codes[a] - byName[name].codes[b];
  const ORDERS = {
    worst: (a, b) => a - b,
    time: (a, b) => compare("log")(a, b) || index.frames[a] - index.frames[b] || a - b,
    type: (a, b) => compare("type")(a, b) || a - b,
  };

  const apply = () => {
    const wanted = index.filters
      .map((filter) => [filter.codes, at(`filter-${filter.name}`).value])
      .filter(([, value]) => value !== "")
      .map(([codes, value]) => [codes, Number(value)]);
    const shown = [];
    for (let row = 0; row < index.count; row += 1) {
      if (state.found && !state.found[row]) continue;
      if (wanted.every(([codes, value]) => codes[row] === value)) shown.push(row);
    }
    state.shown = at("order").value === "worst" ? shown : shown.sort(ORDERS[at("order").value]);
    turn(0);
  };

  // Search: part after part, so that the page stays alive; a newer search ends an older one.

  const search = async () => {
    const words = at("search").value.trim().toLowerCase();
    const own = (state.search += 1);
    if (!words) {
      state.found = null;
      return apply();
    }
    const found = new Uint8Array(index.count);
    const parts = Math.ceil(index.count / index.rows_of_part);
    for (let part = 0; part < parts; part += 1) {
      const { fields, rows } = await Parts.read(`questions-${part}`);
      if (own !== state.search) return undefined;
      const searched = ["qa_id", "question", "truth", "text", "verdict", "facts"].map((name) => fields.indexOf(name));
      rows.forEach((row, place) => {
        const text = searched.map((field) => row[field]).join("\n").toLowerCase();
        if (text.includes(words)) found[part * index.rows_of_part + place] = 1;
      });
      at("matches").textContent = `searched ${part + 1} of ${parts} parts`;
    }
    state.found = found;
    return apply();
  };

  // Pages and rows.

  const pages = () => Math.max(1, Math.ceil(state.shown.length / ROWS_OF_PAGE));
  const numbers = () => state.shown.slice(state.page * ROWS_OF_PAGE, (state.page + 1) * ROWS_OF_PAGE);
  const outcomeOf = (row) => {
    const { codes, keys, values } = byName.outcome;
    return { name: keys[codes[row]], title: values[codes[row]] };
  };

  const line = (row, record, place) => {
    const outcome = outcomeOf(row);
    const type = byName.type.values[byName.type.codes[row]];
    const button = make(
      "button", "",
      make("span", "outcome", make("strong", "", outcome.title), make("span", "", ` ${record.verdict}`)),
      make("span", "question", record.question),
      make("span", "said", make("small", "", "Model "), record.text || "(nothing)"),
      make("span", "truth", make("small", "", "Truth "), record.truth),
      make("span", "facts", ...[type, ...record.facts].map((fact) => make("span", "", fact))),
    );
    button.type = "button";
    button.addEventListener("click", () => open(place));
    return make("li", outcome.name, button);
  };

  /** Shows a page; `focus` is the place of the row that gets the focus, if any. */
  const turn = async (page, focus = null) => {
    state.page = Math.min(Math.max(page, 0), pages() - 1);
    const own = numbers();
    at("matches").textContent = `${number(state.shown.length)} of ${number(index.count)} questions`;
    at("place").textContent = `page ${number(state.page + 1)} of ${number(pages())}`;
    at("previous").disabled = state.page === 0;
    at("next").disabled = state.page === pages() - 1;
    const records = await Parts.records("questions", own, index.rows_of_part);
    if (own.join() !== numbers().join()) return;
    list.replaceChildren(...records.map((record, place) => line(own[place], record, place)));
    if (focus !== null) list.children[Math.min(focus, list.children.length - 1)]?.firstElementChild.focus();
  };

  const open = async (place) => {
    state.active = place;
    const row = numbers()[place];
    const [record] = await Parts.records("questions", [row], index.rows_of_part);
    const where = `${number(state.page * ROWS_OF_PAGE + place + 1)} of ${number(state.shown.length)}`;
    Detail.show(detail, record, outcomeOf(row), where);
  };

  /** Goes on by one question, over the end of a page too, in the list or in the opened question. */
  const step = async (by) => {
    const focused = [...list.children].findIndex((item) => item.contains(document.activeElement));
    let place = detail.open ? state.active + by : focused + by;
    if (!detail.open && focused < 0) place = 0;
    const to = state.page * ROWS_OF_PAGE + place;
    if (to < 0 || to >= state.shown.length) return;
    const page = Math.floor(to / ROWS_OF_PAGE);
    place = to % ROWS_OF_PAGE;
    if (page !== state.page) await turn(page, detail.open ? null : place);
    else if (!detail.open) list.children[place].firstElementChild.focus();
    if (detail.open) await open(place);
  };

  // Keys.

  const keyOf = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea")) return null;
    const inList = detail.open || list.contains(event.target);
    if (event.key.startsWith("Arrow") && !inList) return null;
    return event.key;
  };
  const turnBy = (by) => (detail.open ? step(by) : turn(state.page + by, 0));
  const KEYS = {
    j: () => step(1),
    k: () => step(-1),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    ArrowRight: () => turnBy(1),
    ArrowLeft: () => turnBy(-1),
    "/": () => at("search").focus(),
    "?": () => at("keys").showModal(),
  };
  document.addEventListener("keydown", (event) => {
    const act = KEYS[keyOf(event)];
    if (!act || at("keys").open || (detail.open && "/?".includes(event.key))) return;
    event.preventDefault();
    act();
  });

  detail.addEventListener("click", (event) => {
    const name = event.target.closest(".bar-of-detail button")?.className;
    if (name === "before") step(-1);
    if (name === "after") step(1);
    if (name === "close" || event.target === detail) detail.close();
  });
  detail.addEventListener("close", () => list.children[state.active]?.firstElementChild.focus());

  let waiting;
  at("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 250);
  });
  at("search").addEventListener("keydown", (event) => {
    if (event.key === "Escape") at("search").blur();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(search));
  at("order").addEventListener("change", apply);
  at("previous").addEventListener("click", () => turn(state.page - 1));
  at("next").addEventListener("click", () => turn(state.page + 1));

  index.filters.forEach(addFilter);
  form.hidden = at("pager").hidden = false;
  apply();
})();
