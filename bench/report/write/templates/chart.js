"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const HEIGHT = 380;
  const DODGE = 3; // pixels between methods that stand side by side

  function make(parent, name, attributes = {}, text = null) {
    const svg = parent.namespaceURI === SVG || name === "svg";
    const node = svg ? document.createElementNS(SVG, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== null) node.textContent = text;
    parent.append(node);
    return node;
  }

  // -- light and dark

  const theme = document.getElementById("theme");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";
  const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `${theme.textContent} colours`); };
  theme.hidden = false;
  theme.addEventListener("click", () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; nameTheme(); });
  prefersDark.addEventListener("change", nameTheme);
  nameTheme();

  // -- numbers and scales

  function number(value, digits) {
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size < 1e-3) return (+value.toPrecision(digits)).toExponential().replace("e-", "e−");
    for (const [factor, prefix] of [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (size >= factor) return `${+(value / factor).toPrecision(digits)}${prefix}`;
    }
    return `${+value.toPrecision(digits)}`;
  }

  // as many digits as tell ticks apart, and from what is between them
  function labels(ticks) {
    const apart = Math.min(...ticks.slice(1).map((tick, i) => tick - ticks[i]));
    let digits = 3;
    while (digits < 16 && ticks.some((tick) => Math.abs(+tick.toPrecision(digits) - tick) > 0.01 * apart)) digits++;
    return ticks.map((tick) => [tick, number(tick, digits)]);
  }

  function linearTicks(low, high, wanted) {
    const raw = (high - low) / wanted;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
    const ticks = [];
    for (let k = Math.ceil(low / step); k * step <= high + step * 1e-9; k++) ticks.push(k * step);
    return ticks;
  }

  function logTicks(low, high, wanted) {
    const ticks = [];
    for (let k = Math.floor(Math.log10(low)); 10 ** k <= high; k++) {
      for (const m of [1, 2, 5]) if (m * 10 ** k >= low && m * 10 ** k <= high) ticks.push(m * 10 ** k);
    }
    const powers = ticks.filter((t) => Math.abs(Math.log10(t) - Math.round(Math.log10(t))) < 1e-9);
    if (ticks.length < 3) return linearTicks(low, high, wanted);
    if (ticks.length <= wanted + 2) return ticks;
    return powers.filter((_, i) => i % Math.ceil(powers.length / wanted) === 0);
  }

  function scale(low, high, log, from, to, wanted, whole = false) {
    if (low === high) [low, high] = log ? [low / 1.5, high * 1.5] : [low - 0.5, high + 0.5];
    const f = log ? Math.log : (v) => v;
    const pad = (f(high) - f(low)) * 0.04;
    const [a, b] = [f(low) - pad, f(high) + pad];
    const at = (value) => from + ((f(value) - a) / (b - a)) * (to - from);
    const ends = log ? [Math.exp(a), Math.exp(b)] : [a, b];
    const ticks = (log ? logTicks : linearTicks)(...ends, wanted);
    return { at, ticks: labels(whole ? ticks.filter(Number.isInteger) : ticks) };
  }

  // -- markers, as in the printed figures

  const ring = (n, turn, star = 1) => Array.from({ length: star < 1 ? 2 * n : n }, (_, i) => {
    const angle = turn + (2 * Math.PI * i) / (star < 1 ? 2 * n : n);
    const radius = star < 1 && i % 2 ? star : 1;
    return [radius * Math.sin(angle), -radius * Math.cos(angle)];
  });
  const plus = [[-3, -9], [3, -9], [3, -3], [9, -3], [9, 3], [3, 3], [3, 9], [-3, 9], [-3, 3], [-9, 3], [-9, -3], [-3, -3]].map(([x, y]) => [x / 9, y / 9]);
  const MARKERS = {
    s: ring(4, Math.PI / 4), "^": ring(3, 0), v: ring(3, Math.PI), D: ring(4, 0), p: ring(5, 0), h: ring(6, 0),
    P: plus, X: plus.map(([x, y]) => [(x - y) * 0.75, (x + y) * 0.75]), "*": ring(5, 0, 0.4),
  };
  function mark(parent, shape, x, y, radius, attributes) {
    if (shape === "o") return make(parent, "circle", { cx: x, cy: y, r: radius * 0.9, ...attributes });
    const corners = MARKERS[shape].map(([u, v]) => `${(x + radius * 1.15 * u).toFixed(1)},${(y + radius * 1.15 * v).toFixed(1)}`);
    return make(parent, "polygon", { points: corners.join(" "), ...attributes });
  }

  // -- a chart

  class Chart {
    constructor(figure, number) {
      this.figure = figure;
      this.spec = JSON.parse(figure.querySelector("script").textContent);
      this.axis = this.spec.x[0];
      this.log = this.axis.log;
      for (const one of this.spec.series) one.points = one.points.map(([x, y, ends, tip]) => ({ x, y, ends: ends ?? null, tip: tip ?? null }));
      this.spec.x.forEach((axis, i) => { axis.index = i; });
      this.panel = this.spec.panels[0];
      this.front = false;
      this.hidden = new Set();
      this.chosen = null;
      this.number = number;
      this.controls();
      this.plot = make(figure, "svg", { class: "plot", tabindex: "0", role: "img", "aria-roledescription": "chart" });
      this.plot.setAttribute("aria-label", `${this.spec.title}. Arrow keys read its points.`);
      this.legend();
      this.live = make(figure, "div", { class: "unseen", "aria-live": "polite" });
      this.tip = make(figure, "div", { class: "tip", hidden: "" });
      this.listen();
      new ResizeObserver(() => this.draw()).observe(figure);
    }

    controls() {
      const { spec } = this;
      const bar = make(this.figure, "div", { class: "controls" });
      if (spec.x.length > 1) this.choice(bar, "Against", spec.x.map((a) => a.label), (i) => { this.axis = spec.x[i]; this.log = this.axis.log; this.logBox.checked = this.log; });
      if (spec.panels.length > 1) this.choice(bar, "Show", spec.panels, (i) => { this.panel = spec.panels[i]; });
      if (spec.x[0].log && !spec.diagonal) this.logBox = this.box(bar, "logarithmic", true, (on) => { this.log = on; });
      if (spec.front) this.box(bar, "Pareto front", false, (on) => { this.front = on; });
    }

    choice(bar, title, names, change) {
      const label = make(bar, "label", {}, title);
      const select = make(label, "select");
      names.forEach((name, i) => make(select, "option", { value: i }, name));
      select.addEventListener("change", () => { change(+select.value); this.choose(null); });
    }

    box(bar, title, checked, change) {
      const label = make(bar, "label");
      const input = make(label, "input", { type: "checkbox" });
      input.checked = checked;
      label.append(title);
      input.addEventListener("change", () => { change(input.checked); this.choose(null); });
      return input;
    }

    legend() {
      const group = make(this.figure, "div", { class: "legend", role: "group", "aria-label": "Methods shown" });
      const names = new Map(this.spec.series.map((one) => [one.name, one]));
      for (const [name, one] of names) {
        const button = make(group, "button", { type: "button", "aria-pressed": "true" });
        const sample = make(button, "svg", { width: 26, height: 14, "aria-hidden": "true" });
        const colour = `var(--s${one.style})`;
        if (this.spec.lines) make(sample, "path", { d: "M0 7H26", fill: colour, stroke: colour, "stroke-width": 2, "stroke-dasharray": one.dashed ? "5 3" : "none" });
        if (this.spec.markers) mark(sample, one.marker, 13, 7, 5, { fill: colour });
        make(button, "span", {}, name);
        button.addEventListener("click", () => {
          if (!this.hidden.delete(name)) this.hidden.add(name);
          button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
          this.choose(null);
        });
      }
    }

    shown() {
      return this.spec.series.filter((one) => one.panel === this.panel && !this.hidden.has(one.name) && one.points.length);
    }

    // the heights with their intervals; cut where no value can be, and on a logarithmic axis a decade below the points
    limits(points, log) {
      const means = points.map((p) => p.y);
      const ends = points.flatMap((p) => p.ends ?? []);
      const low = Math.min(...means, ...ends);
      const high = Math.max(...means, ...ends);
      return [log ? Math.max(low, Math.min(...means) / 10) : low, Math.min(high, Math.max(this.spec.y.most ?? Infinity, ...means))];
    }

    draw() {
      const width = this.plot.clientWidth;
      if (!width) return;
      const { plot, spec } = this;
      plot.replaceChildren();
      plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
      plot.setAttribute("height", HEIGHT);
      const series = this.shown();
      const points = series.flatMap((one) => one.points);
      if (!points.length) { make(plot, "text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "No method is shown."); return; }
      const log = this.log && points.every((p) => p.x[this.axis.index] > 0);
      const yLog = spec.y.log && points.every((p) => p.y > 0);
      const xs = points.map((p) => p.x[this.axis.index]);
      const box = { left: 54, right: width - 12, top: 26, bottom: HEIGHT - 44 };
      const x = scale(Math.min(...xs), Math.max(...xs), log, box.left, box.right, Math.max(3, Math.round(width / 110)), this.axis.whole);
      const y = scale(...this.limits(points, yLog), yLog, box.bottom, box.top, 6);
      this.frame(box, x, y);
      const clip = `clip${this.number}`;
      const area = make(make(plot, "clipPath", { id: clip }), "rect");
      for (const [key, value] of Object.entries({ x: box.left, y: box.top - 8, width: box.right - box.left + 8, height: box.bottom - box.top + 16 })) area.setAttribute(key, value);
      const inside = make(plot, "g", { "clip-path": `url(#${clip})` });
      if (spec.diagonal) make(inside, "path", { class: "rule", d: this.line([1e-30, 1e30].map((v) => [x.at(v), y.at(v)])) });
      this.places = series.map((one) => this.series(inside, one, x, y, yLog));
      if (this.front) this.drawFront(inside, points, x, y);
    }

    frame(box, x, y) {
      const { plot, spec } = this;
      for (const [tick, label] of y.ticks) {
        make(plot, "path", { class: "grid", d: `M${box.left} ${y.at(tick)}H${box.right}` });
        make(plot, "text", { x: box.left - 8, y: y.at(tick) + 4, "text-anchor": "end" }, label);
      }
      for (const [tick, label] of x.ticks) {
        make(plot, "path", { class: "grid", d: `M${x.at(tick)} ${box.top}V${box.bottom}` });
        make(plot, "text", { x: x.at(tick), y: box.bottom + 18, "text-anchor": "middle" }, label);
      }
      make(plot, "path", { class: "axis", d: `M${box.left} ${box.bottom}H${box.right}` });
      make(plot, "text", { class: "title", x: box.left - 44, y: 12 }, spec.y.label);
      make(plot, "text", { class: "title", x: box.right, y: HEIGHT - 6, "text-anchor": "end" }, this.axis.label);
    }

    series(parent, one, x, y, yLog) {
      const colour = `var(--s${one.style})`;
      const dim = this.chosen && this.chosen.name !== one.name ? "dim" : "";
      const group = make(parent, "g", { class: `series ${dim}` });
      const places = one.points.map((p) => [x.at(p.x[this.axis.index]) + one.dodge * DODGE, y.at(p.y)]);
      const end = (value) => y.at(yLog ? Math.max(value, 1e-300) : value);
      if (this.spec.lines) {
        const drawn = one.points.map((p, i) => [p.ends, places[i][0]]).filter(([ends]) => ends);
        for (const [[low, high], u] of drawn) make(group, "path", { class: "whisker", d: `M${u} ${end(low)}V${end(high)}`, stroke: colour });
        if (drawn.length === one.points.length && this.chosen?.name === one.name) {
          const edge = (k) => drawn.map(([ends, u]) => [u, end(ends[k])]);
          make(group, "path", { d: `${this.line([...edge(1), ...edge(0).reverse()])}Z`, fill: colour, opacity: 0.15 });
        }
        make(group, "path", { d: this.line(places), fill: "none", stroke: colour, "stroke-width": 2, "stroke-linejoin": "round", "stroke-dasharray": one.dashed ? "6 4" : "none" });
      }
      one.points.forEach((p, i) => {
        const picked = this.chosen?.name === one.name && this.chosen.index === i;
        if (this.spec.markers || picked) mark(group, one.marker, ...places[i], picked ? 8 : 5, { fill: colour, class: "point", "fill-opacity": this.spec.lines ? 1 : 0.65 });
      });
      return { one, places };
    }

    drawFront(parent, points, x, y) {
      const sign = this.spec.front;
      const sorted = points.map((p) => [p.x[this.axis.index], p.y]).sort((a, b) => a[0] - b[0] || sign * (b[1] - a[1]));
      const steps = [];
      let best = -Infinity;
      for (const [cost, score] of sorted) {
        if (sign * score <= best) continue;
        if (steps.length) steps.push([x.at(cost), steps.at(-1)[1]]);
        steps.push([x.at(cost), y.at(score)]);
        best = sign * score;
      }
      make(parent, "path", { class: "rule front", d: this.line(steps) });
    }

    line(places) {
      return places.map(([u, v], i) => `${i ? "L" : "M"}${u.toFixed(1)} ${v.toFixed(1)}`).join("");
    }

    // -- reading points, by pointer or by keyboard

    choose(found) {
      this.chosen = found;
      this.draw();
      this.tip.hidden = !found;
      if (!found) return;
      const { one, places } = this.places.find((p) => p.one.name === found.name);
      this.tip.textContent = `${one.name}\n${this.told(one.points[found.index])}`;
      const [u, v] = places[found.index];
      const frame = this.figure.getBoundingClientRect();
      const plot = this.plot.getBoundingClientRect();
      const room = frame.width - this.tip.offsetWidth - 8;
      this.tip.style.left = `${Math.max(8, Math.min(room, plot.left - frame.left + u - this.tip.offsetWidth / 2))}px`;
      const above = plot.top - frame.top + v - this.tip.offsetHeight - 14;
      this.tip.style.top = `${above > 0 ? above : plot.top - frame.top + v + 14}px`;
    }

    told(p) {
      const short = (value) => `${+value.toPrecision(4)}`;
      return p.tip ?? `${this.axis.label}: ${short(p.x[this.axis.index])}\n${this.spec.y.label}: ${short(p.y)}`;
    }

    nearest(event) {
      const plot = this.plot.getBoundingClientRect();
      let best = null;
      let least = 40 ** 2;
      for (const { one, places } of this.places ?? []) {
        places.forEach(([u, v], index) => {
          const distance = (u - event.clientX + plot.left) ** 2 + (v - event.clientY + plot.top) ** 2;
          if (distance < least) { least = distance; best = { name: one.name, index }; }
        });
      }
      return best;
    }

    listen() {
      const same = (a, b) => a?.name === b?.name && a?.index === b?.index;
      const point = (event) => { const found = this.nearest(event); if (!same(found, this.chosen)) this.choose(found); };
      this.plot.addEventListener("pointermove", point);
      this.plot.addEventListener("pointerdown", point);
      this.plot.addEventListener("pointerleave", () => { if (this.chosen) this.choose(null); });
      this.plot.addEventListener("blur", () => { if (this.chosen) this.choose(null); });
      this.plot.addEventListener("keydown", (event) => this.key(event));
    }

    key(event) {
      const series = this.shown();
      const moves = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
      if (event.key === "Escape") { this.choose(null); return; }
      if (!(event.key in moves) || !series.length) return;
      event.preventDefault();
      let row = series.findIndex((one) => one.name === this.chosen?.name);
      let index = this.chosen?.index ?? 0;
      if (row < 0) { row = 0; index = 0; } else {
        row = (row + moves[event.key][0] + series.length) % series.length;
        index += moves[event.key][1];
      }
      index = Math.max(0, Math.min(index, series[row].points.length - 1));
      this.choose({ name: series[row].name, index });
      this.live.textContent = this.tip.textContent;
    }
  }

  document.querySelectorAll("figure.chart").forEach((figure, i) => new Chart(figure, i));
})();
