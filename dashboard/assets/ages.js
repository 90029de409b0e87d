// Ages, clocks and waits go on counting, on the pages and on the wall. An element says how old it was when it was drawn;
// the time since then is measured here, by a clock that nobody sets. When the server goes, ages grow and turn grey instead
// of standing still.
(() => {
  "use strict";

  const drawn = new WeakMap();
  const elapsed = (element) => {
    if (!drawn.has(element)) drawn.set(element, performance.now());
    return (performance.now() - drawn.get(element)) / 1000;
  };
  const span = (seconds) => {
    if (seconds < 100) return `${Math.floor(seconds)} s`;
    if (seconds < 6000) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} d`;
  };
  const write = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };
  const tick = () => {
    for (const element of document.querySelectorAll("time[data-age]")) {
      const age = Number(element.dataset.age) + elapsed(element);
      const stale = element.dataset.limit !== undefined && age > Number(element.dataset.limit);
      element.classList.toggle("nx-stale", stale);
      write(element, stale ? element.dataset.since : `${span(age)} ago`);
    }
    for (const element of document.querySelectorAll("time[data-left]")) {
      const left = Math.max(0, Math.ceil(Number(element.dataset.left) - elapsed(element)));
      write(element, `in ${Math.floor(left / 60)} min ${String(left % 60).padStart(2, "0")} s`);
    }
    for (const element of document.querySelectorAll("time[data-clock]")) {
      const at = new Date((Number(element.dataset.clock) + elapsed(element)) * 1000).toISOString();
      write(element, element.dataset.short ? at.slice(11, 16) : at.slice(11, 19));
    }
  };
  setInterval(tick, 1000);
})();
