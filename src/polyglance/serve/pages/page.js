// What is found while one types? One box, pictures in a grid, and the keys that move in it.
import { word, locale } from "./words.js";
import { ready, chosen, changed } from "./languages.js";
import { open as openDetails } from "./details.js";

const WAIT_MS = 120;
const TOP = 48;
const at = (id) => document.getElementById(id);
const [box, list, said, hint, file, chip] =
  ["query", "results", "said", "hint", "file", "chip"].map(at);
let picture = null; // a file that was dropped, pasted or chosen
let like = null; // the id of a picture of the index
let running = null; // what is asked at the moment
let timer = 0;
let answer = null;

const say = (text) => { said.textContent = text; };
const name = (id) => id.split("/").pop();

/** Who answered, in the page's words. */
const who = (assumed) => [...new Set(assumed.map((one) => {
  const speaker = one.speaker === "pack" ? word("pack", { who: `"${one.pack ?? ""}"` }) : word("model");
  const names = [one.name, ...one.others].filter(Boolean).join(", ");
  return names ? `${speaker} (${names}${one.share < 1 ? "?" : ""})` : speaker;
}))].join(" · ") || word("image_side");

const request = (signal) => {
  const asked = new URLSearchParams({ top: TOP });
  if (like) return fetch(`/api/similar/${path(like)}?${asked}`, { signal });
  if (chosen()) asked.set("language", chosen());
  else asked.set("locales", navigator.languages.join(",").slice(0, 400));
  if (!picture) {
    asked.set("q", box.value.trim());
    return fetch(`/api/search?${asked}`, { signal });
  }
  const form = new FormData();
  for (const [key, value] of asked) form.set(key, value);
  if (box.value.trim()) form.set("q", box.value.trim());
  form.set("image", picture);
  return fetch("/api/search", { method: "POST", body: form, signal });
};
const path = (id) => id.split("/").map(encodeURIComponent).join("/");

const remember = () => {
  const asked = new URLSearchParams();
  if (like) asked.set("like", like);
  else if (box.value.trim()) asked.set("q", box.value.trim());
  if (chosen()) asked.set("language", chosen());
  history.replaceState(null, "", asked.size ? `?${asked}` : location.pathname);
};

const search = async () => {
  clearTimeout(timer);
  running?.abort();
  remember();
  if (!box.value.trim() && !picture && !like) {
    answer = null;
    list.replaceChildren();
    say("");
    hint.hidden = false;
    return;
  }
  const mine = running = new AbortController();
  list.setAttribute("aria-busy", "true");
  try {
    const response = await request(mine.signal);
    const body = await response.json();
    if (running !== mine) return;
    if (response.status === 401) location.assign("/login");
    else if (response.ok) show(body);
    else { list.replaceChildren(); say([body.error, body.hint].filter(Boolean).join(": ")); }
  } catch (error) {
    if (error.name !== "AbortError" && running === mine) say(word("failed"));
  } finally {
    if (running === mine) list.removeAttribute("aria-busy");
  }
};

const tile = (hit) => {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "hit";
  button.tabIndex = hit.rank === 1 ? 0 : -1;
  const label = hit.caption ?? name(hit.id);
  button.setAttribute("aria-label", `${hit.rank}. ${label}`);
  const image = new Image(256, 256);
  image.alt = "";
  image.decoding = "async";
  if (hit.rank > 12) image.loading = "lazy";
  image.addEventListener("error", () => button.classList.add("blank"), { once: true });
  image.src = hit.thumbnail;
  const text = document.createElement("span");
  text.textContent = label;
  text.dir = "auto";
  button.append(image, text);
  button.addEventListener("click", () => details(hit.rank - 1));
  item.append(button);
  return item;
};

const show = (body) => {
  answer = body;
  hint.hidden = true;
  list.replaceChildren(...body.hits.map(tile));
  if (!body.hits.length) return say([word("none"), ...body.notes].join(" · "));
  const number = new Intl.NumberFormat(locale()).format(body.hits.length);
  say([like && word("like", { name: name(like) }), word("found", { n: number }),
    word("answered", { who: who(body.assumed) })].filter(Boolean).join(" · "));
};

const details = (row) => openDetails(answer, row, {
  who: who(answer.assumed),
  more: (id) => {
    like = id;
    take(null);
    box.value = "";
    search();
    scrollTo(0, 0);
    list.focus({ preventScroll: true });
  },
  closed: (last) => focusHit(last),
});

const hits = () => [...list.querySelectorAll(".hit")];
const focusHit = (row) => {
  const all = hits();
  const target = all[row];
  if (!target) return;
  for (const one of all) one.tabIndex = one === target ? 0 : -1;
  target.focus();
};

/** How many tiles stand in the first line of the grid. */
const perLine = (all) => {
  const second = all.findIndex((one) => one.offsetTop > all[0].offsetTop);
  return second < 0 ? all.length : second;
};

list.addEventListener("keydown", (event) => {
  const all = hits();
  if (!all.length) return;
  const row = all.indexOf(document.activeElement);
  const forward = document.documentElement.dir === "rtl" ? -1 : 1;
  const step = { ArrowRight: forward, ArrowLeft: -forward, ArrowDown: perLine(all),
    ArrowUp: -perLine(all), Home: -row, End: all.length - 1 - row }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  if (row < 0) return focusHit(0);
  if (event.key === "ArrowUp" && row + step < 0) return box.focus();
  focusHit(Math.min(Math.max(row + step, 0), all.length - 1));
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, textarea");
  if (event.key === "/" && !typing && !document.querySelector("dialog[open]")) {
    event.preventDefault();
    box.focus();
    box.select();
  }
});

box.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" && hits().length) {
    event.preventDefault();
    focusHit(0);
  } else if (event.key === "Escape" && picture) take(null);
});
box.addEventListener("input", () => {
  like = null;
  clearTimeout(timer);
  timer = setTimeout(search, WAIT_MS);
});
at("search").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});

/** Put a picture into the query, or take it out. */
const take = (given) => {
  if (picture) URL.revokeObjectURL(at("chosen").src);
  picture = given;
  chip.hidden = !given;
  if (given) {
    like = null;
    at("chosen").src = URL.createObjectURL(given);
    at("chosen").alt = given.name;
    search();
  } else at("chosen").removeAttribute("src");
};
const firstImage = (files) => [...files].find((one) => one.type.startsWith("image/"));
file.addEventListener("change", () => {
  const given = firstImage(file.files);
  file.value = "";
  if (given) take(given);
});
at("remove").addEventListener("click", () => { take(null); box.focus(); search(); });
addEventListener("paste", (event) => {
  const given = firstImage(event.clipboardData.files);
  if (given) { event.preventDefault(); take(given); }
});
const drop = at("drop");
addEventListener("dragenter", (event) => {
  if ([...event.dataTransfer.types].includes("Files")) drop.classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  const given = firstImage(event.dataTransfer.files);
  if (given) take(given);
});

const asked = new URLSearchParams(location.search);
box.value = asked.get("q") ?? "";
like = asked.get("like");
await ready(asked.get("language"));
changed(search);
search();
document.documentElement.dataset.ready = "yes";
