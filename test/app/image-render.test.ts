// What overlays and sheets show, read back from the rendered PNG: sizes, and colours at known places.

import test from 'tape';
import { colour, divergingColour } from '../../app/image/colour.ts';
import { decodePng } from '../../app/image/decode.ts';
import { formatValue } from '../../app/image/heat.ts';
import { type OverlayOptions, renderOverlay } from '../../app/image/overlay.ts';
import { renderSheet } from '../../app/image/sheet.ts';
import { text, textWidth } from '../../app/image/svg.node.ts';
import { LimelightError, ShapeError } from '../../engine/errors.ts';
import type { Pixels } from '../../models/pixels.ts';

const GREY = 100;
/** Where the picture starts in an overlay with two lines, and in the first row of a sheet with one. */
const [OVERLAY_X, OVERLAY_Y] = [24, 102];
const [SHEET_X, SHEET_Y] = [32, 131];
const SHEET_STEP = 240;

function plain(width: number, height: number, value = GREY): Pixels {
  return { width, height, rgb: new Uint8Array(width * height * 3).fill(value) };
}

function constant(value: number, width = 1, height = 1) {
  return { width, height, data: new Float32Array(width * height).fill(value) };
}

function overlay(options: Partial<OverlayOptions>): Pixels {
  const defaults = {
    pixels: plain(32, 32),
    map: constant(0.5),
    low: 0,
    high: 1,
    title: 'CAM',
    lines: ['a', 'b'],
  };
  return decodePng(renderOverlay({ ...defaults, ...options }));
}

function at({ width, rgb }: Pixels, x: number, y: number): number[] {
  return [...rgb.subarray(3 * (y * width + x), 3 * (y * width + x) + 3)];
}

/** Full evidence hides 70 % of the picture. */
function hidden(heat: readonly number[], below = GREY): number[] {
  return heat.map((value) => Math.round(below + 0.7 * (value - below)));
}

function count({ rgb }: Pixels, colourOf: readonly number[]): number {
  let found = 0;
  for (let i = 0; i < rgb.length; i += 3) {
    if (rgb[i] === colourOf[0] && rgb[i + 1] === colourOf[1] && rgb[i + 2] === colourOf[2]) found++;
  }
  return found;
}

test('an overlay shows the picture where the map is 0 and the heat where it is 1', (t) => {
  const map = { width: 2, height: 2, data: Float32Array.of(0, 1, 0, 0) };
  const drawn = overlay({ map });
  t.deepEqual(at(drawn, OVERLAY_X + 1, OVERLAY_Y + 1), [GREY, GREY, GREY], 'no evidence, top left');
  t.deepEqual(at(drawn, OVERLAY_X + 1, OVERLAY_Y + 318), [GREY, GREY, GREY], 'no evidence, bottom left');
  t.deepEqual(at(drawn, OVERLAY_X + 318, OVERLAY_Y + 1), hidden(colour(1)), 'full evidence, top right');
  t.deepEqual(at(drawn, 5, 5), [255, 255, 255], 'the margin is white');

  const signed = overlay({
    map: { width: 2, height: 1, data: Float32Array.of(-1, 1) },
    signed: true,
    low: -1,
  });
  t.deepEqual(
    at(signed, OVERLAY_X + 1, OVERLAY_Y + 160),
    hidden(divergingColour(-1)),
    'full evidence against',
  );
  t.deepEqual(at(signed, OVERLAY_X + 318, OVERLAY_Y + 160), hidden(divergingColour(1)), 'full evidence for');
  t.end();
});

test('the map is smooth, and lies half a pixel in', (t) => {
  const drawn = overlay({
    map: { width: 2, height: 1, data: Float32Array.of(0, 1) },
    pixels: plain(32, 32, 0),
  });
  const reds = Array.from({ length: 320 }, (_, x) => at(drawn, OVERLAY_X + x, OVERLAY_Y + 160));
  t.deepEqual(reds[79], [0, 0, 0], 'constant up to the centre of the first value');
  t.deepEqual(reds[241], hidden(colour(1), 0), 'constant from the centre of the last value');
  const steps = reds.slice(1).map((rgb, i) => Math.max(...rgb.map((v, c) => Math.abs(v - reds[i]![c]!))));
  t.ok(Math.max(...steps) <= 8, `no step larger than ${Math.max(...steps)} between neighbours`);
  t.end();
});

