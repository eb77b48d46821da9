const root = element.querySelector(".panes-root");
const tip = el("div", { class: "tip", role: "tooltip", id: "panes-tip", hidden: true });
let view = null;
let rated = {};
let hidden = false;
let tally = {};
let written = {};
const LETTERS = "ABCDEFGHIJ";

const percent = (p) => (p >= 0.001 ? `${(100 * p).toFixed(p < 0.1 ? 1 : 0)} %` : "< 0.1 %");
const shown = (text) => (text === "" ? "(part of a character)" : JSON.stringify(text).slice(1, -1).replace(/^ /, "␣"));

function tops(title, list) {
  return el("div", {}, el("b", {}, title), ...list.map(([text, p]) => el("div", { class: "alternative" }, el("span", {}, shown(text)), el("span", {}, percent(p)))));
}

function explain(pane, index) {
  const [text, steered, logprob] = pane.tokens[index];
  const found = pane.evidence[index];
  const lines = [el("div", { class: "tip-token" }, shown(text), steered && !hidden ? el("i", {}, " steered position") : null)];
  if (hidden) lines.push(el("div", {}, `probability ${percent(Math.exp(logprob))}`));
  else if (found) {
    lines.push(el("div", {}, `unsteered ${percent(found.unsteered)} · steered ${percent(found.steered)} · KL ${found.kl.toPrecision(2)} nats`),
      el("div", { class: "columns" }, tops("Unsteered would say", found.unsteered_top), tops("Steered would say", found.steered_top)));
  } else {
    const why = view.phase === "writing" ? "; the other side when the text is done" : "; no other side has read the same text";
    lines.push(el("div", {}, `${pane.own} ${percent(Math.exp(logprob))}${why}`));
  }
  tip.replaceChildren(...lines);
}

function showTip(token) {
  if (!token) { tip.hidden = true; return; }
  explain(view.panes[Number(token.closest(".pane").dataset.at)], Number(token.dataset.at));
  tip.hidden = false;
  const box = token.getBoundingClientRect(), home = element.getBoundingClientRect();
  tip.style.left = `${Math.max(0, Math.min(box.left - home.left, home.width - tip.offsetWidth))}px`;
  tip.style.top = `${box.bottom - home.top + 4}px`;
}

element.addEventListener("pointerover", (event) => showTip(event.target.closest?.(".tok")));
element.addEventListener("pointerleave", () => showTip(null));
element.addEventListener("keydown", (event) => {
  const text = event.target.closest?.(".text");
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!text) return;
  if (event.key === "Escape" && !tip.hidden) { showTip(null); event.stopPropagation(); return; }
  if (!step) return;
  const tokens = [...text.querySelectorAll(".tok")];
  const at = tokens.findIndex((token) => token.classList.contains("current"));
  const next = tokens[Math.max(0, Math.min(tokens.length - 1, at + step))];
  tokens[at]?.classList.remove("current");
  next?.classList.add("current");
  showTip(next);
  event.preventDefault();
});
element.addEventListener("focusout", (event) => { if (event.target.closest?.(".text")) showTip(null); });

const look = (pane, at) => ["tok", pane.tokens[at][1] && !hidden ? "steered" : "", !hidden && pane.parts_at === at ? "parts" : ""].join(" ").trim();

// While a text grows its tokens stay and new ones are put behind them: hundreds are slow to remake.
function drawWritten(pane) {
  const key = `${view.run} ${hidden} ${pane.name}`;
  const old = written[pane.name];
  const made = old && old.key === key ? old : Object.assign(el("span", { class: "written" }), { key });
  // The last token is steered only when the next one is made from it.
  const before = made.childElementCount;
  for (let at = Math.max(0, before - 2); at < pane.tokens.length; at += 1) {
    if (at < before) made.children[at].className = look(pane, at);
    else made.append(el("span", { class: look(pane, at), "data-at": at }, pane.tokens[at][0]));
  }
  written[pane.name] = made;
  return made;
}

function drawPrompt(pane) {
  const tokens = pane.prompt.map(([text, steered]) => el("span", { class: steered ? "steered" : "" }, text));
  const steered = pane.prompt.filter(([, mark]) => mark).length;
  // What a hidden pane reads can tell whose it is.
  if (hidden) return view.chat ? null : el("span", { class: "prompt" }, view.prompt);
  if (!view.chat) return el("span", { class: "prompt" }, ...tokens);
  const said = pane.tone === "baseline" ? `What the model reads: ${pane.prompt.length} tokens` : `What the model reads: ${steered} of ${pane.prompt.length} tokens steered`;
  return el("details", { class: "prompt" }, el("summary", {}, said), el("span", {}, ...tokens));
}

function drawUser(text, at) {
  return el("div", { class: "user" }, el("span", {}, text),
    el("button", { type: "button", class: "quiet", title: "Edit this turn", "aria-label": `Edit turn ${at + 1}`, on: { click: () => trigger("edit_turn", { turn: at }) } }, "✎"),
    el("button", { type: "button", class: "quiet", title: "Write this turn again", "aria-label": `Regenerate turn ${at + 1}`, on: { click: () => trigger("regenerate_turn", { turn: at }) } }, "↻"));
}

