// What leaves the page: saved parts, downloads, the clipboard.
$("export").onsubmit = (event) => {
  event.preventDefault();
  attempt(async () => {
    const size = $("size").value;
    await api(of("exports"), "POST", {
      start_s: span.start,
      end_s: span.end,
      format: $("format").value,
      loop: $("loop").value,
      name: $("name").value.trim(),
      ...(size ? { max_bytes: Number(size) } : {}),
    });
    $("name").value = "";
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
  const where = `${clock(one.start_s)} to ${clock(one.end_s)}`;
  if (one.state === "failed") {
    return make("li", { className: "bad" }, `${where}: ${one.why} ${one.remedy}`);
  }
  if (one.state !== "ready") return make("li", {}, `${where}: making the ${one.format} …`);
  const shown = one.format === "mp4" ? one.still : one.file;
  const copying = make("button", { type: "button", textContent: "Copy", onclick: () => copy(one) });
  copying.setAttribute("aria-label", `Copy ${one.file}`);
  return make("li", {},
    make("img", { src: media(shown), alt: `Saved part, ${where}` }),
    make("span", {}, `${where} · ${one.width}×${one.height} · ${Number(one.fps.toFixed(1))} frames a second · ${kB(one.bytes)}`),
    downloadLink(one, `Download ${one.file}`),
    ...(canCopy() && one.format !== "mp4" ? [copying] : []));
}

function downloadLink(one, text) {
  const link = make("a", { className: "button", href: `${media(one.file)}?download=true`, textContent: text, download: one.file });
  if (!text.includes(one.file)) link.setAttribute("aria-label", `${text} ${one.file}`);
  return link;
}

// The clipboard. Browsers take no GIF as a picture; in a mail or a document it may stand as HTML.
const canCopy = () => Boolean(navigator.clipboard?.write && window.ClipboardItem);

const asDataUrl = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(blob);
});

const copy = attempt(async (one) => {
  const fetched = fetch(media(one.file)).then((answer) => answer.blob());
  const type = `image/${one.file.split(".").pop()}`;
  if (ClipboardItem.supports?.(type)) {
    await navigator.clipboard.write([new ClipboardItem({ [type]: fetched })]);
    return say("Copied.");
  }
  const html = fetched.then(asDataUrl).then((url) => new Blob([`<img src="${url}" alt="${clock(one.start_s)}">`], { type: "text/html" }));
  await navigator.clipboard.write([new ClipboardItem({ "text/html": html })]);
  say("Copied. Paste it into a mail or a document; where only files are taken, use Download.");
});
