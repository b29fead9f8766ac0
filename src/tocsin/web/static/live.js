// Keeps the page of an open incident as it is now: at each new version it asks for itself and replaces its article.
"use strict";
(() => {
  const RETRY_SECONDS = 30;
  let source = null;
  let isAsking = false;
  let isOwed = false;
  let isReplaced = false;
  const article = () => document.querySelector("main > article");
  const isSelecting = () => {
    const selection = document.getSelection();
    return !!selection && !selection.isCollapsed && !!article()?.contains(selection.anchorNode);
  };

  // What a reader has in hand: the focus, open details, and the place that they read.
  const holdFocus = () => {
    const held = document.activeElement;
    if (!held || !article()?.contains(held)) return () => {};
    const alike = () =>
      [...article().querySelectorAll(held.tagName)].filter(
        (one) => one.id === held.id && one.getAttribute("href") === held.getAttribute("href"),
      );
    const place = alike().indexOf(held);
    return () => {
      const found = alike();
      (found[place] ?? found[0])?.focus({ preventScroll: true });
    };
  };
  const holdDetails = () => {
    const known = new Map([...article().querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
    return () => {
      for (const one of article().querySelectorAll("details[id]")) {
        if (known.has(one.id)) one.open = known.get(one.id);
      }
    };
  };
  const holdPlace = () => {
    const tops = [...article().querySelectorAll("[id]")].map((one) => [one.id, one.getBoundingClientRect().top]);
    // What stands nearest above the upper edge, wherever it is in the document.
    const read = tops.filter(([, top]) => top <= 8).sort(([, one], [, other]) => one - other).pop();
    const across = window.scrollX;
    const down = window.scrollY;
    return () => {
      const now = read && document.getElementById(read[0]);
      const moved = now ? now.getBoundingClientRect().top - read[1] : 0;
      window.scrollTo(across, now ? window.scrollY + moved : down);
    };
  };

  const say = (words) => {
    const status = document.getElementById("live-status");
    if (status) status.textContent = words;
  };
  const replace = (found) => {
    const next = found.querySelector("main > article");
    document.title = found.title;
    if (!next) {
      // It is not for this reader any more, or they have to sign in again.
      document.querySelector("main").replaceChildren(...found.querySelector("main").childNodes);
      stop();
      return;
    }
    const put = [holdDetails(), holdPlace(), holdFocus()];
    article().replaceWith(next);
    for (const back of put) back();
    say(`Updated at ${new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`);
  };

  const refresh = async () => {
    if (isAsking || isSelecting()) {
      isOwed = true;
      return;
    }
    isAsking = true;
    isOwed = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (answer.status < 500) replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // The server is away for a moment; the next event asks again.
    } finally {
      isAsking = false;
    }
    if (isOwed) refresh();
  };

  const stop = () => {
    source?.close();
    source = null;
  };
  const start = () => {
    const events = article()?.dataset.events;
    if (!events || source || document.hidden) return;
    source = new EventSource(events);
    source.addEventListener("version", (event) => {
      if (event.data !== article()?.dataset.version) refresh();
    });
    source.addEventListener("open", () => {
      if (isReplaced) say("");
      isReplaced = false;
    });
    source.addEventListener("replaced", () => {
      // It is live again once it is looked at anew.
      stop();
      isReplaced = true;
      say("No longer updated live: you have opened further pages. Load it again to see what is new.");
    });
    source.addEventListener("end", () => {
      stop();
      refresh();
    });
    source.addEventListener("error", () => {
      // A browser tries again by itself after a lost connection, and never after an answer that is no stream.
      const isOver = source?.readyState === EventSource.CLOSED;
      if (isOver) stop();
      // It may have been lost because the page is not for this reader any more.
      refresh();
      if (isOver) setTimeout(start, 1000 * RETRY_SECONDS);
    });
  };

  document.addEventListener("selectionchange", () => {
    if (isOwed && !isSelecting()) refresh();
  });
  // A browser has six connections for a site: a page that nobody looks at needs none.
  document.addEventListener("visibilitychange", () => (document.hidden ? stop() : start()));
  start();
})();
