// Maps as functions of the picture: their derivatives against differences, and a picture whose map lies.

import test from 'tape';
import { largestChange, mapFunction, methodOf, methods, observe, targets } from '../../cam/index.ts';
import {
  add,
  divideByMaxNorm,
  grad,
  mul,
  scale,
  scope,
  sub,
  sum,
  type Tensor,
  tensor,
} from '../../engine/index.ts';
import { INPUT } from '../../models/graph.ts';
import { device } from '../device.ts';
import { relativeError, seededRandom } from '../reference/index.ts';
import { graphs, randomNetwork } from './networks.ts';

const CLASS = 2;

const numbers = (length: number, seed: number) => {
  const next = seededRandom(seed);
  return Float32Array.from({ length }, () => next() * 2 - 1);
};

/** A traced network with a smooth tail. */
async function smooth(seed: number, [h, w]: readonly [number, number]) {
  const network = randomNetwork(await device(), graphs.smooth, seed);
  const picture = tensor(
    network.device,
    numbers(3 * h * w, seed).map((v) => 3 * v),
    [1, 3, h, w],
  );
  return observe(network, picture);
}

test('the map as a function is the map that is explained, and its derivative that of differences', async (t) => {
  const trace = await smooth(2, [3, 4]);
  const context = { target: targets.logit(CLASS), classIndex: CLASS };
  const pixels = await trace.picture.data();
  const refused: string[] = [];
  for (const [name, method] of methods) {
    // They need a linear head, attention, or a decoder.
    if (['cam', 'gae', 'f-cam', 'f-cam-class'].includes(name)) continue;
    const map = mapFunction(trace, method, { classIndex: CLASS });
    try {
      scope(() => map(trace.picture));
    } catch (error) {
      t.match(String(error), /^MethodError: .* reads or keeps numbers on its way/, name);
      refused.push(name);
      continue;
    }
    const explained = method.explain(trace.at(), context) as { M: Tensor };
    const asked = tensor(trace.picture.device, numbers(12, 7), [3, 4]);
    const loss = (x: Tensor) => sum(mul(map(x), asked));
    t.ok(relativeError(await map(trace.picture).data(), await explained.M.data()) < 1e-5, `${name}: the map`);
    const slope = await grad(loss)(trace.picture).data();
    const along = numbers(36, 11);
    const expected = slope.reduce((total, g, i) => total + g * along[i]!, 0);
    // A step long enough for f32, and short enough that no ReLU turns: its error goes with its square.
    const at = async (step: number) => {
      const moved = tensor(
        trace.picture.device,
        pixels.map((v, i) => v + step * along[i]!),
        trace.picture.shape,
      );
      return (await loss(moved).data())[0]!;
    };
    const h = 2 ** -8;
    const [far, near] = [
      ((await at(2 * h)) - (await at(-2 * h))) / (4 * h),
      ((await at(h)) - (await at(-h))) / (2 * h),
    ];
    const found = (4 * near - far) / 3;
    t.ok(Math.abs(found - expected) < 5e-5 + 2e-3 * Math.abs(expected), `${name}: ${found}, ${expected}`);
  }
  t.ok(
    ['score-cam', 'shapley', 'full-grad', 'attn-lrp', 'guided-backpropagation'].every((name) =>
      refused.includes(name),
    ),
    `refused: ${refused}`,
  );
  t.notOk(['grad-cam', 'hires-cam', 'shapley-cam'].some((name) => refused.includes(name)));
  trace.dispose();
});

test('the largest change of a map: the first singular value of its derivative, row by row', async (t) => {
  const trace = await smooth(2, [3, 4]);
  for (const name of ['grad-cam', 'hires-cam']) {
    const map = mapFunction(trace, methodOf(name), { classIndex: CLASS });
    const rows = await Promise.all(
      Array.from({ length: 12 }, (_, i) => {
        const one = tensor(trace.picture.device, new Float32Array(12).fill(1, i, i + 1), [3, 4]);
        return grad((x: Tensor) => sum(mul(map(x), one)))(trace.picture).data();
      }),
    );
    // Powers of J^T J in float64, from another start and many more of them.
    let v = Array.from({ length: 36 }, (_, i) => Math.cos(i));
    let expected = 0;
    for (let round = 0; round < 2000; round++) {
      const ahead = rows.map((row) => row.reduce((total, x, i) => total + x * v[i]!, 0));
      expected = Math.hypot(...ahead);
      const back = v.map((_, i) => rows.reduce((total, row, k) => total + row[i]! * ahead[k]!, 0));
      v = back.map((x) => x / Math.hypot(...back));
    }
    const { direction, size } = await largestChange(trace, methodOf(name), { classIndex: CLASS });
    const found = await direction.data();
    t.ok(Math.abs(size - expected) < 2e-3 * expected, `${name}: ${size}, ${expected}`);
    const along = rows.map((row) => row.reduce((total, x, i) => total + x * found[i]!, 0));
    t.ok(Math.abs(Math.hypot(...along) - expected) < 2e-3 * expected, 'and a change that does it');
    t.ok(Math.abs(Math.hypot(...found) - 1) < 1e-5, 'of length 1');
    direction.dispose();
  }
  trace.dispose();
});

test('Grad-CAM can be made to lie: its peak goes where it is sent, and the logits stay', async (t) => {
  const trace = await smooth(4, [6, 6]);
  const map = mapFunction(trace, methodOf('grad-cam'), { classIndex: CLASS });
  const [before, logits] = [await map(trace.picture).data(), await trace.outputs.logits.data()];
  const peak = before.indexOf(Math.max(...before));
  const isFar = (i: number) =>
    Math.abs((i % 6) - (peak % 6)) + Math.abs(Math.floor(i / 6) - Math.floor(peak / 6)) > 3;
  const there = before.indexOf(Math.max(...before.filter((_, i) => isFar(i))));
  const size = before.reduce((a, b) => Math.max(a, Math.abs(b)));
  // A map whose peak lies far from where it was, and outputs as they were (Dombrowski 2019, equation 2).
  const wanted = tensor(
    trace.picture.device,
    before.map((v, i) => (i === there ? 2 * size : v / 2)),
    [6, 6],
  );
  const still = tensor(trace.picture.device, logits, trace.outputs.logits.shape);
  const squares = (x: Tensor) => sum(mul(x, x));
  const loss = (x: Tensor) => {
    const outputs = trace.vary(new Map([[INPUT, x]]), ['logits']);
    return add(
      scale(squares(sub(map(x), wanted)), 1 / size ** 2),
      scale(squares(sub(outputs.logits, still)), 100),
    );
  };
  let x = scale(trace.picture, 1);
  for (let step = 0; step < 150; step++) {
    const last = x;
    x = scope(() => {
      const slope = grad(loss)(last);
      return sub(last, scale(divideByMaxNorm(slope), 0.03 * (1 - step / 150)));
    });
    last.dispose();
  }
  const after = await map(x).data();
  const moved = await trace.vary(new Map([[INPUT, x]]), ['logits']).logits.data();
  t.notEqual(peak, there);
  t.equal(after.indexOf(Math.max(...after)), there, 'the peak is where it was sent');
  const off = Math.max(...moved.map((v, i) => Math.abs(v - logits[i]!)));
  t.ok(off < 0.05 * Math.max(...logits.map(Math.abs)), `the logits moved by ${off} of ${logits}`);
  trace.dispose();
});
