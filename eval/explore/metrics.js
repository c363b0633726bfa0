// The numbers of an evaluation; each leads to the questions that it is taken over.

import { $, get, h, plain } from "./dom.js";
import { go, here, link } from "./place.js";

let table = null;
let listed = null;

export async function showMetrics(about) {
  const now = here();
  const evaluation = now.evaluation ?? "0";
  const select = $("#evaluation");
  if (!about.evaluations.length) {
    $("#metric-tables").replaceChildren(h("p", { class: "missing" }, "No evaluation was given: start again with --evaluation EVAL."));
    return;
  }
  if (!select.childElementCount) {
    select.append(...about.evaluations.map((one, place) => h("option", { value: place }, `${one.title} (${one.folder})`)));
    select.addEventListener("change", () => go({ evaluation: select.value }));
    $("#metric-search").addEventListener("input", (event) => go({ search: event.target.value }, true));
  }
  select.value = evaluation;
  if (document.activeElement !== $("#metric-search")) $("#metric-search").value = now.search ?? "";
  if (listed !== evaluation) {
    table = await get("/api/metrics", { evaluation });
    listed = evaluation;
  }
  draw(evaluation, (now.search ?? "").toLowerCase());
}

function draw(evaluation, search) {
  const fits = (row) => `${row.metric} ${row.title} ${row.note}`.toLowerCase().includes(search);
  const parts = grouped(table.rows.filter(fits));
  const tables = [...parts].map(([part, rows]) => section(evaluation, part, rows));
  $("#metric-tables").replaceChildren(...(tables.length ? tables : [h("p", { class: "missing" }, "No metric fits.")]));
}

function grouped(rows) {
  const parts = new Map();
  for (const row of rows) parts.set(row.part, [...(parts.get(row.part) ?? []), row]);
  return parts;
}

function section(evaluation, part, rows) {
  const head = h("tr", {}, h("th", { scope: "col" }, plain(part)), ...table.columns.map((column) => h("th", { scope: "col" }, column.title)));
  const lines = rows.map((row) => h("tr", {}, title(row), ...row.cells.map((cell, place) => number(evaluation, row, cell, table.columns[place].answerer))));
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": plain(part) }, h("table", { class: "numbers" }, h("thead", {}, head), h("tbody", {}, ...lines)));
}

function title(row) {
  const code = h("code", { class: row.title ? "also" : null }, ...breakable(row.metric));
  return row.title ? h("th", { scope: "row" }, row.title, " ", code) : h("th", { scope: "row" }, code);
}

// A name that may go on in the next line after its dots and underscores only.
function breakable(name) {
  return name.split(/(?<=[._])/).flatMap((part) => [part, h("wbr")]);
}

function number(evaluation, row, cell, answerer) {
  if (!cell) return h("td", { class: "n" }, "");
  const text = cell.has_questions ? h("a", { href: link({ view: "questions", evaluation, answerer, metric: row.metric }) }, cell.text) : cell.text;
  return h("td", { title: cell.exact }, text, h("small", {}, ` ${cell.spread} n ${(cell.n ?? 0).toLocaleString("en")}`));
}