function drawTurns(pane) {
  return view.turns.flatMap((turn, at) => [drawUser(turn.user, at),
    // Earlier answers were seen with their names.
    !hidden && pane.title in turn.replies ? el("div", { class: "reply" }, turn.replies[pane.title]) : null]);
}

function drawMeter(pane) {
  if (!pane.meter || hidden) return null;
  const { ratio, strong, warn } = pane.meter;
  const words = `largest ${besideStream(ratio)}${warn ? ": larger than the stream itself, the text may break" : ""}`;
  return el("div", { class: warn ? "meter warn" : "meter" },
    el("meter", { min: 0, max: 2 * strong, low: strong / 2, high: strong, optimum: 0, value: Math.min(ratio, 2 * strong), "aria-label": words }),
    el("span", {}, words));
}

function drawRating(pane, at) {
  if (!hidden) return null;
  const stars = [1, 2, 3, 4, 5].map((n) => el("button", {
    type: "button", class: rated[pane.name] === n ? "star chosen" : "star", "aria-pressed": rated[pane.name] === n, "aria-label": `Rate text ${LETTERS[at]} ${n} of 5`,
    on: { click: () => rate(pane.name, n) },
  }, String(n)));
  return el("div", { class: "rating" }, "How good is this text? ", ...stars);
}

function rate(name, stars) {
  rated[name] = stars;
  if (view.panes.every((pane) => rated[pane.name])) {
    hidden = false;
    for (const pane of view.panes) (tally[pane.title] = tally[pane.title] || []).push(rated[pane.name]);
  }
  draw();
}

function drawPane(pane, at) {
  const title = hidden ? `Text ${LETTERS[at]}` : pane.title;
  const last = view.chat ? drawUser(view.prompt, view.turns.length) : null;
  return el("section", { class: `pane ${hidden ? "blind" : pane.tone}`, "data-at": at, "data-name": hidden ? "" : pane.name, "aria-label": title },
    el("header", {}, el("h3", {}, title), el("span", { role: "status", class: "rate" }, pane.status)),
    hidden || !pane.summary.length ? null : el("ul", { class: "summary" }, ...pane.summary.map((line) => el("li", {}, line))),
    el("div", { class: "text", tabindex: 0, role: "group", "aria-label": `${title}: text. Arrow keys go from token to token.` },
      ...(view.chat ? drawTurns(pane) : []), last, drawPrompt(pane), drawWritten(pane)),
    drawMeter(pane),
    hidden || !pane.liveness ? null : el("p", { class: "liveness" }, pane.liveness),
    drawRating(pane, at),
    el("footer", {},
      el("button", { type: "button", class: "quiet", disabled: !pane.text, on: { click: () => navigator.clipboard?.writeText(pane.text) } }, "Copy"),
      el("button", { type: "button", class: "quiet", disabled: !pane.text, on: { click: () => trigger("inspect_pane", { name: pane.name, text: pane.inspect || pane.text }) } }, "Inspect"),
      el("button", { type: "button", class: "quiet", disabled: !pane.text, title: "Light up the map in Explore with this text", on: { click: () => trigger("map_pane", { text: pane.text }) } }, "Show on map")));
}

function drawIdle() {
  const pane = (title, shownAs, tone, text) => el("section", { class: `pane ${tone}`, "aria-label": shownAs },
    el("header", {}, el("h3", {}, shownAs)), el("div", { class: "text" }, ...drawTurns({ title }), el("p", { class: "empty" }, text)));
  const texts = ["What the model writes by itself appears here.",
    "Pick a preset or add a feature, write a prompt, and press Generate: both texts grow side by side, from one batched decode."];
  if (view.blind) return texts.map((text, at) => pane("", `Text ${LETTERS[at]}`, "blind", at ? "Which is which is told when you have rated both." : "Press Generate."));
  return [pane("Unsteered", "Unsteered", "baseline", texts[0]), pane("Steered", "Steered", "steered", texts[1])];
}

function draw() {
  const open = [...root.querySelectorAll("details.prompt")].map((each) => each.open);
  const means = Object.entries(tally).map(([title, marks]) => `${title} ${(marks.reduce((a, b) => a + b) / marks.length).toFixed(1)} (${marks.length})`);
  fill(root, ...[
    view.banner && !hidden ? el("div", { class: "banner alarm", role: "alert" }, view.banner) : null,
    ...(hidden ? [] : (view.notes || [])).map((note) => el("div", { class: "banner note" }, note)),
    el("p", { class: "status", role: "status" }, view.status || ""),
    view.blind && means.length && !hidden ? el("p", { class: "tally" }, `Mean rating: ${means.join(" · ")}`) : null,
    el("div", { class: "panes" }, ...(view.panes.length ? view.panes.map(drawPane) : drawIdle())),
  ], tip);
  root.querySelectorAll("details.prompt").forEach((each, at) => { each.open = !!open[at]; });
  root.dataset.phase = view.phase;
}

keep((text) => {
  const given = JSON.parse(text);
  if (!view || view.run !== given.run) { rated = {}; written = {}; root.classList.remove("outdated"); }
  view = given;
  hidden = !!view.blind && view.panes.length > 0 && !view.panes.every((pane) => rated[pane.name]);
  showTip(null);
  draw();
});
