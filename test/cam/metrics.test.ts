// Metrics against numpy and scipy (references/metrics.py), against examples computed by hand, and against the known faults
// of published implementations.

import { readFileSync } from 'node:fs';
import test from 'tape';
import {
  adcc,
  addPicture,
  areaUnder,
  type Box,
  between,
  blurred,
  boxOverlap,
  cellOf,
  coherency,
  complexity,
  drawsOf,
  drop,
  emptySums,
  energyPointing,
  estimate,
  gain,
  gridPointing,
  type HostMap,
  imputed,
  increase,
  infidelity,
  iou,
  LEVELS,
  levelCounts,
  likeness,
  MetricError,
  mapInfidelity,
  maskedPicture,
  maskOf,
  maxBoxAcc,
  maxBoxAccV2,
  metrics,
  objectAgreement,
  type Picture,
  pearson,
  pixelAveragePrecision,
  pointing,
  ranks,
  removal,
  removalOrder,
  road,
  type Subject,
  sensitivityMax,
  spearman,
  splitBoxAcc,
  ssim,
} from '../../cam/metrics/index.ts';
import { sanity } from '../../cam/metrics/sanity.ts';
import { random } from '../../models/train/data/random.ts';
import { seeded } from '../models/references/seeded.ts';

interface Case {
  readonly size: readonly [number, number];
  readonly boxes: readonly Box[];
  readonly overlaps: readonly number[];
  readonly overlapsLargest: readonly number[];
  readonly imputed: readonly number[];
  readonly blurred: readonly number[];
  readonly [name: string]: number | readonly unknown[];
}
interface Pooled {
  readonly maxBoxAcc: number;
  readonly maxBoxAccAt: readonly number[];
  readonly maxBoxAccV2: number;
  readonly split: number;
  readonly pxap: number;
}
const { cases, pooled } = JSON.parse(
  readFileSync(new URL('references/metrics.json', import.meta.url), 'utf8'),
) as { cases: Case[]; pooled: Pooled };

const mapOf = (height: number, width: number, data: ArrayLike<number>): HostMap => ({ width, height, data });

/** The map that metrics.py makes of a name. */
function madeMap(name: string, height: number, width: number): HostMap {
  const [rows, columns] = [Math.ceil(height / 4), Math.ceil(width / 4)];
  const coarse = seeded(`${name}.coarse`, [rows, columns], [-1, 1]).data;
  const fine = seeded(`${name}.fine`, [height, width], [-0.2, 0.2]).data;
  const data = Float64Array.from(fine, (value, i) => {
    const full = coarse[Math.floor(i / width / 4) * columns + Math.floor((i % width) / 4)]!;
    return full > 0 ? Math.max(0, full + value) : 0;
  });
  return mapOf(height, width, data);
}

const near = (a: number, b: number, tolerance = 1e-9) => Math.abs(a - b) <= tolerance;
const furthest = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let most = a.length === b.length ? 0 : Infinity;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
};
const every = <T>(values: ArrayLike<T>, step: number): T[] =>
  Array.from(values).filter((_, i) => i % step === 0);

