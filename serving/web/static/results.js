// An answer, shown.

import { bytes, paintHeat, paintMap, paintPicture } from "./paint.js";

const $ = (id) => document.getElementById(id);
const percent = (share) =>
  `${(share * 100).toFixed(share > 0.9995 && share < 1 ? 2 : 1)} %`;
const milliseconds = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

let latest = null;
let announcing = null;

// answer: what the server said; whole: ms from the question to now; how: what was
// done to the picture; askWhy(id): asks what speaks for a class.
export function show(answer, whole, how, askWhy) {
  latest = answer;
  const [best] = answer.classes;
  $("nothing").hidden = true;
  $("answer").hidden = $("inside").hidden = false;
  $("label").textContent = best.label;
  $("label").parentElement.classList.toggle("long", best.label.length > 6);
  $("sure").textContent = `with probability ${percent(best.probability)}`;
  $("badge").hidden = false;
  $("badge").textContent = `${best.label} · ${percent(best.probability)}`;
  showClasses(answer, askWhy);
  $("version").textContent = `version ${answer.model.version}`;
  $("version-note").textContent = `of ${answer.model.name}`;
  $("grpc").textContent = milliseconds(answer.grpc_ms);
  $("whole").textContent = milliseconds(whole);
  const { height, width } = answer.picture;
  $("given-note").textContent = `${height} × ${width} pixels, ${how}.`;
  paintPlanes();
  announce(`${best.label}, ${percent(best.probability)}`);
}

export function showNothing() {
  latest = null;
  clearTimeout(announcing);
  $("nothing").hidden = false;
  $("answer").hidden = $("inside").hidden = $("badge").hidden = true;
}

// Also after a change of colours, which the maps are painted with.
export function paintPlanes() {
  if (latest === null) return;
  const { picture, heatmap, maps, heat_class: heatClass } = latest;
  paintPicture($("given"), picture);
  $("given").ariaLabel = "The picture as the model was given it";
  $("heat-figure").hidden = heatmap === null;
  $("no-heat").hidden = heatmap !== null;
  if (heatmap !== null) {
    paintHeat($("heat"), picture, heatmap);
    $("heat").ariaLabel = `Where the pixels are that speak for ${heatClass}`;
    $("heat-note").textContent =
      `the brighter, the more these pixels speak for “${heatClass}”.` +
      (latest.model.explains_any_class ? " Choose another class to see what speaks for it." : "");
  }
  $("no-maps").hidden = maps !== null;
  $("maps-note").hidden = $("maps").hidden = maps === null;
  if (maps !== null) showMaps(maps);
}

// Rows are used again, so that none of their buttons loses the focus.
function showClasses({ classes, model, heat_class: heatClass }, askWhy) {
  const body = $("classes");
  while (body.children.length > classes.length) body.lastChild.remove();
  while (body.children.length < classes.length) body.append(emptyRow());
  classes.forEach(({ id, label, probability }, i) => {
    const [name, bar, share] = body.children[i].children;
    const [button, plain] = name.children;
    button.hidden = !model.explains_any_class;
    plain.hidden = model.explains_any_class;
    button.textContent = plain.textContent = label;
    button.title = `What speaks for ${label}?`;
    button.ariaPressed = label === heatClass;
    button.onclick = () => askWhy(id);
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
    swatch("blue"), " where the filter finds what it looks for",
    ...(negative ? ["; ", swatch("orange"), " where it finds the opposite."] : ["."]),
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

// Screen readers are told an answer when it stays, not every one while somebody draws.
function announce(text) {
  clearTimeout(announcing);
  announcing = setTimeout(() => { $("announcement").textContent = text; }, 600);
}
