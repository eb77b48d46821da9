// One feature: figures, histogram, examples with their heat, tokens, and what lies around it.
const root = element.querySelector(".explore-card");
let card = null;
let radius = 1;
const visible = (text) => text.replace(/\n/g, "⏎").replace(/\t/g, "⇥");
const colour = (share) => `color-mix(in srgb, var(--warm) ${Math.min(100, Math.round(85 * Math.max(0, share)))}%, transparent)`;
const titled = (title, ...children) => el("section", { "aria-label": title }, el("h4", {}, title), ...children);
const folded = (title, ...children) => el("details", {}, el("summary", {}, title), ...children);

const goTry = () => { const field = document.querySelector("#explore-try input"); field?.scrollIntoView({ block: "center" }); field?.focus({ preventScroll: true }); };
const drawHead = () => el("header", {},
  el("h3", { tabindex: -1 }, card.label, " ", el("span", { class: "about" }, card.name)),
  card.badge ? steersBadge(card.badge, "steers: ") : null,
  card.neuronpedia ? el("a", { href: card.neuronpedia, target: "_blank", rel: "noopener noreferrer" }, "Neuronpedia ↗") : null,
  el("button", { type: "button", class: "quiet strong", on: { click: goTry } }, "Try it ↓"),
  el("button", { type: "button", class: "quiet strong add", on: { click: () => trigger("pick_feature", { sae: card.sae, feature: card.feature }) } }, "Add to rack"));

function drawLabels() {
  const typed = el("input", { type: "text", value: card.own, maxlength: 500, placeholder: "Your own label", "aria-label": `Your own label for ${card.name}; empty takes it away` });
  const save = (event) => { event.preventDefault(); trigger("edit_label", { sae: card.sae, feature: card.feature, text: typed.value }); };
  return el("div", { class: "labels" },
    (card.labels || []).length ? el("ul", { "aria-label": "Labels" }, ...card.labels.map((each) => el("li", {}, each.text, " ", el("span", { class: "about" }, each.score ? `${each.source}, score ${each.score}` : each.source)))) : null,
    card.writable ? el("form", { class: "line", on: { submit: save } }, typed, el("button", { type: "submit", class: "quiet strong" }, "Save label")) : null);
}

const drawFacts = () => el("dl", { class: "facts" }, ...card.facts.map(([name, figure]) => el("div", {}, el("dt", {}, name), el("dd", {}, figure))));

const drawHistogram = () => card.histogram.length ? titled("How strongly it fires",
  el("div", { class: "histogram", role: "img", "aria-label": `Histogram of its activations from ${card.histogram[0].from} to ${card.histogram.at(-1).to}` },
    ...card.histogram.map((bar) => el("span", { title: `${bar.from} to ${bar.to}: ${bar.count} tokens` }, el("i", { style: `height:${Number(bar.height)}%` })))),
  el("div", { class: "axis about" }, el("span", {}, card.histogram[0].from), el("span", {}, "activation; both scales logarithmic"), el("span", {}, card.histogram.at(-1).to))) : null;

const drawExample = (each) => el("li", {}, el("span", { class: "act about" }, each.act),
  el("span", { class: "context" }, ...each.pieces.map(([piece, share], at) => el(at === each.at ? "mark" : "span", { style: share > 0 ? `background:${colour(share)}` : null, title: share > 0 ? `${Math.round(100 * share)} % of its maximum` : null }, visible(piece)))));
const drawExamples = (list, title) => el("ul", { class: "examples", "aria-label": title }, ...list.map(drawExample));

const drawGains = (title, tokens) => tokens.length ? el("div", { class: "gains" }, el("h4", {}, title),
  el("ul", {}, ...tokens.slice(0, 10).map(([token, gain]) => el("li", {}, el("code", {}, visible(token)), el("span", { class: "about" }, gain))))) : null;

const walk = (each, about) => el("li", {},
  el("button", { type: "button", class: "walk", "data-feature": each.feature, on: { click: () => trigger("open_feature", { sae: card.sae, feature: each.feature }) } }, each.label, " ", el("span", { class: "about" }, each.name)),
  el("span", { class: "about" }, about));
const near = (each) => walk(each, `cosine ${each.cosine.toFixed(2)}${each.together ? ` · fires together ${each.together}` : ""}`);
const beside = (each) => walk(each, `beside ${each.share} of its firings · cosine ${each.cosine.toFixed(2)}${each.apart ? ": points elsewhere" : ""}`);

