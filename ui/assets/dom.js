// Build elements with text, never with markup: tokens and labels are untrusted.
const el = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, run] of Object.entries(value)) made.addEventListener(event, run);
    else if (name.startsWith("aria-")) made.setAttribute(name, String(value));
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
};
// Like replaceChildren, which would write "null" for what is not there.
const fill = (parent, ...children) => parent.replaceChildren(...children.filter((child) => child !== null && child !== undefined));
// How well a feature steers: `text` in a tone, and the rest in the title.
const steersBadge = ({ text, tone, title }, before = "") => el("span", { class: `steers ${tone}`, title }, before + text);
// How large an edit is beside the stream that it was added to.
const besideStream = (ratio) => `‖Δ‖/‖resid‖ ${ratio.toFixed(2)}`;
const copy = (value) => JSON.parse(JSON.stringify(value));
// Redraw when the server sends another value, and not when this script set it.
const keep = (draw) => {
  let known = JSON.stringify(props.value);
  draw(props.value);
  watch("value", () => {
    const now = JSON.stringify(props.value);
    if (now === known) return;
    known = now;
    draw(props.value);
  });
  return (value) => { known = JSON.stringify(value); props.value = value; };
};
// Texts beside a slider that moved since are not what it writes.
const outdated = () => document.querySelector(".panes-root")?.classList.add("outdated");
