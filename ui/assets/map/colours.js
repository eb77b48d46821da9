// What the colours of the points say: a colour for each point, and a legend in the same colours.
const DENSITY = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const HEAT = [[251, 191, 36], [249, 115, 22], [220, 38, 38]];
const DIM = { light: [148, 163, 184], dark: [100, 116, 139] };

function between(stops, share) {
  const place = Math.max(0, Math.min(1, share)) * (stops.length - 1), low = Math.min(stops.length - 2, Math.floor(place));
  return stops[low].map((one, i) => Math.round(one + (stops[low + 1][i] - one) * (place - low)));
}

// Hues a golden angle apart, so that neighbours in number are far in hue.
function clusterColour(cluster, dark) {
  const hue = (cluster * 137.508) % 360, light = (dark ? 62 : 46) + 8 * ((cluster % 3) - 1);
  return hslToRgb(hue, 62, light);
}

function hslToRgb(h, s, l) {
  const a = (s / 100) * Math.min(l / 100, 1 - l / 100);
  const channel = (n) => { const k = (n + h / 30) % 12; return Math.round(255 * (l / 100 - a * Math.max(-1, Math.min(k - 3, 9 - k, 1)))); };
  return [channel(0), channel(8), channel(4)];
}

// Red, green, blue and alpha of every point: one colour for each cluster or each level of density.
function coloursOf(points, mode, dark) {
  const alpha = mode === "activation" ? 90 : 215, colours = new Uint8Array(4 * points.n), whole = new Uint32Array(colours.buffer);
  const packed = (colour) => new Uint32Array(new Uint8Array([...colour, alpha]).buffer)[0];
  if (mode === "activation") whole.fill(packed(dark ? DIM.dark : DIM.light));
  else if (mode === "density") {
    const table = Uint32Array.from({ length: 256 }, (_, level) => packed(between(DENSITY, (dark ? 0.2 : 0) + (dark ? 0.8 : 0.9) * level / 255)));
    for (let at = 0; at < points.n; at++) whole[at] = table[points.densities[at]];
  } else {
    const table = new Uint32Array(65536);
    for (let at = 0; at < points.n; at++) whole[at] = table[points.clusters[at]] ||= packed(clusterColour(points.clusters[at], dark));
  }
  return colours;
}

const heatColour = (share) => between(HEAT, share);
const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;
const percent = (share) => `${Number((100 * share).toPrecision(2))} %`;

function legendOf(points, { mode, lit, dark, clusters }) {
  const bar = (stops, from, to, about) => el("div", { class: "map-legend" },
    el("span", {}, from), el("i", { style: `background:linear-gradient(90deg,${stops.map(css).join(",")})` }), el("span", {}, to), el("span", { class: "about" }, about));
  if (mode === "density") {
    const stops = [0, 0.25, 0.5, 0.75, 1].map((share) => between(DENSITY, (dark ? 0.2 : 0) + (dark ? 0.8 : 0.9) * share));
    return bar(stops, percent(points.densityRange[0]), percent(points.densityRange[1]), "of tokens fire it (logarithmic)");
  }
  if (mode === "activation") {
    if (!lit) return el("p", { class: "empty" }, "Light the map up with a text first: write one above, or press “Show on map” in Inspect or under a text in Steer.");
    return bar(HEAT, "0", Number(lit.highest.toPrecision(3)).toString(), "highest activation on the text; grey: off");
  }
  return el("p", { class: "about" }, `${clusters} clusters, each in a colour of its own; names stand where there is room, and in the list above.`);
}
