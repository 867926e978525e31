// Films that are added: chosen or dropped, several at once, each with its own line.
// XMLHttpRequest, because fetch tells no progress.
function upload(file, row) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `/api/uploads/${encodeURIComponent(file.name)}`);
    request.setRequestHeader("X-Video2gif", "1");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.onprogress = (event) => row.tell(event.loaded / event.total, `${kB(event.loaded)} of ${kB(event.total)}`);
    request.upload.onload = () => row.tell(1, "looking into the file …");
    request.onload = () => {
      if (request.status === 201) resolve(request.response.name);
      else reject(request.response ?? { detail: request.statusText });
    };
    request.onerror = () => reject({ why: "The upload broke off.", remedy: "Is the server still running? Try again." });
    request.onabort = () => reject(null);
    row.stop.onclick = () => request.abort();
    request.send(file);
  });
}

function uploadRow(file) {
  const text = make("span", { textContent: "waiting" });
  const bar = make("progress", { max: 1, value: 0 });
  bar.setAttribute("aria-label", `How much of ${file.name} has been added`);
  const stop = make("button", { type: "button", textContent: "Stop" });
  stop.setAttribute("aria-label", `Do not add ${file.name}`);
  const line = make("div", { className: "row" }, make("b", { textContent: file.name }), text, stop);
  const item = make("li", {}, line, bar);
  $("uploads").append(item);
  const row = { item, stop, wanted: true };
  stop.onclick = () => { row.wanted = false; item.remove(); };
  row.tell = (share, words) => { bar.value = share; text.textContent = words; };
  // Why it failed and what to do stand where the file stands, until a person has read it.
  row.fail = (found) => {
    bar.remove();
    item.classList.add("failed");
    text.textContent = found.why ?? found.detail;
    stop.textContent = "Close";
    stop.setAttribute("aria-label", `Close the message about ${file.name}`);
    stop.onclick = () => item.remove();
    if (found.remedy) item.append(make("p", { textContent: found.remedy }));
    if (found.reason) item.append(make("details", {}, make("summary", { textContent: "Details" }), found.reason));
  };
  return row;
}

const uploadAll = attempt(async (files) => {
  const rows = files.map((file) => [file, uploadRow(file)]);
  $("file").value = "";
  for (const [file, row] of rows) {
    if (!row.wanted) continue;
    try {
      const kept = await upload(file, row);
      row.item.remove();
      await (name && film && film.state !== "failed" ? listVideos() : choose(kept));
    } catch (found) {
      if (found) row.fail(found);
      else row.item.remove();
    }
  }
  await listVideos();
});

$("file").onchange = () => uploadAll([...$("file").files]);
// The whole window takes a drop. A drag enters and leaves every element that it passes.
let inside = 0;
const over = (change) => {
  inside = change ? Math.max(0, inside + change) : 0;
  document.body.classList.toggle("over", inside > 0);
};
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("dragenter", () => over(1));
document.addEventListener("dragleave", () => over(-1));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  over(0);
  uploadAll([...event.dataTransfer.files]);
});
