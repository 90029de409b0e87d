// The wall renews itself: it asks for its own page every ten seconds and takes over what stands in it. What does not come
// is not hidden: the data's age goes on (ages.js), and when it is too old the whole wall turns grey and says so.
(() => {
  "use strict";

  const EVERY_MS = 10000;
  const renew = async () => {
    try {
      const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(EVERY_MS - 1000) });
      if (answer.status === 404) location.reload(); // the link was revoked: show what it says now
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.querySelector("main").replaceWith(fresh.querySelector("main"));
      document.querySelector("link[rel=icon]").href = fresh.querySelector("link[rel=icon]").href;
      document.title = fresh.title;
      look();
    } catch {
      // The desk is away, or its answer came too late: what stands here gets older, and says so.
    }
  };
  const look = () => {
    document.body.classList.toggle("away", document.querySelector("#data .nx-stale") !== null);
    const here = document.querySelector("[data-local]");
    const at = new Date();
    if (here && at.getTimezoneOffset() !== 0) {
      const text = ` · ${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")} here`;
      if (here.textContent !== text) here.textContent = text;
    }
  };
  setInterval(renew, EVERY_MS);
  setInterval(look, 1000);
  look();
})();
