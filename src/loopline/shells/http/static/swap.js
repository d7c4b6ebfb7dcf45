// Links and filter forms inside [data-swap] replace only the region of that name, with what the server drew.
// [data-refresh="5"] asks for its region again every 5 seconds while the page is looked at.
(function () {
  "use strict";
  async function swap(id, address, keep) {
    const old = document.getElementById(id);
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(id);
    if (!answer.ok || !fresh || !old) { if (keep) location.assign(address); return; }
    if (keep) history.pushState({ swap: id }, "", address);
    if (fresh.isEqualNode(old)) return;
    const active = document.activeElement, name = old.contains(active) ? active.name : null, at = active && active.selectionStart;
    old.replaceWith(fresh);
    const again = name && fresh.querySelector(`[name="${CSS.escape(name)}"]`);
    if (again) { again.focus(); if (typeof at === "number") again.setSelectionRange(at, at); }
    document.dispatchEvent(new Event("loopline:swapped"));
  }
  const region = (element) => element.closest("[data-swap]");
  const query = (form) => {
    const fields = [...new FormData(form)].filter(([, value]) => value !== "");
    return `${new URL(form.action).pathname}?${new URLSearchParams(fields)}`;
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-in]");
    if (!link || !region(link) || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    swap(region(link).id, link.href, true);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "get" || event.defaultPrevented || !region(form)) return;
    event.preventDefault();
    swap(region(form).id, query(form), true);
  });
  document.addEventListener("change", (event) => {
    if (event.target.form && event.target.form.matches("form[method=get][data-auto]")) event.target.form.requestSubmit();
  });
  addEventListener("popstate", () => location.reload());
  for (const element of document.querySelectorAll("[data-refresh]")) {
    setInterval(() => {
      const now = document.getElementById(element.id);
      const busy = now && (now.contains(document.activeElement) || !getSelection().isCollapsed);
      if (document.hidden || !now || busy || !("refresh" in now.dataset)) return;
      swap(element.id, location.href, false).catch(() => {});
    }, 1000 * Number(element.dataset.refresh));
  }
})();
