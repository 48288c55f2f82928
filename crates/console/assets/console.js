// Each page works without it.
(() => {
  "use strict";
  const doc = document;
  const all = (selector, root = doc) => [...root.querySelectorAll(selector)];
  const say = (text) => {
    const toast = doc.createElement("p");
    toast.textContent = text;
    doc.getElementById("toasts").append(toast);
    setTimeout(() => toast.remove(), 4000);
  };

  // By the server's clock.
  const ahead = Date.now() - doc.documentElement.dataset.now;
  const words = (at) => {
    const apart = (Date.now() - ahead - at) / 1000;
    const s = Math.floor(Math.abs(apart));
    if (s < 2) return "just now";
    const length = s < 120 ? s + " s" : s < 7200 ? Math.floor(s / 60) + " min"
      : s < 172800 ? Math.floor(s / 3600) + " h" : Math.round(s / 86400) + " d";
    return apart > 0 ? length + " ago" : "in " + length;
  };
  const tellTimes = () => all("time[data-relative]").forEach((time) => {
    time.textContent = words(Date.parse(time.dateTime));
  });
  const enhance = (root) => all("[data-copy], [data-show]", root).forEach((button) => {
    button.hidden = false;
  });

  // "Copied" only after it was.
  let copied, leaving;
  const copy = async (button) => {
    const source = doc.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
      say("Copied");
      copied = true;
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Press Ctrl+C";
      say("Copying is not allowed here. The text is selected: press Ctrl+C");
    }
    setTimeout(() => { button.textContent = "Copy"; }, 3000);
  };
  doc.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (button?.dataset.copy) copy(button);
    if (button?.dataset.show) {
      const field = doc.getElementById(button.dataset.show);
      const hide = field.type !== "password";
      field.type = hide ? "password" : "text";
      button.textContent = hide ? "Show" : "Hide";
    }
  });

  // Nothing is sent twice.
  doc.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if ("stays" in form.dataset) return copied = true;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = leaving = true;
    setTimeout(() => all("button[type=submit]", form).forEach((button) => {
      button.disabled = true;
      button.ariaBusy = "true";
    }));
  });

  // Esc leads to the page without the dialog.
  const dialog = doc.querySelector("dialog[open]");
  if (dialog) {
    dialog.close();
    dialog.showModal();
    dialog.querySelector("[autofocus], input:not([type=hidden]), button")?.focus();
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      location.assign(dialog.dataset.back);
    });
  }

  // A secret leaves with the reader; a page that comes back asks the server first.
  const secret = doc.querySelector("[data-secret]");
  addEventListener("beforeunload", (event) => {
    if (secret && !copied && !leaving) event.preventDefault();
  });
  addEventListener("pagehide", () => {
    secret?.replaceChildren();
    doc.body.hidden = true;
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  // What follows something disturbs nobody.
  const busy = (part) => part.contains(doc.activeElement) || part.matches(":hover")
    || doc.querySelector("dialog[open]") || !getSelection().isCollapsed;
  let failing = 0, timer;
  const refresh = async () => {
    if (doc.hidden || !all("[data-live]").length) return;
    try {
      const answer = await fetch(location.href, { headers: { "hx-request": "true" } });
      const way = answer.headers.get("hx-redirect");
      if (way) return location.assign(way);
      if (answer.status === 404) return location.reload();
      if (!answer.ok) throw 0;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      all("[data-live]").forEach((part) => {
        const fresh = page.getElementById(part.id);
        if (!fresh || busy(part)) return;
        all("details", part).forEach((old, i) => {
          const now = all("details", fresh)[i];
          if (now) now.open = old.open;
        });
        part.replaceWith(fresh);
        enhance(fresh);
      });
      failing = 0;
    } catch { failing += 1; }
  };
  const follow = () => {
    clearTimeout(timer);
    const every = all("[data-live]").map((part) => part.dataset.live * 1000 * (1 + failing));
    if (every.length) timer = setTimeout(look, Math.min(...every));
  };
  const look = async () => {
    await refresh();
    tellTimes();
    follow();
  };
  doc.addEventListener("visibilitychange", () => { if (!doc.hidden) look(); });

  if (matchMedia("(max-width: 719px)").matches) {
    all("details.menu").forEach((menu) => { menu.open = false; });
  }
  enhance(doc);
  setInterval(tellTimes, 10000);
  follow();
})();
