// The map of an SAE's features: points, what is drawn over them, and the list beside them.
// The value says whose map it is, what a text lights up, and which feature is open; the points and
// the labels are asked of the server when they are needed.
const root = element.querySelector(".map");
const MODES = { cluster: "Cluster", density: "Density", activation: "Activation" };
const NEAR = 9, NEAR_TOUCH = 18;
const NEAREST = 0.7, FARTHEST = 400;
const KNOWN_MOST = 20000;
// A frame that takes longer has fewer points while the map moves, and all of them when it rests.
const FRAME = 16, RESTS = 160;
const began = performance.now();

let value = copy(props.value);
let points = null, painter = null, places = [];
let view = { x: 0.5, y: 0.5, scale: 1 };
let mode = "cluster", lasso = false, line = [], group = null, lit = null;
let share = 1, moved = -RESTS, resting = null;
let hovered = -1, opened = -1, crossed = false, pending = false, asked = null;
const known = new Map();

const status = el("p", { class: "about", role: "status" });
const tip = el("div", { class: "tip map-tip", hidden: true });
const over = el("canvas", { class: "map-over", tabindex: 0, role: "application", "aria-label": "Map of the features. Arrows move it, plus and minus zoom, 0 shows all, Enter opens the feature in the middle, V lists what is in view." });
const stage = el("div", { class: "map-stage" }, over, tip);
const tools = el("div", { class: "map-tools" }), legend = el("div", { class: "map-key" }), panel = el("div", { class: "map-panel" });
fill(root, tools, el("div", { class: "map-body" }, stage, panel), legend, status);

const dark = () => document.querySelector(".dark") !== null;
const frame = () => ({ view, width: stage.clientWidth, height: stage.clientHeight });
const fitted = () => 0.92 * Math.min(stage.clientWidth, stage.clientHeight);
const dotSize = () => {
  const { width, height } = frame(), fair = 0.34 * Math.sqrt(width * height / Math.max(1, points.n));
  const grown = Math.max(1.6, Math.min(7, fair)) * Math.max(1, view.scale / fitted()) ** 0.4;
  return Math.min(11, grown) * devicePixelRatio;
};

function newPainter() {
  stage.querySelector(".map-points")?.remove();
  let canvas = el("canvas", { class: "map-points", "aria-hidden": "true" });
  let made = webglPainter(canvas);
  if (made) {
    canvas.addEventListener("webglcontextlost", (event) => { event.preventDefault(); painter = null; });
    canvas.addEventListener("webglcontextrestored", () => { newPainter(); });
  } else {
    canvas = el("canvas", { class: "map-points", "aria-hidden": "true" });
    made = canvasPainter(canvas);
  }
  stage.prepend(canvas);
  painter = made;
  root.dataset.painter = painter.kind;
  painter.points(points.places);
  resize();
  recolour();
  if (stage.clientWidth) measure();
}

function resize() {
  if (!points || !stage.clientWidth) return;
  for (const canvas of stage.querySelectorAll("canvas")) {
    canvas.width = Math.round(stage.clientWidth * devicePixelRatio);
    canvas.height = Math.round(stage.clientHeight * devicePixelRatio);
  }
  redraw();
}

function recolour() {
  if (!points || !painter) return;
  painter.colours(coloursOf(points, mode, dark()));
  mark();
  fill(legend, legendOf(points, mode, lit, dark()));
}

// What stands out is drawn last and larger: what a text lights up, weakest first, or a group.
function mark() {
  if (!painter) return;
  const shown = [];
  if (mode === "activation" && lit) for (const [at, share] of lit.order) shown.push([at, heatColour(Math.sqrt(share)), 4 + 9 * Math.sqrt(share)]);
  const edge = dark() ? [255, 255, 255] : [15, 23, 42];
  if (group) for (const at of group.members) shown.push([at, edge, 4]);
  const where = new Uint16Array(2 * shown.length), colours = new Uint8Array(4 * shown.length), sizes = new Float32Array(shown.length);
  shown.forEach(([at, colour, size], i) => {
    where.set(points.places.subarray(2 * at, 2 * at + 2), 2 * i);
    colours.set([...colour, 240], 4 * i);
    sizes[i] = size * devicePixelRatio;
  });
  painter.marked(where, colours, sizes);
  redraw();
}

