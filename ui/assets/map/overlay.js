// What stands over the points: names of clusters, rings, the lasso, and where the keyboard is.
// A frame is { view, width, height } in CSS pixels.
const MOST_NAMES = 60;

const toScreen = ({ view, width, height }, x, y) => [width / 2 + (x - view.x) * view.scale, height / 2 - (y - view.y) * view.scale];
const toMap = ({ view, width, height }, px, py) => [view.x + (px - width / 2) / view.scale, view.y - (py - height / 2) / view.scale];

// Where each named cluster lies, the largest first.
function clusterPlaces(points) {
  const own = new Map();
  for (let at = 0; at < points.n; at++) {
    const cluster = points.clusters[at];
    if (!own.has(cluster)) own.set(cluster, { cluster, name: points.names[cluster], count: 0, x: 0, y: 0, members: [] });
    const place = own.get(cluster);
    place.count++;
    place.x += xOf(points, at);
    place.y += yOf(points, at);
    place.members.push(at);
  }
  return [...own.values()].map((each) => ({ ...each, x: each.x / each.count, y: each.y / each.count })).sort((a, b) => b.count - a.count);
}

function drawNames(context, frame, places, ink, halo) {
  const taken = [];
  context.font = "600 12px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 4;
  context.lineJoin = "round";
  for (const place of places) {
    if (taken.length >= MOST_NAMES) break;
    if (!place.name) continue;
    const [middle, y] = toScreen(frame, place.x, place.y), half = context.measureText(place.name).width / 2 + 6;
    if (middle < 0 || y < 0 || middle > frame.width || y > frame.height) continue;
    const x = Math.max(half, Math.min(frame.width - half, middle));
    const box = [x - half, y - 11, x + half, y + 11];
    if (taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) continue;
    taken.push(box);
    context.strokeStyle = halo;
    context.strokeText(place.name, x, y);
    context.fillStyle = ink;
    context.fillText(place.name, x, y);
  }
}

function drawOverlay(canvas, frame, { points, places, named, rings, line, cross, ink, halo, accent }) {
  const context = canvas.getContext("2d"), ratio = canvas.width / frame.width;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, frame.width, frame.height);
  if (named) drawNames(context, frame, places, ink, halo);
  context.lineWidth = 2;
  for (const [at, radius] of rings) {
    const [x, y] = toScreen(frame, xOf(points, at), yOf(points, at));
    for (const [width, colour] of [[4, halo], [2, ink]]) {
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.stroke();
    }
  }
  if (line.length > 1) {
    context.beginPath();
    line.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](...toScreen(frame, x, y)));
    context.closePath();
    context.lineWidth = 2;
    context.strokeStyle = accent;
    context.setLineDash([5, 4]);
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 0.12;
    context.fillStyle = accent;
    context.fill();
    context.globalAlpha = 1;
  }
  if (cross) {
    const x = frame.width / 2, y = frame.height / 2;
    context.lineWidth = 1.5;
    context.strokeStyle = accent;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { context.moveTo(x + 4 * dx, y + 4 * dy); context.lineTo(x + 12 * dx, y + 12 * dy); }
    context.stroke();
  }
}
