// Draws arrays of numbers, as the server packs them, on canvases.

export function bytes(plane) {
  return Uint8Array.from(atob(plane.bytes), (letter) => letter.charCodeAt(0));
}

function paint(canvas, { height, width }, colour) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    image.data.set([...colour(i), 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

const mix = (from, to, share) => from.map((value, i) => value + (to[i] - value) * share);

// Returns a custom property of the style sheet, "#rrggbb", as three numbers.
function cssColour(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((start) => parseInt(text.slice(start, start + 2), 16));
}

const pixel = (plane, values, i) =>
  plane.depth === 3 ? [...values.subarray(3 * i, 3 * i + 3)] : Array(3).fill(values[i]);

export function paintImage(canvas, image) {
  const values = bytes(image);
  paint(canvas, image, (i) => pixel(image, values, i));
}

// Stops of matplotlib's inferno without its black and blue end.
const INFERNO = [[120, 28, 109], [165, 44, 96], [207, 68, 70], [237, 105, 37],
  [251, 155, 6], [247, 209, 61], [252, 255, 164]];

function inferno(share) {
  const position = share * (INFERNO.length - 1);
  const low = Math.min(INFERNO.length - 2, Math.floor(position));
  return mix(INFERNO[low], INFERNO[low + 1], position - low);
}

// Draws a heat map, opaque where its values are large, over the image in dim grey.
export function paintHeatMap(canvas, image, heatmap) {
  const values = bytes(image);
  const heat = bytes(heatmap);
  const small = document.createElement("canvas");
  paint(small, image, (i) => {
    const grey = pixel(image, values, i).reduce((sum, value) => sum + value) * (0.7 / 3);
    const share = heat[i] / 255;
    return mix([grey, grey, grey], inferno(share), 0.85 * share);
  });
  const scale = Math.max(1, Math.round(280 / image.width));
  canvas.width = image.width * scale;
  canvas.height = image.height * scale;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
}

// Draws a feature map: zero in the card's colour, positive values blue, negative orange.
export function paintMap(canvas, maps, values, channel) {
  const [zero, positive, negative] = ["--card", "--blue", "--orange"].map(cssColour);
  paint(canvas, maps, (i) => {
    const value = (values[i * maps.depth + channel] - 128) / 127;
    return mix(zero, value > 0 ? positive : negative, Math.abs(value));
  });
}
