// Questions to try; a click writes one into the prompt.
const root = element.querySelector(".chips");
keep((questions) => {
  fill(root, ...questions.map((text) => el("button", { type: "button", class: "chip", on: { click: () => trigger("choose", { text }) } }, text)));
});
