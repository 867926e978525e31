// What all scripts of the review page use. They run as one, in the order of page/render.py.
"use strict";
const $ = (id) => document.getElementById(id);
let film = null; // What the server said last of the chosen film.
let name = ""; // Of the chosen film.

function make(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function say(text, isBad = false) {
  $("said").textContent = text;
  $("said").classList.toggle("bad", isBad);
}

async function api(path, method = "GET", body = undefined) {
  const options = { method, headers: { "X-Video2gif": "1" } };
  if (method !== "GET") {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body ?? {});
  }
  const answer = await fetch(path, options).catch(() => {
    throw new Error("The server does not answer. Is `video2gif serve` still running? Start it, then reload this page.");
  });
  const content = await answer.json().catch(() => ({ detail: answer.statusText }));
  if (!answer.ok) throw new Error(content.why ? `${content.why} ${content.remedy}` : content.detail);
  return content;
}

const of = (file) => `/api/videos/${encodeURIComponent(name)}/${file}`;
const media = (file) => `/media/${encodeURIComponent(name)}/${encodeURIComponent(file)}`;
// Work that may fail says why in the page's one line for that.
const attempt = (work) => (...given) => work(...given).catch((error) => say(error.message, true));
const isBusy = (one) => one.state === "waiting" || one.state === "working";

function clock(seconds, digits = 2) {
  const whole = Math.floor(seconds), hours = Math.floor(whole / 3600);
  const rest = (seconds % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}
const short = (seconds) => clock(Math.floor(seconds), 0);
const kB = (bytes) => (bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const near = (a, b) => Math.abs(a - b) < 0.002;

const STEPS = {
  check: [1, "looking into the file"],
  decode: [2, "watching the film"],
  transnetv2: [3, "looking for cuts"],
  features: [3, "looking at what is in the pictures"],
  filmstrip: [4, "making the filmstrip"],
  encode: [5, "making the GIFs"],
};

// Step, share and time left of a film that is being worked on, in words.
function working(one) {
  if (one.state === "waiting") return "waiting until the films before it are done";
  const [number, text] = STEPS[one.stage] ?? [1, "starting"];
  return `step ${number} of 5: ${text}, ${Math.round(100 * one.share)} %${left(one.left_s)}`;
}

function left(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 5) return ", a few seconds left";
  if (seconds < 90) return `, about ${Math.ceil(seconds / 5) * 5} seconds left`;
  return `, about ${Math.round(seconds / 60)} minutes left`;
}
