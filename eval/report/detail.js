// One question in full: what was asked, said and read, the prompt, and the pictures of its card where it has one.
"use strict";
const Detail = (() => {
  /** An element; text is set as text, so that nothing in it can become markup. */
  const make = (tag, name, ...content) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    made.append(...content.filter((one) => one !== null));
    return made;
  };

  const answers = (row) => {
    const list = make("dl", "answers");
    list.append(make("dt", "", "Truth"), make("dd", "", row.truth));
    list.append(make("dt", "", "Model"), make("dd", "said", row.text || make("i", "", "(nothing)")));
    return list;
  };

  const quantities = (row) => {
    if (!row.quantities.length) return null;
    const head = make("tr", "", ...["Read as", "Truth", "Answer", "Error"].map((title) => make("th", "", title)));
    const lines = row.quantities.map(([name, truth, answer, error, ok]) => {
      const sign = ok === null ? null : make("span", ok ? "ok" : "bad", ok ? " ✓ right" : " ✗ wrong");
      return make("tr", "", make("th", "", name), make("td", "", truth), make("td", "", answer), make("td", "", error, sign));
    });
    return make("table", "quantities", make("thead", "", head), make("tbody", "", ...lines));
  };

  const pictures = (row) => {
    const card = [...document.querySelectorAll("#cards .card")].find((one) => one.dataset.qa === row.qa_id);
    const found = card ? [...card.querySelectorAll(".frames, .reasoning")].map((one) => one.cloneNode(true)) : [];
    if (found.some((one) => one.matches(".frames"))) return found;
    const note = "The pictures of this question are not in this page: drive-vqa explore STORE shows them.";
    return [make("p", "note", note), ...found];
  };

  const bar = (place) => {
    const step = (label, name) => {
      const button = make("button", name, label);
      button.type = "button";
      return button;
    };
    return make("p", "bar-of-detail", make("span", "", place), step("←", "before"), step("→", "after"), step("Close", "close"));
  };

  /** Fills and opens the dialog. */
  const show = (dialog, row, outcome, place) => {
    const options = row.options.length
      ? make("p", "options", ...row.options.map((option) => make("span", "", option)))
      : null;
    const [frames, ...reasoning] = pictures(row);
    dialog.className = `detail card ${outcome.name}`;
    dialog.replaceChildren(
      bar(place),
      frames,
      make(
        "div", "body",
        make("p", "outcome", make("strong", "", outcome.title), make("span", "", ` ${row.verdict}`)),
        make("p", "question", row.question),
        options,
        answers(row),
        quantities(row),
        ...reasoning,
        make("h3", "", "Prompt"),
        make("pre", "", row.prompt || "The store no longer has the moment that was shown."),
        make("p", "facts", ...[row.qa_id, ...row.facts].map((fact) => make("span", "", fact))),
      ),
    );
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  };

  return { make, show };
})();
