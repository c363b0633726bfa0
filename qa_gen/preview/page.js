// Filters by family, type and form, and frames that grow when tapped. The page reads well without it.
"use strict";
(() => {
  const form = document.querySelector(".filters");
  const cards = [...document.querySelectorAll(".card")];
  const moments = [...document.querySelectorAll(".moment")];

  const apply = () => {
    const wanted = [...new FormData(form)].filter(([, value]) => value);
    for (const card of cards) card.hidden = wanted.some(([key, value]) => card.dataset[key] !== value);
    for (const moment of moments) moment.hidden = !moment.querySelector(".card:not([hidden])");
    const shown = cards.filter((card) => !card.hidden).length;
    document.querySelector("#shown").textContent = `${shown} of ${cards.length}`;
    document.querySelector("#none").hidden = shown > 0;
  };

  for (const button of document.querySelectorAll(".frames button")) {
    button.addEventListener("click", () => {
      const large = button.parentElement.classList.toggle("large");
      button.setAttribute("aria-pressed", String(large));
    });
  }

  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
})();
