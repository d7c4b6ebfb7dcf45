// <input data-find="#a, #b"> hides what in those places does not hold the typed words: rows of tables, and anything with data-name.
(function () {
  "use strict";
  function narrow(input) {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const place of document.querySelectorAll(input.dataset.find)) {
      let shown = 0;
      for (const row of place.querySelectorAll("tbody > tr, [data-name]")) {
        const text = (row.dataset.name || row.textContent).toLowerCase(), fits = words.every((word) => text.includes(word));
        row.hidden = !fits;
        shown += fits;
      }
      const none = place.querySelector("[data-none]");
      if (none) none.hidden = shown > 0;
    }
  }
  const all = () => { for (const input of document.querySelectorAll("input[data-find]")) if (input.value) narrow(input); };
  document.addEventListener("input", (event) => { if (event.target.matches("input[data-find]")) narrow(event.target); });
  document.addEventListener("submit", (event) => { if (event.target.matches("form[data-here]")) event.preventDefault(); });
  document.addEventListener("DOMContentLoaded", all);
  document.addEventListener("loopline:swapped", all);
})();
