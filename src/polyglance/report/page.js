/* What does the reader's choice change? Fills, sorts and filters the tables; the charts follow.
 * The choice is kept behind the # of the address, so that a view can be sent to somebody. */
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const MISSING = "–";
  const MINUS = "\u2212";
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
  const AXES = ["value", "direction", "variant", "partner", "split"];
  // A column that is the same in every row is one number.
  const pick = (column, i) => (Array.isArray(column) ? column[i] : column);
  const number = (view, what, model, i) => pick(view[what][model], i);
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const kinds = data.languages.groups;
  const known = data.languages.id.map((id, i) => ({
    id, place: i, english: data.languages.english[i], own: data.languages.own[i],
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
      by: "resources", all: "", resource: "0",
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

  const { drawAll, drawPair, forget } =
    reportCharts({ data, viewOf, number, gainOf, say, $, AXES, MISSING });

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
      if (!data.resources[part.state.resource]) part.state.resource = part.start.resource;
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
      await forget(part);
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
