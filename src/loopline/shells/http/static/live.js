// [data-live="1"] is asked for again every second while it is looked at (at its data-from, else at the page's own address). Only what differs is changed in place, so that
// focus, selection, scroll and open <details> stay; a [data-tail] that stands at its end stays there.
(function () {
  "use strict";
  const KEPT = ["open", "hidden"];
  const name = (node) => (node.nodeType === 1 && node.id) || "";
  const like = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && name(a) === name(b);
  function attributes(old, fresh) {
    for (const { name, value } of [...fresh.attributes]) if (!KEPT.includes(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
    for (const { name } of [...old.attributes]) if (!KEPT.includes(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  function change(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== 1) { old.nodeValue = fresh.nodeValue; return; }
    const typed = old.matches("input, select, textarea"), plotted = old.matches("[data-plot]");
    if (typed) return;
    if (plotted) { old.dataset.plot = fresh.dataset.plot; return; }
    attributes(old, fresh);
    const below = old.matches("[data-tail]") && old.scrollTop + old.clientHeight >= old.scrollHeight - 8;
    children(old, fresh);
    if (below) old.scrollTop = old.scrollHeight;
  }
  function children(old, fresh) {
    const named = new Map([...old.childNodes].filter(name).map((node) => [name(node), node]));
    const wanted = new Set([...fresh.childNodes].map(name));
    let at = old.firstChild;
    for (const node of [...fresh.childNodes]) {
      while (at && name(at) && !wanted.has(name(at))) { const gone = at; at = at.nextSibling; gone.remove(); }
      const found = name(node) ? named.get(name(node)) : at && like(at, node) ? at : null;
      if (found && like(found, node)) {
        if (found === at) at = at.nextSibling; else old.insertBefore(found, at);
        change(found, node);
      } else old.insertBefore(node, at);
    }
    while (at) { const gone = at; at = at.nextSibling; gone.remove(); }
  }
  const end = () => { for (const tail of document.querySelectorAll("[data-tail]")) tail.scrollTop = tail.scrollHeight; };
  async function look(region) {
    const answer = await fetch(region.dataset.from || location.href, { headers: { Accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(region.id);
    if (!answer.ok || !fresh || !region.isConnected) return;
    if (region.isEqualNode(fresh)) return;
    const tails = new Set(region.querySelectorAll("[data-tail]"));
    change(region, fresh);
    for (const tail of region.querySelectorAll("[data-tail]")) if (!tails.has(tail)) tail.scrollTop = tail.scrollHeight;
    document.dispatchEvent(new Event("loopline:swapped"));
  }
  const followed = new WeakSet();
  async function follow(region) {
    if (!region.isConnected) return;
    const began = performance.now();
    if (!document.hidden) await look(region).catch(() => {});
    // A page that takes long to draw is asked for less often.
    if ("live" in region.dataset) setTimeout(() => follow(region), Math.max(1000 * Number(region.dataset.live), 4 * (performance.now() - began)));
  }
  function begin() {
    for (const region of document.querySelectorAll("[data-live]")) {
      if (followed.has(region)) continue;
      followed.add(region);
      setTimeout(() => follow(region), 1000 * Number(region.dataset.live));
    }
  }
  document.addEventListener("DOMContentLoaded", () => { end(); begin(); });
  document.addEventListener("loopline:swapped", begin); // a region that was put in anew is followed too
  document.addEventListener("visibilitychange", () => { if (!document.hidden) for (const region of document.querySelectorAll("[data-live]")) look(region).catch(() => {}); });
  addEventListener("hashchange", opened);
  document.addEventListener("DOMContentLoaded", opened);
  function opened() {
    const place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (place && place.matches("details")) { place.open = true; place.scrollIntoView(); }
  }
})();
