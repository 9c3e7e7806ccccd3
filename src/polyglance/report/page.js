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
      cell.append(span("ci", `${perCent(low)}–${perCent(high)}`));
  };
  const say = (at, slot, text) =>
    $$(at, `[data-slot="${slot}"]`).forEach((found) => (found.textContent = text));
  // Letters without their marks, so that "turkce" finds Türkçe.
  const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const directionName = (direction) =>
    direction === "text_to_content" ? `text to ${data.modality}` : `${data.modality} to text`;

  const parts = data.sections.map((numbers, place) => {
    const at = $(document, `[data-section="${place}"]`);
    const rows = [];
    $$(at, "table.languages tbody tr").forEach((row) => (rows[+row.dataset.i] = row));
    const search = numbers.languages.map((language) =>
      fold([language.english, language.own, language.id, language.scriptName].join(" ")),
    );
    const best = numbers.after ?? 0;
    const first = numbers.views[0];
    const start = {
      split: first.split, direction: first.direction, value: first.value,
      after: String(best), sort: `m${best}`, order: "desc", filter: "", script: "", all: "",
    };
    return {
      numbers, at, place, rows, search, start, state: { ...start },
      slots: data.slots[place], charts: {}, shown: [],
    };
  });

  const viewOf = (part) => {
    const { state, numbers } = part;
    const fits = (view, keys) => keys.every((key) => view[key] === state[key]);
    for (const keys of [["split", "direction", "value"], ["direction", "value"], ["value"], []]) {
      const found = numbers.views.find((view) => fits(view, keys));
      if (found) return found;
    }
  };

  /* --- tables ------------------------------------------------------------------------------ */

  function fillModels(part, view) {
    for (const row of $$(part.at, "table.models tbody tr"))
      for (const cell of $$(row, "td")) {
        const beside = part.numbers.views.find(
          (other) => other.split === cell.dataset.split &&
            other.direction === view.direction && other.value === view.value,
        );
        const head = beside ? beside.heads[+row.dataset.model] : Array(6).fill(null);
        fill(cell, ...(cell.dataset.part === "english" ? head.slice(0, 3) : head.slice(3)));
      }
    say(part.at, "value", view.name);
    say(part.at, "direction", directionName(view.direction));
    say(part.at, "chance", view.chance == null ? "" :
      `Guessing among ${view.candidates.toLocaleString("en")} candidates ` +
      `with one right answer: ${perCent(view.chance)}\u00a0%.`);
  }

  function gainOf(part, view, i) {
    const { baseline } = part.numbers;
    const after = +part.state.after;
    if (baseline == null || after === baseline) return null;
    const [a, b] = [view.values[after][i], view.values[baseline][i]];
    if (a == null || b == null) return null;
    const ends = [view.lows[after][i], view.highs[after][i], view.lows[baseline][i], view.highs[baseline][i]];
    const clear = ends.every((end) => end != null) && (ends[0] > ends[3] || ends[1] < ends[2]);
    return { value: a - b, clear };
  }

  function fillLanguages(part, view) {
    part.rows.forEach((row, i) => {
      const queries = view.queries[i];
      $(row, "td.n").textContent = queries == null ? MISSING : queries.toLocaleString("en");
      $$(row, "td.heat").forEach((cell, model) => {
        const value = view.values[model][i];
        fill(cell, value, view.lows[model][i], view.highs[model][i]);
        cell.style.setProperty("--v", value == null ? 0 : Math.max(0, value));
      });
      const cell = $(row, "td.gain");
      if (!cell) return;
      const gain = gainOf(part, view, i);
      cell.textContent = gain ? points(gain.value) : MISSING;
      cell.className = "num gain" + (gain && gain.clear ? (gain.value > 0 ? " up" : " down") : "");
    });
    say(part.at, "after", part.numbers.models[+part.state.after]);
  }

  function keyOf(part, view, i) {
    const key = part.state.sort;
    const language = part.numbers.languages[i];
    if (key === "name") return language.english;
    if (key === "own") return language.own || null;
    if (key === "id") return language.id;
    if (key === "script") return language.scriptName;
    if (key === "queries") return view.queries[i];
    if (key === "gain") return gainOf(part, view, i)?.value ?? null;
    return view.values[+key.slice(1)][i];
  }

  function arrange(part, view) {
    const { state, numbers } = part;
    const wanted = fold(state.filter).split(/\s+/).filter(Boolean);
    part.shown = numbers.languages.map((_, i) => i).filter((i) =>
      wanted.every((word) => part.search[i].includes(word)) &&
      (!state.script || numbers.languages[i].script === state.script));
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
    const total = numbers.languages.length;
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
    };
  };

  function barRows(part, view) {
    const { baseline, languages } = part.numbers;
    const after = +part.state.after;
    const some = part.state.all ? part.shown : part.shown.slice(0, FEW);
    return some.map((i) => ({
      language: languages[i].english, own_name: languages[i].own || MISSING,
      before: baseline == null ? null : view.values[baseline][i], after: view.values[after][i],
      low: view.lows[after][i], high: view.highs[after][i], gain: gainOf(part, view, i)?.value ?? null,
    }));
  }

  function scatterRows(part, view) {
    const { splits, views, languages, models } = part.numbers;
    const [across, up] = splits.map((split) => views.find((other) =>
      other.split === split && other.direction === view.direction && other.value === view.value));
    if (!across || !up) return [];
    const chosen = new Set([+part.state.after, part.numbers.baseline]);
    const rows = [];
    models.forEach((model, m) => part.shown.forEach((i) => {
      const [x, y] = [across.values[m][i], up.values[m][i]];
      if (x == null || y == null) return;
      rows.push({
        language: languages[i].english, own_name: languages[i].own || MISSING, model, x, y,
        colour: colour(`--m${part.slots[m]}`), shape: data.shapes[part.slots[m]],
        opacity: chosen.has(m) ? 0.9 : 0.45,
      });
    }));
    return rows;
  }

  async function draw(part, kind, { rows, height, signals }) {
    const spec = kind === "bars" ? data.specs.bars : data.specs.scatters[part.place];
    const plot = $(part.at, `[data-plot="${kind}"]`);
    if (!plot || !spec || !window.vegaEmbed) return;
    plot.hidden = !rows.length; // of no rows Vega would warn
    if (plot.hidden) return;
    if (!part.charts[kind])
      part.charts[kind] = window.vegaEmbed(plot, { ...spec, height, datasets: { rows } }, {
        mode: "vega-lite", actions: false, renderer: "svg", config: theme(),
        tooltip: { theme: "report" },
      });
    const { view } = await part.charts[kind];
    for (const [name, value] of Object.entries(signals)) view.signal(name, value);
    await view.data("rows", rows).height(height).resize().runAsync();
    plot.dataset.drawn = rows.length;
  }

  function drawAll(part) {
    const view = viewOf(part);
    const { numbers, state } = part;
    const ink = colour("--ink");
    const slot = part.slots[+state.after];
    const both = numbers.baseline != null && numbers.after != null;
    say(part.at, "before-name", both ? numbers.models[numbers.baseline] : MISSING);
    say(part.at, "after-name", numbers.models[+state.after]);
    $(part.at, "[data-charts]").style.setProperty("--after", `var(--m${slot})`);
    const more = $(part.at, '[data-slot="more"]');
    more.hidden = part.shown.length <= FEW;
    more.textContent = state.all ? `Show ${FEW} only` : `Show all ${part.shown.length} languages`;
    const bars = barRows(part, view);
    draw(part, "bars", {
      rows: bars, height: bars.length * ROW + AXIS,
      signals: { before_colour: colour("--before"), after_colour: colour(`--m${slot}`), ink },
    });
    const rows = scatterRows(part, view);
    const ends = rows.flatMap((row) => [row.x, row.y]);
    const highest = ends.reduce((a, b) => Math.max(a, b), 0);
    draw(part, "scatter", {
      rows, height: data.specs.scatters[part.place]?.height,
      signals: {
        ink, lowest: ends.reduce((a, b) => Math.min(a, b), 0),
        highest: Math.min(1, Math.ceil(highest * 10.5) / 10) || 1,
      },
    });
  }

  /* --- what the reader chooses --------------------------------------------------------------- */

  function show(part) {
    const view = viewOf(part);
    Object.assign(part.state, { split: view.split, direction: view.direction, value: view.value });
    fillModels(part, view);
    fillLanguages(part, view);
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
      show(part);
    }
  }

  function choose(part, change) {
    Object.assign(part.state, change);
    show(part);
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
        const words = ["name", "own", "id", "script"].includes(key);
        const turned = part.state.order === "desc" ? "asc" : "desc";
        choose(part, { sort: key, order: part.state.sort === key ? turned : words ? "asc" : "desc" });
      } else if (target.closest('[data-slot="more"]'))
        choose(part, { all: part.state.all ? "" : "1" });
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
  addEventListener("load", () => setTimeout(() => parts.forEach(drawAll)));
})();
