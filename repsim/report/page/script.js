"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const tables = new Map([...data.tables, ...data.drawn].map((table) => [table.id, table]));
  const tip = document.getElementById("tip");
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const named = (table, index) => Object.fromEntries(table.fields.map((name, i) => [name, table.cells[index][i]]));
  const joined = (key) => key.join(" / ");
  const plain = (value) => (value === null ? "–" : String(value).replace(/^-/, "−"));

  // ---- light and dark: as the system says, until a person says otherwise; remembered only while the page is open
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  const dress = () => {
    const dark = chosen ?? system.matches;
    document.documentElement.classList.toggle("dark", dark);
    theme.setAttribute("aria-pressed", String(dark));
    theme.textContent = dark ? "Light" : "Dark";
  };
  theme.addEventListener("click", () => { chosen = !(chosen ?? system.matches); dress(); });
  system.addEventListener("change", dress);
  dress();
  document.getElementById("print").addEventListener("click", () => print());

  // ---- what a cell or a point holds, unrounded
  const lines = (table, cell) => {
    const unit = table.unit ? ` ${table.unit}` : "";
    const found = [["mean", plain(cell.mean) + unit], ["std", plain(cell.std)]];
    found.push(["95 % interval", `${plain(cell.low)} to ${plain(cell.high)}`]);
    found.push(["n", `${cell.n} of ${cell.expected} runs`], [`${table.unit_of_mean}s`, String(cell.n_pairs)]);
    if (cell.n_units) found.push(["interval over", `${cell.n_units} ${cell.units}`]);
    for (const name of ["diverged", "undefined", "doubtful"]) if (cell[name]) found.push([name, `${cell[name]} runs`]);
    return found;
  };
  const element = (name, text) => { const made = document.createElement(name); made.textContent = text; return made; };
  const described = (target) => {
    const sheet = target.closest("table");
    const id = target.dataset.t ?? sheet?.dataset.table;
    const parts = [[id, target.dataset.i], [target.dataset.x, target.dataset.xi]];
    const box = document.createDocumentFragment();
    for (const [name, index] of parts) {
      const table = tables.get(name);
      if (!table || index === undefined) continue;
      const cell = named(table, Number(index));
      const page = table.page.map((one) => ` · ${one[1]}`).join("");
      const head = `${joined(table.rows[cell.row])} · ${joined(table.cols[cell.col])}${page}`;
      if (!box.children.length) box.append(element("b", head));
      box.append(element("span", table.value.replaceAll("_", " ")));
      const list = document.createElement("dl");
      for (const [key, value] of lines(table, cell)) list.append(element("dt", key), element("dd", value));
      box.append(list);
    }
    return box;
  };
  let at = null;
  const hide = () => { tip.hidden = true; at?.classList.remove("at"); at = null; };
  const show = (target, x, y) => {
    if (at !== target) {
      hide();
      tip.replaceChildren(described(target));
      at = target;
      target.classList.add("at");
    }
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - box.width - 6))}px`;
    tip.style.top = `${y + 18 + box.height > innerHeight ? Math.max(4, y - box.height - 12) : y + 18}px`;
  };
  const SHOWN = ".pt, td[data-i]";
  const REACH = 16;
  const near = (panel, x, y) => {
    let best = null, least = REACH;
    for (const one of all(".pt:not(.sq) > use", panel ?? undefined)) {
      const box = one.getBoundingClientRect();
      const far = Math.hypot(box.x + box.width / 2 - x, box.y + box.height / 2 - y);
      if (far < least) { best = one.parentElement; least = far; }
    }
    return best;
  };
  document.addEventListener("pointermove", (event) => {
    const panel = event.target.closest?.("svg.panel");
    const target = (panel && near(panel, event.clientX, event.clientY)) ?? event.target.closest?.(SHOWN);
    if (target) show(target, event.clientX, event.clientY);
    else if (at && !at.matches(":focus")) hide();
  });
  document.addEventListener("focusin", (event) => {
    if (!event.target.matches?.(SHOWN)) return;
    const box = event.target.getBoundingClientRect();
    show(event.target, box.right, box.bottom);
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", () => { if (at && !at.matches(":focus")) hide(); }, { passive: true });

  // ---- one stop of the tab key for each table and picture; arrows go from point to point
  for (const group of all("svg.panel, table.gathered")) {
    const stops = all(group.matches("table") ? "td[data-i]" : ".pt", group);
    if (stops.length) stops[0].tabIndex = 0;
  }
  const beside = (cell, key) => {
    if (key === "ArrowLeft" || key === "ArrowRight") return key === "ArrowLeft" ? cell.previousElementSibling : cell.nextElementSibling;
    const rows = all("tbody tr:not([hidden])", cell.closest("table"));
    return rows[rows.indexOf(cell.parentElement) + (key === "ArrowUp" ? -1 : 1)]?.children[cell.cellIndex];
  };
  const next = (target, key) => {
    if (target.matches("td")) return beside(target, key);
    const points = all(".pt", target.closest("svg"));
    return points[points.indexOf(target) + (key === "ArrowLeft" || key === "ArrowUp" ? -1 : 1)];
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    if (!event.key.startsWith("Arrow") || !event.target.matches?.(SHOWN)) return;
    const found = next(event.target, event.key);
    if (!found?.matches(SHOWN)) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    found.tabIndex = 0;
    found.focus();
  });

  // ---- sorting: up, down, as it was; numbers by their unrounded value, what is none always last
  const NUMBER = /^(<)? ?(−?[\d.,]+(?:e[+−-]?\d+)?)(?: ± [\d.,e+−–-]+| \[.*\]| \(\d+\)|\/\d+)?$/; // of a text: its mean; less than a p: below it
  const worth = (cell, table) => {
    if (!cell) return null;
    if (cell.dataset.i !== undefined && table) return named(table, Number(cell.dataset.i)).mean;
    if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
    const text = cell.textContent.trim();
    if (text === "" || text === "–") return null;
    const found = NUMBER.exec(text);
    if (!found) return text;
    const number = Number(found[2].replaceAll(",", "").replaceAll("−", "-"));
    return Number.isNaN(number) ? text : found[1] ? number / 2 : number;
  };
  const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
  for (const sheet of all("table[data-table]")) {
    const body = sheet.tBodies[0];
    const original = [...body.rows];
    all("thead th", sheet).forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const turn = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
        all("thead th", sheet).forEach((one) => one.setAttribute("aria-sort", "none"));
        head.setAttribute("aria-sort", turn);
        const known = original.map((row, place) => [worth(row.cells[column], tables.get(sheet.dataset.table)), place, row]);
        const sign = turn === "descending" ? -1 : 1;
        if (turn !== "none") known.sort((a, b) => (a[0] === null) - (b[0] === null) || (a[0] === null ? 0 : sign * order(a[0], b[0])) || a[1] - b[1]);
        body.append(...known.map((one) => one[2]));
      });
    });
  }

  // ---- filtering: rows whose keys (of a plain table: any text) hold every word
  for (const input of all("[data-filter]")) {
    const sheet = input.closest(".sheet");
    const rows = [...sheet.querySelector("tbody").rows];
    const gathered = sheet.querySelector("table.gathered") !== null;
    const text = (row) => (gathered ? all("th", row).map((one) => one.textContent).join(" ") : row.textContent).toLowerCase();
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) row.hidden = !words.every((word) => text(row).includes(word));
      const left = rows.filter((row) => !row.hidden).length;
      sheet.querySelector(".shown").textContent = `${left === rows.length ? left : `${left} of ${rows.length}`} row${rows.length === 1 ? "" : "s"}`;
    });
  }

  // ---- CSV: one line per cell, unrounded; of a plain table its lines
  const quoted = (value) => (/[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const csv = (rows) => rows.map((row) => row.map((one) => quoted(one === null ? "" : String(one))).join(",")).join("\n") + "\n";
  const csvOf = (sheet) => {
    const table = tables.get(sheet.dataset.table);
    if (!table || !sheet.matches(".gathered")) return csv([...sheet.rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim())));
    const rest = table.fields.slice(2);
    const head = [...table.row_names, ...table.col_names, "value", "unit", ...rest];
    return csv([head, ...table.cells.map((cell) => [...table.rows[cell[0]], ...table.cols[cell[1]], table.value, table.unit, ...cell.slice(2)])]);
  };
  const copied = async (text, button) => {
    const before = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  };
  for (const button of all("[data-csv]")) {
    button.addEventListener("click", () => {
      const sheet = button.closest(".sheet").querySelector("table");
      if (button.dataset.csv === "copy") { copied(csvOf(sheet), button); return; }
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([csvOf(sheet)], { type: "text/csv" }));
      link.download = `${data.sweep}_${sheet.dataset.table}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }
  for (const button of all("[data-copy]")) {
    button.addEventListener("click", () => copied(document.getElementById(button.dataset.copy).textContent, button));
  }

  // ---- a legend singles out what is pressed
  for (const button of all(".series")) {
    button.addEventListener("click", () => {
      const plot = button.closest(".plot");
      const on = button.getAttribute("aria-pressed") !== "true";
      all(".series", plot).forEach((one) => one.setAttribute("aria-pressed", String(on && one.dataset.s === button.dataset.s)));
      all("svg.panel [data-s]", plot).forEach((one) => one.classList.toggle("dim", on && one.dataset.s !== button.dataset.s));
    });
  }

  // ---- where one is
  const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
  const watch = new IntersectionObserver((seen) => {
    for (const one of seen) if (one.isIntersecting) links.forEach((link, name) => link.classList.toggle("here", name === one.target.id));
  }, { rootMargin: "-10% 0px -80% 0px" });
  all("main > section").forEach((section) => watch.observe(section));

  // ---- paper: everything is opened, and a table wider than a page is printed in pieces, each with its row names
  const MOST = 8;
  let opened = [];
  const pieces = (sheet) => {
    const keys = Number(sheet.dataset.keys);
    const count = sheet.tHead.rows[0].cells.length;
    if (count - keys <= MOST) return;
    let last = sheet;
    for (let start = keys; start < count; start += MOST) {
      const piece = sheet.cloneNode(true);
      piece.classList.add("wider");
      for (const row of piece.rows) [...row.cells].forEach((cell, i) => { if (i >= keys && (i < start || i >= start + MOST)) cell.remove(); });
      if (start + MOST < count) piece.caption?.remove();
      last.after(piece);
      last = piece;
    }
    sheet.classList.add("too-wide");
  };
  addEventListener("beforeprint", () => {
    hide();
    opened = all("details:not([open])");
    opened.forEach((one) => { one.open = true; });
    all("table:is(.gathered, .grid)").forEach(pieces);
  });
  addEventListener("afterprint", () => {
    opened.forEach((one) => { one.open = false; });
    all(".wider").forEach((one) => one.remove());
    all(".too-wide").forEach((one) => one.classList.remove("too-wide"));
  });
})();
