// Shows the analysis of an image.

import { bytes, paintHeatMap, paintImage, paintMap } from "./paint.js";

const $ = (id) => document.getElementById(id);
const percent = (share) =>
  `${(share * 100).toFixed(share > 0.9995 && share < 1 ? 2 : 1)} %`;
const milliseconds = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

let latest = null;
let announcement = null;

// analysis: the server's response; total: ms from the request to now; preparation:
// how the image was prepared; explainClass(id): requests the evidence for a class.
export function show(analysis, total, preparation, explainClass) {
  latest = analysis;
  const [best] = analysis.classes;
  $("empty").hidden = true;
  $("prediction").hidden = $("inside").hidden = false;
  $("label").textContent = best.label;
  $("label").parentElement.classList.toggle("long", best.label.length > 6);
  $("probability").textContent = `with probability ${percent(best.probability)}`;
  $("badge").hidden = false;
  $("badge").textContent = `${best.label} · ${percent(best.probability)}`;
  showClasses(analysis, explainClass);
  $("version").textContent = `version ${analysis.model.version}`;
  $("version-note").textContent = `of ${analysis.model.name}`;
  $("grpc").textContent = milliseconds(analysis.grpc_ms);
  $("total").textContent = milliseconds(total);
  const { height, width } = analysis.image;
  $("input-note").textContent = `${height} × ${width} pixels, ${preparation}.`;
  paintPlanes();
  announce(`${best.label}, ${percent(best.probability)}`);
}

export function showEmpty() {
  latest = null;
  clearTimeout(announcement);
  $("empty").hidden = false;
  $("prediction").hidden = $("inside").hidden = $("badge").hidden = true;
}

// Is also called when the colour scheme changes, which the maps depend on.
export function paintPlanes() {
  if (latest === null) return;
  const { image, heatmap, maps, heat_class: heatClass } = latest;
  paintImage($("input"), image);
  $("input").ariaLabel = "The input of the model";
  $("heat-figure").hidden = heatmap === null;
  $("no-heat").hidden = heatmap !== null;
  if (heatmap !== null) {
    paintHeatMap($("heat"), image, heatmap);
    $("heat").ariaLabel = `Heat map of the evidence for ${heatClass}`;
    $("heat-note").textContent =
      `the brighter a pixel, the stronger its evidence for “${heatClass}”.` +
      (latest.model.explains_any_class ? " Choose another class to see the evidence for it." : "");
  }
  $("no-maps").hidden = maps !== null;
  $("maps-note").hidden = $("maps").hidden = maps === null;
  if (maps !== null) showMaps(maps);
}

// Rows are reused, so that their buttons keep the focus.
function showClasses({ classes, model, heat_class: heatClass }, explainClass) {
  const body = $("classes");
  while (body.children.length > classes.length) body.lastChild.remove();
  while (body.children.length < classes.length) body.append(emptyRow());
  classes.forEach(({ id, label, probability }, i) => {
    const [name, bar, share] = body.children[i].children;
    const [button, plain] = name.children;
    button.hidden = !model.explains_any_class;
    plain.hidden = model.explains_any_class;
    button.textContent = plain.textContent = label;
    button.title = `Show the evidence for ${label}`;
    button.ariaPressed = label === heatClass;
    button.onclick = () => explainClass(id);
    bar.firstChild.style.setProperty("--share", probability);
    share.textContent = percent(probability);
  });
}

function emptyRow() {
  const row = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  const button = document.createElement("button");
  button.type = "button";
  name.append(button, document.createElement("span"));
  const bar = document.createElement("td");
  bar.className = "bar";
  bar.ariaHidden = "true";
  bar.append(document.createElement("i"));
  row.append(name, bar, document.createElement("td"));
  return row;
}

function showMaps(maps) {
  const negative = bytes(maps).some((value) => value < 128);
  const shown = maps.depth < maps.count ? `the first ${maps.depth} of ` : "";
  $("maps-note").replaceChildren(
    `Layer ${maps.layer}: ${shown}${maps.count} feature maps of ` +
      `${maps.height} × ${maps.width}, one for each filter. `,
    swatch("blue"), " positive values, where the filter matches",
    ...(negative ? ["; ", swatch("orange"), " negative values."] : ["."]),
  );
  const list = $("maps");
  while (list.children.length > maps.depth) list.lastChild.remove();
  while (list.children.length < maps.depth) {
    const canvas = document.createElement("canvas");
    canvas.className = "pixels";
    canvas.role = "img";
    canvas.ariaLabel = `Feature map ${list.children.length + 1}`;
    list.appendChild(document.createElement("li")).append(canvas);
  }
  const values = bytes(maps);
  [...list.children].forEach((item, channel) =>
    paintMap(item.firstChild, maps, values, channel));
}

function swatch(colour) {
  const patch = document.createElement("span");
  patch.className = `swatch ${colour}`;
  patch.role = "img";
  patch.ariaLabel = colour;
  return patch;
}

// Screen readers announce a prediction when it stays, not each one while the user draws.
function announce(text) {
  clearTimeout(announcement);
  announcement = setTimeout(() => { $("announcement").textContent = text; }, 600);
}