function drawNeighbours() {
  const lists = el("div", {}), said = el("p", { class: "about" });
  const far = el("output", { class: "about" });
  const slider = el("input", { type: "range", min: 0.1, max: 1, step: 0.05, value: radius, "aria-label": "Radius, as cosine distance" });
  const redraw = () => {
    radius = Number(slider.value);
    slider.setAttribute("aria-valuetext", `cosine distance ${radius.toFixed(2)}`);
    const { rings, beyond, features, most_together: most } = card.near;
    const inside = rings.map((ring) => ({ ...ring, neighbours: ring.neighbours.filter((each) => 1 - each.cosine <= radius + 1e-9) })).filter((ring) => ring.neighbours.length);
    const all = rings.flatMap((ring) => ring.neighbours), shown = inside.flatMap((ring) => ring.neighbours);
    const cut = beyond !== null && beyond <= radius + 1e-9;
    far.textContent = `within ${radius.toFixed(2)}: ${cut ? `more than ${all.length} of ${features} features; the nearest ${all.length} are shown` : `${shown.length} of ${features} features`}`;
    const alone = shown.filter((each) => !each.together).length;
    said.textContent = most && alone ? `${alone === shown.length ? "None of these is" : `${alone} of these ${shown.length} are not`} among the ${most} features that it was seen to fire together with most.` : "";
    fill(lists, ...(inside.length ? inside.map((ring) => el("div", { class: "ring" }, el("h5", { class: "about" }, `distance ${ring.inner} to ${ring.outer}`), el("ul", {}, ...ring.neighbours.map(near))))
      : [el("p", { class: "empty" }, all.length ? `None so near; the nearest is at ${(1 - all[0].cosine).toFixed(2)}.` : "It points the same way as no other feature.")]));
  };
  slider.addEventListener("input", redraw);
  redraw();
  return titled("Neighbours by the direction they write", el("label", { class: "line" }, el("span", { class: "about" }, "radius"), slider, far), said, lists);
}

function drawTogether() {
  const { partners, note } = card.together;
  if (!partners.length) return titled("Fires together with", el("p", { class: "empty" }, "No pair with another feature was kept: of each token only the strongest features are paired."));
  const list = (some, title) => el("ul", { class: "beside", "aria-label": title }, ...some.map(beside));
  return titled("Fires together with", el("p", { class: "about" }, note), list(partners.slice(0, 8), "Features that fire together with it"),
    partners.length > 8 ? folded(`${partners.length - 8} more`, list(partners.slice(8), "More features that fire together with it")) : null);
}

function draw() {
  if (card.feature === null) { fill(root, el("p", { class: "empty" }, "Search, and open a feature to see what it means.")); return; }
  fill(root, drawHead(), drawLabels(),
    ...(card.known ? [drawFacts(), drawHistogram(),
      card.examples.length ? titled("Where it fires most", drawExamples(card.examples.slice(0, 5), "Examples with the highest activation")) : null,
      card.examples.length > 5 ? folded(`${card.examples.length - 5} more`, drawExamples(card.examples.slice(5), "More examples")) : null,
      card.tenths.length ? folded("Samples by tenth of its range", ...card.tenths.map((tenth) => el("div", {}, el("h5", { class: "about" }, tenth.title), drawExamples(tenth.examples, `Activations from ${tenth.title}`)))) : null,
      el("div", { class: "both" }, drawGains("Makes likelier", card.promoted), drawGains("Makes less likely", card.demoted))]
      : [el("p", { class: "empty" }, "Nothing was measured of it: this SAE has no atlas with statistics yet.")]),
    drawNeighbours(),
    card.known ? drawTogether() : null);
}
const held = () => [...root.querySelectorAll("a, button, input, summary")];
keep((given) => {
  const other = !card || card.sae !== given.sae || card.feature !== given.feature;
  card = copy(given);
  if (other) radius = card.near?.radius ?? 1;
  const folds = [...root.querySelectorAll("details")].map((each) => each.open), at = held().indexOf(document.activeElement);
  draw();
  if (!other) {
    // The same card, after its label was saved: who reads on finds it as it was.
    [...root.querySelectorAll("details")].forEach((each, i) => { each.open = folds[i] ?? false; });
    held()[at]?.focus({ preventScroll: true });
    return;
  }
  if (card.feature === null) return;
  root.querySelector("h3").focus({ preventScroll: true });
  root.scrollIntoView({ block: "nearest" });
});
