// Replaces the live part of the page with a fresh one while somebody looks at it; if that fails, the old one stays.
"use strict";
const refreshMilliseconds = 10000;
async function refresh() {
  if (document.hidden) return;
  const live = document.getElementById("live");
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    live.replaceWith(document.adoptNode(page.getElementById("live")));
  } catch {
    live.classList.add("stale");
  }
}
setInterval(refresh, refreshMilliseconds);