function redraw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    if (!points || !painter || !stage.clientWidth) return;
    const fewer = performance.now() - moved < RESTS ? share : 1;
    painter.draw({ ...view, scale: view.scale * devicePixelRatio }, dotSize(), fewer);
    clearTimeout(resting);
    if (fewer < 1) resting = setTimeout(redraw, RESTS);
    const style = getComputedStyle(root);
    drawOverlay(over, frame(), {
      points, places, named: true, line, cross: crossed,
      rings: [[opened, 11], [hovered, 8]].filter(([at]) => at >= 0),
      ink: style.color, halo: style.getPropertyValue("--body-background-fill") || "white", accent: style.getPropertyValue("--primary-500") || "blue",
    });
    if (root.dataset.phase !== "painted") { root.dataset.phase = "painted"; root.dataset.took = String(Math.round(performance.now() - began)); }
  });
}

// What a frame costs here: the second of two, since the first one also sends the points.
function measure() {
  const at = { ...view, scale: view.scale * devicePixelRatio };
  painter.draw(at, dotSize(), 0.1);
  painter.finish();
  const start = performance.now();
  painter.draw(at, dotSize(), 0.1);
  painter.finish();
  share = Math.min(1, Math.max(0.05, 0.1 * FRAME / Math.max(0.1, performance.now() - start)));
}

function move(next) {
  moved = performance.now();
  const scale = Math.max(NEAREST * fitted(), Math.min(FARTHEST * fitted(), next.scale));
  const inside = (v) => Math.max(-0.1, Math.min(1.1, v));
  view = { x: inside(next.x), y: inside(next.y), scale };
  redraw();
}

function zoom(factor, px = stage.clientWidth / 2, py = stage.clientHeight / 2) {
  const [x, y] = toMap(frame(), px, py);
  const scale = Math.max(NEAREST * fitted(), Math.min(FARTHEST * fitted(), view.scale * factor));
  move({ x: x + (view.x - x) * view.scale / scale, y: y + (view.y - y) * view.scale / scale, scale });
}

const fit = () => move({ x: 0.5, y: 0.5, scale: fitted() });
function goTo(members) {
  const xs = members.map((at) => xOf(points, at)).sort((a, b) => a - b), ys = members.map((at) => yOf(points, at)).sort((a, b) => a - b);
  const middle = (sorted) => sorted[sorted.length >> 1], spread = (sorted) => sorted[Math.floor(0.9 * (sorted.length - 1))] - sorted[Math.floor(0.1 * (sorted.length - 1))];
  move({ x: middle(xs), y: middle(ys), scale: 0.5 * fitted() / Math.max(0.01, spread(xs), spread(ys)) });
}

// Where a server fails, Gradio answers with nothing.
async function told(name, asked) {
  let answer = null;
  try { answer = await server[name](asked); } catch { /* said below */ }
  return answer ?? { problem: "The server did not answer. Reload the page." };
}

// Labels are asked for when somebody looks, and kept; an answer for another map is dropped.
async function describe(features) {
  const missing = features.filter((feature) => !known.has(feature));
  if (missing.length) {
    const map = points;
    const answer = await told("describe", { sae: map.sae, features: missing });
    if (map !== points) return null;
    if (answer.problem) { status.textContent = answer.problem; return null; }
    if (known.size > KNOWN_MOST) known.clear();
    for (const each of answer.features) known.set(each.feature, each);
  }
  return features.map((feature) => known.get(feature) || { feature, name: `#${feature}`, label: "" });
}

function look(at, px, py) {
  if (at !== hovered) { hovered = at; markRow(panel, at < 0 ? null : points.features[at]); redraw(); }
  tip.hidden = at < 0 || px === undefined;
  over.style.cursor = lasso ? "crosshair" : at < 0 ? "grab" : "pointer";
  if (at < 0) return;
  const feature = points.features[at];
  const say = () => {
    const each = known.get(feature), act = lit?.acts.get(feature);
    fill(tip, el("b", {}, each ? each.name : `#${feature}`), ` ${each ? each.label : "…"}`,
      el("div", { class: "about" }, [points.names[points.clusters[at]], each?.density, act ? `activation ${act.toPrecision(3)}` : null].filter(Boolean).join(" · ")));
  };
  say();
  if (px !== undefined) {
    tip.style.left = `${Math.min(px + 14, Math.max(0, stage.clientWidth - 260))}px`;
    tip.style.top = `${py + 16}px`;
  }
  clearTimeout(asked);
  if (!known.has(feature)) asked = setTimeout(async () => { if (await describe([feature]) && hovered === at) say(); }, 60);
}

