// Draws boxes and spheres with WebGL2: instances in sunlight, with shadows. Axes are Unity's, which are left-handed.

const ROW = 13; // numbers of a shape: position 3, quaternion 4, size 3, color 3
const TO_SUN = unit([-0.45, 1, -0.35]);
const FIELD = Math.tan((19 * Math.PI) / 180); // half the picture's height, 1 m before the camera
const SHADOW = 2048; // texels of the sun's picture, along each side
const JUMP = 5; // m in one decision, beyond which something has not moved but was put elsewhere
const [NEAREST, FARTHEST] = [1, 2000]; // m from what one looks at

const VERTEX = `#version 300 es
layout(location = 0) in vec3 corner;
layout(location = 1) in vec3 across;  // the normal of the unit shape
layout(location = 2) in vec3 position;
layout(location = 3) in vec4 quaternion;
layout(location = 4) in vec3 size;
layout(location = 5) in vec3 color;
uniform mat4 view;
out vec3 normal, paint, place;
vec3 turned(vec4 q, vec3 v) { return v + 2.0 * cross(q.xyz, cross(q.xyz, v) + q.w * v); }
void main() {
  place = turned(quaternion, corner * size) + position;
  normal = turned(quaternion, across / size);
  paint = color;
  gl_Position = view * vec4(place, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp sampler2DShadow;
in vec3 normal, paint, place;
uniform mat4 sun;
uniform vec3 toSun;
uniform float slack;  // m by which surfaces are lifted, so that they do not shade themselves
uniform sampler2DShadow shadow;
out vec4 seen;
void main() {
  vec3 n = normalize(normal);
  float facing = dot(n, toSun);
  float light = 0.54 + 0.12 * n.y;
  if (facing > 0.0) {
    vec3 at = (sun * vec4(place + n * slack, 1.0)).xyz * 0.5 + 0.5;
    float lit = 0.0;
    for (int i = -1; i <= 1; i++)
      for (int j = -1; j <= 1; j++)
        lit += texture(shadow, at + vec3(vec2(i, j) / ${SHADOW}.0, 0.0));
    light += 0.50 * facing * lit / 9.0;
  }
  seen = vec4(min(paint * light, 1.0), 1.0);
}`;

const SHADOW_FRAGMENT = `#version 300 es
precision highp float;
void main() {}`;

export class Scene {
  constructor(canvas) {
    this.canvas = canvas;
    this.yaw = -0.35; // rad, in which one looks
    this.pitch = 0.7;
    this.distance = 40; // m from the middle
    this.middle = [0, 0, 0]; // what one looks at
    const gl = (this.gl = canvas.getContext("webgl2", { antialias: true, alpha: true, premultipliedAlpha: true }));
    if (!gl) throw new Error("This browser has no WebGL2, which the scene is drawn with; allow it or use another one.");
    this.program = program(gl, VERTEX, FRAGMENT);
    this.shadowProgram = program(gl, VERTEX, SHADOW_FRAGMENT);
    this.instances = gl.createBuffer();
    this.meshes = [mesh(gl, boxCorners()), mesh(gl, sphereCorners(20))];
    this.shadowMap(gl);
    this.before = this.after = [new Float32Array(0), new Float32Array(0)];
    this.agents = new Float32Array(0);
    this.light = null; // where the sun stands
    this.fitted = true; // nobody has moved the camera since it was made to see everything
    this.drawn = ""; // what the canvas shows: a picture that is the same is not drawn again
  }

