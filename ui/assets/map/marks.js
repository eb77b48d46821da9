// What stands out of the points: drawn after them and larger.
// A text's own are weakest first, so that the strongest lie on top; a group follows.
const MARK_ALPHA = 240;

function marksOf(points, { lit, group, dark }) {
  const own = lit ? lit.places.length : 0, n = own + (group ? group.members.length : 0);
  const where = new Uint16Array(2 * n), colours = new Uint8Array(4 * n), sizes = new Float32Array(n);
  const put = (i, at, [r, g, b], size) => {
    where[2 * i] = points.places[2 * at];
    where[2 * i + 1] = points.places[2 * at + 1];
    colours[4 * i] = r; colours[4 * i + 1] = g; colours[4 * i + 2] = b; colours[4 * i + 3] = MARK_ALPHA;
    sizes[i] = size * devicePixelRatio;
  };
  for (let i = 0; i < own; i++) {
    const much = Math.sqrt(lit.shares[i]);
    put(i, lit.places[i], heatColour(much), 4 + 9 * much);
  }
  const edge = dark ? [255, 255, 255] : [15, 23, 42];
  for (let i = own; i < n; i++) put(i, group.members[i - own], edge, 4);
  return { where, colours, sizes };
}

// What a text lights up, as `ui.map` tells it (strongest first), on these points.
function litOn(points, given) {
  if (!given || given.sae !== points.sae) return null;
  const features = new Uint32Array(bytesOf(given.features)), acts = new Float32Array(bytesOf(given.acts));
  const lit = { highest: given.highest, acts: new Map(), list: { title: given.title, count: given.count, features: given.list } };
  const places = [], shares = [];
  for (let i = features.length - 1; i >= 0; i--) {
    lit.acts.set(features[i], acts[i]);
    const at = placeOf(points, features[i]);
    if (at >= 0) { places.push(at); shares.push(acts[i] / given.highest); }
  }
  return { ...lit, places, shares };
}

// The first so many features of some points, the most active on the text before the others.
function foremost(points, members, lit, most) {
  if (!lit) return Array.from(members.slice(0, most), (at) => points.features[at]);
  const act = (feature) => lit.acts.get(feature) || 0;
  return Array.from(members, (at) => points.features[at]).sort((a, b) => act(b) - act(a)).slice(0, most);
}
