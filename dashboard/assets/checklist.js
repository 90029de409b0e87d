// Two things that a checklist run's page needs of the browser. Nothing here decides or fetches data:
// 1. keys: from open line to open line, tick, comment, find;  2. names to choose from after an @ in a comment.
(() => {
  "use strict";
  const LINE = '[class*="st-key-nx-cl-line-"], [class*="st-key-nx-cl-time-"]';

  // 1. The focus is the place: a line is "here" when something in it has the focus.
  const lines = () => [...document.querySelectorAll(LINE)];
  const isOpen = (line) => {
    const box = line.querySelector("input[type=checkbox]");
    return box ? !box.checked : line.querySelector(".nx-cl-is-open") !== null;
  };
  const target = (line) =>
    line.querySelector("input[type=checkbox]:not(:disabled)") ??
    line.querySelector('[class*="st-key-nx-cl-acts-"] button') ?? line.querySelector("a.nx-cl-more");
  const here = () => document.activeElement?.closest(LINE) ?? null;
  const go = (step) => {
    const all = lines();
    const from = all.indexOf(here());
    for (let at = from < 0 ? (step > 0 ? 0 : all.length - 1) : from + step; all[at]; at += step) {
      if (!isOpen(all[at])) continue;
      target(all[at])?.focus({ preventScroll: true });
      all[at].scrollIntoView({ block: "nearest" });
      return;
    }
  };
  const comment = (line) => {
    const row = [...line.closest('[class*="st-key-nx-cl-row-"]').classList].find((name) => name.startsWith("st-key-"));
    const find = () => document.querySelector(`.${row} [class*="st-key-nx-comment-"] textarea`);
    if (find()) return find().focus();
    line.querySelector("a.nx-cl-more")?.click();
    const until = performance.now() + 3000;
    const wait = setInterval(() => {
      const area = find();
      if (area) area.focus();
      if (area || performance.now() > until) clearInterval(wait);
    }, 50);
  };
  const does = {
    j: () => go(1),
    k: () => go(-1),
    ArrowDown: () => here() && (go(1), true),
    ArrowUp: () => here() && (go(-1), true),
    x: () => here()?.querySelector("input[type=checkbox]:not(:disabled)")?.click(),
    c: () => here() && comment(here()),
    Enter: () => document.activeElement?.type === "checkbox" && here()?.querySelector("a.nx-cl-more")?.click(),
    "/": () => document.querySelector(".st-key-nx-cl-find input")?.focus(),
    "?": () => {
      const keys = document.querySelector("details.nx-cl-keys");
      if (!keys) return;
      keys.open = !keys.open;
      if (keys.open) keys.scrollIntoView({ block: "nearest" });
    },
  };
  const writes = (element) =>
    element?.closest?.("textarea, select, [contenteditable=true], [role=dialog], [role=combobox]") ||
    (element?.tagName === "INPUT" && element.type !== "checkbox");
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || writes(event.target)) return;
    if (!does[event.key] || !document.querySelector(".st-key-nx-cl-lines")) return;
    if (/^(Arrow|Enter)/.test(event.key) && !(here() && document.activeElement.type === "checkbox")) return;
    does[event.key]();
    event.preventDefault();
    event.stopPropagation();  // Streamlit has keys of its own
  }, true);

  // 2. A list under the field; the arrows choose, Enter, Tab or a click takes, Escape closes.
  let list = null;
  const close = () => { list?.remove(); list = null; };
  const take = (area, name) => {
    const before = area.value.slice(0, area.selectionStart).replace(/@[\w.+-]*$/, `@${name} `);
    const text = before + area.value.slice(area.selectionStart);
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set.call(area, text);
    area.dispatchEvent(new Event("input", { bubbles: true }));
    area.setSelectionRange(before.length, before.length);
    close();
    area.focus();
  };
  const offer = (area) => {
    close();
    const typed = /(?:^|\s)@([\w.+-]*)$/.exec(area.value.slice(0, area.selectionStart))?.[1]?.toLowerCase();
    if (typed === undefined) return;
    const fits = [...document.querySelectorAll(".nx-cl-names li")].filter(
      (one) => one.dataset.at.toLowerCase().startsWith(typed) || one.textContent.toLowerCase().includes(typed)).slice(0, 6);
    if (!fits.length) return;
    list = document.createElement("ul");
    list.className = "nx-cl-offer";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "People");
    fits.forEach((one, index) => {
      const option = document.createElement("li");
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", String(index === 0));
      option.dataset.at = one.dataset.at;
      option.textContent = `${one.textContent} @${one.dataset.at}`;
      option.addEventListener("mousedown", (event) => { event.preventDefault(); take(area, one.dataset.at); });
      list.append(option);
    });
    const place = area.getBoundingClientRect();
    list.style.left = `${place.left + scrollX}px`;
    list.style.top = `${place.bottom + scrollY + 4}px`;
    document.body.append(list);
  };
  const isComment = (element) => element?.matches?.('[class*="st-key-nx-comment-"] textarea');
  addEventListener("input", (event) => { if (isComment(event.target)) offer(event.target); });
  addEventListener("focusout", (event) => { if (isComment(event.target)) close(); });
  addEventListener("keydown", (event) => {
    if (!list || !isComment(event.target)) return;
    const options = [...list.children];
    const at = options.findIndex((one) => one.getAttribute("aria-selected") === "true");
    if (event.key === "Escape") close();
    else if (event.key === "Enter" || event.key === "Tab") take(event.target, options[at].dataset.at);
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = (at + (event.key === "ArrowDown" ? 1 : options.length - 1)) % options.length;
      options.forEach((one, index) => one.setAttribute("aria-selected", String(index === next)));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
})();
