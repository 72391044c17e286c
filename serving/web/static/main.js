// The page: which model, which picture, and who is told.

import { ask, Latest, Refused } from "./ask.js";
import { EXAMPLES } from "./examples.js";
import { Pen } from "./pen.js";
import { paintPlanes, show, showNothing } from "./results.js";

const $ = (id) => document.getElementById(id);
const LARGEST_FILE = 20 * 2 ** 20; // the server's limit

let model = null; // what the server says about it
let wanted = null; // its name
let why = null; // id of the class that the heat map is to speak of; null: the answer
let file = null; // the picture that was chosen last, if it is not a drawing

const pen = new Pen($("drawing"), $("pen"), (finished) => {
  file = null;
  why = null;
  showBoard();
  if (pen.empty) {
    latest.cancel();
    showNothing();
    complain(null);
  } else {
    askAbout(finished);
  }
});

const latest = new Latest(async (work, signal) => {
  const started = performance.now();
  try {
    const { kind, body, how } = await work();
    const query = why === null ? "" : `?class=${why}`;
    const answer = await ask(
      `api/models/${encodeURIComponent(model.name)}/${kind}${query}`,
      { method: "POST", body, signal, headers: { "Content-Type": "application/octet-stream" } },
    );
    showModel(answer.model);
    show(answer, performance.now() - started, how, askWhy);
    complain(null);
  } catch (error) {
    if (error.name !== "AbortError") fail(error);
  }
});

function askAbout(finished) {
  if (model === null) {
    // The server or the model was not there when the page asked what it is.
    if (finished && wanted !== null) useModel(wanted);
    return;
  }
  if (file === null && (pen.empty || !model.grey)) return;
  const chosen = file;
  const kind = chosen === null ? "drawing" : $("photo").checked ? "photo" : "file";
  const how = {
    drawing: "cut out, scaled and centred by its mass, as MNIST’s digits were",
    photo: "cut out of the photograph, scaled and centred as MNIST’s digits were",
    file: "scaled to the size that the model takes",
  }[kind];
  latest.offer(async () => ({ kind, how, body: chosen ?? (await pen.blob()) }), finished);
}

function askWhy(id) {
  why = id;
  askAbout(true);
}

function complain(sentence) {
  $("error").hidden = sentence === null;
  $("error").textContent = sentence ?? "";
}

function fail(error) {
  if (!(error instanceof Refused)) throw error;
  showNothing();
  complain(error.message);
}

function showModel(description) {
  model = description;
  const { version, height, width, grey, classes } = model;
  $("model-facts").textContent =
    `version ${version} · ${height} × ${width} pixels, ${grey ? "grey" : "in colour"}` +
    (classes ? ` · ${classes} classes` : "");
  $("examples").hidden = $("undo").hidden = $("clear").hidden = !grey;
  $("drawing-keys").hidden = !grey;
  showBoard();
}

function showBoard() {
  const drawable = model === null || model.grey;
  $("drawing").hidden = file !== null || !drawable;
  $("shown").hidden = file === null && drawable;
  $("invitation").hidden = file !== null || !pen.empty;
  $("invitation").textContent = drawable ? "Draw a digit here" : "Choose, drop or paste a picture";
  $("undo").disabled = pen.empty || file !== null;
  $("clear").disabled = pen.empty && file === null;
  $("photo-line").hidden = file === null || !drawable;
}

async function useModel(name) {
  latest.cancel();
  wanted = name;
  why = null;
  model = null;
  showNothing();
  $("model-facts").textContent = "";
  try {
    showModel(await ask(`api/models/${encodeURIComponent(name)}`));
    complain(null);
    askAbout(true);
  } catch (error) {
    fail(error);
  }
}

async function useFile(chosen) {
  if (chosen.size > LARGEST_FILE) {
    complain(`A picture may have up to ${LARGEST_FILE / 2 ** 20} MB; ` +
      `${chosen.name} has ${(chosen.size / 2 ** 20).toFixed(0)}.`);
    return;
  }
  file = chosen;
  why = null;
  showBoard();
  const context = $("shown").getContext("2d");
  const { width, height } = $("shown");
  context.clearRect(0, 0, width, height);
  askAbout(true);
  try {
    const picture = await createImageBitmap(chosen);
    if (file !== chosen) return;
    const scale = Math.min(width / picture.width, height / picture.height);
    const [wide, high] = [picture.width * scale, picture.height * scale];
    context.imageSmoothingEnabled = scale < 4;
    context.drawImage(picture, (width - wide) / 2, (height - high) / 2, wide, high);
  } catch {
    // What the browser cannot show, TIFF for one, the server may still read.
  }
}

function clear() {
  file = null;
  $("file").value = "";
  pen.clear();
}

EXAMPLES.forEach((_, digit) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = digit;
  button.ariaLabel = `Draw a ${digit}`;
  button.addEventListener("click", () => pen.draw(digit));
  $("examples").append(button);
});
$("undo").addEventListener("click", () => pen.undo());
$("clear").addEventListener("click", clear);
$("choose").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => {
  if ($("file").files.length) useFile($("file").files[0]);
});
$("photo").addEventListener("change", () => askAbout(true));
document.addEventListener("paste", (event) => {
  const [pasted] = event.clipboardData.files;
  if (pasted) useFile(pasted);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [dropped] = event.dataTransfer.files;
  if (dropped) useFile(dropped);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paintPlanes);
$("model-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!$("model-name").hidden) useModel($("model-name").value.trim());
});
$("model-choice").addEventListener("change", () => useModel($("model-choice").value));

async function start() {
  let known;
  try {
    known = await ask("api/models");
  } catch (error) {
    return fail(error);
  }
  $("server").textContent = known.server;
  if (known.models.length === 0) {
    for (const id of ["model-name", "model-name-label", "model-use"]) $(id).hidden = false;
    return complain(null);
  }
  for (const id of ["model-choice", "model-choice-label"]) $(id).hidden = false;
  $("model-choice").replaceChildren(...known.models.map((name) => new Option(name)));
  await useModel(known.models[0]);
}

start();
