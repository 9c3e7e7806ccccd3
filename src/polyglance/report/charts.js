/* How are the charts of a report drawn? Rows of what the page shows, drawn when they come near. */
const reportCharts = (page) => {
  "use strict";
  const { data, viewOf, number, gainOf, say, $, AXES, MISSING } = page;
  const root = document.documentElement;
  const FEW = 24; // languages in the chart before "show all"
  const ROW = 18; // px of a language in the chart
  const AXIS = 30; // px above them
  const HEAT = 30; // px of a model in the heat map
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  const theme = () => {
    const text = { labelColor: colour("--muted"), titleColor: colour("--muted") };
    const font = getComputedStyle(document.body).fontFamily;
    return {
      background: null, font, view: { stroke: null }, aria: false, padding: 2,
      axis: { ...text, gridColor: colour("--line"), tickColor: colour("--line"),
        domainColor: colour("--line"), labelFontSize: 11.5, titleFontSize: 12,
        titleFontWeight: "normal", labelLimit: 132 },
      axisY: { ticks: false, labelPadding: 6 },
      legend: { labelColor: colour("--muted"), labelFontSize: 11 },
      range: { heatmap: [colour("--cold"), colour("--hot")] },
    };
  };

  function barRows(part, view) {
    const { baseline, languages } = part.numbers;
    const after = +part.state.after;
    const some = part.state.all ? part.shown : part.shown.slice(0, FEW);
    return some.map((i) => ({
      language: languages[i].english, own_name: languages[i].own || MISSING,
      before: baseline == null ? null : number(view, "values", baseline, i),
      after: number(view, "values", after, i), low: number(view, "lows", after, i),
      high: number(view, "highs", after, i), gain: gainOf(part, view, i)?.value ?? null,
    }));
  }

  function scatterRows(part, view) {
    const { splits, views, languages, models } = part.numbers;
    const [across, up] = splits.map((split) => views.find((other) => AXES.every((axis) =>
      other[axis] === (axis === "split" ? split : view[axis]))));
    if (!across || !up) return [];
    const chosen = new Set([+part.state.after, part.numbers.baseline]);
    const rows = [];
    models.forEach((model, m) => part.shown.forEach((i) => {
      const [x, y] = [across, up].map((one) => number(one, "values", m, i));
      if (x != null && y != null)
        rows.push(pointOf(languages[i], model, { x, y, opacity: chosen.has(m) ? 0.9 : 0.45 }));
    }));
    return rows;
  }

  function resourceRows(part, view) {
    const { languages, models } = part.numbers;
    const counts = data.resources[+part.state.resource];
    return models.flatMap((model, m) => part.shown.flatMap((i) => {
      const [x, y] = [counts[languages[i].place], number(view, "values", m, i)];
      return x == null || y == null ? [] : [pointOf(languages[i], model, { x, y, opacity: 0.8 })];
    }));
  }

  function pointOf(language, model, place) {
    const slot = data.slots[model];
    return {
      language: language.english, own_name: language.own || MISSING, model, ...place,
      colour: colour(`--m${slot}`), shape: data.shapes[slot],
    };
  }

  function heatRows(part, view) {
    const { models, languages } = part.numbers;
    return models.flatMap((model, m) => part.shown.flatMap((i) => {
      const value = number(view, "values", m, i);
      return value == null ? [] : [{
        id: languages[i].id, language: languages[i].english, own_name: languages[i].own || MISSING,
        model: data.labels[model], value,
      }];
    }));
  }

  // Vega is 0.9 MB of script: it is compiled when the first chart comes into sight.
  let compiled = false;
  function compile() {
    if (compiled) return;
    compiled = true;
    const made = document.createElement("script");
    made.textContent = document.getElementById("charts").textContent;
    document.body.append(made);
  }

  async function embed(plot, charts, kind, { spec, rows, signals, height, width }) {
    compile();
    plot.hidden = !rows.length; // of no rows Vega would warn
    if (plot.hidden || !window.vegaEmbed) return;
    if (!charts[kind])
      charts[kind] = window.vegaEmbed(plot, { ...spec, datasets: { rows },
        ...(height ? { height } : {}), ...(width ? { width } : {}) }, {
        mode: "vega-lite", actions: false, renderer: "svg", config: theme(),
        tooltip: { theme: "report" },
      });
    const { view } = await charts[kind];
    for (const [name, value] of Object.entries(signals ?? {})) view.signal(name, value);
    if (height) view.height(height);
    if (width) view.width(width);
    await view.data("rows", rows).resize().runAsync();
    plot.dataset.drawn = rows.length;
  }

  // Charts are drawn when they come near the window; what changes before that waits.
  const waiting = new Map();
  const near = new WeakSet();
  const watch = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) { near.delete(target); continue; }
      near.add(target);
      waiting.get(target)?.();
      waiting.delete(target);
    }
  }, { rootMargin: "300px" });

  function whenNear(plot, work) {
    if (near.has(plot)) { work(); return; }
    waiting.set(plot, work);
    watch.observe(plot);
  }

  function draw(part, kind, prepare) {
    const plot = $(part.at, `[data-plot="${kind}"]`);
    if (!plot) return;
    plot.hidden = !part.shown.length; // what is hidden is never near
    whenNear(plot, () => embed(plot, part.charts, kind, prepare(plot)));
  }

  function drawAll(part) {
    const view = viewOf(part);
    const { numbers, state } = part;
    const ink = colour("--ink");
    const slot = part.slots[+state.after];
    const both = numbers.baseline != null && numbers.after != null;
    say(part.at, "before-name", both ? data.labels[numbers.models[numbers.baseline]] : MISSING);
    say(part.at, "after-name", data.labels[numbers.models[+state.after]]);
    $(part.at, "[data-charts]").style.setProperty("--after", `var(--m${slot})`);
    const more = $(part.at, '[data-slot="more"]');
    more.hidden = part.shown.length <= FEW;
    more.textContent = state.all ? `Show ${FEW} only` : `Show all ${part.shown.length} languages`;
    const few = Math.min(part.shown.length, state.all ? Infinity : FEW);
    $(part.at, '[data-plot="bars"]').style.minHeight = `${few * ROW + AXIS}px`;
    draw(part, "heat", (plot) => {
      const rows = heatRows(part, view);
      return {
        spec: data.specs.heat, rows, height: numbers.models.length * HEAT,
        // A language is never narrower than 4 px: the plot scrolls.
        width: Math.max(plot.clientWidth - 130, part.shown.length * 4),
      };
    });
    draw(part, "bars", () => ({
      spec: data.specs.bars, rows: barRows(part, view), height: few * ROW + AXIS,
      signals: { before_colour: colour("--before"), after_colour: colour(`--m${slot}`), ink },
    }));
    draw(part, "resources", () => (
      { spec: data.specs.resources, rows: resourceRows(part, view) }));
    draw(part, "scatter", () => {
      const rows = scatterRows(part, view);
      const ends = rows.flatMap((row) => [row.x, row.y]);
      const highest = ends.reduce((a, b) => Math.max(a, b), 0);
      return {
        spec: data.specs.scatters[part.place], rows,
        signals: {
          ink, lowest: ends.reduce((a, b) => Math.min(a, b), 0),
          highest: Math.min(1, Math.ceil(highest * 10.5) / 10) || 1,
        },
      };
    });
  }

  const together = { charts: {}, drawn: null };
  function drawPair() {
    const plot = document.getElementById("pairs");
    if (!plot) return;
    const chosen = data.pairs[+(document.getElementById("pair")?.value ?? 0)];
    const sides = ["across", "up"].map((axis) => {
      const [place, at] = chosen[axis].at;
      return { numbers: data.sections[place], view: data.sections[place].views[at] };
    });
    const rows = [];
    sides[0].numbers.models.forEach((model, m) => {
      const n = sides[1].numbers.models.indexOf(model);
      sides[0].numbers.languages.forEach((language, i) => {
        const x = number(sides[0].view, "values", m, i);
        const j = sides[1].numbers.languages.indexOf(language);
        const y = n < 0 || j < 0 ? null : number(sides[1].view, "values", n, j);
        if (x != null && y != null) rows.push(pointOf(language, model, { x, y, opacity: 0.8 }));
      });
    });
    const named = JSON.stringify(data.specs.pair)
      .replaceAll('"{across}"', JSON.stringify(chosen.across.name))
      .replaceAll('"{up}"', JSON.stringify(chosen.up.name));
    whenNear(plot, async () => {
      if (together.charts.pair) (await together.charts.pair).finalize();
      together.charts = {};
      await embed(plot, together.charts, "pair", { spec: JSON.parse(named), rows });
    });
  }

  // Another theme has other colours: what is drawn goes.
  async function forget(part) {
    for (const made of Object.values(part.charts)) (await made).finalize();
    part.charts = {};
  }

  return { drawAll, drawPair, forget };
};
