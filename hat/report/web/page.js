"use strict";

const models = JSON.parse(document.getElementById("data").textContent).models;
const SVG = "http://www.w3.org/2000/svg";
const KINDS = ["HAT", "Transformer", "Evolved Transformer"];

/** Make an SVG element with attributes and children. */
function drawn(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Make an HTML element with a text or children. */
function made(name, ...children) {
  const element = document.createElement(name);
  element.append(...children);
  return element;
}

const number = (value, digits) => value === null ? "unknown" : value.toFixed(digits);
const colour = (kind) => `var(--kind-${Math.max(0, KINDS.indexOf(kind)) % 4})`;

function between(value, low, high, digits, unit) {
  const ends = low === null ? "" : `, 95 % interval ${number(low, digits)} to ${number(high, digits)}`;
  return `${number(value, digits)}${unit}${ends}`;
}

/** Return about `count` round numbers between two. */
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

/** Return the models of a task and device, and the published ones that are shown beside them. */
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
  // Budgets belong to the range: a model may be far below its budget, or above it.
  const xs = ["latency_ms", "latency_low_ms", "latency_high_ms", "budget_ms"].flatMap(known);
  const ys = ["bleu", "bleu_low", "bleu_high"].flatMap(known);
  const [x0, x1] = ends(Math.min(...xs), Math.max(...xs), 0.08);
  const [y0, y1] = ends(Math.min(...ys), Math.max(...ys), 0.12);
  const x = (value) => left + (value - x0) / (x1 - x0) * (width - left - right);
  const y = (value) => height - bottom - (value - y0) / (y1 - y0) * (height - top - bottom);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `BLEU against latency, ${place}` });
  for (const tick of ticks(x0, x1, Math.max(4, width / 110))) {
    svg.append(drawn("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: height - bottom }),
      drawn("text", { x: x(tick), y: height - bottom + 18, "text-anchor": "middle" }, `${tick}`));
  }
  for (const tick of ticks(y0, y1, 6)) {
    svg.append(drawn("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      drawn("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, `${tick}`));
  }
  svg.append(drawn("text", { x: (left + width) / 2, y: height - 8, "text-anchor": "middle" }, "latency of a sentence, ms"),
    drawn("text", { transform: `translate(14 ${height / 2 - 10}) rotate(-90)`, "text-anchor": "middle" }, "BLEU"));
  // Lines that texts had better not cross, and how bad it is if they do.
  const lines = [];
  const line = (ends, attributes, weight) => {
    lines.push({ ...ends, weight });
    svg.append(drawn("line", { ...ends, ...attributes }));
  };
  const budgets = shown.filter((model) => model.budget_ms !== null);
  for (const { budget_ms: budget } of budgets) {
    line({ x1: x(budget), x2: x(budget), y1: top, y2: height - bottom }, { class: "budget" }, 8);
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
    own.slice(1).forEach((model, index) => lines.push({
      x1: x(own[index].latency_ms), y1: y(own[index].bleu), x2: x(model.latency_ms), y2: y(model.bleu), weight: 25,
    }));
  }
  for (const model of shown) {
    const bar = { class: "bar", stroke: colour(model.kind) };
    const [across, up] = [x(model.latency_ms), y(model.bleu)];
    if (model.latency_low_ms !== null) {
      line({ x1: x(model.latency_low_ms), x2: x(model.latency_high_ms), y1: up, y2: up }, bar, 25);
    }
    if (model.bleu_low !== null) {
      line({ x1: across, x2: across, y1: y(model.bleu_low), y2: y(model.bleu_high) }, bar, 25);
    }
  }
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
    return mark;
  });
  svg.append(...marks);
  box.replaceChildren(svg);
  const frame = { left, right: width - right, top, bottom: height - bottom };
  const [taken, rings] = [MARK, RING].map((half) => shown.map((model) => around(x(model.latency_ms), y(model.bleu), half, half)));
  const obstacles = { frame, taken, rings, lines };
  for (const model of shown) label(svg, "label", model.model, beside(x(model.latency_ms), y(model.bleu)), obstacles);
  for (const model of budgets) label(svg, "budget-name", model.model, along(x(model.budget_ms), top), obstacles);
  legend(series, budgets.length > 0);
}

