// The colour maps: ends, middle, and the order that a heat map relies on.

import test from 'tape';
import { colour, divergingColour } from '../../app/image/colour.ts';

test('turbo', (t) => {
  t.deepEqual(colour(0), [35, 23, 27], 'low end');
  t.deepEqual(colour(1), [144, 13, 0], 'high end, blue clamped');
  // The published table, https://gist.github.com/mikhailov-work/ee72ba4191942acecc03fe6da94fc73f, entries
  // 64, 128 and 192 of 0 to 255; the polynomial stays within a few steps of it.
  const table: [number, number[]][] = [
    [64 / 255, [0.15844, 0.73551, 0.92305]],
    [128 / 255, [0.64362, 0.98999, 0.23356]],
    [192 / 255, [0.9836, 0.49291, 0.12849]],
  ];
  for (const [at, expected] of table) {
    const worst = Math.max(...colour(at).map((value, c) => Math.abs(value - 255 * expected[c]!)));
    t.ok(worst < 22, `${at.toFixed(2)}: ${colour(at)} is near ${expected.map((v) => Math.round(255 * v))}`);
  }
  t.deepEqual(colour(-3), colour(0), 'clamped below');
  t.deepEqual(colour(7), colour(1), 'clamped above');
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
    for (const rgb of [colour(i / 1000), divergingColour(i / 1000)]) {
      if (rgb.length !== 3 || rgb.some((v) => !Number.isInteger(v) || v < 0 || v > 255)) wrong.push(i / 1000);
    }
  }
  t.deepEqual(wrong, []);
  t.end();
});
