// The ten digits as strokes: lists of points with x and y from 0 to 100.

const circle = (cx, cy, rx, ry, from, to, steps = 24) =>
  Array.from({ length: steps + 1 }, (_, i) => {
    const angle = ((from + ((to - from) * i) / steps) * Math.PI) / 180;
    return [cx + rx * Math.cos(angle), cy + ry * Math.sin(angle)];
  });

export const EXAMPLES = [
  [circle(50, 50, 24, 34, -90, -450, 36)],
  [[[42, 28], [53, 16], [52, 84]]],
  [[...circle(49, 36, 21, 20, -170, 40), [30, 82], [74, 81]]],
  [[...circle(47, 33, 20, 17, -150, 80), ...circle(47, 66, 22, 18, -80, 150)]],
  [[[46, 15], [27, 58], [74, 57]], [[61, 38], [59, 86]]],
  [[[70, 17], [37, 18], [33, 46], ...circle(48, 63, 22, 21, -110, 145)]],
  [[[62, 14], [46, 30], [35, 52], ...circle(51, 65, 18, 19, -190, -545, 36)]],
  [[[26, 19], [74, 18], [55, 50], [44, 86]]],
  [[...circle(51, 33, 17, 17, -30, -270), ...circle(50, 67, 20, 18, -90, 270, 36).slice(1),
    ...circle(51, 33, 17, 17, 90, -30, 12).slice(1)]],
  [[...circle(48, 35, 19, 19, -10, -350, 36), [67, 30], [64, 60], [54, 86]]],
];
