// Buttons that copy an id: <button data-copy="…" hidden>. Without script they stay hidden; the id can be selected.
(function () {
  "use strict";
  const show = () => { for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = !navigator.clipboard; };
  document.addEventListener("DOMContentLoaded", show);
  document.addEventListener("loopline:swapped", show);
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    const before = button.textContent;
    try { await navigator.clipboard.writeText(button.dataset.copy); button.textContent = "Copied"; } catch { button.textContent = "Not allowed"; }
    setTimeout(() => { button.textContent = before; }, 1200);
  });
})();
