// The film itself: play, stop, go to a place; the timeline below it and the frame under the pointer.
// Where the browser cannot play it, single pictures from the server take its place.
const player = $("player"), hoverFilm = $("hover-film");
let canPlay = true;
let place = 0; // Seconds; the player's own time where it plays.
let until = null; // The end of the part that is played again and again.
let speed = 0; // Of J and L: below 0 backwards.
let backwards = 0; // Timer of playing backwards, which no browser does itself.

function showFilm() {
  stopPlaying();
  canPlay = true;
  place = 0;
  const source = `/film/${encodeURIComponent(name)}`;
  for (const one of [player, hoverFilm]) one.src = source;
  for (const id of ["still", "hover-still", "unplayable"]) $(id).hidden = true;
  $("watch").hidden = false;
  for (const one of [player, hoverFilm]) one.hidden = false;
  player.setAttribute("aria-label", `The film ${name}`);
  showPlace();
}

player.addEventListener("error", () => {
  if (!player.getAttribute("src")) return;
  canPlay = false;
  if (film) showState();
  for (const one of [player, hoverFilm]) { one.hidden = true; one.removeAttribute("src"); }
  $("still").hidden = $("hover-still").hidden = $("unplayable").hidden = false;
  showStill();
});

const length = () => film?.duration_s ?? (Number.isFinite(player.duration) ? player.duration : 0);
const frame = () => 1 / (film?.fps || 25);
const now = () => (canPlay && !player.seeking ? player.currentTime : place);

function goTo(seconds) {
  // Not to the very end, where no frame is shown any more.
  place = Math.max(0, Math.min(seconds, Math.max(0, length() - frame() / 2)));
  if (canPlay) player.currentTime = place;
  showPlace();
  showStill();
}

let stillTimer = 0;
function showStill() {
  if (canPlay || !film?.duration_s) return;
  clearTimeout(stillTimer);
  stillTimer = setTimeout(() => {
    const at = Math.min(place, film.duration_s).toFixed(3);
    $("still").src = of(`frames.jpg?start_s=${at}&end_s=${at}&count=1&height=360`);
    $("still").alt = `${name} at ${clock(place)}`;
  }, 120);
}

function showPlace() {
  const time = now(), whole = length();
  $("time").textContent = whole ? `${clock(time)} of ${short(whole)}` : clock(time);
  $("clock").style.left = `${whole ? (100 * time) / whole : 0}%`;
  $("clock").setAttribute("aria-valuemax", whole.toFixed(2));
  $("clock").setAttribute("aria-valuenow", time.toFixed(2));
  $("clock").setAttribute("aria-valuetext", clock(time));
  $("play").textContent = player.paused && !backwards ? "Play" : "Pause";
}

function stopPlaying() {
  clearInterval(backwards);
  backwards = 0;
  speed = 0;
  until = null;
  player.pause();
  player.playbackRate = 1;
  showPlace();
}

function playOn(rate = 1) {
  clearInterval(backwards);
  backwards = 0;
  if (!canPlay) return say("This browser cannot play this kind of film: go through it with the arrow keys.");
  speed = rate;
  if (rate > 0) {
    player.playbackRate = rate;
    player.play().catch(() => {});
  } else {
    player.pause();
    backwards = setInterval(() => {
      goTo(now() + rate / 10);
      if (place <= 0) stopPlaying();
    }, 100);
  }
  showPlace();
}

function toggle() {
  if (player.paused && !backwards) playOn();
  else stopPlaying();
}

function playSpan() {
  stopPlaying();
  goTo(span.start);
  until = span.end;
  playOn();
}

player.addEventListener("timeupdate", showPlace);
for (const kind of ["play", "pause", "seeked", "loadedmetadata"]) player.addEventListener(kind, showPlace);
player.onclick = toggle;
$("play").onclick = toggle;
$("play-span").onclick = playSpan;
// `timeupdate` comes four times a second, which is too seldom for the end of a part.
(function watch() {
  if (until !== null && !player.paused && player.currentTime >= until - frame() / 2) player.currentTime = span.start;
  if (!player.paused) showPlace();
  requestAnimationFrame(watch);
})();

// The timeline

const timeUnder = (event) => {
  const box = $("overview").getBoundingClientRect();
  return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * length();
};
$("overview").addEventListener("pointerdown", (event) => {
  if (event.target.closest("button") || !film?.duration_s || event.button) return;
  stopPlaying();
  goTo(timeUnder(event));
  $("overview").setPointerCapture(event.pointerId);
});
$("overview").addEventListener("pointermove", (event) => {
  if (!film?.duration_s) return;
  if ($("overview").hasPointerCapture(event.pointerId)) goTo(timeUnder(event));
  if (event.pointerType === "mouse") showHover(event);
});
$("overview").addEventListener("pointerleave", () => { $("hover").hidden = true; });

let wanted = null; // Where the small film is to go once it has come to where it goes.
function showHover(event) {
  const box = $("overview").getBoundingClientRect(), time = timeUnder(event);
  const half = 88;
  $("hover").hidden = false;
  $("hover").style.left = `${Math.max(0, Math.min(event.clientX - box.left - half, box.width - 2 * half))}px`;
  const part = film.segments?.find(([from, to]) => from <= time && time < to);
  const rank = part ? rankOf(part) : null;
  $("hover-time").textContent = clock(time) + (rank ? ` · rated ${rank} of ${film.segments.length}` : "");
  wanted = time;
  seekHover();
}

function rankOf(part) {
  if (part[2] === null) return null;
  return 1 + film.segments.filter((one) => one[2] !== null && one[2] > part[2]).length;
}

let hoverBusy = false;
function seekHover() {
  if (wanted === null || hoverBusy) return;
  const time = wanted;
  wanted = null;
  if (canPlay) {
    if (hoverFilm.readyState) { hoverBusy = true; hoverFilm.currentTime = time; }
    return;
  }
  hoverBusy = true;
  $("hover-still").src = of(`frames.jpg?start_s=${time.toFixed(1)}&end_s=${time.toFixed(1)}&count=1&height=100`);
}
for (const [one, kind] of [[hoverFilm, "seeked"], [hoverFilm, "error"], [$("hover-still"), "load"], [$("hover-still"), "error"]])
  one.addEventListener(kind, () => { hoverBusy = false; seekHover(); });
