// Draws what <div data-plot="{…}"> describes. The same numbers stand in the table beneath, for everyone without script.
// {"x": "time" | "value" | "category", "unit": "", "from": null, "series": [{"name", "points": [[x, y], …], "band": [[x, low, high], …],
//  "hollow": [index, …], "kind": "line" | "bar" | "scatter", "names": ["", …], "stack", "dashed"}], "marks": [{"at", "text", "tone"}], "limits": [{"at", "text"}], "areas": [{"from", "to", "text"}],
//  "side": "", "parallel": {"axes": [{"name", "words"}], "rows": [{"name", "values"}], "colour": index}}
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
    const toned = (mark) => (mark.tone === "bad" ? ink.bad : ink.soft);
    const marks = (plot.marks || []).map((mark, place) => ({ name: mark.text, xAxis: mark.at, lineStyle: { ...stroke, color: toned(mark) }, label: { ...label, align: "left", color: toned(mark), distance: place % 2 ? 16 : 4 } }));
    const limits = (plot.limits || []).map((mark) => ({ name: mark.text, yAxis: mark.at, lineStyle: { ...stroke, color: ink.bad }, label: { ...label, color: ink.bad, position: "insideEndTop" } }));
    return { silent: true, symbol: "none", data: [...marks, ...limits] };
  }
  // What is not certain yet stands on hatched ground.
  function hatched(plot, ink) {
    const tile = document.createElement("canvas"), side = 8;
    tile.width = tile.height = side;
    const pen = tile.getContext("2d");
    pen.strokeStyle = ink.soft; pen.globalAlpha = 0.4; pen.lineWidth = 1;
    for (const shift of [-side, 0, side]) { pen.beginPath(); pen.moveTo(shift, side); pen.lineTo(shift + side, 0); pen.stroke(); }
    return { silent: true, itemStyle: { color: { image: tile, repeat: "repeat" } }, data: (plot.areas || []).map((area) => [{ xAxis: area.from }, { xAxis: area.to }]) };
  }
  const inks = () => ({ text: colour("ink"), soft: colour("soft"), line: colour("line"), bad: colour("bad"), card: colour("card"), font: getComputedStyle(document.body).fontFamily });
  const colours = () => [1, 2, 3, 4, 5, 6].map((number) => colour(`plot-${number}`));
  const axes = (ink) => ({ axisLine: { lineStyle: { color: ink.line } }, axisTick: { show: false }, axisLabel: { color: ink.soft, fontFamily: ink.font, hideOverlap: true }, splitLine: { lineStyle: { color: ink.line } } });
  const tip = (ink) => ({ trigger: "axis", renderMode: "richText", confine: true, backgroundColor: ink.card, borderColor: ink.line, textStyle: { color: ink.text, fontFamily: ink.font, fontSize: 12 } });
  const short = (value) => typeof value !== "number" ? String(value ?? "–") : Math.abs(value) >= 1e6 || (value && Math.abs(value) < 1e-4) ? value.toExponential(3) : String(Number(value.toPrecision(6)));
  window.loopline = { colour, inks, colours, axes, tip, short };
  // Each run is a line across all axes; a stretch dragged along an axis fades those that do not pass it.
  function parallel(plot) {
    const ink = inks(), paints = colours(), { axes: told, rows, colour: at } = plot.parallel, values = rows.map((row) => row.values[at]).filter((value) => typeof value === "number");
    const label = { color: ink.soft, fontFamily: ink.font, fontSize: 11 };
    return {
      animation: false, textStyle: { fontFamily: ink.font },
      parallel: { left: 46, right: 104, top: 44, bottom: 26, parallelAxisDefault: { nameLocation: "end", nameGap: 16, nameTextStyle: { ...label, color: ink.text }, axisLine: { lineStyle: { color: ink.soft } }, axisTick: { show: false }, axisLabel: label, areaSelectStyle: { width: 18, borderWidth: 1, borderColor: paints[0], color: paints[0], opacity: 0.25 } } },
      parallelAxis: told.map((axis, dim) => ({ dim, name: axis.name.length > 16 ? `${axis.name.slice(0, 15)}…` : axis.name, scale: true, ...(axis.words ? { type: "category", data: axis.words, axisLabel: { ...label, formatter: (word) => (word.length > 12 ? `${word.slice(0, 11)}…` : word) } } : { axisLabel: { ...label, formatter: short } }) })),
      visualMap: values.length ? { type: "continuous", show: true, dimension: at, min: Math.min(...values), max: Math.max(...values), right: 0, top: "middle", itemHeight: 150, itemWidth: 10, precision: 4, calculable: false, text: ["high", "low"], textStyle: label, inRange: { color: [paints[1], paints[5], paints[0]] } } : undefined,
      tooltip: { ...tip(ink), trigger: "item", formatter: (item) => item.name },
      series: [{ type: "parallel", smooth: false, inactiveOpacity: 0.05, activeOpacity: 0.9, lineStyle: { width: rows.length > 100 ? 1 : 1.6, opacity: rows.length > 100 ? 0.45 : 0.75, color: paints[0] }, data: rows.map((row) => ({ name: row.name, value: row.values.map((value) => value ?? "-") })) }],
    };
  }
  function described(plot) {
    if (plot.parallel) return parallel(plot);
    const ink = inks(), paints = colours();
    const shown = [];
    plot.series.forEach((series, index) => {
      const paint = paints[index % paints.length], hollow = new Set(series.hollow || []);
      const data = series.points.map((point, at) => ({ value: point, name: series.names && series.names[at], itemStyle: hollow.has(at) ? { color: ink.card, borderColor: paint, borderWidth: 1.6 } : {} }));
      if (series.band && series.band.length) shown.push(...band(series, paint, index));
      shown.push({ name: series.name, type: series.kind || "line", data, color: paint, symbol: "circle", symbolSize: series.kind === "scatter" ? 9 : series.points.length > 80 ? 3 : 6, ...(series.kind === "scatter" ? { itemStyle: { opacity: 0.75 } } : {}), silent: Boolean(series.silent), showSymbol: series.points.length <= 200 && !series.silent, lineStyle: { width: 2, type: series.dashed ? "dashed" : "solid" }, barMaxWidth: 26, stack: series.stack, ...(index ? {} : { markLine: lines(plot, ink), markArea: hatched(plot, ink) }) });
    });
    const axis = axes(ink), dots = plot.series.some((series) => series.kind === "scatter"), pair = (item) => `${item.name}\n${plot.unit}: ${short(item.value[0])}\n${plot.side}: ${short(item.value[1])}`;
    return {
      animation: false, textStyle: { fontFamily: ink.font }, series: shown, useUTC: true,
      grid: { left: 8, right: 34, top: (plot.series.length > 1 ? 40 : 16) + ((plot.marks || []).length > 1 ? 14 : 0), bottom: 6, containLabel: true },
      legend: { show: plot.series.length > 1, top: 0, left: 0, icon: "roundRect", itemWidth: 12, itemHeight: 4, textStyle: { color: ink.soft, fontFamily: ink.font }, data: plot.series.map((series) => series.name) },
      tooltip: dots ? { ...tip(ink), trigger: "item", formatter: pair } : tip(ink),
      xAxis: { ...axis, type: plot.x || "value", scale: dots, max: plot.areas && plot.areas.length ? plot.areas[plot.areas.length - 1].to : undefined, splitLine: { show: false }, name: plot.unit || "" , nameLocation: "middle", nameGap: 28, nameTextStyle: { color: ink.soft } },
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
