// Keys for the film. They are left alone where somebody writes, or where a control has them itself.
const FASTER = 2, FASTEST = 8;

const faster = (direction) => {
  const goesOn = speed * direction > 0 && (backwards || !player.paused);
  playOn(goesOn ? direction * Math.min(FASTEST, Math.abs(speed) * FASTER) : direction);
};
const step = (event, direction) => {
  stopPlaying();
  goTo(now() + direction * (event.shiftKey ? 1 : frame()));
};

const KEYS = {
  " ": toggle,
  k: toggle,
  j: () => faster(-1),
  l: () => faster(1),
  i: () => setEnd("start"),
  o: () => setEnd("end"),
  p: playSpan,
  ArrowLeft: (event) => step(event, -1),
  ArrowRight: (event) => step(event, 1),
  Home: () => goTo(0),
  End: () => goTo(length()),
};

document.addEventListener("keydown", (event) => {
  if ($("film").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  const isControl = target.closest?.("input, select, textarea, .handle, summary") || target.isContentEditable;
  if (isControl || (event.key === " " && target.closest?.("button, a"))) return;
  if ((event.key === "Home" || event.key === "End") && target !== $("clock")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const gif = /^[1-9]$/.test(key) ? film?.gifs?.[Number(key) - 1] : null;
  const act = gif ? () => edit(gif.start_s, gif.end_s) : KEYS[key];
  if (!act) return;
  event.preventDefault();
  act(event);
});
