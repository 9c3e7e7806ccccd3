/* What does the reader's choice change? Fills, sorts and filters the tables, draws the charts.
 * The choice is kept behind the # of the address, so that a view can be sent to somebody. */
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const MISSING = "–";
  const MINUS = "\u2212";
  const FEW = 24; // languages in the chart before "show all"
  const ROW = 18; // px of a language in the chart
  const AXIS = 30; // px above them
  const HEAT = 30; // px of a model in the heat map
  const collator = new Intl.Collator("en", { numeric: true });
  const $ = (at, selector) => at.querySelector(selector);
  const $$ = (at, selector) => [...at.querySelectorAll(selector)];

  // Fractions to per cent, as wording.py does.
  const perCent = (value) => {
    if (value == null) return MISSING;
    const shown = (100 * value).toFixed(1);
    return shown === "-0.0" ? "0.0" : shown.replace("-", MINUS);
  };
  const points = (value) => {
    const shown = perCent(value);
    return value > 0 && shown !== "0.0" ? "+" + shown : shown;
  };
  const span = (className, text) => {
    const made = document.createElement("span");
    made.className = className;
    made.textContent = text;
    return made;
  };
  const fill = (cell, value, low, high) => {
    cell.replaceChildren(span("v", perCent(value)));
    if (low != null && high != null)
      cell.append(span("ci", perCent(low) + (low < 0 ? " to " : "–") + perCent(high)));
  };
  const say = (at, slot, text) =>
    $$(at, `[data-slot="${slot}"]`).forEach((found) => (found.textContent = text));
  // Letters without their marks, so that "turkce" finds Türkçe.
  const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const AXES = ["value", "direction", "variant", "partner", "split"];
  // A column that is the same in every row is one number.
  const pick = (column, i) => (Array.isArray(column) ? column[i] : column);
  const number = (view, what, model, i) => pick(view[what][model], i);
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const kinds = data.languages.groups;
  const known = data.languages.id.map((id, i) => ({
    id, english: data.languages.english[i], own: data.languages.own[i],
    group: Object.fromEntries(Object.entries(kinds).map(([by, k]) => [by, k.of[i]])),
  }));
  const groupName = (language, by) => kinds[by].names[language.group[by]];

  const parts = data.sections.map((numbers, place) => {
    const at = $(document, `[data-section="${place}"]`);
    const rows = [];
    $$(at, "table.languages tbody tr").forEach((row) => (rows[+row.dataset.i] = row));
    numbers.languages = numbers.languages.map((i) => known[i]);
    const search = numbers.languages.map((language) =>
      fold([language.english, language.own, language.id,
        ...Object.keys(kinds).map((by) => groupName(language, by))].join(" ")),
    );
    const best = numbers.after ?? 0;
    const first = numbers.views[0];
    const start = {
      ...Object.fromEntries(AXES.map((axis) => [axis, first[axis]])),
      after: String(best), sort: `m${best}`, order: "desc", filter: "", group: "",
      by: "resources", all: "",
    };
    return {
      numbers, at, place, rows, search, start, state: { ...start },
      slots: numbers.models.map((model) => data.slots[model]), charts: {}, shown: [],
      filled: [...AXES, "after", "by"].map((key) => start[key]).join("\n"),
    };
  });

  // The view of the choice; where there is none, the nearest that has what was chosen last.
  const viewOf = (part, last) => {
    const fit = (view) => AXES.reduce((sum, axis) =>
      sum + (view[axis] === part.state[axis]) * (axis === last ? AXES.length : 1), 0);
    return part.numbers.views.reduce((best, view) => (fit(view) > fit(best) ? view : best));
  };

  /* --- tables ------------------------------------------------------------------------------ */

  function fillModels(part, view) {
    for (const row of $$(part.at, "table.models tbody tr"))
      for (const cell of $$(row, "td")) {
        const beside = part.numbers.views.find(
          (other) => AXES.every((axis) =>
            other[axis] === (axis === "split" ? cell.dataset.split : view[axis])),
        );
        const head = beside ? beside.heads[+row.dataset.model] : Array(6).fill(null);
        fill(cell, ...(cell.dataset.part === "english" ? head.slice(0, 3) : head.slice(3)));
      }
    say(part.at, "value", view.name);
    say(part.at, "direction", data.directions[view.direction]);
    say(part.at, "chance", view.chance == null ? "" :
      `Guessing among ${view.candidates.toLocaleString("en")} candidates ` +
      `with one right answer: ${perCent(view.chance)}\u00a0%.`);
  }

  function gainOf(part, view, i) {
    const { baseline } = part.numbers;
    const after = +part.state.after;
    if (baseline == null || after === baseline) return null;
    const [a, b] = [after, baseline].map((model) => number(view, "values", model, i));
    if (a == null || b == null) return null;
    const ends = [after, baseline].flatMap((model) =>
      [number(view, "lows", model, i), number(view, "highs", model, i)]);
    const clear = ends.every((end) => end != null) && (ends[0] > ends[3] || ends[1] < ends[2]);
    return { value: a - b, clear };
  }

  function fillGroups(part, view) {
    const table = $(part.at, "table.groups tbody");
    const { models, languages } = part.numbers;
    const { by } = part.state;
    const inside = kinds[by].names.map(() => []);
    languages.forEach((language, i) => {
      if (models.every((_, m) => number(view, "values", m, i) != null))
        inside[language.group[by]].push(i);
    });
    const rows = inside.map((found, g) => ({ found, name: kinds[by].names[g] }))
      .filter(({ found }) => found.length);
    table.replaceChildren(...rows.map(({ found, name }) => {
      const row = document.createElement("tr");
      const head = row.appendChild(document.createElement("th"));
      head.scope = "row";
      const button = head.appendChild(document.createElement("button"));
      button.type = "button";
      button.textContent = name;
      button.dataset.group = `${by}:${name}`;
      const count = row.appendChild(document.createElement("td"));
      count.className = "num";
      count.textContent = found.length;
      models.forEach((_, m) => {
        const cell = row.appendChild(document.createElement("td"));
        cell.className = "num heat";
        fillMean(cell, view, m, found);
      });
      return row;
    }));
  }

  // The mean over some languages, and of the ends of their intervals.
  function fillMean(cell, view, model, found) {
    const means = ["values", "lows", "highs"].map((what) => {
      const all = found.map((i) => number(view, what, model, i));
      return all.length && all.every((value) => value != null) ? mean(all) : null;
    });
    fill(cell, ...means);
    cell.style.setProperty("--v", Math.max(0, means[0] ?? 0));
  }

  function fillLanguages(part, view) {
    part.rows.forEach((row, i) => {
      const queries = pick(view.queries, i);
      $(row, "td.n").textContent = queries == null ? MISSING : queries.toLocaleString("en");
      $(row, "td.group").textContent = groupName(part.numbers.languages[i], part.state.by);
      $$(row, "td.heat").forEach((cell, model) => {
        const value = number(view, "values", model, i);
        fill(cell, value, number(view, "lows", model, i), number(view, "highs", model, i));
        cell.style.setProperty("--v", value == null ? 0 : Math.max(0, value));
      });
      const cell = $(row, "td.gain");
      if (!cell) return;
      const gain = gainOf(part, view, i);
      cell.textContent = gain ? points(gain.value) : MISSING;
      cell.className = "num gain" + (gain && gain.clear ? (gain.value > 0 ? " up" : " down") : "");
    });
    say(part.at, "after", data.labels[part.numbers.models[+part.state.after]]);
    $(part.at, 'th[data-key="group"] button').firstChild.data = kinds[part.state.by].title;
  }

  function keyOf(part, view, i) {
    const key = part.state.sort;
    const language = part.numbers.languages[i];
    if (key === "name") return language.english;
    if (key === "own") return language.own || null;
    if (key === "id") return language.id;
    if (key === "group") return part.state.by === "resources"
      ? language.group.resources : groupName(language, part.state.by);
    if (key === "queries") return pick(view.queries, i);
    if (key === "gain") return gainOf(part, view, i)?.value ?? null;
    return number(view, "values", +key.slice(1), i);
  }

  function arrange(part, view) {
    const { state, numbers } = part;
    const wanted = fold(state.filter).split(/\s+/).filter(Boolean);
    const measured = numbers.languages.map((_, i) => i).filter((i) =>
      numbers.models.some((_, m) => number(view, "values", m, i) != null));
    const [by, ...rest] = state.group.split(":");
    const group = rest.join(":");
    part.shown = measured.filter((i) =>
      wanted.every((word) => part.search[i].includes(word)) &&
      (!kinds[by] || groupName(numbers.languages[i], by) === group));
    const turn = state.order === "desc" ? -1 : 1;
    const keys = numbers.languages.map((_, i) => keyOf(part, view, i));
    const compare = (a, b) => typeof a === "string" ? collator.compare(a, b) : a - b;
    part.shown.sort((i, j) => {
      if (keys[i] == null || keys[j] == null) // what is missing stands last, whichever way
        return (keys[i] == null) - (keys[j] == null) || i - j;
      return turn * compare(keys[i], keys[j]) || i - j;
    });
    const body = $(part.at, "table.languages tbody");
    body.replaceChildren(...part.shown.map((i) => part.rows[i]));
    for (const head of $$(part.at, "th[data-key]"))
      if (head.dataset.key === state.sort)
        head.setAttribute("aria-sort", state.order === "desc" ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    const total = measured.length;
    const shared = part.shown.filter((i) =>
      numbers.models.every((_, m) => number(view, "values", m, i) != null));
    $$(part.at, "td.mean").forEach((cell, m) => fillMean(cell, view, m, shared));
    say(part.at, "mean-of", `of ${shared.length}`);
    const noun = total === 1 ? "language" : "languages";
    say(part.at, "count", part.shown.length === total
      ? `${total} ${noun}` : `${part.shown.length} of ${total} ${noun}`);
  }

  /* --- charts ------------------------------------------------------------------------------ */

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

  /* --- what the reader chooses --------------------------------------------------------------- */

  function show(part, last) {
    const view = viewOf(part, last);
    for (const axis of AXES) part.state[axis] = view[axis];
    // The page comes with the first view written; sorting and filtering change no number.
    const filled = [...AXES, "after", "by"].map((key) => part.state[key]).join("\n");
    if (filled !== part.filled) {
      fillModels(part, view);
      fillLanguages(part, view);
    }
    if (filled !== part.filled || !part.grouped) fillGroups(part, view);
    part.filled = filled;
    part.grouped = true;
    arrange(part, view);
    for (const control of $$(part.at, "[data-control]")) {
      const value = part.state[control.dataset.control];
      if (control.type === "radio") control.checked = control.value === value;
      else if (control.value !== value) control.value = value;
    }
    if (document.readyState === "complete") drawAll(part);
  }

  const prefix = (part) => (part.place ? `${part.place}.` : "");

  function writeAddress() {
    const chosen = new URLSearchParams();
    for (const part of parts)
      for (const [key, value] of Object.entries(part.state))
        if (value !== part.start[key]) chosen.set(prefix(part) + key, value);
    const hash = chosen.toString();
    history.replaceState(null, "", hash ? "#" + hash : location.pathname + location.search);
  }

  function readAddress() {
    const chosen = new URLSearchParams(location.hash.slice(1));
    for (const part of parts) {
      part.state = { ...part.start };
      for (const key of Object.keys(part.state))
        part.state[key] = chosen.get(prefix(part) + key) ?? part.state[key];
      // An address written by hand may name what is not there.
      if (!$(part.at, `th[data-key="${CSS.escape(part.state.sort)}"]`)) part.state.sort = part.start.sort;
      if (!part.numbers.models[part.state.after]) part.state.after = part.start.after;
      if (!kinds[part.state.by]) part.state.by = part.start.by;
      show(part);
    }
  }

  function choose(part, change) {
    Object.assign(part.state, change);
    show(part, Object.keys(change)[0]);
    writeAddress();
  }

  for (const part of parts) {
    part.at.addEventListener("input", ({ target }) => {
      const name = target.dataset.control;
      if (!name) return;
      const value = target.value;
      // Another model to compare is what the order is to follow, where it followed the last one.
      const follows = name === "after" && part.state.sort === `m${part.state.after}`;
      choose(part, { [name]: value, ...(follows ? { sort: `m${value}` } : {}) });
    });
    part.at.addEventListener("submit", (event) => event.preventDefault());
    part.at.addEventListener("click", ({ target }) => {
      const head = target.closest("th[data-key]");
      if (head) {
        const key = head.dataset.key;
        const words = ["name", "own", "id", "group"].includes(key);
        const turned = part.state.order === "desc" ? "asc" : "desc";
        choose(part, { sort: key, order: part.state.sort === key ? turned : words ? "asc" : "desc" });
      } else if (target.closest('[data-slot="more"]'))
        choose(part, { all: part.state.all ? "" : "1" });
      else if (target.dataset.group) {
        choose(part, { group: target.dataset.group });
        $(part.at, '[data-control="group"]').focus();
      }
    });
  }

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);

  async function repaint() {
    button.setAttribute("aria-pressed", String(isDark()));
    for (const part of parts) {
      for (const made of Object.values(part.charts)) (await made).finalize();
      part.charts = {};
      drawAll(part);
    }
    drawPair();
  }

  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("polyglance-theme", root.dataset.theme); } catch { /* not kept */ }
    repaint();
  });
  dark.addEventListener("change", repaint);
  addEventListener("hashchange", readAddress);
  button.setAttribute("aria-pressed", String(isDark()));
  root.classList.add("alive");
  readAddress();
  document.getElementById("pair")?.addEventListener("input", drawPair);
  addEventListener("load", () => setTimeout(() => {
    parts.forEach(drawAll);
    drawPair();
  }));
})();
