// Shapley values against all sets of channels, and ShapleyCAM against differences in float64.

import test from 'tape';
import {
  disposeExplanation,
  type Explanation,
  explain,
  observe,
  type Target,
  targets,
} from '../../cam/index.ts';
import { sigmoidShapley } from '../../cam/shapley.ts';
import { tensor } from '../../engine/index.ts';
import { device } from '../device.ts';
import { type Array64, directionalDerivative, relativeError, seededRandom } from '../reference/index.ts';
import { graphs, randomNetwork } from './networks.ts';
import { smoothTail } from './smooth-tail.ts';

const CLASS = 2;

const numbers = (length: number, seed: number) => {
  const next = seededRandom(seed);
  return Float32Array.from({ length }, () => next() * 2 - 1);
};

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** Shapley values by their definition: every player's gain from every set of the others, by the set's size. */
function overAllSets(count: number, worth: (set: number) => number): number[] {
  const factorial = Array.from({ length: count + 1 }, (_, n) =>
    Array.from({ length: n }, (_, i) => i + 1).reduce((a, b) => a * b, 1),
  );
  const worths = Float64Array.from({ length: 2 ** count }, (_, set) => worth(set));
  const sizes = Uint8Array.from(worths, (_, set) => set.toString(2).replaceAll('0', '').length);
  return Array.from({ length: count }, (_, k) => {
    let total = 0;
    for (let set = 0; set < worths.length; set++) {
      if (set & (1 << k)) continue;
      const share = (factorial[sizes[set]!]! * factorial[count - sizes[set]! - 1]!) / factorial[count]!;
      total += share * (worths[set | (1 << k)]! - worths[set]!);
    }
    return total;
  });
}

const sumOver = (a: ArrayLike<number>, set: number) =>
  Array.from(a).reduce((total, x, k) => total + (set & (1 << k) ? x : 0), 0);

test('the sigmoid of a sum: within 1e-12 of all sets of players', (t) => {
  for (const [count, size, b] of [
    [16, 1.5, -2],
    [12, 10, 3],
    [10, 0.01, 0],
    [10, 40, -5],
    [9, 2, 30],
    [1, 2, 0],
  ] as const) {
    const a = Array.from({ length: count }, (_, i) => size * Math.sin(i * i + 1));
    const expected = overAllSets(count, (set) => sigmoid(b + sumOver(a, set)));
    const found = sigmoidShapley(a, b);
    const error = Math.max(...expected.map((value, k) => Math.abs(value - found[k]!)));
    t.ok(error < 1e-12, `${count} players of about ${size}: ${error.toExponential(1)}`);
  }
  t.end();
});

test('the sigmoid of a sum of 300 players: what they gain is what all gain together', (t) => {
  const a = Array.from({ length: 300 }, (_, i) => Math.sin(i * i + 1) / 4);
  const gained = sigmoid(a.reduce((sum, x) => sum + x, -1)) - sigmoid(-1);
  const total = sigmoidShapley(a, -1).reduce((sum, x) => sum + x, 0);
  t.ok(Math.abs(total - gained) < 1e-12, String(total - gained));
  t.end();
});

const weightsOf = async (e: Explanation): Promise<Float32Array> => e.weights!.data();
const termOf = (e: Explanation, symbol: string): Promise<Float32Array> =>
  e.terms.find((one) => one.symbol === symbol)!.tensor.data();

test('GAP + linear: w_k mean A_k of the logit, all sets of channels of its sigmoid', async (t) => {
  for (const seed of [1, 2]) {
    const network = {
      ...randomNetwork(await device(), graphs.gapLinear, seed),
      probabilities: 'sigmoid' as const,
    };
    const x = tensor(network.device, numbers(3 * 7 * 11, seed), [1, 3, 7, 11]);
    const trace = observe(network, x);
    const a = await trace.at().featureMap.data();
    const [w, bias] = await Promise.all(
      ['classifier.weight', 'classifier.bias'].map((key) => network.parameters.get(key)!.data()),
    );
    const z = a.length / 8;
    const worths = Array.from(
      { length: 8 },
      (_, k) => (w![8 * CLASS + k]! * a.slice(k * z, (k + 1) * z).reduce((sum, v) => sum + v, 0)) / z,
    );
    const b = bias![CLASS]!;
    for (const [target, expected] of [
      [targets.logit(CLASS), worths],
      [targets.probability(CLASS, 'sigmoid'), overAllSets(8, (set) => sigmoid(b + sumOver(worths, set)))],
    ] as const) {
      const [e] = await explain(trace, { methods: ['shapley'], classes: [CLASS], target: () => target });
      t.ok(relativeError(await weightsOf(e!), expected) < 1e-5, 'values');
      t.ok((await termOf(e!, 'e_k')).every((error) => error === 0));
      t.match(e!.notes.join(), /exact/);
    }
    trace.dispose();
  }
});

/** A network with a smooth tail, its feature map, and its logits in float64. */
async function smooth(seed: number) {
  const network = randomNetwork(await device(), graphs.smooth, seed);
  const pixels = numbers(3 * 12, seed).map((v) => 4 * v);
  const trace = observe(network, tensor(network.device, pixels, [1, 3, 4, 3]));
  const a: Array64 = { shape: [1, 4, 4, 3], data: Float64Array.from(await trace.at().featureMap.data()) };
  return { trace, a, logits: await smoothTail(network) };
}