for (const expected of cases) {
  const [height, width] = expected.size;
  const name = `${height}x${width}`;
  test(`metrics: ${name} against numpy and scipy`, async (t) => {
    const [map, other] = [madeMap(name, height, width), madeMap(`${name}.other`, height, width)];
    const object = maskOf(expected.boxes, width, height);
    const picture: Picture = {
      channels: 3,
      width,
      height,
      data: seeded(`${name}.picture`, [3, height, width], [-1, 1]).data,
    };
    const weights = seeded(`${name}.weights`, [3, height, width], [-0.05, 0.05]).data;
    const untied = mapOf(
      height,
      width,
      Float64Array.from(seeded(`${name}.untied`, [height, width], [0, 1]).data, (v, i) => v + i * 1e-9),
    );
    const same = (what: string, value: number, tolerance = 1e-9) =>
      t.ok(near(value, expected[what] as number, tolerance), `${what} ${value} is ${expected[what]}`);

    same('pointing', pointing(map, object));
    same('energy', energyPointing(map, object).energy);
    same('area', energyPointing(map, object).area);
    same('pearson', pearson(map.data, other.data));
    same('spearman', spearman(map, other));
    same('coherency', coherency(map, other));
    same('complexity', complexity(other));
    same('pxap', pixelAveragePrecision(levelCounts(map, object)));
    t.ok(
      furthest(every(boxOverlap(map, expected.boxes), 10), expected.overlaps) < 1e-9,
      'boxes of all pieces',
    );
    const largest = boxOverlap(map, expected.boxes, 'largest');
    t.ok(furthest(every(largest, 10), expected.overlapsLargest) < 1e-9, 'boxes of the largest piece');

    const stretched = ({ data }: HostMap) => {
      const high = Array.from(data).reduce((a, b) => Math.max(a, b));
      return mapOf(
        height,
        width,
        Float64Array.from(data, (value) => value / high),
      );
    };
    same('ssim', ssim(stretched(map), stretched(other)));

    const step = Math.max(1, Math.floor(picture.data.length / 40));
    t.ok(furthest(every(blurred(picture).data, step), expected.blurred) < 1e-6, "RISE's blur");
    const order = removalOrder(untied, random(1));
    const filled = imputed(picture, order.subarray(0, Math.round(0.6 * order.length)));
    t.ok(furthest(every(filled.data, step), expected.imputed) < 1e-6, "ROAD's imputation");

    const probabilities = async (pictures: Iterable<Picture>) =>
      Array.from(
        pictures,
        ({ data }) => 1 / (1 + Math.exp(-data.reduce((sum, x, i) => sum + x * weights[i]!, 0))),
      );
    const removed = await removal({ map: untied, picture, probabilities, seed: 3 });
    same('deletion', removed.deletion, 1e-6);
    same('insertion', removed.insertion, 1e-6);

    const products = [...seeded(`${name}.products`, [10], [-1, 1]).data];
    const changes = [...seeded(`${name}.changes`, [10], [-1, 1]).data];
    same('infidelity', infidelity(products, changes, false));
    same('infidelityScaled', infidelity(products, changes));
    t.end();
  });
}

test('metrics: MaxBoxAcc, MaxBoxAccV2, a threshold from apart, and PxAP pooled over twenty maps', (t) => {
  const [height, width] = [48, 64];
  const made = Array.from({ length: 20 }, (_, i) => {
    const [x0, y0] = [3 + 2 * i, 2 + i];
    const clutter = madeMap(`pooled ${i}`, height, width);
    const data = Float64Array.from(clutter.data as Float64Array, (value, at) => {
      const [x, y] = [at % width, Math.floor(at / width)];
      const far = Math.hypot((x - x0 - 7) / (6 + i / 4), (y - y0 - 9) / (8 + i / 4));
      return Math.max(0, 1 - far) + 0.6 * value;
    });
    return { map: mapOf(height, width, data), box: [x0, y0, x0 + 14, y0 + 18] as const };
  });
  const all = made.map(({ map, box }) => boxOverlap(map, [box]));
  const largest = made.map(({ map, box }) => boxOverlap(map, [box], 'largest'));
  t.ok(near(maxBoxAcc(largest), pooled.maxBoxAcc), `MaxBoxAcc ${maxBoxAcc(largest)}`);
  t.ok(
    furthest(
      [0.3, 0.5, 0.7].map((delta) => maxBoxAcc(all, delta)),
      pooled.maxBoxAccAt,
    ) < 1e-9,
    'at .3, .5, .7',
  );
  t.ok(near(maxBoxAccV2(all), pooled.maxBoxAccV2), `V2 ${maxBoxAccV2(all)}`);
  t.ok(
    near(splitBoxAcc(all.slice(0, 10), all.slice(10)), pooled.split),
    `threshold of the first half on the second: ${splitBoxAcc(all.slice(0, 10), all.slice(10))}`,
  );
  const counts = made.map(({ map, box }) => levelCounts(map, maskOf([box], width, height)));
  const sum = counts[0]!.map((_, k) => counts.reduce((total, one) => total + one[k]!, 0));
  t.ok(near(pixelAveragePrecision(sum), pooled.pxap), `PxAP ${pixelAveragePrecision(sum)}`);

  const sums = emptySums();
  const metric = metrics.get('box-acc')!;
  made.forEach(({ map, box }, i) => {
    const half = i < 10 ? 0 : 1;
    const measured = metric.measure({ map, boxes: [box], half } as unknown as Subject) as Float64Array;
    addPicture(sums, drawsOf(i), measured);
  });
  const column = (title: string) => metric.columns.find((one) => one.title === title)!.value(sums.total);
  t.ok(near(column('MaxBoxAccV2'), pooled.maxBoxAccV2), 'as sums over pictures');
  const halves = [
    [all.slice(0, 10), all.slice(10)],
    [all.slice(10), all.slice(0, 10)],
  ] as const;
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const both = mean([0.3, 0.5, 0.7].flatMap((d) => halves.map(([a, b]) => splitBoxAcc(a, b, d))));
  t.ok(near(column('V2 split'), both), 'split both ways round as sums over pictures');
  t.end();
});

