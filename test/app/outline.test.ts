// Masks of COCO's polygons and runs, against the definition for each pixel.

import test from 'tape';
import { readCoco } from '../../app/datasets/coco.ts';
import { DataSetError } from '../../app/datasets/data-set.ts';
import { maskOf } from '../../app/datasets/outline.ts';
import { seededRandom } from '../reference/index.ts';

/** Times that a polygon goes round a point, from the angles of its corners. */
function turns(polygon: readonly number[], x: number, y: number): number {
  const angles = Array.from({ length: polygon.length / 2 }, (_, i) =>
    Math.atan2(polygon[2 * i + 1]! - y, polygon[2 * i]! - x),
  );
  const whole = angles.reduce((sum, angle, i) => {
    const step = angles[(i + 1) % angles.length]! - angle;
    return sum + step - 2 * Math.PI * Math.round(step / (2 * Math.PI));
  }, 0);
  return Math.round(whole / (2 * Math.PI));
}

test('outlines: a polygon holds the pixels whose middles it goes round an odd number of times', (t) => {
  const [width, height] = [17, 13];
  t.deepEqual(
    Array.from(maskOf([[[1, 1, 4, 1, 4, 3, 1, 3]]], 5, 4, '').data),
    [0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0],
  );
  for (let seed = 1; seed <= 20; seed++) {
    const next = seededRandom(seed);
    // Beyond the picture too, and crossing themselves.
    const polygons = [6, 10].map((n) => Array.from({ length: n }, () => 24 * next() - 4));
    const expected = Array.from({ length: width * height }, (_, i) => {
      const [x, y] = [(i % width) + 0.5, Math.floor(i / width) + 0.5];
      return Number(polygons.some((polygon) => turns(polygon, x, y) % 2 !== 0));
    });
    t.deepEqual(Array.from(maskOf([polygons], width, height, '').data), expected, `seed ${seed}`);
  }
  t.end();
});

/** COCO's text of counts: of each from the third on the difference to the one before the last, in groups of five bits. */
function encoded(counts: readonly number[]): string {
  return counts
    .map((count, i) => {
      let rest = i > 2 ? count - counts[i - 2]! : count;
      let text = '';
      for (let more = true; more; ) {
        const five = rest & 31;
        rest >>= 5;
        more = five & 16 ? rest !== -1 : rest !== 0;
        text += String.fromCharCode(48 + (more ? five | 32 : five));
      }
      return text;
    })
    .join('');
}

test('outlines: runs go down the columns, as numbers and as text', (t) => {
  const [width, height] = [61, 40];
  for (let seed = 1; seed <= 10; seed++) {
    const next = seededRandom(seed);
    const counts: number[] = [];
    for (let left = width * height; left > 0; left -= counts.at(-1)!)
      counts.push(Math.min(left, Math.floor(next() * [3, 700][seed % 2]!)));
    const columns = counts.flatMap((run, i) => Array<number>(run).fill(i % 2));
    const expected = Array.from(
      { length: width * height },
      (_, i) => columns[(i % width) * height + Math.floor(i / width)]!,
    );
    const size = [height, width] as const;
    t.deepEqual(Array.from(maskOf([{ size, counts }], width, height, '').data), expected, `seed ${seed}`);
    t.deepEqual(Array.from(maskOf([{ size, counts: encoded(counts) }], width, height, '').data), expected);
  }
  t.end();
});

test('outlines: what is none is named, and what does not fit', (t) => {
  const coco = (...segmentations: readonly unknown[]) =>
    JSON.stringify({
      images: [{ id: 1, file_name: 'x.png' }],
      categories: [{ id: 1, name: 'cat' }],
      annotations: segmentations.map((segmentation) => ({
        image_id: 1,
        category_id: 1,
        bbox: [0, 0, 2, 2],
        segmentation,
      })),
    });
  const square = [[0, 0, 2, 0, 2, 2, 0, 2]];
  t.deepEqual(readCoco(coco(square, square), 'c.json')[0]!.objects[0]!.outlines, [square, square]);
  t.equal(readCoco(coco(square, []), 'c.json')[0]!.objects[0]!.outlines, undefined, 'one has none');
  for (const wrong of [[[1, 2, 3, 4]], [[1, 2, 3, 4, 5, 'x']], { size: [2, 2] }, 7]) {
    t.throws(() => readCoco(coco(wrong), 'c.json'), /c\.json: annotations\[0\]: its segmentation is neither/);
  }
  for (const counts of [[1, 2], [5, -1], '1234']) {
    t.throws(() => maskOf([{ size: [2, 2], counts }], 2, 2, 'x.png'), DataSetError);
  }
  t.throws(
    () => maskOf([{ size: [3, 2], counts: [6] }], 2, 2, 'x.png'),
    /x\.png: runs of 6 pixels for 2 x 3/,
  );
  t.end();
});
