// Two painters of the same points: WebGL, and a plain canvas where a browser has none.
// Here a view's scale is in pixels of the canvas.
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
  // Where a browser plays the graphics card itself, it draws points slower than a plain canvas.
  const options = { antialias: false, depth: false, powerPreference: "low-power", failIfMajorPerformanceCaveat: true };
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
  };
}

function canvasPainter(canvas) {
  const context = canvas.getContext("2d");
  const base = {}, top = { places: [], inks: [], sizes: [] };
  let image = null, pixels = null;
  const opaque = (colours) => new Uint32Array(colours.buffer).map((ink) => ink | 0xff000000);
  const drawLayer = ({ places, inks, sizes }, view, least, n) => {
    const { width, height } = canvas, zoom = view.scale / 65535;
    const left = width / 2 - view.x * view.scale, bottom = height / 2 + view.y * view.scale;
    for (let i = 0; i < n; i++) {
      const x = left + places[2 * i] * zoom, y = bottom - places[2 * i + 1] * zoom;
      if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
      const size = sizes ? Math.max(least, sizes[i]) : least, wide = Math.round(size), ink = inks[i];
      const x0 = Math.max(0, Math.round(x - size / 2)), y0 = Math.max(0, Math.round(y - size / 2));
      const x1 = Math.min(width, x0 + wide), y1 = Math.min(height, y0 + wide);
      for (let row = y0 * width; row < y1 * width; row += width) for (let at = row + x0; at < row + x1; at++) pixels[at] = ink;
    }
  };
  return {
    kind: "canvas",
    points: (places) => { base.places = places; },
    colours: (colours) => { base.inks = opaque(colours); },
    marked: (places, colours, sizes) => Object.assign(top, { places, inks: opaque(colours), sizes }),
    draw: (view, size, share) => {
      if (!image || image.width !== canvas.width || image.height !== canvas.height) {
        image = context.createImageData(canvas.width, canvas.height);
        pixels = new Uint32Array(image.data.buffer);
      }
      pixels.fill(0);
      drawLayer(base, view, Math.max(2, size), Math.ceil(share * base.places.length / 2));
      drawLayer(top, view, size, top.places.length / 2);
      context.putImageData(image, 0, 0);
    },
  };
}
