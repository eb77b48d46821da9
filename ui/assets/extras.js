// Extra panes on demand: another strength, a random direction, the same in words.
const root = element.querySelector(".extras");
const MOST = 6;
let value = copy(props.value);
const KINDS = {
  strength: { add: "Another strength", make: () => ({ kind: "strength", factor: 2 }) },
  random: { add: "Random direction", make: () => ({ kind: "random", seed: value.filter((each) => each.kind === "random").length }) },
  system: { add: "Asked in words", make: () => ({ kind: "system", text: "Talk about the Golden Gate Bridge in every answer." }) },
};

const set = keep((given) => { value = copy(given); draw(); });
const changed = () => { set(copy(value)); outdated(); trigger("change"); };

function field(pane, at) {
  if (pane.kind === "system") return el("input", { type: "text", class: "wide", value: pane.text, "aria-label": "What the model is asked in words", on: { change: (event) => { pane.text = event.target.value.trim() || pane.text; changed(); } } });
  const name = pane.kind === "strength" ? "factor" : "seed";
  return el("input", { type: "text", inputmode: "decimal", class: "number", value: pane[name], "aria-label": pane.kind === "strength" ? "Every strength times" : "Seed of the random direction",
    on: { change: (event) => {
      const n = Number(event.target.value.trim().replace(",", "."));
      const good = event.target.value.trim() !== "" && Number.isFinite(n) && (name === "factor" || (Number.isInteger(n) && n >= 0));
      if (!good) { trigger("problem", { text: `“${event.target.value}” is not a ${name === "factor" ? "number" : "whole number from 0"}; ${pane[name]} is kept.` }); event.target.value = pane[name]; return; }
      pane[name] = n; changed();
    } } });
}

function draw() {
  const titles = { strength: "every strength ×", random: "random direction, seed", system: "asked in words:" };
  fill(root, el("span", { class: "about" }, "Panes: unsteered, steered"),
    ...value.map((pane, at) => el("span", { class: "chip" }, titles[pane.kind], field(pane, at),
      el("button", { type: "button", class: "quiet", "aria-label": `Remove pane ${at + 3}`, on: { click: () => { value.splice(at, 1); draw(); changed(); } } }, "✕"))),
    ...Object.entries(KINDS).map(([kind, { add, make }]) => el("button", { type: "button", class: "chip add", disabled: value.length >= MOST, "data-kind": kind, on: { click: () => { value.push(make()); draw(); changed(); } } }, `+ ${add}`)));
}
