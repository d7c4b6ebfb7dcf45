// The table of runs: what may come next in the search box, and how many runs are chosen. Without script the box is sent
// as it is, and the boxes and buttons of the table do the same.
(function () {
  "use strict";
  const chars = (text) => [...text].length; // the server counts characters, a string half of some
  let list = null, found = null, at = 0, asked = 0, timer = 0, waiting = false;

  function close() { if (list) list.remove(); list = null; found = null; }
  // What was asked for and has not come yet counts as open: Escape then calls it off, instead of emptying the box.
  function callOff() { clearTimeout(timer); asked += 1; waiting = false; close(); }
  async function suggest(input) {
    clearTimeout(timer);
    waiting = true;
    const number = ++asked, cursor = chars(input.value.slice(0, input.selectionStart));
    const experiment = input.form.elements.experiment ? input.form.elements.experiment.value : "";
    const query = new URLSearchParams({ text: input.value, cursor, experiment });
    const answer = await fetch(`/api/v1/tracking/complete?${query}`).catch(() => null);
    const fresh = answer && answer.ok ? await answer.json().catch(() => null) : null;
    if (number !== asked) return;
    waiting = false;
    if (!fresh || document.activeElement !== input) return;
    close();
    if (!fresh.choices.length) return;
    found = fresh; at = -1;
    list = document.createElement("ul");
    list.className = "suggestions"; list.id = "suggestions"; list.setAttribute("role", "listbox");
    for (const [place, choice] of fresh.choices.entries()) {
      const item = document.createElement("li"), kind = document.createElement("span");
      item.setAttribute("role", "option"); item.id = `suggestion-${place}`; item.dataset.place = place;
      item.textContent = choice.text; kind.textContent = choice.kind; kind.className = "soft";
      item.append(kind); list.append(item);
    }
    list.addEventListener("mousedown", (event) => {
      event.preventDefault();
      const item = event.target.closest("li");
      if (item) take(input, Number(item.dataset.place));
    });
    input.parentElement.append(list);
    input.setAttribute("aria-controls", "suggestions");
  }
  function take(input, place) {
    const text = [...input.value], choice = found.choices[place].text;
    const gap = choice.endsWith(".") ? "" : " ";
    const before = text.slice(0, found.start).join(""), rest = text.slice(found.end).join("").replace(/^\s+/, "");
    const space = before && !/[\s(]$/.test(before) && /^(AND|IS|IN|NOT|LIKE|ILIKE)/.test(choice) ? " " : "";
    input.value = before + space + choice + gap + rest;
    const end = (before + space + choice + gap).length;
    input.setSelectionRange(end, end);
    close();
    suggest(input);
  }
  function mark(input, place) {
    at = place;
    for (const item of list.children) item.setAttribute("aria-selected", String(Number(item.dataset.place) === at));
    if (at >= 0) { list.children[at].scrollIntoView({ block: "nearest" }); input.setAttribute("aria-activedescendant", `suggestion-${at}`); }
  }
  const box = (target) => target instanceof Element && target.matches("input[data-complete]");
  document.addEventListener("input", (event) => {
    if (!box(event.target)) return;
    clearTimeout(timer);
    waiting = true;
    timer = setTimeout(() => suggest(event.target), 80);
  });
  document.addEventListener("focusin", (event) => { if (box(event.target)) suggest(event.target); });
  document.addEventListener("focusout", (event) => { if (box(event.target)) callOff(); });
  document.addEventListener("click", (event) => { if (box(event.target)) suggest(event.target); });
  document.addEventListener("keydown", (event) => {
    if (!box(event.target)) return;
    if (event.key === "Escape" && (list || waiting)) { event.preventDefault(); callOff(); return; }
    if (!list) return;
    const many = found.choices.length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      mark(event.target, event.key === "ArrowDown" ? (at + 1) % many : (at + many - 1 + (at < 0)) % many);
    } else if ((event.key === "Enter" && at >= 0) || (event.key === "Tab" && (at >= 0 || many === 1))) {
      event.preventDefault();
      take(event.target, Math.max(at, 0));
    } else if (event.key === "Enter") callOff();
  });

  const chosen = () => [...document.querySelectorAll("#found input[name=runs]:checked")];
  function count() {
    const form = document.getElementById("bulk");
    if (!form) return;
    const number = chosen().length;
    for (const button of form.querySelectorAll("[data-chosen]")) button.disabled = number === 0;
    form.querySelector("[data-count]").textContent = number ? `${number} chosen` : "";
  }
  document.addEventListener("change", (event) => { if (event.target.name === "runs") count(); });
  document.addEventListener("DOMContentLoaded", count);
  document.addEventListener("loopline:swapped", count);
  document.addEventListener("submit", (event) => {
    if (!event.submitter || event.submitter.getAttribute("formaction") !== "/runs/compare") return;
    event.preventDefault();
    location.assign(`/runs/compare?runs=${chosen().map((one) => one.value).join(",")}`);
  });
  // Of several menus one is open; a click beside it closes it.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  });
})();
