"use strict";
// Tables of a page: sorted, filtered, searched; columns on demand; rows that open. No dependency.
const page = {
  data: JSON.parse(document.getElementById("data")?.textContent ?? "null"),
  state: { dataset: "", budget: "", family: "", scope: "", threat: "", victim: "", defense: "", search: "" },
};

(() => {
  const LABELS = { dataset: "data set", budget: "floor", family: "family", scope: "scope",
    threat: "threat model", victim: "victim", defense: "filter" };
  const EFFECT = 0.01;
  const { data, state } = page;
  document.documentElement.classList.add("js");

  const make = (tag, attributes = {}, ...inside) => {
    const found = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name in found && name !== "list") found[name] = value;
      else found.setAttribute(name, value);
    }
    found.append(...inside);
    return found;
  };
  const svg = (tag, attributes) => {
    const found = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
    return found;
  };
  const percent = (share) => (100 * share).toFixed(1);
  page.make = make;
  page.percent = percent;

  // --- what stands in a table -------------------------------------------------------------------
  const tables = [...document.querySelectorAll("table.data")].map((element) => {
    const heads = [...element.tHead.rows[0].cells];
    const bodies = [...element.tBodies].map((body) => {
      const tops = [];
      for (const row of [...body.rows]) {
        if (row.matches(".group, .note, .fold")) continue;
        if (row.matches(".child") && tops.length) tops.at(-1).children.push(row);
        else tops.push({ row, children: [], open: false });
      }
      return { body, tops, open: false, group: body.querySelector(".group"),
        note: body.querySelector(".note"), fold: body.querySelector(".fold") };
    });
    const rates = element.dataset.name === "methods" && data?.rates ? data.rates : null;
    return { element, heads, bodies, rates, sort: null, hidden: new Set() };
  });

  const valueOf = (row, k) => {
    const cell = row.cells[k];
    const value = cell.dataset.value ?? (k === 0 ? cell.firstChild?.textContent ?? "" : "");
    return value === "" ? null : isNaN(value) ? value.toLowerCase() : Number(value);
  };

  const compare = (k, direction) => (a, b) => {
    const [x, y] = [valueOf(a.row, k), valueOf(b.row, k)];
    if (x === null || y === null) return (x === null) - (y === null);
    return direction * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
  };

  // --- rates against one victim, under one filter ------------------------------------------------
  const condition = () => {
    if (!data?.rates) return "";
    const victim = state.victim ? data.victims.indexOf(state.victim) : -1;
    const defense = state.defense ? data.defenses.indexOf(state.defense) : data.defenses.indexOf("none");
    return `${victim}.${defense}`;
  };
  page.condition = condition;

  const rateCell = (cell, [value, low, high]) => {
    delete cell.dataset.value;
    if (value === null || value === undefined) return cell.replaceChildren();
    cell.dataset.value = value;
    const bar = svg("svg", { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
    bar.append(svg("line", { class: "whole", x1: 0, y1: 5, x2: 100, y2: 5 }),
      svg("rect", { class: "range", x: 100 * (low ?? 0), y: 2, width: 100 * ((high ?? 0) - (low ?? 0)), height: 6 }),
      svg("rect", { class: "value", x: 98.5 * value, y: 0, width: 1.5, height: 10 }));
    cell.replaceChildren(bar, make("span", { className: "v" }, percent(value)));
    if (low !== null) cell.append(" ", make("small", {}, `[${percent(low)}, ${percent(high)}]`));
  };

  const original = new Map();
  const underCondition = (table, row) => {
    if (!table.rates || !row.dataset.key) return true;
    const plain = !state.victim && (!state.defense || state.defense === "none");
    const rate = table.rates[row.dataset.key]?.[condition()];
    table.heads.forEach((head, k) => {
      const at = { protection_rate: 0, transfer_rate: 4 }[head.dataset.column];
      if (at === undefined) return;
      const cell = row.cells[k];
      if (!original.has(cell)) original.set(cell, [[...cell.childNodes], cell.dataset.value]);
      if (plain) {
        const [nodes, value] = original.get(cell);
        cell.replaceChildren(...nodes);
        if (value === undefined) delete cell.dataset.value; else cell.dataset.value = value;
      } else rateCell(cell, rate ? rate.slice(at, at + 3) : []);
    });
    return plain || rate !== undefined;
  };

  const hasEffect = (table, row) => {
    const known = table.heads.flatMap((head, k) =>
      ["protection_rate", "transfer_rate"].includes(head.dataset.column) ? [valueOf(row, k)] : []);
    return known.some((value) => value !== null && value >= EFFECT);
  };

  // --- showing -----------------------------------------------------------------------------------
  const passes = (table, row, body) => Object.keys(LABELS).every((name) => {
    if (!state[name] || (table.rates && (name === "victim" || name === "defense"))) return true;
    const mark = row.dataset[name] ?? body.dataset[name];
    return mark === undefined || mark === state[name];
  });
  const matches = (row) => !state.search || row.textContent.toLowerCase().includes(state.search);

  const columnsOf = (table, row) => {
    if (row.cells.length === table.heads.length) {
      [...row.cells].forEach((cell, k) => { cell.hidden = table.hidden.has(k); });
    }
  };

  const show = (table) => {
    table.heads.forEach((head, k) => { head.hidden = table.hidden.has(k); });
    let count = 0;
    let all = 0;
    for (const part of table.bodies) {
      const { body, tops, group, note } = part;
      all += tops.length;
      const found = tops.filter((top) => {
        const there = underCondition(table, top.row);
        return passes(table, top.row, body) && there && [top.row, ...top.children].some(matches);
      });
      if (table.sort) found.sort(compare(table.sort.column, table.sort.direction));
      const effect = table.rates ? found.filter((top) => hasEffect(table, top.row)) : found;
      const none = found.filter((top) => !effect.includes(top));
      const open = part.open || state.search !== "";
      const rows = [];
      const add = (top, hidden) => {
        columnsOf(table, top.row);
        top.row.hidden = hidden;
        rows.push(top.row);
        const there = top.children.filter((child) => underCondition(table, child));
        if (top.toggle) top.toggle.hidden = there.length === 0;
        for (const child of top.children) {
          columnsOf(table, child);
          child.hidden = hidden || !top.open || !there.includes(child);
          rows.push(child);
        }
      };
      if (group) rows.push(group);
      if (note) { note.hidden = condition() !== `-1.${data?.defenses?.indexOf("none")}`; rows.push(note); }
      for (const top of effect) add(top, false);
      if (none.length) rows.push(foldRow(table, part, none));
      for (const top of none) add(top, !open);
      body.replaceChildren(...rows);
      body.hidden = found.length === 0;
      count += found.length;
    }
    table.element.closest("section").classList.toggle("empty", count === 0);
    table.none.hidden = count > 0;
    return [count, all];
  };

  const foldRow = (table, part, none) => {
    const names = none.map((top) => top.row.cells[0].dataset.label.replace(", scaled per image", "")).join("; ");
    const open = part.open || state.search !== "";
    const button = make("button", { type: "button", className: "folding" }, open ? "hide" : "show");
    button.setAttribute("aria-expanded", String(open));
    button.setAttribute("aria-label", `${open ? "hide" : "show"} the methods without effect`);
    button.addEventListener("click", () => { part.open = !part.open; show(table); part.body.querySelector(".folding")?.focus(); });
    const text = make("div", {}, `No effect at this floor (below 1 %): ${names}. `, button);
    const cell = make("td", { colSpan: table.heads.length }, text);
    return make("tr", { className: "fold" }, cell);
  };

  const refresh = () => {
    let said = "";
    for (const table of tables) {
      const [count, all] = show(table);
      if (!said) said = `${count} of ${all} rows of the first table`;
      const chosen = [state.victim && `against ${state.victim}`, state.defense && state.defense !== "none" && `under ${state.defense}`].filter(Boolean);
      if (table.rates) {
        table.said.hidden = chosen.length === 0;
        table.said.textContent = `Protection and transfer are ${chosen.join(", ")}; every other column is over all victims, without a filter.`;
      }
    }
    const status = document.getElementById("found");
    if (status) status.textContent = said;
    document.dispatchEvent(new CustomEvent("filters"));
  };

  // --- controls ----------------------------------------------------------------------------------
  const values = (name) => {
    const marked = tables.flatMap((table) => [...table.element.querySelectorAll(`[data-${name}]`)].map((e) => e.dataset[name]));
    const listed = { victim: data?.victims, defense: data?.defenses }[name] ?? [];
    return [...new Set([...listed, ...marked])];
  };

  const controls = document.getElementById("controls");
  if (controls && tables.length) {
    for (const name of Object.keys(LABELS)) {
      const found = values(name);
      if (found.length < 2) continue;
      const select = make("select", { id: `filter-${name}` });
      const first = { victim: "its own (all)", defense: "none chosen" }[name] ?? "all";
      select.append(new Option(first, ""));
      for (const value of found) select.append(new Option(name === "budget" ? data?.budgets?.[value]?.label ?? value : value, value));
      if (name === "budget") { select.value = found[0]; state.budget = found[0]; }
      select.addEventListener("change", () => { state[name] = select.value; refresh(); });
      controls.append(make("label", {}, LABELS[name], select));
    }
    const search = make("input", { type: "search", id: "search" });
    search.addEventListener("input", () => { state.search = search.value.trim().toLowerCase(); refresh(); });
    const reset = make("button", { type: "button", id: "reset" }, "Reset");
    reset.addEventListener("click", () => {
      for (const select of controls.querySelectorAll("select")) {
        select.value = select.id === "filter-budget" ? select.options[1].value : "";
        state[select.id.slice(7)] = select.value;
      }
      search.value = state.search = "";
      refresh();
    });
    controls.append(make("label", {}, "search", search), reset, make("span", { id: "found", role: "status" }));
  }

  for (const table of tables) {
    const scroll = table.element.closest(".scroll");
    table.none = make("p", { hidden: true }, "No row passes the filters above.");
    table.said = make("p", { hidden: true, className: "said" });
    scroll.before(table.said, table.none);
    table.heads.forEach((head, k) => {
      const button = make("button", { type: "button" }, head.firstElementChild.textContent);
      button.addEventListener("click", () => {
        const numeric = head.classList.contains("number");
        const again = table.sort?.column === k;
        table.sort = { column: k, direction: again ? -table.sort.direction : numeric ? -1 : 1 };
        table.heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", table.sort.direction > 0 ? "ascending" : "descending");
        show(table);
      });
      head.firstElementChild.replaceWith(button);
      const narrow = innerWidth < 640 && table.heads.length > 8 && ["scope", "threat"].includes(head.dataset.column);
      if ("more" in head.dataset || narrow) table.hidden.add(k);
    });
    for (const top of table.bodies.flatMap((part) => part.tops)) {
      const cell = top.row.cells[0];
      cell.dataset.label = cell.firstChild?.textContent.trim() ?? "";
      if (!top.children.length) continue;
      top.toggle = make("button", { type: "button", className: "toggle" }, "▸");
      top.toggle.setAttribute("aria-expanded", "false");
      top.toggle.setAttribute("aria-label", `the ${top.children.length} rows that ${cell.dataset.label} pools`);
      top.toggle.addEventListener("click", () => {
        top.open = !top.open;
        top.toggle.setAttribute("aria-expanded", String(top.open));
        top.toggle.textContent = top.open ? "▾" : "▸";
        show(table);
        top.toggle.focus();
      });
      cell.dataset.value = cell.dataset.label;
      cell.prepend(top.toggle);
    }
    if (table.hidden.size) {
      const boxes = table.heads.map((head, k) => {
        const box = make("input", { type: "checkbox", checked: !table.hidden.has(k), disabled: k === 0 });
        box.addEventListener("change", () => { table.hidden[box.checked ? "delete" : "add"](k); show(table); });
        return make("label", {}, box, head.firstElementChild.textContent);
      });
      const all = make("button", { type: "button" }, "all columns");
      all.addEventListener("click", () => {
        table.hidden.clear();
        boxes.forEach((label) => { label.firstChild.checked = true; });
        show(table);
      });
      scroll.before(make("details", { className: "columns" }, make("summary", {}, `Columns (${table.hidden.size} more)`), make("div", {}, ...boxes, all)));
    }
  }

  refresh();
})();
