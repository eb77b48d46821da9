// What stands over the points: names of clusters, rings, the lasso, and where the keyboard is.
const MOST_NAMES = 60;
const NAME_TALL = 22;

// To write a name with its halo costs more than all else in a frame, so each is written once and
// then copied. Another theme or another screen has other inks.
function newNames() {
  let kept = new Map(), written = "";
  const write = (name, { ink, halo }, ratio) => {
    const picture = document.createElement("canvas"), context = picture.getContext("2d"), font = "600 12px system-ui, sans-serif";
    context.font = font;
    const wide = Math.ceil(context.measureText(name).width) + 12;
    picture.width = Math.ceil(wide * ratio);
    picture.height = Math.ceil(NAME_TALL * ratio);
    context.scale(ratio, ratio);
    Object.assign(context, { font, textAlign: "center", textBaseline: "middle", lineWidth: 4, lineJoin: "round", strokeStyle: halo, fillStyle: ink });
    context.strokeText(name, wide / 2, NAME_TALL / 2);
    context.fillText(name, wide / 2, NAME_TALL / 2);
    return { picture, wide };
  };
  return (name, inks, ratio) => {
    const how = `${inks.ink} ${inks.halo} ${ratio}`;
    if (how !== written) { kept = new Map(); written = how; }
    if (!kept.has(name)) kept.set(name, write(name, inks, ratio));
    return kept.get(name);
  };
}

function drawNames(context, frame, ratio, places, names, inks) {
  const taken = [];
  for (const place of places) {
    if (taken.length >= MOST_NAMES) break;
    if (!place.name) continue;
    const [middle, y] = toScreen(frame, place.x, place.y);
    if (middle < 0 || y < 0 || middle > frame.width || y > frame.height) continue;
    const { picture, wide } = names(place.name, inks, ratio), half = wide / 2;
    const x = Math.max(half, Math.min(frame.width - half, middle));
    const box = [x - half, y - NAME_TALL / 2, x + half, y + NAME_TALL / 2];
    if (taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) continue;
    taken.push(box);
    // Between two pixels of the screen it would blur.
    const whole = (v) => Math.round(v * ratio) / ratio;
    context.drawImage(picture, whole(box[0]), whole(box[1]), picture.width / ratio, picture.height / ratio);
  }
}

// `inks` are { ink, halo, accent }; a ring is [point, radius]; the line's corners are places.
function drawOverlay(canvas, frame, { points, places, names, rings, line, cross, inks }) {
  const { ink, halo, accent } = inks, context = canvas.getContext("2d"), ratio = canvas.width / frame.width;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, frame.width, frame.height);
  drawNames(context, frame, ratio, places, names, inks);
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
