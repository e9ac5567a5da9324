// The page: asks for frames, shows what they say, and sends back what is ordered.

import { Scene } from "./scene.js";

const $ = (id) => document.getElementById(id);
const MOST_LABELS = 16;
const NEAR = 40; // pixels from an agent within which a click picks it
const AGAIN = 1000; // ms until a program that does not answer is asked again
const SYMBOLS = { up: "↑ W", down: "↓ S", left: "← A", right: "→ D", space: "Space", q: "Q", e: "E" };
const DRIVING = new Set(["arrowup", "arrowdown", "arrowleft", "arrowright", "w", "a", "s", "d", " ", "q", "e"]);

let scene;
let facts = null; // what the last frame said
let arrived = 0; // ms, when that was
let interval = 100; // ms from one frame to the next
let shownArea = null; // null: nothing of this program was shown yet
let sent = Promise.resolve(); // the last order
const held = new Set(); // keys

// One order after another, or a key that is let go of could overtake itself.
function order(what) {
  const question = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(what) };
  sent = sent.then(() => fetch("order", { ...question, keepalive: true })).catch(() => {}); // listen() says why
}

// Ask for frame after frame, while somebody sees the page.
async function listen() {
  let number = "0";
  for (;;) {
    await visible();
    const answer = await frameAfter(number).catch(() => null);
    if (answer === null) {
      say("The program that showed this has ended. The page goes on when it is started again.");
      [number, shownArea] = ["0", null];
      await new Promise((go) => setTimeout(go, AGAIN));
    } else {
      say("");
      if (answer.frame) take(answer.frame);
      number = answer.number;
    }
  }
}

// Fails where nobody answers, or somebody else; there is no frame where none has followed yet.
async function frameAfter(number) {
  const answer = await fetch(`frame?after=${number}`);
  if (answer.status === 204) return { number };
  if (!answer.ok || !answer.headers.has("Frame")) throw new Error(answer.statusText);
  return { number: answer.headers.get("Frame"), frame: await answer.arrayBuffer() };
}

async function visible() {
  while (document.hidden) await new Promise((go) => document.addEventListener("visibilitychange", go, { once: true }));
}

function take(bytes) {
  const length = new DataView(bytes).getUint32(0, true);
  facts = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  const numbers = new Float32Array(bytes, 4 + length);
  const { boxes, spheres } = facts.count;
  scene.take(
    numbers.subarray(0, 13 * boxes),
    numbers.subarray(13 * boxes, 13 * (boxes + spheres)),
    numbers.subarray(13 * (boxes + spheres)),
  );
  const now = performance.now();
  interval = facts.interval
    ? Math.max(33, 1000 * facts.interval)
    : Math.min(200, 0.8 * interval + 0.2 * (now - arrived));
  arrived = now;
  if (shownArea !== facts.area) {
    if (shownArea === null) [scene.yaw, scene.pitch] = facts.view.map((degrees) => (degrees * Math.PI) / 180);
    shownArea = facts.area;
    tell();
    fit();
  } else tell();
}

function fit() {
  scene.fit({ top: 28, bottom: $("bar").offsetHeight + 20 }); // labels and buttons lie over the scene
}

function tell() {
  const playing = facts.mode === "playing";
  document.title = $("title").textContent = facts.title;
  $("pace").textContent = facts.pace ?? (facts.recorded === undefined ? "" : `Recording: ${facts.recorded} records`);
  for (const id of ["pause", "step", "slower", "faster", "speed"]) $(id).hidden = !playing;
  $("pause").textContent = facts.paused ? "Play" : "Pause";
  $("speed").textContent = facts.speed >= 1 || !playing ? `${facts.speed ?? 1}×` : `1/${1 / facts.speed}×`;
  choices($("area"), [[-1, everything()], ...names(facts.areas, (k) => `area ${k}`)], facts.area);
  choices($("agent"), names(facts.areas * facts.per_area, name), facts.picked);
  $("agent").disabled = !facts.may_pick;
  $("area").disabled = facts.areas === 1;
  $("facts").replaceChildren(...Object.entries(facts.agent).map(([key, value]) => {
    const row = document.createElement("tr");
    for (const text of [key, value]) row.insertCell().textContent = text;
    return row;
  }));
  $("episodes").textContent = facts.episodes ? `(${facts.episodes.toLocaleString()} so far)` : "(none has ended yet)";
  $("curve").hidden = !facts.curve.length;
  drawCurve(facts.curve);
  tellKeys(facts.keys ?? [], facts.held ?? []);
}

