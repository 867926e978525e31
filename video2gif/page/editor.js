// The part that is being edited: its two ends, on a track that shows it from near.
const LEAST_S = 0.1;
let span = { start: 0, end: 0 };
let view = { start: 0, end: 0 }; // What the track shows.

function edit(start, end, isAsked = false) {
  span = { start, end };
  look();
  goTo(start);
  showEnds();
  if (isAsked) {
    $("editor").scrollIntoView({ block: "center" });
    $("start").focus({ preventScroll: true });
  }
}

// Let the track show the part with as much again on both sides.
function look() {
  const room = Math.max(2, span.end - span.start);
  view = { start: Math.max(0, span.start - room), end: Math.min(film.duration_s, span.end + room) };
  const count = Math.max(2, Math.min(32, Math.round($("track").clientWidth / $("track").clientHeight)));
  $("window").src = of(`frames.jpg?start_s=${view.start.toFixed(3)}&end_s=${view.end.toFixed(3)}&count=${count}&height=96`);
  $("window").alt = `Frames from ${clock(view.start)} to ${clock(view.end)}`;
  showSpan();
}

function showSpan() {
  const at = (s) => `${(100 * (s - view.start)) / (view.end - view.start)}%`;
  const from = (s) => `${(100 * (view.end - s)) / (view.end - view.start)}%`;
  $("start").style.left = $("kept").style.left = at(span.start);
  $("end").style.left = $("shade-right").style.left = at(span.end);
  $("kept").style.right = from(span.end);
  $("shade-left").style.right = from(span.start);
  $("span-band").style.left = `${(100 * span.start) / film.duration_s}%`;
  $("span-band").style.width = `${(100 * (span.end - span.start)) / film.duration_s}%`;
  for (const which of ["start", "end"]) {
    $(which).setAttribute("aria-valuemin", view.start.toFixed(3));
    $(which).setAttribute("aria-valuemax", view.end.toFixed(3));
    $(which).setAttribute("aria-valuenow", span[which].toFixed(3));
    $(which).setAttribute("aria-valuetext", clock(span[which]));
  }
  $("span-text").textContent = `The part to save: ${clock(span.start)} to ${clock(span.end)}, ${(span.end - span.start).toFixed(2)} seconds.`;
  for (const word of ["good", "bad"]) $(`span-${word}`).setAttribute("aria-pressed", verdictOf(span.start, span.end) === word);
}

let endsTimer = 0;
function showEnds() {
  clearTimeout(endsTimer);
  endsTimer = setTimeout(() => {
    const picture = (s) => of(`frames.jpg?start_s=${s.toFixed(3)}&end_s=${s.toFixed(3)}&count=1&height=120`);
    $("first-frame").src = picture(span.start);
    $("last-frame").src = picture(Math.max(span.start, span.end - 1 / film.fps));
    $("first-frame").alt = `First frame, ${clock(span.start)}`;
    $("last-frame").alt = `Last frame, ${clock(span.end)}`;
  }, 80);
}

// Only for the eye: the server takes real frames.
const onFrame = (time) => Math.round(time * film.fps) / film.fps;

function move(which, time) {
  if (which === "start") span.start = Math.max(view.start, Math.min(onFrame(time), span.end - LEAST_S));
  else span.end = Math.min(view.end, Math.max(onFrame(time), span.start + LEAST_S));
  showSpan();
  showEnds();
}

// In and out points: where the film stands. An end that would pass the other one takes it along.
function setEnd(which) {
  if (!film?.segments) return;
  const time = Math.max(0, Math.min(onFrame(now()) + (which === "end" ? 1 / film.fps : 0), film.duration_s));
  const length_s = Math.max(LEAST_S, span.end - span.start);
  if (which === "start") span = { start: time, end: span.end > time + LEAST_S ? span.end : Math.min(film.duration_s, time + length_s) };
  else span = { start: span.start < time - LEAST_S ? span.start : Math.max(0, time - length_s), end: time };
  look();
  showEnds();
}
$("set-in").onclick = () => setEnd("start");
$("set-out").onclick = () => setEnd("end");

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

for (const word of ["good", "bad"]) {
  $(`span-${word}`).onclick = () => setMark(span.start, span.end, verdictOf(span.start, span.end) === word ? "none" : word);
}
