// The review page: one video at a time, its ranked GIFs, and the span that is being edited.
"use strict";
const $ = (id) => document.getElementById(id);
const LEAST_S = 0.1;
let film = null; // What the server said last of the chosen video.
let name = ""; // Of the chosen video.
let span = { start: 0, end: 0 };
let view = { start: 0, end: 0 }; // What the track shows.
let timer = 0;

// Small helpers

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function say(text, isBad = false) {
  $("said").textContent = text;
  $("said").classList.toggle("bad", isBad);
}

async function api(path, method = "GET", body = undefined) {
  const options = { method, headers: { "X-Video2gif": "1" } };
  if (method !== "GET") {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body ?? {});
  }
  const answer = await fetch(path, options);
  const content = await answer.json().catch(() => ({ detail: answer.statusText }));
  if (!answer.ok) throw new Error(said(content.detail));
  return content;
}

const said = (detail) => (typeof detail === "string" ? detail : detail.map((one) => one.msg).join("; "));
const of = (file) => `/api/videos/${encodeURIComponent(name)}/${file}`;
const media = (file) => `/media/${encodeURIComponent(name)}/${encodeURIComponent(file)}`;
const attempt = (work) => (...given) => work(...given).catch((error) => say(error.message, true));
const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(2).padStart(5, "0")}`;
const kB = (bytes) => (bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const near = (a, b) => Math.abs(a - b) < 0.002;

// The shelf of videos

const STATES = { new: "", waiting: "waiting", working: "working…", ready: "ready", failed: "failed" };

const listVideos = attempt(async () => {
  const { videos } = await api("/api/videos");
  const focused = document.activeElement?.dataset?.video;
  $("shelf").replaceChildren(
    ...videos.map((video) => {
      const notes = [STATES[video.state], video.marks ? `${video.marks} marked` : ""].filter(Boolean);
      const button = make("button", { type: "button" }, video.name);
      if (notes.length) button.append(make("small", {}, ` ${notes.join(", ")}`));
      button.dataset.video = video.name;
      button.setAttribute("aria-current", video.name === name);
      button.onclick = () => choose(video.name);
      return make("li", {}, button);
    }),
  );
  if (focused) document.querySelector(`[data-video="${CSS.escape(focused)}"]`)?.focus();
});

const choose = attempt(async (chosen) => {
  name = chosen;
  film = null;
  span = { start: 0, end: 0 };
  $("exports").replaceChildren();
  $("film").hidden = false;
  $("results").hidden = true;
  $("film-title").textContent = chosen;
  $("film-facts").textContent = "";
  say("");
  await api(of("start"), "POST");
  await refresh();
});

// Uploads: XMLHttpRequest, because fetch tells no progress.

function upload(file) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `/api/uploads/${encodeURIComponent(file.name)}`);
    request.setRequestHeader("X-Video2gif", "1");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (event) => {
      $("upload-bar").value = event.loaded / event.total;
      $("upload-text").textContent = `${file.name}: ${kB(event.loaded)} of ${kB(event.total)}`;
    };
    request.onload = () => {
      if (request.status === 201) resolve(request.response.name);
      else reject(new Error(`${file.name}: ${said(request.response?.detail ?? request.statusText)}`));
    };
    request.onerror = () => reject(new Error(`${file.name}: the server broke off the upload`));
    request.send(file);
  });
}

const uploadAll = attempt(async (files) => {
  try {
    for (const file of files) {
      $("upload").hidden = false;
      $("upload-bar").value = 0;
      const kept = await upload(file);
      await choose(kept);
    }
  } finally {
    $("upload").hidden = true;
    $("file").value = "";
    await listVideos();
  }
});

$("file").onchange = () => uploadAll([...$("file").files]);
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
document.addEventListener("dragover", () => $("drop").classList.add("over"));
for (const kind of ["dragleave", "drop"]) document.addEventListener(kind, () => $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => uploadAll([...event.dataTransfer.files]));

// The chosen video

const refresh = attempt(async () => {
  clearTimeout(timer);
  if (!name) return;
  const asked = name;
  const found = await api(`/api/videos/${encodeURIComponent(name)}`);
  if (asked !== name) return; // Another was chosen meanwhile.
  const before = film;
  film = found;
  showProgress();
  showExports();
  const isNew = !before || before.state !== film.state || before.is_personal !== film.is_personal;
  if (film.duration_s && isNew && film.state === "ready") showResults();
  if (isNew) await listVideos();
  const isBusy = (one) => one.state === "waiting" || one.state === "working";
  if (isBusy(film) || film.exports.some(isBusy)) timer = setTimeout(refresh, 400);
});

const STAGES = {
  decode: "watching the video",
  transnetv2: "looking for cuts",
  features: "looking closer (C3D)",
  "warm-up": "warming up",
  filmstrip: "making the filmstrip",
  encode: "making GIFs",
};

function showProgress() {
  const isBusy = film.state === "waiting" || film.state === "working";
  $("progress").hidden = !isBusy;
  if (isBusy) {
    const share = film.state === "working" ? film.share : 0;
    $("progress-bar").value = share;
    const stage = film.state === "waiting" ? "waiting for its turn" : STAGES[film.stage] ?? film.stage;
    $("progress-text").textContent = `${stage} ${Math.round(100 * share)} %`;
  }
  if (film.state === "failed") say(`${name}: ${film.reason}`, true);
}

function showResults() {
  const size = `${film.width}×${film.height}, ${film.fps.toFixed(2).replace(/\.?0+$/, "")} frames a second`;
  const order = film.is_personal ? "ranked by your marks" : "ranked";
  $("film-facts").textContent = `${clock(film.duration_s)}, ${size}, ${film.segments.length} segments, ${order}`;
  $("results").hidden = false;
  $("strip").src = of("strip.jpg");
  $("strip").alt = `Frames of ${name} from start to end`;
  $("curve").replaceChildren(curve());
  showGifs();
  showMarks();
  if (film.gifs.length && span.end === 0) edit(film.gifs[0].start_s, film.gifs[0].end_s);
}

function curve() {
  const NS = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(NS, "svg");
  svg.setAttribute("viewBox", "0 0 720 76");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `Score of ${name} over time`);
  const scores = film.segments.map((one) => one[2]).filter((score) => score !== null);
  const low = Math.min(...scores), high = Math.max(...scores);
  for (const [start, end, score] of film.segments) {
    if (score === null) continue;
    const y = 72 - (62 * (score - low)) / (high - low || 1);
    const [x0, x1] = [start, end].map((s) => (720 * s) / film.duration_s);
    const path = document.createElementNS(NS, "path");
    path.setAttribute("class", "step");
    path.setAttribute("d", `M${x0.toFixed(1)} 76V${y.toFixed(1)}H${x1.toFixed(1)}V76Z`);
    const title = document.createElementNS(NS, "title");
    title.textContent = `${clock(start)}–${clock(end)}: ${score.toFixed(2)}`;
    path.append(title);
    svg.append(path);
  }
  return svg;
}

function showGifs() {
  $("gifs").replaceChildren(...film.gifs.map(card));
  $("bands").replaceChildren(
    ...film.gifs.map((gif) => {
      const band = make("button", { type: "button", className: "band", textContent: gif.rank });
      band.title = `#${gif.rank}: ${clock(gif.start_s)}–${clock(gif.end_s)}`;
      band.setAttribute("aria-label", `Edit moment ${gif.rank}, at ${clock(gif.start_s)}`);
      band.style.left = `${(100 * gif.start_s) / film.duration_s}%`;
      band.style.width = `${(100 * (gif.end_s - gif.start_s)) / film.duration_s}%`;
      band.onclick = () => edit(gif.start_s, gif.end_s);
      return band;
    }),
  );
}

