// What is known of one result? The picture large, its facts, and what leads on from it.
import { locale, word } from "./words.js";

const at = (id) => document.getElementById(id);
const [dialog, large, facts] = ["details", "large", "facts"].map(at);
let answer, row, tell;

const term = (name, value) => {
  if (value === null || value === undefined || value === "") return [];
  const key = document.createElement("dt");
  const text = document.createElement("dd");
  key.textContent = word(name);
  text.textContent = value;
  text.dir = "auto";
  return [key, text];
};

const draw = () => {
  const hit = answer.hits[row];
  const number = new Intl.NumberFormat(locale(), { minimumFractionDigits: 3, maximumFractionDigits: 3 });
  const size = new Intl.NumberFormat(locale(), { style: "unit", unit: "kilobyte", maximumFractionDigits: 0 });
  const day = new Intl.DateTimeFormat(locale(), { dateStyle: "long", timeStyle: "short" });
  const title = hit.id.split("/").pop();
  at("shown").textContent = title;
  large.alt = hit.caption ?? title;
  large.onerror = () => { large.onerror = null; large.src = hit.thumbnail; };
  large.src = hit.image;
  at("open").href = /^https?[:]/i.test(hit.url ?? "") ? hit.url : hit.image;
  facts.replaceChildren(
    ...term("score", number.format(hit.score)),
    ...term("rank", `${hit.rank} / ${answer.hits.length}`),
    ...term("answered", tell.who),
    ...term("caption", hit.caption),
    ...term("file", hit.id === title ? null : hit.id),
    ...term("size", hit.size ? size.format(Math.ceil(hit.size / 1000)) : null),
    ...term("taken", hit.taken_at ? day.format(new Date(hit.taken_at)) : null),
    ...term("copies", hit.folded || null),
  );
  for (const key of facts.querySelectorAll("dt"))
    key.textContent = key.textContent.replace(/[:：]?\s*\{who\}/u, "");
  at("previous").disabled = row === 0;
  at("next").disabled = row === answer.hits.length - 1;
};

const turn = (step) => {
  const next = row + step;
  if (next < 0 || next >= answer.hits.length) return;
  row = next;
  draw();
};

at("previous").addEventListener("click", () => turn(-1));
at("next").addEventListener("click", () => turn(1));
at("close").addEventListener("click", () => dialog.close());
at("more").addEventListener("click", () => {
  const id = answer.hits[row].id;
  tell.closed = () => {};
  dialog.close();
  tell.more(id);
});
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
dialog.addEventListener("close", () => { large.onerror = null; large.removeAttribute("src"); tell.closed(row); });
dialog.addEventListener("keydown", (event) => {
  const forward = document.documentElement.dir === "rtl" ? -1 : 1;
  const step = { ArrowRight: forward, ArrowLeft: -forward }[event.key];
  if (!step) return;
  event.preventDefault();
  turn(step);
});

/**
 * Show a result of an answer.
 * @param given the answer of the server
 * @param number which of its hits, from 0
 * @param heard who: text; more(id): asked for its like; closed(row): the dialog is gone
 */
export const open = (given, number, heard) => {
  [answer, row, tell] = [given, number, heard];
  draw();
  dialog.showModal();
};
