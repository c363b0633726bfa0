// The tracks from above: ahead is up and left is left, the own car in the middle; arrows are the way of one second.

import { $, s } from "./dom.js";

const RINGS_M = [10, 20, 30, 40, 50, 75, 100, 150];
const ARROW_MPS = 0.5;
const EGO_M = [4.6, 1.9];
let reach_m = 50;

export function zoom(factor) {
  reach_m = Math.min(Math.max(reach_m * factor, 10), 160);
}

export function drawAbove(moment, marks) {
  const svg = $("#above svg");
  svg.setAttribute("viewBox", [-reach_m, -reach_m, 2 * reach_m, 2 * reach_m].join(" "));
  const parts = [...moment.map.map(line), ...rings(), ...moment.cameras.map(axis), ego()];
  svg.replaceChildren(...parts, ...moment.tracks.map((track) => object(track, marks[track.track])));
}

// From the ego frame (x ahead, y left) to the picture (right, down).
const at = (x_m, y_m) => [-y_m, -x_m].map((value) => Math.round(value * 100) / 100);

const path = (points) => points.map(([x, y]) => at(x, y).join(" ")).join("L");

const line = (element) => s("path", { class: `map ${element.kind}`, d: `M${path(element.points_m)}${element.closed ? "Z" : ""}` });

function rings() {
  return RINGS_M.filter((radius) => radius <= reach_m).flatMap((radius) => [
    s("circle", { class: "ring", r: radius }),
    s("text", { class: "ring-label", x: 0.6, y: -radius - 0.5, "font-size": reach_m / 20 }, `${radius} m`),
  ]);
}

function axis(camera) {
  const angle = (camera.bearing_deg * Math.PI) / 180;
  const ends = [0.05, 0.13].map((share) => [share * reach_m * Math.cos(angle), share * reach_m * Math.sin(angle)]);
  return s("path", { class: "axis", d: `M${path(ends)}` }, s("title", {}, camera.title));
}

const ego = () => s("rect", { class: "ego", x: -EGO_M[1] / 2, y: -EGO_M[0] / 2, width: EGO_M[1], height: EGO_M[0], rx: 0.5 });

function object(track, mark) {
  const group = s("g", { class: `box ${track.kind}`, "data-track": track.track });
  group.append(s("title", {}, `${track.category} ${track.track}`), footprint(track));
  if ((track.speed_mps ?? 0) > ARROW_MPS && track.vx_mps !== null) {
    group.append(s("path", { class: "velocity", d: arrow(track) }));
  }
  if (mark) {
    const [x, y] = at(track.x_m, track.y_m);
    const plate = s("text", { class: "plate", x, y: y - 1.5, "font-size": reach_m / 12 }, String(mark.mark));
    plate.style.fill = `rgb(${mark.rgb.join(" ")})`;
    group.append(plate);
  }
  return group;
}

function footprint(track) {
  const [cx, cy] = at(track.x_m, track.y_m);
  if (track.length_m === null || track.width_m === null) return s("circle", { class: "foot", cx, cy, r: reach_m / 60 });
  const [cos, sin] = [Math.cos(track.yaw_rad ?? 0), Math.sin(track.yaw_rad ?? 0)];
  const turned = (along, across) => [
    track.x_m + cos * along * track.length_m - sin * across * track.width_m,
    track.y_m + sin * along * track.length_m + cos * across * track.width_m,
  ];
  const corners = [[0.5, 0.5], [0.5, -0.5], [-0.5, -0.5], [-0.5, 0.5]].map(([along, across]) => turned(along, across));
  return s("path", { class: "foot", d: `M${path(corners)}Z` });
}

function arrow({ x_m, y_m, vx_mps, vy_mps }) {
  const head = [x_m + vx_mps, y_m + vy_mps];
  const speed = Math.hypot(vx_mps, vy_mps);
  const [along, across] = [[vx_mps / speed, vy_mps / speed], [-vy_mps / speed, vx_mps / speed]];
  const size = Math.min(1.2, 0.4 * speed);
  const wing = (sign) => [head[0] - size * (along[0] - sign * 0.6 * across[0]), head[1] - size * (along[1] - sign * 0.6 * across[1])];
  return `M${path([[x_m, y_m], head])}M${path([wing(1), head, wing(-1)])}`;
}
