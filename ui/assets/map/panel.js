// The list beside the map: what a text lights up, or the group that was chosen.
// `does` has open(feature), add(feature), addAll(features), over(feature or null), close().
const MOST_LISTED = 200;

function featureRow(each, does) {
  const about = [each.amount, each.density, each.max].filter(Boolean).join(" · ");
  const row = el("li", { class: "map-row", "data-feature": each.feature },
    el("button", { type: "button", class: "map-open", title: each.label || "", "aria-label": `Open ${each.name}, ${each.label || "no label yet"}`, on: { click: () => does.open(each.feature) } },
      el("b", {}, each.name), ` ${each.label || "…"}`),
    each.badge ? steersBadge(each.badge, "steers: ") : null,
    about ? el("span", { class: "about" }, about) : null,
    el("button", { type: "button", class: "quiet", "aria-label": `Add ${each.name}, ${each.label || "no label"}`, on: { click: () => does.add(each.feature) } }, "Add"));
  for (const event of ["pointerenter", "focusin"]) row.addEventListener(event, () => does.over(each.feature));
  for (const event of ["pointerleave", "focusout"]) row.addEventListener(event, () => does.over(null));
  return row;
}

function drawPanel(panel, list, does) {
  if (!list) {
    fill(panel, el("p", { class: "empty" }, "Light the map up with a text, or choose a group: Lasso (or Shift and drag), a cluster, or what is in view. Its features are listed here."));
    return;
  }
  const left = list.count - list.features.length;
  fill(panel,
    el("div", { class: "line head" }, el("h4", {}, list.title),
      list.group ? el("button", { type: "button", class: "quiet strong", disabled: !list.features.length, on: { click: () => does.addAll(list.features.map((each) => each.feature)) } }, left > 0 ? `Add these ${list.features.length}` : "Add all") : null,
      list.group ? el("button", { type: "button", class: "quiet", "aria-label": "Close the group", on: { click: does.close } }, "✕") : null),
    el("ul", { "aria-label": list.title }, ...list.features.map((each) => featureRow(each, does))),
    left > 0 ? el("p", { class: "about" }, `and ${left.toLocaleString("en")} more${list.group ? "; choose a smaller group to see them" : ""}`) : null);
}

// Scrolls the list and never the page: on a phone the list stands below the map.
function markRow(panel, feature) {
  const list = panel.querySelector("ul");
  for (const row of panel.querySelectorAll(".map-row")) {
    const here = feature !== null && row.dataset.feature === String(feature);
    if (here) {
      const above = row.offsetTop - list.offsetTop - list.scrollTop, below = above + row.offsetHeight - list.clientHeight;
      if (above < 0) list.scrollTop += above;
      else if (below > 0) list.scrollTop += below;
    }
    row.classList.toggle("current", here);
  }
}
