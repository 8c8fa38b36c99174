// What F-CAM is trained by, against its definitions written out.

import test from 'tape';
import { random } from '../../models/train/data/random.ts';
import { drawSeeds, otsu } from '../../models/train/data/seeds.ts';
import { seededRandom } from '../reference/index.ts';

/** The variance within the two classes, weighted: what Otsu makes least; found here by trying. */
function within(bytes: Uint8Array, threshold: number): number {
  const spread = (part: number[]) => {
    const mean = part.reduce((a, b) => a + b, 0) / part.length;
    return part.reduce((total, one) => total + (one - mean) ** 2, 0);
  };
  const [low, high] = [true, false].map((isLow) => [...bytes].filter((one) => one <= threshold === isLow));
  return low!.length === 0 || high!.length === 0 ? Number.POSITIVE_INFINITY : spread(low!) + spread(high!);
}

test("Otsu's threshold leaves the least variance within its classes", (t) => {
  for (const seed of [1, 2, 3]) {
    const next = seededRandom(seed);
    const bytes = Uint8Array.from({ length: 60 }, () => 255 * next() ** seed);
    const tried = Array.from({ length: 255 }, (_, threshold) => within(bytes, threshold));
    const least = Math.min(...tried);
    t.ok(Math.abs(tried[otsu(bytes)]! - least) <= 1e-9 * least, `threshold ${otsu(bytes)}`);
  }
  t.equal(otsu(new Uint8Array(9).fill(7)), 0, 'of one value');
  t.end();
});

/** The pixels of a plane of seeds. */
const marked = (seeds: Float32Array, plane: number, area: number) =>
  Array.from({ length: area }, (_, i) => i).filter((i) => seeds[plane * area + i] === 1);

test('seeds lie inside the eroded object and in the lowest tenth, a square each', (t) => {
  const [width, height] = [16, 12];
  // A plateau of 7 x 5 at (6, 4), on a slope that is lowest on the left.
  const map = Float32Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return x >= 6 && x < 13 && y >= 4 && y < 9 ? 1 : (0.2 * x) / width;
  });
  const lowest = [...map.keys()].sort((a, b) => map[a]! - map[b]!).slice(0, 19);
  const centres = new Set<number>();
  const next = random(4);
  for (let draw = 0; draw < 200; draw++) {
    const seeds = drawSeeds(map, width, next);
    const object = marked(seeds, 1, map.length);
    const centre = object[4]!;
    centres.add(centre);
    const square = [-1, 0, 1].flatMap((dy) => [-1, 0, 1].map((dx) => centre + dy * width + dx));
    if (object.join() !== square.join()) t.fail(`no square: ${object.join()}`);
    const background = marked(seeds, 0, map.length);
    const near = (a: number, b: number) =>
      Math.abs((a % width) - (b % width)) <= 1 &&
      Math.abs(Math.floor(a / width) - Math.floor(b / width)) <= 1;
    const isAround = lowest.some((low) => background.every((pixel) => near(pixel, low)));
    if (!isAround || background.length < 4) t.fail(`background at ${background.join()}`);
  }
  const inner = [...map.keys()].filter((i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return x >= 7 && x < 12 && y >= 5 && y < 8;
  });
  t.deepEqual(
    [...centres].sort((a, b) => a - b),
    inner,
    'every pixel of the eroded plateau is drawn, and no other',
  );
  t.end();
});

test('an object of one pixel is not eroded away; what would be both is neither', (t) => {
  const map = new Float32Array(25);
  map[12] = 1;
  const seeds = drawSeeds(map, 5, random(1));
  const [background, object] = [0, 1].map((plane) => marked(seeds, plane, 25));
  t.ok(
    object!.every((i) => [6, 7, 8, 11, 12, 13, 16, 17, 18].includes(i)),
    `object ${object}`,
  );
  t.ok(
    background!.every((i) => !object!.includes(i)),
    `background ${background}`,
  );
  t.end();
});
