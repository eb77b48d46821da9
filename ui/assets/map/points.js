// The points of a map and what lies where. The map is a square from 0 to 1, y upwards.
const CELLS = 256;

const bytesOf = (text) => {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let at = 0; at < raw.length; at++) bytes[at] = raw.charCodeAt(at);
  return bytes.buffer;
};

// Side by side: features, x, y, clusters, densities, as `ui.map` packs them. Nothing here is an
// object of its own for each point, and what lies where is sorted when somebody first asks.
function unpackPoints(told) {
  const n = told.count, bytes = bytesOf(told.points);
  let grid = null;
  const points = {
    n,
    sae: told.sae,
    features: new Uint32Array(bytes, 0, n),
    places: new Uint16Array(bytes, 4 * n, 2 * n),
    clusters: new Uint16Array(bytes, 8 * n, n),
    densities: new Uint8Array(bytes, 10 * n, n),
    densityRange: told.densities,
    names: told.names,
    get grid() { return grid ??= gridOf(points); },
  };
  return points;
}

// Which point is a feature's, -1 where it has none; features come in ascending order.
function placeOf(points, feature) {
  let low = 0, high = points.n;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points.features[middle] < feature) low = middle + 1; else high = middle;
  }
  return low < points.n && points.features[low] === feature ? low : -1;
}

const xOf = (points, at) => points.places[2 * at] / 65535;
const yOf = (points, at) => points.places[2 * at + 1] / 65535;
const cellOf = (points, at) => (points.places[2 * at] >> 8) + CELLS * (points.places[2 * at + 1] >> 8);

// Points sorted by cell: what lies near is found without a look at all of them.
function gridOf(points) {
  const starts = new Uint32Array(CELLS * CELLS + 1), order = new Uint32Array(points.n);
  for (let at = 0; at < points.n; at++) starts[cellOf(points, at) + 1]++;
  for (let cell = 0; cell < CELLS * CELLS; cell++) starts[cell + 1] += starts[cell];
  const next = starts.slice();
  for (let at = 0; at < points.n; at++) order[next[cellOf(points, at)]++] = at;
  return { starts, order };
}

function inBox(points, x0, y0, x1, y1) {
  const { starts, order } = points.grid, found = [], cell = (v) => Math.min(CELLS - 1, Math.max(0, Math.floor(v * 65535 / 256)));
  for (let row = cell(y0); row <= cell(y1); row++) {
    const from = starts[cell(x0) + CELLS * row], to = starts[cell(x1) + CELLS * row + 1];
    for (let place = from; place < to; place++) {
      const at = order[place], x = xOf(points, at), y = yOf(points, at);
      if (x >= x0 && x <= x1 && y >= y0 && y <= y1) found.push(at);
    }
  }
  return found;
}

// The nearest point within a radius, -1 where there is none.
function nearestPoint(points, x, y, radius) {
  let best = -1, least = radius * radius;
  for (const at of inBox(points, x - radius, y - radius, x + radius, y + radius)) {
    const d = (xOf(points, at) - x) ** 2 + (yOf(points, at) - y) ** 2;
    if (d <= least) { best = at; least = d; }
  }
  return best;
}

// The points inside a closed line of [x, y] corners, by the even-odd rule.
function inLasso(points, line) {
  const xs = line.map(([x]) => x), ys = line.map(([, y]) => y);
  const near = inBox(points, Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys));
  return near.filter((at) => {
    const x = xOf(points, at), y = yOf(points, at);
    let inside = false;
    for (let i = 0, j = line.length - 1; i < line.length; j = i++) {
      if ((ys[i] > y) !== (ys[j] > y) && x < (xs[j] - xs[i]) * (y - ys[i]) / (ys[j] - ys[i]) + xs[i]) inside = !inside;
    }
    return inside;
  });
}
