// The page's own script: keeps what is shown up to date, and gives the keyboard its manners.
// Everything it shows comes drawn from the server; htmx sends and swaps.
(() => {
  "use strict";
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Regions: one refresh at a time, so that an older drawing never lands on a newer one.
  let refreshing = false;
  let again = false;

  // Nothing moves under a pressed pointer: a click needs both its ends on one element.
  let pressed = false;
  document.addEventListener("pointerdown", () => { pressed = true; }, true);
  const released = () => {
    pressed = false;
    if (again) refresh();
  };
  // Without capture, `blur` is that of the window alone.
  for (const end of ["pointerup", "pointercancel", "blur"]) addEventListener(end, released);
  document.addEventListener("htmx:before:response", (event) => {
    if (!pressed || !event.detail.ctx.request.headers["X-Have"]) return;
    again = true;
    event.preventDefault();
  });

  async function refresh() {
    if (refreshing || pressed) {
      again = true;
      return;
    }
    refreshing = true;
    do {
      again = false;
      const have = all("[data-region]").map((mark) => `${mark.dataset.region}:${mark.dataset.digest}`);
      const visible = document.visibilityState === "visible" ? "yes" : "no";
      try {
        await htmx.ajax("GET", location.pathname + location.search, {
          target: "#layer", swap: "none", headers: { "X-Have": have.join(","), "X-Visible": visible },
        });
      } catch { /* the offline line says so */ }
      settle();
    } while (again && !pressed);
    refreshing = false;
  }

  // A browser allows few connections to one host: a page that nobody sees gives its own up.
  let source = null;

  function listen() {
    source?.close();
    source = new EventSource("/live");
    const offline = $("#offline");
    // What happened between the drawing of the page and this line is caught up with here.
    source.addEventListener("hello", () => { offline.hidden = true; refresh(); });
    source.addEventListener("change", refresh);
    // Where nobody answers a browser asks again by itself; where it is refused it gives up.
    source.onerror = ({ target }) => {
      offline.textContent = target.readyState === EventSource.CLOSED ? offline.dataset.refused : offline.dataset.silent;
      offline.hidden = false;
    };
  }
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") listen();
    else source?.close();
  });

  // Modals: the server says which is open; the browser's own dialog keeps the focus inside.
  let before = null;
  let wrong = false;

  function settle() {
    const dialog = $("#layer dialog");
    if (!dialog) {
      if (before && document.activeElement === document.body) (before.isConnected ? before : $("#composer"))?.focus();
      before = null;
      return;
    }
    if (!dialog.open) {
      before ??= document.activeElement === document.body ? null : document.activeElement;
      all(":popover-open").forEach((popover) => popover.hidePopover());
      dialog.showModal();
    } else if (!dialog.contains(document.activeElement)) {
      ($("[autofocus]", dialog) || $("h2", dialog)).focus();
    }
    if (wrong) {
      wrong = false;
      $("[aria-invalid=true]", dialog)?.focus();
    }
  }

  // What a person has typed is theirs: a new drawing never overwrites it.
  const touched = new WeakSet();
  document.addEventListener("input", (event) => touched.add(event.target));
  const steered = ["aria-expanded", "aria-activedescendant"];
  htmx.registerExtension("keep-typed", {
    htmx_before_morph_attr: (elt, { attrName }) =>
      !((attrName === "value" && touched.has(elt)) || (elt.matches("[role=combobox]") && steered.includes(attrName))),
    htmx_before_morph_node: (elt, { newNode }) => {
      if (elt.matches?.("textarea") && touched.has(elt)) newNode.textContent = elt.defaultValue;
      return !(elt.matches?.(".chips") && touched.has(elt));
    },
  });

  document.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    if (ctx.request.method === "GET" || ctx.request.action.endsWith("/typed")) return;
    const form = ctx.sourceElement.closest("form");
    if (form?.matches("[data-composer]")) sent(form, ctx.response.raw.ok);
    if (ctx.request.action.endsWith("/submit") && !ctx.response.raw.ok) wrong = true;
    if (!ctx.response.headers.get("HX-Redirect")) refresh();
  });
  document.addEventListener("htmx:error", (event) => {
    const form = event.detail.ctx?.sourceElement?.closest?.("form[data-composer]");
    if (form) sent(form, false);
  });
  document.addEventListener("submit", (event) => {
    if (event.target.matches("[data-surface=message], [data-surface=home]")) event.preventDefault();
  });

  // Composers: the text leaves at once, and comes back if it could not be sent.
  const sending = new WeakMap();
  const draftKey = (box) => `draft ${location.pathname} ${box.id}`;

  function sent(form, ok) {
    const box = $("textarea", form);
    if (!ok && !box.value) box.value = sending.get(form) || "";
    sending.delete(form);
    form.removeAttribute("aria-busy");
  }

  document.addEventListener("htmx:before:request", (event) => {
    const form = event.detail.ctx.sourceElement;
    if (!form.matches?.("[data-composer]")) return;
    const box = $("textarea", form);
    if (!box.value.trim()) {
      event.preventDefault();
      return;
    }
    sending.set(form, box.value);
    form.setAttribute("aria-busy", "true");
    box.value = "";
    sessionStorage.removeItem(draftKey(box));
  });

  function restoreDrafts() {
    for (const box of all("[data-composer] textarea")) {
      box.value = sessionStorage.getItem(draftKey(box)) || box.value;
      box.addEventListener("input", () => sessionStorage.setItem(draftKey(box), box.value));
    }
  }

  // Lists that a text box steers: command hints, and options that an app suggests.
  function step(box, list, by) {
    const rows = all("[role=option]:not([hidden], [aria-disabled])", list);
    const at = rows.findIndex((row) => row.getAttribute("aria-selected") === "true");
    const next = rows.length ? rows[(at + by + rows.length) % rows.length] : null;
    mark(box, list, next);
  }

  function mark(box, list, row) {
    all("[aria-selected=true]", list).forEach((other) => other.setAttribute("aria-selected", "false"));
    if (row) {
      row.setAttribute("aria-selected", "true");
      row.scrollIntoView({ block: "nearest" });
      box.setAttribute("aria-activedescendant", row.id);
    } else {
      box.removeAttribute("aria-activedescendant");
    }
  }

  const listOf = (box) => document.getElementById(box.getAttribute("aria-controls"));
  const marked = (list) => $("[aria-selected=true]:not([hidden])", list);

  function hint(box) {
    const list = listOf(box);
    if (!list) return;
    const typed = box.value.match(/^\/\S*$/)?.[0];
    const rows = all("[role=option]", list);
    for (const row of rows) row.hidden = !typed || !row.dataset.command.startsWith(typed);
    list.hidden = rows.every((row) => row.hidden);
    mark(box, list, list.hidden ? null : rows.find((row) => !row.hidden));
  }

  function takeHint(box, row) {
    box.value = `${row.dataset.command} `;
    listOf(box).hidden = true;
    mark(box, listOf(box), null);
    box.focus();
  }

  function composerKey(event, box) {
    const list = listOf(box);
    const open = list && !list.hidden;
    const row = open && marked(list);
    if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      step(box, list, event.key === "ArrowDown" ? 1 : -1);
    } else if (row && (event.key === "Tab" || (event.key === "Enter" && box.value !== row.dataset.command))) {
      event.preventDefault();
      takeHint(box, row);
    } else if (open && event.key === "Escape") {
      event.stopPropagation();
      list.hidden = true;
    } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (open) list.hidden = true;
      box.form.requestSubmit();
    }
  }

  // Options that an app suggests.
  function close(box) {
    listOf(box).hidden = true;
    box.setAttribute("aria-expanded", "false");
    mark(box, listOf(box), null);
  }

  function chosen(combo, option, label) {
    const chip = document.createElement("span");
    chip.className = "chip";
    const field = Object.assign(document.createElement("input"), { type: "hidden", name: combo.dataset.field, value: option });
    chip.append(field, label);
    if (combo.dataset.combo === "many") {
      const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "×" });
      remove.dataset.unpick = "";
      remove.setAttribute("aria-label", `Remove ${label}`);
      chip.append(remove);
    } else {
      chip.hidden = true;
    }
    return chip;
  }

  function tell(combo) {
    touched.add($(".chips", combo));
    combo.dispatchEvent(new Event("picked"));
    combo.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function pick(combo, row) {
    const box = $("[role=combobox]", combo);
    const chips = $(".chips", combo);
    if (combo.dataset.combo === "one") chips.replaceChildren();
    const taken = all("input", chips).some((field) => field.value === row.dataset.option);
    if (!taken) chips.append(chosen(combo, row.dataset.option, row.dataset.label));
    box.value = combo.dataset.combo === "one" ? row.dataset.label : "";
    close(box);
    box.focus();
    tell(combo);
  }

  function comboKey(event, box) {
    const list = listOf(box);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) box.dispatchEvent(new Event("wanted"));
      step(box, list, event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!list.hidden && marked(list)) pick(box.closest("[data-combo]"), marked(list));
    } else if (event.key === "Escape" && !list.hidden) {
      event.stopPropagation();
      event.preventDefault();
      close(box);
    }
  }

  document.addEventListener("htmx:after:swap", (event) => {
    const box = event.detail.ctx.sourceElement;
    if (!box.matches?.("[role=combobox]") || box !== document.activeElement) return;
    const list = listOf(box);
    list.hidden = !list.children.length;
    box.setAttribute("aria-expanded", String(!list.hidden));
    list.scrollIntoView({ block: "nearest" });
    step(box, list, 1);
  });

  document.addEventListener("input", (event) => {
    const box = event.target;
    if (box.matches("[data-composer] textarea")) hint(box);
    if (box.matches("[role=combobox]") && box.closest("[data-combo=one]")) {
      const chips = $(".chips", box.closest("[data-combo]"));
      if (chips.children.length) {
        chips.replaceChildren();
        tell(box.closest("[data-combo]"));
      }
    }
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.matches("[role=combobox]")) event.target.dispatchEvent(new Event("wanted"));
  });
  document.addEventListener("focusout", (event) => {
    if (event.target.matches("[role=combobox]")) close(event.target);
    if (event.target.matches("[data-composer] textarea") && listOf(event.target)) listOf(event.target).hidden = true;
  });
  // A press on a row must not take the focus from its box before the click is heard.
  document.addEventListener("mousedown", (event) => {
    if (event.target.closest("[role=listbox]")) event.preventDefault();
  });

  document.addEventListener("click", (event) => {
    const row = event.target.closest("[role=option]:not([aria-disabled])");
    if (row?.dataset.command) takeHint($("textarea", row.closest("form")), row);
    else if (row?.closest("[data-combo]")) pick(row.closest("[data-combo]"), row);
    const unpick = event.target.closest("[data-unpick]");
    if (unpick) {
      const combo = unpick.closest("[data-combo]");
      unpick.closest(".chip").remove();
      $("[role=combobox]", combo).focus();
      tell(combo);
    }
    event.target.closest("a[data-pressing]")?.dispatchEvent(new Event("pressed"));
    event.target.closest(".menu-row button, [data-hides]")?.closest("[popover]").hidePopover();
  });

  document.addEventListener("keydown", (event) => {
    const { target } = event;
    if (target.matches("[data-composer] textarea")) composerKey(event, target);
    else if (target.matches("[role=combobox]")) comboKey(event, target);
    else if (event.key === "Enter" && target.matches("input.line")) target.dispatchEvent(new Event("entered"));
    if (event.key === "/" && !target.matches("input, textarea, select") && !$("#layer dialog")) slash(event);
    if (event.key === "Escape" && !event.defaultPrevented && !$(":popover-open")) escape(event);
  });

  function slash(event) {
    const box = $("#composer");
    if (!box || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    box.focus();
    if (!box.value) box.value = "/";
    hint(box);
  }

  function escape(event) {
    const dialog = $("#layer dialog");
    const list = $(".hints:not([hidden])");
    if (dialog) {
      event.preventDefault();
      $("[data-close]", dialog).click();
    } else if (list) {
      list.hidden = true;
    } else {
      $(".aside [data-escape]")?.click();
    }
  }
  // Where the browser itself would close the dialog, the server is asked instead.
  document.addEventListener("cancel", (event) => {
    if (event.target.matches?.("dialog")) event.preventDefault();
  }, true);

  addEventListener("DOMContentLoaded", () => {
    restoreDrafts();
    settle();
    listen();
  });
})();