function card(gif) {
  const picture = make("img", { src: media(gif.still), alt: `Moment ${gif.rank} of ${name}, ${clock(gif.start_s)} to ${clock(gif.end_s)}` });
  const play = make("button", { type: "button", className: "play" }, picture);
  play.setAttribute("aria-label", `Play moment ${gif.rank}`);
  playing(play, picture, gif);
  const verdict = verdictOf(gif.segment[0], gif.segment[1]);
  const mark = (word, text) => {
    const button = make("button", { type: "button", textContent: text, className: word });
    button.setAttribute("aria-pressed", verdict === word);
    button.onclick = () => setMark(gif.segment[0], gif.segment[1], verdict === word ? "none" : word);
    return button;
  };
  const change = make("button", { type: "button", textContent: "Edit" });
  change.onclick = () => edit(gif.start_s, gif.end_s, true);
  const fetch_ = make("a", { href: `${media(gif.file)}?download=true`, textContent: "Download", download: gif.file });
  const score = gif.score === null ? "not scored" : `score ${gif.score.toFixed(2)}`;
  const figure = make(
    "figure",
    { className: "gif" },
    play,
    make("figcaption", {}, make("b", {}, `#${gif.rank} ${clock(gif.start_s)}`), ` ${score}`, make("small", {}, gif.why.join(" · "))),
    make("div", { className: "row" }, mark("good", "Good"), mark("bad", "Bad"), change, fetch_),
  );
  figure.dataset.rank = gif.rank;
  figure.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "e") change.click();
    if (event.key === "g") setMark(gif.segment[0], gif.segment[1], verdict === "good" ? "none" : "good");
    if (event.key === "b") setMark(gif.segment[0], gif.segment[1], verdict === "bad" ? "none" : "bad");
  };
  return figure;
}