function open(feature) {
  opened = points.index.get(feature) ?? -1;
  redraw();
  trigger("open_feature", { sae: points.sae, feature });
}

async function choose(title, members) {
  group = members.length ? { title, members } : null;
  mark();
  if (!group) { list(); status.textContent = "No feature lies there."; return; }
  const mine = group, near = members.map((at) => points.features[at]);
  const first = [...near].sort((a, b) => (lit?.acts.get(b) || 0) - (lit?.acts.get(a) || 0)).slice(0, MOST_LISTED);
  const waiting = first.map((feature) => known.get(feature) || { feature, name: `#${feature}`, label: "" });
  mine.list = { title: `${title}: ${members.length.toLocaleString("en")} features`, group: true, count: members.length, features: waiting };
  list();
  const lines = await describe(first);
  if (!lines || group !== mine) return;
  mine.list.features = lines;
  list();
}

const list = () => drawPanel(panel, group?.list || lit?.list || null, {
  open,
  add: (feature) => trigger("pick_feature", { sae: points.sae, feature }),
  addAll: (features) => trigger("pick_group", { sae: points.sae, features }),
  over: (feature) => look(feature === null ? -1 : points.index.get(feature) ?? -1),
  close: () => { group = null; mark(); list(); },
});

function drawTools() {
  const chip = (text, pressed, run, more = {}) => el("button", { type: "button", class: pressed ? "chip chosen" : "chip", "aria-pressed": pressed, ...more, on: { click: () => { run(); drawTools(); } } }, text);
  const action = (text, label, run) => el("button", { type: "button", class: "chip", "aria-label": label, title: label, on: { click: run } }, text);
  const named = places.filter((each) => each.name);
  const clusters = named.length ? el("select", { "aria-label": "Go to a cluster", on: { change: (event) => {
    const place = named[Number(event.target.value)];
    event.target.value = "";
    if (place) { goTo(place.members); choose(place.name, place.members); }
  } } }, el("option", { value: "" }, "Go to a cluster …"), ...named.map((each, i) => el("option", { value: i }, `${each.name} (${each.count})`))) : null;
  fill(tools,
    el("div", { class: "chips", role: "group", "aria-label": "Colour by" }, el("span", { class: "about" }, "Colour"),
      ...Object.entries(MODES).map(([each, text]) => chip(text, mode === each, () => { mode = each; recolour(); }, { "data-mode": each }))),
    el("div", { class: "chips", role: "group", "aria-label": "Choose and move" },
      chip("Lasso", lasso, () => { lasso = !lasso; over.style.cursor = lasso ? "crosshair" : "grab"; }, { "data-tool": "lasso", title: "Draw around a group; Shift and drag does the same" }),
      action("In view", "List the features in view", inView), action("−", "Zoom out", () => zoom(1 / 1.6)), action("+", "Zoom in", () => zoom(1.6)), action("All", "Show the whole map", fit), clusters));
}

function inView() {
  const here = frame(), [x0, y1] = toMap(here, 0, 0), [x1, y0] = toMap(here, here.width, here.height);
  choose("In view", inBox(points, x0, y0, x1, y1));
}

// Keys work on what is in the middle, which is said aloud.
async function middle(act) {
  const at = nearestPoint(points, view.x, view.y, 40 / view.scale);
  look(at);
  if (at < 0) { status.textContent = "No feature in the middle."; return; }
  if (act === "open") { open(points.features[at]); return; }
  const lines = await describe([points.features[at]]);
  if (lines && hovered === at) status.textContent = `In the middle: ${lines[0].name} ${lines[0].label}`;
}

