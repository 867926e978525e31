// A still picture plays its GIF while it is hovered, focused or pressed.
"use strict";
for (const button of document.querySelectorAll(".gif .play")) {
  const image = button.querySelector("img");
  const film = button.querySelector("video"); // An MP4 is no picture.
  const still = image?.getAttribute("src");
  const play = () => { if (film) film.play().catch(() => {}); else image.src = button.dataset.gif; };
  const stop = () => { if (film) { film.pause(); film.load(); } else image.src = still; };
  for (const kind of ["mouseenter", "focus", "click"]) button.addEventListener(kind, play);
  for (const kind of ["mouseleave", "blur"]) button.addEventListener(kind, stop);
}
// A link may lead into a fold.
addEventListener("hashchange", () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const fold = target?.closest("details");
  if (fold) fold.open = true;
  target?.scrollIntoView();
});
// On paper nothing can be unfolded.
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details:not([open])")) {
    fold.open = true;
    fold.dataset.wasShut = "1";
  }
  for (const image of document.querySelectorAll("img[loading]")) image.loading = "eager";
});
addEventListener("afterprint", () => {
  for (const fold of document.querySelectorAll("details[data-was-shut]")) {
    fold.open = false;
    delete fold.dataset.wasShut;
  }
});
