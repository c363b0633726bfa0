// Questions that fit the filters of the address, of one moment or of the whole store, and one of them in full.

import { $, address, get, h, latest, plain, tell } from "./dom.js";
import { go, here, link } from "./place.js";

const FILTERS = ["family", "type", "form", "split", "outcome"];
const ASKED = [...FILTERS, "group", "category", "text", "evaluation", "answerer", "metric"];
const lastDetail = latest();
let found = { rows: [], added: null, next: null };
let listed = "";

export async function showQuestions(root, about, fixedPart) {
  drawFilters(root, about);
  const wanted = { ...filters(about), ...fixedPart };
  const key = JSON.stringify([root.id, wanted]);
  if (key !== listed) {
    $("[data-list]", root).classList.add("late");
    const page = await get("/api/questions", wanted);
    listed = key;
    found = { ...page, rows: page.questions, added: null };
    const asked = location.hash;
    while (!found.rows.length && found.next && location.hash === asked) await lookOn(wanted);
  }
  await addChosen().catch(tell);
  draw(root, about, wanted);
}

// The question that the address names, where it stands on a later page.
async function addChosen() {
  const { view, log, question } = here();
  if (found.added?.qa_id !== question) found.added = null;
  if (view !== "moment" || !question || chosen()) return;
  const row = await get("/api/question", { log, question });
  found.added = { ...row, answers: row.answers.filter((answer) => answer?.name === "model") };
}

const rows = () => (found.added ? [found.added, ...found.rows] : found.rows);

function filters(about) {
  const now = here();
  const names = now.view === "questions" ? [...ASKED, "log", "track"] : ASKED;
  const given = names.filter((name) => now[name] && (name !== "outcome" || about.evaluations.length));
  return Object.fromEntries(given.map((name) => [name, now[name]]));
}

async function more(root, about, wanted) {
  await lookOn(wanted).catch(tell);
  draw(root, about, wanted);
}

async function lookOn(wanted) {
  const page = await get("/api/questions", { ...wanted, at_log: found.next.log, at_offset: found.next.offset });
  const count = found.rows.length + page.count;
  found = { ...found, rows: [...found.rows, ...page.questions], count, complete: page.complete, next: page.next };
}

function draw(root, about, wanted) {
  const list = $("[data-list]", root);
  list.classList.remove("late");
  list.replaceChildren(...rows().map((row) => item(row, root.id === "questions")));
  const count = found.count.toLocaleString("en");
  $("[data-count]", root).textContent = found.complete ? count : `${count} or more`;
  if (!rows().length) list.append(h("li", { class: "missing" }, found.complete ? "No question fits." : "No question fits in the logs looked through so far."));
  const button = $("[data-more]", root);
  button.hidden = found.next === null;
  button.onclick = () => more(root, about, wanted);
  const open = $("li[aria-current]", list);
  if (open) list.scrollTop = open.offsetTop;
  if (open) detail(open, rows().find((row) => row.qa_id === open.dataset.question));
}

function drawFilters(root, about) {
  const place = $("[data-filters]", root);
  const now = here();
  if (!place.childElementCount) {
    const names = FILTERS.filter((name) => name !== "outcome" || about.evaluations.length);
    place.append(...names.map((name) => select(name, about)));
    const search = h("input", { type: "search", placeholder: "Search questions", "aria-label": "Search questions", name: "text", autocomplete: "off", spellcheck: "false" });
    search.addEventListener("change", () => go({ text: search.value, question: "" }));
    place.append(search, h("button", { type: "button", onclick: clear }, "Clear"));
  }
  for (const field of place.querySelectorAll("[name]")) field.value = now[field.name] ?? "";
}

function select(name, about) {
  const options = about.values[name].map((value) => h("option", { value }, about.outcomes[value] ?? plain(value)));
  const field = h("select", { name, "aria-label": name }, h("option", { value: "" }, `any ${name}`), ...options);
  field.addEventListener("change", () => go({ [name]: field.value, question: "" }));
  return field;
}

