// Mouse, fingers and keys on a canvas, told as what a person wants of the map.
// `does` has pan(dx, dy), zoom(factor, x, y), point(x, y, touch), leave(), click(x, y, touch), lasso(line, done), key(name).
const STILL = 5, STILL_TOUCH = 10;
const KEY_STEP = 60;

function listen(canvas, wantsLasso, does) {
  const down = new Map();
  let start = null, line = null, gap = 0;
  const placed = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  const pair = () => { const [[ax, ay], [bx, by]] = [...down.values()]; return { x: (ax + bx) / 2, y: (ay + by) / 2, gap: Math.hypot(ax - bx, ay - by) }; };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, placed(event));
    if (down.size === 1) {
      start = placed(event);
      line = wantsLasso() || event.shiftKey ? [start] : null;
    } else { start = null; line = null; does.lasso([], false); gap = pair().gap; }
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = placed(event);
    if (!down.has(event.pointerId)) { does.point(x, y, event.pointerType === "touch"); return; }
    const [px, py] = down.get(event.pointerId);
    if (down.size >= 2) {
      const before = pair();
      down.set(event.pointerId, [x, y]);
      const now = pair();
      does.pan(now.x - before.x, now.y - before.y);
      if (gap > 0 && now.gap > 0) does.zoom(now.gap / gap, now.x, now.y);
      gap = now.gap;
      return;
    }
    if (line) {
      const [lx, ly] = line[line.length - 1];
      if (Math.hypot(x - lx, y - ly) > 3) { line.push([x, y]); does.lasso(line, false); }
      down.set(event.pointerId, [x, y]);
      return;
    }
    if (start && Math.hypot(x - start[0], y - start[1]) <= (event.pointerType === "touch" ? STILL_TOUCH : STILL)) return;
    start = null;
    down.set(event.pointerId, [x, y]);
    does.pan(x - px, y - py);
  });
  const up = (event) => {
    if (!down.delete(event.pointerId)) return;
    const done = event.type === "pointerup";
    if (line && line.length > 2) does.lasso(line, done);
    else if (done && start) does.click(...start, event.pointerType === "touch");
    if (!done || (line && line.length <= 2)) does.lasso([], false);
    start = null;
    line = null;
    // The finger that stays goes on from where it is.
    gap = 0;
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => { if (!down.size) does.leave(); });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 30 : 1, speed = event.ctrlKey ? 0.01 : 0.0016;
    does.zoom(Math.exp(-event.deltaY * lines * speed), ...placed(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 4 * KEY_STEP : KEY_STEP;
    const keys = {
      ArrowLeft: () => does.pan(step, 0), ArrowRight: () => does.pan(-step, 0), ArrowUp: () => does.pan(0, step), ArrowDown: () => does.pan(0, -step),
      "+": () => does.zoom(1.4), "=": () => does.zoom(1.4), "-": () => does.zoom(1 / 1.4), 0: () => does.key("fit"),
      Enter: () => does.key("open"), " ": () => does.key("open"), v: () => does.key("view"),
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
    does.key("moved");
  });
}
