// Draws metrics over steps or time: <div data-curves="{…}"> with
// {"series": [{"run", "key", "name"}], "x": "step" | "time" | "relative", "scale": "linear" | "log", "smooth": 0, "best": "", "points": 1000,
//  "curves": [what tracking.curves answered] or null}. Whoever looks closer (a stretch dragged, ctrl and wheel, + - and the arrow keys, the
// buttons) gets that stretch from the server in as many points again. form[data-choices] holds the choices for all of them; they stand in the address.
(function () {
  "use strict";
  const charts = new Map();
  const live = () => document.querySelector("[data-live]") !== null;
  const post = async (fields) => {
    const answer = await fetch("/api/v1/tracking/curves", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields) });
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).message || "The server did not answer.");
    return answer.json();
  };
  // 50 s, 4:59 (minutes), 3:20 h, 2.5 d
  const span = (seconds) => {
    const size = Math.abs(seconds), sign = seconds < 0 ? "-" : "", two = (number) => String(Math.floor(number)).padStart(2, "0");
    if (size < 120) return `${Number(seconds.toPrecision(4))} s`;
    if (size < 7200) return `${sign}${Math.floor(size / 60)}:${two(size % 60)}`;
    return size < 172800 ? `${sign}${Math.floor(size / 3600)}:${two((size % 3600) / 60)} h` : `${Number((seconds / 86400).toPrecision(4))} d`;
  };
  const told = { step: (x) => `step ${Math.round(x).toLocaleString("en")}`, time: (x) => new Date(x).toISOString().slice(0, 19).replace("T", " "), relative: span };

  class Curves {
    constructor(element) {
      this.element = element;
      this.frame = element.closest("figure") || element.parentElement;
      this.spec = JSON.parse(element.dataset.curves);
      this.curves = this.spec.curves;
      this.range = null;
      this.asked = 0;
      this.chart = null;
      this.seen = false;
      for (const button of this.frame.querySelectorAll("[data-look]")) {
        button.hidden = false;
        button.addEventListener("click", () => this.act(button.dataset.look));
      }
      element.addEventListener("keydown", (event) => this.key(event));
      element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      element.addEventListener("pointerdown", (event) => this.drag(event));
      element.addEventListener("dblclick", () => this.act("whole"));
    }
    whole() {
      const ends = (this.curves || []).flatMap((curve) => [curve.first, curve.last]).filter((x) => x !== null);
      return ends.length ? [Math.min(...ends), Math.max(...ends)] : null;
    }
    show() {
      this.seen = true;
      this.element.hidden = false;
      if (this.curves) this.draw(); else this.read();
    }
    async read() {
      const number = ++this.asked, spec = this.spec, range = this.range, began = performance.now();
      const fields = { runs: [...new Set(spec.series.map((one) => one.run))], keys: [...new Set(spec.series.map((one) => one.key))], x: spec.x, smooth: spec.smooth, best: spec.best, points: this.enough() };
      if (range) [fields.first, fields.last] = range;
      this.frame.setAttribute("aria-busy", "true");
      try {
        const curves = await post(fields);
        if (number !== this.asked) return;
        this.curves = curves;
        this.draw();
      } catch (error) {
        if (number === this.asked) this.say(error.message);
      } finally {
        this.next = performance.now() + 4 * (performance.now() - began); // what takes long is asked for less often
        if (number === this.asked) this.frame.removeAttribute("aria-busy");
      }
    }
    // Four points draw all that a column of pixels can show.
    enough() {
      const columns = 4 * this.element.clientWidth / Math.max(1, this.spec.series.length / 3);
      return Math.round(Math.min(4000, Math.max(this.spec.points, columns)));
    }
    say(text) {
      const place = this.frame.querySelector("[data-said]");
      if (place) { place.textContent = text; place.hidden = !text; }
    }
    choose(changes) {
      const before = this.spec, again = ["x", "smooth", "best"].some((name) => name in changes && String(changes[name]) !== String(before[name]));
      if ("x" in changes && changes.x !== before.x) this.range = null;
      this.spec = { ...before, ...changes };
      if (!this.seen) { if (again) this.curves = null; return; }
      if (again) this.read(); else if (this.curves) this.draw();
    }
    zoom(first, last) {
      const whole = this.whole();
      if (!whole) return;
      const least = this.spec.x === "step" ? 2 : (whole[1] - whole[0]) / 1e9;
      if (last - first < least) { const middle = (first + last) / 2; [first, last] = [middle - least / 2, middle + least / 2]; }
      first = Math.max(first, whole[0]);
      last = Math.min(last, whole[1]);
      if (!(last > first)) return;
      this.range = first <= whole[0] && last >= whole[1] ? null : [first, last];
      this.draw();
      this.read();
    }
    act(what) {
      const whole = this.whole();
      if (what === "wide") { const wide = this.frame.classList.toggle("wide"); this.frame.querySelector("[data-look=wide]").setAttribute("aria-pressed", wide); if (this.chart) this.chart.resize(); return; }
      if (!whole) return;
      const [first, last] = this.range || whole, size = last - first, middle = (first + last) / 2;
      if (what === "in") this.zoom(middle - size / 4, middle + size / 4);
      if (what === "out") this.zoom(middle - size, middle + size);
      if (what === "whole" && this.range) { this.range = null; this.read(); }
      if (what === "back" && this.range) { const by = Math.min(size / 4, first - whole[0]); this.zoom(first - by, last - by); }
      if (what === "on" && this.range) { const by = Math.min(size / 4, whole[1] - last); this.zoom(first + by, last + by); }
    }
    key(event) {
      const what = { "+": "in", "=": "in", "-": "out", 0: "whole", Escape: "whole", ArrowLeft: "back", ArrowRight: "on" }[event.key];
      if (!what || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.act(what);
    }
    at(event) {
      const box = this.element.getBoundingClientRect();
      return this.chart.convertFromPixel({ xAxisIndex: 0 }, event.clientX - box.left);
    }
    wheel(event) {
      if (!this.chart || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      const whole = this.whole(), [first, last] = this.range || whole || [0, 0], at = this.at(event), factor = event.deltaY < 0 ? 0.7 : 1 / 0.7;
      this.zoom(at - (at - first) * factor, at + (last - at) * factor);
    }
    drag(event) {
      if (!this.chart || event.button || event.pointerType !== "mouse") return;
      const box = this.element.getBoundingClientRect(), from = event.clientX, shade = document.createElement("i");
      shade.className = "stretch";
      const move = (now) => {
        const [left, right] = [Math.min(from, now.clientX), Math.max(from, now.clientX)].map((x) => Math.min(Math.max(x - box.left, 0), box.width));
        if (!shade.isConnected && right - left > 4) this.element.append(shade);
        shade.style.left = `${left}px`;
        shade.style.width = `${right - left}px`;
      };
      const end = (now) => {
        removeEventListener("pointermove", move);
        removeEventListener("pointerup", end);
        removeEventListener("pointercancel", end);
        shade.remove();
        if (now.type === "pointerup" && Math.abs(now.clientX - from) > 6) this.zoom(...[this.at(event), this.at(now)].sort((a, b) => a - b));
      };
      addEventListener("pointermove", move);
      addEventListener("pointerup", end);
      addEventListener("pointercancel", end);
    }
    draw() {
      if (!this.element.isConnected) return;
      this.chart = this.chart || echarts.init(this.element, null, { renderer: "canvas" });
      this.chart.setOption(this.option(), true);
      this.chart.group = `curves-${this.spec.x}`;
      echarts.connect(this.chart.group);
      this.element.dataset.drawn = String(Number(this.element.dataset.drawn || 0) + 1);
      this.caption();
    }
    caption() {
      const range = this.range, points = (this.curves || []).reduce((sum, curve) => sum + curve.count, 0), format = told[this.spec.x];
      const place = this.frame.querySelector("[data-range]");
      if (place) place.textContent = range ? `${format(range[0])} to ${format(range[1])}` : `${points.toLocaleString("en")} points`;
      const button = this.frame.querySelector("[data-look=whole]");
      if (button) button.disabled = !range;
      this.say(this.left ? `${this.left.toLocaleString("en")} points at or below zero are left out by the logarithmic axis.` : "");
    }
    option() {
      const { inks, colours, axes, tip, short } = window.loopline, ink = inks(), paints = colours(), spec = this.spec, axis = axes(ink), log = spec.scale === "log";
      const kinds = ["solid", "dashed", "dotted"], found = new Map((this.curves || []).map((curve) => [`${curve.run_id} ${curve.key}`, curve]));
      this.left = 0;
      const fit = (points) => (log ? points.map(([x, y]) => { if (y !== null && y <= 0) { this.left += 1; return [x, null]; } return [x, y]; }) : points);
      const series = [];
      spec.series.forEach((one, index) => {
        const curve = found.get(`${one.run} ${one.key}`);
        if (!curve) return;
        const color = paints[index % paints.length], type = kinds[Math.floor(index / paints.length) % kinds.length], smooth = spec.smooth > 0 && curve.smoothed.length > 0;
        const common = { type: "line", color, symbol: "circle", symbolSize: 5, emphasis: { disabled: true } };
        const few = curve.points.length <= 60;
        if (smooth) series.push({ ...common, name: `${one.name} (as measured)`, data: fit(curve.points), showSymbol: false, silent: true, z: 1, lineStyle: { width: 1, opacity: 0.28, type }, itemStyle: { opacity: 0.4 } });
        series.push({ ...common, name: one.name, data: fit(smooth ? curve.smoothed : curve.points), showSymbol: !smooth && (few || curve.count === 1), z: 2, lineStyle: { width: spec.series.length > 12 || (!smooth && curve.points.length > 1200) ? 1.2 : 1.8, type } });
      });
      const many = spec.series.length > 1, range = this.range || [], ends = this.whole() || [];
      const format = { step: (x) => (Number.isInteger(x) ? (Math.abs(x) >= 1e6 ? `${Number((x / 1e6).toPrecision(6))}M` : x.toLocaleString("en")) : ""), relative: span }[spec.x];
      return {
        animation: false, textStyle: { fontFamily: ink.font }, useUTC: true, series,
        grid: { left: 6, right: 22, top: many ? 34 : 12, bottom: 4, containLabel: true },
        legend: { show: many, type: "scroll", top: 0, left: 0, icon: "circle", itemWidth: 9, itemHeight: 12, textStyle: { color: ink.soft, fontFamily: ink.font, fontSize: 12 }, pageTextStyle: { color: ink.soft }, pageIconColor: ink.text, pageIconInactiveColor: ink.line, data: spec.series.map((one) => one.name) },
        tooltip: { ...tip(ink), order: "valueDesc", valueFormatter: short, axisPointer: { type: "line", lineStyle: { color: ink.soft, type: "dashed" }, label: { formatter: ({ value }) => told[spec.x](value) } } },
        xAxis: { ...axis, type: spec.x === "time" ? "time" : "value", min: range[0] ?? ends[0], max: range[1] ?? ends[1], splitLine: { show: false }, axisLabel: { ...axis.axisLabel, ...(format ? { formatter: format } : {}), showMinLabel: !range.length, showMaxLabel: !range.length } },
        yAxis: { ...axis, type: log ? "log" : "value", scale: true, axisLabel: { ...axis.axisLabel, formatter: short } },
      };
    }
  }

  const near = "IntersectionObserver" in window ? new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const one = charts.get(entry.target);
      if (one) one.near = entry.isIntersecting;
      if (one && entry.isIntersecting && !one.seen) one.show();
    }
  }, { rootMargin: "300px" }) : null;
  function find() {
    for (const [element, one] of charts) if (!element.isConnected) { if (one.chart) one.chart.dispose(); charts.delete(element); }
    for (const element of document.querySelectorAll("[data-curves]")) {
      if (charts.has(element)) continue;
      const one = new Curves(element);
      charts.set(element, one);
      element.hidden = false;
      if (near) near.observe(element); else one.show();
    }
    grow();
  }
  // A metric that is measured for the first time while one looks gets its chart.
  async function grow() {
    const now = document.querySelector("[data-metrics]"), region = document.getElementById("charts");
    if (!now || !region || now.dataset.metrics === region.dataset.metrics) return;
    region.dataset.metrics = now.dataset.metrics;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("charts");
    if (!answer.ok || !fresh) return;
    region.replaceWith(fresh);
    find();
  }
  // Choices that hold for all charts, kept in the address.
  function chosen(form) {
    const fields = new FormData(form);
    return { x: fields.get("x") || "step", scale: fields.get("scale") || "linear", smooth: Number(fields.get("smooth") || 0), best: fields.get("best") || "" };
  }
  function remember(form) {
    const address = new URL(location.href);
    for (const field of form.elements) if (field.name && field.type !== "hidden") {
      const value = field.type === "checkbox" ? (field.checked ? field.value : "") : field.value, plain = field.dataset.plain || "";
      if (value && value !== plain) address.searchParams.set(field.name, value); else address.searchParams.delete(field.name);
      for (const other of document.querySelectorAll(`form:not([data-choices]) input[type=hidden][name="${field.name}"]`)) other.value = value;
    }
    history.replaceState(history.state, "", address);
  }
  let waiting = 0;
  function apply(form) {
    const region = document.getElementById("charts"), wide = form.elements.wide && form.elements.wide.checked;
    if (region && wide !== undefined) region.classList.toggle("wide", Boolean(wide));
    remember(form);
    for (const one of charts.values()) { one.choose(chosen(form)); if (one.chart) one.chart.resize(); }
  }
  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (!form || !form.matches("form[data-choices]") || event.target.dataset.reload !== undefined) return;
    const shown = event.target.type === "range" && form.querySelector("output");
    if (shown) shown.textContent = event.target.value;
    clearTimeout(waiting);
    waiting = setTimeout(() => apply(form), event.target.type === "range" ? 120 : 0);
  });
  document.addEventListener("change", (event) => { if (event.target.dataset && event.target.dataset.reload !== undefined && event.target.form) { remember(event.target.form); location.reload(); } });
  document.addEventListener("DOMContentLoaded", () => {
    find();
    for (const element of document.querySelectorAll("form[data-choices] [type=submit]")) element.hidden = true;
    setInterval(() => { if (live() && !document.hidden) for (const one of charts.values()) if (one.seen && one.near !== false && !(performance.now() < one.next) && one.element.isConnected && !one.frame.hasAttribute("aria-busy")) one.read(); }, 1500);
  });
  let was = false;
  document.addEventListener("loopline:swapped", () => {
    find();
    const now = live();
    if (was && !now) for (const one of charts.values()) if (one.seen) one.read();
    was = now;
  });
  document.addEventListener("loopline:theme", () => { for (const one of charts.values()) if (one.chart) one.draw(); });
  addEventListener("resize", () => { for (const one of charts.values()) if (one.chart) one.chart.resize(); });
})();
