// What is said of the point under the pointer.
function sayTip(tip, { each, feature, cluster, act }) {
  const about = [cluster, each?.density, act ? `activation ${act.toPrecision(3)}` : null].filter(Boolean).join(" · ");
  fill(tip, el("b", {}, each ? each.name : `#${feature}`), ` ${each ? each.label : "…"}`, el("div", { class: "about" }, about));
}

function placeTip(tip, frame, px, py) {
  tip.style.left = `${Math.min(px + 14, Math.max(0, frame.width - 260))}px`;
  tip.style.top = `${py + 16}px`;
}
