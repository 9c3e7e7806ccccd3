/* What does the reader of an analysis choose? A language of the matrices; the charts follow. */
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const charts = new Map();
  const select = (name) => document.querySelector(`select[name="${name}"]`);

  const theme = () => {
    const text = { labelColor: colour("--muted"), titleColor: colour("--muted") };
    return {
      background: null, font: getComputedStyle(document.body).fontFamily,
      view: { stroke: null }, aria: false, padding: 2,
      axis: { ...text, gridColor: colour("--line"), tickColor: colour("--line"),
        domainColor: colour("--line"), labelFontSize: 11.5, titleFontSize: 12,
        titleFontWeight: "normal", labelLimit: 170 },
      axisY: { ticks: false, labelPadding: 6 }, legend: { ...text, labelFontSize: 11 },
      range: { heatmap: [colour("--cold"), colour("--hot")] },
    };
  };

  // Rows of a chart: as they come, coloured by the theme, or a matrix taken apart.
  function rowsOf(kind, at) {
    if (kind === "map")
      return data.maps[at].x.map((x, i) => {
        const point = data.points[i];
        return { ...point, x, y: data.maps[at].y[i], name: data.names[point.who],
          colour: colour(`--m${point.who % 8}`), shape: data.shapes[point.cluster % data.shapes.length],
          opacity: 0.85 };
      });
    if (kind === "cosines") {
      const pair = chosen();
      if (!pair?.matrices[at]) return [];
      return pair.matrices[at].flatMap((row, r) => row.map((value, c) => (
        { row: r, column: c, value, first: pair.first[r], second: pair.second[c] })));
    }
    if (kind === "curves")
      return data.curves.map((row) => ({ ...row, colour: colour(`--m${row.slot}`) }));
    if (kind === "spread")
      return data.spread.map((row) => ({ ...row, colour: colour(`--m${row.slot}`) }));
    return data[kind];
  }

  function chosen() {
    const kinds = data.cosines[select("language").value];
    const wanted = select("with").value;
    return kinds[wanted] ?? null;
  }

  function signalsOf(kind) {
    if (kind === "cosines") {
      const values = (chosen()?.matrices ?? [[[0]]]).flat(2);
      return { lowest: Math.min(0, ...values), highest: Math.max(...values) };
    }
    return kind === "map" || kind === "curves" ? {} : { ink: colour("--ink"),
      ...(kind === "curve" ? { accent: colour("--accent") } : {}) };
  }

  async function draw(plot, fresh) {
    const { plot: kind, at } = plot.dataset;
    const rows = rowsOf(kind, +at);
    plot.hidden = !rows.length;
    if (kind === "cosines") plot.closest("figure").hidden = plot.hidden && +at > 1;
    if (plot.hidden) return;
    if (fresh && charts.has(plot)) (await charts.get(plot)).finalize();
    if (fresh || !charts.has(plot))
      charts.set(plot, window.vegaEmbed(plot, { ...data.specs[kind], datasets: { rows },
        ...(kind === "spread" ? { height: Math.max(120, 30 * rows.length) } : {}) }, {
        mode: "vega-lite", actions: false, renderer: "svg", config: theme(),
        tooltip: { theme: "report" },
      }));
    const { view } = await charts.get(plot);
    for (const [name, value] of Object.entries(signalsOf(kind))) view.signal(name, value);
    await view.data("rows", rows).resize().runAsync();
    plot.dataset.drawn = rows.length;
  }

  const plots = [...document.querySelectorAll(".plot")];
  const drawAll = (fresh) => plots.forEach((plot) => draw(plot, fresh));
  const absent = document.querySelector('[data-slot="absent"]');
  for (const name of ["language", "with"])
    select(name)?.addEventListener("change", () => {
      absent.hidden = Boolean(chosen());
      plots.filter((plot) => plot.dataset.plot === "cosines").forEach((plot) => draw(plot, false));
    });

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const button = document.getElementById("theme");
  const repaint = () => {
    button.setAttribute("aria-pressed", String(isDark()));
    drawAll(true);
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("polyglance-theme", root.dataset.theme); } catch { /* not kept */ }
    repaint();
  });
  dark.addEventListener("change", repaint);
  root.classList.add("alive");
  const made = document.createElement("script");
  // What draws stands behind this script in the file.
  addEventListener("DOMContentLoaded", () => {
    made.textContent = document.getElementById("charts").textContent;
    document.body.append(made);
    repaint();
  });
})();
