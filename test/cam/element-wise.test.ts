// Methods that tell positions apart, against a float64 tail with derivatives by differences, and where theorems settle them.

import test from 'tape';
import { explain, observe, type Target, targets } from '../../cam/index.ts';
import { add, full, mul, tensor } from '../../engine/index.ts';
import { globalAvgPool, linear, plain } from '../../models/layers.ts';
import { device } from '../device.ts';
import { relativeError, seededRandom } from '../reference/index.ts';
import { denseTail, derivatives } from './dense-tail.ts';
import { graphs, randomNetwork } from './networks.ts';

const TOLERANCE = 1e-5;
const CLASS = 2;

const numbers = (length: number, seed: number) => {
  const next = seededRandom(seed);
  return Float32Array.from({ length }, () => next() * 2 - 1);
};

/** Sums over the channels of [6, 48]. */
const overChannels = (values: number[]): number[] =>
  Array.from({ length: 48 }, (_, i) =>
    [0, 1, 2, 3, 4, 5].reduce((total, k) => total + values[48 * k + i]!, 0),
  );

test('a tail of dense layers: the maps against float64', async (t) => {
  for (const seed of [1, 2, 3]) {
    const network = randomNetwork(await device(), graphs.dense, seed);
    const trace = observe(network, tensor(network.device, numbers(3 * 48, seed), [1, 3, 6, 8]));
    const a = await trace.at().featureMap.data();
    const tail = denseTail(CLASS, seed);
    const g = derivatives(tail, a);
    const product = g.map((value, i) => value * a[i]!);
    const share = (k: number, values: ArrayLike<number>) =>
      Array.from({ length: 48 }, (_, i) => values[48 * k + i]!).reduce((total, value) => total + value, 0);
    const xgrad = [0, 1, 2, 3, 4, 5].map((k) => share(k, product) / (share(k, a) || 1));
    const expected: Record<string, number[]> = {
      'hires-cam': overChannels(product),
      'layer-cam': overChannels(g.map((value, i) => Math.max(0, value) * a[i]!)),
      'element-wise-grad-cam': overChannels(product.map((value) => Math.max(0, value))),
      'xgrad-cam': overChannels([...a].map((value, i) => xgrad[Math.floor(i / 48)]! * value)),
      'recipro-cam': Array.from({ length: 48 }, (_, at) => tail(a.map((v, i) => (i % 48 === at ? v : 0)))),
    };
    const found = await explain(trace, { methods: Object.keys(expected), classes: [CLASS], signed: true });
    for (const e of found) {
      const error = relativeError(await e.map.data(), expected[e.method]!);
      t.ok(error < TOLERANCE, `${e.method}: ${error.toExponential(1)}`);
    }
    const weights = await found.find((e) => e.method === 'xgrad-cam')!.weights!.data();
    t.ok(relativeError(weights, xgrad) < TOLERANCE, 'weights of XGrad-CAM');
  }
});

test('a tail of dense layers: occlusion and integrated gradients against float64', async (t) => {
  for (const seed of [1, 2, 3]) {
    const network = randomNetwork(await device(), graphs.dense, seed);
    const trace = observe(network, tensor(network.device, numbers(3 * 48, seed), [1, 3, 6, 8]));
    const [occlusion, integrated] = await explain(trace, {
      methods: ['token-occlusion', 'layer-integrated-gradients'],
      classes: [CLASS],
      signed: true,
    });
    const a = await trace.at().featureMap.data();
    const tail = denseTail(CLASS, seed);
    const whole = tail(a);
    const lost = Array.from(
      { length: 48 },
      (_, at) => whole - tail(a.map((v, i) => (i % 48 === at ? 0 : v))),
    );
    t.ok(relativeError(await occlusion!.map.data(), lost) < TOLERANCE, 'occlusion');
    // The gradient of a piecewise linear tail jumps on the way: the same 32 middles as the method takes.
    const slopes = Array.from({ length: 32 }, (_, i) =>
      derivatives(
        tail,
        Float64Array.from(a, (value) => (value * (i + 0.5)) / 32),
      ),
    );
    const elements = [...a].map((v, i) => slopes.reduce((total, g) => total + (v * g[i]!) / 32, 0));
    const map = await integrated!.map.data();
    t.ok(relativeError(map, overChannels(elements)) < TOLERANCE, 'integrated gradients');
    const change = whole - tail(new Float64Array(a.length));
    const missing = change - overChannels(elements).reduce((total, value) => total + value, 0);
    const [found, residual] = await integrated!.terms.find(({ symbol }) => symbol === 'r')!.tensor.data();
    t.ok(Math.abs(found! - change) < TOLERANCE * Math.max(1, Math.abs(change)), 'change');
    t.ok(Math.abs(residual! - missing) < TOLERANCE * Math.max(1, Math.abs(change)), 'residual');
    t.match(integrated!.notes.join(), /the contributions add up to/);
  }
});

