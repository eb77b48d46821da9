() => {
  window.playground = {
    // The last picture's link stands in the address bar, so that a reload loses nothing.
    // Where the page does not fit into a link, none is better than an older one.
    address: (told) => history.replaceState(null, "", told?.address ? linkTo(told.address) : location.pathname),
    copyLink: async (told) => {
      if (!told?.link) return;
      const link = linkTo(told.link);
      history.replaceState(null, "", link);
      try { await navigator.clipboard.writeText(link); } catch { prompt("Copy this link:", link); }
    },
    addRows: (told, rack) => told?.rows ? { ...rack, rows: [...rack.rows, ...told.rows] } : rack,
    // A feature that was named on its card is called so in the rack, and on the map, at once.
    renameRows: (told, rack) => {
      if (!told?.renamed) return rack;
      document.dispatchEvent(new CustomEvent("featurenamed", { detail: told }));
      return { ...rack, rows: rack.rows.map((row) =>
        row.name === told.renamed && !row.plain_direction ? { ...row, label: told.label } : row) };
    },
    // The server read the rack a moment ago: numbers that were changed since are kept.
    placeRows: (told, rack) => {
      if (told?.rows?.length !== rack.rows.length) return rack;
      const rows = told.rows.map((row, at) => {
        const { edit, strength, unit, enabled } = rack.rows[at].intervention;
        return { ...row, intervention: { ...row.intervention, edit, strength, unit, enabled } };
      });
      return { ...rack, rows };
    },
    download: (told) => {
      if (!told?.text) return;
      const address = URL.createObjectURL(new Blob([told.text], { type: "application/json" }));
      const anchor = Object.assign(document.createElement("a"), { href: address, download: told.file });
      anchor.click();
      URL.revokeObjectURL(address);
    },
  };
  const linkTo = (packed) => { const link = new URL(location.href); link.search = ""; link.searchParams.set("s", packed); return link.toString(); };
  const click = (id) => document.querySelector(`#${id}`)?.click();
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") { document.activeElement?.blur(); click("generate"); event.preventDefault(); }
    if (event.key === "Escape") click("stop");
  });
  // On a phone the open sidebar hides the page.
  if (innerWidth < 768) setTimeout(() => document.querySelector(".sidebar.open .toggle-button, .sidebar-parent.open .toggle-button")?.click(), 300);
}
