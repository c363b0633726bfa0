// Elements, and questions to the server. Text is only ever set as text.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);

export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

export const $ = (selector, root = document) => root.querySelector(selector);

export function address(path, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given).toString();
  return query ? `${path}?${query}` : path;
}

export async function get(path, parameters) {
  const response = await fetch(address(path, parameters));
  const content = await response.json();
  if (!response.ok) throw new Error(content.error);
  return content;
}

export function tell(error) {
  const place = $("#error");
  place.textContent = error ? error.message ?? String(error) : "";
  place.hidden = !error;
}

// The latest of several requests of one kind wins; earlier ones that come late are dropped.
export function latest() {
  let number = 0;
  return async (promise) => {
    const own = ++number;
    try {
      const content = await promise;
      return own === number ? content : null;
    } catch (error) {
      if (own === number) tell(error);
      return null;
    }
  };
}

export const plain = (name) => (name ?? "").replaceAll("_", " ");

export const fixed = (value, digits, unit) => (value === null || value === undefined ? "–" : `${value.toFixed(digits)}${unit}`);

export function side(degrees) {
  const turned = Math.round(degrees);
  return turned === 0 ? "0° ahead" : `${Math.abs(turned)}° ${turned > 0 ? "left" : "right"}`;
}
