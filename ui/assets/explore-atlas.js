// Whether there is an atlas; where there is none, the command that builds one and an offer to.
// While one is being built: how far it is, and a way to stop it.
const root = element.querySelector(".explore-atlas");
keep((said) => {
  root.className = `explore-atlas ${said.kind}`;
  fill(root,
    said.text ? el("p", { class: said.kind === "failed" ? "alarm" : "", role: said.kind === "failed" ? "alert" : "status" },
      said.kind === "building" ? el("span", { class: "spinner", "aria-hidden": "true" }) : null, said.text) : null,
    typeof said.share === "number" ? el("progress", { max: 1, value: said.share, "aria-label": "How far the atlas is" }) : null,
    said.command ? el("code", { class: "command" }, said.command) : null,
    said.offer ? el("button", { type: "button", class: "quiet strong", on: { click: () => trigger("build_atlas") } }, said.offer) : null,
    said.kind === "building" ? el("button", { type: "button", class: "quiet", on: { click: (event) => { event.target.disabled = true; trigger("stop_build"); } } }, "Stop the build") : null);
});
