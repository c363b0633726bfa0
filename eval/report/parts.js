// Reads the parts that eval/report/parts.py writes into a page: base64 of gzip of JSON, in an element of its own.
"use strict";
const Parts = (() => {
  const MOST_KEPT = 6;
  const kept = new Map();

  const unpack = async (name) => {
    const packed = atob(document.getElementById(name).textContent);
    const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  };

  /** The content of a part, as a promise; the last few that were asked for are kept. */
  const read = (name) => {
    const content = kept.get(name) ?? unpack(name);
    kept.delete(name);
    kept.set(name, content);
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
    return content;
  };

  /** Records `numbers` of a list in parts `name-0`, `name-1` … of `rowsOfPart` rows, in the order asked for, as objects. */
  const records = async (name, numbers, rowsOfPart) => {
    const found = new Map();
    for (const number of [...numbers].sort((a, b) => a - b)) {
      const part = await read(`${name}-${Math.floor(number / rowsOfPart)}`);
      const values = part.rows[number % rowsOfPart];
      found.set(number, Object.fromEntries(part.fields.map((field, place) => [field, values[place]])));
    }
    return numbers.map((number) => found.get(number));
  };

  return { read, records, supported: typeof DecompressionStream === "function" };
})();
