const root = element.querySelector(".gallery");
let asking = null;
const draw = ({ cards, picked }) => {
  fill(root, el("ul", { "aria-label": "Presets" }, ...cards.map((card) => el("li", { class: card.name === picked ? "card picked" : "card" },
    card.problem
      ? el("div", { class: "broken" }, el("b", {}, card.title), el("p", { class: "note alarm" }, card.problem))
      : el("button", { type: "button", class: "face", "aria-pressed": card.name === picked, "data-name": card.name, on: { click: () => trigger("pick", { name: card.name }) } },
        el("b", {}, card.title), el("span", { class: "about" }, card.description),
        card.example ? el("q", {}, card.example) : null),
    !card.own || card.problem ? null : asking === card.name
      ? el("div", { class: "line", role: "group", "aria-label": `Delete ${card.title}?` }, el("span", {}, "Delete this preset?"),
        el("button", { type: "button", class: "quiet alarm", on: { click: () => { asking = null; trigger("delete_preset", { name: card.name }); } } }, "Delete"),
        el("button", { type: "button", class: "quiet", on: { click: () => { asking = null; draw(props.value); } } }, "Keep"))
      : el("button", { type: "button", class: "quiet remove", title: "Delete", "aria-label": `Delete preset ${card.title}`, on: { click: () => { asking = card.name; draw(props.value); root.querySelector(".line .quiet")?.focus(); } } }, "✕")))));
};
keep(draw);
