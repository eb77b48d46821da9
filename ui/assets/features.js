// A short list of features, each with a button that puts it into the rack.
const root = element.querySelector(".features");
keep((list) => {
  fill(root, ...(list.title ? [el("h4", {}, list.title)] : []),
    ...(list.features || []).map((each) => el("div", { class: "found" },
      el("span", { class: "label", title: each.label }, `${each.name} · ${each.label}`),
      each.amount ? el("span", { class: "about" }, each.amount) : null,
      el("button", { type: "button", class: "quiet", "aria-label": `Add ${each.name}, ${each.label}`, on: { click: () => trigger("pick_feature", { sae: each.sae, feature: each.feature }) } }, "Add"))));
});
