// The page: asks for frames, shows what they say, and sends back what is ordered.

import { Scene } from "./scene.js";

const $ = (id) => document.getElementById(id);
const MOST_LABELS = 16;
const NEAR = 40; // pixels from an agent within which a click picks it
const SYMBOLS = { up: "↑ W", down: "↓ S", left: "← A", right: "→ D", space: "Space", q: "Q", e: "E" };
const DRIVING = new Set(["arrowup", "arrowdown", "arrowleft", "arrowright", "w", "a", "s", "d", " ", "q", "e"]);

let scene;
let facts = null; // what the last frame said
let arrived = 0; // ms, when that was
let interval = 100; // ms from one frame to the next
let shownArea = null;
const held = new Set(); // keys

function order(what) {
  fetch("order", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(what) })
    .catch(() => {}); // the next question for a frame says that nobody is there
}

async function listen() {
  let number = "0";
  for (;;) {
    let answer;
    try {
      answer = await fetch(`frame?after=${number}`);
    } catch {
      return say("Nobody answers any more: the program that showed this has ended. Reload the page once it runs again.");
    }
    if (answer.status === 410) return say("This has ended.");
    if (answer.status === 204) continue;
    number = answer.headers.get("Frame");
    take(await answer.arrayBuffer());
  }
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
  interval = facts.interval ? Math.max(33, 1000 * facts.interval) : Math.min(200, 0.8 * interval + 0.2 * (now - arrived));
  arrived = now;
  if (shownArea !== facts.area) {
    if (shownArea === null) [scene.yaw, scene.pitch] = facts.view.map((degrees) => (degrees * Math.PI) / 180);
    shownArea = facts.area;
    scene.fit();
  }
  tell();
}

function tell() {
  const playing = facts.mode === "playing";
  document.title = $("title").textContent = facts.title;
  $("pace").textContent = facts.pace ?? (facts.recorded === undefined ? "" : `Recording: ${facts.recorded} records`);
  for (const id of ["pause", "step", "slower", "faster", "speed"]) $(id).hidden = !playing;
  $("pause").textContent = facts.paused ? "Play" : "Pause";
  $("speed").textContent = facts.speed >= 1 || !playing ? `${facts.speed ?? 1}×` : `1/${1 / facts.speed}×`;
  choices($("area"), [[-1, facts.areas > 1 ? `all ${facts.areas}` : "the only one"], ...names(facts.areas, (k) => `area ${k}`)], facts.area);
  choices($("agent"), names(facts.areas * facts.per_area, name), facts.picked);
  $("agent").disabled = !facts.may_pick;
  $("area").disabled = facts.areas === 1;
  $("facts").replaceChildren(...Object.entries(facts.agent).map(([key, value]) => {
    const row = document.createElement("tr");
    for (const text of [key, value]) row.insertCell().textContent = text;
    return row;
  }));
  $("episodes").textContent = facts.episodes ? `(${facts.episodes.toLocaleString()} so far)` : "(none has ended yet)";
  drawCurve(facts.curve);
  $("keys").replaceChildren(...(facts.keys ?? []).map((key) => {
    const cap = document.createElement("kbd");
    cap.textContent = SYMBOLS[key] ?? key;
    cap.className = facts.held.includes(key) ? "held" : "";
    return cap;
  }));
}

function names(n, name) {
  return Array.from({ length: n }, (_, k) => [k, name(k)]);
}

function name(row) {
  const [area, k] = [Math.floor(row / facts.per_area), row % facts.per_area];
  return facts.per_area > 1 ? `area ${area}, agent ${k}` : `agent ${row}`;
}

function choices(select, wanted, chosen) {
  if (select.length !== wanted.length) select.replaceChildren(...wanted.map(([value, text]) => new Option(text, value)));
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
  if (facts) {
    scene.draw(facts.paused ? 1 : Math.min(1, (performance.now() - arrived) / interval));
    label();
  }
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
    const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
    moved += Math.abs(dx) + Math.abs(dy);
    if (event.buttons === 2 || event.shiftKey || down.size > 1) scene.move(dx, dy);
    else scene.turn(dx, dy);
    down.set(event.pointerId, [event.clientX, event.clientY]);
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
}

function listenToKeys() {
  const tellHeld = () => facts?.keys?.length && order({ keys: [...held] });
  addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLSelectElement) return;
    if (key === "p") order({ pause: !facts?.paused });
    else if (key === "n") order({ step: 1 });
    else if (key === "f") scene.fit();
    else if (DRIVING.has(key) && facts?.keys?.length) {
      event.preventDefault();
      if (!held.has(key)) held.add(key), tellHeld();
    }
  });
  addEventListener("keyup", (event) => held.delete(event.key.toLowerCase()) && tellHeld());
  addEventListener("blur", () => held.size && (held.clear(), tellHeld()));
}

function listenToButtons() {
  const press = (id, act) => $(id).addEventListener("click", () => (act(), $("scene").focus()));
  press("pause", () => order({ pause: !facts?.paused }));
  press("step", () => order({ step: 1 }));
  press("slower", () => order({ speed: facts.speed / 2 }));
  press("faster", () => order({ speed: facts.speed * 2 }));
  press("fit", () => scene.fit());
  for (const [id, what] of [["area", "area"], ["agent", "pick"]])
    $(id).addEventListener("change", () => (order({ [what]: Number($(id).value) }), $(id).blur()));
}

try {
  scene = new Scene($("scene"));
  listenToMouse($("scene"));
  listenToKeys();
  listenToButtons();
  requestAnimationFrame(paint);
  listen();
} catch (error) {
  say(error.message);
}
