// In which language is it asked? The switch: a button, and a list that is searched as one types.
import { speak, speaks, word } from "./words.js";

const at = (id) => document.getElementById(id);
const [button, panel, find, choices] = ["language", "languages", "find", "choices"].map(at);
let rows = [];
let current = null; // a row; null where the language is detected
let active = 0;
let tell = () => {};

export const chosen = () => current?.id ?? null;
export const changed = (heard) => { tell = heard; };

const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

const apply = () => {
  const own = navigator.languages.find(speaks);
  if (current) speak(current.tag, current.direction);
  else speak(own ?? "en");
  at("spoken").textContent = current ? current.own_name || current.name : word("auto");
  button.setAttribute("aria-label", `${word("query_language")}: ${at("spoken").textContent}`);
};

const shown = () => {
  const wanted = fold(find.value.trim());
  const found = rows.filter((row) => !wanted
    || [row.own_name, row.name, row.tag, row.id].some((text) => fold(text).includes(wanted)));
  return wanted ? found : [null, ...found];
};

const option = (row, i) => {
  const item = document.createElement("li");
  item.id = `choice-${i}`;
  item.setAttribute("role", "option");
  item.setAttribute("aria-selected", String((row?.id ?? null) === chosen()));
  const own = document.createElement("bdi");
  own.textContent = row ? row.own_name || row.name : word("auto");
  if (row) own.lang = row.tag;
  item.append(own);
  if (row) {
    const english = document.createElement("span");
    english.lang = "en";
    english.dir = "ltr";
    english.textContent = row.name;
    item.append(english);
  }
  item.addEventListener("pointerdown", (event) => event.preventDefault());
  item.addEventListener("click", () => pick(row));
  return item;
};

const draw = () => {
  choices.replaceChildren(...shown().map(option));
  mark(0);
};

const mark = (i) => {
  const all = choices.children;
  all[active]?.classList.remove("active");
  active = Math.min(Math.max(i, 0), all.length - 1);
  all[active]?.classList.add("active");
  all[active]?.scrollIntoView({ block: "nearest" });
  if (all[active]) find.setAttribute("aria-activedescendant", all[active].id);
  else find.removeAttribute("aria-activedescendant");
};

const toggle = (shownNow) => {
  panel.hidden = !shownNow;
  button.setAttribute("aria-expanded", String(shownNow));
  if (!shownNow) return;
  find.value = "";
  draw();
  mark(current ? rows.indexOf(current) + 1 : 0);
  find.focus();
};

const pick = (row) => {
  current = row;
  toggle(false);
  apply();
  button.focus();
  tell();
};

button.addEventListener("click", () => toggle(panel.hidden));
find.addEventListener("input", draw);
find.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
  if (step) {
    event.preventDefault();
    mark(active + step);
  } else if (event.key === "Enter") {
    event.preventDefault();
    const found = shown();
    if (found.length) pick(found[active]);
  }
});
panel.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  toggle(false);
  button.focus();
});
document.addEventListener("pointerdown", (event) => {
  if (!panel.hidden && !panel.contains(event.target) && !button.contains(event.target))
    toggle(false);
});
panel.addEventListener("focusout", (event) => {
  if (event.relatedTarget && !panel.contains(event.relatedTarget)) toggle(false);
});

/** Ask which languages there are, and begin with the one that the address names. */
export const ready = async (asked) => {
  try {
    const response = await fetch("/api/languages");
    rows = response.ok ? (await response.json()).languages : [];
  } catch {
    rows = [];
  }
  const order = new Intl.Collator("en");
  rows.sort((a, b) => order.compare(a.name, b.name));
  current = rows.find((row) => row.id === asked) ?? null;
  apply();
};
