// Training with a penalty on evidence outside the box: the planted shortcut, and the penalty with its derivative for the
// weights against the formula in float64.

import test from 'tape';
import { grad, linear, reshape, tanh, tensor } from '../../engine/index.ts';
import { makeDecoy, shadeOf } from '../../models/train/data/decoys.ts';
import type { LabelledImages } from '../../models/train/data/labelled-images.ts';
import { random } from '../../models/train/data/random.ts';
import { evidence, penalty } from '../../models/train/decoys.ts';
import { device } from '../device.ts';
import { gradient, randomArray, relativeError, seededRandom } from '../reference/index.ts';

test('a decoy is its digit and a square in a corner, of its class or of any', (t) => {
  const pixels = new Uint8Array(784);
  for (const [x, y] of [
    [9, 5],
    [20, 23],
  ] as const)
    pixels[y * 28 + x] = 200;
  const digits: LabelledImages = {
    ...{ count: 1, channels: 1, height: 28, width: 28, pixels, labels: Uint8Array.of(3) },
    classes: [...'0123456789'],
  };
  const next = random(1);
  const [corners, shades] = [new Set<number>(), new Set<number>()];
  for (let i = 0; i < 100; i++) {
    const decoy = makeDecoy(digits, 0, i < 50 ? 'class' : 'any', next);
    const changed = [...decoy.pixels.keys()].filter((at) => decoy.pixels[at] !== pixels[at]);
    const grey = decoy.pixels[changed[0]!]!;
    if (changed.length !== 16 || changed.some((at) => decoy.pixels[at] !== grey)) t.fail('a square of 16');
    const [first, last] = [changed[0]!, changed[15]!];
    if (last - first !== 3 * 28 + 3) t.fail('4 x 4');
    corners.add(first);
    if (i < 50) {
      if (grey !== shadeOf(3)) t.fail(`shade ${grey}`);
    } else shades.add(grey);
    if (decoy.class !== 3 || decoy.box.join() !== '9,5,21,24') t.fail(`${decoy.class} in ${decoy.box}`);
  }
  t.deepEqual(
    [...corners].sort((a, b) => a - b),
    [0, 24, 24 * 28, 24 * 28 + 24],
    'all four corners',
  );
  t.deepEqual(
    [...shades].sort((a, b) => a - b),
    Array.from({ length: 10 }, (_, c) => shadeOf(9 - c)),
  );
  t.end();
});

const [N, K, H, W, HIDDEN, CLASSES] = [3, 4, 5, 3, 6, 10];
const SIZE = K * H * W;

/** The penalty of z = V tanh(U a), whose gradient for a is U^T ((1 - tanh^2) V^T c), c = 1 at the class less 1/10. */
function expected(
  kind: keyof typeof evidence,
  U: ArrayLike<number>,
  V: ArrayLike<number>,
  A: ArrayLike<number>,
  classes: number[],
  outside: ArrayLike<number>,
) {
  let total = 0;
  for (let n = 0; n < N; n++) {
    const h = Array.from({ length: HIDDEN }, (_, j) => {
      let z = 0;
      for (let i = 0; i < SIZE; i++) z += U[j * SIZE + i]! * A[n * SIZE + i]!;
      return Math.tanh(z);
    });
    const back = h.map((y, j) => {
      let sum = 0;
      for (let c = 0; c < CLASSES; c++) sum += V[c * HIDDEN + j]! * (Number(c === classes[n]) - 1 / CLASSES);
      return (1 - y * y) * sum;
    });
    const g = Array.from({ length: SIZE }, (_, i) =>
      back.reduce((sum, b, j) => sum + b * U[j * SIZE + i]!, 0),
    );
    const w = Array.from({ length: K }, (_, k) => {
      let sum = 0;
      for (let p = 0; p < H * W; p++) sum += g[k * H * W + p]!;
      return sum / (H * W);
    });
    for (let p = 0; p < H * W; p++) {
      let M = 0;
      for (let k = 0; k < K; k++)
        M += (kind === 'grad-cam' ? w[k]! : g[k * H * W + p]!) * A[n * SIZE + k * H * W + p]!;
      total += outside[n * H * W + p]! * M * M;
    }
  }
  return total / N;
}

for (const kind of Object.keys(evidence) as (keyof typeof evidence)[]) {
  test(`the penalty on ${kind} outside the box, and how it changes with the weights`, async (t) => {
    const on = await device();
    const next = seededRandom(kind.length);
    const [A, U, V] = [
      [N, SIZE],
      [HIDDEN, SIZE],
      [CLASSES, HIDDEN],
    ].map((shape) => randomArray(shape, next));
    const [classes, cells] = [
      [7, 0, 3],
      Float32Array.from({ length: N * H * W }, () => Number(next() < 0.5)),
    ];
    const targets = {
      classes: tensor(
        on,
        Float32Array.from({ length: N * CLASSES }, (_, i) =>
          Number(i % CLASSES === classes[Math.floor(i / CLASSES)]),
        ),
        [N, CLASSES],
      ),
      outside: tensor(on, cells, [N, 1, H, W]),
    };
    const value = tensor(on, A!.data, [N, K, H, W]);
    const v = tensor(on, V!.data, [CLASSES, HIDDEN]);
    const loss = (u: typeof v) =>
      penalty(kind, { value, logitsOf: (x) => linear(tanh(linear(reshape(x, [N, SIZE]), u)), v) }, targets);
    const u = tensor(on, U!.data, [HIDDEN, SIZE]);
    const of = (weights: ArrayLike<number>) => expected(kind, weights, V!.data, A!.data, classes, cells);
    const error = relativeError(await loss(u).data(), [of(U!.data)]);
    t.ok(error < 1e-5, `error ${error.toExponential(1)}`);
    const slopes = gradient(({ data }) => of(data), {
      shape: [HIDDEN, SIZE],
      data: Float64Array.from(U!.data),
    });
    const slopeError = relativeError(await grad(loss)(u).data(), slopes.data);
    t.ok(slopeError < 1e-4, `of its derivative ${slopeError.toExponential(1)}`);
  });
}