test('metrics: PxAP of the pixels that are not ignored', (t) => {
  const [height, width] = [9, 12];
  const map = madeMap('ignored', height, width);
  const [object, ignored] = [[2, 2, 7, 6] as const, [[5, 0, 12, 5] as const, [-3, 7, 4, 40] as const]];
  const inside = (x: number, y: number, [x0, y0, x1, y1]: Box) => x >= x0 && x < x1 && y >= y0 && y < y1;
  const most = Math.max(...Array.from(map.data));
  const pixels = Array.from(map.data, (value, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    const isObject = inside(x, y, object);
    return { value: value / most, isObject, counts: isObject || !ignored.some((box) => inside(x, y, box)) };
  }).filter(({ counts }) => counts);
  t.ok(pixels.length < 90 && pixels.length > 30, `${pixels.length} pixels are left`);
  let [expected, recall] = [0, 0];
  const objects = pixels.filter(({ isObject }) => isObject).length;
  for (let level = 255; level >= 0; level--) {
    const taken = pixels.filter(({ value }) => value >= level / 255);
    const right = taken.filter(({ isObject }) => isObject).length;
    if (taken.length > 0) expected += (right / taken.length) * (right / objects - recall);
    recall = right / objects;
  }
  const found = pixelAveragePrecision(levelCounts(map, maskOf([object], width, height), ignored));
  t.ok(near(found, expected), `${found}, ${expected}`);
  t.notOk(near(pixelAveragePrecision(levelCounts(map, maskOf([object], width, height))), expected));
  t.end();
});

test('metrics: intersection over union of half-open boxes', (t) => {
  t.equal(iou([0, 0, 2, 2], [0, 0, 2, 2]), 1);
  t.equal(iou([0, 0, 2, 2], [2, 0, 4, 2]), 0, 'boxes that touch have nothing in common');
  t.equal(iou([0, 0, 2, 2], [1, 1, 3, 3]), 1 / 7);
  t.deepEqual(
    [...(maskOf([[-1, 1, 2, 9]], 3, 2).data as Uint8Array)],
    [0, 0, 0, 1, 1, 0],
    'cut at the picture',
  );
  t.end();
});

test('metrics: Average Drop, Increase and Gain by hand', (t) => {
  const [ys, os] = [
    [0.8, 0.5],
    [0.6, 0.7],
  ];
  t.ok(near(drop(ys[0]!, os[0]!), 0.25) && drop(ys[1]!, os[1]!) === 0, 'from .8 to .6 a quarter is lost');
  t.deepEqual([increase(0.8, 0.6), increase(0.5, 0.7), increase(0.5, 0.5)], [0, 1, 0]);
  t.ok(gain(0.8, 0.6) === 0 && near(gain(0.5, 0.7), 0.4), 'from .5 to .7 two fifths of the rest are gained');
  t.deepEqual([drop(0, 0.5), gain(1, 1)], [0, 0], 'nothing to lose and nothing to gain');
  t.ok(near(adcc(1, 0, 0), 1) && near(adcc(0.5, 0.5, 0.5), 0.5) && near(adcc(1, 0.5, 0), 3 / 4), 'ADCC');
  t.equal(adcc(1, 1, 0), 0, 'ADCC of a map that is everywhere');
  t.end();
});