function playing(button, picture, gif) {
  if (!/\.(gif|webp|avif)$/.test(gif.file)) return;
  const play = () => { picture.src = media(gif.file); };
  const stop = () => { picture.src = media(gif.still); };
  for (const kind of ["mouseenter", "focus", "click"]) button.addEventListener(kind, play);
  for (const kind of ["mouseleave", "blur"]) button.addEventListener(kind, stop);
}

// Marks

const verdictOf = (start, end) => film.marks.find((mark) => near(mark.start_s, start) && near(mark.end_s, end))?.verdict ?? "none";

const setMark = attempt(async (start, end, verdict) => {
  const rank = document.activeElement?.closest?.("figure")?.dataset.rank;
  const pressed = document.activeElement?.className;
  film = await api(of("marks"), "POST", { start_s: start, end_s: end, verdict });
  showGifs();
  showMarks();
  showSpan();
  if (rank) document.querySelector(`figure[data-rank="${rank}"] button.${pressed || "play"}`)?.focus();
  await listVideos();
});

function showMarks() {
  const count = (word) => film.marks.filter((mark) => mark.verdict === word).length;
  $("marks-text").textContent = film.marks.length
    ? `Marked here: ${count("good")} good, ${count("bad")} bad.`
    : "Mark moments good or bad: the ranking can follow, and the next training learns from them.";
}

$("personalise").onclick = attempt(async () => {
  await api(of("personalise"), "POST");
  await refresh();
});

// The editor

function edit(start, end, isAsked = false) {
  span = { start, end };
  const room = Math.max(2, end - start);
  view = { start: Math.max(0, start - room), end: Math.min(film.duration_s, end + room) };
  const count = Math.max(2, Math.min(32, Math.round($("track").clientWidth / $("track").clientHeight)));
  $("window").src = of(`frames.jpg?start_s=${view.start.toFixed(3)}&end_s=${view.end.toFixed(3)}&count=${count}&height=96`);
  $("window").alt = `Frames from ${clock(view.start)} to ${clock(view.end)}`;
  showSpan();
  showEnds();
  if (isAsked) {
    $("editor").scrollIntoView({ block: "center" });
    $("start").focus({ preventScroll: true });
  }
}

