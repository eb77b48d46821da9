// How many of the points a frame draws while the map moves: as many as it has time for here.
// A frame's time is measured from one to the next, since a graphics card works behind the script.
const SMOOTH = 20, SLOW = 28;
const AT_FIRST = 20000, FEWEST = 8000;

// The count after a frame that drew `drawn` of `n` points and took so many milliseconds.
function paced(drawn, took, n) {
  if (took > SLOW) return Math.min(n, Math.max(FEWEST, Math.round(drawn * Math.max(0.5, SMOOTH / took))));
  if (took < SMOOTH) return Math.min(n, Math.round(1.5 * drawn));
  return drawn;
}

// Calls `draw(moving)` once for each frame that somebody asked for, and once more at rest.
// It comes to rest after both a while and a few idle frames: where a frame takes long, a while alone
// is over before the next turn of the wheel has been heard.
const RESTS = 160, IDLE = 3;

function newPacer(draw) {
  let n = 0, drawn = AT_FIRST, running = false, wanted = false, moving = false;
  let moved = 0, idle = 0, before = null;
  const tick = (now) => {
    if (before !== null && moving) drawn = paced(drawn, now - before, n);
    before = null;
    idle = wanted ? 0 : idle + 1;
    if (moving && idle >= IDLE && now - moved > RESTS) { moving = false; wanted = true; }
    if (wanted) {
      wanted = false;
      draw(moving);
      if (moving) before = now;
    }
    running = moving || wanted;
    if (running) requestAnimationFrame(tick);
  };
  const run = () => { if (!running) { running = true; requestAnimationFrame(tick); } };
  return {
    of: (count) => { n = count; drawn = Math.min(n, AT_FIRST); },
    share: () => (n ? Math.min(1, drawn / n) : 1),
    still: () => { wanted = true; run(); },
    move: () => { moving = true; moved = performance.now(); wanted = true; run(); },
  };
}
