import test from 'tape';
import { ShapeError } from '../../engine/errors.ts';
import { DataError, type LabelledImages } from '../../models/train/data/labelled-images.ts';
import { random } from '../../models/train/data/random.ts';
import {
  type Box,
  INK,
  makeScene,
  SCENE_SIZE,
  type Scene,
  type SceneOptions,
  sceneBatch,
  sceneDefaults,
} from '../../models/train/data/scenes.ts';

/** Blurred discs and bars, a class each; class k is k + 6 wide and 16 high, and its brightness is of its class. */
function shapes(classes: number, side = 28): LabelledImages {
  const pixels = new Uint8Array(classes * side * side);
  for (let k = 0; k < classes; k++) {
    const [left, top] = [3 + k, 5];
    for (let y = top; y < top + 16; y++) {
      for (let x = left; x < left + k + 6; x++) {
        const edge = y === top || y === top + 15 || x === left || x === left + k + 5;
        pixels[(k * side + y) * side + x] = edge ? 60 : 200 + 5 * k;
      }
    }
  }
  return {
    count: classes,
    channels: 1,
    height: side,
    width: side,
    pixels,
    labels: Uint8Array.from({ length: classes }, (_, k) => k),
    classes: Array.from({ length: classes }, (_, k) => `bar ${k}`),
  };
}

const bare: Partial<SceneOptions> = { fragments: [0, 0], noise: 0 };

function scenes(count: number, options: Partial<SceneOptions>, digits = shapes(6)): Scene[] {
  const next = random(11);
  return Array.from({ length: count }, () => makeScene(digits, next, options));
}

const inside = ([x0, y0, x1, y1]: Box, x: number, y: number) => x >= x0 && x < x1 && y >= y0 && y < y1;

function count(pixels: Uint8Array, wanted: (value: number, x: number, y: number) => boolean): number {
  return pixels.reduce(
    (n, value, i) => n + Number(wanted(value, i % SCENE_SIZE, Math.floor(i / SCENE_SIZE))),
    0,
  );
}

test('scenes: boxes lie in the scene, apart, and touch ink with each side', (t) => {
  let strays = 0;
  let loose = 0;
  let overlaps = 0;
  for (const { pixels, digits } of scenes(300, bare)) {
    strays += count(pixels, (value, x, y) => value > 0 && !digits.some(({ box }) => inside(box, x, y)));
    for (const [i, { box }] of digits.entries()) {
      const [x0, y0, x1, y1] = box;
      if (x0 < 0 || y0 < 0 || x1 > SCENE_SIZE || y1 > SCENE_SIZE || x0 >= x1 || y0 >= y1) loose++;
      const lines: Box[] = [
        [x0, y0, x1, y0 + 1],
        [x0, y1 - 1, x1, y1],
        [x0, y0, x0 + 1, y1],
        [x1 - 1, y0, x1, y1],
      ];
      for (const line of lines) {
        if (count(pixels, (value, x, y) => inside(line, x, y) && value >= INK) === 0) loose++;
      }
      for (const other of digits.slice(i + 1)) {
        if (x0 < other.box[2] && other.box[0] < x1 && y0 < other.box[3] && other.box[1] < y1) overlaps++;
      }
    }
  }
  t.equal(strays, 0, 'nothing is drawn outside the boxes');
  t.equal(loose, 0, 'boxes are tight');
  t.equal(overlaps, 0, 'boxes are disjoint');
  t.end();
});

test('scenes: the class of a box is that of the digit drawn in it', (t) => {
  let wrong = 0;
  for (const { pixels, digits } of scenes(200, { ...bare, scale: [1, 1] })) {
    for (const { class: label, box } of digits) {
      const [width, height] = [box[2] - box[0], box[3] - box[1]];
      const centre = pixels[((box[1] + box[3]) >> 1) * SCENE_SIZE + ((box[0] + box[2]) >> 1)];
      if (width !== label + 6 || height !== 16 || centre !== 200 + 5 * label) wrong++;
    }
  }
  t.equal(wrong, 0);
  t.end();
});

test('scenes: at scale 1 a digit is copied sample by sample', (t) => {
  const digits = shapes(1);
  const { pixels, digits: placed } = makeScene(digits, random(1), { ...bare, digits: [1, 1], scale: [1, 1] });
  const [x0, y0, x1, y1] = placed[0].box;
  const cut = Array.from({ length: y1 - y0 }, (_, y) => [
    ...pixels.subarray((y0 + y) * SCENE_SIZE + x0, (y0 + y) * SCENE_SIZE + x1),
  ]);
  const source = Array.from({ length: 16 }, (_, y) => [
    ...digits.pixels.subarray((5 + y) * 28 + 3, (5 + y) * 28 + 9),
  ]);
  t.deepEqual(cut, source);
  t.end();
});

