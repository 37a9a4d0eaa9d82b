// Keeps the status page as the daemon is: it asks for the same page again and
// again, and puts what has changed into the one that is shown. Nodes stay where
// they can, and with them focus, selection and the place on the page.
"use strict";
(() => {
  const root = document.documentElement;
  const usual = 2000; // milliseconds between two looks
  const longest = 30000; // ... while the daemon does not answer
  const patience = 10000; // how long it may take to answer

  let wait = usual;
  let timer = 0;
  let running = null; // what aborts the look that is under way
  let paused = false;
  let skew = Date.now() - Number(root.dataset.now); // between the daemon's clock and ours

  const feed = document.getElementById("feed");
  const pause = document.getElementById("pause");
  const form = document.getElementById("filter");

  // ---- One look ----

  function soon(ms) {
    clearTimeout(timer);
    if (!paused && !document.hidden) {
      timer = setTimeout(look, ms);
    }
  }

  // look asks for the page of the address bar. A look that runs is given up.
  async function look() {
    clearTimeout(timer);
    if (running) {
      running.abort();
    }
    const mine = (running = new AbortController());
    const limit = setTimeout(() => mine.abort(new Error("it did not answer in time")), patience);
    try {
      const answer = await fetch(location.href, {
        headers: { "If-None-Match": root.dataset.etag },
        cache: "no-store",
        signal: mine.signal,
      });
      if (answer.status !== 304 && !answer.ok) {
        throw new Error("it answered " + answer.status);
      }
      const text = answer.status === 304 ? "" : await answer.text();
      if (running !== mine) {
        return; // another look has begun
      }
      if (text) {
        show(new DOMParser().parseFromString(text, "text/html"));
      }
      wait = usual;
      say(paused ? "Paused" : "Live", paused ? "paused" : "");
    } catch (err) {
      if (running !== mine) {
        return;
      }
      wait = Math.min(wait * 2, longest);
      const reason = mine.signal.aborted ? mine.signal.reason : err;
      say("No answer from the daemon" + (reason instanceof TypeError ? "" : ": " + reason.message), "lost");
    } finally {
      clearTimeout(limit);
      if (running === mine) {
        running = null;
        soon(wait);
      }
    }
  }

  function say(text, state) {
    if (feed.textContent !== text) {
      feed.textContent = text;
    }
    root.classList.toggle("paused", state === "paused");
    root.classList.toggle("lost", state === "lost");
  }

  // ---- Putting a new page into the old one ----

  function show(page) {
    const fresh = page.documentElement;
    if (!fresh.dataset.etag) {
      throw new Error("it answered with another page");
    }
    if (fresh.dataset.version !== root.dataset.version) {
      location.reload(); // this script is of another version, too
      return;
    }
    root.dataset.etag = fresh.dataset.etag;
    skew = Date.now() - Number(fresh.dataset.now);
    document.title = page.title;
    for (const section of document.querySelectorAll("[data-live]")) {
      const next = page.getElementById(section.id);
      if (next) {
        merge(section, next);
      }
    }
    tick();
  }

  // merge makes an element like another one of the same name.
  function merge(now, next) {
    if (now.nodeName === "TIME" && now.dateTime === next.dateTime) {
      return; // tick has made more of it
    }
    for (const a of next.attributes) {
      if (now.getAttribute(a.name) !== a.value) {
        now.setAttribute(a.name, a.value);
      }
    }
    for (const a of Array.from(now.attributes)) {
      if (!next.hasAttribute(a.name)) {
        now.removeAttribute(a.name);
      }
    }
    const keyed = new Map();
    for (const child of now.children) {
      if (child.dataset.key !== undefined) {
        keyed.set(child.dataset.key, child);
      }
    }
    let place = now.firstChild; // where the next child belongs
    for (const want of Array.from(next.childNodes)) {
      const key = want.nodeType === Node.ELEMENT_NODE ? want.dataset.key : undefined;
      let have = key === undefined ? place : keyed.get(key);
      if (!have || !alike(have, want)) {
        now.insertBefore(want, place);
        continue;
      }
      keyed.delete(key);
      if (have !== place) {
        now.insertBefore(have, place);
      } else {
        place = place.nextSibling;
      }
      if (have.nodeType === Node.ELEMENT_NODE) {
        merge(have, want);
      } else if (have.data !== want.data) {
        have.data = want.data;
      }
    }
    while (place) {
      const gone = place;
      place = place.nextSibling;
      gone.remove();
    }
  }

  function alike(a, b) {
    return a.nodeName === b.nodeName && (a.nodeType !== Node.ELEMENT_NODE || a.dataset.key === b.dataset.key);
  }

  // ---- Times ----

  // distance is page.go's.
  function distance(s) {
    if (s < 60) return Math.floor(s) + " s";
    if (s < 3600) return Math.floor(s / 60) + " min";
    if (s < 48 * 3600) return Math.floor(s / 3600) + " h";
    return Math.floor(s / 86400).toLocaleString("en") + " days";
  }

  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

  // tick brings all times up to the second, and says them in the reader's zone.
  function tick() {
    const now = Date.now() - skew;
    for (const t of document.querySelectorAll("time")) {
      const at = Date.parse(t.dateTime);
      const s = (now - at) / 1000;
      const text = s < 0 ? "in " + distance(-s) : t.dataset.past || distance(s) + " ago";
      if (t.textContent !== text) {
        t.textContent = text;
      }
      if (t.title === t.getAttribute("datetime")) {
        t.title = local.format(at);
      }
    }
  }

  // ---- What the reader does ----

  // go shows the page at an address of ours.
  function go(url, add) {
    history[add ? "pushState" : "replaceState"](null, "", url);
    root.dataset.etag = "";
    look();
  }

  let typing = 0;
  function search(delay) {
    clearTimeout(typing);
    typing = setTimeout(() => {
      const wanted = new URLSearchParams();
      for (const [name, value] of new FormData(form)) {
        if (value) {
          wanted.set(name, value);
        }
      }
      go("/?" + wanted, false);
    }, delay);
  }
  form.addEventListener("input", () => search(200));
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    search(0);
  });

  document.addEventListener("click", (e) => {
    const link = e.target.closest(".pager a");
    if (!link || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) {
      return;
    }
    e.preventDefault();
    const section = link.closest("section");
    go(link.href, true);
    section.focus({ preventScroll: true });
    section.scrollIntoView({ block: "start" });
  });

  addEventListener("popstate", () => {
    const wanted = new URLSearchParams(location.search);
    form.elements.q.value = wanted.get("q") || "";
    form.elements.state.value = wanted.get("state") || "";
    root.dataset.etag = "";
    look();
  });

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    if (paused) {
      clearTimeout(timer);
      say("Paused", "paused");
    } else {
      look();
    }
  });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(timer);
    } else if (!paused) {
      tick();
      look();
    }
  });

  root.classList.add("live");
  document.querySelector(".feed").hidden = false;
  setInterval(() => {
    if (!document.hidden) {
      tick();
    }
  }, 1000);
  tick();
  soon(usual);
})();
