"use strict";
// Highlighting, sorting and filtering. All content is in the page without this.
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// A model that is pointed at, or pinned by a click, stands out everywhere: one rule dims the others.
const rule = document.head.appendChild(document.createElement("style"));
let pinned = null;
let shown = null;
function show(model) {
  if (model === shown) return;
  shown = model;
  all("tr.hot").forEach((row) => row.classList.remove("hot"));
  rule.textContent = model === null ? "" :
    `.plot [data-model]:not([data-model="${model}"]), .wall:not([data-model="${model}"]) { opacity: .12; }`;
  if (model !== null) all(`tr[data-model="${model}"]`).forEach((row) => row.classList.add("hot"));
}
function pin(model) {
  pinned = pinned === model ? null : model;
  all(".chip").forEach((chip) => chip.setAttribute("aria-pressed", String(chip.dataset.model === pinned)));
  show(pinned);
}
const modelAt = (event) => event.target.closest?.("[data-model]")?.dataset.model ?? null;
document.addEventListener("mouseover", (event) => show(modelAt(event) ?? pinned));
document.addEventListener("focusin", (event) => show(modelAt(event) ?? pinned));
document.addEventListener("click", (event) => {
  const model = modelAt(event);
  if (model !== null && !event.target.closest("a, summary, .sort")) pin(model);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && pinned !== null) pin(pinned);
});

// Sorting, within each group of rows; what has no value comes last.
function compare(a, b, sign) {
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  const numbers = [Number(a), Number(b)];
  return sign * (numbers.some(Number.isNaN) ? a.localeCompare(b) : numbers[0] - numbers[1]);
}
all("table").forEach((table) => all(".sort", table).forEach((button, column) => {
  button.addEventListener("click", () => {
    const heading = button.closest("th");
    const up = heading.getAttribute("aria-sort") === (column ? "descending" : "ascending");
    const ascending = column ? up : !up;
    all("th", table.tHead).forEach((th) => th.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    for (const body of table.tBodies) {
      const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
      const sign = ascending ? 1 : -1;
      rows.sort((a, b) => compare(a.cells[column]?.dataset.o, b.cells[column]?.dataset.o, sign));
      body.append(...rows);
    }
  });
}));

// Filtering.
all(".filters").forEach((form) => {
  const table = form.parentElement.querySelector("table");
  const fields = all("[data-filter]", form);
  const apply = () => {
    let kept = 0, total = 0;
    for (const body of table.tBodies) {
      let any = false;
      for (const row of body.rows) {
        if (row.classList.contains("group")) continue;
        const fits = fields.every((field) => field.dataset.filter === "model"
          ? row.dataset.name.toLowerCase().includes(field.value.toLowerCase())
          : !field.value || row.dataset[field.dataset.filter] === field.value);
        row.hidden = !fits;
        total += 1;
        kept += fits;
        any ||= fits;
      }
      body.hidden = !any;
    }
    form.querySelector("output").textContent = kept === total ? `${total} rows` : `${kept} of ${total} rows`;
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
});

// Light or dark, and what prints.
const theme = document.getElementById("theme");
theme.hidden = false;
theme.addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
addEventListener("beforeprint", () => all("details").forEach((details) => { details.open = true; }));

// What scrolls can be reached with the keyboard.
const reachable = () => all(".scroll, pre, .models, nav").forEach((box) => {
  if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight) box.tabIndex = 0;
  else box.removeAttribute("tabindex");
});
addEventListener("resize", reachable);
addEventListener("load", () => setTimeout(reachable));
document.addEventListener("toggle", reachable, true);