  shadowMap(gl) {
    const texture = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.DEPTH_COMPONENT24, SHADOW, SHADOW);
    for (const [name, value] of [
      [gl.TEXTURE_MIN_FILTER, gl.LINEAR], [gl.TEXTURE_MAG_FILTER, gl.LINEAR],
      [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE], [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
      [gl.TEXTURE_COMPARE_MODE, gl.COMPARE_REF_TO_TEXTURE], [gl.TEXTURE_COMPARE_FUNC, gl.LEQUAL],
    ]) gl.texParameteri(gl.TEXTURE_2D, name, value);
    this.shadowTarget = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.shadowTarget);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.TEXTURE_2D, texture, 0);
    gl.drawBuffers([gl.NONE]);
    gl.readBuffer(gl.NONE);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  // Take what is to be seen next: boxes, spheres and where agents are.
  take(boxes, spheres, agents) {
    const same = boxes.length === this.after[0].length && spheres.length === this.after[1].length;
    this.before = same ? this.after : [boxes, spheres];
    this.after = [boxes, spheres];
    this.agents = agents;
    this.light = this.sun();
    this.drawn = "";
  }

  // Look at all that is there, the way one looks; top, bottom: pixels of the canvas that are to stay free.
  fit({ top, bottom }) {
    const { right, up, forward } = this.axes();
    const height = Math.max(1, this.canvas.clientHeight);
    const across = (FIELD * this.canvas.clientWidth) / height;
    const [above, below] = [top, bottom].map((room) => FIELD * Math.max(0.2, 1 - (2 * room) / height));
    const sides = Array(4).fill(-Infinity); // of the picture, as planes that touch the outermost corners
    for (const p of corners(this.after)) {
      const [x, y, z] = [dot(right, p), dot(up, p), dot(forward, p)];
      const planes = [x - across * z, -x - across * z, y - above * z, -y - below * z];
      planes.forEach((v, i) => (sides[i] = Math.max(sides[i], v)));
    }
    if (!isFinite(sides[0])) return;
    const back = 1.05 * Math.max((sides[0] + sides[1]) / across / 2, (sides[2] + sides[3]) / (above + below));
    const [x, y] = [(sides[0] - sides[1]) / 2, (sides[2] - sides[3] + back * (below - above)) / 2];
    const eye = [0, 1, 2].map((i) => x * right[i] + y * up[i] - back * forward[i]);
    this.distance = back;
    this.middle = [0, 1, 2].map((i) => eye[i] + back * forward[i]);
    this.fitted = true;
  }

  turn(dx, dy) {
    this.fitted = false;
    this.yaw += dx * 0.006;
    this.pitch = Math.min(1.55, Math.max(0.03, this.pitch + dy * 0.006));
  }

  move(dx, dy) {
    this.fitted = false;
    const { right, up } = this.axes();
    const scale = (2 * FIELD * this.distance) / this.canvas.clientHeight;
    for (let i = 0; i < 3; i++) this.middle[i] += (-dx * right[i] + dy * up[i]) * scale;
  }

  come(factor) {
    this.fitted = false;
    this.distance = Math.min(FARTHEST, Math.max(NEAREST, this.distance * factor));
  }

  axes() {
    const [cy, sy, cp, sp] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    return { right: [cy, 0, -sy], up: [sy * sp, cp, cy * sp], forward: [sy * cp, -sp, cy * cp] };
  }

  view() {
    const { right, up, forward } = this.axes();
    const eye = this.middle.map((m, i) => m - this.distance * forward[i]);
    const aspect = this.canvas.clientWidth / Math.max(1, this.canvas.clientHeight);
    const [near, far] = [this.distance / 50, this.distance * 4 + 200];
    const [a, b] = [(far + near) / (far - near), (-2 * far * near) / (far - near)];
    const row = (axis, scale) => [...axis.map((v) => v * scale), -dot(axis, eye) * scale];
    const z = row(forward, 1);
    const depth = [a * z[0], a * z[1], a * z[2], a * z[3] + b];
    return columns([row(right, 1 / (FIELD * aspect)), row(up, 1 / FIELD), depth, z]);
  }

  // Where the sun stands, it sees everything; `texel` is m.
  sun() {
    const away = TO_SUN.map((v) => -v);
    const right = unit(cross([0, 0, 1], away));
    const up = cross(away, right);
    const axes = [right, up, away];
    const [low, high] = [[Infinity, Infinity, Infinity], [-Infinity, -Infinity, -Infinity]];
    for (const p of corners(this.after)) axes.forEach((axis, i) => {
      const v = dot(axis, p);
      low[i] = Math.min(low[i], v);
      high[i] = Math.max(high[i], v);
    });
    const half = axes.map((_, i) => Math.max(0.5, 0.52 * (high[i] - low[i])));
    const rows = axes.map((axis, i) => [...axis.map((v) => v / half[i]), -(low[i] + high[i]) / 2 / half[i]]);
    return { matrix: columns([...rows, [0, 0, 0, 1]]), texel: (2 * Math.max(half[0], half[1])) / SHADOW };
  }

  // Draw what is seen after a share of the way from the last frame to this one, and return whether that was new.
  draw(share) {
    const { gl, canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((v) => Math.round(v * devicePixelRatio));
    const wanted = [share, width, height, this.yaw, this.pitch, this.distance, ...this.middle].join();
    if (wanted === this.drawn) return false;
    this.drawn = wanted;
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const shapes = this.before.map((before, i) => between(before, this.after[i], share));
    const sun = this.light;
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.CULL_FACE);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.shadowTarget);
    gl.viewport(0, 0, SHADOW, SHADOW);
    gl.clear(gl.DEPTH_BUFFER_BIT);
    gl.useProgram(this.shadowProgram);
    gl.uniformMatrix4fv(gl.getUniformLocation(this.shadowProgram, "view"), false, sun.matrix);
    this.drawShapes(shapes);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.useProgram(this.program);
    const at = (name) => gl.getUniformLocation(this.program, name);
    gl.uniformMatrix4fv(at("view"), false, this.view());
    gl.uniformMatrix4fv(at("sun"), false, sun.matrix);
    gl.uniform3fv(at("toSun"), TO_SUN);
    gl.uniform1f(at("slack"), 2.5 * sun.texel);
    this.drawShapes(shapes);
    return true;
  }

  drawShapes(shapes) {
    const gl = this.gl;
    this.meshes.forEach((mesh, i) => {
      if (!shapes[i].length) return;
      gl.bindVertexArray(mesh.array);
      gl.bindBuffer(gl.ARRAY_BUFFER, this.instances);
      gl.bufferData(gl.ARRAY_BUFFER, shapes[i], gl.DYNAMIC_DRAW);
      [[2, 3, 0], [3, 4, 3], [4, 3, 7], [5, 3, 10]].forEach(([location, size, offset]) => {
        gl.enableVertexAttribArray(location);
        gl.vertexAttribPointer(location, size, gl.FLOAT, false, 4 * ROW, 4 * offset);
        gl.vertexAttribDivisor(location, 1);
      });
      gl.drawArraysInstanced(gl.TRIANGLES, 0, mesh.vertices, shapes[i].length / ROW);
    });
  }

  // Where each agent is on the canvas: [x, y] in CSS pixels, or null behind the camera.
  places() {
    const m = this.view();
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return Array.from({ length: this.agents.length / 3 }, (_, k) => {
      const p = [...this.agents.subarray(3 * k, 3 * k + 3), 1];
      const [x, y, , w] = [0, 1, 2, 3].map((row) => p.reduce((sum, v, column) => sum + m[4 * column + row] * v, 0));
      return w <= 0 ? null : [((x / w + 1) / 2) * width, ((1 - y / w) / 2) * height];
    });
  }
}