// Half the size of a mark, and of the ring around a chosen one, in pixels.
const MARK = 9, RING = 16;
const around = (x, y, across, up) => ({ left: x - across, right: x + across, top: y - up, bottom: y + up });
const meet = (one, other) => one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;

/** Whether a straight line crosses a box. */
function crosses(line, box) {
  const bounds = {
    left: Math.min(line.x1, line.x2) - 1, right: Math.max(line.x1, line.x2) + 1,
    top: Math.min(line.y1, line.y2) - 1, bottom: Math.max(line.y1, line.y2) + 1,
  };
  const side = (x, y) => Math.sign((line.x2 - line.x1) * (y - line.y1) - (line.y2 - line.y1) * (x - line.x1));
  const sides = [side(box.left, box.top), side(box.right, box.top), side(box.left, box.bottom), side(box.right, box.bottom)];
  return meet(bounds, box) && Math.abs(sides.reduce((sum, one) => sum + one, 0)) < 4;
}

/** Places of a text around a mark: centre and distance, by half the text's width and height. */
const beside = (x, y) => (across, up) => [7, 11, 16, 24].flatMap((distance) => Array.from({ length: 16 }, (_, turn) => {
  const angle = turn * Math.PI / 8;
  return { x: x + Math.cos(angle) * (across + MARK + distance), y: y + Math.sin(angle) * (up + MARK + distance), distance };
}));

/** Places of a text along an upright line that begins at the top. */
const along = (x, top) => (across, up) => [0, 1, 2, 3, 4, 5].flatMap((row) => [1, -1].map((side) => (
  { x: x + side * (across + 4), y: top + up + row * 2 * up, distance: 10 * row })));

/** Write a text where it hides no mark or other text, on few lines; leave it out if there is no such place. */
function label(svg, name, content, places, { frame, taken, rings, lines }) {
  const text = drawn("text", { class: name }, content);
  svg.append(text);
  const size = text.getBBox();
  const [across, up] = [size.width / 2, size.height / 2];
  let best = null;
  for (const place of places(across, up)) {
    const box = around(place.x, place.y, across, up);
    const inside = box.left >= frame.left && box.right <= frame.right && box.top >= frame.top && box.bottom <= frame.bottom;
    if (!inside || taken.some((other) => meet(box, other))) continue;
    const crossed = lines.reduce((sum, line) => sum + (crosses(line, box) ? line.weight : 0), 0);
    const cost = place.distance + crossed + 20 * rings.filter((ring) => meet(box, ring)).length;
    if (best === null || cost < best.cost) best = { ...place, box, cost };
  }
  if (best === null) {
    text.remove();
    return;
  }
  text.setAttribute("x", best.x);
  text.setAttribute("y", best.y);
  taken.push(best.box);
}

function legend(series, withBudgets) {
  const box = document.getElementById("legend");
  box.replaceChildren();
  for (const [name, own] of series) {
    const icon = drawn("svg", { viewBox: "-10 -10 20 20", width: 18, height: 18, "aria-hidden": "true" },
      shape(own[0].kind, own[0].source === "published"));
    box.append(made("span", icon, name));
  }
  if (withBudgets) box.append(made("span", "dotted: budgets"));
  box.append(made("span", "bars: 95 % intervals"));
}

