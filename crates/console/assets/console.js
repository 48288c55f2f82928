// Each page works without it.
(() => {
  "use strict";
  const doc = document;
  const of = (id) => doc.getElementById(id);
  const all = (selector, root = doc) => [...root.querySelectorAll(selector)];
  const say = (text) => {
    const toast = doc.createElement("p");
    toast.textContent = text;
    of("toasts").append(toast);
    setTimeout(() => toast.remove(), 4000);
  };

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

  const secret = doc.querySelector("[data-secret]");
  let safe = !secret;

  const copy = async (button) => {
    const source = of(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
      say("Copied");
      safe ||= source.id !== "secret-try";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Press Ctrl+C";
      say("No copying here. The text is selected: press Ctrl+C");
    }
    setTimeout(() => { button.textContent = "Copy"; }, 3000);
  };
  addEventListener("click", ({ target }) => {
    const button = target.closest("[data-copy], [data-show]");
    if (button?.dataset.copy) copy(button);
    else if (button) {
      const field = of(button.dataset.show);
      const show = field.type === "password";
      field.type = show ? "text" : "password";
      button.textContent = show ? "Hide" : "Show";
    }
  });

  addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    safe ||= secret.contains(form);
    const { dataset } = form;
    if ("stays" in dataset) return;
    if (dataset.sent) return event.preventDefault();
    dataset.sent = 1;
    setTimeout(() => all("button", form).forEach((button) => {
      button.disabled = true;
      button.ariaBusy = "true";
    }));
  });
  addEventListener("beforeunload", (event) => { if (!safe) event.preventDefault(); });
  addEventListener("pagehide", () => {
    secret?.replaceChildren();
    doc.body.hidden = true;
  });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  const dialog = doc.querySelector("dialog[open]");
  if (dialog) {
    const fields = "input:not([type=hidden]), select, button";
    dialog.close();
    dialog.showModal();
    [...all("[autofocus]", dialog), ...all(fields, dialog)][0]?.focus();
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      location.assign(dialog.dataset.back);
    });
  }

  // Disturbs nobody.
  const selected = () => !getSelection().isCollapsed;
  const live = (root) => all("[data-live]", root);
  const ids = (root) => live(root).map((part) => part.id + part.dataset.state).join();
  let failing = 0, timer;
  const refresh = async () => {
    if (doc.hidden || dialog || !ids()) return;
    try {
      const answer = await fetch(location.href, { headers: { "hx-request": "true" } });
      const way = answer.headers.get("hx-redirect");
      if (way) return location.assign(way);
      if (answer.status === 404) return location.reload();
      if (!answer.ok) throw 0;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (ids(page) !== ids() && !selected() && doc.activeElement === doc.body) return location.reload();
      live().forEach((part) => {
        const fresh = page.getElementById(part.id);
        if (!fresh || part.matches(":hover, :focus-within") || selected()) return;
        const open = all("details", part).map((old) => old.open);
        all("details", fresh).forEach((now, i) => { now.open = open[i]; });
        if (fresh.dataset.say !== part.dataset.say) say(fresh.textContent);
        part.replaceWith(fresh);
        enhance(fresh);
      });
      failing = 0;
    } catch { failing++; }
  };
  const follow = () => {
    clearTimeout(timer);
    const every = live().map((part) => part.dataset.live * 1000 * (1 + failing));
    if (every.length) timer = setTimeout(look, Math.min(...every));
  };
  const look = () => refresh().then(tellTimes).then(follow);
  doc.addEventListener("visibilitychange", () => { if (!doc.hidden) look(); });

  const narrow = matchMedia("(max-width: 719px)");
  (narrow.onchange = () => all("details.menu").forEach((menu) => {
    menu.open = !narrow.matches;
  }))();
  enhance(doc);
  setInterval(tellTimes, 1e4);
  follow();
})();
