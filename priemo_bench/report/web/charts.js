"use strict";
// Charts of a page, by Vega-Lite; expressions are interpreted, nothing is evaluated.
(() => {
  const place = document.querySelector("[data-charts]");
  const { data, state, make, percent } = page;
  if (!place || !data) return;
  const MOST = 14;
  const X = "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z";
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // --- drawing -------------------------------------------------------------------------------------
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const config = () => {
    const [ink, soft, line] = ["--ink", "--soft", "--line"].map(css);
    return {
      background: null, aria: false, font: "system-ui, sans-serif", view: { stroke: line },
      axis: { labelColor: ink, titleColor: ink, gridColor: line, domainColor: soft, tickColor: soft, labelFontSize: 12, titleFontSize: 12, labelLimit: innerWidth > 700 ? 260 : 150, titleFontWeight: "normal" },
      legend: { symbolOpacity: 1, labelColor: ink, titleColor: ink, labelFontSize: 12, labelLimit: 220, symbolLimit: 40 },
      header: { labelColor: ink, titleColor: ink }, title: { color: ink, fontSize: 12 }, text: { color: ink },
    };
  };
  const tooltip = (_, event, __, value) => {
    if (value === null || value === undefined || value === "") return page.tip("");
    const text = typeof value === "object"
      ? Object.entries(value).map(([name, own]) => `${name}: ${own}`).join("\n") : String(value);
    page.tip(text, event.pageX + 12, event.pageY + 12);
  };
  const quiet = Object.fromEntries(["level", "error", "warn", "info", "debug"].map((name) => [name, () => quiet]));
  const charts = [];
  // what the pointer finds in a chart, as a list: for keyboards and screen readers
  const list = ({ numbers, values }) => {
    const texts = numbers.open ? values.map((own) => own.tip.replaceAll("\n", ", ")) : [];
    numbers.lastElementChild.replaceChildren(...texts.filter(Boolean).map((text) => make("li", {}, text)));
  };
  const draw = async (chart) => {
    chart.figure.hidden = false;
    const spec = chart.spec(Math.max(220, chart.plot.clientWidth));
    chart.figure.hidden = spec === null;
    chart.view?.finalize();
    chart.view = null;
    if (spec === null) return;
    chart.values = spec.data.values;
    list(chart);
    const full = { $schema: "https://vega.github.io/schema/vega-lite/v6.json", config: config(), autosize: { type: "fit-x", contains: "padding" }, ...spec };
    const compiled = vegaLib.compile(full, { logger: quiet }).spec;
    const runtime = vegaLib.parse(compiled, undefined, { ast: true });
    const view = new vegaLib.View(runtime, { expr: vegaLib.expressionInterpreter, renderer: "svg", container: chart.plot, hover: true, logLevel: 1 });
    view.tooltip(tooltip);
    chart.view = view;
    await view.runAsync();
    chart.plot.querySelector("svg")?.setAttribute("aria-hidden", "true"); // the plot has a label
    chart.plot.dataset.drawn = "true";
  };
  const add = (name, title, text, spec, choice) => {
    const plot = make("div", { className: "plot", id: `chart-${name}`, role: "img" });
    plot.setAttribute("aria-label", `${title}. ${text}`);
    const figure = make("figure", { className: "chart" }, make("figcaption", {}, title), make("p", {}, text));
    const numbers = make("details", { className: "numbers" }, make("summary", {}, "Numbers"), make("ul", { tabIndex: 0 }));
    const chart = { figure, plot, spec, numbers };
    numbers.addEventListener("toggle", () => list(chart));
    if (choice) figure.append(choice(chart));
    figure.append(plot, numbers);
    place.append(figure);
    charts.push(chart);
  };

  // --- data ----------------------------------------------------------------------------------------
  const dataset = () => state.dataset || data.methods[0]?.dataset;
  const budget = () => state.budget || data.methods[0]?.budget;
  const plain = data.methods.filter((own) => !own.targeted);
  const passes = (own) => ["family", "scope", "threat"].every((name) => !state[name] || own[name] === state[name])
    && (!state.search || own.name.toLowerCase().includes(state.search));
  const shown = (own) => own.dataset === dataset() && passes(own);
  const here = () => plain.filter((own) => shown(own) && own.budget === budget());
  const rate = (own) => {
    const found = data.rates[own.key]?.[page.condition()];
    return found ? { value: found[0] ?? found[4], low: found[0] === null ? found[5] : found[1], high: found[0] === null ? found[6] : found[2], n: found[3] || found[7] } : null;
  };
  const rated = () => here().map((own) => ({ own, ...rate(own) })).filter((r) => r.value !== undefined && r.value !== null)
    .sort((a, b) => b.value - a.value);
  const strong = () => rated().filter((r) => r.value >= 0.01).slice(0, 30);
  const label = (own) => `${own.name}${own.scope === "-" ? "" : ` (${own.scope})`}${own.within_budget || own.budget === "conventional" ? "" : ", beyond the floor"}`;
  const inWords = ({ value, low, high }) => low === null || low === undefined ? `${percent(value)} %` : `${percent(value)} % [${percent(low)}, ${percent(high)}]`;
  const colours = new Map(plain.map((own) => [own.name, own.colour]));
  const shapes = new Map(plain.map((own) => [own.name, own.shape === "stroke" ? X : own.shape]));
  // on a dark ground, a dark colour half way to white
  const seen = (hex) => {
    const parts = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    const light = 0.3 * parts[0] + 0.59 * parts[1] + 0.11 * parts[2];
    return dark.matches && light < 110 ? `rgb(${parts.map((part) => Math.round((part + 255) / 2)).join(",")})` : hex;
  };
  const scale = (names) => ({ domain: names, range: names.map((name) => seen(colours.get(name))) });
  const powers = (values) => {
    const [low, high] = [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
    return Array.from({ length: high - low + 1 }, (_, k) => 10 ** (low + k));
  };
  const share = { scale: { domain: [0, 100] }, title: "protection %" };
  const heat = (values, x, y, width, step = 26) => ({
    data: { values },
    width: x.step ? { step: x.step } : width, height: { step }, ...(x.step ? { autosize: { type: "pad" } } : {}),
    encoding: {
      x: { field: "x", type: "nominal", sort: null, title: x.title, axis: { orient: "top", labelAngle: x.angle ?? (width > 480 ? 0 : -40), domain: false, ticks: false, labelLimit: 140 } },
      y: { field: "y", type: "nominal", sort: null, title: y, axis: { domain: false, ticks: false } },
    },
    layer: [
      { mark: { type: "rect", tooltip: { signal: "datum.tip" }, stroke: css("--paper"), strokeWidth: 1 },
        encoding: { color: { field: "value", type: "quantitative", scale: { domain: [0, 100], scheme: "blues" }, legend: null } } },
      { mark: { type: "text", fontSize: 11, tooltip: { signal: "datum.tip" } },
        encoding: { text: { field: "value", type: "quantitative", format: ".0f" },
          color: { condition: { test: "datum.value > 50", value: "#ffffff" }, value: "#10253a" } } },
    ],
  });

  // --- charts --------------------------------------------------------------------------------------
  const floors = Object.entries(data.budgets).filter(([name, own]) => own.ssim !== null && name !== "conventional");
  if (floors.length > 1) {
    add("curve", "Protection against the SSIM floor", "The more a photo may lose (to the right), the more can be protected; bands are 95 % intervals. Point at a line, or click names in the legend.", (width) => {
      const values = plain.filter(shown).filter((own) => own.within_budget && floors.some(([name]) => name === own.budget))
        .map((own) => ({ method: own.name, floor: data.budgets[own.budget].ssim, own, ...rate(own) })).filter((r) => r.value !== undefined && r.value !== null);
      const best = new Map();
      values.forEach((r) => best.set(r.method, Math.max(best.get(r.method) ?? 0, r.value)));
      const names = [...best.keys()].filter((name) => best.get(name) >= 0.01).sort((a, b) => best.get(b) - best.get(a)).slice(0, MOST);
      const kept = values.filter((r) => names.includes(r.method)).map((r) => ({
        method: r.method, loss: 1 - r.floor, value: 100 * r.value, low: 100 * (r.low ?? r.value), high: 100 * (r.high ?? r.value),
        tip: `${r.method}\nSSIM at least ${r.floor}: ${inWords(r)}` }));
      if (!kept.length) return null;
      const x = { field: "loss", type: "quantitative", title: "SSIM floor", scale: { type: "log", nice: false, zero: false }, axis: { values: floors.map(([, own]) => 1 - own.ssim), labelExpr: "format(1 - datum.value, '.4~f')", grid: true } };
      const faint = { condition: { param: "chosen", value: 1 }, value: 0.08 };
      return { width, height: 300, data: { values: kept }, encoding: { x, color: { field: "method", type: "nominal", scale: scale(names), legend: { orient: "bottom", columns: width < 480 ? 1 : 2, title: null } } },
        layer: [
          { mark: { type: "area", opacity: 0.14 }, transform: [{ filter: { param: "chosen" } }], encoding: { y: { field: "low", type: "quantitative", ...share }, y2: { field: "high" } } },
          { params: [{ name: "chosen", select: { type: "point", fields: ["method"] }, bind: "legend" }],
            mark: { type: "line", strokeWidth: 2 }, encoding: { y: { field: "value", type: "quantitative" }, opacity: faint } },
          { mark: { type: "point", filled: true, size: 70, tooltip: { signal: "datum.tip" } }, encoding: { y: { field: "value", type: "quantitative" }, opacity: faint } },
        ] };
    });
  }
  add("intervals", "Protection with intervals", "Methods with an effect at the chosen floor, against the chosen victim and filter; lines are 95 % intervals.", (width) => {
    const values = strong().map((r) => ({ method: label(r.own), name: r.own.name, value: 100 * r.value, low: 100 * (r.low ?? r.value), high: 100 * (r.high ?? r.value), tip: `${label(r.own)}\n${inWords(r)}\n${r.n} faces that count` }));
    if (!values.length) return null;
    const colour = { field: "name", type: "nominal", legend: null, scale: scale([...new Set(values.map((r) => r.name))]) };
    const y = { field: "method", type: "nominal", sort: null, title: null };
    return { width, height: { step: 24 }, data: { values }, encoding: { y, color: colour },
      layer: [
        { mark: { type: "rule", strokeWidth: 3, opacity: 0.55, tooltip: { signal: "datum.tip" } }, encoding: { x: { field: "low", type: "quantitative", ...share }, x2: { field: "high" } } },
        { mark: { type: "point", filled: true, size: 90, opacity: 1, tooltip: { signal: "datum.tip" } }, encoding: { x: { field: "value", type: "quantitative" } } },
      ] };
  });
  add("speed", "Protection against milliseconds an image", "To the upper left is better. Time of protecting one image after the fit, on the machine named below.", (width) => {
    const values = strong().filter((r) => r.own.ms_per_image > 0).map((r) => ({ method: r.own.name, ms: r.own.ms_per_image, value: 100 * r.value, shape: r.own.shape, tip: `${label(r.own)}\n${Number(r.own.ms_per_image.toPrecision(3))} ms an image\n${inWords(r)}` }));
    if (!values.length) return null;
    const names = [...new Set(values.map((r) => r.method))];
    const legend = { orient: "bottom", columns: width < 480 ? 1 : 2, title: null };
    return { width, height: 280, data: { values }, mark: { type: "point", filled: true, size: 110, opacity: 0.9, tooltip: { signal: "datum.tip" } },
      encoding: { x: { field: "ms", type: "quantitative", title: "milliseconds an image", scale: { type: "log" }, axis: { format: "~g", labelOverlap: true, values: powers(values.map((r) => r.ms)) } }, y: { field: "value", type: "quantitative", ...share },
        color: { field: "method", type: "nominal", scale: scale(names), legend },
        shape: { field: "method", type: "nominal", scale: { domain: names, range: names.map((name) => shapes.get(name)) }, legend } } };
  });
  const choice = (id, options) => (chart) => {
    const select = make("select", { id });
    chart.choose = () => {
      const found = options();
      const before = select.value;
      select.replaceChildren(...found.map(([value, text]) => new Option(text, value)));
      if (found.some(([value]) => value === before)) select.value = before;
      chart.chosen = select.value;
    };
    select.addEventListener("change", () => { chart.chosen = select.value; draw(chart); });
    return make("label", { className: "choice" }, "method", select);
  };
  const chosen = (name) => charts.find((own) => own.plot.id === `chart-${name}`).chosen;
  const matrixHere = () => data.matrix.filter((r) => r.dataset === dataset() && r.budget === budget());
  if (data.victims.length > 1) {
    add("matrix", "Who looks into whom, and protects against whom", "Protection in per cent: rows are the surrogates that the attack looks into, columns the victims that read the photo.", (width) => {
      const values = matrixHere().filter((r) => r.method === chosen("matrix")).map((r) => ({ x: r.victim, y: r.surrogate === "-" ? "no model" : r.surrogate, value: 100 * r.protection_rate,
        tip: `looks into ${r.surrogate}\nread by ${r.victim} (${r.threat})\n${inWords({ value: r.protection_rate, low: r.protection_low, high: r.protection_high })}, ${r.n} faces` })).filter((r) => Number.isFinite(r.value));
      return values.length ? heat(values, { title: "victim" }, "surrogate", width, 30) : null;
    }, choice("matrix-method", () => [...new Set(matrixHere().map((r) => r.method))].map((name) => [name, name])));
  }
  add("emotions", "Which emotions are hidden", "Protection of the faces of each emotion, in per cent.", (width) => {
    const values = strong().flatMap(({ own }) => data.confusion[own.key].protection.map(([value, low, high], k) => ({ x: data.emotions[k], y: label(own), value: value === null ? null : 100 * value,
      tip: `${label(own)}\n${data.emotions[k]}, ${data.confusion[own.key].faces[k]} faces\n${value === null ? "" : inWords({ value, low, high })}` }))).filter((r) => r.value !== null);
    return values.length ? heat(values, { title: null }, null, width) : null;
  });
  const confused = (side, title, text) => add(`confusion-${side}`, title, text, (width) => {
    const found = data.confusion[chosen("confusion-before")];
    if (!found) return null;
    const values = found[side].flatMap((row, i) => row.map((value, j) => ({ x: data.emotions[j], y: `${data.emotions[i]} (${found.faces[i]})`, value: value === null ? null : 100 * value,
      tip: `labelled ${data.emotions[i]}\nread as ${data.emotions[j]}: ${percent(value ?? 0)} %` }))).filter((r) => r.value !== null);
    return values.length ? heat(values, { title: "read as" }, "label (faces)", width, 30) : null;
  }, side === "before" ? choice("confusion-method", () => rated().map((r) => [r.own.key, label(r.own)])) : undefined);
  confused("before", "What is read in clean faces", "Per cent of the faces of each label, mean over the victims that judge the method.");
  confused("after", "What is read once published", "The same victims, the same faces, published by the method chosen for clean faces.");
  if (data.defenses.length > 1) {
    add("defenses", "What filters leave of protection", "Protection in per cent when whoever owns the victim filters every photo so.", (width) => {
      const victim = state.victim ? data.victims.indexOf(state.victim) : -1;
      const values = here().filter((own) => data.defenses.some((_, k) => k && data.rates[own.key]?.[`${victim}.${k}`])).flatMap((own) => data.defenses.map((name, k) => {
        const found = data.rates[own.key]?.[`${victim}.${k}`];
        return { x: label(own), y: name === "none" ? "no filter" : name, value: found?.[0] === null || !found ? null : 100 * found[0],
          tip: found && found[0] !== null ? `${label(own)}\n${name === "none" ? "no filter" : name}: ${inWords({ value: found[0], low: found[1], high: found[2] })}, ${found[3]} faces` : "" };
      })).filter((r) => r.value !== null);
      const most = new Map();
      values.forEach((r) => most.set(r.x, Math.max(most.get(r.x) ?? 0, r.value)));
      const kept = values.filter((r) => most.get(r.x) >= 1);
      return kept.length ? heat(kept, { title: null, angle: -50 }, "filter", width, 22) : null;
    });
  }

  const refresh = () => {
    charts.forEach((chart) => chart.choose?.());
    charts.forEach(draw);
  };
  // drawing starts after the tables are on the screen
  let waiting = 0;
  const later = () => { clearTimeout(waiting); waiting = setTimeout(refresh, 60); };
  document.addEventListener("filters", later);
  dark.addEventListener("change", later);
  let wide = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== wide) { wide = innerWidth; later(); } });
  later();
})();
