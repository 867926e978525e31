// The films of the folder: picture, name, length, state; and which of them is chosen.
const STATES = { new: "not looked at yet", ready: "moments found", failed: "cannot be used" };
const cards = new Map(); // Name → its button: a picture is not asked for twice.
let lengthsTimer = 0;

function shelfCard(video) {
  const known = cards.get(video.name);
  if (known) return known;
  const picture = make("img", { className: "thumb", alt: "", loading: "lazy", src: `/api/videos/${encodeURIComponent(video.name)}/poster.jpg` });
  // With its picture the server knows its length.
  picture.onload = () => {
    clearTimeout(lengthsTimer);
    lengthsTimer = setTimeout(listVideos, 200);
  };
  picture.onerror = () => picture.replaceWith(make("span", { className: "thumb" }));
  const button = make("button", { type: "button" }, picture,
    make("span", { className: "name", textContent: video.name }),
    make("span", { className: "facts-line" }),
    make("progress", { max: 1, hidden: true }));
  button.dataset.video = video.name;
  button.onclick = () => choose(video.name, true);
  cards.set(video.name, button);
  return button;
}

function showCard(video) {
  const button = shelfCard(video);
  const state = isBusy(video) ? (video.state === "waiting" ? "waiting" : "working…") : STATES[video.state];
  const facts = [video.duration_s ? short(video.duration_s) : "", state, video.marks ? `${video.marks} marked` : ""];
  button.querySelector(".facts-line").textContent = facts.filter(Boolean).join(" · ");
  const bar = button.querySelector("progress");
  bar.hidden = video.state !== "working";
  bar.value = video.share;
  bar.setAttribute("aria-label", `Progress of ${video.name}`);
  button.setAttribute("aria-current", video.name === name);
  return button;
}

let shelfTimer = 0;
const listVideos = attempt(async () => {
  clearTimeout(shelfTimer);
  const { videos } = await api("/api/videos");
  const names = videos.map((video) => video.name);
  for (const gone of [...cards.keys()].filter((one) => !names.includes(one))) cards.delete(gone);
  const now = [...$("shelf").querySelectorAll("button")].map((one) => one.dataset.video);
  const buttons = videos.map(showCard);
  // Moving a node would take the focus from it.
  if (now.join("\n") !== names.join("\n")) $("shelf").replaceChildren(...buttons.map((one) => make("li", {}, one)));
  $("first").hidden = videos.length > 0;
  if (videos.some(isBusy)) shelfTimer = setTimeout(listVideos, 1500);
});

const choose = attempt(async (chosen, isAsked = false) => {
  name = chosen;
  film = null;
  span = { start: 0, end: 0 };
  $("exports").replaceChildren();
  delete $("exports").dataset.shown;
  for (const id of ["results", "progress", "failed", "stopped"]) $(id).hidden = true;
  $("film").hidden = false;
  $("film-title").textContent = chosen;
  $("film-facts").textContent = "";
  say("");
  showFilm();
  if (isAsked) $("film").scrollIntoView({ block: "start" });
  await start();
});

const start = attempt(async () => {
  await api(of("start"), "POST");
  await refresh();
});

for (const button of document.querySelectorAll(".again")) button.onclick = start;
$("stop").onclick = attempt(async () => {
  $("stop").disabled = true;
  await api(of("stop"), "POST");
  await refresh();
});
$("sample").onclick = attempt(async () => {
  $("sample").disabled = true;
  say("Drawing the sample film: a few seconds …");
  try {
    const { name: kept } = await api("/api/sample", "POST");
    await choose(kept);
  } finally {
    $("sample").disabled = false;
  }
});
