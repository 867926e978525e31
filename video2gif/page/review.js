// What the server says of the chosen film, and when it is asked again.
let timer = 0;

const refresh = attempt(async () => {
  clearTimeout(timer);
  if (!name) return;
  const asked = name;
  const found = await api(`/api/videos/${encodeURIComponent(name)}`);
  if (asked !== name) return; // Another was chosen meanwhile.
  const before = film;
  film = found;
  showState();
  showExports();
  const isNew = !before || before.state !== film.state || before.is_personal !== film.is_personal;
  if (film.segments && isNew && film.state === "ready") showResults();
  if (isNew) await listVideos();
  if (isBusy(film) || film.exports.some(isBusy)) timer = setTimeout(refresh, 400);
});

// One of three: it is being worked on, it was stopped, it failed.
function showState() {
  $("progress").hidden = !isBusy(film);
  $("stopped").hidden = film.state !== "new";
  $("failed").hidden = film.state !== "failed";
  $("watch").hidden = film.state === "failed" && !canPlay;
  $("stop").disabled = false;
  for (const id of ["set-in", "set-out", "play-span"]) $(id).disabled = !film.segments;
  if (isBusy(film)) {
    $("progress-bar").value = film.state === "working" ? film.share : 0;
    const text = working(film);
    $("progress-text").textContent = text[0].toUpperCase() + text.slice(1);
  }
  $("failed-why").textContent = film.why;
  $("failed-remedy").textContent = film.remedy;
  $("failed-detail").textContent = film.reason;
}

function showResults() {
  const size = `${film.width}×${film.height}, ${film.fps.toFixed(2).replace(/\.?0+$/, "")} frames a second`;
  const order = film.is_personal ? "in the order of your marks" : "compared";
  $("film-facts").textContent = `${short(film.duration_s)} long, ${size}, ${film.segments.length} moments ${order}`;
  $("results").hidden = false;
  $("strip").src = of("strip.jpg");
  $("strip").alt = `Frames of ${name} from start to end`;
  showCurve();
  showGifs();
  showMarks();
  showPlace();
  showStill();
  if (film.gifs.length && span.end === 0) edit(film.gifs[0].start_s, film.gifs[0].end_s);
}

listVideos();
