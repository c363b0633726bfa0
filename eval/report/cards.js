// Filters of the cards, frames of a card, and the arrow keys between cards. The page reads well without it.
"use strict";
(() => {
  const cards = [...document.querySelectorAll("#cards .card")];
  const chosen = { family: "all", outcome: "all" };

  const shown = () => cards.filter((card) => !card.hidden);
  const apply = () => {
    for (const card of cards) {
      card.hidden = Object.entries(chosen).some(([key, value]) => value !== "all" && card.dataset[key] !== value);
    }
    document.querySelector("#shown").textContent = `${shown().length} of ${cards.length}`;
  };

  for (const button of document.querySelectorAll(".filters button")) {
    button.addEventListener("click", () => {
      chosen[button.dataset.key] = button.dataset.value;
      for (const other of document.querySelectorAll(`.filters button[data-key="${button.dataset.key}"]`)) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      apply();
    });
  }

  // On the document, since an opened question shows the frames of its card too.
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".frames button");
    if (!button) return;
    for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
  });

  document.querySelector("#cards").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const at = shown().findIndex((card) => card.contains(document.activeElement));
    if (!step || at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = shown()[at + step];
    if (!next) return;
    event.preventDefault();
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  });

  document.querySelector(".filters").hidden = false;
  apply();
})();
