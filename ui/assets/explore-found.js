// The table of features that were found.
const root = element.querySelector(".explore-found");

const spark = (row) => el("span", { class: "spark", role: "img", title: "How often each strength was seen, from the weakest on the left to the strongest; log scales",
  "aria-label": row.density === null ? "density unknown" : `fires on ${row.density} of tokens` },
  ...row.spark.map((height) => el("i", { style: `height:${Number(height)}%` })));
const badge = (row) => row.badge ? steersBadge(row.badge) : el("span", { class: "about", title: "steer atlas score measures it" }, "–");

function drawRow(row) {
  const name = `${row.name}, ${row.label}`;
  return el("tr", { "data-feature": row.feature },
    el("th", { scope: "row" },
      el("button", { type: "button", class: "walk", "aria-label": `Open the card of ${name}`, on: { click: () => trigger("open_feature", { sae: row.sae, feature: row.feature }) } },
        el("b", {}, row.label), el("span", { class: "about" }, row.name)),
      row.why ? el("div", { class: "about why" }, row.why) : null),
    el("td", { class: "number", title: row.source ? `from: ${row.source}` : "" }, row.score ?? "–"),
    el("td", { class: "density" }, spark(row), el("span", { class: "about" }, row.density ?? "–")),
    el("td", {}, badge(row)),
    el("td", {}, el("button", { type: "button", class: "quiet strong", title: row.amount ? `as ${row.amount}` : "", "aria-label": `Add ${name} to the rack${row.amount ? `, ${row.amount}` : ""}`,
      on: { click: () => trigger("pick_feature", { sae: row.sae, feature: row.feature, intervention: row.intervention }) } }, "Add"), row.amount ? el("div", { class: "about" }, row.amount) : null));
}

const drawGroup = (group) => el("table", {},
  group.title ? el("caption", {}, group.title) : null,
  el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Feature"), el("th", { scope: "col", title: "How good the label is, as its source says" }, "Score"), el("th", { scope: "col", title: "On how many tokens it fires" }, "Density"), el("th", { scope: "col", title: "How much it moves what the model writes, among all features that were scored" }, "Steers"), el("th", { scope: "col" }, el("span", { class: "hidden-text" }, "Add to rack")))),
  el("tbody", {}, ...group.rows.map(drawRow)));

keep((table) => {
  fill(root,
    el("p", { class: "empty", role: "status" }, table.title),
    ...table.groups.map(drawGroup));
});
