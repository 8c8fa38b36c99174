// The colour maps: ends, what stands between, and what makes them fit for numbers: order and even steps of lightness, for
// people who are colour-blind too.

import test from 'tape';
import { type ColourMap, colour, colourMaps, divergingColour, type Rgb } from '../../app/image/colour.ts';

/** CIELAB lightness of a colour of sRGB, 0 to 100, of a white of D65. */
function lightness(rgb: readonly number[]): number {
  const [r, g, b] = rgb.map(linear) as [number, number, number];
  const y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return y > (6 / 29) ** 3 ? 116 * Math.cbrt(y) - 16 : (y * 29 ** 3) / 27;
}
const linear = (value: number) => {
  const v = value / 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
};

/** Deuteranopia, the commonest colour blindness at its severest: Machado, Oliveira and Fernandes 2009, linear RGB. */
const deuteranopia = [
  [0.367322, 0.860646, -0.227968],
  [0.280085, 0.672501, 0.047413],
  [-0.01182, 0.04294, 0.968881],
];
const asSeen = (rgb: Rgb) =>
  deuteranopia.map((row) => {
    const v = row.reduce((sum, factor, c) => sum + factor * linear(rgb[c]!), 0);
    const clamped = Math.min(1, Math.max(0, v));
    return 255 * (clamped <= 0.0031308 ? 12.92 * clamped : 1.055 * clamped ** (1 / 2.4) - 0.055);
  });

test('published colours', (t) => {
  // matplotlib's tables of 256, entries 0, 64, 128, 191 and 255, as whole bytes.
  const tables = {
    viridis: ['440154', '3b528b', '21918c', '5ec962', 'fde725'],
    magma: ['000004', '51127c', 'b73779', 'fc8961', 'fcfdbf'],
  } as const;
  for (const [name, table] of Object.entries(tables)) {
    table.forEach((hex, i) => {
      const expected = [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
      const found = colour(i / 4, name as ColourMap);
      const worst = Math.max(...found.map((value, c) => Math.abs(value - expected[c]!)));
      t.ok(worst <= 4, `${name} at ${i / 4}: ${found} is ${expected}, ${worst} off`);
    });
  }
  t.deepEqual(colour(0.3), colour(0.3, 'viridis'), 'viridis unless another is asked for');
  t.deepEqual(colour(-3), colour(0), 'clamped below');
  t.deepEqual(colour(7), colour(1), 'clamped above');
  t.end();
});

test('more of a value is lighter, in steps that are even', (t) => {
  const steps = Array.from({ length: 21 }, (_, i) => i / 20);
  for (const map of colourMaps) {
    for (const [who, seen] of [
      ['everybody', (rgb: Rgb) => rgb],
      ['deuteranopes', asSeen],
    ] as const) {
      const light = steps.map((at) => lightness(seen(colour(at, map))));
      const rises = light.slice(1).map((value, i) => value - light[i]!);
      const total = light.at(-1)! - light[0]!;
      t.ok(total > 60, `${map}: for ${who} the ends are ${total.toFixed(0)} of 100 apart`);
      const least = Math.min(...rises);
      t.ok(least > total / 20 / 4, `${map}: for ${who} no step is lost (the least is ${least.toFixed(1)})`);
      t.ok(Math.max(...rises) < (total / 20) * 2.5, `${map}: and none is a jump, for ${who}`);
    }
  }
  t.end();
});

test('diverging', (t) => {
  t.deepEqual(divergingColour(-1), [5, 48, 97], 'negative end is blue');
  t.deepEqual(divergingColour(0), [247, 247, 247], 'zero is near white');
  t.deepEqual(divergingColour(1), [103, 0, 31], 'positive end is red');
  t.deepEqual(divergingColour(0.9), [141, 12, 37], 'between two entries');
  t.deepEqual(divergingColour(-2), divergingColour(-1), 'clamped below');
  t.deepEqual(divergingColour(2), divergingColour(1), 'clamped above');
  t.end();
});

test('every colour is three bytes', (t) => {
  const wrong: number[] = [];
  for (let i = -1100; i <= 1100; i++) {
    for (const rgb of [...colourMaps.map((map) => colour(i / 1000, map)), divergingColour(i / 1000)]) {
      if (rgb.length !== 3 || rgb.some((v) => !Number.isInteger(v) || v < 0 || v > 255)) wrong.push(i / 1000);
    }
  }
  t.deepEqual(wrong, []);
  t.end();
});
