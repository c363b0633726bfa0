// The page: shows what the address names, and turns what is done on it into addresses.

import { drawAbove, zoom } from "./above.js";
import { drawCameras } from "./cameras.js";
import { $, fixed, get, h, plain, side, tell } from "./dom.js";
import { markLog, showLogs } from "./logs.js";
import { showMetrics } from "./metrics.js";
import { go, here, link } from "./place.js";
import { chosen, readGroup, showQuestions, stepQuestion } from "./questions.js";

const FASTEST_MS = 80;
let about = null;
let drive = null;
let moment = null;
let timer = null;
let wanted = false;
let drawing = null;

// Draw what the address names. One drawing at a time: what was asked for meanwhile is drawn after it, and only the last of it.
function show() {
  wanted = true;
  drawing ??= drawAll().finally(() => {
    drawing = null;
  });
  return drawing;
}

async function drawAll() {
  while (wanted) {
    wanted = false;
    tell(null);
    await draw(here()).catch(tell);
  }
}

async function draw(now) {
  for (const view of document.querySelectorAll(".view")) view.hidden = view.id !== now.view;
  for (const tab of document.querySelectorAll("[data-view]")) {
    if (tab.dataset.view === now.view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  if (now.view === "metrics") await showMetrics(about);
  else if (now.view === "questions") await showAllQuestions(now);
  else await showMoment(now);
}

async function showAllQuestions(now) {
  const evaluation = about.evaluations[now.evaluation ?? 0]?.title;
  const sentences = [
    now.metric && `Behind ${now.metric} of ${plain(now.answerer ?? "model")}, evaluation ${evaluation}: the questions that this number is taken over. A target has one at each horizon that it was asked for.`,
    now.log && `Of log ${now.log}.`,
    now.track && `About track ${now.track}.`,
  ];
  $("#behind").textContent = sentences.filter((sentence) => sentence).join(" ");
  $("#behind").hidden = !$("#behind").textContent;
  await showQuestions($("#questions"), about, {});
}

async function showMoment(now) {
  if (!now.log) {
    const logs = await showLogs();
    if (logs.length) go({ log: logs[0].log }, true);
    return;
  }
  if (drive?.log !== now.log) {
    drive = await get("/api/log", { log: now.log });
    drawLog();
  }
  markLog();
  const place = placeOf(now.frame);
  const frame = drive.frames[place];
  if (!frame) return;
  if (moment?.log !== now.log || moment?.frame !== frame.frame) {
    moment = await get("/api/moment", { log: now.log, frame: frame.frame });
  }
  drawTime(place, frame);
  await drawScene();
  await showQuestions($("#moment"), about, { log: now.log, frame: frame.frame });
  await drawScene();
}

// Without a frame in the address, the first that is asked about.
function placeOf(frame) {
  const asked = drive.frames.findIndex((one) => (frame === undefined ? one.questions > 0 : one.frame === Number(frame)));
  return Math.max(asked, 0);
}

function drawLog() {
  $("#log-title").textContent = drive.log;
  const facts = [drive.source_format, drive.location, drive.description, `${drive.frames.length} frames`, `${drive.tracks.length} tracks`];
  $("#log-facts").replaceChildren(...facts.filter((fact) => fact).map((fact) => h("span", {}, fact)));
  $("#says").textContent = drive.says.join(" ");
  $("#says").hidden = !drive.says.length;
  $("#slider").max = Math.max(drive.frames.length - 1, 0);
  $("#track-count").textContent = drive.tracks.length.toLocaleString("en");
  $("#track-list").replaceChildren(...drive.tracks.map(trackItem));
}

function trackItem(track) {
  const there = `frames ${track.first}–${track.last}, nearest ${fixed(track.nearest_m, 0, " m")}`;
  const button = h("button", { type: "button", class: `track ${track.kind}`, "data-track": track.track }, plain(track.category), h("small", {}, ` ${track.track.slice(0, 8)} · ${there}`));
  button.addEventListener("click", () => {
    const inside = moment && moment.frame >= track.first && moment.frame <= track.last;
    go({ track: here().track === track.track ? "" : track.track, ...(inside ? {} : { frame: track.first }) });
  });
  return h("li", {}, button);
}

function drawTime(place, frame) {
  $("#slider").value = place;
  $("#slider").setAttribute("aria-valuetext", `frame ${frame.frame}, ${frame.time_s.toFixed(1)} s`);
  $("#when").textContent = `frame ${frame.frame} · ${frame.time_s.toFixed(1)} s · own speed ${fixed(frame.speed_mps, 1, " m/s")} · ${frame.questions.toLocaleString("en")} questions`;
  $("#boxes").value = here().boxes ?? "";
}

async function drawScene() {
  const row = chosen();
  const group = row ? await readGroup(row).catch(() => null) : null;
  const asked = row && group ? group.marks.filter((mark) => row.marks.includes(mark.mark)) : [];
  const marks = Object.fromEntries(asked.map((mark) => [mark.track, mark]));
  const key = JSON.stringify([moment.log, moment.frame, here().boxes, marks, $("#cameras").dataset.enlarged]);
  if (key !== $("#cameras").dataset.drawn) {
    $("#cameras").dataset.drawn = key;
    drawCameras(moment, { boxes: here().boxes ?? "", widths: about.widths, marks });
    drawAbove(moment, marks);
  }
  highlight(here().track, "chosen");
  tellTrack(here().track);
}

function highlight(track, name) {
  for (const node of document.querySelectorAll(`.${name}`)) node.classList.remove(name);
  if (!track) return;
  for (const node of document.querySelectorAll(`[data-track="${CSS.escape(track)}"]`)) {
    node.classList.add(name);
    if (name === "chosen" && node.matches("button")) node.scrollIntoView({ block: "nearest" });
  }
}

function tellTrack(track) {
  const found = moment?.tracks.find((one) => one.track === track);
  const nothing = track ? "This track is not there at this frame." : "Point at a box, or tap it, to follow its track.";
  if (!found) return $("#track-facts").replaceChildren(h("span", {}, nothing));
  const place = `${found.distance_m.toFixed(1)} m, ${side(found.bearing_deg)}`;
  const size = `${fixed(found.length_m, 1, "")} × ${fixed(found.width_m, 1, "")} × ${fixed(found.height_m, 1, " m")}`;
  const hidden = found.occlusion === null ? "in no view" : `${Math.round(100 * found.occlusion)} % hidden`;
  const facts = [plain(found.category), place, fixed(found.speed_mps, 1, " m/s"), size, hidden, found.attribute, found.source, found.observed === false ? "not measured here" : null];
  const asked = h("a", { href: link({ view: "questions", log: moment.log, track }) }, "its questions");
  return $("#track-facts").replaceChildren(...facts.filter((fact) => fact).map((fact) => h("span", {}, fact)), h("span", {}, asked));
}

function step(by) {
  const place = placeOf(here().frame ?? moment?.frame) + by;
  const frame = drive?.frames[place];
  if (frame) go({ frame: frame.frame, question: "" }, true);
  return Boolean(frame);
}

function play(on = timer === null) {
  clearTimeout(timer);
  timer = null;
  $("#play").setAttribute("aria-pressed", String(on));
  $("#play").textContent = on ? "Pause" : "Play";
  if (on) timer = setTimeout(advance, FASTEST_MS);
}

async function advance() {
  const place = placeOf(here().frame ?? moment?.frame);
  const [now, next] = drive.frames.slice(place, place + 2);
  if (!next) return play(false);
  const due = performance.now() + Math.max(1000 * (next.time_s - now.time_s), FASTEST_MS);
  step(1);
  await drawing;
  await Promise.all([...document.querySelectorAll("#cameras img")].map((image) => image.decode().catch(() => null)));
  if (timer !== null) timer = setTimeout(advance, Math.max(due - performance.now(), 0));
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input[type=search], select");
  if (event.key === "Escape") return typing ? event.target.blur() : go({ track: "", question: "" });
  if (typing || (event.target.matches("button, a, summary") && event.key === " ")) return;
  const actions = {
    ArrowLeft: () => step(-1),
    ArrowRight: () => step(1),
    " ": () => play(),
    j: () => Promise.resolve(drawing).then(() => stepQuestion(1)),
    k: () => Promise.resolve(drawing).then(() => stepQuestion(-1)),
    "/": () => $(here().view === "moment" ? "#log-search" : `#${here().view} input[type=search]`).focus(),
  };
  const scene = here().view === "moment" || "jk/".includes(event.key);
  if (!(event.key in actions) || !scene) return;
  event.preventDefault();
  actions[event.key]();
}

function listen() {
  window.addEventListener("hashchange", show);
  window.addEventListener("popstate", show);
  document.addEventListener("keydown", keys);
  $("#slider").addEventListener("input", (event) => go({ frame: drive.frames[Number(event.target.value)].frame, question: "" }, true));
  $("#play").addEventListener("click", () => play());
  $("#boxes").addEventListener("change", (event) => go({ boxes: event.target.value }));
  $("#log-search").addEventListener("input", () => showLogs());
  $("#above").addEventListener("click", (event) => {
    const { zoom: factor } = event.target.dataset;
    if (factor) zoom(Number(factor));
    if (factor) drawAgain();
  });
  $("#cameras").addEventListener("click", (event) => {
    const { camera } = event.target.closest(".enlarge")?.dataset ?? {};
    if (!camera) return;
    $("#cameras").dataset.enlarged = $("#cameras").dataset.enlarged === camera ? "" : camera;
    drawAgain();
  });
  for (const scene of [$("#cameras"), $("#above")]) {
    scene.addEventListener("click", (event) => {
      const track = event.target.closest("[data-track]")?.dataset.track;
      if (track) go({ track: here().track === track ? "" : track });
    });
    scene.addEventListener("pointerover", (event) => highlight(event.target.closest("[data-track]")?.dataset.track, "pointed"));
  }
}

function drawAgain() {
  delete $("#cameras").dataset.drawn;
  drawScene();
}

async function start() {
  listen();
  if (matchMedia("(max-width: 899px)").matches) $("#logs").open = false;
  try {
    about = await get("/api/store");
  } catch (error) {
    return tell(error);
  }
  $("#store").textContent = about.store;
  showLogs();
  return show();
}

start();
