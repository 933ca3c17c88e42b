// Keeps pages live, and copies texts. Everything else works without it.
"use strict";

const root = document.documentElement;
root.classList.add("script");

const button = document.querySelector("button.live");
const regions = () => document.querySelectorAll("[data-live]");
let source = null;
let isLoading = false;
let isStale = false;
let pollTimer = 0;
let listenTimer = 0;

function isLive() {
  return button !== null && button.getAttribute("aria-pressed") === "true";
}

// Someone who selects text or fills in a field keeps it until that is done.
function isBusy(region) {
  const selection = document.getSelection();
  const isSelecting = selection && !selection.isCollapsed && region.contains(selection.anchorNode);
  const focused = document.activeElement;
  return isSelecting || (region.contains(focused) && focused.matches("input, select, textarea"));
}

// What the server makes of the same address now. Nothing here writes HTML: nodes of the answer take the place of the old ones.
async function refresh() {
  if (regions().length === 0) return;
  if (isLoading) {
    isStale = true;
    return;
  }
  isLoading = true;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error", headers: { "x-refresh": "1" } });
    if (!answer.ok) {
      lose();
      return;
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const region of regions()) {
      const next = fresh.getElementById(region.id);
      if (next === null || isBusy(region)) continue;
      replace(region, next);
    }
    document.body.dataset.seen = fresh.body.dataset.seen || "";
    showLocalTimes();
  } catch {
    lose();
  } finally {
    isLoading = false;
    if (isStale) {
      isStale = false;
      refresh();
    }
    schedulePoll();
  }
}

function replace(region, next) {
  const rows = new Set(Array.from(region.querySelectorAll("tbody tr a"), (link) => link.getAttribute("href")));
  for (const details of region.querySelectorAll("details[id]")) {
    const same = next.querySelector("#" + CSS.escape(details.id));
    if (same) same.open = details.open;
  }
  const focused = region.contains(document.activeElement) ? pathTo(region, document.activeElement) : null;
  const scrolled = Array.from(region.querySelectorAll(".scroll"), (box) => box.scrollLeft);
  const adopted = document.importNode(next, true);
  if (rows.size > 0) {
    for (const row of adopted.querySelectorAll(".deliveries tbody tr")) {
      const link = row.querySelector("a");
      if (link && !rows.has(link.getAttribute("href"))) row.classList.add("new");
    }
  }
  region.replaceWith(adopted);
  adopted.querySelectorAll(".scroll").forEach((box, index) => { box.scrollLeft = scrolled[index] || 0; });
  if (focused) {
    const again = focused(adopted);
    if (again) again.focus({ preventScroll: true });
  }
}

// Times stand in UTC; the reader's own is shown where the pointer rests.
function showLocalTimes() {
  for (const time of document.querySelectorAll("time")) {
    time.title = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
  }
}

// The focus stays on the link to the same page, or on the same summary.
function pathTo(region, element) {
  if (element.tagName === "A") {
    const href = element.getAttribute("href");
    return (adopted) => adopted.querySelector('a[href="' + CSS.escape(href) + '"]');
  }
  const details = element.closest("details[id]");
  if (element.tagName === "SUMMARY" && details) {
    return (adopted) => adopted.querySelector("#" + CSS.escape(details.id) + " > summary");
  }
  return null;
}

// What a look at the newest deliveries does not tell: a replay, one delivery, a sandbox.
function schedulePoll() {
  clearTimeout(pollTimer);
  if (isLive() && !document.hidden && document.querySelector("[data-poll]")) pollTimer = setTimeout(refresh, 1000);
}

function listen() {
  const address = document.body.dataset.changes;
  if (!address || !isLive() || source !== null || document.hidden) return;
  // What came after the page was made is a change of it, and shown at once.
  source = new EventSource(address + "?seen=" + encodeURIComponent(document.body.dataset.seen || ""));
  source.addEventListener("open", () => root.classList.remove("offline"));
  source.addEventListener("change", refresh);
  // The server ends each stream after some seconds, and the browser opens the next by itself.
  source.addEventListener("error", () => {
    if (source !== null && source.readyState === EventSource.CLOSED) lose();
  });
}

// The next stream begins from what the page shows, not from what the last one sent.
function lose() {
  root.classList.add("offline");
  hush();
  clearTimeout(listenTimer);
  listenTimer = setTimeout(listen, 3000);
}

function hush() {
  if (source !== null) source.close();
  source = null;
}

if (button !== null) {
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(!isLive()));
    if (isLive()) {
      listen();
      refresh();
    } else {
      hush();
      clearTimeout(pollTimer);
    }
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      hush();
    } else if (isLive()) {
      listen();
      refresh();
    }
  });
  addEventListener("pagehide", hush);
  listen();
  schedulePoll();
}
showLocalTimes();

// An empty frame takes no room.
for (const frame of document.querySelectorAll('iframe[name="preview"]')) {
  document.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest('a[target="preview"]')) frame.classList.add("loaded");
  });
}

document.addEventListener("click", async (event) => {
  const copy = event.target instanceof Element ? event.target.closest("button[data-copy]") : null;
  if (copy === null) return;
  const text = document.getElementById(copy.dataset.copy);
  const name = copy.textContent;
  try {
    await navigator.clipboard.writeText(text.textContent);
    copy.textContent = "Copied";
  } catch {
    // Without TLS a browser offers no clipboard: the text is selected, and a key copies it.
    const range = document.createRange();
    range.selectNodeContents(text);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    copy.textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => { copy.textContent = name; }, 2500);
});
