// The cameras of a moment: images with the boxes of the tracks over them.

import { $, address, h, s } from "./dom.js";

const NEAR_M = 0.3;
const LEAST_VISIBLE = 0.15;
const FARTHEST_M = 75;
const EDGES = [[0, 1], [1, 2], [2, 3], [3, 0], [4, 5], [5, 6], [6, 7], [7, 4], [0, 4], [1, 5], [2, 6], [3, 7]];
const FRONT = [0, 1, 2, 3];
const FAR_PX = 1e5;

export function drawCameras(moment, { boxes, widths, marks }) {
  const root = $("#cameras");
  const enlarged = root.dataset.enlarged;
  const rows = [moment.cameras.filter((one) => one.ahead), moment.cameras.filter((one) => !one.ahead)];
  const shown = rows.filter((row) => row.length);
  const kinds = Object.fromEntries(moment.tracks.map((track) => [track.track, track]));
  const views = shown.flatMap((row) => row.map((camera) => view(moment, camera, kinds, { boxes, widths, marks, enlarged })));
  root.style.setProperty("--columns", Math.max(1, ...shown.map((row) => row.length)));
  root.classList.toggle("enlarged", moment.cameras.some((camera) => camera.camera === enlarged));
  $(".pictures").classList.toggle("bare", !moment.cameras.some((camera) => camera.has_image));
  root.replaceChildren(...views);
}

function view(moment, camera, kinds, { boxes, widths, marks, enlarged }) {
  const drawn = drawnBoxes(camera, kinds, boxes);
  const note = h("p", { class: "missing", hidden: camera.has_image }, camera.has_image ? "" : "No image at this frame.");
  const panel = h("div", { class: "panel" });
  if (camera.width && camera.height) panel.style.aspectRatio = `${camera.width} / ${camera.height}`;
  if (camera.has_image) panel.append(image(moment, camera, widths, note, enlarged === camera.camera));
  if (camera.width && camera.height) panel.append(overlay(camera, drawn, kinds, marks));
  panel.append(note);
  const large = enlarged === camera.camera;
  const button = h("button", { type: "button", class: "enlarge", "aria-pressed": String(large), "data-camera": camera.camera, title: large ? "Smaller" : "Larger" }, large ? "⤡" : "⤢");
  button.setAttribute("aria-label", `${large ? "Shrink" : "Enlarge"} ${camera.title}`);
  const caption = h("figcaption", {}, `${camera.title} · ${drawn.length} boxes${camera.distorted ? " · lens distortion, image boxes only" : ""}`, button);
  return h("figure", { class: large ? "camera large" : "camera", "data-camera": camera.camera }, panel, caption);
}

function image(moment, camera, widths, note, large) {
  const root = $("#cameras");
  const columns = large ? 1 : Number(root.style.getPropertyValue("--columns") || 3);
  const wanted = (root.clientWidth / (root.clientWidth < 500 ? 1 : columns)) * devicePixelRatio;
  const width = widths.find((one) => one >= wanted) ?? widths.at(-1);
  const source = address("/image", { log: moment.log, frame: moment.frame, camera: camera.camera, width });
  const failed = () => {
    note.textContent = "The image is missing or cannot be read.";
    note.hidden = false;
  };
  return h("img", { src: source, alt: `${camera.title} at frame ${moment.frame}`, decoding: "async", onerror: failed });
}

function drawnBoxes(camera, kinds, boxes) {
  if (boxes === "none") return [];
  const seen = (box) => boxes === "all" || (box.visible >= LEAST_VISIBLE && (kinds[box.track]?.distance_m ?? 0) <= FARTHEST_M);
  return camera.boxes.filter(seen).reverse();
}

function overlay(camera, drawn, kinds, marks) {
  const groups = drawn.map((box) => shape(camera, box, kinds[box.track], marks));
  return s("svg", { viewBox: `0 0 ${camera.width} ${camera.height}`, preserveAspectRatio: "none" }, ...groups);
}

function shape(camera, box, track, marks) {
  const [u0, v0, u1, v1] = box.box_px;
  const group = s("g", { class: `box ${track?.kind ?? "static"}`, "data-track": box.track });
  group.append(s("title", {}, `${track?.category ?? ""} ${box.track}`));
  group.append(s("rect", { class: "image-box", x: u0, y: v0, width: Math.max(u1 - u0, 1), height: Math.max(v1 - v0, 1) }));
  if (box.corners_cam_m) group.append(...wireframe(box.corners_cam_m, camera.intrinsics));
  const mark = marks[box.track];
  if (mark) {
    const size = camera.height / 16;
    const plate = s("text", { class: "plate", x: u0, y: Math.max(v0 - size / 4, size), "font-size": size }, String(mark.mark));
    plate.style.fill = `rgb(${mark.rgb.join(" ")})`;
    group.append(plate);
  }
  return group;
}

export function wireframe(corners, intrinsics) {
  const lines = EDGES.map(([start, end]) => inFront(corners[start], corners[end])).filter((line) => line);
  const path = lines.map((line) => line.map((point) => toPixel(point, intrinsics).join(" ")).join("L")).map((line) => `M${line}`);
  const found = [s("path", { class: "wire", d: path.join("") })];
  if (FRONT.every((corner) => corners[corner][2] > NEAR_M)) {
    const points = FRONT.map((corner) => toPixel(corners[corner], intrinsics).join(","));
    found.unshift(s("polygon", { class: "front", points: points.join(" ") }));
  }
  return found;
}

// The part of an edge that lies before the near plane of the camera; null where none does.
function inFront(start, end) {
  if (start[2] <= NEAR_M && end[2] <= NEAR_M) return null;
  if (start[2] > NEAR_M && end[2] > NEAR_M) return [start, end];
  const share = (NEAR_M - start[2]) / (end[2] - start[2]);
  const cut = start.map((value, axis) => value + share * (end[axis] - value));
  return start[2] > NEAR_M ? [start, cut] : [cut, end];
}

function toPixel([x, y, z], k) {
  const pixel = [(k[0] * x + k[1] * y + k[2] * z) / z, (k[3] * x + k[4] * y + k[5] * z) / z];
  return pixel.map((value) => Math.round(Math.min(Math.max(value, -FAR_PX), FAR_PX) * 10) / 10);
}
