// A line above everything: loading, failed, or an offer with buttons.
const root = element.querySelector(".notice");
keep((notice) => {
  root.className = `notice ${notice.kind || "none"}`;
  fill(root, ...(notice.text ? [
    notice.kind === "loading" ? el("span", { class: "spinner", "aria-hidden": "true" }) : null,
    el("span", { role: notice.kind === "failed" ? "alert" : "status" }, notice.text),
    notice.offer ? el("button", { type: "button", class: "quiet strong", on: { click: () => trigger("accept") } }, notice.offer) : null,
    notice.offer ? el("button", { type: "button", class: "quiet", on: { click: () => trigger("decline") } }, "No") : null,
  ] : []));
});