function between(before, after, share) {
  if (share >= 1 || before === after) return after;
  const mixed = after.slice();
  for (let o = 0; o < after.length; o += ROW) {
    const way = Math.hypot(after[o] - before[o], after[o + 1] - before[o + 1], after[o + 2] - before[o + 2]);
    if (way >= JUMP) continue;
    for (let i = o; i < o + 3; i++) mixed[i] = before[i] + share * (after[i] - before[i]);
    let along = 0;
    for (let i = o + 3; i < o + 7; i++) along += before[i] * after[i];
    const sign = along < 0 ? -1 : 1;
    let length = 0;
    for (let i = o + 3; i < o + 7; i++) {
      mixed[i] = (1 - share) * sign * before[i] + share * after[i];
      length += mixed[i] * mixed[i];
    }
    for (let i = o + 3; i < o + 7; i++) mixed[i] /= Math.sqrt(length);
  }
  return mixed;
}

function* corners(kinds) {
  for (const shapes of kinds)
    for (let o = 0; o < shapes.length; o += ROW) {
      const [px, py, pz, x, y, z, w, sx, sy, sz] = shapes.subarray(o, o + 10);
      for (let k = 0; k < 8; k++) {
        const v = [k & 1 ? sx / 2 : -sx / 2, k & 2 ? sy / 2 : -sy / 2, k & 4 ? sz / 2 : -sz / 2];
        const inner = cross([x, y, z], v).map((c, i) => c + w * v[i]);
        const by = cross([x, y, z], inner);
        yield [px + v[0] + 2 * by[0], py + v[1] + 2 * by[1], pz + v[2] + 2 * by[2]];
      }
    }
}

function boxCorners() {
  const made = [];
  for (let axis = 0; axis < 3; axis++)
    for (const side of [-1, 1]) {
      const corner = (i, j) => {
        const p = [0, 0, 0], n = [0, 0, 0];
        p[axis] = side / 2;
        p[(axis + 1) % 3] = i / 2;
        p[(axis + 2) % 3] = j / 2;
        n[axis] = side;
        made.push(...p, ...n);
      };
      // as a clock goes, seen from outside
      for (const [i, j] of [[-1, -1], [-side, side], [1, 1], [-1, -1], [1, 1], [side, -side]]) corner(i, j);
    }
  return made;
}

function sphereCorners(n) {
  const made = [];
  const corner = (i, j) => {
    const [t, u] = [(Math.PI * i) / n, (2 * Math.PI * j) / n];
    const p = [Math.sin(t) * Math.cos(u), Math.cos(t), Math.sin(t) * Math.sin(u)];
    made.push(...p.map((v) => v / 2), ...p);
  };
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++)
      for (const [k, m] of [[i, j], [i + 1, j], [i + 1, j + 1], [i, j], [i + 1, j + 1], [i, j + 1]]) corner(k, m);
  return made;
}

function mesh(gl, numbers) {
  const array = gl.createVertexArray();
  gl.bindVertexArray(array);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(numbers), gl.STATIC_DRAW);
  for (const [location, offset] of [[0, 0], [1, 12]]) {
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, 3, gl.FLOAT, false, 24, offset);
  }
  return { array, vertices: numbers.length / 6 };
}

function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  return made;
}

function columns(rows) {
  return new Float32Array([0, 1, 2, 3].flatMap((i) => rows.map((row) => row[i])));
}

function dot(a, b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

function cross(a, b) {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

function unit(v) {
  const length = Math.hypot(...v);
  return v.map((c) => c / length);
}
