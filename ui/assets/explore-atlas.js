// Whether there is an atlas; where there is none, the command that builds one and an offer to.
// While one is being built: how far it is, and a way to stop it.
// While it goes on the nodes stay, so that a press or the focus on the button is not lost.
const root = element.querySelector(".explore-atlas");
const words = el("span"), far = el("progress", { max: 1, "aria-label": "How far the atlas is" });
const sayHow = ({ text, share }) => {
  words.textContent = text;
  far.hidden = typeof share !== "number";
  if (!far.hidden) far.value = share;
};
keep((said) => {
  if (said.kind === "building" && root.contains(far) && !said.offer) { sayHow(said); return; }
  if (said.kind === "building") sayHow(said);
  root.className = `explore-atlas ${said.kind}`;
  fill(root,
    said.text ? el("p", { class: said.kind === "failed" ? "alarm" : "", role: said.kind === "failed" ? "alert" : "status" },
      ...(said.kind === "building" ? [el("span", { class: "spinner", "aria-hidden": "true" }), words] : [said.text])) : null,
    said.kind === "building" ? far : null,
    said.command ? el("code", { class: "command" }, said.command) : null,
    said.offer ? el("button", { type: "button", class: "quiet strong", on: { click: () => trigger("build_atlas") } }, said.offer) : null,
    said.kind === "building" ? el("button", { type: "button", class: "quiet", on: { click: (event) => { event.target.disabled = true; trigger("stop_build"); } } }, "Stop the build") : null);
});