/** Draw encoder and decoder layers as boxes, as wide as their feed-forward networks. */
function network(architecture) {
  const encoder = architecture.encoder_ffn_dim.length, decoder = architecture.decoder_ffn_dim.length;
  const layers = Math.max(encoder, decoder);
  const widest = Math.max(...architecture.encoder_ffn_dim, ...architecture.decoder_ffn_dim);
  const step = 44, height = layers * step + 34, encoderX = 110, decoderX = 330;
  const svg = drawn("svg", { class: "network", viewBox: `0 0 440 ${height}`, role: "img", "aria-label": told(architecture) });
  const middle = (layer) => height - 34 - layer * step - 20;
  const half = (ffn) => Math.max(0.27, ffn / widest) * 80;
  architecture.decoder_cross_span.forEach((span, layer) => {
    for (let back = 0; back < Math.min(span, encoder); back++) {
      const source = encoder - 1 - back;
      svg.append(drawn("line", {
        x1: encoderX + half(architecture.encoder_ffn_dim[source]), y1: middle(source),
        x2: decoderX - half(architecture.decoder_ffn_dim[layer]), y2: middle(layer),
      }));
    }
  });
  const box = (centre, layer, ffn, heads, kind) => svg.append(
    drawn("rect", {
      x: centre - half(ffn), y: middle(layer) - 17, width: 2 * half(ffn), height: 34, rx: 5, fill: "var(--ground)", stroke: colour(kind),
    }),
    drawn("text", { x: centre, y: middle(layer) - 3 }, `${ffn}`),
    drawn("text", { x: centre, y: middle(layer) + 11 }, heads));
  architecture.encoder_ffn_dim.forEach((ffn, layer) => box(encoderX, layer, ffn, `${architecture.encoder_heads[layer]}`, "HAT"));
  architecture.decoder_ffn_dim.forEach((ffn, layer) => box(
    decoderX, layer, ffn, `${architecture.decoder_self_heads[layer]}, ${architecture.decoder_cross_heads[layer]}`, "Transformer"));
  svg.append(drawn("text", { x: encoderX, y: height - 12 }, `encoder, width ${architecture.encoder_embed_dim}`),
    drawn("text", { x: decoderX, y: height - 12 }, `decoder, width ${architecture.decoder_embed_dim}`));
  return svg;
}

function told(architecture) {
  return `Encoder width ${architecture.encoder_embed_dim}, feed-forward ${architecture.encoder_ffn_dim.join(", ")},` +
    ` heads ${architecture.encoder_heads.join(", ")}. Decoder width ${architecture.decoder_embed_dim}, feed-forward` +
    ` ${architecture.decoder_ffn_dim.join(", ")}, self-attention heads ${architecture.decoder_self_heads.join(", ")},` +
    ` cross-attention heads ${architecture.decoder_cross_heads.join(", ")}, last encoder layers attended to` +
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
  const parameters = [];
  if (model.params_m !== null) parameters.push(`${number(model.params_m, 2)} million`);
  if (model.params_without_embeddings_m !== null) {
    parameters.push(`${number(model.params_without_embeddings_m, 2)} million without embeddings and output projection`);
  }
  if (parameters.length) entry("parameters", parameters.join("; "));
  if (model.flops_g !== null) entry("FLOPs", `${number(model.flops_g, 3)} billion per sentence, without output projection`);
  if (model.reproduce) entry("reproduce", made("code", model.reproduce));
  const parts = [made("h3", `${model.model}, ${model.task} on ${model.device}`), list];
  if (model.architecture) {
    const note = made("p", "Inputs at the bottom. A box is a layer. The upper number is its feed-forward width, which sets the" +
      " width of the box; below are its attention heads (decoder: self-attention, cross-attention). A line joins a decoder layer" +
      " to an encoder layer that it attends to.");
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
      // Rows without a number come last in either order.
      if (numeric && (Number.isNaN(a) || Number.isNaN(b))) return Number.isNaN(a) - Number.isNaN(b);
      const order = numeric ? a - b : a.localeCompare(b, "en", { numeric: true });
      return ascending ? order : -order;
    });
    body.append(...rows);
  }));
}

/** Let a figure open in a dialog, which Escape, its button and a click beside it close. */
function enlargeable(figure) {
  const image = figure.querySelector("img");
  const [title, caption] = [image.alt, figure.querySelector(".caption").textContent];
  const button = made("button");
  Object.assign(button, { type: "button", className: "enlarge", ariaLabel: `Enlarge: ${title}` });
  image.replaceWith(button);
  button.append(image);
  button.addEventListener("click", () => {
    const dialog = document.getElementById("enlarged");
    const large = made("img");
    Object.assign(large, { src: image.src, alt: title, width: image.width, height: image.height });
    large.style.setProperty("--aspect", image.getAttribute("width") / image.getAttribute("height"));
    dialog.querySelector("h2").textContent = title;
    dialog.querySelector(".scroll").replaceChildren(large);
    dialog.querySelector("p").textContent = caption;
    dialog.showModal();
  });
}

document.querySelectorAll("table").forEach(sortable);
document.querySelectorAll("figure").forEach(enlargeable);
document.getElementById("how-to-enlarge").hidden = document.querySelector("figure") === null;
document.getElementById("enlarged").addEventListener("click", (event) => {
  if (event.target === event.currentTarget) event.currentTarget.close();
});
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