test('a piecewise linear tail without biases: the positions of HiResCAM add up to the logit', async (t) => {
  for (const seed of [1, 2, 3]) {
    const network = randomNetwork(await device(), graphs.dense, seed);
    const parameters = new Map(
      [...network.parameters].map(([key, value]) =>
        key.startsWith('fc') && key.endsWith('bias')
          ? [key, full(value.device, value.shape, 0)]
          : [key, value],
      ),
    );
    const x = tensor(network.device, numbers(3 * 48, seed), [1, 3, 6, 8]);
    const trace = observe({ ...network, parameters }, x);
    const [e] = await explain(trace, { methods: ['hires-cam'], classes: [CLASS], signed: true });
    const expected = denseTail(CLASS, seed, 0)(await trace.at().featureMap.data());
    const total = (await e!.map.data()).reduce((sum, value) => sum + value, 0);
    t.ok(Math.abs(total - expected) < TOLERANCE * Math.max(1, Math.abs(expected)), `${total}, ${expected}`);
  }
});

test("GAP + linear: HiResCAM, occlusion and integrated gradients are CAM / Z, Recipro-CAM is CAM / Z + b, XGrad-CAM's weights are Grad-CAM's", async (t) => {
  for (const seed of [1, 2, 3]) {
    const network = randomNetwork(await device(), graphs.gapLinear, seed);
    const x = tensor(network.device, numbers(3 * 7 * 11, seed), [1, 3, 7, 11]);
    const found = await explain(network, x, {
      methods: [
        'cam',
        'grad-cam',
        'hires-cam',
        'recipro-cam',
        'xgrad-cam',
        'token-occlusion',
        'layer-integrated-gradients',
      ],
      classes: [CLASS],
      signed: true,
    });
    const [cam, gradCam, hires, recipro, xgrad, occlusion, integrated] = await Promise.all(
      found.map(({ map }) => map.data()),
    );
    const z = cam!.length;
    const bias = (await network.parameters.get('classifier.bias')!.data())[CLASS]!;
    const share = [...cam!].map((value) => value / z);
    t.ok(relativeError(hires!, share) < TOLERANCE, 'HiResCAM');
    t.ok(relativeError(occlusion!, share) < TOLERANCE, 'occlusion');
    t.ok(relativeError(integrated!, share) < TOLERANCE, 'integrated gradients');
    t.ok(
      relativeError(
        recipro!,
        share.map((value) => value + bias),
      ) < TOLERANCE,
      'Recipro-CAM',
    );
    t.ok(relativeError(xgrad!, gradCam!) < TOLERANCE, 'XGrad-CAM');
    // A function hides that it is linear: the network is run for each position.
    const hidden: Target = (outputs) => targets.scoreOf(targets.logit(CLASS), outputs);
    const run = await explain(network, x, {
      methods: ['recipro-cam', 'token-occlusion'],
      classes: [CLASS],
      target: () => hidden,
      signed: true,
    });
    t.ok(relativeError(await run[0]!.map.data(), recipro!) < TOLERANCE, 'Recipro-CAM by runs');
    t.ok(relativeError(await run[1]!.map.data(), occlusion!) < TOLERANCE, 'occlusion by runs');
    const [expected, weights] = await Promise.all([found[1]!, found[4]!].map((e) => e.weights!.data()));
    t.ok(relativeError(weights!, expected!) < TOLERANCE, 'weights of XGrad-CAM');
  }
});

test('XGrad-CAM says where the sum of a channel nearly vanishes; a channel of zeros is none of those', async (t) => {
  const network = {
    ...randomNetwork(
      await device(),
      {
        nodes: [
          plain('features', 'identity', ['input'], (x) => add(x, full(x.device, [1], 0))),
          globalAvgPool('gap', 'features'),
          linear('classifier', 'gap', { in: 3, out: 3 }),
        ],
        output: 'classifier',
      },
      1,
    ),
  };
  const x = tensor(network.device, Float32Array.from([1, -0.999, 1, 2, 0, 0]), [1, 3, 1, 2]);
  const squared: Target = (outputs) => {
    const z = targets.scoreOf(targets.logit(CLASS), outputs);
    return mul(z, z);
  };
  for (const target of [targets.logit(CLASS), squared]) {
    const [e] = await explain(network, x, { methods: ['xgrad-cam'], target: () => target });
    t.match(e!.notes.join(), /values of 1 channel nearly cancel/);
    t.equal((await e!.weights!.data())[2], 0, 'no weight for a channel of zeros');
  }
});

test('RandomCAM: the same weights for a class every time, others for another', async (t) => {
  const network = randomNetwork(await device(), graphs.gapLinear, 1);
  const x = tensor(network.device, numbers(3 * 64, 1), [1, 3, 8, 8]);
  const options = { methods: ['random-cam'], classes: [0, 1, 0] };
  const found = await explain(network, x, options);
  const [first, other, again] = await Promise.all(found.map(({ weights }) => weights!.data()));
  t.deepEqual(first, again);
  t.notDeepEqual(first, other);
  t.ok(first!.every((value) => value >= -1 && value < 1));
  t.match(found[0]!.notes.join(), /control/);
});