function clear() {
  const { view, log, frame, boxes, track } = here();
  const kept = view === "moment" ? { log, frame, boxes, track } : {};
  const dropped = Object.fromEntries(Object.keys(here()).map((name) => [name, ""]));
  go({ ...dropped, ...kept, view });
}

function item(row, everywhere) {
  const now = here();
  const open = now.question === row.qa_id;
  const where = { view: "moment", log: row.log_id, frame: row.frame, question: row.qa_id };
  const target = everywhere ? where : { ...now, question: open ? "" : row.qa_id };
  const facts = [row.title, plain(row.form), plain(row.slices?.category), everywhere ? `${row.log_id}, frame ${row.frame}` : null, `truth: ${row.answer}`];
  const outcomes = row.answers.filter((answer) => answer).map(outcome);
  const head = h("a", { href: link(target) }, h("span", { class: "question" }, row.question), ...outcomes);
  const note = h("small", {}, facts.filter((fact) => fact).join(" · "));
  return h("li", { "data-question": row.qa_id, "aria-current": open && !everywhere ? "true" : null }, head, note);
}

function outcome(answer) {
  return h("span", { class: `mark ${answer.outcome}`, title: `${answer.title}: ${answer.outcome}` }, answer.text ?? "(no answer)");
}

async function detail(place, row) {
  const body = h("div", { class: "detail" });
  place.append(body);
  if (row.options?.length) body.append(h("p", { class: "options" }, ...row.options.map((option) => h("span", {}, option))));
  body.append(h("p", {}, h("span", { class: "n" }, "Truth "), row.answer));
  const [full, group] = (await lastDetail(Promise.all([get("/api/question", { log: row.log_id, question: row.qa_id }), readGroup(row)]))) ?? [];
  if (!full || !body.isConnected) return;
  body.append(...full.answers.filter((answer) => answer).map(answerOf), context(row, group));
}

const groups = new Map();

export function readGroup(row) {
  const key = `${row.log_id} ${row.group_id}`;
  if (!groups.has(key)) groups.set(key, get("/api/group", { log: row.log_id, group: row.group_id }));
  if (groups.size > 50) groups.delete(groups.keys().next().value);
  return groups.get(key);
}

export const chosen = () => rows().find((row) => row.qa_id === here().question);

function answerOf(answer) {
  const lines = answer.values.map((value) =>
    h("tr", {}, h("th", { scope: "row" }, value.name), h("td", {}, value.truth), h("td", {}, value.answer), h("td", { class: value.ok ? "ok" : "bad" }, value.error, value.ok === null ? "" : value.ok ? " ✓" : " ✗")),
  );
  const said = h("p", {}, h("span", { class: "n" }, `${answer.title} `), h("b", { class: `mark ${answer.outcome}` }, answer.text ?? answer.outcome), answer.failure ? h("small", {}, ` ${plain(answer.failure)}`) : null);
  const head = h("tr", {}, ...["Read as", "Truth", "Answer", "Error"].map((title) => h("th", { scope: "col" }, title)));
  return h("div", { class: "answerer" }, said, answer.values.length ? h("table", { class: "quantities" }, h("thead", {}, head), h("tbody", {}, ...lines)) : null);
}

function context(row, group) {
  const pictures = group.context.map((view, place) => {
    const source = address("/context", { log: row.log_id, group: row.group_id, context: place, width: 480 });
    const caption = h("figcaption", {}, view.when);
    return h("figure", {}, view.has_image ? h("img", { src: source, alt: `${view.when}, with marks`, loading: "lazy" }) : h("p", { class: "missing" }, "Asked without images."), caption);
  });
  return h("div", { class: "context" }, ...(group.context.some((view) => view.has_image) ? pictures : pictures.slice(0, 1)));
}

export function stepQuestion(by) {
  const listedRows = rows();
  if (!listedRows.length) return;
  const at = listedRows.findIndex((row) => row.qa_id === here().question);
  const next = listedRows[Math.min(Math.max(at + by, 0), listedRows.length - 1)];
  go({ question: next.qa_id }, true);
  $(`[data-question="${CSS.escape(next.qa_id)}"]`)?.scrollIntoView({ block: "nearest" });
}
