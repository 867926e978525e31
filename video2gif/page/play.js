// A still picture plays its GIF while it is hovered, focused or pressed.
for (const button of document.querySelectorAll(".gif button")) {
  const image = button.querySelector("img");
  const still = image.getAttribute("src");
  const play = () => { image.src = button.dataset.gif; };
  const stop = () => { image.src = still; };
  button.addEventListener("mouseenter", play);
  button.addEventListener("mouseleave", stop);
  button.addEventListener("focus", play);
  button.addEventListener("blur", stop);
  button.addEventListener("click", play);
}
