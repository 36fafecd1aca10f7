// Small comforts; every page works without them.

// Times in the viewer's own zone; the exact moment on hover.
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (Number.isNaN(moment.valueOf())) continue;
  time.title = exact.format(moment);
  if (!time.hasAttribute("data-relative")) time.textContent = exact.format(moment);
}

// Copy buttons appear only where copying works.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const label = button.querySelector("[data-label]");
    const before = label.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(source.textContent);
        label.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(source);
        label.textContent = "Press Ctrl+C";
      }
      setTimeout(() => { label.textContent = before; }, 1600);
    });
  }
}

// Choosing presses the button beside the choice.
for (const select of document.querySelectorAll("select[data-press]")) {
  select.addEventListener("change", () => document.getElementById(select.dataset.press).click());
}

// One press is enough.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// The first problem of a refused form gets the focus.
document.querySelector("[aria-invalid=true]")?.focus();

// A filter applies as soon as it is chosen.
for (const form of document.querySelectorAll("form[data-apply]")) {
  form.addEventListener("change", (event) => {
    if (event.target.matches("select")) form.requestSubmit();
  });
  // The URL holds what was asked, without the empty parts.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}

// A page that waits for an answer looks again by itself, while somebody looks at it.
const waiting = document.querySelector("[data-reload]");
if (waiting) {
  setInterval(() => {
    if (document.visibilityState === "visible") location.reload();
  }, Number(waiting.dataset.reload) * 1000);
}

// Selecting rows: how many are selected, and all at once.
const ticks = [...document.querySelectorAll("td.tick input")];
const selected = document.querySelector("[data-selected]");
const selectAll = document.querySelector("[data-select-all]");
const countSelected = () => {
  const count = ticks.filter((tick) => tick.checked).length;
  if (selected) selected.textContent = `${count} selected`;
  if (!selectAll) return;
  selectAll.checked = count > 0 && count === ticks.length;
  selectAll.indeterminate = count > 0 && count < ticks.length;
};
if (selectAll && ticks.length) {
  selectAll.hidden = false;
  selectAll.addEventListener("change", () => {
    for (const tick of ticks) tick.checked = selectAll.checked;
    countSelected();
  });
  for (const tick of ticks) tick.addEventListener("change", countSelected);
  addEventListener("pageshow", countSelected);
}

// Details beside a list: the list stays where it was; the focus goes to them, and afterwards back to their row.
const details = document.querySelector("[data-details]");
const close = document.querySelector("[data-close]");
const kept = JSON.parse(sessionStorage.getItem("list") ?? "null");
sessionStorage.removeItem("list");
const isListed = () => document.querySelector("[data-row]")?.checkVisibility();
for (const link of document.querySelectorAll("[data-row], [data-close]")) {
  link.addEventListener("click", () => {
    const row = link.dataset.row ?? document.querySelector("[data-row][aria-current]")?.dataset.row;
    const at = isListed() ? scrollY : kept?.at ?? 0;
    sessionStorage.setItem("list", JSON.stringify({ path: location.pathname, row, at }));
  });
}
if (kept?.path === location.pathname) {
  if (isListed()) scrollTo(0, kept.at);
  (details ?? document.querySelector(`[data-row="${kept.row}"]`))?.focus({ preventScroll: true });
}

// Keys for lists. Nothing happens while somebody types, or with a modifier held.
const rows = [...document.querySelectorAll("table[data-rows] tbody tr")];
const rowOf = (element) => rows.findIndex((row) => row.contains(element));
const open = rows.findIndex((row) => row.querySelector("a.row-link[aria-current]"));
const go = (step) => {
  const focused = rowOf(document.activeElement);
  const now = focused < 0 ? open : focused;
  const next = now < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(Math.max(now + step, 0), rows.length - 1);
  const link = rows[next]?.querySelector("a.row-link");
  link?.focus();
  link?.scrollIntoView({ block: "nearest" });
};
const keys = {
  "/": () => document.querySelector("[data-search]")?.focus(),
  j: () => go(1),
  k: () => go(-1),
  x: () => rows[rowOf(document.activeElement)]?.querySelector("td.tick input")?.click(),
  Escape: () => close.click(),
  "?": () => document.getElementById("keyboard")?.togglePopover(),
};
addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  if (event.key === "Escape" ? !close || document.querySelector(":popover-open") : !rows.length && event.key !== "/") return;
  event.preventDefault();
  keys[event.key]();
});
