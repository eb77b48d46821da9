// The buttons above the map.
// `does` has colour(mode), lasso(), inView(), zoom(factor), fit(), cluster(place).
const MODES = { cluster: "Cluster", density: "Density", activation: "Activation" };

function drawTools(tools, { mode, lasso, places }, does) {
  const held = tools.contains(document.activeElement) ? document.activeElement.dataset : {};
  const chip = (text, pressed, run, more = {}) => el("button", { type: "button", class: pressed ? "chip chosen" : "chip", "aria-pressed": pressed, ...more, on: { click: run } }, text);
  const action = (text, label, run) => el("button", { type: "button", class: "chip", "aria-label": label, title: label, on: { click: run } }, text);
  const named = places.filter((each) => each.name);
  // The choice stays until the focus leaves: arrow keys on a closed list go on from it.
  const choose = ({ target }) => { if (target.value !== "") does.cluster(named[Number(target.value)]); };
  const forget = ({ target }) => { target.value = ""; };
  const clusters = named.length ? el("select", { "aria-label": "Go to a cluster", on: { change: choose, blur: forget } },
    el("option", { value: "" }, "Go to a cluster …"), ...named.map((each, i) => el("option", { value: i }, `${each.name} (${each.count})`))) : null;
  fill(tools,
    el("div", { class: "chips", role: "group", "aria-label": "Colour by" }, el("span", { class: "about" }, "Colour"),
      ...Object.entries(MODES).map(([each, text]) => chip(text, mode === each, () => does.colour(each), { "data-mode": each }))),
    el("div", { class: "chips", role: "group", "aria-label": "Choose and move" },
      chip("Lasso", lasso, does.lasso, { "data-tool": "lasso", title: "Draw around a group; Shift and drag does the same" }),
      action("In view", "List the features in view", does.inView), action("−", "Zoom out", () => does.zoom(1 / 1.6)), action("+", "Zoom in", () => does.zoom(1.6)), action("All", "Show the whole map", does.fit), clusters));
  // Who pressed a button by key goes on from there.
  const again = held.mode ? `[data-mode=${held.mode}]` : held.tool ? `[data-tool=${held.tool}]` : null;
  if (again) tools.querySelector(again).focus();
}