test('pictures are enlarged by a whole factor, nearest, or shrunk by the mean', (t) => {
  const checks: [number, number, number, number][] = [
    [32, 32, 320, 320],
    [224, 224, 448, 448],
    [320, 200, 320, 200],
    [1, 1, 320, 320],
    [7, 3, 322, 138],
    [2048, 512, 1024, 256],
    [3000, 1, 1024, 1],
  ];
  for (const [width, height, shownWidth, shownHeight] of checks) {
    const drawn = overlay({ pixels: plain(width, height, 0), map: constant(1, width, height) });
    t.equal(count(drawn, hidden(colour(1), 0)), shownWidth * shownHeight, `${width} x ${height}`);
  }
  const stripes = { width: 2, height: 1, rgb: Uint8Array.of(10, 20, 30, 200, 210, 220) };
  const enlarged = overlay({
    pixels: stripes,
    map: { ...constant(0, 2, 1), data: Float32Array.of(0, 1e-9) },
  });
  t.deepEqual(at(enlarged, OVERLAY_X + 159, OVERLAY_Y + 5), [10, 20, 30], 'sharp edge, left');
  t.deepEqual(at(enlarged, OVERLAY_X + 160, OVERLAY_Y + 5), [200, 210, 220], 'sharp edge, right');
  const fine = plain(2048, 2, 0);
  fine.rgb.forEach((_, i) => {
    fine.rgb[i] = Math.floor(i / 3) % 2 ? 200 : 100;
  });
  const shrunk = overlay({ pixels: fine, map: constant(1e-9) });
  t.deepEqual(at(shrunk, OVERLAY_X + 500, OVERLAY_Y), [150, 150, 150], 'mean of two columns');
  t.end();
});

test('the colour bar runs from the low colour at the bottom to the high one at the top', (t) => {
  const near = (a: readonly number[], b: readonly number[]) => a.every((v, c) => Math.abs(v - b[c]!) <= 6);
  const x = OVERLAY_X + 320 + 16 + 7;
  const sequential = overlay({});
  t.ok(near(at(sequential, x, OVERLAY_Y + 319), colour(0)), 'low');
  t.ok(near(at(sequential, x, OVERLAY_Y + 160), colour(0.5)), 'middle');
  t.ok(near(at(sequential, x, OVERLAY_Y), colour(1)), 'high');
  const diverging = overlay({ signed: true, low: -1 });
  t.ok(near(at(diverging, x, OVERLAY_Y + 319), divergingColour(-1)), 'signed low');
  t.ok(near(at(diverging, x, OVERLAY_Y + 160), divergingColour(0)), 'signed middle');
  t.end();
});

test('a map of zeros is explained on the picture', (t) => {
  for (const signed of [false, true]) {
    const drawn = overlay({ map: constant(0), low: 0, high: 0, signed });
    const untouched = count(drawn, [GREY, GREY, GREY]);
    t.ok(untouched < 320 * 320 - 5000, `signed ${signed}: a box covers part of the picture`);
    t.deepEqual(at(drawn, OVERLAY_X + 1, OVERLAY_Y + 1), [GREY, GREY, GREY], 'the rest is the picture');
  }
  const tiny = overlay({ map: constant(1e-6) });
  t.equal(count(tiny, [GREY, GREY, GREY]), 320 * 320, 'little evidence is not none');
  t.end();
});

