// The score curve, the ranked moments and the marks.
const NS = "http://www.w3.org/2000/svg";
const drawn = (tag, attributes) => {
  const node = document.createElementNS(NS, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};

function curve() {
  const svg = drawn("svg", { viewBox: "0 0 720 76", preserveAspectRatio: "none", role: "img", "aria-label": `How much each part of ${name} promises, over time` });
  const scores = film.segments.map((one) => one[2]).filter((score) => score !== null);
  const low = Math.min(...scores), high = Math.max(...scores);
  for (const part of film.segments) {
    const [start, end, score] = part;
    if (score === null) continue;
    const y = 72 - (62 * (score - low)) / (high - low || 1);
    const [x0, x1] = [start, end].map((s) => (720 * s) / film.duration_s);
    const path = drawn("path", { class: "step", d: `M${x0.toFixed(1)} 76V${y.toFixed(1)}H${x1.toFixed(1)}V76Z` });
    const title = drawn("title", {});
    title.textContent = `${short(start)}–${short(end)}: rated ${rankOf(part)} of ${film.segments.length}, score ${score.toFixed(2)}`;
    path.append(title);
    svg.append(path);
  }
  return svg;
}

const TICKS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];
function axis() {
  const svg = drawn("svg", { class: "axis", "aria-hidden": "true" });
  const most = $("overview").clientWidth < 500 ? 4 : 10;
  const step = TICKS.find((one) => film.duration_s / one <= most) ?? 14400;
  for (let time = 0; time <= film.duration_s; time += step) {
    const share = (100 * time) / film.duration_s;
    const text = drawn("text", { x: `${share}%`, y: 13, class: share < 3 ? "" : share > 96 ? "end" : "mid" });
    text.textContent = short(time);
    svg.append(text);
  }
  return svg;
}

const showCurve = () => $("curve").replaceChildren(curve(), axis());
addEventListener("resize", () => { if (film?.segments) showCurve(); });

function showGifs() {
  $("gifs").replaceChildren(...film.gifs.map(card));
  $("bands").replaceChildren(
    ...film.gifs.map((gif, number) => {
      const band = make("button", { type: "button", className: "band", textContent: number + 1 });
      band.title = `Moment ${number + 1}: ${clock(gif.start_s)}–${clock(gif.end_s)}`;
      band.setAttribute("aria-label", `${number + 1}: take this moment, at ${clock(gif.start_s)}`);
      band.style.left = `min(${(100 * gif.start_s) / film.duration_s}%, calc(100% - 24px))`;
      band.style.width = `${(100 * (gif.end_s - gif.start_s)) / film.duration_s}%`;
      band.onclick = () => edit(gif.start_s, gif.end_s);
      return band;
    }),
  );
  const few = film.gifs.length < 6 ? ` Only ${film.gifs.length}: the rest of the film shows the same, or nothing that makes a GIF.` : "";
  $("ranked-title").textContent = `The best moments${few ? "." + few : ""}`;
  $("zip").href = of("gifs.zip");
  $("share").href = of("share.html");
}

function card(gif, index) {
  const number = index + 1;
  const picture = make("img", { src: media(gif.still), alt: `Moment ${number} of ${name}, ${clock(gif.start_s)} to ${clock(gif.end_s)}` });
  const play = make("button", { type: "button", className: "play" }, picture);
  play.setAttribute("aria-label", `Play moment ${number}`);
  playing(play, picture, gif);
  const verdict = verdictOf(gif.segment[0], gif.segment[1]);
  const turned = (word) => setMark(gif.segment[0], gif.segment[1], verdict === word ? "none" : word);
  const mark = (word, text) => {
    const button = make("button", { type: "button", textContent: text, className: word, onclick: () => turned(word) });
    button.setAttribute("aria-pressed", verdict === word);
    button.setAttribute("aria-label", `${text}: moment ${number}`);
    return button;
  };
  const button = (text, onclick) => {
    const made = make("button", { type: "button", textContent: text, onclick });
    made.setAttribute("aria-label", `${text} moment ${number}`);
    return made;
  };
  const actions = {
    e: () => edit(gif.start_s, gif.end_s, true),
    g: () => turned("good"),
    b: () => turned("bad"),
    c: () => copy(gif),
  };
  const figure = make("figure", { className: "gif" }, play,
    make("figcaption", {}, make("b", {}, `${number}.`), ` ${clock(gif.start_s)} to ${clock(gif.end_s)}`,
      make("span", { className: "why", textContent: gif.why }), details(gif)),
    make("div", { className: "row" }, mark("good", "Good"), mark("bad", "Bad"), button("Edit", actions.e),
      ...(canCopy() ? [button("Copy", actions.c)] : []), downloadLink(gif, "Download")));
  figure.dataset.rank = gif.rank;
  figure.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
    event.stopPropagation();
    actions[event.key]();
  };
  return figure;
}

function details(gif) {
  const items = gif.details.map((text) => make("li", { textContent: text }));
  return make("details", {}, make("summary", { textContent: "Details" }), make("ul", {}, ...items));
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
    ? `You marked ${count("good")} good, ${count("bad")} bad.`
    : "Mark moments good or bad: the order can follow, and the next training learns from it.";
  $("personalise").disabled = film.marks.length === 0 && !film.is_personal;
}

$("personalise").onclick = attempt(async () => {
  await api(of("personalise"), "POST");
  await refresh();
});