test('scenes: other scales are bilinear, about pixel centres', (t) => {
  const ramp = { ...shapes(1), height: 2, width: 2, pixels: Uint8Array.of(100, 200, 140, 240) };
  const { pixels, digits } = makeScene(ramp, random(1), { ...bare, digits: [1, 1], scale: [2, 2] });
  const [x0, y0] = digits[0].box;
  const rows = [0, 1, 2, 3].map((y) => [...pixels.subarray((y0 + y) * 64 + x0, (y0 + y) * 64 + x0 + 4)]);
  t.deepEqual(
    rows,
    [0, 10, 30, 40].map((down) => [100, 125, 175, 200].map((value) => value + down)),
  );
  t.end();
});

test('scenes: number, classes, scale and place of digits vary as asked', (t) => {
  const made = scenes(600, bare, shapes(10));
  const numbers = [0, 0, 0, 0];
  const seen = new Set<number>();
  const heights = new Set<number>();
  let repeated = 0;
  let [nearEdge, nearMiddle] = [0, 0];
  for (const { digits } of made) {
    numbers[digits.length]++;
    if (new Set(digits.map((digit) => digit.class)).size < digits.length) repeated++;
    for (const { class: label, box } of digits) {
      seen.add(label);
      heights.add(box[3] - box[1]);
      if (box[0] === 0 || box[2] === SCENE_SIZE) nearEdge++;
      if (inside(box, 32, 32)) nearMiddle++;
    }
  }
  t.ok(
    numbers[0] === 0 && numbers.slice(1).every((n) => n > 140),
    `scenes with 0, 1, 2, 3 digits: ${numbers}`,
  );
  t.equal(repeated, 0, 'classes of a scene are distinct');
  t.equal(seen.size, 10, 'every class occurs');
  t.deepEqual([Math.min(...heights), Math.max(...heights)], [11, 19], 'heights are 16 times 0.7 to 1.2');
  t.ok(nearEdge > 0 && nearMiddle > 0, 'digits lie at the edge and in the middle');
  t.end();
});

test('scenes: clutter keeps off the digits, and noise below its bound', (t) => {
  let near = 0;
  let fragments = 0;
  for (const { pixels, digits } of scenes(100, { noise: 0, fragments: [6, 6] })) {
    const ring = ({ box: [x0, y0, x1, y1] }: Scene['digits'][number]): Box => [
      x0 - 2,
      y0 - 2,
      x1 + 2,
      y1 + 2,
    ];
    fragments += count(
      pixels,
      (value, x, y) => value > 0 && !digits.some((digit) => inside(ring(digit), x, y)),
    );
    near += count(
      pixels,
      (value, x, y) =>
        value > 0 &&
        digits.some((digit) => inside(ring(digit), x, y)) &&
        !digits.some((digit) => inside(digit.box, x, y)),
    );
  }
  t.equal(near, 0, 'two pixels round every box are free');
  t.ok(fragments > 100 * 6 * 6 * 0.8, 'there is clutter');

  const single = scenes(100, { noise: 0, fragments: [1, 1], digits: [1, 1] }, shapes(1));
  const sparse = single.filter(
    ({ pixels, digits }) => count(pixels, (value, x, y) => value >= INK && !inside(digits[0].box, x, y)) < 6,
  );
  t.equal(sparse.length, 0, 'a fragment has ink enough to be seen');

  const noisy = scenes(5, { noise: 24, fragments: [0, 0] });
  const background = noisy.flatMap(({ pixels, digits }) =>
    [...pixels].filter((_, i) => !digits.some(({ box }) => inside(box, i % 64, Math.floor(i / 64)))),
  );
  t.equal(Math.max(...background), 24);
  t.equal(Math.min(...background), 0);
  const mean = background.reduce((sum, value) => sum + value, 0) / background.length;
  t.ok(Math.abs(mean - 12) < 0.5, `mean ${mean.toFixed(2)}`);
  t.end();
});

test('scenes: one seed, one scene', (t) => {
  const digits = shapes(5);
  const plain = ({ pixels, digits: placed }: Scene) => ({ pixels, placed });
  t.deepEqual(plain(makeScene(digits, random(3))), plain(makeScene(digits, random(3))));
  t.notDeepEqual(makeScene(digits, random(3)).pixels, makeScene(digits, random(4)).pixels);
  t.end();
});