test('a smooth tail: values from random orders, within four standard errors of all sets', async (t) => {
  const { trace, a, logits } = await smooth(3);
  const worth = (set: number) =>
    logits({ ...a, data: a.data.map((v, i) => (set & (1 << Math.floor(i / 12)) ? v : 0)) })[CLASS]!;
  const expected = overAllSets(4, worth);
  const [e] = await explain(trace, { methods: ['shapley'], classes: [CLASS] });
  const [found, errors, total] = [await weightsOf(e!), await termOf(e!, 'e_k'), await termOf(e!, 'total')];
  for (const [k, value] of expected.entries()) {
    const off = Math.abs(found[k]! - value);
    t.ok(value === 0 || errors[k]! > 0, `error ${errors[k]}`);
    t.ok(errors[k]! < 0.2 * Math.max(...expected.map(Math.abs)), `error ${errors[k]}`);
    t.ok(off < 4 * errors[k]! + 1e-6, `${off} of ${value}`);
  }
  t.ok(Math.abs(total[0]! - (worth(15) - worth(0))) < 1e-5, 'all channels together');
  t.ok(Math.abs(found.reduce((sum, x) => sum + x, 0) - total[0]!) < 1e-5, 'add up to it');
  t.match(e!.notes.join(), /estimates from random orders/);
  trace.dispose();
});

test('ShapleyCAM and the interaction map on a smooth tail: against differences in float64', async (t) => {
  const { trace, a, logits } = await smooth(5);
  const rest = (z: readonly number[]) =>
    2 * z[CLASS]! - Math.log(z.reduce((sum, value) => sum + Math.exp(value), 0));
  for (const [target, score] of [
    [targets.logit(CLASS), (x: Array64) => logits(x)[CLASS]!],
    [targets.residualSoftmax(CLASS), (x: Array64) => rest(logits(x))],
  ] as const) {
    const axis = (i: number): Array64 => ({ ...a, data: a.data.map((_, j) => Number(i === j)) });
    const slope = (at: Array64, i: number) => directionalDerivative(score, at, axis(i), 1);
    const g = Array.from(a.data, (_, i) => slope(a, i));
    // The derivative of the gradient in the direction of A, by central differences.
    const h = 1e-4;
    const moved = (by: number): Array64 => ({ ...a, data: a.data.map((v) => v * (1 + by)) });
    const HA = Array.from(a.data, (_, i) => (slope(moved(h), i) - slope(moved(-h), i)) / (2 * h));
    const weights = [0, 1, 2, 3].map(
      (k) =>
        Array.from({ length: 12 }, (_, i) => g[12 * k + i]! - HA[12 * k + i]! / 2).reduce(
          (s, v) => s + v,
          0,
        ) / 12,
    );
    const interactions = Array.from({ length: 12 }, (_, i) =>
      [0, 1, 2, 3].reduce((s, k) => s + a.data[12 * k + i]! * HA[12 * k + i]!, 0),
    );
    const [cam, map] = await explain(trace, {
      methods: ['shapley-cam', 'interaction-map'],
      classes: [CLASS],
      target: () => target,
      signed: true,
    });
    t.ok(Math.max(...HA.map(Math.abs)) > 1e-3, 'the tail is curved');
    t.ok(relativeError(await termOf(cam!, 'HA'), HA) < 1e-4, 'H A');
    t.ok(relativeError(await weightsOf(cam!), weights) < 1e-5, 'weights');
    t.ok(relativeError(await map!.map.data(), interactions) < 1e-4, 'interactions');
  }
  trace.dispose();
});

test("ShapleyCAM's weights are Grad-CAM's on a ReLU tail, and in their direction through a sigmoid behind GAP", async (t) => {
  const x = tensor(await device(), numbers(3 * 48, 4), [1, 3, 6, 8]);
  const asked = async (graph: keyof typeof graphs, target: Target) => {
    const network = randomNetwork(await device(), graphs[graph], 4);
    const methods = ['grad-cam', 'shapley-cam'];
    const found = await explain(network, x, { methods, classes: [CLASS], target: () => target });
    const weights = await Promise.all(found.map(weightsOf));
    for (const e of found) disposeExplanation(e);
    return weights as [Float32Array, Float32Array];
  };
  const [relu, reluShapley] = await asked('dense', targets.logit(CLASS));
  t.ok(relativeError(reluShapley, relu) < 1e-5, 'no curvature');
  const [g, w] = await asked('gapLinear', targets.probability(CLASS, 'sigmoid'));
  const factor = w.reduce((sum, v, k) => sum + v * g[k]!, 0) / g.reduce((sum, v) => sum + v * v, 0);
  t.ok(Math.abs(factor - 1) > 1e-3, `the size differs, by ${factor}`);
  t.ok(
    relativeError(
      w,
      g.map((v) => factor * v),
    ) < 1e-4,
    'the direction does not',
  );
  const [soft, softShapley] = await asked('gapLinear', targets.probability(CLASS, 'softmax'));
  const along =
    softShapley.reduce((sum, v, k) => sum + v * soft[k]!, 0) / soft.reduce((sum, v) => sum + v * v, 0);
  t.ok(
    relativeError(
      softShapley,
      soft.map((v) => along * v),
    ) > 1e-3,
    'of a softmax it does',
  );
});

test('an explanation ends between two steps when its signal says so', async (t) => {
  const { trace } = await smooth(3);
  const ending = new AbortController();
  const bytes = trace.network.device.memory.liveBytes;
  try {
    await explain(trace, {
      methods: ['shapley'],
      signal: ending.signal,
      progress: () => ending.abort(new Error('enough')),
    });
    t.fail('it went on');
  } catch (error) {
    t.equal((error as Error).message, 'enough');
  }
  t.equal(trace.network.device.memory.liveBytes, bytes, 'and leaves nothing behind');
  trace.dispose();
});
