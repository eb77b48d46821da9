const EDITS = ["add", "clamp", "floor", "cap", "scale", "ablate"];
const UNITS = { max_act: "× max", norm: "× norm", raw: "raw" };
const NEUTRAL = { add: 0, scale: 1 };
const root = element.querySelector(".rack");
let value = copy(props.value);
const set = keep((given) => { value = copy(given); draw(); });
const changed = () => { set(copy(value)); outdated(); trigger("change"); };

const number = (n) => String(Number(n.toPrecision(6)));
const reach = (row) => row.reach[row.intervention.unit || "factor"];

function note(row) {
  const edit = row.intervention;
  if (edit.edit === "clamp" && edit.strength === 0) return "clamp at 0 is an ablation";
  if (!edit.enabled) return "off";
  if (NEUTRAL[edit.edit] === edit.strength) return "neutral: changes nothing";
  return "";
}

function changeEdit(row, edit) {
  const now = row.intervention;
  if (now.edit !== "ablate") row.last = { ...row.last, [now.edit === "scale" ? "factor" : "amount"]: [now.strength, now.unit] };
  now.edit = edit;
  const before = (row.last || {})[edit === "scale" ? "factor" : "amount"];
  if (edit === "ablate") { now.strength = null; now.unit = null; }
  else if (edit === "scale") { now.strength = before ? before[0] : 1; now.unit = null; }
  else if (before) { [now.strength, now.unit] = before; }
  else if (row.max === null) { now.strength = 0.5; now.unit = "norm"; }
  else { now.strength = 1; now.unit = "max_act"; }
}

function drawRow(row, index) {
  const edit = row.intervention;
  const name = `${row.name}, ${row.label}`;
  const [far, step] = reach(row);
  const mark = el("p", { class: "note", role: "status" });
  const slider = edit.strength === null ? null : el("input", {
    type: "range", class: "slider", min: -far, max: far, step, value: edit.strength, list: "rack-zero",
    "aria-label": `Strength of ${name}`, title: "Double-click for neutral",
  });
  const box = edit.strength === null ? null : el("input", {
    type: "text", inputmode: "decimal", class: "number", value: number(edit.strength),
    "aria-label": `Strength of ${name}, as a number`,
  });
  const say = (text, alarm) => { mark.textContent = text; mark.classList.toggle("alarm", !!alarm); };
  const strength = (n) => {
    edit.strength = n;
    slider.value = n;
    slider.setAttribute("aria-valuetext", `${number(n)} ${UNITS[edit.unit] || "times"}`);
    box.value = number(n);
    say(note(row));
  };
  if (slider) {
    slider.addEventListener("input", () => strength(Number(slider.value)));
    slider.addEventListener("change", changed);
    slider.addEventListener("dblclick", () => { neutral(row); draw(); changed(); });
    box.addEventListener("change", () => {
      const typed = box.value.trim().replace(",", ".");
      if (typed === "" || !Number.isFinite(Number(typed))) {
        trigger("problem", { text: `The strength “${box.value}” is not a number. Write one such as 2.5 or -3; ${number(edit.strength)} is kept.` });
        box.value = number(edit.strength);
        return;
      }
      strength(Number(typed));
      changed();
    });
  }
  const enabled = el("input", { type: "checkbox", "aria-label": `Enable ${name}`, on: { change: (event) => { edit.enabled = event.target.checked; say(note(row)); item.classList.toggle("off", !edit.enabled); changed(); } } });
  enabled.checked = edit.enabled;
  const edits = el("select", { "aria-label": `Edit of ${name}`, disabled: row.plain_direction, on: { change: (event) => { changeEdit(row, event.target.value); draw(); focus(index, ".edit"); changed(); } }, class: "edit" },
    ...EDITS.map((each) => el("option", { value: each, selected: each === edit.edit }, each)));
  const units = edit.unit === null ? null : el("select", { class: "unit", "aria-label": `Unit of ${name}` },
    ...Object.entries(UNITS).map(([each, shown]) => el("option", { value: each, selected: each === edit.unit }, shown)));
  if (units) units.addEventListener("change", async () => {
    const before = edit.unit;
    let answer;
    try { answer = await server.convert({ intervention: edit, unit: units.value }); } catch { answer = { problem: "The server did not answer. Try again." }; }
    if (!value.rows.includes(row)) return;  // Another rack came meanwhile.
    if (answer.problem) { trigger("problem", { text: answer.problem }); units.value = before; return; }
    Object.assign(row, answer.row);
    draw(); focus(index, ".unit"); changed();
  });
  const item = el("li", { class: edit.enabled ? "row" : "row off" },
    el("div", { class: "line" }, enabled,
      el("span", { class: "label", title: row.label }, row.label),
      el("button", { type: "button", class: "quiet", "aria-label": `Remove ${name}`, title: "Remove", on: { click: () => { value.rows.splice(index, 1); draw(); changed(); } } }, "✕")),
    slider ? el("div", { class: "line" }, slider, box, units) : null,
    el("div", { class: "line small" }, edits,
      el("span", { class: "about", title: row.max_source ? `from: ${row.max_source}` : "" }, [row.name, row.max, row.where].filter(Boolean).join(" · "))),
    mark);
  if (slider) slider.setAttribute("aria-valuetext", `${number(edit.strength)} ${UNITS[edit.unit] || "times"}`);
  say(note(row));
  return item;
}

function neutral(row) {
  const edit = row.intervention;
  if (edit.edit in NEUTRAL) edit.strength = NEUTRAL[edit.edit];
  else edit.enabled = false;
}

function focus(index, part) { root.querySelectorAll(".row")[index]?.querySelector(part)?.focus(); }

function draw() {
  const on = el("input", { type: "checkbox", role: "switch", id: "rack-on", on: { change: (event) => { value.on = event.target.checked; draw(); changed(); root.querySelector("#rack-on").focus(); } } });
  on.checked = value.on;
  const some = value.rows.length > 0;
  root.classList.toggle("all-off", !value.on);
  fill(root,
    el("div", { class: "line head" },
      el("label", { class: "switch" }, on, value.on ? "Steering on" : "Steering off (values kept)"),
      el("button", { type: "button", class: "quiet", disabled: !some, title: "add to 0, scale to 1, the others off", on: { click: () => { value.rows.forEach(neutral); draw(); changed(); } } }, "All neutral"),
      el("button", { type: "button", class: "quiet", disabled: !some, on: { click: () => { value.rows = []; draw(); changed(); } } }, "Clear")),
    el("ul", { "aria-label": "Steered features" }, ...value.rows.map(drawRow)),
    some ? null : el("p", { class: "empty" }, "No features yet. Pick a preset, or add a feature."),
    el("datalist", { id: "rack-zero" }, el("option", { value: "0" })));
}