function everything() {
  if (facts.areas === 1) return "the only one";
  return facts.shown < facts.areas && facts.area < 0 ? `${facts.shown} of ${facts.areas}` : `all ${facts.areas}`;
}

// Caps are made once, as a finger may lie on one.
function tellKeys(keys, pressed) {
  const caps = $("keys");
  if (caps.childElementCount !== keys.length)
    caps.replaceChildren(...keys.map((key) => {
      const cap = document.createElement("kbd");
      cap.textContent = SYMBOLS[key] ?? key;
      cap.dataset.key = key;
      return cap;
    }));
  for (const cap of caps.children) cap.className = pressed.includes(cap.dataset.key) ? "held" : "";
}

function names(n, name) {
  return Array.from({ length: n }, (_, k) => [k, name(k)]);
}

function name(row) {
  const [area, k] = [Math.floor(row / facts.per_area), row % facts.per_area];
  return facts.areas > 1 && facts.per_area > 1 ? `area ${area}, agent ${k}` : `agent ${row}`;
}

function choices(select, wanted, chosen) {
  const texts = wanted.map(([, text]) => text).join();
  if (select.dataset.texts !== texts) select.replaceChildren(...wanted.map(([value, text]) => new Option(text, value)));
  select.dataset.texts = texts;
  if (document.activeElement !== select) select.value = chosen;
}

function drawCurve(points) {
  const canvas = $("curve");
  const ink = getComputedStyle(document.documentElement);
  const pen = canvas.getContext("2d");
  const { width, height } = canvas;
  pen.clearRect(0, 0, width, height);
  if (!points.length) return;
  const [low, high] = [Math.min(...points), Math.max(...points)];
  const [left, top, bottom] = [78, 14, height - 14];
  const x = (i) => left + (i / Math.max(1, points.length - 1)) * (width - left - 8);
  const y = (value) => bottom - (high > low ? (value - low) / (high - low) : 0.5) * (bottom - top);
  pen.font = "22px system-ui, sans-serif";
  pen.fillStyle = ink.getPropertyValue("--quiet");
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const value of high > low ? [low, high] : [low]) pen.fillText(short(value), left - 10, y(value));
  pen.strokeStyle = pen.fillStyle = ink.getPropertyValue("--accent");
  pen.lineWidth = 3;
  pen.lineJoin = "round";
  pen.beginPath();
  points.forEach((value, i) => pen.lineTo(x(i), y(value)));
  pen.stroke();
  pen.beginPath();
  pen.arc(x(points.length - 1), y(points.at(-1)), 5, 0, 7);
  pen.fill();
}

