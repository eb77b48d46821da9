// What part of the map is seen. A view is { x, y, scale }: which place is in the middle, and how many
// pixels the square is wide; a frame is { view, width, height }, in CSS pixels.
const NEAREST = 0.7, FARTHEST = 400;

const toScreen = ({ view, width, height }, x, y) => [width / 2 + (x - view.x) * view.scale, height / 2 - (y - view.y) * view.scale];
const toMap = ({ view, width, height }, px, py) => [view.x + (px - width / 2) / view.scale, view.y - (py - height / 2) / view.scale];
const fitted = ({ width, height }) => 0.92 * Math.min(width, height);
const wholeMap = (frame) => ({ x: 0.5, y: 0.5, scale: fitted(frame) });

function within(frame, view) {
  const inside = (v) => Math.max(-0.1, Math.min(1.1, v)), whole = fitted(frame);
  return { x: inside(view.x), y: inside(view.y), scale: Math.max(NEAREST * whole, Math.min(FARTHEST * whole, view.scale)) };
}

// What is under the pixel stays there.
function zoomed(frame, factor, px, py) {
  const { view } = frame, [x, y] = toMap(frame, px, py), { scale } = within(frame, { ...view, scale: view.scale * factor });
  return { x: x + (view.x - x) * view.scale / scale, y: y + (view.y - y) * view.scale / scale, scale };
}

// Four fifths of some points, in half of the frame.
function viewOf(frame, points, members) {
  const sorted = (axis) => Float64Array.from(members, (at) => axis(points, at)).sort();
  const xs = sorted(xOf), ys = sorted(yOf), last = xs.length - 1;
  const spread = (each) => each[Math.floor(0.9 * last)] - each[Math.floor(0.1 * last)];
  return { x: xs[xs.length >> 1], y: ys[ys.length >> 1], scale: 0.5 * fitted(frame) / Math.max(0.01, spread(xs), spread(ys)) };
}

function isSeen(frame, points, at) {
  const [px, py] = toScreen(frame, xOf(points, at), yOf(points, at));
  return px >= 0 && py >= 0 && px <= frame.width && py <= frame.height;
}

// Points grow while the map is neared, and shrink where there are many: in pixels of the screen.
function dotSize(frame, n) {
  const fair = 0.34 * Math.sqrt(frame.width * frame.height / Math.max(1, n));
  const grown = Math.max(1.6, Math.min(7, fair)) * Math.max(1, frame.view.scale / fitted(frame)) ** 0.4;
  return Math.min(11, grown) * devicePixelRatio;
}
