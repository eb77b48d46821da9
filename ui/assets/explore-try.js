// The open card's feature at five strengths, beside the unsteered text.
const root = element.querySelector(".explore-try");
let trial = null;
let typed = "";
const is = (one, other) => one && one.sae === other.sae && one.feature === other.feature;

// What is typed into and pressed stays while texts are written: a new node would lose the focus.
const busy = () => trial.phase === "writing";
const go = (event) => { event.preventDefault(); if (!busy()) trigger("try_it", { sae: trial.sae, feature: trial.feature, text: text.value }); };
const text = el("input", { type: "text", "aria-label": "What the model is asked while you try", on: { input: (event) => { typed = event.target.value; } } });
const button = el("button", { type: "submit", class: "quiet strong" }, "Try it");
const status = el("p", { class: "note", role: "status" });
const cells = el("ul", { class: "cells", "aria-label": "The text at each strength" });

function draw() {
  if (trial.feature === null) { fill(root); return; }
  if (!root.contains(cells)) fill(root, el("h4", {}, "Try it"), el("form", { class: "line", on: { submit: go } }, text, button), status, cells);
  if (!typed) text.value = trial.suggested;
  button.setAttribute("aria-disabled", String(busy()));
  status.textContent = trial.status;
  fill(cells, ...trial.cells.map((cell) => el("li", { class: cell.intervention ? "cell" : "cell unsteered" },
      el("b", {}, cell.title), el("p", {}, cell.text),
      cell.ratio === null ? null : el("small", { class: "note", title: "Largest edit beside the stream it was added to" }, besideStream(cell.ratio)),
      cell.intervention ? el("button", { type: "button", class: "quiet", "aria-label": `Add it to the rack with ${cell.title}`, on: { click: () => trigger("pick_feature", { sae: trial.sae, feature: trial.feature, intervention: cell.intervention }) } }, "Add like this") : null)));
}
keep((given) => {
  // A picture of what was tried on a card that is closed by now.
  if (given.phase !== "idle" && !is(trial, given)) return;
  trial = copy(given);
  draw();
});
