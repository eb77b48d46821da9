// The map of an SAE's features: points, what is drawn over them, and the list beside them.
// The value says whose map it is, what a text lights up, and which feature is open; the points and
// the labels are asked of the server when they are needed.
const root = element.querySelector(".map");
const NEAR = 9, NEAR_TOUCH = 18;

let value = copy(props.value);
let points = null, places = [], view = { x: 0.5, y: 0.5, scale: 1 };
let mode = "cluster", lasso = false, line = [], group = null, lit = null;
let hovered = -1, opened = -1, crossed = false, asked = null;

const stage = newStage(() => ({ points, places, view, line, cross: crossed, rings: [[opened, 11], [hovered, 8]].filter(([at]) => at >= 0) }));
const { over, tip } = stage;
const status = el("p", { class: "about", role: "status" });
const tools = el("div", { class: "map-tools" }), legend = el("div", { class: "map-key" }), panel = el("div", { class: "map-panel" });
fill(root, tools, el("div", { class: "map-body" }, stage.box, panel), legend, status);

// Where a server fails, Gradio answers with nothing.
async function told(name, question) {
  let answer = null;
  try { answer = await server[name](question); } catch { /* said below */ }
  return answer ?? { problem: "The server did not answer. Reload the page." };
}
const labels = newLabels((features) => told("describe", { sae: points.sae, features }), (problem) => { status.textContent = problem; });

const dark = () => document.querySelector(".dark") !== null;
function recolour() {
  if (!points) return;
  stage.colours(coloursOf(points, mode, dark()));
  mark();
  fill(legend, legendOf(points, { mode, lit, dark: dark(), clusters: places.length }));
}
const mark = () => stage.marked(marksOf(points, { lit: mode === "activation" ? lit : null, group, dark: dark() }));

function move(next) {
  view = within(stage.frame(), next);
  stage.moved();
}
const zoom = (factor, px = stage.frame().width / 2, py = stage.frame().height / 2) => move(zoomed(stage.frame(), factor, px, py));
const fit = () => move(wholeMap(stage.frame()));
const at = (px, py, radius) => nearestPoint(points, ...toMap(stage.frame(), px, py), radius / view.scale);

function look(place, px, py) {
  if (place !== hovered) { hovered = place; markRow(panel, place < 0 ? null : points.features[place]); stage.retouch(); }
  tip.hidden = place < 0 || px === undefined;
  over.style.cursor = lasso ? "crosshair" : place < 0 ? "grab" : "pointer";
  if (place < 0) return;
  const feature = points.features[place], cluster = points.names[points.clusters[place]];
  const say = () => { if (hovered === place) sayTip(tip, { each: labels.get(feature), feature, cluster, act: lit?.acts.get(feature) }); };
  say();
  if (px !== undefined) placeTip(tip, stage.frame(), px, py);
  labels.soon(feature, say);
}

function open(feature) {
  opened = placeOf(points, feature);
  stage.retouch();
  trigger("open_feature", { sae: points.sae, feature });
}

async function choose(title, members) {
  group = members.length ? { members } : null;
  mark();
  status.textContent = group ? "" : "No feature lies there.";
  if (!group) { list(); return; }
  const mine = group, first = foremost(points, members, lit, MOST_LISTED);
  mine.list = { title: `${title}: ${members.length.toLocaleString("en")} features`, group: true, count: members.length, features: first.map(labels.orName) };
  list();
  const lines = await labels.describe(first);
  if (!lines || group !== mine) return;
  mine.list.features = lines;
  list();
}

function list() {
  drawPanel(panel, group?.list || lit?.list || null, {
    open,
    add: (feature) => trigger("pick_feature", { sae: points.sae, feature }),
    addAll: (features) => trigger("pick_group", { sae: points.sae, features }),
    over: (feature) => look(feature === null ? -1 : placeOf(points, feature)),
    close: () => { group = null; mark(); list(); },
  });
}

function retool() {
  drawTools(tools, { mode, lasso, places }, {
    colour: (chosen) => { mode = chosen; recolour(); retool(); },
    lasso: () => { lasso = !lasso; over.style.cursor = lasso ? "crosshair" : "grab"; retool(); },
    inView, zoom, fit,
    cluster: (place) => {
      const members = membersOf(points, place.cluster);
      move(viewOf(stage.frame(), points, members));
      choose(place.name, members);
    },
  });
}

function inView() {
  const here = stage.frame(), [x0, y1] = toMap(here, 0, 0), [x1, y0] = toMap(here, here.width, here.height);
  choose("In view", inBox(points, x0, y0, x1, y1));
}

