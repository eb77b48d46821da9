// A list of features, each with buttons that open it in Explore and put it into the rack.
const root = element.querySelector(".features");
const RANKS = { activation: "By activation", attribution: "By attribution" };
let rank = "activation";

function found(each) {
  const about = [each.amount, each.density, each.max].filter(Boolean).join(" · ");
  return el("div", { class: "found", "data-feature": each.feature },
    el("span", { class: "label", title: [each.label, each.source ? `label from: ${each.source}` : null].filter(Boolean).join("\n") }, `${each.name} · ${each.label}`),
    each.badge ? steersBadge(each.badge, "steers: ") : null,
    el("button", { type: "button", class: "quiet", "aria-label": `Open ${each.name}, ${each.label}, in Explore`, title: "Open in Explore", on: { click: () => trigger("open_feature", { sae: each.sae, feature: each.feature }) } }, "Explore"),
    el("button", { type: "button", class: "quiet", "aria-label": `Add ${each.name}, ${each.label}`, on: { click: () => trigger("pick_feature", { sae: each.sae, feature: each.feature }) } }, "Add"),
    about ? el("span", { class: "about" }, about) : null,
    each.ranks ? el("span", { class: "about" }, each.ranks) : null);
}

function draw(list) {
  const ranked = (list.features || []).some((each) => each.by);
  const shown = ranked ? [...list.features].sort((a, b) => b.by[rank] - a.by[rank]) : list.features || [];
  fill(root, list.title ? el("h4", {}, list.title) : null,
    ranked ? el("div", { class: "chips", role: "group", "aria-label": "Order" }, ...Object.entries(RANKS).map(([each, text]) => el("button", { type: "button", class: each === rank ? "chip chosen" : "chip", "data-rank": each, "aria-pressed": each === rank, on: { click: () => { rank = each; draw(list); root.querySelector(`[data-rank=${each}]`).focus(); } } }, text))) : null,
    list.note ? el("p", { class: "about" }, list.note) : null,
    ...shown.map(found));
}
keep(draw);
