// The two canvases in their frame: the points, and over them what is drawn anew more often.
const ABOUT_MAP = "Map of the features. Arrows move it, plus and minus zoom, 0 shows all, Enter opens the feature in the middle, V lists what is in view.";

// `seen()` is what is to be drawn: { points, places, view, rings, line, cross }; the points are
// painted only where they or the view changed, since a graphics card played by the browser takes
// long for them, and a ring under the pointer must not wait for that.
function newStage(seen) {
  const over = el("canvas", { class: "map-over", tabindex: 0, role: "application", "aria-label": ABOUT_MAP });
  const tip = el("div", { class: "tip map-tip", hidden: true });
  const box = el("div", { class: "map-stage" }, over, tip), names = newNames();
  let painter = null, inks = null, stale = true, width = 0, height = 0;

  const sized = (canvas) => {
    canvas.width = Math.round(width * devicePixelRatio);
    canvas.height = Math.round(height * devicePixelRatio);
  };
  const inksHere = () => {
    const style = getComputedStyle(box);
    return { ink: style.color, halo: style.getPropertyValue("--body-background-fill") || "white", accent: style.getPropertyValue("--primary-500") || "blue" };
  };
  const draw = (moving) => {
    const { points, places, view, rings, line, cross } = seen();
    if (!points || !painter || !width) return;
    const frame = { view, width, height }, share = moving ? pacer.share() : 1;
    if (moving || stale) {
      painter.draw({ ...view, scale: view.scale * devicePixelRatio }, dotSize(frame, points.n), share);
      stale = moving;
      box.dataset.drawn = Math.ceil(share * points.n);
    }
    drawOverlay(over, frame, { points, places, names, rings, line, cross, inks: inks ??= inksHere() });
  };
  const pacer = newPacer(draw);
  const repaint = () => { stale = true; pacer.still(); };

  const newCanvas = () => el("canvas", { class: "map-points", "aria-hidden": "true" });
  // The browser may take a graphics card away, and give it back: `again` fills a new painter.
  const start = (again) => {
    box.querySelector(".map-points")?.remove();
    let canvas = newCanvas();
    painter = webglPainter(canvas);
    if (painter) {
      canvas.addEventListener("webglcontextlost", (event) => { event.preventDefault(); painter = null; });
      canvas.addEventListener("webglcontextrestored", () => { start(again); again(); });
    } else {
      canvas = newCanvas();
      painter = canvasPainter(canvas);
    }
    sized(canvas);
    box.prepend(canvas);
  };
  return {
    box, over, tip, start, repaint,
    kind: () => painter?.kind,
    points: (points) => { pacer.of(points.n); painter?.points(points.places); repaint(); },
    colours: (colours) => { painter?.colours(colours); repaint(); },
    marked: ({ where, colours, sizes }) => { painter?.marked(where, colours, sizes); repaint(); },
    moved: pacer.move,
    retouch: pacer.still,
    rethemed: () => { inks = null; repaint(); },
    frame: () => ({ view: seen().view, width, height }),
    resize: () => {
      // In a closed tab it has no size, and keeps the one it had.
      if (!box.clientWidth) return;
      [width, height] = [box.clientWidth, box.clientHeight];
      for (const canvas of box.querySelectorAll("canvas")) sized(canvas);
      repaint();
    },
  };
}
