// Colours for heat maps: a sequential map for evidence, a diverging one for signed evidence.

/** Red, green and blue, 0 to 255. */
export type Rgb = readonly [number, number, number];

/**
 * Turbo as a fifth-order polynomial per channel, lowest power first. Design: Anton Mikhailov, approximation:
 * Ruofei Du, Google (Apache-2.0), https://gist.github.com/mikhailov-work/0d177465a8151eb6ede1768d51d476c7
 */
const turbo = [
  [0.13572138, 4.6153926, -42.66032258, 132.13108234, -152.94239396, 59.28637943],
  [0.09140261, 2.19418839, 4.84296658, -14.18503333, 4.27729857, 2.82956604],
  [0.1066733, 12.64194608, -60.58204836, 110.36276771, -89.90310912, 27.34824973],
];

/** RdBu with 11 classes, from blue to red: Cynthia Brewer, https://colorbrewer2.org (Apache-2.0). */
const redBlue: readonly Rgb[] = [
  [5, 48, 97],
  [33, 102, 172],
  [67, 147, 195],
  [146, 197, 222],
  [209, 229, 240],
  [247, 247, 247],
  [253, 219, 199],
  [244, 165, 130],
  [214, 96, 77],
  [178, 24, 43],
  [103, 0, 31],
];

/** The turbo colour of a value from 0 (dark blue) to 1 (dark red); values outside are clamped. */
export function colour(value: number): Rgb {
  const x = Math.min(1, Math.max(0, value));
  const [r, g, b] = turbo.map((p) => 255 * p.reduceRight((sum, coefficient) => sum * x + coefficient, 0));
  return [toByte(r!), toByte(g!), toByte(b!)];
}

/** The diverging colour of a value from -1 (blue) over 0 (near white) to 1 (red); values outside are clamped. */
export function divergingColour(value: number): Rgb {
  const position = ((Math.min(1, Math.max(-1, value)) + 1) / 2) * (redBlue.length - 1);
  const index = Math.min(Math.floor(position), redBlue.length - 2);
  const [a, b] = [redBlue[index]!, redBlue[index + 1]!];
  const mix = (c: 0 | 1 | 2) => toByte(a[c] + (b[c] - a[c]) * (position - index));
  return [mix(0), mix(1), mix(2)];
}

function toByte(value: number): number {
  return Math.round(Math.min(255, Math.max(0, value)));
}
