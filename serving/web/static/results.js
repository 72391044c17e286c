// An answer, shown.

import { bytes, paintHeat, paintMap, paintPicture } from "./paint.js";

const $ = (id) => document.getElementById(id);
const percent = (share) =>
  `${(share * 100).toFixed(share > 0.9995 && share < 1 ? 2 : 1)} %`;
const milliseconds = (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;

let latest = null;
let announcing = null;

// answer: what the server said; whole: ms from the question to now; how: what was
// done to the picture.
export function show(answer, whole, how) {
  latest = answer;
  const [best] = answer.classes;
  $("nothing").hidden = true;
  $("answer").hidden = $("inside").hidden = false;
  $("label").textContent = best.label;
  $("label").parentElement.classList.toggle("long", best.label.length > 6);
  $("sure").textContent = `with probability ${percent(best.probability)}`;
  $("badge").hidden = false;
  $("badge").textContent = `${best.label} · ${percent(best.probability)}`;
  $("classes").replaceChildren(...answer.classes.map(row));
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
  const { picture, heatmap, maps, classes } = latest;
  paintPicture($("given"), picture);
  $("given").ariaLabel = "The picture as the model was given it";
  $("heat-figure").hidden = heatmap === null;
  $("no-heat").hidden = heatmap !== null;
  if (heatmap !== null) {
    paintHeat($("heat"), picture, heatmap);
    $("heat").ariaLabel = `Where the pixels are that counted for ${classes[0].label}`;
    $("heat-note").textContent =
      `the brighter, the more these pixels counted for “${classes[0].label}”.`;
  }
  $("no-maps").hidden = maps !== null;
  $("maps-note").hidden = $("maps").hidden = maps === null;
  if (maps !== null) showMaps(maps);
}

function row({ label, probability }) {
  const line = document.createElement("tr");
  const name = document.createElement("th");
  name.scope = "row";
  name.textContent = label;
  const bar = document.createElement("td");
  bar.className = "bar";
  bar.ariaHidden = "true";
  bar.append(document.createElement("i"));
  bar.firstChild.style.setProperty("--share", probability);
  const share = document.createElement("td");
  share.textContent = percent(probability);
  line.append(name, bar, share);
  return line;
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