function short(value) {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

function label() {
  const places = scene.places();
  const all = places.length <= MOST_LABELS;
  const wanted = places.flatMap((place, k) => {
    const row = facts.first + k;
    return place && (all || row === facts.picked) ? [[place, row]] : [];
  });
  const labels = $("labels");
  while (labels.childElementCount < wanted.length) labels.append(document.createElement("span"));
  while (labels.childElementCount > wanted.length) labels.lastChild.remove();
  wanted.forEach(([[x, y], row], i) => {
    const span = labels.children[i];
    span.textContent = row;
    span.className = row === facts.picked ? "picked" : "";
    span.style.left = `${x}px`;
    span.style.top = `${y - 14}px`;
  });
}

function paint() {
  if (facts && scene.draw(facts.paused ? 1 : Math.min(1, (performance.now() - arrived) / interval))) label();
  requestAnimationFrame(paint);
}

function say(sentence) {
  $("message").textContent = sentence;
}

function pick(x, y) {
  const far = scene.places().map((place) => (place ? Math.hypot(place[0] - x, place[1] - y) : Infinity));
  const nearest = far.indexOf(Math.min(...far));
  if (far[nearest] < NEAR) order({ pick: facts.first + nearest });
}

function listenToMouse(canvas) {
  const down = new Map(); // pointers, where each is
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, [event.clientX, event.clientY]);
    moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const from = down.get(event.pointerId);
    if (!from) return;
    const to = [event.clientX, event.clientY];
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    moved += Math.abs(dx) + Math.abs(dy);
    if (down.size === 2) pinch(from, to, [...down].find(([id]) => id !== event.pointerId)[1]);
    else if (event.buttons === 2 || event.shiftKey) scene.move(dx, dy);
    else scene.turn(dx, dy);
    down.set(event.pointerId, to);
  });
  for (const kind of ["pointerup", "pointercancel"])
    canvas.addEventListener(kind, (event) => {
      down.delete(event.pointerId);
      if (kind === "pointerup" && moved < 5 && facts) pick(event.offsetX, event.offsetY);
    });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    scene.come(Math.exp(event.deltaY * 0.001));
  }, { passive: false });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault()); // let it be given back
  canvas.addEventListener("webglcontextrestored", () => location.reload());
  new ResizeObserver(() => facts && scene.fitted && fit()).observe(canvas);
}

// One of two fingers goes from a place to another, and the other one rests.
function pinch(from, to, rest) {
  const apart = (place) => Math.max(1, Math.hypot(place[0] - rest[0], place[1] - rest[1]));
  scene.come(apart(from) / apart(to));
  scene.move((to[0] - from[0]) / 2, (to[1] - from[1]) / 2);
}

function tellHeld() {
  if (facts?.keys?.length) order({ keys: [...held] });
}

function letGo() {
  if (!held.size) return;
  held.clear();
  tellHeld();
}

function listenToKeys() {
  addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLSelectElement) return;
    if (key === "n") order({ step: 1 });
    else if (key === "p" && !event.repeat) order({ pause: !facts?.paused });
    else if (key === "f" && facts) fit();
    else if (DRIVING.has(key) && facts?.keys?.length) {
      event.preventDefault();
      if (!held.has(key)) held.add(key), tellHeld();
    }
  });
  addEventListener("keyup", (event) => held.delete(event.key.toLowerCase()) && tellHeld());
  addEventListener("blur", letGo);
  addEventListener("pagehide", letGo);
}

// Caps are pressed as the keys are, for those who have no keys.
function listenToCaps(caps) {
  const down = new Map(); // pointers, on which key each is
  caps.addEventListener("pointerdown", (event) => {
    const { key } = event.target.dataset;
    if (!key) return;
    event.preventDefault();
    caps.setPointerCapture(event.pointerId);
    down.set(event.pointerId, key);
    held.add(key);
    tellHeld();
  });
  for (const kind of ["pointerup", "pointercancel"])
    caps.addEventListener(kind, (event) => {
      if (held.delete(down.get(event.pointerId))) tellHeld();
      down.delete(event.pointerId);
    });
  caps.addEventListener("contextmenu", (event) => event.preventDefault());
}

function listenToButtons() {
  const press = (id, act) => $(id).addEventListener("click", () => (act(), $("scene").focus()));
  press("pause", () => order({ pause: !facts?.paused }));
  press("step", () => order({ step: 1 }));
  press("slower", () => facts && order({ speed: facts.speed / 2 }));
  press("faster", () => facts && order({ speed: facts.speed * 2 }));
  press("fit", () => facts && fit());
  for (const [id, what] of [["area", "area"], ["agent", "pick"]])
    $(id).addEventListener("change", () => (order({ [what]: Number($(id).value) }), $(id).blur()));
}

try {
  scene = new Scene($("scene"));
  listenToMouse($("scene"));
  listenToKeys();
  listenToCaps($("keys"));
  listenToButtons();
  requestAnimationFrame(paint);
  listen();
} catch (error) {
  say(error.message);
}