test('metrics: what a map leaves of a picture fades to black, not to the mean colour', (t) => {
  const picture = { channels: 2, width: 2, height: 1, data: Float32Array.of(1, 2, 3, 4) };
  const { data } = maskedPicture(picture, mapOf(1, 2, [5, -1]), [-1, -2]);
  t.deepEqual([...data], [1, -1, 3, -2]);
  t.deepEqual([...maskedPicture(picture, mapOf(1, 2, [0, 0]), [-1, -2]).data], [-1, -1, -2, -2], 'flat');
  t.end();
});

test('metrics: the pointing game', (t) => {
  const object = maskOf([[1, 1, 3, 2]], 5, 3);
  const peak = (x: number, y: number) =>
    mapOf(
      3,
      5,
      Array.from({ length: 15 }, (_, i) => (i === 5 * y + x ? 2 : 1)),
    );
  t.equal(pointing(peak(2, 1), object), 1);
  t.equal(pointing(peak(3, 1), object), 0, 'x = 3 is outside of 1 .. 3');
  t.equal(pointing(peak(3, 1), object, 1), 0, 'one pixel away is not less than one');
  t.equal(pointing(peak(3, 1), object, 1.5), 1);
  t.equal(pointing(peak(4, 2), object, 2), 0, 'away along both axes');
  const two = mapOf(3, 5, [0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0]);
  t.equal(pointing(two, object), 0.5, 'of two peaks one hits');
  t.end();
});

