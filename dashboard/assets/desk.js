// Six small things that Streamlit has no word for. Nothing here decides or fetches data:
// 1. links of ours change the page without a reload;  2. ages, clocks and waits go on counting;
// 3. the tab's icon and title tell the worst state;   4. a session that has ended leads to the login page;
// 5. what hangs outside of the application (dialogs, popovers, lists) has its theme, too;
// 6. the navigation's groups are lists for those who hear it.
(() => {
  "use strict";

  // 1. Streamlit follows the browser's history, so a link is a history entry and the event that belongs to it.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a.nx-link");
    if (!link || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || link.target === "_blank") return;
    const url = new URL(link.href);
    if (url.origin !== location.origin) return;
    event.preventDefault();
    history.pushState({}, "", url);
    dispatchEvent(new PopStateEvent("popstate", { state: {} }));
    if (link.classList.contains("nx-stay")) return;
    scrollTo(0, 0);
    document.querySelector("main")?.focus(); // whoever goes on by keys begins where the page does
  });

  // 2. An element says how old it was when it was drawn; the time since then is measured here, by a clock that
  //    nobody sets. When the server goes, ages grow and turn grey instead of standing still.
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

  // 3.
  const icons = { critical: "critical", warn: "warn" };
  const mark = () => {
    const top = document.querySelector("[data-worst]");
    if (!top) return;
    const wanted = `/assets/icon-${icons[top.dataset.worst] ?? "ok"}.svg`;
    for (const icon of document.querySelectorAll("link[rel~=icon]")) {
      if (icon.getAttribute("href") !== wanted) icon.setAttribute("href", wanted);
    }
  };

  // 4. A closed WebSocket may also be a lost network: ask before leaving a page somebody is reading.
  let asking = false;
  const check = async () => {
    const app = document.querySelector("[data-testid=stApp]");
    const state = app?.getAttribute("data-test-connection-state");
    if (asking || state === "CONNECTED") return;
    asking = true;
    try {
      const answer = await fetch("/_stcore/health", { cache: "no-store" });
      if (answer.status === 401) location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    } catch {
      // The server is away: Streamlit says so itself, and comes back by itself.
    } finally {
      asking = false;
    }
  };

  // 5. light-dark() follows color-scheme, which Streamlit sets on its own element only.
  const paint = () => {
    const app = document.querySelector("[data-testid=stApp]");
    const scheme = app && getComputedStyle(app).colorScheme;
    if (scheme && document.documentElement.style.colorScheme !== scheme) document.documentElement.style.colorScheme = scheme;
  };

  // 6. Streamlit puts a group's element between its one list and the items, which then belong to no list.
  const group = () => {
    const items = document.querySelector("[data-testid=stSidebarNavItems]");
    for (const element of items ? [items, ...items.children] : []) element.role = element === items ? "none" : "list";
  };

  setInterval(() => { tick(); mark(); paint(); group(); }, 1000);
  setInterval(check, 3000);
})();
