"use strict";

const models = JSON.parse(document.getElementById("data").textContent).models;
const SVG = "http://www.w3.org/2000/svg";
const KINDS = ["HAT", "Transformer", "Evolved Transformer"];

/** An SVG element with attributes and children. */
function drawn(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** An HTML element with a text or children. */
function made(name, ...children) {
  const element = document.createElement(name);
  element.append(...children);
  return element;
}

const number = (value, digits) => value === null ? "not known" : value.toFixed(digits);
const colour = (kind) => `var(--kind-${Math.max(0, KINDS.indexOf(kind)) % 4})`;

function between(value, low, high, digits, unit) {
  const ends = low === null ? "" : `, 95 % interval ${number(low, digits)} to ${number(high, digits)}`;
  return `${number(value, digits)}${unit}${ends}`;
}

/** Round numbers, about `count` of them, between two. */
function ticks(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw);
  const found = [];
  for (let index = Math.ceil(low / step); index * step <= high; index++) found.push(Number((index * step).toPrecision(12)));
  return found;
}

function shape(kind, published) {
  const style = { fill: published ? "var(--ground)" : colour(kind), stroke: colour(kind) };
  if (kind === "Transformer") return drawn("rect", { x: -6, y: -6, width: 12, height: 12, ...style });
  if (kind === "Evolved Transformer") return drawn("path", { d: "M0 -8 L7.5 6 L-7.5 6 Z", ...style });
  return drawn("circle", { r: 7, ...style });
}

const described = (model) => `${model.model}: ${number(model.latency_ms, 1)} ms, BLEU ${number(model.bleu, 1)}` +
  `${model.source === "published" ? ", published" : ""}, Architecture ${model.name}`;

/** Models of a task and device, and published ones of the device that ours stands for. */
function shownFor(place) {
  return models.filter((model) => `${model.task} on ${model.device}` === place
    || (model.shown_with && `${model.task} on ${model.shown_with}` === place));
}

