// Five small things that Streamlit has no word for. Nothing here decides or fetches data:
// 1. links of ours change the page without a reload;  2. the tab's icon and title tell the worst state;
// 3. a session that has ended leads to the login page;
// 4. what hangs outside of the application (dialogs, popovers, lists) has its theme, too;
// 5. the navigation's groups are lists for those who hear it.
(() => {
  "use strict";

  // 1. Streamlit follows the browser's history, so a link is a history entry and the event that belongs to it.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a.nx-link, .nx-strip a");
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

  // 2. Streamlit sets icon and title once a page; how things stand changes while a tab stays open behind others. A browser
  //    wakes such a tab once a minute at the least, so the line on top is taken for gone only after three of them.
  const GONE_MS = 180000;
  let read, since = performance.now(), prefix = "";
  const mark = () => {
    const top = document.querySelector(".nx-top[data-worst]");
    if (top && top.dataset.read !== read) {
      read = top.dataset.read;
      since = performance.now();
    }
    const gone = performance.now() - since > GONE_MS;
    if (!top && !gone) return; // it is being drawn
    const tab = gone ? "no data" : top.dataset.tab;
    const wanted = tab ? `${tab} · ` : "";
    const name = document.title.startsWith(prefix) ? document.title.slice(prefix.length) : document.title;
    if (document.title !== wanted + name) document.title = wanted + name;
    prefix = wanted;
    const icon = `/assets/icon-${gone ? "gone" : top.dataset.worst}.svg`;
    for (const element of document.querySelectorAll("link[rel~=icon]")) {
      if (element.getAttribute("href") !== icon) element.setAttribute("href", icon);
    }
  };

  // 3. A closed WebSocket may also be a lost network: ask before leaving a page somebody is reading.
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

  // 4. light-dark() follows color-scheme, which Streamlit sets on its own element only.
  const paint = () => {
    const app = document.querySelector("[data-testid=stApp]");
    const scheme = app && getComputedStyle(app).colorScheme;
    if (scheme && document.documentElement.style.colorScheme !== scheme) document.documentElement.style.colorScheme = scheme;
  };

  // 5. Streamlit puts a group's element between its one list and the items, which then belong to no list.
  const group = () => {
    const items = document.querySelector("[data-testid=stSidebarNavItems]");
    for (const element of items ? [items, ...items.children] : []) element.role = element === items ? "none" : "list";
  };

  setInterval(() => { mark(); paint(); group(); }, 1000);
  setInterval(check, 3000);
  // A tab behind others has its timers slowed down: what the server sends is seen as it comes.
  new MutationObserver(mark).observe(document.documentElement, { childList: true, subtree: true, attributeFilter: ["data-read"] });
})();