test('sceneBatch: the scenes of makeScene, with the classes present as labels', (t) => {
  const digits = shapes(7);
  const next = random(8);
  const expected = Array.from({ length: 9 }, () => makeScene(digits, next));
  const bytes = { pixels: new Uint8Array(9 * 4096), labels: new Uint8Array(9 * 7).fill(5) };
  const floats = { pixels: new Float32Array(9 * 4096), labels: new Float32Array(9 * 7).fill(5) };
  sceneBatch(digits, random(8), bytes);
  sceneBatch(digits, random(8), floats);
  t.deepEqual(
    [...bytes.pixels],
    expected.flatMap((scene) => [...scene.pixels]),
    'bytes',
  );
  t.deepEqual(
    [...floats.pixels],
    [...bytes.pixels].map((value) => Math.fround(value / 255)),
    'floats',
  );
  const labels = expected.flatMap((scene) =>
    Array.from({ length: 7 }, (_, k) => Number(scene.digits.some((digit) => digit.class === k))),
  );
  t.deepEqual([...bytes.labels], labels);
  t.deepEqual([...floats.labels], labels);
  sceneBatch(digits, random(8), { pixels: new Uint8Array(0), labels: new Uint8Array(0) });
  t.end();
});

test('scenes: with too few classes or too little room there are fewer digits', (t) => {
  const one = makeScene(shapes(1), random(1), { digits: [3, 3] });
  t.equal(one.digits.length, 1, 'a single class');
  const huge = makeScene(shapes(3), random(1), { digits: [3, 3], scale: [4, 4], fragments: [9, 9] });
  t.equal(huge.digits.length, 1, 'digits of 64 pixels');
  const tiny = makeScene(
    {
      ...shapes(1),
      count: 2,
      height: 1,
      width: 1,
      pixels: Uint8Array.of(0, 90),
      labels: Uint8Array.of(0, 0),
    },
    random(1),
  );
  t.deepEqual(
    tiny.digits.map(({ class: label, box: [x0, y0, x1, y1] }) => [label, x1 - x0, y1 - y0]),
    [[0, 1, 1]],
    'a digit of one pixel, another of none',
  );
  t.end();
});

test('scenes: unusable digits and options are refused', (t) => {
  const digits = shapes(2);
  const refused = (pattern: RegExp, set: LabelledImages, options: Partial<SceneOptions> = {}) => {
    let thrown: unknown;
    try {
      makeScene(set, random(1), options);
    } catch (caught) {
      thrown = caught;
    }
    t.ok(thrown instanceof DataError && pattern.test(thrown.message), String(thrown));
  };
  refused(/had ink/, { ...digits, pixels: new Uint8Array(digits.pixels.length) });
  refused(/fits 64/, digits, { scale: [5, 5] });
  refused(/no digits/, { ...digits, count: 0 });
  refused(/3 channels/, { ...digits, channels: 3 });
  const ranges: [number, number][] = [
    [2, 1],
    [-1, 1],
    [0.5, Number.NaN],
  ];
  for (const range of ranges) {
    refused(/digits \[/, digits, { digits: range });
    refused(/scale \[/, digits, { scale: range });
    refused(/fragments \[/, digits, { fragments: range });
  }
  for (const noise of [-1, 256, 0.5, Number.NaN]) refused(/noise/, digits, { noise });
  t.throws(
    () => sceneBatch(digits, random(1), { pixels: new Uint8Array(4096), labels: new Uint8Array(3) }),
    ShapeError,
  );
  t.throws(
    () => sceneBatch(digits, random(1), { pixels: new Uint8Array(4095), labels: new Uint8Array(2) }),
    ShapeError,
  );
  t.equal(sceneDefaults.noise < INK, true, 'by default noise is fainter than ink');
  t.end();
});

test('scenes: without a digit a scene is the same but for its ink', (t) => {
  const digits = shapes(6);
  for (let seed = 0; seed < 30; seed++) {
    const scene = makeScene(digits, random(seed));
    scene.digits.forEach(({ box: [x0, y0, x1, y1] }, i) => {
      const pixels = scene.without(i);
      const changed = Array.from(pixels).flatMap((value, at) => (value === scene.pixels[at] ? [] : [at]));
      const inside = changed.every((at) => {
        const [x, y] = [at % SCENE_SIZE, Math.floor(at / SCENE_SIZE)];
        return x >= x0 && x < x1 && y >= y0 && y < y1 && pixels[at]! < scene.pixels[at]!;
      });
      const left = changed.every((at) => pixels[at]! <= sceneDefaults.noise);
      if (!inside || !left || changed.length < INK) t.fail(`seed ${seed}, digit ${i}`);
    });
  }
  t.pass('darker in its box, noise there, nothing elsewhere');
  t.end();
});