function plot(place) {
  const shown = shownFor(place).sort((one, other) => one.latency_ms - other.latency_ms);
  const box = document.getElementById("plot");
  const width = Math.max(320, Math.min(1100, box.clientWidth || 800));
  const height = Math.min(460, Math.max(300, width * 0.55));
  const left = 52, right = 16, top = 12, bottom = 48;
  const ends = (low, high, margin) => {
    const room = (high - low || Math.abs(high) * 0.1 || 1) * margin;
    return [low - room, high + room];
  };
  const known = (name) => shown.map((model) => model[name]).filter((value) => value !== null);
  const xs = [...known("latency_ms"), ...known("latency_low_ms"), ...known("latency_high_ms")];
  const ys = [...known("bleu"), ...known("bleu_low"), ...known("bleu_high")];
  const [x0, x1] = ends(Math.min(...xs), Math.max(...xs), 0.08);
  const [y0, y1] = ends(Math.min(...ys), Math.max(...ys), 0.12);
  const x = (value) => left + (value - x0) / (x1 - x0) * (width - left - right);
  const y = (value) => height - bottom - (value - y0) / (y1 - y0) * (height - top - bottom);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `BLEU against latency, ${place}` });
  for (const tick of ticks(x0, x1, width / 110)) {
    svg.append(drawn("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: height - bottom }),
      drawn("text", { x: x(tick), y: height - bottom + 18, "text-anchor": "middle" }, `${tick}`));
  }
  for (const tick of ticks(y0, y1, 6)) {
    svg.append(drawn("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      drawn("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, `${tick}`));
  }
  svg.append(drawn("text", { x: (left + width) / 2, y: height - 8, "text-anchor": "middle" }, "latency of a sentence, ms"),
    drawn("text", { transform: `translate(14 ${height / 2 - 10}) rotate(-90)`, "text-anchor": "middle" }, "BLEU"));
  for (const model of shown) {
    if (model.budget_ms !== null && model.budget_ms > x0 && model.budget_ms < x1) {
      svg.append(drawn("line", { class: "budget", x1: x(model.budget_ms), x2: x(model.budget_ms), y1: top, y2: height - bottom }));
    }
  }
  const series = new Map();
  for (const model of shown) {
    const key = `${model.kind}${model.source === "published" ? ", published" : ""}`;
    series.set(key, [...(series.get(key) || []), model]);
  }
  for (const own of series.values()) {
    const way = own.map((model) => `${x(model.latency_ms)} ${y(model.bleu)}`).join(" L ");
    const broken = own[0].source === "published" ? { "stroke-dasharray": "5 4" } : {};
    svg.append(drawn("path", { class: "way", d: `M ${way}`, stroke: colour(own[0].kind), ...broken }));
  }
  for (const model of shown) {
    const bar = { class: "bar", stroke: colour(model.kind) };
    if (model.latency_low_ms !== null) {
      svg.append(drawn("line", { ...bar, x1: x(model.latency_low_ms), x2: x(model.latency_high_ms), y1: y(model.bleu), y2: y(model.bleu) }));
    }
    if (model.bleu_low !== null) {
      svg.append(drawn("line", { ...bar, x1: x(model.latency_ms), x2: x(model.latency_ms), y1: y(model.bleu_low), y2: y(model.bleu_high) }));
    }
  }
  const labels = [];
  const marks = shown.map((model) => {
    const mark = drawn("g", {
      class: "mark", tabindex: 0, role: "button", "aria-pressed": "false", "aria-label": described(model),
      transform: `translate(${x(model.latency_ms)} ${y(model.bleu)})`,
    }, drawn("circle", { class: "halo", r: 14 }), shape(model.kind, model.source === "published"));
    const tip = () => { document.getElementById("tip").textContent = described(model); };
    mark.addEventListener("pointerenter", tip);
    mark.addEventListener("focus", tip);
    const choose = () => {
      for (const other of marks) other.setAttribute("aria-pressed", "false");
      mark.setAttribute("aria-pressed", "true");
      tip();
      show(model);
    };
    mark.addEventListener("click", choose);
    mark.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        choose();
      }
    });
    // Beside the mark, on the side with more room, above it where the label before is in the way.
    const end = x(model.latency_ms) > width - 90;
    const label = { x: x(model.latency_ms) + (end ? -10 : 10), y: y(model.bleu) + 18 };
    if (labels.some((other) => Math.abs(other.x - label.x) < 80 && Math.abs(other.y - label.y) < 15)) label.y -= 30;
    labels.push(label);
    svg.append(drawn("text", { class: "label", ...label, "text-anchor": end ? "end" : "start" }, model.model));
    return mark;
  });
  svg.append(...marks);
  box.replaceChildren(svg);
  legend(series);
}

function legend(series) {
  const box = document.getElementById("legend");
  box.replaceChildren();
  for (const [name, own] of series) {
    const icon = drawn("svg", { viewBox: "-10 -10 20 20", width: 18, height: 18, "aria-hidden": "true" },
      shape(own[0].kind, own[0].source === "published"));
    box.append(made("span", icon, name));
  }
  box.append(made("span", "dotted: budgets"), made("span", "bars: 95 % intervals"));
}

