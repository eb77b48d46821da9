// The open card's feature at five strengths, beside the unsteered text.
const root = element.querySelector(".explore-try");
let trial = null;
let typed = "";
const is = (one, other) => one && one.sae === other.sae && one.feature === other.feature;

function draw() {
  if (trial.feature === null) { fill(root); return; }
  const busy = trial.phase === "writing";
  const text = el("input", { type: "text", value: typed || trial.suggested, "aria-label": "What the model is asked while you try", on: { input: (event) => { typed = event.target.value; } } });
  const go = (event) => { event.preventDefault(); if (!busy) trigger("try_it", { sae: trial.sae, feature: trial.feature, text: text.value }); };
  fill(root, el("h4", {}, "Try it"),
    el("form", { class: "line", on: { submit: go } }, text, el("button", { type: "submit", class: "quiet strong", disabled: busy }, "Try it")),
    el("p", { class: "note", role: "status" }, trial.status),
    el("ul", { class: "cells", "aria-label": "The text at each strength" }, ...trial.cells.map((cell) => el("li", { class: cell.intervention ? "cell" : "cell unsteered" },
      el("b", {}, cell.title), el("p", {}, cell.text),
      cell.ratio === null ? null : el("small", { class: "note", title: "Largest edit beside the stream it was added to" }, besideStream(cell.ratio)),
      cell.intervention ? el("button", { type: "button", class: "quiet", "aria-label": `Add it to the rack with ${cell.title}`, on: { click: () => trigger("pick_feature", { sae: trial.sae, feature: trial.feature, intervention: cell.intervention }) } }, "Add like this") : null))));
}
keep((given) => {
  // A picture of what was tried on a card that is closed by now.
  if (given.phase !== "idle" && !is(trial, given)) return;
  trial = copy(given);
  draw();
});
