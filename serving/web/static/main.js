// The page: the choice of model and image, and the requests that follow.

import { EXAMPLES } from "./examples.js";
import { Pen } from "./pen.js";
import { LatestRequest, request, RequestError } from "./requests.js";
import { paintPlanes, show, showEmpty } from "./results.js";

const $ = (id) => document.getElementById(id);
const MAX_FILE_BYTES = 20 * 2 ** 20; // the server's limit

let model = null; // its description by the server
let modelName = null;
let explained = null; // id of the class of the heat map; null: the predicted class
let file = null; // the image file, null for a drawing

const pen = new Pen($("drawing"), $("pen"), (finished) => {
  file = null;
  explained = null;
  showBoard();
  if (pen.empty) {
    latest.cancel();
    showEmpty();
    showError(null);
  } else {
    analyse(finished);
  }
});

const latest = new LatestRequest(async (image, signal) => {
  const started = performance.now();
  try {
    const { kind, body, preparation } = await image();
    const query = explained === null ? "" : `?class=${explained}`;
    const analysis = await request(
      `api/models/${encodeURIComponent(model.name)}/${kind}${query}`,
      { method: "POST", body, signal, headers: { "Content-Type": "application/octet-stream" } },
    );
    showModel(analysis.model);
    show(analysis, performance.now() - started, preparation, explainClass);
    showError(null);
  } catch (error) {
    if (error.name !== "AbortError") fail(error);
  }
});

function analyse(finished) {
  if (model === null) {
    // The server or the model was not there when its description was requested.
    if (finished && modelName !== null) useModel(modelName);
    return;
  }
  if (file === null && (pen.empty || !model.grey)) return;
  const chosen = file;
  const kind = chosen === null ? "drawing" : $("photo").checked ? "photo" : "file";
  const preparation = {
    drawing: "cut out, scaled and centred by its mass, as MNIST’s digits were",
    photo: "cut out of the photograph, scaled and centred as MNIST’s digits were",
    file: "scaled to the input size of the model",
  }[kind];
  const image = async () => ({ kind, preparation, body: chosen ?? (await pen.blob()) });
  latest.submit(image, finished);
}

function explainClass(id) {
  explained = id;
  analyse(true);
}

function showError(sentence) {
  $("error").hidden = sentence === null;
  $("error").textContent = sentence ?? "";
}

function fail(error) {
  if (!(error instanceof RequestError)) throw error;
  showEmpty();
  showError(error.message);
}

function showModel(description) {
  model = description;
  const { version, height, width, grey, classes } = model;
  $("model-facts").textContent =
    `version ${version} · ${height} × ${width} pixels, ${grey ? "grey" : "colour"}` +
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
  $("invitation").textContent = drawable ? "Draw a digit here" : "Choose, drop or paste an image";
  $("undo").disabled = pen.empty || file !== null;
  $("clear").disabled = pen.empty && file === null;
  $("photo-line").hidden = file === null || !drawable;
}

async function useModel(name) {
  latest.cancel();
  modelName = name;
  explained = null;
  model = null;
  showEmpty();
  $("model-facts").textContent = "";
  try {
    showModel(await request(`api/models/${encodeURIComponent(name)}`));
    showError(null);
    analyse(true);
  } catch (error) {
    fail(error);
  }
}

async function useFile(chosen) {
  if (chosen.size > MAX_FILE_BYTES) {
    showError(`An image may have up to ${MAX_FILE_BYTES / 2 ** 20} MB; ` +
      `${chosen.name} has ${(chosen.size / 2 ** 20).toFixed(0)}.`);
    return;
  }
  file = chosen;
  explained = null;
  showBoard();
  const context = $("shown").getContext("2d");
  const { width, height } = $("shown");
  context.clearRect(0, 0, width, height);
  analyse(true);
  try {
    const bitmap = await createImageBitmap(chosen);
    if (file !== chosen) return;
    const scale = Math.min(width / bitmap.width, height / bitmap.height);
    const [wide, high] = [bitmap.width * scale, bitmap.height * scale];
    context.imageSmoothingEnabled = scale < 4;
    context.drawImage(bitmap, (width - wide) / 2, (height - high) / 2, wide, high);
  } catch {
    // The server may read formats that the browser cannot show, such as TIFF.
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
$("photo").addEventListener("change", () => analyse(true));
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
  let listed;
  try {
    listed = await request("api/models");
  } catch (error) {
    return fail(error);
  }
  $("server").textContent = listed.server;
  if (listed.models.length === 0) {
    for (const id of ["model-name", "model-name-label", "model-use"]) $(id).hidden = false;
    return showError(null);
  }
  for (const id of ["model-choice", "model-choice-label"]) $(id).hidden = false;
  $("model-choice").replaceChildren(...listed.models.map((name) => new Option(name)));
  await useModel(listed.models[0]);
}

start();