/** Encoder and decoder layers as boxes, as wide as their feed-forward networks. */
function network(architecture) {
  const encoder = architecture.encoder_ffn_dim.length, decoder = architecture.decoder_ffn_dim.length;
  const layers = Math.max(encoder, decoder);
  const widest = Math.max(...architecture.encoder_ffn_dim, ...architecture.decoder_ffn_dim);
  const step = 34, height = layers * step + 44;
  const svg = drawn("svg", { class: "network", viewBox: `0 0 440 ${height}`, role: "img", "aria-label": told(architecture) });
  const middle = (layer) => height - 44 - layer * step - 12;
  architecture.decoder_cross_span.forEach((span, layer) => {
    for (let back = 0; back < Math.min(span, encoder); back++) {
      svg.append(drawn("line", { x1: 190, y1: middle(encoder - 1 - back), x2: 250, y2: middle(layer) }));
    }
  });
  const box = (centre, layer, ffn, text, kind) => {
    const width = Math.max(0.3, ffn / widest) * 160;
    svg.append(drawn("rect", {
      x: centre - width / 2, y: middle(layer) - 12, width, height: 24, rx: 5, fill: "var(--ground)", stroke: colour(kind),
    }), drawn("text", { x: centre, y: middle(layer) + 4 }, text));
  };
  architecture.encoder_ffn_dim.forEach((ffn, layer) => box(110, layer, ffn, `${ffn} | ${architecture.encoder_heads[layer]}`, "HAT"));
  architecture.decoder_ffn_dim.forEach((ffn, layer) => box(
    330, layer, ffn, `${ffn} | ${architecture.decoder_self_heads[layer]}, ${architecture.decoder_cross_heads[layer]}`, "Transformer"));
  svg.append(drawn("text", { x: 110, y: height - 14 }, `encoder, ${architecture.encoder_embed_dim} wide`),
    drawn("text", { x: 330, y: height - 14 }, `decoder, ${architecture.decoder_embed_dim} wide`));
  return svg;
}

function told(architecture) {
  return `Encoder ${architecture.encoder_embed_dim} wide, feed-forward ${architecture.encoder_ffn_dim.join(", ")},` +
    ` heads ${architecture.encoder_heads.join(", ")}. Decoder ${architecture.decoder_embed_dim} wide, feed-forward` +
    ` ${architecture.decoder_ffn_dim.join(", ")}, self-attention heads ${architecture.decoder_self_heads.join(", ")},` +
    ` cross-attention heads ${architecture.decoder_cross_heads.join(", ")}, encoder layers attended to` +
    ` ${architecture.decoder_cross_span.join(", ")}.`;
}

function show(model) {
  const list = made("dl");
  const entry = (name, value) => list.append(made("dt", name), made("dd", value));
  entry("Architecture", model.name);
  entry("kind", model.source === "published" ? `${model.kind}, published, not measured here` : model.kind);
  entry("latency", between(model.latency_ms, model.latency_low_ms, model.latency_high_ms, 1, " ms"));
  entry("BLEU", between(model.bleu, model.bleu_low, model.bleu_high, 1, ""));
  if (model.chrf !== null) entry("chrF", number(model.chrf, 1));
  if (model.params_m !== null) entry("parameters", `${number(model.params_m, 2)} million, without embeddings`);
  if (model.flops_g !== null) entry("FLOPs", `${number(model.flops_g, 3)} thousand million a sentence`);
  if (model.reproduce) entry("reproduce", made("code", model.reproduce));
  const parts = [made("h3", `${model.model}, ${model.task} on ${model.device}`), list];
  if (model.architecture) {
    const note = made("p", "A box is a layer: feed-forward width | heads; inputs at the bottom; lines are encoder layers attended to.");
    note.className = "quiet";
    parts.push(network(model.architecture), note);
  }
  document.getElementById("chosen").replaceChildren(...parts);
}

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const numeric = rows.some((row) => row.cells[column].dataset.value !== undefined);
    const value = (row) => numeric ? Number(row.cells[column].dataset.value ?? NaN) : row.cells[column].textContent;
    rows.sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      // What has no number stands last, either way.
      if (numeric && (Number.isNaN(a) || Number.isNaN(b))) return Number.isNaN(a) - Number.isNaN(b);
      const order = numeric ? a - b : a.localeCompare(b, "en", { numeric: true });
      return ascending ? order : -order;
    });
    body.append(...rows);
  }));
}

document.querySelectorAll("table").forEach(sortable);
const places = [...new Set(models.filter((model) => model.source === "measured" || !model.shown_with)
  .map((model) => `${model.task} on ${model.device}`))];
if (places.length) {
  const select = document.getElementById("place");
  select.append(...places.map((place) => made("option", place)));
  document.getElementById("plotting").hidden = false;
  const change = () => {
    document.getElementById("chosen").replaceChildren();
    document.getElementById("tip").textContent = "";
    plot(select.value);
  };
  select.addEventListener("change", change);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) {
      width = innerWidth;
      plot(select.value);
    }
  });
  change();
}