test("metrics: Quantus' three pointing faults", (t) => {
  const [width, height] = [4, 4];
  const nowhere = maskOf([], width, height);
  const somewhere = maskOf([[1, 1, 3, 3]], width, height);
  const spike = mapOf(4, 4, [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  const constant = mapOf(4, 4, new Float32Array(16).fill(0.7));
  const empty = mapOf(4, 4, new Float32Array(16));
  t.equal(pointing(spike, nowhere), 0, 'an object without pixels is not hit');
  t.equal(pointing(constant, somewhere), 0, 'a constant map does not hit');
  t.equal(pointing(empty, somewhere), 0, 'nor an empty one');
  const metric = metrics.get('pointing')!;
  const subject = { map: spike, mask: somewhere, boxes: [] } as unknown as Subject;
  t.deepEqual(metric.measure(subject), [1, 1], 'a hit is a number, which can be weighed and averaged');
  t.end();
});

test('metrics: a flat or empty map never scores as a hit', async (t) => {
  const [width, height] = [16, 12];
  const boxes: Box[] = [[0, 0, width, height]];
  for (const value of [0, 3, -2]) {
    const map = mapOf(height, width, new Float64Array(width * height).fill(value));
    const overlap = boxOverlap(map, boxes);
    t.ok(
      overlap.length === LEVELS && overlap.every((one) => one === 0),
      `${value}: no box, though the object is everything`,
    );
    t.equal(pointing(map, maskOf(boxes, width, height)), 0, `${value}: no hit`);
  }
  const zero = mapOf(height, width, new Float64Array(width * height));
  t.deepEqual(energyPointing(zero, maskOf(boxes, width, height)), { energy: 0, area: 1 });
  t.equal(coherency(zero, zero), 0);
  t.ok(Number.isNaN(spearman(zero, zero)), 'constant maps have no correlation');
  const part = maskOf([[0, 0, 4, 3]], width, height);
  t.ok(
    near(pixelAveragePrecision(levelCounts(zero, part)), 12 / 192),
    'all pixels tie: the share of the object',
  );
  const subject: Subject = {
    map: zero,
    boxes,
    mask: undefined,
    picture: { channels: 1, width, height, data: new Float32Array(width * height).fill(1) },
    black: [0],
    probability: 0.5,
    probabilities: async (pictures) => Array.from(pictures, () => 0.5),
    explain: async () => zero,
    steepest: async () => undefined,
    redrawn: async () => [zero],
    seed: 1,
    half: 0,
  };
  const measured = await metrics.get('adcc')!.measure(subject);
  t.deepEqual([...(measured as number[])], [0, 0, 0, 1], 'ADCC');
  t.end();
});

test('metrics: grid pointing', (t) => {
  t.deepEqual(cellOf(5, 3, 96, 96), [64, 32, 96, 64]);
  t.deepEqual(
    Array.from({ length: 4 }, (_, i) => cellOf(i, 2, 5, 5)),
    [
      [0, 0, 3, 3],
      [3, 0, 5, 3],
      [0, 3, 3, 5],
      [3, 3, 5, 5],
    ],
    'cells share no pixel and leave none out',
  );
  const map = mapOf(2, 2, [1, 2, 3, -4]);
  t.deepEqual(
    [0, 1, 2, 3].map((i) => gridPointing(map, i, 2)),
    [1 / 6, 2 / 6, 3 / 6, 0],
  );
  t.end();
});

test('metrics: pixels are removed by rank, equal ones at random', (t) => {
  const map = mapOf(1, 6, [0, 3, 0, 0, 5, 0]);
  const firsts = new Set<number>();
  for (let seed = 0; seed < 50; seed++) {
    const order = removalOrder(map, random(seed));
    t.deepEqual([...order.subarray(0, 2), ...order.slice(2).sort()], [4, 1, 0, 2, 3, 5]);
    firsts.add(order[2]!);
  }
  t.deepEqual([...firsts].sort(), [0, 2, 3, 5], 'each of the equal ones comes first at some seed');
  t.deepEqual(removalOrder(map, random(7)), removalOrder(map, random(7)), 'the same for the same seed');
  const one = { channels: 1, width: 6, height: 1, data: Float32Array.of(1, 2, 3, 4, 5, 6) };
  const empty = { ...one, data: new Float32Array(6) };
  const steps = [...between(one, empty, Uint32Array.of(4, 1, 0, 2, 3, 5), 3)].map(({ data }) => [...data]);
  t.deepEqual(steps, [
    [1, 2, 3, 4, 5, 6],
    [1, 0, 3, 4, 0, 6],
    [0, 0, 0, 4, 0, 6],
    [0, 0, 0, 0, 0, 0],
  ]);
  t.equal(areaUnder([1, 0.5, 0]), 0.5);
  t.end();
});

test("metrics: pytorch-grad-cam's ROAD fault: a map with 69 % zeros loses the share asked for, not all or nothing", async (t) => {
  const [width, height] = [20, 20];
  const data = Float64Array.from({ length: 400 }, (_, i) => (i < 124 ? 1 + i : 0));
  const picture = { channels: 1, width, height, data: new Float32Array(400).fill(1) };
  // Marks what was filled in: an odd picture whose removed pixels can be told by their noise.
  const removedIn = ({ data: filled }: Picture) => filled.reduce((n, value) => n + Number(value !== 1), 0);
  const counts: number[] = [];
  await road({
    map: mapOf(height, width, data),
    picture,
    seed: 5,
    probabilities: async (pictures) =>
      Array.from(pictures, (one) => {
        counts.push(removedIn(one));
        return 0.5;
      }),
  });
  t.deepEqual(counts, [80, 160, 240, 320, 80, 160, 240, 320], '20, 40, 60 and 80 % of 400, from both ends');
  t.end();
});

test('metrics: ROAD tells a map of what matters from its opposite, and repeats itself', async (t) => {
  const [width, height] = [16, 16];
  const weights = seeded('road.weights', [height, width], [0, 1]).data.map((w, i) => (i < 64 ? w : 0));
  const picture = { channels: 1, width, height, data: seeded('road.picture', [256], [0, 1]).data };
  const probabilities = async (pictures: Iterable<Picture>) =>
    Array.from(
      pictures,
      ({ data }) => 1 / (1 + Math.exp(-data.reduce((sum, x, i) => sum + (x > 0.6 ? weights[i]! : 0), 0))),
    );
  const matter = { map: mapOf(height, width, weights), picture, probabilities, seed: 2 };
  const opposite = {
    ...matter,
    map: mapOf(
      height,
      width,
      weights.map((w) => -w),
    ),
  };
  const [good, bad] = [await road(matter), await road(opposite)];
  t.ok(good.lerf > good.morf, `least relevant first keeps more: ${good.lerf} > ${good.morf}`);
  t.ok(bad.lerf < bad.morf, 'and the other way round');
  t.deepEqual(await road(matter), good);
  const all = imputed(
    picture,
    Uint32Array.from({ length: 256 }, (_, i) => i),
  );
  t.ok(all.data.every(Number.isFinite), 'nothing known is no division by zero');
  t.end();
});

test('metrics: infidelity and max-sensitivity of maps that are exact', async (t) => {
  const [width, height] = [6, 5];
  const weights = seeded('linear', [height, width], [-1, 1]).data;
  const picture = { channels: 1, width, height, data: seeded('x', [height, width], [0, 1]).data };
  const f = ({ data }: Picture) => data.reduce((sum, x, i) => sum + x * weights[i]!, 0);
  const linear = {
    map: mapOf(
      height,
      width,
      weights.map((w) => 7 * w),
    ),
    picture,
    probability: f(picture),
    probabilities: async (pictures: Iterable<Picture>) => Array.from(pictures, f),
    seed: 1,
  };
  t.ok(
    (await mapInfidelity(linear)) < 1e-12,
    "a linear function's weights foretell it, whatever their scale",
  );
  t.ok(
    (await mapInfidelity({
      ...linear,
      map: mapOf(
        height,
        width,
        weights.map((w) => w * w),
      ),
    })) > 1e-5,
  );
  const map = mapOf(height, width, picture.data);
  const same = async () => map;
  t.equal(await sensitivityMax({ map, picture, explain: same, seed: 1 }), 0, 'a map that stays');
  const self = async ({ data }: Picture) => mapOf(height, width, data);
  const norm = Math.hypot(...picture.data);
  const found = await sensitivityMax({ map, picture, explain: self, seed: 1 });
  t.ok(
    found > 0.005 / norm && found <= (0.02 * Math.sqrt(30)) / norm + 1e-7,
    `the picture as its map: ${found}`,
  );
  // captum's: max |phi(x + d) - phi(x)| / |phi(x)| over draws with |d| <= r, norms of all numbers; here of a curved map.
  const curved = ({ data }: Pick<Picture, 'data'>) =>
    Float64Array.from(data, (x, i) => Math.sin(9 * x) * x + i);
  const drawn: Picture[] = [];
  const noting = async (other: Picture) => {
    drawn.push(other);
    return mapOf(height, width, curved(other));
  };
  const phi = curved(picture);
  const given = { map: mapOf(height, width, phi), picture, explain: noting, seed: 4 };
  const sampled = await sensitivityMax(given, { draws: 7, radius: 0.03 });
  const moves = drawn.map(({ data }) => Math.max(...data.map((x, i) => Math.abs(x - picture.data[i]!))));
  t.ok(
    moves.length === 7 && moves.every((move) => move > 0.02 && move <= 0.03 + 1e-6),
    `draws within ${moves}`,
  );
  const changes = drawn.map(
    (one) => Math.hypot(...curved(one).map((x, i) => x - phi[i]!)) / Math.hypot(...phi),
  );
  t.ok(near(sampled, Math.max(...changes)), `${sampled}`);
  t.end();
});

test('metrics: ranks share ties, and SSIM of equal maps is 1', (t) => {
  t.deepEqual([...ranks([3, 1, 3, 2])], [3.5, 1, 3.5, 2]);
  const map = madeMap('one', 12, 15);
  t.ok(near(ssim(map, map), 1));
  t.ok(ssim(map, madeMap('two', 12, 15)) < 0.5);
  t.throws(() => ssim(mapOf(4, 20, new Float64Array(80)), mapOf(4, 20, new Float64Array(80))), MetricError);
  t.end();
});

test('metrics: what is left of a map when weights are drawn anew', async (t) => {
  const [map, other] = [madeMap('one', 12, 15), madeMap('two', 12, 15)];
  const flat = mapOf(12, 15, new Float64Array(180));
  const [same, half] = [likeness(map, [map, map]), likeness(map, [map, flat])];
  t.ok(near(same[0], 1) && near(same[1], 1), 'a map that does not change');
  t.ok(near(half[0], 0.5) && near(half[1], 0.5), 'a flat map is like no other');
  t.deepEqual(likeness(flat, [flat]), [0, 0]);
  t.ok(Math.abs(likeness(map, [other])[0]) < 0.3);
  const redrawn = async (way: string) => (way === 'cascading' ? [map, flat] : [map]);
  const sums = await sanity.measure({ map, redrawn } as unknown as Subject);
  t.deepEqual(
    sanity.columns.map(({ title, value }) => [title, Number(value(sums).toFixed(6))]),
    [
      ['cascading rank', 0.5],
      ['cascading SSIM', 0.5],
      ['independent rank', 1],
      ['independent SSIM', 1],
    ],
  );
  t.end();
});

test('metrics: bootstrap intervals hold what they should', (t) => {
  // A hundred data sets of 80 numbers with mean 0: the mean's interval holds 0 in about 95 of them.
  let held = 0;
  const next = random(11);
  for (let set = 0; set < 100; set++) {
    const sums = emptySums();
    for (let i = 0; i < 80; i++) addPicture(sums, drawsOf(set * 1000 + i), [next() - 0.5, 1]);
    const { low, high } = estimate(sums, (both) => both[0]! / both[1]!);
    if (low <= 0 && high >= 0) held++;
  }
  t.ok(held >= 88 && held <= 99, `${held} of 100`);
  const [one, other] = [emptySums(), emptySums()];
  const values = Array.from({ length: 50 }, (_, i) => i / 64);
  values.forEach((value, i) => {
    addPicture(one, drawsOf(i), [value, 1]);
  });
  for (let i = 49; i >= 0; i--) addPicture(other, drawsOf(i), [values[i]!, 1]);
  const mean = (sums: ArrayLike<number>) => sums[0]! / sums[1]!;
  t.deepEqual(estimate(one, mean), estimate(other, mean), 'the order of pictures changes nothing');
  t.ok(Number.isNaN(estimate(emptySums(), mean).value), 'nothing measured');
  t.end();
});

test('metrics: what does not fit is refused', (t) => {
  const map = mapOf(2, 2, [1, 2, 3, 4]);
  t.throws(() => pointing(map, maskOf([], 2, 3)), MetricError, 'sizes differ');
  t.throws(() => pointing(mapOf(2, 2, [1, 2, 3]), maskOf([], 2, 2)), MetricError, 'too few numbers');
  t.throws(() => boxOverlap(mapOf(2, 2, [1, Number.NaN, 3, 4]), []), MetricError, 'NaN');
  t.throws(() => levelCounts(mapOf(2, 2, [1, Infinity, 3, 4]), maskOf([], 2, 2)), MetricError, 'infinity');
  t.throws(() => energyPointing(mapOf(2, 2, [1, Number.NaN, 3, 4]), maskOf([], 2, 2)), MetricError, 'energy');
  t.end();
});

test('metrics: a map against what objects are worth', async (t) => {
  const boxes: Box[] = [
    [0, 0, 2, 1],
    [2, 0, 3, 1],
    [3, 0, 4, 1],
  ];
  const map = mapOf(1, 5, [2, 1, 2, 1, 4]);
  const objects = (...worths: number[]) => boxes.map((box, i) => ({ box, worth: worths[i]! }));
  const found = objectAgreement(map, objects(9, 2, 1));
  t.ok(
    near(found.onCause, 0.3) && near(found.elsewhere, 0.4) && near(found.agreement, 1),
    JSON.stringify(found),
  );
  t.ok(near(objectAgreement(map, objects(1, 2, 9)).agreement, -1), 'the other way round');
  t.ok(near(objectAgreement(map, objects(1, 2, 9)).onCause, 0.1));
  const flat = mapOf(1, 5, [1, 1, 1, 1, 1]);
  t.deepEqual(objectAgreement(flat, objects(9, 2, 1)), { onCause: 0, agreement: 0, elsewhere: 1 }, 'flat');
  const picture = { channels: 1, width: 5, height: 1, data: new Float32Array(5) };
  const removed = boxes.map((box, i) => ({ box, picture: { ...picture, data: picture.data.map(() => i) } }));
  // Without the first object the log-odds fall from 0 to -9, without the others to -2 and -1.
  const odds = [-9, -2, -1];
  const subject = {
    map,
    removed,
    probability: 0.5,
    probabilities: async (pictures: Iterable<Picture>) =>
      Array.from(pictures, ({ data }) => 1 / (1 + Math.exp(-odds[data[0]!]!))),
  } as unknown as Subject;
  const sums = (await metrics.get('counterfactual')!.measure(subject)) as number[];
  t.ok(near(sums[0]!, 0.3) && near(sums[2]!, 1) && sums[3] === 1 && sums[4] === 1, sums.join(' '));
  t.end();
});
