// Draws what <div data-plot="{…}"> describes. The same numbers stand in the table beneath, for everyone without script.
// {"x": "time" | "value" | "category", "unit": "", "from": null, "series": [{"name", "points": [[x, y], …], "band": [[x, low, high], …],
//  "hollow": [index, …], "kind": "line" | "bar", "stack"}], "marks": [{"at", "text"}], "limits": [{"at", "text"}]}
(function () {
  "use strict";
  const drawn = new Map();
  function colour(name) {
    const probe = document.createElement("span");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }
  function band(series, paint, index) {
    const common = { type: "line", symbol: "none", silent: true, lineStyle: { opacity: 0 }, stack: `band ${index}`, stackStrategy: "all", tooltip: { show: false } };
    return [
      { ...common, data: series.band.map(([x, low]) => [x, low]) },
      { ...common, data: series.band.map(([x, low, high]) => [x, high - low]), areaStyle: { color: paint, opacity: 0.16 } },
    ];
  }
  function lines(plot, ink) {
    const label = { color: ink.soft, fontSize: 11, fontFamily: ink.font, formatter: (mark) => mark.name };
    const stroke = { color: ink.soft, type: "dashed", width: 1 };
    const marks = (plot.marks || []).map((mark, place) => ({ name: mark.text, xAxis: mark.at, lineStyle: stroke, label: { ...label, distance: place % 2 ? 16 : 4 } }));
    const limits = (plot.limits || []).map((mark) => ({ name: mark.text, yAxis: mark.at, lineStyle: { ...stroke, color: ink.bad }, label: { ...label, color: ink.bad, position: "insideEndTop" } }));
    return { silent: true, symbol: "none", data: [...marks, ...limits] };
  }
  function described(plot) {
    const ink = { text: colour("ink"), soft: colour("soft"), line: colour("line"), bad: colour("bad"), card: colour("card"), font: getComputedStyle(document.body).fontFamily };
    const paints = [1, 2, 3, 4, 5, 6].map((number) => colour(`plot-${number}`));
    const shown = [];
    plot.series.forEach((series, index) => {
      const paint = paints[index % paints.length], hollow = new Set(series.hollow || []);
      const data = series.points.map((point, at) => ({ value: point, itemStyle: hollow.has(at) ? { color: ink.card, borderColor: paint, borderWidth: 1.6 } : {} }));
      if (series.band && series.band.length) shown.push(...band(series, paint, index));
      shown.push({ name: series.name, type: series.kind || "line", data, color: paint, symbol: "circle", symbolSize: series.points.length > 80 ? 3 : 6, showSymbol: series.points.length <= 200, lineStyle: { width: 2 }, barMaxWidth: 26, stack: series.stack, ...(index ? {} : { markLine: lines(plot, ink) }) });
    });
    const axis = { axisLine: { lineStyle: { color: ink.line } }, axisTick: { show: false }, axisLabel: { color: ink.soft, fontFamily: ink.font, hideOverlap: true }, splitLine: { lineStyle: { color: ink.line } } };
    return {
      animation: false, textStyle: { fontFamily: ink.font }, series: shown, useUTC: true,
      grid: { left: 8, right: 34, top: (plot.series.length > 1 ? 40 : 16) + ((plot.marks || []).length > 1 ? 14 : 0), bottom: 6, containLabel: true },
      legend: { show: plot.series.length > 1, top: 0, left: 0, icon: "roundRect", itemWidth: 12, itemHeight: 4, textStyle: { color: ink.soft, fontFamily: ink.font }, data: plot.series.map((series) => series.name) },
      tooltip: { trigger: "axis", renderMode: "richText", confine: true, backgroundColor: ink.card, borderColor: ink.line, textStyle: { color: ink.text, fontFamily: ink.font, fontSize: 12 } },
      xAxis: { ...axis, type: plot.x || "value", splitLine: { show: false }, name: plot.unit || "" , nameLocation: "middle", nameGap: 28, nameTextStyle: { color: ink.soft } },
      yAxis: { ...axis, type: "value", scale: true, min: plot.from ?? undefined },
    };
  }
  function draw() {
    for (const [element, chart] of drawn) if (!element.isConnected) { chart.dispose(); drawn.delete(element); }
    for (const element of document.querySelectorAll("[data-plot]")) {
      element.hidden = false;
      const chart = drawn.get(element) || echarts.init(element, null, { renderer: "canvas" });
      drawn.set(element, chart);
      chart.setOption(described(JSON.parse(element.dataset.plot)), true);
    }
  }
  document.addEventListener("DOMContentLoaded", draw);
  document.addEventListener("loopline:swapped", draw);
  document.addEventListener("loopline:theme", draw);
  addEventListener("resize", () => { for (const chart of drawn.values()) chart.resize(); });
})();