// Keys work on what is in the middle, which is said aloud.
async function middle(act) {
  const place = nearestPoint(points, view.x, view.y, 40 / view.scale);
  look(place);
  if (place < 0) { status.textContent = "No feature in the middle."; return; }
  if (act === "open") { open(points.features[place]); return; }
  const lines = await labels.describe([points.features[place]]);
  if (lines && hovered === place) status.textContent = `In the middle: ${lines[0].name} ${lines[0].label}`;
}

listen(over, () => lasso, {
  pan: (dx, dy) => points && move({ ...view, x: view.x - dx / view.scale, y: view.y + dy / view.scale }),
  zoom: (...how) => points && zoom(...how),
  point: (px, py, touch) => { if (points && !touch) look(at(px, py, NEAR), px, py); },
  leave: () => points && look(-1),
  click: (px, py, touch) => {
    if (!points) return;
    const place = at(px, py, touch ? NEAR_TOUCH : NEAR);
    if (place >= 0) { look(place, px, py); open(points.features[place]); }
  },
  lasso: (drawn, done) => {
    if (!points) return;
    const corners = drawn.map(([px, py]) => toMap(stage.frame(), px, py));
    line = done ? [] : corners;
    if (done) choose("Lasso", inLasso(points, corners));
    stage.retouch();
  },
  key: (name) => { if (points) ({ fit, open: () => middle("open"), view: inView, moved: () => { clearTimeout(asked); asked = setTimeout(() => middle("say"), 250); } })[name](); },
});
over.addEventListener("focus", () => { crossed = over.matches(":focus-visible"); stage.retouch(); });
over.addEventListener("blur", () => { crossed = false; stage.retouch(); });

function takeLit(given) {
  lit = points && litOn(points, given);
  if (!lit) return;
  labels.keep(given.list);
  mode = "activation";
  group = null;
}

// Before the tab is opened there is nothing to paint on. While the points are on their way, the
// painter is made ready.
let loading = null;
async function load() {
  if (loading === value.of || !stage.frame().width) return;
  const mine = loading = value.of;
  root.dataset.phase = "loading";
  status.textContent = "Loading the map …";
  const coming = told("points", { sae: value.sae });
  if (!stage.kind()) stage.start(paintAll);
  const answer = await coming;
  if (loading !== mine) return;  // another map was asked for meanwhile
  if (mine !== value.of) return load();
  points = null; group = null; lit = null; opened = hovered = -1;
  labels.forget();
  if (answer.problem) { sayProblem(answer); return; }
  points = unpackPoints(answer);
  places = clusterPlaces(points);
  view = wholeMap(stage.frame());
  takeLit(value.lit);
  paintAll();
  pointAt(value.opened);
  retool();
  list();
  status.textContent = `${points.n.toLocaleString("en")} features on the map.` + (stage.kind() === "webgl" ? "" : " This browser has no WebGL of a graphics card, so they are drawn on a plain canvas: the same points.");
}

function paintAll() {
  if (!points) return;
  root.dataset.painter = stage.kind();
  stage.points(points);
  recolour();
  requestAnimationFrame(() => { root.dataset.phase = "painted"; });
}

function sayProblem({ problem, offer }) {
  root.dataset.phase = "empty";
  for (const each of [tools, panel, legend]) fill(each);
  const make = (event) => { event.target.disabled = true; event.target.textContent = "Making the map …"; trigger("make_map"); };
  fill(status, problem, offer ? el("button", { type: "button", class: "quiet strong", on: { click: make } }, "Make the map here") : null);
}

function pointAt(feature) {
  if (feature === null) return;
  opened = placeOf(points, feature);
  if (opened >= 0 && !isSeen(stage.frame(), points, opened)) move({ ...view, x: xOf(points, opened), y: yOf(points, opened) });
  stage.retouch();
}

keep((given) => {
  const before = value;
  value = copy(given);
  if (value.of === null) return;
  if (before.failed !== value.failed) loading = null;
  if (loading !== value.of) { load(); return; }
  if (!points) return;
  if (JSON.stringify(before.lit) !== JSON.stringify(value.lit)) { takeLit(value.lit); retool(); list(); recolour(); }
  pointAt(value.opened);
});
// A feature that was named on its card is called so here at once.
document.addEventListener("featurenamed", ({ detail }) => {
  labels.rename(detail.renamed, detail.label);
  for (const each of [...(group?.list?.features || []), ...(lit?.list.features || [])]) if (each.name === detail.renamed) each.label = detail.label;
  if (points) list();
});
new ResizeObserver(() => {
  const before = stage.frame().width;
  stage.resize();
  const { width } = stage.frame();
  if (value.of !== null && loading !== value.of) load();
  if (points && before && width) view.scale *= width / before;
}).observe(stage.box);
new MutationObserver(() => { stage.rethemed(); recolour(); }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
