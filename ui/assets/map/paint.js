// Two painters of the same points: WebGL, and a plain canvas where a browser has none.
// A view is { x, y, scale }: which place is in the middle, and how many pixels the square is wide.
// A share below 1 draws the first of the points only: features are in no order on the plane.
const VERTEX = `
attribute vec2 place; attribute vec4 colour; attribute float size;
uniform vec2 stretch, shift; uniform float least;
varying vec4 ink;
void main() { gl_Position = vec4(place * stretch + shift, 0.0, 1.0); gl_PointSize = max(least, size); ink = colour; }`;
const FRAGMENT = `
precision mediump float; varying vec4 ink;
void main() {
  vec2 away = gl_PointCoord - 0.5;
  if (dot(away, away) > 0.25) discard;
  gl_FragColor = vec4(ink.rgb * ink.a, ink.a);
}`;

function webglPainter(canvas) {
  const options = { antialias: false, depth: false, powerPreference: "low-power" };
  const gl = canvas.getContext("webgl", options);
  if (!gl) return null;
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const at = Object.fromEntries(["place", "colour", "size"].map((name) => [name, gl.getAttribLocation(program, name)]));
  const uniform = Object.fromEntries(["stretch", "shift", "least"].map((name) => [name, gl.getUniformLocation(program, name)]));
  const layer = () => ({ n: 0, places: gl.createBuffer(), colours: gl.createBuffer(), sizes: null });
  const base = layer(), top = { ...layer(), sizes: gl.createBuffer() };
  const send = (buffer, data) => { gl.bindBuffer(gl.ARRAY_BUFFER, buffer); gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW); };
  const use = (name, buffer, width, kind, normalised) => { gl.bindBuffer(gl.ARRAY_BUFFER, buffer); gl.enableVertexAttribArray(at[name]); gl.vertexAttribPointer(at[name], width, kind, normalised, 0, 0); };
  const drawLayer = (each, least, share) => {
    if (!each.n) return;
    use("place", each.places, 2, gl.UNSIGNED_SHORT, true);
    use("colour", each.colours, 4, gl.UNSIGNED_BYTE, true);
    if (each.sizes) use("size", each.sizes, 1, gl.FLOAT, false);
    else { gl.disableVertexAttribArray(at.size); gl.vertexAttrib1f(at.size, 0); }
    gl.uniform1f(uniform.least, least);
    gl.drawArrays(gl.POINTS, 0, Math.ceil(share * each.n));
  };
  return {
    kind: "webgl",
    points: (places) => { base.n = places.length / 2; send(base.places, places); },
    colours: (colours) => send(base.colours, colours),
    marked: (places, colours, sizes) => { top.n = places.length / 2; send(top.places, places); send(top.colours, colours); send(top.sizes, sizes); },
    draw: (view, size, share) => {
      const { width, height } = canvas;
      gl.viewport(0, 0, width, height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      const stretch = [2 * view.scale / width, 2 * view.scale / height];
      gl.uniform2f(uniform.stretch, ...stretch);
      gl.uniform2f(uniform.shift, -view.x * stretch[0], -view.y * stretch[1]);
      drawLayer(base, size, share);
      drawLayer(top, size, 1);
    },
    // Reading a pixel waits until everything is drawn.
    finish: () => gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4)),
  };
}

function canvasPainter(canvas) {
  const context = canvas.getContext("2d");
  const base = {}, top = { places: [], colours: [], sizes: [] };
  let image = null;
  const spot = (pixels, x, y, size, r, g, b) => {
    const half = size / 2, x0 = Math.max(0, Math.round(x - half)), y0 = Math.max(0, Math.round(y - half));
    const x1 = Math.min(canvas.width, x0 + Math.round(size)), y1 = Math.min(canvas.height, y0 + Math.round(size));
    const ink = (255 << 24) | (b << 16) | (g << 8) | r;
    for (let row = y0; row < y1; row++) for (let column = x0; column < x1; column++) pixels[row * canvas.width + column] = ink;
  };
  const drawLayer = (pixels, { places, colours, sizes }, view, least, share) => {
    for (let i = 0; i < share * places.length / 2; i++) {
      const x = canvas.width / 2 + (places[2 * i] / 65535 - view.x) * view.scale;
      const y = canvas.height / 2 - (places[2 * i + 1] / 65535 - view.y) * view.scale;
      if (x < -9 || y < -9 || x > canvas.width + 9 || y > canvas.height + 9) continue;
      spot(pixels, x, y, sizes ? Math.max(least, sizes[i]) : least, colours[4 * i], colours[4 * i + 1], colours[4 * i + 2]);
    }
  };
  return {
    kind: "canvas",
    points: (places) => { base.places = places; },
    colours: (colours) => { base.colours = colours; },
    marked: (places, colours, sizes) => Object.assign(top, { places, colours, sizes }),
    draw: (view, size, share) => {
      if (!image || image.width !== canvas.width || image.height !== canvas.height) image = context.createImageData(canvas.width, canvas.height);
      const pixels = new Uint32Array(image.data.buffer);
      pixels.fill(0);
      drawLayer(pixels, base, view, Math.max(2, size), share);
      drawLayer(pixels, top, view, size, 1);
      context.putImageData(image, 0, 0);
    },
    finish: () => {},
  };
}