function showSpan() {
  const at = (s) => `${(100 * (s - view.start)) / (view.end - view.start)}%`;
  const from = (s) => `${(100 * (view.end - s)) / (view.end - view.start)}%`;
  $("start").style.left = $("kept").style.left = at(span.start);
  $("end").style.left = at(span.end);
  $("kept").style.right = $("shade-right").style.left = "";
  $("kept").style.right = from(span.end);
  $("shade-left").style.right = from(span.start);
  $("shade-right").style.left = at(span.end);
  for (const which of ["start", "end"]) {
    $(which).setAttribute("aria-valuemin", view.start.toFixed(3));
    $(which).setAttribute("aria-valuemax", view.end.toFixed(3));
    $(which).setAttribute("aria-valuenow", span[which].toFixed(3));
    $(which).setAttribute("aria-valuetext", clock(span[which]));
  }
  $("span-text").textContent = `${clock(span.start)} – ${clock(span.end)}, ${(span.end - span.start).toFixed(2)} s`;
  for (const word of ["good", "bad"]) $(`span-${word}`).setAttribute("aria-pressed", verdictOf(span.start, span.end) === word);
}

let endsTimer = 0;
function showEnds() {
  clearTimeout(endsTimer);
  endsTimer = setTimeout(() => {
    const frame = (s) => of(`frames.jpg?start_s=${s.toFixed(3)}&end_s=${s.toFixed(3)}&count=1&height=120`);
    $("first").src = frame(span.start);
    $("last").src = frame(Math.max(span.start, span.end - 1 / film.fps));
    $("first").alt = `First frame, ${clock(span.start)}`;
    $("last").alt = `Last frame, ${clock(span.end)}`;
  }, 80);
}

function move(which, time) {
  const frame = Math.round(time * film.fps) / film.fps; // Only for the eye: the server takes real frames.
  if (which === "start") span.start = Math.max(view.start, Math.min(frame, span.end - LEAST_S));
  else span.end = Math.min(view.end, Math.max(frame, span.start + LEAST_S));
  showSpan();
  showEnds();
}

for (const which of ["start", "end"]) {
  const handle = $(which);
  handle.onpointerdown = (event) => {
    event.preventDefault();
    handle.focus();
    handle.setPointerCapture(event.pointerId);
  };
  handle.onpointermove = (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = $("track").getBoundingClientRect();
    move(which, view.start + ((event.clientX - box.left) / box.width) * (view.end - view.start));
  };
  handle.onkeydown = (event) => {
    const step = event.shiftKey ? 0.5 : 1 / film.fps;
    const to = { ArrowLeft: span[which] - step, ArrowRight: span[which] + step, Home: view.start, End: view.end }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(which, to);
  };
}

$("overview").onclick = (event) => {
  if (event.target.closest("button") || !film?.segments) return;
  const box = $("overview").getBoundingClientRect();
  const time = ((event.clientX - box.left) / box.width) * film.duration_s;
  const found = film.segments.find(([start, end]) => start <= time && time < end);
  if (found) edit(found[0], found[1], true);
};

for (const word of ["good", "bad"]) {
  $(`span-${word}`).onclick = () => setMark(span.start, span.end, verdictOf(span.start, span.end) === word ? "none" : word);
}

$("export").onsubmit = (event) => {
  event.preventDefault();
  attempt(async () => {
    const size = $("size").value;
    await api(of("exports"), "POST", {
      start_s: span.start,
      end_s: span.end,
      format: $("format").value,
      loop: $("loop").value,
      ...(size ? { max_bytes: Number(size) } : {}),
    });
    await refresh();
  })();
};

function showExports() {
  const shown = JSON.stringify(film.exports);
  if ($("exports").dataset.shown === shown) return;
  $("exports").dataset.shown = shown;
  $("exports").replaceChildren(...[...film.exports].reverse().map(exported));
}

function exported(one) {
  const where = `${clock(one.start_s)} – ${clock(one.end_s)}`;
  if (one.state === "failed") return make("li", { className: "bad" }, `${where}: ${one.reason}`);
  if (one.state !== "ready") return make("li", {}, `${where}: making the ${one.format}…`);
  const shown = one.format === "mp4" ? one.still : one.file;
  return make(
    "li",
    {},
    make("img", { src: media(shown), alt: `Export of ${where}` }),
    make("span", {}, `${where} · ${one.width}×${one.height} · ${Number(one.fps.toFixed(1))} frames a second · ${kB(one.bytes)}`),
    make("a", { href: `${media(one.file)}?download=true`, textContent: `Download ${one.file}`, download: one.file }),
  );
}

listVideos();