test('text is escaped, and shortened to its room', (t) => {
  const style = { size: 14 };
  t.match(text('a < b & "c"', 0, 0, style), />a &lt; b &amp; &quot;c&quot;</, 'escaped');
  const long = 'a class with a name that goes on and on 🦜'.repeat(200);
  const shown = />([^<]*)</.exec(text(long, 0, 0, style, 200))![1]!;
  t.match(shown, /^a class with .*…$/, 'ends in an ellipsis');
  t.ok(textWidth(shown, style) <= 200, 'fits');
  t.ok(textWidth(`${shown.slice(0, -1)} and on…`, style) > 200, 'and is not shorter than need be');
  t.match(text('tabby', 0, 0, style, 200), />tabby</, 'a short text stays whole');
  const awkward = '<b>&amp;"\' \0\u{1}\ud800 ]]> 猫 🦜 \ufffe';
  t.ok(overlay({ title: awkward, lines: [awkward, '', long] }).width > 320, 'any text can be drawn');
  t.end();
});

test('raw values have three significant digits', (t) => {
  const checks: [number, string][] = [
    [0, '0'],
    [12.3456, '12.3'],
    [-0.5, '−0.5'],
    [0.00123456, '0.00123'],
    [1234.5, '1230'],
    [4.2e-4, '4.20e−4'],
    [-1.5e7, '−1.50e+7'],
  ];
  for (const [value, expected] of checks) t.equal(formatValue(value), expected, expected);
  t.end();
});

test('pictures and maps that do not fit their size are refused', (t) => {
  const map = constant(1, 2, 2);
  t.throws(() => overlay({ map: { ...map, width: 3 } }), ShapeError, 'map');
  t.throws(
    () => overlay({ map: { width: 0, height: 0, data: new Float32Array(0) } }),
    ShapeError,
    'empty map',
  );
  t.throws(() => overlay({ pixels: { ...plain(2, 2), width: 3 } }), ShapeError, 'picture');
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
    t.throws(() => overlay({ map: constant(bad) }), LimelightError, `${bad} in the map`);
  }
  t.end();
});

const cell = { title: 'Grad-CAM', caption: '12.3 ms', pixels: plain(32, 32) };

test('a sheet has a panel per cell, on a grid', (t) => {
  const row = {
    label: 'cat.png: tabby',
    cells: [cell, { ...cell, map: constant(1) }, { ...cell, map: constant(-1), signed: true }],
  };
  const sheet = decodePng(renderSheet({ title: 'Limelight', lines: ['model'], rows: [row, row] }));
  t.equal(sheet.width, 3 * 224 + 2 * 16 + 2 * 32, 'width');
  const expected = [[GREY, GREY, GREY], hidden(colour(1)), hidden(divergingColour(-1))];
  const rowStep = 28 + 28 + 224 + 40;
  for (const [r, y] of [SHEET_Y, SHEET_Y + rowStep].entries()) {
    expected.forEach((heat, c) => {
      t.deepEqual(at(sheet, SHEET_X + c * SHEET_STEP + 112, y + 112), heat, `row ${r}, cell ${c}`);
      t.deepEqual(at(sheet, SHEET_X + c * SHEET_STEP, y), heat, `row ${r}, cell ${c}: corner`);
    });
  }
  t.equal(count(sheet, hidden(colour(1))), 2 * 224 * 224, 'nothing covers the panels');
  t.end();
});

test('sheets of awkward shape', (t) => {
  const sheet = (rows: Parameters<typeof renderSheet>[0]['rows']) =>
    decodePng(renderSheet({ title: 'Limelight', lines: [], rows }));
  t.ok(sheet([]).width > 0, 'no rows');
  t.ok(sheet([{ label: 'x', cells: [] }]).width > 0, 'no cells');
  const mixed = sheet([
    { label: '', cells: [cell] },
    {
      label: 'wide and high',
      cells: [
        { ...cell, pixels: plain(1000, 10) },
        { ...cell, pixels: plain(3, 700) },
      ],
    },
  ]);
  t.equal(mixed.width, 447 + 16 + 224 + 2 * 32, 'a column is as wide as its widest panel');
  const rows = new Array(400).fill({ label: 'x', cells: [cell] });
  t.throws(() => sheet(rows), LimelightError, 'too many rows for one picture');
  t.end();
});
