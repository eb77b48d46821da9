const root = element.querySelector(".badge");
keep((badge) => {
  fill(root,
    el("b", {}, badge.model || "no model yet"),
    badge.size ? el("div", { class: "about" }, badge.size) : null,
    ...(badge.saes || []).map((sae) => el("div", { class: "about", title: sae.fingerprint }, el("code", {}, sae.alias), ` ${sae.about}`)),
    ...(badge.warnings || []).map((warning) => el("p", { class: "note alarm" }, warning)));
});