listen(over, () => lasso, {
  pan: (dx, dy) => points && move({ ...view, x: view.x - dx / view.scale, y: view.y + dy / view.scale }),
  zoom: (...how) => points && zoom(...how),
  point: (px, py, touch) => { if (points && !touch) look(nearestPoint(points, ...toMap(frame(), px, py), NEAR / view.scale), px, py); },
  leave: () => points && look(-1),
  click: (px, py, touch) => {
    if (!points) return;
    const at = nearestPoint(points, ...toMap(frame(), px, py), (touch ? NEAR_TOUCH : NEAR) / view.scale);
    if (at >= 0) { look(at, px, py); open(points.features[at]); }
  },
  lasso: (drawn, done) => {
    if (!points) return;
    line = done ? [] : drawn.map(([px, py]) => toMap(frame(), px, py));
    if (done) choose("Lasso", inLasso(points, drawn.map(([px, py]) => toMap(frame(), px, py))));
    redraw();
  },
  key: (name) => { if (points) ({ fit, open: () => middle("open"), view: inView, moved: () => { clearTimeout(asked); asked = setTimeout(() => middle("say"), 250); } })[name](); },
});
over.addEventListener("focus", () => { crossed = over.matches(":focus-visible"); redraw(); });
over.addEventListener("blur", () => { crossed = false; redraw(); });

function takeLit(given) {
  if (!given || !points || given.sae !== points.sae) { lit = null; return; }
  const features = new Uint32Array(bytesOf(given.features)), acts = new Float32Array(bytesOf(given.acts));
  lit = { highest: given.highest, acts: new Map(), order: [], list: { title: given.title, count: given.count, features: given.list } };
  features.forEach((feature, i) => {
    lit.acts.set(feature, acts[i]);
    if (points.index.has(feature)) lit.order.push([points.index.get(feature), acts[i] / given.highest]);
  });
  lit.order.sort((a, b) => a[1] - b[1]);
  for (const each of given.list) known.set(each.feature, { ...each, amount: undefined });
  mode = "activation";
  group = null;
}

// Before the tab is opened there is nothing to paint on.
let loading = null;
async function load() {
  if (loading === value.of || !stage.clientWidth) return;
  loading = value.of;
  root.dataset.phase = "loading";
  status.textContent = "Loading the map …";
  const answer = await told("points", { sae: value.sae });
  if (loading !== value.of) return load();
  points = null; group = null; lit = null; opened = hovered = -1;
  known.clear();
  if (answer.problem) {
    root.dataset.phase = "empty";
    fill(tools);
    fill(panel);
    fill(legend);
    fill(status, answer.problem, answer.offer ? el("button", { type: "button", class: "quiet strong", on: { click: (event) => { event.target.disabled = true; event.target.textContent = "Making the map …"; trigger("make_map"); } } }, "Make the map here") : null);
    return;
  }
  points = unpackPoints(answer);
  places = clusterPlaces(points);
  view = { x: 0.5, y: 0.5, scale: fitted() };
  takeLit(value.lit);
  newPainter();
  drawTools();
  list();
  status.textContent = `${points.n.toLocaleString("en")} features that were seen to fire.` + (painter.kind === "webgl" ? "" : " This browser gives no WebGL, so they are drawn on a plain canvas: the same points, moved more slowly.");
}

keep((given) => {
  const before = value;
  value = copy(given);
  if (value.of === null) return;
  if (loading !== value.of) { load(); return; }
  if (!points) return;
  if (JSON.stringify(before.lit) !== JSON.stringify(value.lit)) { takeLit(value.lit); drawTools(); list(); recolour(); }
  if (value.opened !== null) {
    opened = points.index.get(value.opened) ?? -1;
    const [px, py] = opened < 0 ? [0, 0] : toScreen(frame(), xOf(points, opened), yOf(points, opened));
    if (opened >= 0 && (px < 0 || py < 0 || px > stage.clientWidth || py > stage.clientHeight)) move({ ...view, x: xOf(points, opened), y: yOf(points, opened) });
    redraw();
  }
});
let width = 0;
new ResizeObserver(() => {
  if (value.of !== null && loading !== value.of) load();
  if (points && width) view.scale *= stage.clientWidth ? stage.clientWidth / width : 1;
  width = stage.clientWidth || width;
  resize();
}).observe(stage);
new MutationObserver(recolour).observe(document.body, { attributes: true, attributeFilter: ["class"] });
