const root = element.querySelector(".heatmap");
let view = null;
let chosen = 0;
const visible = (text) => text.replace(/\n/g, "⏎\n").replace(/\t/g, "⇥\t");
// Warm where a feature fires, cold where a value is below zero.
const colour = (share) => `color-mix(in srgb, var(${share < 0 ? "--cold" : "--warm"}) ${Math.min(100, Math.round(85 * Math.abs(share)))}%, transparent)`;

function draw() {
  const trace = view.traces[chosen];
  if (!view.tokens.length) { fill(root, el("p", { class: "empty" }, "Paste a text and press Inspect, or send one here from a pane.")); return; }
  const tabs = view.traces.map((each, at) => el("button", { type: "button", class: at === chosen ? "chip chosen" : "chip", "aria-pressed": at === chosen, on: { click: () => { chosen = at; draw(); root.querySelectorAll(".chip")[at]?.focus(); } } }, `${each.name} ${each.label}`));
  const tokens = view.tokens.map(([text, aside], at) => {
    const lines = view.traces.map((each) => `${each.name} ${each.label}: ${each.acts[at].toFixed(3)} (${Math.round(100 * each.acts[at] / each.max)} % of max)`);
    const share = trace && !aside ? trace.acts[at] / trace.max : 0;
    return el("button", { type: "button", class: aside ? "heat aside" : "heat", "data-at": at,
      style: `background:${colour(share)}`, title: [`token ${at}: ${JSON.stringify(text)}`, aside ? "first or special token: not counted" : null, ...lines].filter(Boolean).join("\n"),
      "aria-label": `${text.trim() || "space"}${trace ? `, ${trace.acts[at].toFixed(2)}` : ""}`,
      on: { click: () => trigger("pick_token", { position: at, text: view.text }) } }, visible(text));
  });
  fill(root,
    view.traces.length ? el("div", { class: "chips", role: "group", "aria-label": "Feature shown" }, ...tabs) : el("p", { class: "empty" }, "The rack is empty, so nothing is coloured. Click a token to see which features fire there."),
    el("div", { class: "tokens", role: "group", "aria-label": "Tokens; press one for its strongest features" }, ...tokens),
    trace ? el("div", { class: "legend" }, el("span", {}, `−${trace.max.toFixed(2)}`), el("i", {}), el("span", {}, `${trace.max.toFixed(2)} ${trace.max_known ? "(max act)" : "(largest here)"}`)) : el("span", {}));
}
keep((given) => { view = copy(given); chosen = Math.min(chosen, Math.max(0, view.traces.length - 1)); draw(); });
